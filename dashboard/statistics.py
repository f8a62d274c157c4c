"""The statistics of the analysis page: pure functions from one value per participant to numbers with their meaning.

A value is one participant's mean in one state; frames and readings are never the unit. Every function takes finite
float values, says its formula, assumptions and source, and raises ``StatisticsError`` rather than return NaN.

Sources named below in short:
    Welch 1947, Biometrika 34:28–35. Hedges 1981, Journal of Educational Statistics 6:107–128.
    Algina & Keselman 2003, Educational and Psychological Measurement 63:537–553 (interval for pairs).
    Cousineau 2020, The Quantitative Methods for Psychology 16:418–421 (degrees of freedom for pairs).
    Delacre, Lakens, Ley, Liu & Leys 2021, "Why Hedges' g*s based on the non-pooled standard deviation should be
    reported with Welch's t-test", doi 10.31234/osf.io/tu6mp (independent groups).
    Shapiro & Wilk 1965, Biometrika 52:591–611; Royston 1995, Applied Statistics 44:547–551 (algorithm AS R94).
    Wilcoxon 1945, Biometrics Bulletin 1:80–83. Mann & Whitney 1947, Annals of Mathematical Statistics 18:50–60.
    Holm 1979, Scandinavian Journal of Statistics 6:65–70.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import numpy as np
from scipy import special, stats

from dashboard.distributions import Values, count_rank_sums, noncentrality, two_tails
from edge_agent.errors import StatisticsError

LEVEL = 0.95
"""Level of every interval."""

MINIMUM = 3
"""Fewest participants for a test: pairs in a paired one, people in each group of an independent one."""

_SMALLEST, _LARGEST = 1e-60, 1e60  # beyond these, fourth powers (Welch's df) leave the range of a double
_CONSTANT = 64 * float(np.finfo(np.float64).eps)  # a spread below this share of the values is rounding
_EXACT_RANKS = 50  # up to so many ranks the distribution of a rank sum is enumerated


class TooFewError(StatisticsError):
    """There are fewer participants than the test needs; the text says how many it needs and how many there are."""


class NoVariationError(StatisticsError):
    """The values do not vary, so that t would be a division by zero."""


class Method(StrEnum):
    """Which t-test was computed."""

    PAIRED = "paired"
    WELCH = "welch"


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % confidence interval, both ends in the unit of what it is about."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Summary:
    """One group of values.

    Attributes:
        n: how many.
        mean: their mean.
        sd: sample standard deviation (n − 1 below); ``None`` for fewer than two.
        interval: 95 % interval of the mean; ``None`` for fewer than three, where it would say nothing.
    """

    n: int
    mean: float
    sd: float | None
    interval: Interval | None


@dataclass(frozen=True, slots=True)
class TTest:
    """A two-sided t-test of the difference *first minus second*.

    Attributes:
        method: paired or Welch.
        n_first: participants on the first side; with a paired test the number of pairs, and equal to ``n_second``.
        n_second: participants on the second side.
        difference: mean difference, in the unit of the values.
        interval: 95 % interval of the difference.
        t: the test statistic.
        df: degrees of freedom; fractional with Welch's test.
        p: two-sided p, unadjusted and unrounded.
    """

    method: Method
    n_first: int
    n_second: int
    difference: float
    interval: Interval
    t: float
    df: float
    p: float


@dataclass(frozen=True, slots=True)
class EffectSize:
    """Hedges' g of *first minus second* with its 95 % interval; it has no unit."""

    g: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class Normality:
    """A Shapiro–Wilk test: ``w`` in 0…1 and its p; a small p speaks against a normal distribution."""

    w: float
    p: float


@dataclass(frozen=True, slots=True)
class RankTest:
    """A two-sided rank test beside a t-test.

    Attributes:
        name: which test.
        statistic: the smaller of the two signed rank sums, or U of the first group (as SciPy gives them).
        p: two-sided p, unadjusted.
        exact: whether p is from the exact distribution (given the ties) or from the normal approximation.
    """

    name: Literal["wilcoxon_signed_rank", "mann_whitney"]
    statistic: float
    p: float
    exact: bool


def summarize(values: Iterable[float]) -> Summary:
    """Describe one group.

    Formula: mean ± t(1 − 0.05/2; n − 1) · s / √n. Assumes independent values from a normal distribution for the
    interval. Source: any textbook, such as Altman 1991, Practical Statistics for Medical Research, §8.4.

    Raises:
        StatisticsError: no value, a value that is not finite, or one beyond 1e±60.
    """
    sample = _checked(values)
    if len(sample) == 0:
        raise TooFewError("a mean needs at least 1 participant; there are 0")
    mean = float(np.mean(sample))
    if len(sample) == 1:
        return Summary(1, mean, None, None)
    sd = float(np.std(sample, ddof=1))
    if len(sample) < MINIMUM:
        return Summary(len(sample), mean, sd, None)
    half = float(special.stdtrit(len(sample) - 1, 0.5 + LEVEL / 2)) * sd / math.sqrt(len(sample))
    return Summary(len(sample), mean, sd, Interval(mean - half, mean + half))


def paired_t(first: Iterable[float], second: Iterable[float]) -> TTest:
    """Student's t-test of paired differences.

    Formula: d = first − second per participant; t = mean(d) / (s_d / √n), df = n − 1; interval
    mean(d) ± t(0.975; n − 1) · s_d / √n. Assumes independent participants and differences from a normal distribution.
    Source: Student 1908, Biometrika 6:1–25. Equal to ``scipy.stats.ttest_rel`` and R's ``t.test(paired = TRUE)``.

    Args:
        first: one value a participant.
        second: the same participants in the same order.

    Raises:
        TooFewError: fewer than three pairs.
        NoVariationError: all differences are equal.
        StatisticsError: lengths differ, or a value is not finite or beyond 1e±60.
    """
    a, b = _pairs(first, second)
    return _t_test(Method.PAIRED, a, b, float(np.mean(a - b)), _standard_error(a, b, Method.PAIRED), len(a) - 1)


def welch_t(first: Iterable[float], second: Iterable[float]) -> TTest:
    """Welch's t-test of two independent groups.

    Formula: v = s² / n per group; t = (mean₁ − mean₂) / √(v₁ + v₂);
    df = (v₁ + v₂)² / (v₁² / (n₁ − 1) + v₂² / (n₂ − 1)). Assumes that nobody is in both groups and each group is from a
    normal distribution; the variances may differ. Source: Welch 1947. Equal to SciPy's
    ``ttest_ind(equal_var=False)`` and R's ``t.test``.

    Raises:
        TooFewError: fewer than three participants in a group.
        NoVariationError: neither group varies.
        StatisticsError: a value is not finite or beyond 1e±60.
    """
    a, b = _groups(first, second)
    difference = float(np.mean(a) - np.mean(b))
    v, w = float(np.var(a, ddof=1)) / len(a), float(np.var(b, ddof=1)) / len(b)
    df = (v + w) ** 2 / (v**2 / (len(a) - 1) + w**2 / (len(b) - 1))
    return _t_test(Method.WELCH, a, b, difference, _standard_error(a, b, Method.WELCH), df)


def hedges_g(first: Iterable[float], second: Iterable[float], method: Method) -> EffectSize:
    """Hedges' g standardised by the average of the two variances, with an interval from the noncentral t.

    Formula, with t, df and standard error SE of the t-test of ``method``, s₁₂ the covariance and
    s_av = √((s₁² + s₂²) / 2):
        g = J(ν) · (mean₁ − mean₂) / s_av,   J as in ``small_sample_correction``
        ν = (n − 1) · (s₁² + s₂²)² / (s₁⁴ + s₂⁴ + 2 s₁₂²) for pairs (Cousineau 2020),
            (s₁² + s₂²)² / (s₁⁴ / (n₁ − 1) + s₂⁴ / (n₂ − 1)) for groups (Delacre et al. 2021)
        interval = (SE / s_av) · [λ_low, λ_high], the noncentralities that put t at the 97.5 % and 2.5 % points of
            the noncentral t distribution with df (Algina & Keselman 2003 for pairs, Delacre et al. 2021 for groups)
    The same standardiser serves both designs, so that a paired g is comparable with an independent one: it is g_av,
    not g_z, which is larger where a participant's two values correlate by more than about one half. The interval is
    for the population's effect and is not shrunk by J; it excludes 0 exactly when the t-test has p < 0.05. Assumes
    what the t-test assumes. ``benchmarks/effect_intervals.py`` measures bias and coverage.

    Raises:
        StatisticsError: as the t-test of ``method``.
    """
    a, b = _pairs(first, second) if method is Method.PAIRED else _groups(first, second)
    test = paired_t(a, b) if method is Method.PAIRED else welch_t(a, b)
    average = math.sqrt((float(np.var(a, ddof=1)) + float(np.var(b, ddof=1))) / 2)
    scale = _standard_error(a, b, method) / average
    return EffectSize(
        g=small_sample_correction(_standardiser_df(a, b, method)) * test.difference / average,
        interval=Interval(
            scale * noncentrality(test.t, test.df, 0.5 + LEVEL / 2),
            scale * noncentrality(test.t, test.df, 0.5 - LEVEL / 2),
        ),
    )


def small_sample_correction(df: float) -> float:
    """Return Hedges' J, which removes the bias of a standardised difference in small samples.

    Formula: J(df) = Γ(df / 2) / (√(df / 2) · Γ((df − 1) / 2)), below 1 and rising to it. Source: Hedges 1981, eq. 6e.

    Raises:
        StatisticsError: ``df`` is not above 1.
    """
    if not df > 1:
        raise StatisticsError(f"Hedges' correction needs more than 1 degree of freedom, not {df}")
    return math.exp(math.lgamma(df / 2) - math.lgamma((df - 1) / 2)) / math.sqrt(df / 2)


def shapiro_wilk(values: Iterable[float]) -> Normality:
    """Shapiro–Wilk test of normality.

    Formula: W = (Σ aᵢ x₍ᵢ₎)² / Σ (xᵢ − mean)², aᵢ the scaled expected normal order statistics. Assumes independent
    values. With few of them it finds only gross departures: a large p proves nothing. Source: Shapiro & Wilk 1965;
    Royston 1995; computed by ``scipy.stats.shapiro``.

    Raises:
        TooFewError: fewer than three values.
        NoVariationError: all are equal.
        StatisticsError: a value is not finite or beyond 1e±60.
    """
    sample = _checked(values)
    if len(sample) < MINIMUM:
        raise TooFewError(f"a Shapiro–Wilk test needs at least {MINIMUM} participants; there are {len(sample)}")
    if _is_constant(sample, sample):
        raise NoVariationError("all values are equal, so their distribution cannot be tested")
    # SciPy calls a range below 1e-19 zero; W has no scale, and a power of two changes no digit.
    found = stats.shapiro(np.ldexp(sample, -math.frexp(float(np.ptp(sample)))[1]))
    return Normality(float(found.statistic), float(found.pvalue))


def signed_rank(first: Iterable[float], second: Iterable[float]) -> RankTest:
    """Wilcoxon signed-rank test of paired differences.

    Formula: differences of 0 are dropped (Wilcoxon), the rest ranked by size with mean ranks for ties; W is the smaller
    sum of ranks of one sign. Up to 50 differences p is exact, ties or not: twice the smaller tail over all assignments
    of signs to the ranks. Above, normal approximation with correction for ties and continuity. Assumes independent
    participants and differences symmetric about their median. Source: Wilcoxon 1945; above 50 ``scipy.stats.wilcoxon``.

    Raises:
        StatisticsError: as ``paired_t``.
    """
    a, b = _pairs(first, second)
    differences = (a - b)[a != b]
    ranks = stats.rankdata(np.abs(differences))
    positive = float(ranks[differences > 0].sum())
    statistic = min(positive, float(ranks.sum()) - positive)
    if len(differences) > _EXACT_RANKS:
        p = float(stats.wilcoxon(differences, correction=True).pvalue)
        return RankTest("wilcoxon_signed_rank", statistic, p, exact=False)
    return RankTest(
        "wilcoxon_signed_rank", statistic, two_tails(count_rank_sums(ranks).sum(axis=0), positive), exact=True
    )


def rank_sum(first: Iterable[float], second: Iterable[float]) -> RankTest:
    """Mann–Whitney U test of two independent groups.

    Formula: U = number of pairs (one of each group) in which the first is larger, ties as ½. Up to 50 people in both
    groups together p is exact, ties or not: twice the smaller tail over all splits of the ranks into the two groups.
    Above, normal approximation with correction for ties and continuity. Assumes that nobody is in both groups.
    Source: Mann & Whitney 1947; above 50 ``scipy.stats.mannwhitneyu``.

    Raises:
        StatisticsError: as ``welch_t``.
    """
    a, b = _groups(first, second)
    ranks = stats.rankdata(np.concatenate([a, b]))
    own = float(ranks[: len(a)].sum())
    statistic = own - len(a) * (len(a) + 1) / 2
    if len(ranks) > _EXACT_RANKS:
        p = float(stats.mannwhitneyu(a, b, use_continuity=True, method="asymptotic").pvalue)
        return RankTest("mann_whitney", statistic, p, exact=False)
    return RankTest("mann_whitney", statistic, two_tails(count_rank_sums(ranks)[len(a)], own), exact=True)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Adjust the p values of one family by Holm's step-down method; the order stays.

    Formula, for p₍₁₎ ≤ … ≤ p₍ₘ₎: adjusted p₍ᵢ₎ = max over j ≤ i of min(1, (m − j + 1) · p₍ⱼ₎). Bounds the chance of
    any false positive in the family by the level, whatever the dependence between the tests. Source: Holm 1979.

    Raises:
        StatisticsError: a p is not in 0…1.
    """
    for p in p_values:
        if not 0 <= p <= 1:
            raise StatisticsError(f"a p value lies between 0 and 1; {p} does not")
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = largest
    return tuple(adjusted)


def _t_test(method: Method, a: Values, b: Values, difference: float, error: float, df: float) -> TTest:
    """Return the test of a difference with its standard error, from Student's t distribution."""
    t = difference / error
    half = float(special.stdtrit(df, 0.5 + LEVEL / 2)) * error
    return TTest(
        method=method,
        n_first=len(a),
        n_second=len(b),
        difference=difference,
        interval=Interval(difference - half, difference + half),
        t=t,
        df=float(df),
        p=2 * float(special.stdtr(df, -abs(t))),
    )


def _standard_error(a: Values, b: Values, method: Method) -> float:
    """Return the standard error of the mean difference."""
    if method is Method.PAIRED:
        return float(np.std(a - b, ddof=1)) / math.sqrt(len(a))
    return math.sqrt(float(np.var(a, ddof=1)) / len(a) + float(np.var(b, ddof=1)) / len(b))


def _standardiser_df(a: Values, b: Values, method: Method) -> float:
    """Return ν, the degrees of freedom of the average of the two variances."""
    v, w = float(np.var(a, ddof=1)), float(np.var(b, ddof=1))
    if method is Method.PAIRED:
        shared = float(np.cov(a, b)[0, 1])
        return (len(a) - 1) * (v + w) ** 2 / (v**2 + w**2 + 2 * shared**2)
    return (v + w) ** 2 / (v**2 / (len(a) - 1) + w**2 / (len(b) - 1))


def _checked(values: Iterable[float]) -> Values:
    """Return the values as an array after refusing what cannot be computed with."""
    sample = np.asarray(tuple(values), dtype=np.float64)
    for value in sample[~np.isfinite(sample)]:
        raise StatisticsError(f"{value} is not a finite number; leave the participant out or mend the reading")
    largest = float(np.max(np.abs(sample), initial=0.0))
    if largest > _LARGEST or 0 < largest < _SMALLEST:
        raise StatisticsError(
            f"the largest value is {largest:g}; values between {_SMALLEST:g} and {_LARGEST:g} can be computed with. "
            "Choose another unit."
        )
    return sample


def _pairs(first: Iterable[float], second: Iterable[float]) -> tuple[Values, Values]:
    """Return both sides of a paired test, checked."""
    a, b = _checked(first), _checked(second)
    if len(a) != len(b):
        raise StatisticsError(f"pairs need equally many values on both sides, not {len(a)} and {len(b)}")
    if len(a) < MINIMUM:
        raise TooFewError(f"a paired test needs at least {MINIMUM} participants with both states; there are {len(a)}")
    if _is_constant(a - b, np.concatenate([a, b])):
        raise NoVariationError(f"the difference is the same for all {len(a)} participants, so t has no denominator")
    return a, b


def _groups(first: Iterable[float], second: Iterable[float]) -> tuple[Values, Values]:
    """Return both sides of an independent test, checked."""
    a, b = _checked(first), _checked(second)
    if min(len(a), len(b)) < MINIMUM:
        raise TooFewError(
            f"Welch's test needs at least {MINIMUM} participants in each state; there are {len(a)} and {len(b)}"
        )
    if _is_constant(a, a) and _is_constant(b, b):
        raise NoVariationError("no participant differs from another within either state, so t has no denominator")
    return a, b


def _is_constant(values: Values, scale: Values) -> bool:
    """Tell whether values spread by no more than rounding, given the size of what they were computed from."""
    return float(np.ptp(values)) <= _CONSTANT * float(np.max(np.abs(scale)))
