"""False findings of the test of curves around events, where nothing follows an event.

    python -m benchmarks responses  (python -m benchmarks.simulated.responses --json [--studies N])

Each simulated study has sessions of about a quarter of an hour with values once a second: three
measures, each AR(.95) with a standard deviation of 3, which falls by 8 over the session (time
constant 3 minutes) in everybody. Events of two conditions are compared with neutral ones, so that
six curves are one family. Figures are shares of the studies in which any of the six is told to
differ:

    responses_false_mixed       20 people, 5 events of each condition in any order, 15 to 90 s
                                apart, so that many overlap and are left out
    responses_false_blocks      18 people, one event of each condition, orders balanced
    responses_false_uneven      the same with 12 in one order and 8 in its opposite: more uneven
                                ones are hardly let through
    responses_false_six_people  6 people, all flips, orders balanced
    responses_false_one_order   20 people, one order: nothing is tested
    responses_tested_uneven, responses_tested_one_order
                                the shares of curves that are tested at all there
    responses_overlapping       of responses_false_mixed, the share of events that are left out

The same studies with windows that were declared before, 5 to 20 s after the event, of all three
measures and both conditions: any of the six is told to differ

    windows_false_mixed, windows_false_blocks, windows_false_uneven, windows_false_six_people
    windows_false_alone         18 people, anger against the baseline alone, three windows, without
                                the fall
    windows_drift_alone         the same with the fall, which is reported as a drift's
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import permutations

import numpy as np
import numpy.typing as npt
from scipy import signal

from benchmarks._command import benchmark
from dashboard.analysis.query import Sample
from dashboard.analysis.readings.series import CountedSeries
from dashboard.analysis.windows import ResponseWindow
from dashboard.questions.responses.answer import ResponsesQuery
from dashboard.questions.responses.computing import CurveMaterial, compare_windows, respond
from edge_agent.core.study import Purpose, Session
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.read.events import Event, EventKind

KINDS = (VitalKind.HEART_RATE, VitalKind.RESPIRATION_RATE, VitalKind.SKIN_TEMPERATURE)
LABELS = ("anger", "happiness", "neutral")
QUERY = ResponsesQuery(vital=KINDS)
WINDOWS = tuple(
    ResponseWindow(vital=kind, event=label, against="neutral", start=5, end=20)
    for kind in KINDS
    for label in ("anger", "happiness")
)
ALONE = tuple(ResponseWindow(vital=kind, event="anger", start=5, end=20) for kind in KINDS)
ORDERS = tuple(permutations(LABELS))
SESSION_S = 1000
PHI = 0.95
SD = 3.0
FALL = 8.0
FALL_S = 180.0
Reals = npt.NDArray[np.float64]
Plan = Callable[[np.random.Generator, int], list[tuple[float, str]]]


def mixed(rng: np.random.Generator, _person: int) -> list[tuple[float, str]]:
    """Return five events of each condition in any order, 15 to 90 s apart."""
    labels = rng.permutation(np.repeat(LABELS, 5)).tolist()
    times = 30 + np.cumsum(rng.uniform(15, 90, len(labels)))
    return list(zip(times.tolist(), labels, strict=True))


def blocks(_rng: np.random.Generator, person: int) -> list[tuple[float, str]]:
    """Return one event of each condition; all orders equally often."""
    return _in_order(ORDERS[person % len(ORDERS)])


def uneven(_rng: np.random.Generator, person: int) -> list[tuple[float, str]]:
    """Return one event of each: neutral first in 12 of 20 people, and last in the others."""
    order = ("neutral", "anger", "happiness")
    return _in_order(order if person % 5 < 3 else order[::-1])


def one_order(_rng: np.random.Generator, _person: int) -> list[tuple[float, str]]:
    """Return one event of each, in the same order for everybody."""
    return _in_order(("neutral", "anger", "happiness"))


def _in_order(labels: Sequence[str]) -> list[tuple[float, str]]:
    return [(60.0 + 240 * place, label) for place, label in enumerate(labels)]


def study(rng: np.random.Generator, people: int, plan: Plan, height: float = FALL) -> CurveMaterial:
    """Simulate a study in which nothing follows the events, and every measure falls by a height."""
    at_s = np.arange(SESSION_S) + 0.5
    fall = height * np.exp(-at_s / FALL_S)
    sessions, series, events = {}, [], []
    for person in range(people):
        number = person + 1
        one = Session(number, f"P{number:02d}", Purpose.RESEARCH, "", 0, 1000 * SESSION_S)
        sessions[number] = one
        planned = plan(rng, person)
        events += [Event(number, round(1000 * at), label) for at, label in planned]
        for kind in KINDS:
            noise = rng.normal(0, SD * np.sqrt(1 - PHI**2), SESSION_S + 200)
            values = 70 + fall + signal.lfilter([1], [1, -PHI], noise)[200:]
            at_ms = (1000 * at_s).astype(np.int64)
            series.append(CountedSeries(one, kind, "strap", at_ms, values, simulated=False))
    return CurveMaterial(sessions, series, events)


def _shares(seed: int, studies: int, people: int, plan: Plan) -> tuple[float, float, float]:
    """Return in how many studies a curve is told to differ, and which share of the curves is tested
    and of the events left out.
    """
    rng = np.random.default_rng(seed)
    claims, tested, left_out = [], [], []
    for _ in range(studies):
        answer = respond(study(rng, people, plan), QUERY, Sample.MEASURED)
        claims.append(any(one.shown for one in answer.tests))
        tested += [one.p is not None for one in answer.tests]
        overlapping = sum(one.overlapping for one in answer.curves)
        left_out.append(overlapping / max(1, overlapping + sum(c.events for c in answer.curves)))
    return float(np.mean(claims)), float(np.mean(tested)), float(np.mean(left_out))


def _in_windows(
    seed: int,
    studies: int,
    people: int,
    plan: Plan,
    windows: Sequence[ResponseWindow] = WINDOWS,
    height: float = FALL,
) -> float:
    """Return in how many studies a declared window is told to differ."""
    rng = np.random.default_rng(seed)
    claims = []
    for _ in range(studies):
        made = {EventKind.STIMULUS_START: study(rng, people, plan, height)}
        claims.append(any(one.shown for one in compare_windows(made, windows)))
    return float(np.mean(claims))


def measure(studies: int) -> dict[str, float]:
    """Return the figures."""
    in_mixed, _, left_out = _shares(1, studies, 20, mixed)
    in_blocks, _, _ = _shares(2, studies, 18, blocks)
    in_uneven, tested_uneven, _ = _shares(3, studies, 20, uneven)
    in_six, _, _ = _shares(4, studies, 6, blocks)
    in_one, tested_one, _ = _shares(5, max(1, studies // 10), 20, one_order)
    return {
        "responses_false_mixed": in_mixed,
        "responses_false_blocks": in_blocks,
        "responses_false_uneven": in_uneven,
        "responses_false_six_people": in_six,
        "responses_false_one_order": in_one,
        "responses_tested_uneven": tested_uneven,
        "responses_tested_one_order": tested_one,
        "responses_overlapping": left_out,
        "windows_false_mixed": _in_windows(6, studies, 20, mixed),
        "windows_false_blocks": _in_windows(7, studies, 18, blocks),
        "windows_false_uneven": _in_windows(8, studies, 20, uneven),
        "windows_false_six_people": _in_windows(9, studies, 6, blocks),
        "windows_false_alone": _in_windows(10, studies, 18, blocks, ALONE, 0.0),
        "windows_drift_alone": _in_windows(11, studies, 18, blocks, ALONE),
    }


if __name__ == "__main__":
    benchmark(__doc__, measure, studies=(1000, "simulated studies of each kind"))
