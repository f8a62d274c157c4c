"""Curves around events, their figures, and a cluster-based permutation test over whole people.

A person's curve is the mean of the curves of their events; each event's curve is what was measured
around it, less the mean of the seconds before it. Times are milliseconds, or seconds from the event
where a name ends in ``_s``; a missing value is NaN.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from dashboard.statistics import ALPHA
from edge_agent.core.errors import StatisticsError
from edge_agent.core.texts import N_

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

LEAST_PEOPLE = 6
"""Sign flips of five people give p = 2/32 at the least, which is above .05."""
MOST_EXACT = 8192
"""With so many flips, those of 14 people, all of them are computed; a flip and its opposite are
one.
"""
RANDOM_FLIPS = 5000
STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300)
"""Lengths of the bins of a grid."""
_BLOCK = 500
_SAME = 1 - 1e-9
"""Masses, and values of a curve, that differ by rounding alone are equal."""
_CONSTANT = 1e-12
"""Share of the baseline, or of the squares, below which a difference is rounding."""


@dataclass(frozen=True, slots=True)
class EventWindow:
    """The time around an event, in bins of equal length.

    Attributes:
        before_s: seconds before the event, whose mean is the baseline; above 0.
        after_s: seconds after it; above 0.
        step_s: length of a bin.
    """

    before_s: float
    after_s: float
    step_s: float = 1.0

    @property
    def bins_before(self) -> int:
        """Number of whole bins before the event."""
        return math.floor(self.before_s / self.step_s)

    @property
    def bins_after(self) -> int:
        """Number of whole bins after it."""
        return math.floor(self.after_s / self.step_s)

    @property
    def times_s(self) -> Reals:
        """The middle of each bin, in seconds from the event."""
        places = np.arange(-self.bins_before, self.bins_after, dtype=np.float64)
        return (places + 0.5) * self.step_s


@dataclass(frozen=True, slots=True)
class CurveFigures:
    """The figures of one curve; ``None`` where it has too many gaps for one.

    Attributes:
        baseline: mean before the events, in the unit of the values.
        peak: the value after the event that is farthest from the baseline, less the baseline.
        latency_s: seconds from the event to it.
        area: sum of the values after the event times the length of their bins: unit · seconds.
        half_s: seconds from the peak until half of it is left; ``None`` where that is not reached.
    """

    baseline: float
    peak: float | None = None
    latency_s: float | None = None
    area: float | None = None
    half_s: float | None = None


@dataclass(frozen=True, slots=True)
class Band:
    """The mean of the curves of several people, with its 95 % interval, bin by bin.

    Attributes:
        mean: of those who have a value; NaN where nobody has one.
        low: lower end of the interval; NaN below two people.
        high: upper end.
        n: how many people have a value.
    """

    mean: Reals
    low: Reals
    high: Reals
    n: Integers


@dataclass(frozen=True, slots=True)
class Cluster:
    """Neighbouring bins in which |t| exceeds its critical value on one side.

    Where a cluster begins and ends is chance and no finding: a text must not tell it.

    Attributes:
        first: place of the first bin.
        last: place behind the last one.
        mass: sum of t times the length of a bin, seconds.
        p: share of the sign flips with a cluster as large, in any curve of the family.
    """

    first: int
    last: int
    mass: float
    p: float


@dataclass(frozen=True, slots=True)
class CurveTest:
    """The test of one curve against 0.

    Attributes:
        n: people.
        clusters: all of them, in order of time.
        p: that of the largest; 1 without any.
        flips: number of sign flips that were computed, with the opposite ones.
        is_exact: whether they are all there are.
    """

    n: int
    clusters: tuple[Cluster, ...]
    p: float
    flips: int
    is_exact: bool


def step_for(spacings_s: Sequence[float] | Reals) -> float:
    """Return the length of the bins that readings carry, from the times between them in seconds.

    It is the least of ``STEPS_S`` that is at least 0.8 of the median: a bin now and then has no
    reading of its own, and two in a row hardly ever have none.
    """
    least = 0.8 * float(np.median(spacings_s)) if len(spacings_s) else 0.0
    return float(next((step for step in STEPS_S if step >= least), STEPS_S[-1]))


def are_apart(events_ms: Sequence[int], window: EventWindow) -> list[bool]:
    """Tell of each event of a session whether its window meets that of no other.

    Of two that meet both are contaminated: the later one's baseline by the response to the earlier
    one, whose end by the response to the later one.
    """
    reach = 1000 * (window.before_s + window.after_s)
    at = np.array(events_ms, dtype=np.float64)
    return [int(np.sum(np.abs(at - one) < reach)) == 1 for one in at]


def curve_around(at_ms: Integers, values: Reals, event_ms: int, window: EventWindow) -> Reals:
    """Return the mean of the readings in each bin around an event.

    An empty bin between two that are not takes the mean of both; longer gaps stay NaN.

    Args:
        at_ms: when each was measured, rising.
        values: finite.
        event_ms: when it happened.
        window: the bins. A reading on the border of two belongs to the later one.
    """
    # One bin more on each side, so that the outermost can be filled too.
    bins = window.bins_before + window.bins_after + 2
    step = 1000 * window.step_s
    start = event_ms - (window.bins_before + 1) * step
    first, last = np.searchsorted(at_ms, [start, start + bins * step])
    places = np.floor((at_ms[first:last] - start) / step).astype(np.int64)
    count = np.bincount(places, minlength=bins)
    total = np.bincount(places, values[first:last], bins)
    curve = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    between = (curve[:-2] + curve[2:]) / 2
    return np.where(np.isnan(curve[1:-1]), between, curve[1:-1])


def lost_around(
    at_ms: Integers, doubtful_ms: Sequence[int], event_ms: int, window: EventWindow
) -> Reals:
    """Return which share of each bin around an event is lost: all of it without a reading, else
    that of the readings in doubt.

    Args:
        at_ms: when each reading that counts was measured, rising.
        doubtful_ms: when those were that do not.
        event_ms: when it happened.
        window: the bins.
    """
    sound, doubtful = (
        counts_around(one, event_ms, window) for one in (at_ms, np.asarray(doubtful_ms, np.int64))
    )
    every = sound + doubtful
    return np.where(every > 0, doubtful / np.maximum(every, 1), 1.0)


def counts_around(at_ms: Integers, event_ms: int, window: EventWindow) -> Reals:
    """Return how many of some times, which rise, lie in each bin around an event."""
    bins = window.bins_before + window.bins_after
    edges = event_ms + 1000 * window.step_s * (np.arange(bins + 1) - window.bins_before)
    counts: Reals = np.diff(np.searchsorted(at_ms, edges)).astype(np.float64)
    return counts


def less_baseline(curve: Reals, window: EventWindow) -> tuple[Reals, float] | None:
    """Return an event's curve less its baseline, and the baseline; ``None`` where less than half of
    the bins before the event, or none after it, has a value.
    """
    before, after = curve[: window.bins_before], curve[window.bins_before :]
    known = ~np.isnan(before)
    if 2 * np.count_nonzero(known) < len(before) or not known.any() or np.isnan(after).all():
        return None
    baseline = float(before[known].mean())
    return curve - baseline, baseline


def mean_curve(curves: Sequence[Reals]) -> Reals:
    """Return the mean of curves, bin by bin, of those that have a value; NaN where none has one."""
    table = np.array(curves)
    n = np.count_nonzero(~np.isnan(table), axis=0)
    return np.where(n > 0, np.nansum(table, axis=0) / np.maximum(n, 1), np.nan)


def figures_of(curve: Reals, baseline: float, window: EventWindow) -> CurveFigures:
    """Return the figures of a curve that is less its baseline.

    Values that differ by rounding alone are equal: the first of several peaks counts, and what is
    left of a constant is 0.

    The peak is the largest of the noise as well: of two curves without a response the noisier one
    has the larger peak. Compare peaks between conditions that were measured alike.
    """
    after = curve[window.bins_before :]
    if np.isnan(after).all():
        return CurveFigures(baseline)
    after = np.where(np.abs(after) <= _CONSTANT * abs(baseline), 0.0, after)
    sizes = np.abs(after)
    place = int(np.argmax(sizes >= np.nanmax(sizes) * _SAME))
    peak = float(after[place])
    latency = float(window.times_s[window.bins_before + place])
    area = None if np.isnan(after).any() else float(after.sum() * window.step_s)
    return CurveFigures(baseline, peak, latency, area, _half_s(after[place:], window.step_s))


def _half_s(from_peak: Reals, step_s: float) -> float | None:
    """Return after how long half of the first value is left, on straight lines between bins."""
    half = float(from_peak[0]) / 2
    if half == 0:
        return None
    rest = from_peak / half - 1  # 1 at the peak, 0 where half of it is left
    for place, (here, then) in enumerate(itertools.pairwise(rest.tolist())):
        if math.isnan(then):  # whether it came back in a gap, nobody knows
            return None
        if then <= 1 - _SAME:
            return float((place + here / (here - then)) * step_s)
    return None


def band_of(curves: Sequence[Reals]) -> Band:
    """Return the mean of people's curves with its 95 % interval by Student's t, bin by bin.

    Each interval is about its own bin: 5 % of them miss the true mean, and neighbours do so
    together. It is a description and no test. Formula: mean ± t(.975, n − 1) · sd / √n.
    """
    table = np.array(curves)
    known = ~np.isnan(table)
    n = np.count_nonzero(known, axis=0)
    mean = mean_curve(curves)
    squares = np.where(known, (table - mean) ** 2, 0.0).sum(axis=0)
    df = np.maximum(n - 1, 1)
    half = special.stdtrit(df, 1 - ALPHA / 2) * np.sqrt(squares / df / np.maximum(n, 1))
    half = np.where(n >= 2, half, np.nan)
    return Band(mean, mean - half, mean + half, n.astype(np.int64))


def cluster_test(
    curves: Sequence[Reals], steps_s: Sequence[float], seed: int
) -> tuple[CurveTest | None, ...]:
    """Test whether curves differ from 0, all of them as one family.

    In each bin t of one sample; neighbouring bins with |t| above t(.975, n − 1) of one sign are a
    cluster, and the sum of t in it, times the length of a bin, its mass. The signs of whole people
    are flipped, the same in all curves; the largest mass in any curve of each flip is what masses
    are compared with. So the chance of any false finding in the family is bounded, however values
    of one person depend on each other over time and between curves. Assumes that without an effect
    a person's difference is as likely as its opposite: a drift that all people share breaks this.
    A small p says that curves differ and not when: clusters are no confidence statement about
    times (Sassenhagen & Draschkow 2019). Source: Maris & Oostenveld 2007. Equal to MNE's
    ``permutation_cluster_1samp_test(x, tail=0, n_permutations="all")`` for one curve.

    Args:
        curves: one array for each curve, people × bins; the same people in the same rows. A row of
            NaN is somebody without a curve; no other row may have one.
        steps_s: length of the bins of each curve.
        seed: of the random flips, where there are more than ``MOST_EXACT``.

    Returns:
        For each curve its test; ``None`` below ``LEAST_PEOPLE`` people.

    Raises:
        StatisticsError: somebody's curve has a gap.
    """
    there = [np.array([not np.isnan(row).any() for row in curve]) for curve in curves]
    for curve, known in zip(curves, there, strict=True):
        if not np.isnan(curve[~known]).all():
            raise StatisticsError(N_("a curve with a gap cannot be tested"))
    used = [place for place, known in enumerate(there) if known.sum() >= LEAST_PEOPLE]
    if not used:
        return (None,) * len(curves)
    someone = np.zeros(len(curves[0]), dtype=np.bool_)
    for place in used:
        someone |= there[place]
    signs, is_exact = sign_flips(int(someone.sum()), seed)
    largest = np.zeros(len(signs))
    for place in used:
        own = curves[place][there[place]]
        flips = np.compress(there[place][someone], signs, axis=1)
        np.maximum(largest, _largest_masses(own, flips, steps_s[place]), out=largest)
    tests: list[CurveTest | None] = [None] * len(curves)
    for place in used:
        own = curves[place][there[place]]
        clusters = tuple(
            Cluster(first, last, mass, float(np.mean(largest >= abs(mass) * _SAME)))
            for first, last, mass in _clusters(own, steps_s[place])
        )
        p = min((one.p for one in clusters), default=1.0)
        tests[place] = CurveTest(len(own), clusters, p, 2 * len(signs), is_exact)
    return tuple(tests)


def sign_flips(people: int, seed: int) -> tuple[Reals, bool]:
    """Return the signs of each flip, people in columns, the first without any; of a flip and its
    opposite one. Also whether they are all.
    """
    if 2 ** (people - 1) <= MOST_EXACT:
        numbers = np.arange(2 ** (people - 1))
        bits = (numbers[:, None] >> np.arange(people)) & 1
        return np.where(bits, -1.0, 1.0), True
    drawn = np.random.default_rng(seed).integers(0, 2, (RANDOM_FLIPS, people))
    drawn[0] = 0  # what was observed is one of the flips, so that no p is 0
    return np.where(drawn, -1.0, 1.0), False


def t_values(means: Reals, squares: Reals, n: int) -> Reals:
    """Return t of each bin from means and sums of squares; a change of signs keeps the latter."""
    variance = (squares - n * means**2) / (n - 1)
    # Differences that are the same for everybody up to rounding have no t: 0 finds nothing.
    is_spread = variance > _CONSTANT * squares / n
    return np.where(is_spread, means / np.sqrt(np.where(is_spread, variance, 1.0) / n), 0.0)


def _critical(n: int) -> float:
    return float(special.stdtrit(n - 1, 1 - ALPHA / 2))


def _largest_masses(own: Reals, flips: Reals, step_s: float) -> Reals:
    """Return the largest mass, without its sign, of any cluster under each flip."""
    n = len(own)
    squares = (own**2).sum(axis=0)
    critical = _critical(n)
    largest = np.zeros(len(flips))
    for start in range(0, len(flips), _BLOCK):
        t = t_values(flips[start : start + _BLOCK] @ own / n, squares, n)
        block = largest[start : start + _BLOCK]
        for sign in (1.0, -1.0):
            mass = np.zeros(len(t))
            for column in (sign * t).T:
                mass = np.where(column > critical, mass + column, 0.0)
                np.maximum(block, mass * step_s, out=block)
    return largest


def _clusters(own: Reals, step_s: float) -> Iterable[tuple[int, int, float]]:
    """Yield first bin, bin behind the last one, and mass of each cluster."""
    n = len(own)
    t = t_values(own.mean(axis=0), (own**2).sum(axis=0), n)
    signs = np.where(np.abs(t) > _critical(n), np.sign(t), 0.0)
    edges = [0, *(np.flatnonzero(np.diff(signs)) + 1).tolist(), len(t)]
    for first, last in itertools.pairwise(edges):
        if signs[first] != 0:
            yield first, last, float(t[first:last].sum()) * step_s
