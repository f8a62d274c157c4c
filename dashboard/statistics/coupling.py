"""The association of two series within people, such as valence and heart rate. Pure.

A stretch is two series of equal length on one grid, with NaN for a gap: a person has one for each
session. The values of a person follow one another closely, so they are no independent
observations, and every p here is of one value a person.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from dashboard.statistics.responses import LEAST_PEOPLE, Reals, sign_flips, t_values
from dashboard.statistics.samples import MINIMUM, Interval, NoVariationError, TooFewError
from edge_agent.core.texts import N_

Stretch = tuple[Reals, Reals]
"""The first and the second series of one session."""
LEAST_PAIRS = 30
"""Bins with both values that a stretch needs to count."""
_TAIL = 0.975
_CONSTANT = 1e-12
"""Share of the squares below which a spread is rounding."""
_SAME = 1 - 1e-9
"""Values of t that differ by rounding alone are equal."""


@dataclass(frozen=True, slots=True)
class RepeatedCorrelation:
    """The common correlation within people.

    Attributes:
        r: −1 to 1.
        df: pairs less people less 1, as its source has it. Pairs of series that depend on
            themselves are worth far fewer, so no p is computed from it.
    """

    r: float
    df: int


@dataclass(frozen=True, slots=True)
class CouplingTest:
    """The test whether people's correlations differ from 0.

    Attributes:
        n: people.
        r: their mean, by Fisher's z.
        interval: its 95 % interval.
        t: of the mean z.
        df: n − 1.
        p: two-sided.
    """

    n: int
    r: float
    interval: Interval
    t: float
    df: int
    p: float


@dataclass(frozen=True, slots=True)
class LagTest:
    """The test of all lags together.

    Attributes:
        t: of each lag.
        p: of each lag, adjusted for all of them.
        flips: number of sign flips that were computed, with the opposite ones.
        is_exact: whether they are all there are.
    """

    t: Reals
    p: Reals
    flips: int
    is_exact: bool


def repeated_correlation(people: Iterable[Stretch]) -> RepeatedCorrelation:
    """Return the repeated-measures correlation.

    Formula: the values less the person's own means; Σxy / √(Σx² Σy²) over all of them, which is the
    correlation of an analysis of covariance with one slope and an intercept for each person.
    Source: Bakdash & Marusich 2017, Frontiers in Psychology 8:456. Equal to R's ``rmcorr`` and
    pingouin's ``rm_corr``, whose p is not computed: with 1 Hz values it is wrong.

    Args:
        people: both series of each person.

    Raises:
        NoVariationError: one of the two never varies within a person.
        TooFewError: nobody has two pairs.
    """
    xx = yy = xy = 0.0
    squares = np.zeros(2)
    pairs = count = 0
    for stretch in people:
        x, y = _together(*stretch)
        if not len(x):
            continue
        count += 1
        pairs += len(x)
        squares += (float(x @ x), float(y @ y))
        x, y = x - x.mean(), y - y.mean()
        xx, yy, xy = xx + float(x @ x), yy + float(y @ y), xy + float(x @ y)
    if pairs - count - 1 < 1:
        raise TooFewError(N_("a correlation within people needs somebody with several pairs"))
    if xx <= _CONSTANT * squares[0] or yy <= _CONSTANT * squares[1]:
        raise NoVariationError(N_("one of the two measures does not vary within a person"))
    return RepeatedCorrelation(xy / math.sqrt(xx * yy), pairs - count - 1)


def lagged(stretch: Stretch, lag: int) -> Stretch:
    """Return both series such that the second stands ``lag`` bins before its time: it follows the
    first.
    """
    x, y = stretch
    if abs(lag) >= len(x):
        return x[:0], y[:0]
    if lag >= 0:
        return x[: len(x) - lag], y[lag:]
    return x[-lag:], y[:lag]


def person_z(stretches: Iterable[Stretch]) -> float | None:
    """Return Fisher's z of the detrended correlation of one person.

    In each stretch with ``LEAST_PAIRS`` the least-squares line over time is taken from both series;
    what is left is correlated over all stretches together; z = artanh r. ``None`` without such a
    stretch, and where one of the two does not vary.
    """
    sums = np.zeros(3)
    squares = np.zeros(2)
    for x, y in stretches:
        both = ~(np.isnan(x) | np.isnan(y))
        if both.sum() < LEAST_PAIRS:
            continue
        at = np.flatnonzero(both) - np.flatnonzero(both).mean()
        values = np.stack([x[both], y[both]])
        squares += (values**2).sum(axis=1)
        values -= values.mean(axis=1, keepdims=True)
        values -= np.outer(values @ at / (at @ at), at)
        first, second = values
        sums += (first @ first, second @ second, first @ second)
    xx, yy, xy = sums.tolist()
    if xx <= _CONSTANT * squares[0] or yy <= _CONSTANT * squares[1]:
        return None
    r = xy / math.sqrt(xx * yy)
    return math.atanh(r) if abs(r) < 1 - _CONSTANT else None


def coupling_test(z: Sequence[float]) -> CouplingTest:
    """Test whether the mean of people's z differs from 0, by Student's t of one sample.

    One value a person: however values of one person depend on each other over time, people do not.
    Assumes that without an association a person's r is as likely positive as negative; a course
    over the session that all people share in both measures breaks this.

    Raises:
        TooFewError: fewer than three people.
        NoVariationError: all have the same z.
    """
    values = np.array(z, dtype=np.float64)
    n = len(values)
    if n < MINIMUM:
        raise TooFewError(
            N_("a test of an association within people needs at least {minimum}; there are {n}"),
            minimum=MINIMUM,
            n=n,
        )
    mean = float(values.mean())
    error = float(values.std(ddof=1)) / math.sqrt(n)
    if error <= _CONSTANT * float(np.abs(values).max()):
        raise NoVariationError(N_("everybody has the same correlation"))
    half = float(special.stdtrit(n - 1, _TAIL)) * error
    t = mean / error
    return CouplingTest(
        n=n,
        r=math.tanh(mean),
        interval=Interval(math.tanh(mean - half), math.tanh(mean + half)),
        t=t,
        df=n - 1,
        p=2 * float(special.stdtr(n - 1, -abs(t))),
    )


def intervals(z: Reals) -> list[Interval] | None:
    """Return the 95 % interval of the mean r at each lag by itself, as ``coupling_test`` has it.

    Args:
        z: people × lags, without gaps.

    Returns:
        An interval a lag; ``None`` below ``MINIMUM`` people.
    """
    n = len(z)
    if n < MINIMUM:
        return None
    mean = z.mean(axis=0)
    half = float(special.stdtrit(n - 1, _TAIL)) * z.std(axis=0, ddof=1) / math.sqrt(n)
    ends = zip(np.tanh(mean - half).tolist(), np.tanh(mean + half).tolist(), strict=True)
    return [Interval(low, high) for low, high in ends]


def lag_test(z: Reals, seed: int) -> LagTest | None:
    """Test people's z at several lags together, by the largest |t| under flips of whole people.

    The signs of a person's z are flipped at all lags together, so however neighbouring lags depend
    on each other, the chance of any false finding among them is bounded.

    Args:
        z: people × lags, without gaps.
        seed: of the random flips, where there are more than can be computed.

    Returns:
        The test; ``None`` below ``LEAST_PEOPLE`` people, who could never reach .05.
    """
    n = len(z)
    if n < LEAST_PEOPLE:
        return None
    signs, is_exact = sign_flips(n, seed)
    squares = (z**2).sum(axis=0)
    largest = np.abs(t_values(signs @ z / n, squares, n)).max(axis=1)
    t = t_values(z.mean(axis=0), squares, n)
    p = np.mean(largest[:, np.newaxis] >= np.abs(t) * _SAME, axis=0)
    return LagTest(t, p, 2 * len(signs), is_exact)


def _together(x: Reals, y: Reals) -> Stretch:
    both = ~(np.isnan(x) | np.isnan(y))
    return x[both], y[both]
