"""How often groups of people are said to differ, or to react otherwise, where there is no effect.

    python -m benchmarks groups      (python -m benchmarks.simulated.groups --json [--studies N])

Each simulated study has two groups, three states, and no effect of the group nor of state and group
together; the states themselves differ. A person has a level (sd 7 /min), reactions of their own
that differ in size between the states (sd 2, 3 and 6, so that sphericity does not hold), and noise
(sd 2). Sound designs: twelve and twelve people; eight and sixteen; a state missing in a tenth of
the cells, whose people are left out. Uneven ones, where F errs: levels and reactions of eight
people spread 2.5 times as much as those of sixteen, and of five 1.5 and 2.5 times as much as those
of sixty. And five beside sixty that spread as much or 0.4 times as much, where Welch errs most: its
degrees of freedom are an estimate.

Figures (shares of studies without any effect):
    groups_false_positives_…        p < 0.05 of F, unadjusted: of the group and of state × group,
                                    lowest and highest over the sound designs
    groups_false_positives_uneven_… the same with eight uneven people, and Welch's comparisons there
    groups_false_by_f_5_beside_60_… an adjusted p < 0.05 of any F, lowest and highest of them
    groups_told                     a comparison of Welch's with an adjusted p < 0.05, which is told
                                    as a difference: the worst of all designs but those of five
    groups_told_5_beside_60         the same of those, over four times as many studies
    groups_told_5_beside_60_wider   of those alone in which the five spread more
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks._command import benchmark
from dashboard.analysis.inference.groups import compare_groups
from dashboard.analysis.query import TESTED_STATES, AnalysisQuery
from dashboard.analysis.results import VitalGroupsModel
from edge_agent.core.vitals import VitalKind

HEART = VitalKind.HEART_RATE
QUERY = AnalysisQuery(vital=(HEART,), group="kind")
EFFECTS = np.array([0.0, 3.0, 6.0])
REACTIONS = np.array([2.0, 3.0, 6.0])
ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class GroupDesign:
    """Sizes of both groups, share of missing states, and how much wider the first one spreads."""

    sizes: tuple[int, int]
    missing: float = 0.0
    wider: float = 1.0


DESIGNS = {
    "even": GroupDesign((12, 12)),
    "unequal": GroupDesign((8, 16)),
    "missing": GroupDesign((12, 12), missing=0.1),
}
UNEVEN = GroupDesign((8, 16), wider=2.5)
FIVE_WIDER = (GroupDesign((5, 60), wider=1.5), GroupDesign((5, 60), wider=2.5))
FIVE_AS_WIDE = (GroupDesign((5, 60), wider=0.4), GroupDesign((5, 60)))


def study(rng: np.random.Generator, design: GroupDesign) -> VitalGroupsModel:
    """Simulate one study and compare its groups."""
    people = {}
    values = {}
    for group, size in enumerate(design.sizes):
        wider = design.wider if group == 0 else 1.0
        for number in range(size):
            level = 75 + wider * rng.normal(0, 7)
            own = level + EFFECTS + wider * rng.normal(0, REACTIONS) + rng.normal(0, 2, 3)
            seen = {
                state: float(value)
                for state, value in zip(TESTED_STATES, own, strict=True)
                if rng.random() >= design.missing
            }
            code = f"{group}-{number}"
            people[code] = [seen] if seen else []
            values[code] = str(group)
    (compared,) = compare_groups({HEART: people}, values, QUERY)
    return compared


def _share(studies: list[VitalGroupsModel], wrong: Callable[[VitalGroupsModel], bool]) -> float:
    return float(np.mean([wrong(one) for one in studies]))


def _of_group(one: VitalGroupsModel) -> bool:
    return one.groups is not None and one.groups.p < ALPHA


def _of_interaction(one: VitalGroupsModel) -> bool:
    return one.interaction is not None and one.interaction.p < ALPHA


def _of_any_f(one: VitalGroupsModel) -> bool:
    return any(test.adjusted_p < ALPHA for test in (one.groups, one.interaction) if test)


def _told(one: VitalGroupsModel) -> bool:
    return any(contrast.adjusted_p < ALPHA for contrast in one.contrasts)


def measure(studies: int) -> dict[str, float]:
    """Return all figures over so many studies of each design."""
    rng = np.random.default_rng(1)
    sound = [[study(rng, design) for _ in range(studies)] for design in DESIGNS.values()]
    uneven = [study(rng, UNEVEN) for _ in range(studies)]
    five = [[study(rng, design) for _ in range(4 * studies)] for design in FIVE_WIDER]
    as_wide = [[study(rng, design) for _ in range(4 * studies)] for design in FIVE_AS_WIDE]
    of_group = [_share(each, _of_group) for each in sound]
    crossed = [_share(each, _of_interaction) for each in sound]
    by_f = [_share(each, _of_any_f) for each in five]
    welch = [
        float(np.mean([one.contrasts[place].p < ALPHA for one in uneven]))
        for place in range(len(uneven[0].contrasts))
    ]
    return {
        "groups_false_positives_group_lowest": min(of_group),
        "groups_false_positives_group_highest": max(of_group),
        "groups_false_positives_interaction_lowest": min(crossed),
        "groups_false_positives_interaction_highest": max(crossed),
        "groups_false_positives_uneven_group": _share(uneven, _of_group),
        "groups_false_positives_uneven_interaction": _share(uneven, _of_interaction),
        "groups_false_positives_uneven_welch_lowest": min(welch),
        "groups_false_positives_uneven_welch_highest": max(welch),
        "groups_false_by_f_5_beside_60_lowest": min(by_f),
        "groups_false_by_f_5_beside_60_highest": max(by_f),
        "groups_told": max(_share(one, _told) for one in (*sound, uneven)),
        "groups_told_5_beside_60": max(_share(one, _told) for one in (*five, *as_wide)),
        "groups_told_5_beside_60_wider": max(_share(one, _told) for one in five),
    }


if __name__ == "__main__":
    benchmark(__doc__, measure, studies=(1000, ""))
