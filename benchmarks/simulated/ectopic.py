"""How far RMSSD can be trusted where beats are ectopic, missed or extra: people simulated, the
true value known.

    python -m benchmarks ectopic      (python -m benchmarks.simulated.ectopic --json [--people N])

Each simulated person is a recording of 400 intervals, rounded to 1/1024 s: a level, a breath of a
fixed depth, waves of blood pressure, drift and chance. The recordings are spoilt, and RMSSD is
computed as the dashboard does. Where NeuroKit2 can be imported, its ``signal_fixpeaks`` with the
method ``Kubios`` judges the very same recordings, and its figures are printed beside; they have no
bars.

Figures, each the worst of the kinds of people:
    rmssd_bias_…        |median over people of (RMSSD / true RMSSD − 1)|
    rmssd_spread_…      median over people of |RMSSD / true RMSSD − 1|: how far off one person is
    rmssd_refused       share of recordings up to 6 % for which there is no number
"""

from __future__ import annotations

import importlib
import importlib.util
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks._command import benchmark
from dashboard.statistics.distributions import Values
from dashboard.statistics.heart import ArtefactError, heart_variability

Spoiling = Callable[[np.random.Generator, Values, float], Values]

RATE = 1024
INTERVALS = 400


@dataclass(frozen=True, slots=True)
class PeopleKind:
    """A kind of people: bounds of how fast and deep they breathe, of their level and of chance, and
    the deviation of a step of drift.
    """

    breath_hz: tuple[float, float]
    depth_s: tuple[float, float]
    level_s: tuple[float, float] = (0.7, 1.05)
    chance_s: tuple[float, float] = (0.003, 0.015)
    drift_s: float = 0.004


KINDS = {
    "rest": PeopleKind((0.2, 0.3), (0.01, 0.06)),
    "deep": PeopleKind((0.18, 0.28), (0.08, 0.13), (1.0, 1.25)),
    "slow": PeopleKind((0.1, 0.1), (0.1, 0.2)),
    "slowest": PeopleKind((0.1, 0.1), (0.2, 0.2)),
    "steady": PeopleKind((0.2, 0.3), (0.0, 0.005)),
    "shallow": PeopleKind((0.2, 0.35), (0.004, 0.015), chance_s=(0.01, 0.035)),
    "fast heart": PeopleKind((0.25, 0.45), (0.003, 0.02), (0.45, 0.55), (0.004, 0.015)),
    "slow heart": PeopleKind((0.15, 0.25), (0.02, 0.12), (1.1, 1.4), (0.01, 0.04)),
    "drifting": PeopleKind((0.2, 0.3), (0.01, 0.05), chance_s=(0.01, 0.03), drift_s=0.012),
}


def rhythm(rng: np.random.Generator, people: PeopleKind) -> Values:
    """Return the true intervals of one person, in s."""
    level = rng.uniform(*people.level_s)
    depth = rng.uniform(*people.depth_s)
    breath_hz = rng.uniform(*people.breath_hz)
    waves = rng.uniform(0.005, 0.04)
    noise = rng.uniform(*people.chance_s)
    phases = rng.uniform(0, 2 * math.pi, 2)
    now = 0.0
    drift = 0.0
    intervals = []
    for _ in range(INTERVALS):
        drift = 0.98 * drift + rng.normal(0, people.drift_s)
        breath = depth * math.sin(2 * math.pi * breath_hz * now + phases[0])
        slow = waves * math.sin(2 * math.pi * 0.095 * now + phases[1])
        intervals.append(level + breath + slow + drift + rng.normal(0, noise))
        now += intervals[-1]
    return np.round(np.array(intervals) * RATE) / RATE


def none(_rng: np.random.Generator, intervals: Values, _share: float) -> Values:
    """Leave the recording as it is."""
    return intervals


def with_ectopic(rng: np.random.Generator, intervals: Values, share: float) -> Values:
    """Let beats come 20 to 40 % early, half of them with a full pause after them, half with less
    than half of one; two beats or more between them.
    """
    spoilt = intervals.copy()
    places = rng.choice(np.arange(3, len(spoilt) - 4, 3), round(share * len(spoilt)), replace=False)
    for place in places:
        early = rng.uniform(0.2, 0.4) * spoilt[place]
        pause = 1.0 if rng.random() < 0.5 else rng.uniform(0, 0.5)
        spoilt[place] -= early
        spoilt[place + 1] += early * pause
    return spoilt


def with_missed(rng: np.random.Generator, intervals: Values, share: float) -> Values:
    """Lose beats."""
    at = np.concatenate([[0.0], np.cumsum(intervals)])
    gone = rng.choice(np.arange(3, len(at) - 3, 3), round(share * len(intervals)), replace=False)
    return np.diff(np.delete(at, gone))


def with_extra(rng: np.random.Generator, intervals: Values, share: float) -> Values:
    """Find beats that were none, 30 to 70 % into an interval."""
    at = np.concatenate([[0.0], np.cumsum(intervals)])
    count = round(share * len(intervals))
    places = rng.choice(np.arange(3, len(intervals) - 3, 3), count, replace=False)
    more = at[places] + intervals[places] * rng.uniform(0.3, 0.7, count)
    return np.diff(np.sort(np.concatenate([at, more])))


SPOILT: dict[str, tuple[Spoiling, float]] = {
    "nothing": (none, 0.0),
    "ectopic_2": (with_ectopic, 0.02),
    "ectopic_6": (with_ectopic, 0.06),
    "ectopic_15": (with_ectopic, 0.15),
    "missed_2": (with_missed, 0.02),
    "missed_6": (with_missed, 0.06),
    "extra_2": (with_extra, 0.02),
    "extra_6": (with_extra, 0.06),
}


def rmssd(intervals: Values) -> float:
    """Return the root mean square of successive differences in ms."""
    return 1000 * math.sqrt(float(np.mean(np.diff(intervals) ** 2)))


def ours(intervals: Values) -> float:
    """Return RMSSD as the dashboard computes it; NaN where it gives no number."""
    try:
        return heart_variability([intervals]).rmssd_ms
    except ArtefactError:
        return math.nan


def neurokits() -> Callable[[Values], float] | None:
    """Return the same by NeuroKit2, or ``None`` where it is not installed."""
    if importlib.util.find_spec("neurokit2") is None:
        return None
    fix = importlib.import_module("neurokit2").signal_fixpeaks

    def judged(intervals: Values) -> float:
        at = np.round(RATE * np.concatenate([[1.0], 1.0 + np.cumsum(intervals)])).astype(np.int64)
        _, mended = fix(at, sampling_rate=RATE, iterative=True, method="Kubios")
        return rmssd(np.diff(np.asarray(mended)) / RATE)

    return judged


def errors(
    rmssd_of: Callable[[Values], float], kind: str, spoiling: str, people: int, seed: int = 7
) -> Values:
    """Return of each person RMSSD / true RMSSD − 1; NaN where there is no number."""
    rng = np.random.default_rng(seed)
    spoil, share = SPOILT[spoiling]
    off = []
    for _ in range(people):
        truth = rhythm(rng, KINDS[kind])
        off.append(rmssd_of(spoil(rng, truth, share)) / rmssd(truth) - 1)
    return np.array(off)


def evaluate(
    people: int, seed: int, rmssd_of: Callable[[Values], float], name: str
) -> dict[str, float]:
    """Judge all kinds of people under all kinds of artefacts, and print each."""
    biases: dict[str, float] = {}
    spreads: dict[str, float] = {}
    refused = []
    for spoiling in SPOILT:
        for kind in KINDS:
            off = errors(rmssd_of, kind, spoiling, people, seed)
            bias = float(np.nanmedian(off))
            spread = float(np.nanmedian(np.abs(off)))
            without = float(np.mean(np.isnan(off)))
            biases[spoiling] = max(biases.get(spoiling, 0.0), abs(bias))
            spreads[spoiling] = max(spreads.get(spoiling, 0.0), spread)
            if SPOILT[spoiling][1] <= 0.06:
                refused.append(without)
            print(
                f"{name:9} {spoiling:10} {kind:8} bias {bias:+7.1%}  typical error {spread:6.1%}  "
                f"worst {np.nanmax(np.abs(off)):6.1%}  refused {without:4.0%}",
                flush=True,
            )
    return (
        {f"rmssd_bias_{spoiling}": value for spoiling, value in biases.items()}
        | {f"rmssd_spread_{spoiling}": value for spoiling, value in spreads.items()}
        | {"rmssd_refused": max(refused)}
    )


def measure(people: int, seed: int) -> dict[str, float]:
    """Return our figures, and those of NeuroKit2 where it is installed."""
    figures = evaluate(people, seed, ours, "ours")
    other = neurokits()
    if other is not None:
        compared = evaluate(people, seed, other, "NeuroKit2")
        figures |= {f"neurokit_{name}": value for name, value in compared.items()}
    return figures


if __name__ == "__main__":
    benchmark(__doc__, measure, people=(40, ""), seed=(7, ""))
