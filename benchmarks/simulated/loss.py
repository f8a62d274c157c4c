"""Readings lost more in one state than in another: what is reported of it without a word.

    python -m benchmarks loss      (python -m benchmarks.simulated.loss --json [--studies N])

Each simulated study has 24 people who meet three states, with a heart rate a second: AR(.95) about
a level of their own, and a reaction of their own to each state. No state has an effect. Figures are
shares of the studies in which a difference between the state that lost more and another is told,
adjusted for three tests; ``_unwarned``: told without the caution:

    loss_range          readings above 250 are in doubt, the level is high, anger spreads widest
    loss_high           what is higher than usual never comes in anger
    loss_curves         what an error makes high never comes after the start of 36 people's anger
    loss_windows        the same of windows that were declared before
    loss_slow           nobody tuned to this one: 14 people, a reading in 4 s that jitters, states
                        of 60 to 150 s, and the lowest quarter is lost in happiness
    loss_each_30        a heart rate in half a minute, states of 4 minutes, the highest 30 % is
                        lost in anger
    loss_cuff, loss_cuff_tenth      a systolic pressure a minute, states of 5 minutes, of which the
                        highest 30 or 10 % is lost in anger
    loss_cuff_twice, loss_cuff_once     two pressures a state, or one, the highest 30 % lost

and the shares of the studies in which any result has the caution though none is deserved:

    loss_idle_complete  nothing is lost
    loss_idle_single    one in twenty readings is lost, whatever the state
    loss_idle_stretches stretches of 5 to 15 s are lost, a twentieth of the time
    loss_idle_slow      a reading in 4 s that jitters, states of 60 to 150 s, 8 people
    loss_idle_curves, loss_idle_windows     one in twenty readings is lost, 36 people
    loss_idle_each_30, loss_idle_cuff, loss_idle_cuff_once  few readings, one in twenty is lost
    loss_idle_lengths   the same as each_30, of states of 2, 3 and 4 minutes
    loss_idle_plan_more, loss_idle_plan_less    two pressures in anger and one elsewhere by plan, or
                        one and two; one in twenty is lost
    loss_idle_plan_heart    the pulse of such a cuff, one in anger and two elsewhere
    loss_idle_doubted_stream, loss_idle_doubted_cuff    a hundred readings in a state, or two of 8
                        people: the device doubts one in twenty, of some people more than of others

and, of studies in which anger adds 3.5 and nothing is lost unequally, the share of those that
report it which do without the caution:

    loss_true_each_30, loss_true_cuff, loss_true_plan_more

and, of 12 people with 200 intervals between beats in a state, each with its stated error, which of
any difference of RMSSD in three tests:

    loss_errors_told, loss_errors_unwarned  errors of 12 ms in anger, 5 elsewhere, without effect
    loss_idle_errors    errors of 7 ms or so, alike in all states: the share with the caution
    loss_true_errors    RMSSD 30 % higher in anger there: reported differences without it
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt
from scipy import signal
from scipy.stats import norm

from benchmarks._command import benchmark
from benchmarks.simulated.responses import WINDOWS, blocks, study
from dashboard.analysis.conclusions import Caution, shows
from dashboard.analysis.decision import decide_measures, with_cautions
from dashboard.analysis.inference.family import compare_visits
from dashboard.analysis.inference.heart import recordings_of
from dashboard.analysis.inference.loss import (
    compare_doubts,
    compare_losses,
    doubts_in_states,
    errors_beside,
    losses_in_states,
)
from dashboard.analysis.inference.measures import compare_measures, measured_values
from dashboard.analysis.query import TESTED_STATES, AnalysisQuery, HeartMeasure, Sample
from dashboard.analysis.readings.means import session_means, visits_of
from dashboard.analysis.readings.series import CountedSeries
from dashboard.analysis.readings.states import ReadingGroup
from dashboard.analysis.results import HeartTestModel
from dashboard.questions.responses.answer import ResponsesQuery
from dashboard.questions.responses.computing import CurveMaterial, compare_windows, respond
from edge_agent.core.measures import Measure
from edge_agent.core.readings import DOUBTED, VitalFlag
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.read.events import EventKind
from edge_agent.timeline.read.observed import Beats

PEOPLE = 24
HEART = VitalKind.HEART_RATE
PRESSURE = VitalKind.SYSTOLIC
RESPONSES = ResponsesQuery(vital=(HEART,))
SECONDS = 100
SD = 3.0
REACTION_SD = 2.0
ADDED = 3.5
Reals = npt.NDArray[np.float64]
Marks = npt.NDArray[np.bool_]
Rng = np.random.Generator


@dataclass(frozen=True)
class SensedState:
    """Readings of a person's sensor in one state.

    Attributes:
        values: all that it would give.
        kept: which of them came.
        doubtful: which of them are in doubt.
        seconds: how long the state was.
    """

    values: Reals
    kept: Marks
    doubtful: Marks
    seconds: float


Make = Callable[[Rng, float, str], SensedState]


def _wander(rng: Rng, n: int, phi: float = 0.95) -> Reals:
    noise = rng.normal(0, np.sqrt(1 - phi**2), n + 200)
    return np.asarray(signal.lfilter([1], [1, -phi], noise)[200:], np.float64)


def complete(rng: Rng, level: float, _state: str) -> SensedState:
    """Return a state of which nothing is lost."""
    values = level + rng.normal(0, REACTION_SD) + SD * _wander(rng, SECONDS)
    return SensedState(values, np.ones(SECONDS, bool), np.zeros(SECONDS, bool), SECONDS)


def high(rng: Rng, level: float, state: str) -> SensedState:
    """Lose in anger what is a standard deviation above the usual level."""
    one = complete(rng, level, state)
    return replace(one, kept=one.values < level + SD) if state == "anger" else one


def ranged(rng: Rng, level: float, state: str) -> SensedState:
    """Doubt what is above 250, at a level near it."""
    spread = 25.0 if state == "anger" else 8.0
    values = level + 165 + rng.normal(0, REACTION_SD) + spread * _wander(rng, SECONDS)
    return SensedState(values, np.ones(SECONDS, bool), values > 250, SECONDS)


def single(rng: Rng, level: float, state: str) -> SensedState:
    """Lose one reading in twenty."""
    return replace(complete(rng, level, state), kept=rng.random(SECONDS) > 0.05)


def stretches(rng: Rng, level: float, state: str) -> SensedState:
    """Lose stretches, a twentieth of the time."""
    kept = np.ones(SECONDS, bool)
    for start in rng.integers(0, SECONDS, rng.poisson(0.5)).tolist():
        kept[start : start + int(rng.integers(5, 16))] = False
    return replace(complete(rng, level, state), kept=kept)


def slow(rng: Rng, level: float, _state: str) -> SensedState:
    """Give a reading in 4 s or so, in states of any length."""
    seconds = float(rng.uniform(60, 150))
    n = int(seconds / 4 + rng.uniform(-0.5, 1.5))
    values = level + rng.normal(0, REACTION_SD / 4) + SD * _wander(rng, n, 0.8)
    return SensedState(values, np.ones(n, bool), np.zeros(n, bool), seconds)


def slow_and_low(rng: Rng, level: float, state: str) -> SensedState:
    """Lose the lowest quarter of that in happiness."""
    one = slow(rng, level, state)
    low = one.values < np.quantile(one.values, 0.25)
    return replace(one, kept=~low) if state == "happiness" else one


def regular(
    every: float, seconds: Mapping[str, float], lost: float, *, in_anger: float = 0.0
) -> Make:
    """Return a sensor that gives a reading in so many seconds, however the state begins, and loses
    a share of them all, and of those of anger a share of the highest.
    """

    def make(rng: Rng, level: float, state: str) -> SensedState:
        n = int(seconds[state] / every + rng.random())
        return _few(rng, level, seconds[state], n, lost, in_anger * (state == "anger"))

    return make


def by_plan(numbers: Mapping[str, int], lost: float, *, in_anger: float = 0.0) -> Make:
    """Return a cuff of which somebody planned how often it measures in states of two minutes."""

    def make(rng: Rng, level: float, state: str) -> SensedState:
        return _few(rng, level, 120.0, numbers[state], lost, in_anger * (state == "anger"))

    return make


def _few(
    rng: Rng, level: float, seconds: float, n: int, lost: float, lost_above: float
) -> SensedState:
    off = SD * rng.normal(size=n)
    values = level + rng.normal(0, REACTION_SD / 2) + off
    kept = (rng.random(n) >= lost) & (off <= SD * norm.isf(lost_above))
    return SensedState(values, kept, np.zeros(n, bool), seconds)


def raising(make: Make) -> Make:
    """Return the same sensor of people whose anger adds something."""
    return lambda rng, level, state: make(rng, level + ADDED * (state == "anger"), state)


ALIKE = dict.fromkeys(map(str, TESTED_STATES), 120.0)
EACH_30 = {state: 2 * seconds for state, seconds in ALIKE.items()}
EACH_60 = {state: 2.5 * seconds for state, seconds in ALIKE.items()}
LENGTHS = {"anger": 120.0, "happiness": 180.0, "neutral": 240.0}
ONCE = dict.fromkeys(ALIKE, 1)
TWICE = dict.fromkeys(ALIKE, 2)
MORE, LESS = ONCE | {"anger": 2}, TWICE | {"anger": 1}


def results_of(
    rng: Rng, make: Make, people: int = PEOPLE, kind: VitalKind = HEART
) -> list[tuple[set[str], bool, bool]]:
    """Return for each pair of states: which, whether a difference is reported, and the caution."""
    query = AnalysisQuery(vital=(kind,))
    groups: list[ReadingGroup] = []
    seconds: dict[tuple[int, str, Measure], float] = {}
    for person in range(people):
        level = rng.normal(70, 7)
        for state in map(str, TESTED_STATES):
            one = make(rng, level, state)
            seconds[person, state, kind] = one.seconds
            for flags, used in (
                (frozenset[VitalFlag](), one.kept & ~one.doubtful),
                (frozenset({VitalFlag.OUT_OF_RANGE}), one.kept & one.doubtful),
            ):
                if used.any():
                    groups.append(_group(person, state, kind, flags, one.values[used]))
    counted = [one for one in groups if not one.flags]
    compared = compare_visits(visits_of(session_means(counted, query.states)), query)
    losses = losses_in_states(groups, query, seconds)[kind]
    compared_losses = compare_losses(
        [(losses[first], losses[second]) for first, second in query.pairs]
    )
    return [
        (
            set(pair),
            comparison.tests is not None and shows(comparison.tests.holm_p),
            loss is not None and loss.is_unequal,
        )
        for pair, comparison, loss in zip(query.pairs, compared, compared_losses, strict=True)
    ]


def _group(
    person: int, state: str, kind: VitalKind, flags: frozenset[VitalFlag], values: Reals
) -> ReadingGroup:
    largest = float(np.abs(values).max())
    names = (f"P{person:02d}", person, state, kind, flags, False)
    return ReadingGroup(*names, len(values), float(values.sum()), largest)


# --- Curves and windows ---------------------------------------------------------------------------


def curves(rng: Rng, *, unequal: bool) -> CurveMaterial:
    """Return a study of curves, whose readings have an error of their own: of those that it makes
    high after anger none comes, or of any one in twenty.
    """
    made = study(rng, 36, blocks, height=0.0)
    anger = {one.session: one.at_ms for one in made.events if one.label == "anger"}
    series = []
    for one in (one for one in made.series if one.kind is HEART):
        error = rng.normal(0, SD, len(one.values))
        kept = rng.random(len(one.values)) > (0 if unequal else 0.05)
        if unequal:
            since = one.at_ms - anger[one.session.id]
            kept = ~((since >= 0) & (since < 30_000) & (error > SD))
        series.append(_without(replace(one, values=one.values + error), kept))
    return replace(made, series=series)


def _without(one: CountedSeries, kept: Marks) -> CountedSeries:
    return replace(one, at_ms=one.at_ms[kept], values=one.values[kept])


def told_of_curves(material: CurveMaterial) -> list[tuple[set[str], bool, bool]]:
    """Return for each curve beside neutral: which, whether it is reported, and the caution."""
    tests = respond(material, RESPONSES, Sample.MEASURED).tests
    return [({one.first}, one.shown, Caution.UNEQUAL_LOSS in one.caution_codes) for one in tests]


def told_of_windows(material: CurveMaterial) -> list[tuple[set[str], bool, bool]]:
    """Return the same of declared windows."""
    windows = [one for one in WINDOWS if one.vital is HEART]
    tests = compare_windows({EventKind.STIMULUS_START: material}, windows)
    return [
        ({one.window.event}, one.shown, Caution.UNEQUAL_LOSS in one.caution_codes) for one in tests
    ]


Results = Callable[[Rng], list[tuple[set[str], bool, bool]]]


def _shares(name: str, results: Results, studies: int, lossy: str) -> dict[str, float]:
    rng = np.random.default_rng([*f"lossy {name}".encode()])
    every = [
        [(told, warned) for states, told, warned in results(rng) if lossy in states]
        for _ in range(studies)
    ]
    return {
        f"loss_{name}_told": float(np.mean([any(told for told, _ in one) for one in every])),
        f"loss_{name}_unwarned": float(
            np.mean([any(told and not warned for told, warned in one) for one in every])
        ),
    }


def _idle(name: str, results: Results, studies: int) -> dict[str, float]:
    rng = np.random.default_rng([*f"idle {name}".encode()])
    warned = [any(warned for *_, warned in results(rng)) for _ in range(studies)]
    return {f"loss_idle_{name}": float(np.mean(warned))}


def _true(name: str, results: Results, studies: int) -> dict[str, float]:
    rng = np.random.default_rng([*f"true {name}".encode()])
    told = [
        not warned
        for _ in range(studies)
        for states, told, warned in results(rng)
        if told and "anger" in states
    ]
    return {f"loss_true_{name}": float(np.mean(told))}


def few(studies: int) -> dict[str, float]:
    """Return the figures of sensors that give few readings in a state."""
    lossy: dict[str, tuple[Make, VitalKind]] = {
        "each_30": (regular(30, EACH_30, 0, in_anger=0.3), HEART),
        "cuff": (regular(60, EACH_60, 0, in_anger=0.3), PRESSURE),
        "cuff_tenth": (regular(60, EACH_60, 0, in_anger=0.1), PRESSURE),
        "cuff_twice": (by_plan(TWICE, 0, in_anger=0.3), PRESSURE),
        "cuff_once": (by_plan(ONCE, 0, in_anger=0.3), PRESSURE),
    }
    idle: dict[str, tuple[Make, VitalKind]] = {
        "each_30": (regular(30, EACH_30, 0.05), HEART),
        "lengths": (regular(30, LENGTHS, 0.05), HEART),
        "cuff": (regular(60, EACH_60, 0.05), PRESSURE),
        "cuff_once": (by_plan(ONCE, 0.05), PRESSURE),
        "plan_more": (by_plan(MORE, 0.05), PRESSURE),
        "plan_less": (by_plan(LESS, 0.05), PRESSURE),
        "plan_heart": (by_plan(LESS, 0.05), HEART),
    }
    figures: dict[str, float] = {}
    for name, (make, kind) in lossy.items():
        figures |= _shares(name, partial(results_of, make=make, kind=kind), studies, "anger")
    for name, (make, kind) in idle.items():
        figures |= _idle(name, partial(results_of, make=make, kind=kind), studies)
        if name in ("each_30", "cuff", "plan_more"):
            raised = partial(results_of, make=raising(make), kind=kind)
            figures |= _true(name, raised, studies)
    return figures


def doubts_of(rng: Rng, people: int, n: int) -> list[tuple[set[str], bool, bool]]:
    """Return for each pair of states: which, no difference, and whether its caution says that the
    device doubts more of one; of so many readings in a state.
    """
    query = AnalysisQuery(vital=(PRESSURE,))
    groups: list[ReadingGroup] = []
    for person in range(people):
        share = rng.beta(1, 19)
        for state in map(str, TESTED_STATES):
            doubted = rng.binomial(n, share)
            for flags, number in ((frozenset[VitalFlag](), n - doubted), (DOUBTED, doubted)):
                if number:
                    groups.append(_group(person, state, PRESSURE, flags, np.full(number, 120.0)))
    shares = doubts_in_states(groups, query)[PRESSURE]
    compared = compare_doubts([(shares[first], shares[second]) for first, second in query.pairs])
    return [
        (set(pair), False, one is not None and one.is_unequal)
        for pair, one in zip(query.pairs, compared, strict=True)
    ]


# --- Errors that beats state ----------------------------------------------------------------------


def beats_of(rng: Rng, error_of: Callable[[str], float], higher: float = 0.0) -> list[Beats]:
    """Return the intervals of 12 people whose sensor states an error for each, ms."""
    parts = []
    for person in range(12):
        own = rng.lognormal(np.log(30), 0.35)
        for place, state in enumerate(map(str, TESTED_STATES)):
            rmssd = own * np.exp(rng.normal(0, 0.12) + higher * (state == "anger"))
            error = error_of(state)
            spread = np.hypot(rmssd / np.sqrt(2), error * np.sqrt(np.pi / 2))
            values = 0.85 + 0.03 * np.sin(np.arange(200) / 12) + rng.normal(0, spread / 1000, 200)
            at_ms = np.round(1000 * (np.cumsum(values) + 400 * place)).astype(np.int64)
            names = (f"P{person:02d}", state, at_ms, values, ("",) * 200, False, person, "armband")
            parts.append(Beats(*names, np.full(200, error / 1000)))
    return parts


def told_of_beats(parts: list[Beats]) -> list[tuple[set[str], bool, bool]]:
    """Return for each pair of states: which, whether RMSSD is reported to differ, the caution."""
    query = AnalysisQuery(heart_measure=(HeartMeasure.LN_RMSSD,))
    beats = recordings_of(parts)
    values = measured_values(beats, query.heart_measure, dict.fromkeys(range(12), 0))
    compared = compare_measures(values, query, {}, is_timed=False)
    decided = decide_measures(HeartTestModel, compared, query, None)
    tests = with_cautions(decided, {"errors": errors_beside(beats)})
    return [
        (
            {one.first, one.second},
            one.result.shows_difference,
            Caution.UNEQUAL_ERRORS in one.result.caution_codes,
        )
        for one in tests
    ]


def errors(studies: int) -> dict[str, float]:
    """Return the figures of errors that beats state."""

    def unequal(rng: Rng) -> list[tuple[set[str], bool, bool]]:
        return told_of_beats(beats_of(rng, lambda state: 12.0 if state == "anger" else 5.0))

    def alike(rng: Rng, higher: float = 0.0) -> list[tuple[set[str], bool, bool]]:
        return told_of_beats(beats_of(rng, lambda _: rng.lognormal(np.log(7), 0.3), higher))

    return {
        **_shares("errors", unequal, studies, "anger"),
        **_idle("errors", alike, studies),
        **_true("errors", partial(alike, higher=0.3), studies),
    }


def measure(studies: int) -> dict[str, float]:
    """Return the figures."""
    return {
        **few(studies),
        **errors(studies),
        **_shares("range", lambda rng: results_of(rng, ranged), studies, "anger"),
        **_shares("high", lambda rng: results_of(rng, high), studies, "anger"),
        **_shares(
            "curves", lambda rng: told_of_curves(curves(rng, unequal=True)), studies, "anger"
        ),
        **_shares(
            "windows", lambda rng: told_of_windows(curves(rng, unequal=True)), studies, "anger"
        ),
        **_shares("slow", lambda rng: results_of(rng, slow_and_low, 14), studies, "happiness"),
        **_idle("complete", lambda rng: results_of(rng, complete), studies),
        **_idle("single", lambda rng: results_of(rng, single), studies),
        **_idle("stretches", lambda rng: results_of(rng, stretches), studies),
        **_idle("doubted_stream", partial(doubts_of, people=PEOPLE, n=SECONDS), studies),
        **_idle("doubted_cuff", partial(doubts_of, people=8, n=2), studies),
        **_idle("slow", lambda rng: results_of(rng, slow, 8), studies),
        **_idle("curves", lambda rng: told_of_curves(curves(rng, unequal=False)), studies),
        **_idle("windows", lambda rng: told_of_windows(curves(rng, unequal=False)), studies),
    }


if __name__ == "__main__":
    benchmark(__doc__, measure, studies=(1000, "simulated studies of each kind"))
