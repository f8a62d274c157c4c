"""Cohen's kappa of two sources, and the agreement of two instruments that measured the same people
many times. Pure.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
from scipy import special

from dashboard.statistics import LEVEL, MINIMUM
from dashboard.statistics.distributions import Values
from dashboard.statistics.samples import Interval, NoVariationError, TooFewError, check_values
from edge_agent.core.texts import N_

_ROUNDING = 1e-12  # influences are of the size of 1
NORMAL = 1.96
"""Standard deviations around the bias within which Bland and Altman look for 95 %."""
_TAIL = 0.975


@dataclass(frozen=True, slots=True)
class Judgement:
    """The labels that two sources gave to one thing, such as one stimulus: the face read anger, the
    person reported anger.

    Attributes:
        participant: whose it is; judgements of one participant are not independent.
        first: label given by the first source.
        second: label given by the second source.
    """

    participant: str
    first: str
    second: str


class NoInterval(StrEnum):
    """The reason for a kappa without an interval."""

    TOO_FEW = "too_few"
    """Fewer than three participants."""
    PERFECT = "perfect"
    """Both sources agree always, and the formula knows no uncertainty there."""
    CONSTANT = "constant"
    """One source always gave the same label. Kappa is 0 then, whatever the other one said, and so
    says nothing about agreement."""
    NO_SPREAD = "no_spread"
    """No participant differs from another, so nothing tells how far a next one would."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """A confusion table and Cohen's kappa.

    Attributes:
        labels: rows and columns of the table, in order.
        table: how often the first source said the row's label and the second the column's.
        n: judgements.
        participants: how many participants they are of.
        observed: share of judgements in which both agree, 0…1.
        expected: the share to be expected if both spoke independently with their own frequencies,
            0…1.
        kappa: agreement beyond that, at most 1; 0 is what chance gives.
        interval: 95 % interval of kappa; ``None`` where there is none.
        no_interval: why; ``None`` where there is one.
    """

    labels: tuple[str, ...]
    table: tuple[tuple[int, ...], ...]
    n: int
    participants: int
    observed: float
    expected: float
    kappa: float
    interval: Interval | None
    no_interval: NoInterval | None


def cohens_kappa(judgements: Iterable[Judgement], labels: Sequence[str] = ()) -> Agreement:
    """Compare two sources.

    Formula, with shares p_ij of the table, row sums p_i. and column sums p_.i: p_o = Σ p_ii, p_e =
    Σ p_i. p_.i, κ = (p_o − p_e) / (1 − p_e). For the interval, each judgement (i, j) has the
    influence u = ([i = j] (1 − p_e) − (1 − p_o)(p_.i + p_j.) + (2 p_e − p_o p_e − p_o)) / (1 −
    p_e)² on κ, which is the linearisation behind the standard error of Fleiss, Cohen & Everitt
    1969; here the influences of one participant are added before squaring: SE² = G / (G − 1) · Σ
    over G participants of (Σ u)² / n², and κ ± t(0.975; G − 1) · SE. With one judgement a
    participant that is theirs, but for G / (G − 1) and t instead of z. Assumes independent
    participants; nothing about judgements of one participant. Kappa depends on how frequent the
    labels are: two kappas from studies with other frequencies cannot be compared. Source: Cohen
    1960; Fleiss, Cohen & Everitt 1969; sums by participant: Liang & Zeger 1986.

    Args:
        judgements: those in which both sources spoke; leave out, and count, the others.
        labels: which come first in the table, in this order, pairs or not; others follow in
            alphabetical order.

    Raises:
        TooFewError: no judgement.
        NoVariationError: both sources always gave the same one label, so that agreement by chance
            is certain.
    """
    pairs = tuple(judgements)
    if not pairs:
        raise TooFewError(N_("agreement needs at least 1 judgement by both sources; there are 0"))
    used = {judgement.first for judgement in pairs} | {judgement.second for judgement in pairs}
    if len(used) == 1:
        raise NoVariationError(
            N_("both sources gave {first} every time, so agreement beyond chance is undefined"),
            first=pairs[0].first,
        )
    names = (*labels, *sorted(used - set(labels)))
    rows = np.array([names.index(judgement.first) for judgement in pairs])
    columns = np.array([names.index(judgement.second) for judgement in pairs])
    table = np.zeros((len(names), len(names)), dtype=np.int64)
    # Not table[rows, columns] += 1, which counts a cell that comes up several times once.
    np.add.at(table, (rows, columns), 1)
    shares = _Shares.of(table)
    people = [judgement.participant for judgement in pairs]
    no_interval = _why_none(table, people)
    interval = None
    if no_interval is None:
        interval = _interval(shares.kappa, shares.influence(rows, columns), people)
        if interval is None:
            no_interval = NoInterval.NO_SPREAD
    return Agreement(
        labels=names,
        table=tuple(tuple(int(count) for count in row) for row in table),
        n=len(pairs),
        participants=len(set(people)),
        observed=shares.observed,
        expected=shares.expected,
        kappa=shares.kappa,
        interval=interval,
        no_interval=no_interval,
    )


@dataclass(frozen=True, slots=True)
class _Shares:
    """The shares of a table of counts, named as in the formulas of :func:`cohens_kappa`.

    Attributes:
        by_row: p_i., the part of each label in the first source's answers.
        by_column: p_.i, the same of the second's.
        observed: p_o, the share of judgements in which both said the same.
        expected: p_e, what it would be by chance.
    """

    by_row: Values
    by_column: Values
    observed: float
    expected: float

    @classmethod
    def of(cls, table: npt.NDArray[np.int64]) -> _Shares:
        n = int(table.sum())
        by_row = table.sum(axis=1) / n
        by_column = table.sum(axis=0) / n
        return cls(by_row, by_column, float(np.trace(table)) / n, float(by_row @ by_column))

    @property
    def kappa(self) -> float:
        return (self.observed - self.expected) / (1 - self.expected)

    def influence(self, rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64]) -> Values:
        """Return u of each judgement, from the numbers of the labels that the two sources gave."""
        observed = self.observed
        expected = self.expected
        changes: Values = (
            # Crossed on purpose: a row's label takes its share
            # among the columns, and the other way round.
            (rows == columns) * (1 - expected)
            - (1 - observed) * (self.by_column[rows] + self.by_row[columns])
            + (2 * expected - observed * expected - observed)
        ) / (1 - expected) ** 2
        return changes


def _why_none(table: npt.NDArray[np.int64], people: Sequence[str]) -> NoInterval | None:
    """Return what stands against an interval, as far as the table tells."""
    if len(set(people)) < MINIMUM:
        return NoInterval.TOO_FEW
    if np.trace(table) == table.sum():
        return NoInterval.PERFECT
    # Labels of the caller that nobody used are empty rows and
    # columns, so the table's size says nothing.
    if 1 in (np.count_nonzero(table.any(axis=1)), np.count_nonzero(table.any(axis=0))):
        return NoInterval.CONSTANT
    return None


def _interval(kappa: float, influence: Values, people: Sequence[str]) -> Interval | None:
    """Return the interval from the influences summed by participant, cut at 1.

    ``None`` where these sums are rounding: all participants gave the same.
    """
    count = len(set(people))
    sums: dict[str, float] = {}
    for participant, value in zip(people, influence, strict=True):
        sums[participant] = sums.get(participant, 0.0) + float(value)
    # Where all participants gave the same, the sums cancel to rounding,
    # and the interval would be nearly as short as a point.
    if max(map(abs, sums.values())) <= _ROUNDING * max(1.0, float(np.max(np.abs(influence)))):
        return None
    variance = (
        count / (count - 1) * math.fsum(value**2 for value in sums.values()) / len(people) ** 2
    )
    half = float(special.stdtrit(count - 1, 0.5 + LEVEL / 2)) * math.sqrt(variance)
    # Kappa is bounded, ± t · SE is not.
    return Interval(max(-1.0, kappa - half), min(1.0, kappa + half))


@dataclass(frozen=True, slots=True)
class LimitsOfAgreement:
    """The limits of agreement of two instruments, for their difference, first minus second.

    Attributes:
        n: differences.
        people: how many people they are of.
        bias: their mean.
        sd: standard deviation of a single difference of anybody: within and between people.
        limits: bias ± 1.96 sd; 95 % of single differences lie between, if they are normal.
        bias_interval: 95 % interval of the mean of people's own biases, by people.
        low_interval: 95 % interval of the lower limit.
        high_interval: the same of the upper limit.
    """

    n: int
    people: int
    bias: float
    sd: float
    limits: Interval
    bias_interval: Interval
    low_interval: Interval
    high_interval: Interval


def limits_of_agreement(people: Sequence[str], differences: Sequence[float]) -> LimitsOfAgreement:
    """Return Bland and Altman's limits for repeated measures whose true value varies.

    Formula: a one-way analysis of variance of the differences by person gives MS between and
    within; the variance of a single difference is MSw + (MSb − MSw) / m₀, where m₀ = ((Σm)² − Σm²)
    / ((k − 1) Σm) for k people with m differences each (an MSb below MSw adds nothing). Assumes
    that the differences do not grow with the value, and are about normal. Source: Bland & Altman
    2007, J Biopharm Stat 17:571–582, section 3. The intervals of the limits are those of Zou 2013,
    Stat Methods Med Res 22:630–642, by the variances between and within people.

    Args:
        people: whose difference each is.
        differences: first instrument minus second, at the same time.

    Raises:
        TooFewError: fewer than two people, or nobody has two differences.
        StatisticsError: a value is not finite.
    """
    values = check_values(differences)
    counts = Counter(people)
    if len(counts) < 2 or len(values) == len(counts):
        raise TooFewError(
            N_(
                "limits of agreement need two people or more, and one with several "
                "differences; there are {n} of {n_2}"
            ),
            n=len(values),
            n_2=len(counts),
        )
    own: defaultdict[str, list[float]] = defaultdict(list)
    for person, value in zip(people, values.tolist(), strict=True):
        own[person].append(value)
    total = len(values)
    bias = float(values.mean())
    means = {person: math.fsum(row) / len(row) for person, row in own.items()}
    between = math.fsum(counts[person] * (means[person] - bias) ** 2 for person in own)
    within = math.fsum((value - means[person]) ** 2 for person, row in own.items() for value in row)
    ms_between = between / (len(own) - 1)
    ms_within = within / (total - len(own))
    squares = sum(count**2 for count in counts.values())
    # m₀: with equally many differences a person it is their
    # number, and else somewhat below their mean.
    usual = (total**2 - squares) / ((len(own) - 1) * total)
    sd = math.sqrt(ms_within + max(0.0, ms_between - ms_within) / usual)
    limits = Interval(bias - NORMAL * sd, bias + NORMAL * sd)
    spread = _spread_of(means, counts, ms_within)
    half = float(special.stdtrit(len(own) - 1, _TAIL)) * spread.error
    return LimitsOfAgreement(
        total,
        len(own),
        bias,
        sd,
        limits,
        Interval(bias - half, bias + half),
        Interval(limits.low - spread.outwards, limits.low + spread.inwards),
        Interval(limits.high - spread.inwards, limits.high + spread.outwards),
    )


@dataclass(frozen=True, slots=True)
class _Spread:
    """How uncertain limits of agreement are.

    Attributes:
        error: standard error of the mean of people's biases.
        inwards: how far the interval of a limit reaches toward the bias.
        outwards: how far it reaches away from it.
    """

    error: float
    inwards: float
    outwards: float


def _spread_of(means: Mapping[str, float], counts: Mapping[str, int], ms_within: float) -> _Spread:
    """Return the uncertainty of limits by Zou's method of variance estimates recovery.

    The variance of a single difference is that of people's means and (1 − 1/m_h) MSw, m_h being
    the harmonic mean of how many differences they have; each of the two has an interval by χ².
    """
    k, total = len(means), sum(counts.values())
    unweighted = math.fsum(means.values()) / k
    between = math.fsum((mean - unweighted) ** 2 for mean in means.values()) / (k - 1)
    share = 1 - math.fsum(1 / count for count in counts.values()) / k
    parts = ((between, k - 1), (share * ms_within, total - k))
    variance = between + share * ms_within
    sd = math.sqrt(variance)
    # chdtri takes the probability above: the quantiles of 0.975 and 0.025
    less = math.hypot(*(v * (1 - df / special.chdtri(df, 1 - _TAIL)) for v, df in parts))
    more = math.hypot(*(v * (df / special.chdtri(df, _TAIL) - 1) for v, df in parts))
    error = math.sqrt(between / k)
    return _Spread(
        error,
        NORMAL * math.hypot(error, sd - math.sqrt(max(0.0, variance - less))),
        NORMAL * math.hypot(error, math.sqrt(variance + more) - sd),
    )


@dataclass(frozen=True, slots=True)
class IntraclassCorrelation:
    """ICC(A,1): how much of the variance of single values is between people, bias counted.

    Attributes:
        n: people.
        icc: at most 1; below 0 where the instruments differ more than people.
        interval: its 95 % interval.
    """

    n: int
    icc: float
    interval: Interval


def intraclass_correlation(
    first: Sequence[float], second: Sequence[float]
) -> IntraclassCorrelation:
    """Return ICC(A,1) of two instruments, a value of each person each.

    Formula: (MSR − MSE) / (MSR + (k − 1) MSE + k (MSC − MSE) / n), k = 2, of a two-way analysis of
    variance by people (R) and instruments (C); interval of case 2A with Satterthwaite's degrees of
    freedom. It depends on how much people differ: wide people make it large. Source: McGraw & Wong
    1996, Psychological Methods 1:30–46, tables 4 and 7.

    Raises:
        TooFewError: fewer than three people.
        NoVariationError: all values are equal, or the two instruments agree to the last digit.
        StatisticsError: a value is not finite.
    """
    table = np.column_stack([check_values(first), check_values(second)])
    n = len(table)
    if n < 3:
        raise TooFewError(N_("an intraclass correlation needs three people; there are {n}"), n=n)
    grand = table.mean()
    # The source's formulas with k = 2 put in, so that k − 1 is gone.
    msr = 2 * float(np.sum((table.mean(axis=1) - grand) ** 2)) / (n - 1)
    msc = n * float(np.sum((table.mean(axis=0) - grand) ** 2))
    rest = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0) + grand
    mse = float(np.sum(rest**2)) / (n - 1)
    # A mean square: this is a spread of 1e-12 of the values, which is rounding.
    if mse <= 1e-24 * max(1.0, grand**2):
        raise NoVariationError(N_("the instruments differ by the same amount in everybody"))
    icc = (msr - mse) / (msr + mse + 2 * (msc - mse) / n)
    # a, b and df have no meaning of their own: they are named as in table 7 of the source.
    a = 2 * icc / (n * (1 - icc))
    b = 1 + 2 * icc * (n - 1) / (n * (1 - icc))
    df = (a * msc + b * mse) ** 2 / ((a * msc) ** 2 + (b * mse) ** 2 / (n - 1))
    # The two ends need F with swapped degrees of freedom, so neither is the inverse of the other.
    above = float(special.fdtri(n - 1, df, _TAIL))
    below = float(special.fdtri(df, n - 1, _TAIL))
    noise = 2 * msc + (n - 2) * mse
    low = n * (msr - above * mse) / (above * noise + n * msr)
    high = n * (below * msr - mse) / (noise + n * below * msr)
    return IntraclassCorrelation(n, icc, Interval(low, high))
