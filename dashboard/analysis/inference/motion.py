"""Motion of the wearer that differs between two states, which makes differences of what is measured
at the body. Pure.

Who moves has another heart rate, and a sensor that moves may count the movement. Motion was
recorded only where a worn sensor measures it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import log1p
from statistics import fmean
from typing import TypeVar

from dashboard.analysis.conclusions import Beside, MotionModel, shows
from dashboard.analysis.inference.comparison import Comparison, compare_family
from dashboard.analysis.query import AnalysisQuery, Design
from dashboard.analysis.readings.means import Sides, Visits, session_means, sides_of, visits_of
from dashboard.analysis.readings.states import ReadingGroup
from dashboard.analysis.results import ComparisonModel, HeartTestModel, SkinTestModel
from dashboard.statistics.period import OneWayError, adjusted_for_time
from dashboard.statistics.samples import NoVariationError, TooFewError
from dashboard.statistics.t_tests import Method
from edge_agent.core.measures import Measure
from edge_agent.core.vitals import VitalKind

SMALL_MG = 2.0
"""A smaller difference is never reported: one who lies still has 3 mg."""
_KIND = VitalKind.BODY_MOTION
T = TypeVar("T", ComparisonModel, HeartTestModel, SkinTestModel)


@dataclass(frozen=True, slots=True)
class StateMotion:
    """The motion of the wearers in two states.

    Attributes:
        model: what is reported of it.
        more: of each person with both states, by how many mg they moved more in the first.
    """

    model: MotionModel
    more: Mapping[str, float]


Motions = Mapping[tuple[str, str], StateMotion]
"""By pair of states; nothing where too few people wore a sensor that measures motion."""


def compare_motion(groups: Iterable[ReadingGroup], query: AnalysisQuery) -> Motions:
    """Compare the motion of the wearers between each pair of states, all pairs as one family.

    A few large movements make its distribution skew: logarithms of 1 mg more than the means of
    each session are compared, within people where three have both states.

    Args:
        groups: readings of motion that count, of one source in each session.
        query: states.
    """
    visits = visits_of(session_means(groups, query.states))
    sides = [sides_of(visits, _KIND, *pair) for pair in query.pairs]
    logs = [sides_of(_logarithms(visits), _KIND, *pair) for pair in query.pairs]
    comparisons = compare_family([(one.first, one.second) for one in logs], query.design)
    compared = zip(query.pairs, map(_motion_of, sides, comparisons), strict=True)
    return {pair: one for pair, one in compared if one is not None}


def _logarithms(visits: Visits) -> Visits:
    return {
        kind: {
            code: [{state: log1p(mean) for state, mean in of.items()} for of in sessions]
            for code, sessions in people.items()
        }
        for kind, people in visits.items()
    }


def _motion_of(sides: Sides, comparison: Comparison) -> StateMotion | None:
    if comparison.method is None or comparison.difference is None:
        return None
    one, other = sides.first, sides.second
    both = one.keys() & other.keys()
    is_paired = comparison.method is Method.PAIRED
    first = fmean(one[code] for code in (both if is_paired else one.keys() - both))
    second = fmean(other[code] for code in (both if is_paired else other.keys() - both))
    p = None if comparison.tests is None else comparison.tests.holm_p
    if p is None:  # all moved more alike: as sure as can be, or not at all
        p = 1.0 if comparison.difference == 0 else 0.0
    model = MotionModel(
        first=first,
        second=second,
        people=len(both) if is_paired else len(comparison.first) + len(comparison.second),
        p=p,
        is_unequal=abs(first - second) >= SMALL_MG and shows(p),
    )
    return StateMotion(model, {code: one[code] - other[code] for code in both})


def motion_in_states(
    groups: Iterable[ReadingGroup], query: AnalysisQuery
) -> dict[str, dict[str, float]]:
    """Return of each state how much each person moved, mg, a mean over their sessions."""
    of_person: defaultdict[str, defaultdict[str, list[float]]]
    of_person = defaultdict(lambda: defaultdict(list))
    for one in session_means(groups, query.states):
        of_person[one.state][one.participant].append(one.mean)
    return {
        state: {code: fmean(means) for code, means in people.items()}
        for state, people in of_person.items()
    }


def compare_movers(
    pairs: Sequence[tuple[Mapping[str, float], Mapping[str, float]]],
) -> list[MotionModel | None]:
    """Compare how much the people on two sides moved, mg, as ``compare_motion`` does states."""
    logs = [tuple({c: log1p(mg) for c, mg in side.items()} for side in pair) for pair in pairs]
    compared = compare_family([(one, other) for one, other in logs], Design.AUTO)
    motions = (
        _motion_of(Sides(*pair, frozenset()), comparison)
        for pair, comparison in zip(pairs, compared, strict=True)
    )
    return [None if one is None else one.model for one in motions]


def motion_beside(motions: Motions, sides: Callable[[T], Sides]) -> Beside[T, MotionModel]:
    """Return what compares the motion of the wearers, of tests of what a movement can change.

    Args:
        motions: of ``compare_motion``.
        sides: returns the values that are compared.
    """

    def motion_of(one: T) -> MotionModel | None:
        motion = motions.get((one.first, one.second))
        is_moved = not isinstance(one, ComparisonModel) or can_change(one.vital)
        if motion is None or not is_moved:
            return None
        is_told = any(result.shows_difference for result in (one.result, *one.others))
        explains = is_told and _explains(motion.more, sides(one))
        return motion.model.model_copy(update={"explains": explains})

    return lambda tests: [motion_of(one) for one in tests]


def can_change(kind: Measure) -> bool:
    """Tell whether a movement can change what is measured."""
    return isinstance(kind, VitalKind) and kind.spec.moved


def _explains(more: Mapping[str, float], sides: Sides) -> bool:
    """Tell whether people who moved more differ more, and no difference is left at equal motion."""
    codes = sorted(more.keys() & sides.first.keys() & sides.second.keys())
    first, second = ([side[code] for code in codes] for side in (sides.first, sides.second))
    try:
        # a line in what is not alike, be it minutes or mg
        at_equal = adjusted_for_time(first, second, [more[code] for code in codes])
    except (TooFewError, OneWayError):
        return False
    except NoVariationError:
        return True
    return shows(at_equal.slope_p) and not shows(at_equal.p)
