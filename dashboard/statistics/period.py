"""Time in the session, and misread states: what they do to a difference between two states. Pure.

A heart calms down while a session lasts, quickly at first. Where most people met one state later
than the other, this alone makes a difference (a period effect; Jones & Kenward 2014, Design and
Analysis of Cross-Over Trials, ch. 2). Misreading shrinks a difference.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from dashboard.statistics import LEVEL
from dashboard.statistics.distributions import Values
from dashboard.statistics.samples import (
    Interval,
    NoVariationError,
    TooFewError,
    check_values,
    is_constant,
    pairs,
)
from edge_agent.core.errors import StatisticsError
from edge_agent.core.texts import N_

# Intercept and slope take two degrees of freedom; three people would leave a single one.
_FEWEST = 4
_FEWEST_DF = 2
# below this share of its spread within people, time is as good as given by the states
_TOLD_APART = 0.1
# standard deviations between the mean times of two states that were met among each other
_AMONG = 2.0


class OneWayError(StatisticsError):
    """Everybody met the two states the same way round, so time and state cannot be separated."""


class InseparableError(StatisticsError):
    """The orders in which people met the states do not tell place and state apart."""


@dataclass(frozen=True, slots=True)
class TimeAdjusted:
    """The difference *first minus second* that is left at equal times in the session.

    Attributes:
        difference: in the unit of the values.
        interval: its 95 % interval.
        error: its standard error.
        t: the test statistic.
        df: number of people less what is estimated: 2 with a line, else the places that count.
        p: two-sided, unadjusted.
        slope: by how much a difference grows with each minute between the states; ``None`` where
            the place in the order is adjusted for, which needs no line.
        slope_p: two-sided, that it is 0; ``None`` without a slope.
    """

    difference: float
    interval: Interval
    error: float
    t: float
    df: float
    p: float
    slope: float | None
    slope_p: float | None = None

    def within(self, level: float) -> Interval:
        """Return the interval of the difference at a level in 0…1, such as 0.90."""
        half = self.error * float(special.stdtrit(self.df, (1 + level) / 2))
        return Interval(self.difference - half, self.difference + half)


@dataclass(frozen=True, slots=True)
class Drift:
    """The drift of a vital while a session lasts, the states aside.

    Attributes:
        slope: unit of the values per minute.
        interval: its 95 % interval.
        df: degrees of freedom.
        p: two-sided, of no change.
        people: those with at least two states.
    """

    slope: float
    interval: Interval
    df: float
    p: float
    people: int


def adjusted_for_time(
    first: Iterable[float], second: Iterable[float], gaps: Iterable[float], *, at_zero: bool = False
) -> TimeAdjusted:
    """Test a paired difference at equal times in the session, by a line in time: where states
    come back, or are observed. ``adjusted_for_place`` is for those that each came once.

    Formula: least squares of dᵢ = α + β · gᵢ with dᵢ = first − second and gᵢ the minutes from the
    second state to the first of person i; α is tested, with
    SE(α) = s · √(1 / n + ḡ² / Σ(gᵢ − ḡ)²) and n − 2 degrees of freedom. Assumes that a change over
    the session is the same for everybody and proportional to time (of two states that swap places
    any change that is the same for everybody will do), and what the paired t-test assumes. Source:
    any textbook of regression, such as Draper & Smith 1998, ch. 1; equal to R's ``lm(d ~ g)``.

    Args:
        first: one value a participant.
        second: the same participants in the same order.
        gaps: of the same participants, minutes by which they met the first state later.
        at_zero: whether a gap of 0 means values at equal times, so that all others may lie on one
            side of them.

    Raises:
        TooFewError: fewer than four pairs.
        OneWayError: nobody met the states the other way round (0 lies outside the gaps), so that
            the difference at equal times would be made up; or all gaps are 0.
        NoVariationError: the differences follow the gaps exactly.
        StatisticsError: as ``paired_t``, or a gap is missing.
    """
    a, b = pairs(first, second)
    g = check_values(gaps)
    if len(g) != len(a):
        raise StatisticsError(
            N_("{n} pairs need as many times between, not {n_2}"), n=len(a), n_2=len(g)
        )
    if len(a) < _FEWEST:
        raise TooFewError(
            N_("it needs at least {fewest} participants with both states"), fewest=_FEWEST
        )
    # With all gaps on one side the value at a gap of 0 is an extrapolation.
    if not (g.min() < 0 < g.max() or (at_zero and np.any(g == 0) and np.any(g != 0))):
        raise OneWayError(N_("all participants went through the two states in the same order"))
    d = a - b
    mean_gap = float(np.mean(g))
    spread = float(np.sum((g - mean_gap) ** 2))
    slope = float(np.sum((g - mean_gap) * (d - np.mean(d)))) / spread
    intercept = float(np.mean(d)) - slope * mean_gap
    rest = d - intercept - slope * g
    if is_constant(rest, np.concatenate([a, b])):
        raise NoVariationError(N_("the differences follow the time between the states exactly"))
    df = len(d) - 2
    # The intercept is the prediction at a gap of 0, hence the second term.
    variance = float(np.sum(rest**2)) / df
    error = math.sqrt(variance * (1 / len(d) + mean_gap**2 / spread))
    t, interval, p = _test_estimate(intercept, error, df)
    *_, slope_p = _test_estimate(slope, math.sqrt(variance / spread), df)
    return TimeAdjusted(intercept, interval, error, t, df, p, slope, slope_p)


def adjusted_for_place(
    first: Iterable[float], second: Iterable[float], places: Values
) -> TimeAdjusted:
    """Test a paired difference at equal places in the order of the session.

    Formula: least squares of dᵢ = α + Σₖ πₖ · cᵢₖ with dᵢ = first − second and cᵢₖ = 1 where person
    i met the first state at place k, −1 where the second, else 0. With w the rest of a column of
    ones by these columns, α = Σ wᵢdᵢ / Σ wᵢ² and SE(α) = s / √(Σ wᵢ²), with as many degrees of
    freedom as people less the rank of all columns. Assumes that a change over the session is the
    same for everybody, whatever its course, and what the paired t-test assumes. Source: Jones &
    Kenward 2014, ch. 5 (periods as a factor); Frisch & Waugh 1933, Econometrica 1:387–401; equal to
    R's ``lm(d ~ c)``, whose intercept is no estimate where this refuses.

    Args:
        first: one value a participant.
        second: the same participants in the same order.
        places: a row for each of them, a column for each place; of several sessions the mean.

    Raises:
        TooFewError: fewer than two degrees of freedom are left.
        InseparableError: the places give the states.
        NoVariationError: the differences follow the places exactly.
        StatisticsError: as ``paired_t``, or a row of places is missing.
    """
    a, b = pairs(first, second)
    if places.shape[0] != len(a):
        raise StatisticsError(
            N_("{n} pairs need {n} rows of places, not {n_2}"), n=len(a), n_2=len(places)
        )
    ones = np.ones(len(a))
    own = ones - _fit(places, ones)
    weight = float(np.sum(own**2))
    # The last bits of ones that the places give are no information.
    if not weight > 1e-9 * len(a):
        raise InseparableError(N_("the orders cannot separate the two states from their places"))
    every = np.column_stack([ones, places])
    df = len(a) - int(np.linalg.matrix_rank(every))
    if df < _FEWEST_DF:
        raise TooFewError(N_("it needs more participants with both states"))
    d = a - b
    rest = d - _fit(every, d)
    if is_constant(rest, np.concatenate([a, b])):
        raise NoVariationError(N_("the differences follow the place in the order exactly"))
    difference = float(np.sum(own * d)) / weight
    error = math.sqrt(float(np.sum(rest**2)) / df / weight)
    t, interval, p = _test_estimate(difference, error, df)
    return TimeAdjusted(difference, interval, error, t, df, p, None)


def imbalance(places: Values) -> float:
    """Return how unevenly two states are spread over the places in the order, 0…1.

    It is the largest difference between the shares of people who had met the one and the other
    state by a place (the distance of Kolmogorov and Smirnov): the most that a change which goes one
    way all session can make of a difference, as a share of that change.

    Args:
        places: as for ``adjusted_for_place``.
    """
    by_place = np.cumsum(np.sum(places, axis=0))
    return float(np.max(np.abs(by_place), initial=0.0)) / len(places)


def drift(people: Sequence[int], states: Sequence[int], minutes: Values, values: Values) -> Drift:
    """Return the change of a vital per minute of the session.

    Formula: least squares of value = person + state + slope · minutes over the means of each person
    in each state (within-person regression; degrees of freedom: means less people, states but one,
    and the slope). Source: Wooldridge 2010, Econometric Analysis of Cross Section and Panel Data,
    ch. 10.5; equal to R's ``lm(value ~ person + state + minutes)``.

    Args:
        people: of each mean whose it is, by number.
        states: of each mean in which state, by number.
        minutes: of each mean when it was measured, minutes since the start of the session.
        values: the means.

    Raises:
        TooFewError: no degree of freedom is left.
        OneWayError: the states give the time: all met them at the same times.
        NoVariationError: nothing is left to judge the slope by.
    """
    if not len(people):
        raise TooFewError(N_("nobody has a value"))
    person = np.asarray(people)
    kinds = sorted(set(states))
    dummies = np.array([[float(state == kind) for kind in kinds[1:]] for state in states])
    columns = np.column_stack([dummies.reshape(len(person), -1), check_values(minutes)])
    within = _within(person, np.column_stack([columns, check_values(values)]))
    states_only, time, value = within[:, :-2], within[:, -2], within[:, -1]
    # Frisch and Waugh: the slope of time freed of the states is the slope in the whole model.
    own_time = time - _fit(states_only, time)
    df = len(person) - len(set(person.tolist())) - states_only.shape[1] - 1
    if df < 1:
        raise TooFewError(
            N_("a change over the session needs more participants with several states")
        )
    if not _is_own(own_time, time):
        raise OneWayError(N_("all participants went through the states at nearly the same times"))
    slope = float(np.sum(own_time * value) / np.sum(own_time**2))
    rest = value - slope * time
    rest = rest - _fit(states_only, rest)
    if is_constant(rest, check_values(values)):
        raise NoVariationError(N_("too few data are left to judge a change over the session"))
    error = math.sqrt(float(np.sum(rest**2)) / df / float(np.sum(own_time**2)))
    _, interval, p = _test_estimate(slope, error, df)
    return Drift(slope, interval, df, p, len(set(person.tolist())))


@dataclass(frozen=True, slots=True)
class TimedSums:
    """The sums of the readings of one state in one session, with their times in minutes since the
    start of the session.

    Attributes:
        n: number of readings.
        time: Σt.
        time_squares: Σt².
        value: Σy.
        product: Σty.
    """

    n: int
    time: float
    time_squares: float
    value: float
    product: float

    @property
    def minute(self) -> float:
        """Mean time of the readings."""
        return self.time / self.n

    @property
    def mean(self) -> float:
        """Mean of the readings."""
        return self.value / self.n

    @property
    def spread(self) -> float:
        """Sum of squares of the times about their mean, minutes²; never below 0."""
        return max(0.0, self.time_squares - self.time * self.minute)


def mean_minute(states: Sequence[TimedSums]) -> float:
    """Return the mean time of the readings of all states of a session."""
    return math.fsum(state.time for state in states) / sum(state.n for state in states)


def means_at_equal_times(states: Sequence[TimedSums]) -> tuple[float, ...]:
    """Return the mean of each state in one session as it would be at the mean time of them all.

    Formula: least squares of value = state + b · minutes over the readings of the session, so that
    b = Σ(Σty − Σt · Σy / n) / Σ(Σt² − (Σt)² / n), sums over the states, and a state's mean becomes
    its own less b · (its mean time − the mean time of all). Assumes that the change over the
    session is proportional to time. That neighbouring readings resemble each other does no harm:
    the means stay unbiased, and the test compares people. Source: analysis of covariance, Cochran
    1957, Biometrics 13:261–281; a summary of each person that is then tested, Matthews et al. 1990,
    BMJ 300:230–235; equal to predictions of R's ``lm(y ~ state + t)``.

        >>> calming = [TimedSums(2, 2, 4, 138, 136), TimedSums(2, 4, 10, 146, 290)]
        >>> means_at_equal_times(calming)
        (68.5, 73.5)

    Args:
        states: each with at least one reading.

    Raises:
        OneWayError: no state has readings at different times.
    """
    spread = math.fsum(state.spread for state in states)
    # The last bits of sums of squares are no time.
    if not spread > 1e-9 * math.fsum(state.time_squares for state in states):
        raise OneWayError(N_("each state was met at one time only"))
    together = math.fsum(state.product - state.minute * state.value for state in states)
    slope = together / spread
    middle = mean_minute(states)
    return tuple(state.mean - slope * (state.minute - middle) for state in states)


def are_mixed(first: TimedSums, second: TimedSums) -> bool:
    """Tell whether two states of a session were met among each other, so that their means at equal
    times lie within what was measured.

    Their mean times differ by at most two standard deviations of the times within the states: as
    much of the variation of time lies within two equal states then as between them. One state after
    the other has 3.5, two that overlap by half have 1.7.
    """
    variance = (first.spread / first.n + second.spread / second.n) / 2
    return (first.minute - second.minute) ** 2 <= _AMONG**2 * variance


def is_told_apart(groups: Sequence[int], states: Values, times: Values) -> bool:
    """Tell whether time within groups is more than what their states give.

    No combination of the times may lie nearer to the states than a tenth of its spread: the largest
    canonical correlation of states and times within groups (Hotelling 1936, Biometrika 28:321–377)
    is below √(1 − 0.1²).

    Args:
        groups: of each value to which person or session it belongs, by number.
        states: a column of 0 and 1 for each state but one.
        times: of each value: minutes, or a column of 0 and 1 for each place in the order but one.
    """
    columns = times.reshape(len(groups), -1)
    within = _within(np.asarray(groups), np.column_stack([states, columns]))
    own = within[:, -columns.shape[1] :]
    # The last bits of equal times are no time.
    if not np.all(np.sum(own**2, axis=0) > 1e-18 * np.sum(columns**2, axis=0)):
        return False
    own = own / np.sqrt(np.sum(own**2, axis=0))
    if np.linalg.matrix_rank(own) < own.shape[1]:
        return False
    of_times, _ = np.linalg.qr(own)
    rest = of_times - _fit(within[:, : -columns.shape[1]], of_times)
    # of orthonormal columns the least singular value of what is left is √(1 − r²) of the largest r
    return float(np.linalg.svd(rest, compute_uv=False)[-1]) > _TOLD_APART


def _is_own(own_time: Values, time: Values) -> bool:
    # Shares of sums of squares, so the bound for the spread is squared.
    return float(np.sum(own_time**2)) > _TOLD_APART**2 * float(np.sum(time**2))


def _test_estimate(estimate: float, error: float, df: float) -> tuple[float, Interval, float]:
    """Return t, the 95 % interval and the two-sided p of an estimate."""
    t = estimate / error
    half = float(special.stdtrit(df, 0.5 + LEVEL / 2)) * error
    p = 2 * float(special.stdtr(df, -abs(t)))
    return t, Interval(estimate - half, estimate + half), p


def _within(person: Values, columns: Values) -> Values:
    """Subtract from every column each person's own mean."""
    _, place = np.unique(person, return_inverse=True)
    sums = np.zeros((int(place.max()) + 1, columns.shape[1]))
    np.add.at(sums, place, columns)
    return np.asarray(columns - (sums / np.bincount(place)[:, np.newaxis])[place])


def _fit(columns: Values, values: Values) -> Values:
    """Return the least-squares fit of values by columns."""
    return np.asarray(columns @ np.linalg.lstsq(columns, values, rcond=None)[0])


@dataclass(frozen=True, slots=True)
class Recall:
    """The recall of a state: the share of faces that show it and are read as it.

    Attributes:
        share: of the pictures, 0…1.
        n: how many pictures.
    """

    share: float
    n: int


@dataclass(frozen=True, slots=True)
class Attenuation:
    """The attenuation of a difference between two states that are sometimes read as each other.

    Attributes:
        factor: observed difference over true one; 1 where nothing is misread.
        interval: its 95 % interval, from the numbers of pictures.
        first: how often the first state is read as itself.
        second: the same of the second.
    """

    factor: float
    interval: Interval
    first: Recall
    second: Recall


def attenuation(first: Recall, second: Recall) -> Attenuation:
    """Return by what factor misreading shrinks a difference, at the worst.

    Formula: with εₐ = 1 − recall of A, ε_b of B, and both states shown equally long, a reading that
    is called A is of A with P_a = (1 − εₐ) / (1 − εₐ + ε_b), and P_b alike. Its mean is
    P_a · μ_a + (1 − P_a) · μ_b, so the observed difference is (P_a + P_b − 1) · (μ_a − μ_b): with
    εₐ = ε_b = ε, 1 − 2ε. "At the worst": every misread face of one state is taken for the other;
    one that is read as a third state only leaves the test. Assumes that misreading does not depend
    on the reading, and that a face is misread for the whole window. Source: Bross 1954, Biometrics
    10:478–486; Copeland et al. 1977, American Journal of Epidemiology 105:488–495. Interval:
    Wilson's limits of both recalls, put together by the square-and-add method (Newcombe 1998,
    Statistics in Medicine 17:873–890).

    Raises:
        StatisticsError: a recall outside 0…1, or without pictures.
    """
    for recall in (first, second):
        if not 0 <= recall.share <= 1 or recall.n < 1:
            raise StatisticsError(
                N_("a recall is a share of at least 1 picture, not {share:g} of {n}"),
                share=recall.share,
                n=recall.n,
            )
    factor = _factor(first.share, second.share)
    ends = []
    for place in (0, 1):
        # The factor rises with either recall: the lower limit of a recall gives its lower end.
        one = factor - _factor(_wilson(first)[place], second.share)
        other = factor - _factor(first.share, _wilson(second)[place])
        ends.append(math.hypot(one, other))
    interval = Interval(max(0.0, factor - ends[0]), min(1.0, factor + ends[1]))
    return Attenuation(factor, interval, first, second)


def _factor(first: float, second: float) -> float:
    called_first = first + 1 - second
    called_second = second + 1 - first
    # One state is never called then, so no difference can be seen at all.
    if min(called_first, called_second) <= 0:
        return 0.0
    return first / called_first + second / called_second - 1


def _wilson(recall: Recall) -> tuple[float, float]:
    """Return Wilson's 95 % limits of a share."""
    z = float(special.ndtri(0.5 + LEVEL / 2))
    n = recall.n
    middle = (recall.share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n)
    half *= math.sqrt(recall.share * (1 - recall.share) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)
