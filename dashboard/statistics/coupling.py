"""The association of two series within people, such as valence and heart rate. Pure.

A stretch is two series of equal length on one grid, with NaN for a gap: a person has one for each
session. The values of a person follow one another closely, so they are no independent
observations, and every p here is of one value a person.

What everybody sees moves both series of everybody. So what is tested is each person's association
less that of their first series with other people's second ones at the same stimuli
(``beside_others``).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from dashboard.statistics import MINIMUM
from dashboard.statistics.responses import LEAST_PEOPLE, Integers, Reals, sign_flips, t_values
from dashboard.statistics.samples import Interval, NoVariationError, TooFewError
from edge_agent.core.texts import N_

Stretch = tuple[Reals, Reals]
"""The first and the second series of one session."""
LEAST_PAIRS = 30
"""Bins with both values that a stretch needs to count; so do those of all stimuli of a person."""
LEAST_IN_STIMULUS = 10
"""Bins with both values that a stimulus needs to count: of fewer a line leaves too little."""
_SUMS = ("n", "xx", "yy", "xy", "raw_x", "raw_y")
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
        z: the mean z.
        z_interval: its 95 % interval.
        t: of the mean z.
        df: n − 1.
        p: two-sided.
    """

    n: int
    r: float
    interval: Interval
    z: float
    z_interval: Interval
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


@dataclass(frozen=True, slots=True)
class Presentations:
    """All presentations of one stimulus, on one grid that begins with it: a row for each.

    Attributes:
        owner: whose it is, an index of the people.
        place: which session of the person it was in; those of others are looked for in the session
            of the same place, else in the nearest.
        first: values of the first series, rows × bins; NaN for a gap, and behind a shorter one.
        second: of the second one, with the same shape.
    """

    owner: Integers
    place: Integers
    first: Reals
    second: Reals


@dataclass(frozen=True, slots=True)
class BesideOthers:
    """The association of each person, and that of their first series with others' second ones.

    All are NaN for who has none at the stimuli of others.

    Attributes:
        z: of each person alone, over all stimuli that somebody else was measured at.
        z_others: mean over the others.
        difference: mean over the others of z alone less z with the other, both at the stimuli that
            the two share.
        others: how many they are.
        pairs: bins with both values of the person.
        rows: of each stimulus, the presentations that count.
    """

    z: Reals
    z_others: Reals
    difference: Reals
    others: Integers
    pairs: Integers
    rows: tuple[Integers, ...]


def beside_others(stimuli: Iterable[Presentations], people: int, lag: int) -> BesideOthers:
    """Return what each person's association is beside that with other people at the same stimuli.

    z is that of ``person_z``: in each stimulus with ``LEAST_IN_STIMULUS`` pairs the line over time
    is taken from both series, and what is left is correlated over all stimuli together, if they
    have ``LEAST_PAIRS``. The second series is moved by ``lag`` within a stimulus, so that nothing
    of the next one is in it.

    Args:
        stimuli: their presentations, of all people.
        people: number of people.
        lag: bins by which the second series follows.
    """
    crossed = {name: np.zeros((people, people)) for name in _SUMS}
    shared = {name: np.zeros((people, people)) for name in _SUMS}
    alone = {name: np.zeros(people) for name in _SUMS}
    counted: list[Integers] = []
    for one in stimuli:
        sums = _sums_of(one, lag)
        rows, others, columns = _others_at(one, people)
        counts = sums["n"] >= LEAST_IN_STIMULUS
        used = counts[rows, columns] & counts[rows, rows]
        rows, others, columns = rows[used], others[used], columns[used]
        own = np.unique(rows)
        counted.append(own)
        for name, table in sums.items():
            np.add.at(crossed[name], (one.owner[rows], others), table[rows, columns])
            np.add.at(shared[name], (one.owner[rows], others), table[rows, rows])
            np.add.at(alone[name], one.owner[own], table[own, own])
    with_other, same = _z_of(crossed), _z_of(shared)
    both = ~(np.isnan(with_other) | np.isnan(same))
    n = both.sum(axis=1)

    def mean_over_others(table: Reals) -> Reals:
        return np.where(n > 0, np.where(both, table, 0).sum(axis=1) / np.maximum(n, 1), np.nan)

    return BesideOthers(
        z=np.where(n > 0, _z_of(alone), np.nan),
        z_others=mean_over_others(with_other),
        difference=mean_over_others(same - with_other),
        others=n,
        pairs=alone["n"].astype(np.int64),
        rows=tuple(counted),
    )


def _sums_of(stimulus: Presentations, lag: int) -> dict[str, Reals]:
    """Return for each presentation of the first series with each of the second: the pairs, and the
    sums of the squares and of the products of what a line over time leaves of both.
    """
    bins = stimulus.first.shape[1]
    first, second = (
        (stimulus.first[:, : max(0, bins - lag)], stimulus.second[:, lag:])
        if lag >= 0
        else (stimulus.first[:, -lag:], stimulus.second[:, : max(0, bins + lag)])
    )
    at = np.arange(first.shape[1]) - (first.shape[1] - 1) / 2
    in_x, in_y = (np.where(np.isnan(one), 0.0, 1.0) for one in (first, second))
    raw_x, raw_y = (np.nan_to_num(one) for one in (first, second))
    # Less their own means, so that sums of squares lose no digits.
    x, y = (
        inside * (raw - raw.sum(axis=1, keepdims=True) / np.maximum(inside.sum(axis=1), 1)[:, None])
        for inside, raw in ((in_x, raw_x), (in_y, raw_y))
    )
    n = in_x @ in_y.T
    of = np.maximum(n, 1)
    sum_x, sum_y, sum_t = x @ in_y.T, in_x @ y.T, (in_x * at) @ in_y.T
    tt = (in_x * at**2) @ in_y.T - sum_t**2 / of
    xt = (x * at) @ in_y.T - sum_x * sum_t / of
    yt = in_x @ (y * at).T - sum_y * sum_t / of
    tt = np.where(tt > 0, tt, 1.0)
    return {
        "n": n,
        "xx": x**2 @ in_y.T - sum_x**2 / of - xt**2 / tt,
        "yy": in_x @ (y**2).T - sum_y**2 / of - yt**2 / tt,
        "xy": x @ y.T - sum_x * sum_y / of - xt * yt / tt,
        "raw_x": raw_x**2 @ in_y.T,
        "raw_y": in_x @ (raw_y**2).T,
    }


def _others_at(stimulus: Presentations, people: int) -> tuple[Integers, Integers, Integers]:
    """Return each row with each other person who has a row, and which of theirs it is beside."""
    beside = []
    for other in range(people):
        theirs = np.flatnonzero(stimulus.owner == other)
        if not len(theirs):
            continue
        rows = np.flatnonzero(stimulus.owner != other)
        apart = np.abs(stimulus.place[theirs][np.newaxis] - stimulus.place[rows][:, np.newaxis])
        beside.append(np.stack([rows, np.full(len(rows), other), theirs[apart.argmin(axis=1)]]))
    if not beside:
        none = np.zeros(0, dtype=np.int64)
        return none, none, none
    rows, others, columns = np.concatenate(beside, axis=1)
    return rows, others, columns


def _z_of(sums: dict[str, Reals]) -> Reals:
    """Return Fisher's z; NaN for too few pairs, and where one of the two does not vary."""
    xx, yy = sums["xx"], sums["yy"]
    is_known: npt.NDArray[np.bool_] = (
        (sums["n"] >= LEAST_PAIRS)
        & (xx > _CONSTANT * sums["raw_x"])
        & (yy > _CONSTANT * sums["raw_y"])
    )
    r = np.where(is_known, sums["xy"], 0) / np.sqrt(np.where(is_known, xx * yy, 1))
    is_known &= np.abs(r) < 1 - _CONSTANT
    return np.where(is_known, np.arctanh(np.where(is_known, r, 0)), np.nan)


def coupling_test(z: Sequence[float]) -> CouplingTest:
    """Test whether the mean of people's z differs from 0, by Student's t of one sample.

    One value a person: however values of one person depend on each other over time, people do not.
    Assumes that without an association a value is as likely positive as negative. A course that all
    people share in both measures breaks this for their z, but not for their z less that with
    others, as long as people follow what they share alike: who follows it more in both has more.

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
        z=mean,
        z_interval=Interval(mean - half, mean + half),
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
    ends = z_intervals(z)
    return ends and [Interval(math.tanh(one.low), math.tanh(one.high)) for one in ends]


def z_intervals(z: Reals) -> list[Interval] | None:
    """Return the same intervals of the mean z."""
    n = len(z)
    if n < MINIMUM:
        return None
    mean = z.mean(axis=0)
    half = float(special.stdtrit(n - 1, _TAIL)) * z.std(axis=0, ddof=1) / math.sqrt(n)
    ends = zip((mean - half).tolist(), (mean + half).tolist(), strict=True)
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
