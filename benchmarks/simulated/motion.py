"""Wearers who move more in one state than in another: what is reported of it without a word.

    python -m benchmarks motion    (python -m benchmarks.simulated.motion --json [--studies N])

Each simulated study has 24 people who meet three states of 100 s, with a heart rate a second:
AR(.95) about a level of their own, and a reaction of their own to each state. No state has an
effect. A worn sensor measures the motion, a value for five seconds. Figures are shares of the
studies in which a difference between the state in which people move more and another is reported,
adjusted for three tests; ``_unwarned``: reported without the caution:

    motion_locks        movements come three times as often in anger and last longer, and the sensor
                        of the heart counts them
    motion_body         the same, but it is the heart that beats faster for some time
    motion_other        nobody tuned to this one: 14 people, of whom a third moves more in happiness
                        and a third wears no sensor of motion, states of 60 to 150 s

the shares of the studies in which any result has the caution though none is deserved:

    motion_idle_quiet   people sit still
    motion_idle_tiny    they sit still, and a little less so in anger: 4 for 3 mg
    motion_idle_moving  they move as often in each state, some much and some little
    motion_idle_few     the same of 8 people

and the share of the true differences of 3.5 /min in anger that is reported without the caution,
where people move as often in each state:

    motion_kept
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import signal

from benchmarks._command import benchmark
from dashboard.analysis.conclusions import Caution
from dashboard.analysis.decision import with_cautions
from dashboard.analysis.inference.motion import compare_motion, motion_beside
from dashboard.analysis.query import TESTED_STATES, AnalysisQuery
from dashboard.analysis.readings.means import session_means, sides_of
from dashboard.analysis.readings.states import ReadingGroup
from dashboard.analysis.steps.decided import decide_family
from dashboard.analysis.steps.tested import compare_means
from edge_agent.core.readings import VitalFlag
from edge_agent.core.vitals import VitalKind

HEART, MOTION = VitalKind.HEART_RATE, VitalKind.BODY_MOTION
QUERY = AnalysisQuery(vital=(HEART,))
SECONDS = 100
SD = 3.0
REACTION_SD = 2.0
EPOCH_S = 5
EFFECT = 3.5
Reals = npt.NDArray[np.float64]
Rng = np.random.Generator


@dataclass(frozen=True)
class MotionDesign:
    """A design.

    Attributes:
        people: how many.
        often: movements in 100 s, where somebody moves as usual.
        more: how many times as often they come in one state.
        state: which.
        of_all: share of the people who move more there.
        lasts: seconds that a movement lasts there, and elsewhere.
        counted: by how much a movement raises what the sensor of the heart gives.
        late_s: time constant with which it does.
        quiet_mg: of one who sits still; first in that state.
        worn: share of the people whose motion is measured.
        seconds: least and greatest length of a state.
        effect: of anger.
    """

    people: int = 24
    often: float = 1.0
    more: float = 1.0
    state: str = "anger"
    of_all: float = 1.0
    lasts: tuple[float, float] = (6.0, 6.0)
    counted: float = 0.0
    late_s: float = 0.0
    quiet_mg: tuple[float, float] = (3.0, 3.0)
    worn: float = 1.0
    seconds: tuple[float, float] = (SECONDS, SECONDS)
    effect: float = 0.0


LOCKS = MotionDesign(more=3.0, lasts=(9.0, 6.0), counted=25.0)
BODY = MotionDesign(more=3.0, lasts=(9.0, 6.0), counted=12.0, late_s=20.0)
OTHER = MotionDesign(
    14, 1.0, 5.0, "happiness", 1 / 3, (10.0, 5.0), 30.0, worn=2 / 3, seconds=(60.0, 150.0)
)
QUIET = MotionDesign(often=0.0)
TINY = MotionDesign(often=0.0, quiet_mg=(4.0, 3.0))
MOVING = MotionDesign(often=2.0, counted=25.0)
FEW = MotionDesign(8, often=2.0, counted=25.0)
KEPT = MotionDesign(often=2.0, effect=EFFECT)


def _movements(rng: Rng, n: int, often: float, lasts: float) -> Reals:
    """Return the size of the movement in each second; 0: none."""
    size = np.zeros(n)
    for start in rng.integers(0, n, rng.poisson(often * n / 100)).tolist():
        size[start : start + 1 + rng.poisson(lasts)] = rng.lognormal(0, 0.7)
    return size


def study(rng: Rng, design: MotionDesign) -> tuple[list[ReadingGroup], list[ReadingGroup]]:
    """Return the readings of the heart and of the motion of a study."""
    heart, motion = [], []
    for person in range(design.people):
        level, lively = rng.normal(70, 7), rng.lognormal(0, 0.5)
        is_more = rng.random() < design.of_all
        is_worn = rng.random() < design.worn
        for state in map(str, TESTED_STATES):
            n = round(rng.uniform(*design.seconds))
            here = is_more and state == design.state
            often = design.often * lively * (design.more if here else 1)
            size = _movements(rng, n, often, design.lasts[0 if here else 1])
            noise = rng.normal(0, np.sqrt(1 - 0.95**2), n + 200)
            values = level + SD * signal.lfilter([1], [1, -0.95], noise)[200:]
            values += rng.normal(0, REACTION_SD) + design.effect * (state == "anger")
            moved = (size > 0).astype(np.float64)
            if design.late_s:
                moved = signal.lfilter([1 / design.late_s], [1, 1 / design.late_s - 1], moved)
            heart.append(_group(person, state, HEART, values + design.counted * moved))
            if is_worn:
                epochs = size[: n // EPOCH_S * EPOCH_S].reshape(-1, EPOCH_S).mean(axis=1)
                quiet = design.quiet_mg[0 if here else 1] * rng.lognormal(0, 0.3, len(epochs))
                motion.append(_group(person, state, MOTION, quiet + 120 * epochs))
    return heart, motion


def _group(person: int, state: str, kind: VitalKind, values: Reals) -> ReadingGroup:
    names = (f"P{person:02d}", person, state, kind, frozenset[VitalFlag](), False)
    return ReadingGroup(*names, len(values), float(values.sum()), float(np.abs(values).max()))


def results_of(rng: Rng, design: MotionDesign) -> list[tuple[set[str], bool, bool]]:
    """Return for each pair of states: which, whether a difference is reported, and the caution."""
    heart, motion = study(rng, design)
    tests = compare_means(QUERY, session_means(heart, QUERY.states), {}, is_timed=False)
    decided = with_cautions(
        decide_family(QUERY, tests),
        {
            "motion": motion_beside(
                compare_motion(motion, QUERY),
                lambda one: sides_of(tests.visits, one.vital, one.first, one.second),
            )
        },
    )
    return [
        (
            {one.first, one.second},
            one.result.shows_difference,
            Caution.MOTION in one.result.caution_codes,
        )
        for one in decided
    ]


def _shares(name: str, design: MotionDesign, studies: int) -> dict[str, float]:
    rng = np.random.default_rng([*f"moving {name}".encode()])
    every = [
        [one for one in results_of(rng, design) if design.state in one[0]] for _ in range(studies)
    ]
    return {
        f"motion_{name}_told": float(np.mean([any(told for _, told, _ in one) for one in every])),
        f"motion_{name}_unwarned": float(
            np.mean([any(told and not warned for _, told, warned in one) for one in every])
        ),
    }


def _idle(name: str, design: MotionDesign, studies: int) -> dict[str, float]:
    rng = np.random.default_rng([*f"idle {name}".encode()])
    warned = [any(warned for *_, warned in results_of(rng, design)) for _ in range(studies)]
    return {f"motion_idle_{name}": float(np.mean(warned))}


def _kept(studies: int) -> float:
    rng = np.random.default_rng([*b"kept"])
    told = [
        warned
        for _ in range(studies)
        for states, is_told, warned in results_of(rng, KEPT)
        if is_told and "anger" in states
    ]
    return 1 - float(np.mean(told))


def measure(studies: int) -> dict[str, float]:
    """Return the figures."""
    return {
        **_shares("locks", LOCKS, studies),
        **_shares("body", BODY, studies),
        **_shares("other", OTHER, studies),
        **_idle("quiet", QUIET, studies),
        **_idle("tiny", TINY, studies),
        **_idle("moving", MOVING, studies),
        **_idle("few", FEW, studies),
        "motion_kept": _kept(studies),
    }


if __name__ == "__main__":
    benchmark(__doc__, measure, studies=(1000, "simulated studies of each kind"))
