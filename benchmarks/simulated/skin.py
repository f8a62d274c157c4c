"""How often responses of skin conductance are said to differ where nothing differs.

    python -m benchmarks skin      (python -m benchmarks.simulated.skin --json [--studies N])

Each simulated study has 24 people, who meet neutral, happiness and anger for two minutes each in an
order of their own, with 5 s of silence between. Responses come by chance, five a minute on average
(people from one to ten), as high as 0.05 to 1 µS (median 0.15), on a level that wanders. The
recordings go the way from samples to tests, of ``scr_count`` in three pairs, adjusted by Holm.
Figures are shares of the studies in which a difference is reported:

    skin_false                nothing else: the rates are the same in each state
    skin_false_start          one start of 5 µS in anger, which is one response more there
    skin_false_start_instead  the start is instead of one of the responses of anger
    skin_false_other          a design that nothing was tuned to: 16 people, 32 samples a second
                              with noise, three minutes, responses of other shapes, and a start of
                              1 to 8 µS in anger; samples are lost for 2 to 10 s at any time, and
                              the level climbs or falls
    skin_found                2 a minute more in anger: the difference between anger and neutral
    skin_found_start          the same with the start of 5 µS

    skin_rates_apart          by how much the counts of one recording at 4, 8, 32 and 100 samples a
                              second, and of its means of quarters of a second, differ at most from
                              the one between them, in ten recordings
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import signal

from benchmarks._command import benchmark
from dashboard.analysis.decision import decide_measures
from dashboard.analysis.inference.measures import compare_measures, measured_values
from dashboard.analysis.inference.skin import skin_times
from dashboard.analysis.query import DEFAULT_SCR_THRESHOLD, TESTED_STATES, AnalysisQuery
from dashboard.analysis.results import SkinTestModel
from dashboard.statistics.skin import find_responses
from edge_agent.core.expression import Emotion
from edge_agent.core.study import Purpose, Session
from edge_agent.timeline.read.observed import SkinConductance, StateSpan

Reals = npt.NDArray[np.float64]
QUERY = AnalysisQuery()
LEAD_S = 30.0
RATE = 5.0
RATES_HZ = (4, 8, 32, 100)


@dataclass(frozen=True, slots=True)
class SkinDesign:
    """A design.

    Attributes:
        people: how many.
        state_s: seconds of each state.
        hz: samples a second.
        noise: standard deviation of a sample, µS.
        start_us: least and greatest height of a start in anger; none where it is 0.
        instead: whether the start is one of the responses made larger.
        more: responses a minute that anger has more.
        other: whether shapes, losses and level are those of the design that nothing was tuned to.
    """

    people: int = 24
    state_s: float = 120.0
    hz: int = 4
    noise: float = 0.005
    start_us: tuple[float, float] = (0.0, 0.0)
    instead: bool = False
    more: float = 0.0
    other: bool = False


PLAIN = SkinDesign()
START = replace(PLAIN, start_us=(5.0, 5.0))
INSTEAD = replace(START, instead=True)
OTHER = SkinDesign(16, 180.0, 32, 0.01, (1.0, 8.0), other=True)
FOUND = replace(PLAIN, more=2.0)


def shape(hz: float, rise_s: float, fall_s: float) -> Reals:
    """Return a response of 1 µS: the difference of two exponentials."""
    since = np.arange(round(15 * fall_s * hz)) / hz
    curve = np.exp(-since / fall_s) - np.exp(-since / rise_s)
    return np.asarray(curve / curve.max(), np.float64)


def _conductance(
    rng: np.random.Generator,
    design: SkinDesign,
    at: Reals,
    begun: list[float],
    heights: list[float],
) -> Reals:
    """Return the samples at the given times, with responses at other times."""
    times = (0.75, 2.0)
    if design.other:
        times = (rng.uniform(0.3, 1.2), rng.uniform(1.5, 5.0))
    impulses = np.zeros(len(at))
    np.add.at(impulses, (np.array(begun) * design.hz).astype(np.int64), heights)
    values = signal.fftconvolve(impulses, shape(design.hz, *times))[: len(at)]
    values += 5 + np.cumsum(rng.normal(0, 0.01 / math.sqrt(design.hz), len(at)))
    if design.other:
        values += rng.uniform(-0.004, 0.004) * at
    return np.asarray(values + rng.normal(0, design.noise, len(at)), np.float64)


def _recording(rng: np.random.Generator, design: SkinDesign, code: str) -> SkinConductance:
    """Simulate the session of one person."""
    step = design.state_s + 5.0
    length = LEAD_S + len(TESTED_STATES) * step + 20
    base = rng.gamma(4, RATE / 4)
    begun, heights = [], []
    times: list[tuple[float, float, str]] = []
    for place, which in enumerate(rng.permutation(len(TESTED_STATES))):
        state = TESTED_STATES[which]
        first = LEAD_S + place * step
        times.append((first, first + design.state_s, state))
        is_anger = state == Emotion.ANGER
        rate = max(0.2, base + rng.normal(0, 1) + design.more * is_anger)
        own = 0.15 * np.exp(rng.normal(0, 0.8, rng.poisson(rate * design.state_s / 60)))
        start = rng.uniform(*design.start_us)
        if is_anger and start and not design.instead:
            own = np.append(own, start)
        elif is_anger and start and len(own):
            own[0] = start
        heights += own.tolist()
        begun += (first + rng.uniform(0, design.state_s, len(own))).tolist()
    at = np.arange(round(length * design.hz)) / design.hz
    values = _conductance(rng, design, at, begun, heights)
    is_there = np.ones(len(at), dtype=np.bool_)
    for lost, back in _silences(rng, design, [last for _, last, _ in times]):
        is_there &= (at < lost) | (at >= back)
    session = Session(1, code, Purpose.RESEARCH, "films", 0, round(1000 * length))
    spans = tuple(
        StateSpan(session, name, round(1000 * a), round(1000 * b)) for a, b, name in times
    )
    at_ms = np.round(1000 * at[is_there]).astype(np.int64)
    flags = ("",) * len(at_ms)
    return SkinConductance(
        code, 1, "bridge", spans, at_ms, values[is_there], flags, simulated=False
    )


def _silences(
    rng: np.random.Generator, design: SkinDesign, ends: list[float]
) -> Iterator[tuple[float, float]]:
    """Yield when nothing is recorded: between the states, or at any time."""
    if not design.other:
        yield LEAD_S - 5, LEAD_S
        yield from ((end, end + 5) for end in ends)
        return
    for lost in rng.uniform(0, ends[-1], rng.integers(1, 6)):
        yield lost, lost + rng.uniform(2, 10)


def study(rng: np.random.Generator, design: SkinDesign) -> dict[tuple[str, str], bool]:
    """Simulate one study and return whether a difference is reported of each pair of states."""
    recorded = [_recording(rng, design, f"P-{number}") for number in range(design.people)]
    values = measured_values(skin_times(recorded, QUERY), QUERY.skin_measure, {1: 0})
    tests = decide_measures(SkinTestModel, compare_measures(values, QUERY, {}), QUERY, None)
    return {(one.first, one.second): one.result.shows_difference for one in tests}


def _told(design: SkinDesign, studies: int) -> float:
    """Return the share of studies in which any difference is reported."""
    rng = np.random.default_rng(20_261_129)
    differs = [any(study(rng, design).values()) for _ in range(studies)]
    return float(np.mean(differs))


def _found(design: SkinDesign, studies: int) -> float:
    """Return the share of studies in which anger differs from neutral."""
    rng = np.random.default_rng(20_261_130)
    pair = (Emotion.ANGER.value, Emotion.NEUTRAL.value)
    return float(np.mean([study(rng, design)[pair] for _ in range(studies)]))


def rates_apart() -> float:
    """Return by how much the counts of a recording at different rates differ at most."""
    apart = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        design = replace(PLAIN, hz=100, noise=0.002)
        begun = rng.uniform(0, 295, 30).tolist()
        heights = (0.2 * np.exp(rng.normal(0, 0.8, 30))).tolist()
        at = np.arange(30_000) / 100
        values = _conductance(rng, design, at, begun, heights)
        counts = [_count(values.reshape(-1, 25).mean(axis=1), 4)]
        counts += [_count(np.interp(np.arange(300 * hz) / hz, at, values), hz) for hz in RATES_HZ]
        apart.append((max(counts) - min(counts)) / 2)
    return max(apart)


def _count(values: Reals, hz: int) -> int:
    return len(find_responses(np.arange(len(values)) / hz, values, DEFAULT_SCR_THRESHOLD).at_s)


def measure(studies: int) -> dict[str, float]:
    """Return all figures over so many studies of each design."""
    return {
        "skin_false": _told(PLAIN, studies),
        "skin_false_start": _told(START, studies),
        "skin_false_start_instead": _told(INSTEAD, studies),
        "skin_false_other": _told(OTHER, studies),
        "skin_found": _found(FOUND, studies),
        "skin_found_start": _found(replace(START, more=2.0), studies),
        "skin_rates_apart": rates_apart(),
    }


if __name__ == "__main__":
    benchmark(__doc__, measure, studies=(1000, "simulated studies of each design"))
