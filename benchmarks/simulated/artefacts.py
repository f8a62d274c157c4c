"""How well the flag ``artefact`` tells wrong heart rates from what a heart does.

    python -m benchmarks artefacts   (python -m benchmarks.simulated.artefacts --json [--people N])

Simulated hearts are read as a strap reads them, whole numbers of the mean over the last three
seconds, at 1 s, 5 s and 10 s. Sound ones, of which nothing should be flagged:
    rest         the kinds of people of ``ectopic`` but those of slow_breath
    slow_breath  six breaths a minute, by which intervals change by 0.2 to 0.4 s: more than is usual
    startle      once a minute a rise by 28 % within 3 s, gone after 15 s
    burst        once a minute a rise by the factor 1.63 within 4 s, gone after 20 s
    exercise     a minute of rest, each second 1 /min more up to 150, and a recovery of two minutes
    irregular    atrial fibrillation: intervals by chance, deviation a fifth of their mean

Figures:
    artefacts_false_SERIES        share of sound readings that are flagged, at the worst pace
    artefacts_found_FACTOR_PACE   in rest, startle and exercise 2 % of the readings are doubled
                                  (twice) or halved (half): share of these that are flagged
    artefacts_false_beside        share of the others that are flagged there, in the worst case
    artefacts_us_per_reading      processor time of the rule there, in microseconds
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from benchmarks._command import benchmark
from benchmarks.simulated.ectopic import KINDS, rhythm
from dashboard.statistics.distributions import Values
from edge_agent.core.artefacts import artefacts

PACES_S = (1, 5, 10)
SHARE = 0.02
SECONDS = 360
MEAN_OVER_S = 3.0
SLOW_BREATH = ("slow", "slowest")


def rest(rng: np.random.Generator) -> list[Values]:
    """Return the beat intervals of one person of each kind, in s."""
    return [rhythm(rng, people) for kind, people in KINDS.items() if kind not in SLOW_BREATH]


def slow_breath(rng: np.random.Generator) -> list[Values]:
    """Return the same of those who breathe slowly and deep."""
    return [rhythm(rng, KINDS[kind]) for kind in SLOW_BREATH]


def by_rate(rng: np.random.Generator, rate: Callable[[float], float]) -> Values:
    """Return beat intervals of a rate in 1/min that depends on the second, with a breath."""
    now = 0.0
    phase = rng.uniform(0, 2 * np.pi)
    intervals = []
    while now < SECONDS:
        breath = 1 + 0.05 * np.sin(2 * np.pi * 0.25 * now + phase)
        intervals.append(60 / (rate(now) * breath * (1 + rng.normal(0, 0.01))))
        now += intervals[-1]
    return np.array(intervals)


def rising(rng: np.random.Generator, by: float, within_s: float, gone_s: float) -> list[Values]:
    """Return a heart that rises by a factor once a minute, and falls back."""
    level = rng.uniform(55, 85)

    def rate(now: float) -> float:
        second = now % 60
        part = min(second / within_s, max(0.0, 1 - (second - within_s) / (gone_s - within_s)))
        return float(level * by**part)

    return [by_rate(rng, rate)]


def startle(rng: np.random.Generator) -> list[Values]:
    """Return a heart that rises by a fourth, some 20 /min."""
    return rising(rng, 1.28, 3, 15)


def burst(rng: np.random.Generator) -> list[Values]:
    """Return a heart that does the utmost."""
    return rising(rng, 1.63, 4, 20)


def exercise(rng: np.random.Generator) -> list[Values]:
    """Return a heart at the onset of exercise, and in the recovery."""
    level = rng.uniform(55, 85)

    def rate(now: float) -> float:
        return float(min(max(level, level + now - 60), 150, max(level, 150 - 0.7 * (now - 240))))

    return [by_rate(rng, rate)]


def irregular(rng: np.random.Generator) -> list[Values]:
    """Return a heart in atrial fibrillation."""
    intervals = rng.normal(1.0, 0.2, 500) * rng.uniform(0.55, 0.85)
    return [np.clip(intervals, 0.3, 1.6)]


HEARTS = {
    "rest": rest,
    "slow_breath": slow_breath,
    "startle": startle,
    "burst": burst,
    "exercise": exercise,
    "irregular": irregular,
}
SPOILT = ("rest", "startle", "exercise")
FACTORS = {"twice": 2.0, "half": 0.5}


def read(intervals: Values, pace_s: int) -> tuple[Values, Values]:
    """Return times in ms and heart rates as a strap tells them."""
    beats = np.cumsum(intervals)
    times = np.arange(MEAN_OVER_S + 2, beats[-1], pace_s)
    newest = np.searchsorted(beats, times)
    oldest = np.minimum(np.searchsorted(beats, times - MEAN_OVER_S), newest - 2)
    rates = 60 * (newest - 1 - oldest) / (beats[newest - 1] - beats[oldest])
    return 1000 * times, np.round(rates)


def flagged(times: Values, rates: Values) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Tell of each reading whether it is flagged."""
    far = list(artefacts(zip(times.tolist(), rates.tolist(), strict=True)))
    return np.isin(times, far)


def share(flags: Sequence[np.ndarray[tuple[int], np.dtype[np.bool_]]]) -> float:
    """Return the share of readings with a flag."""
    return float(np.concatenate(flags).mean())


def measure(people: int) -> dict[str, float]:
    """Return all figures."""
    rng = np.random.default_rng(20_261_128)
    hearts = {
        name: [one for _ in range(people) for one in make(rng)] for name, make in HEARTS.items()
    }
    figures = {
        f"artefacts_false_{name}": max(
            share([flagged(*read(one, pace)) for one in made]) for pace in PACES_S
        )
        for name, made in hearts.items()
    }
    beside, spent, judged = [], 0.0, 0
    for factor, by in FACTORS.items():
        for pace in PACES_S:
            hits, false = [], []
            for intervals in (one for name in SPOILT for one in hearts[name]):
                times, rates = read(intervals, pace)
                wrong = rng.random(len(rates)) < SHARE
                rates[wrong] *= by
                start = time.process_time()
                flags = flagged(times, rates)
                spent += time.process_time() - start
                judged += len(rates)
                hits.append(flags[wrong])
                false.append(flags[~wrong])
            figures[f"artefacts_found_{factor}_{pace}s"] = share(hits)
            beside.append(share(false))
    figures["artefacts_false_beside"] = max(beside)
    figures["artefacts_us_per_reading"] = 1e6 * spent / judged
    return figures


if __name__ == "__main__":
    benchmark(__doc__, measure, people=(40, ""))
