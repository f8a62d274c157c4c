"""Rank tests beside a t-test, with ties, and the Shapiro–Wilk test of normality. Pure."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dashboard.statistics import MINIMUM
from dashboard.statistics.distributions import Values, count_rank_sums, two_tails
from dashboard.statistics.samples import (
    NoVariationError,
    TooFewError,
    check_values,
    groups,
    is_constant,
    pairs,
)
from edge_agent.core.texts import N_

_EXACT_RANKS = 50  # up to so many differences the distribution of a rank sum is enumerated
_EXACT_SPLITS = 5000  # the same, of the smaller group times both groups: some ten milliseconds
_DIGITS = 12  # further digits of the largest value are rounding error and break no tie


@dataclass(frozen=True, slots=True)
class RankTest:
    """A two-sided rank test beside a t-test.

    Attributes:
        name: which test.
        statistic: the smaller of the two signed rank sums, or U of the first group (as SciPy gives
            them).
        p: two-sided p, unadjusted.
        exact: whether p is from the exact distribution (given the ties) or from the normal
            approximation.
        rank_biserial: the effect size that belongs to it, −1…1; above 0 the first is larger.
    """

    name: Literal["wilcoxon_signed_rank", "mann_whitney"]
    statistic: float
    p: float
    exact: bool
    rank_biserial: float


def signed_rank(first: Iterable[float], second: Iterable[float]) -> RankTest:
    """Wilcoxon signed-rank test of paired differences.

    Formula: differences are rounded at the 12th digit of the largest value, so that 70.3 − 70.0 and
    80.3 − 80.0 are a tie in floating point as well. Those of 0 are dropped (Wilcoxon), the rest
    ranked by size with mean ranks for ties; W is the smaller sum of ranks of one sign. Up to 50
    differences p is exact, ties or not: twice the smaller tail over all assignments of signs to the
    ranks. Above, normal approximation with correction for ties and continuity. Assumes independent
    participants and differences symmetric about their median.
    Source: Wilcoxon 1945; above 50 ``scipy.stats.wilcoxon``.

    Raises:
        StatisticsError: as ``paired_t``.
    """
    a, b = pairs(first, second)
    rounded = _whole(a - b, np.concatenate([a, b]))
    differences = rounded[rounded != 0]
    ranks = mean_ranks(np.abs(differences))
    positive = float(ranks[differences > 0].sum())
    negative = float(ranks[differences < 0].sum())
    statistic = min(positive, negative)
    effect = rank_biserial(positive, negative)
    if len(differences) > _EXACT_RANKS:
        from scipy import stats  # twenty megabytes: only where it is needed

        p = float(stats.wilcoxon(differences, correction=True).pvalue)
        return RankTest("wilcoxon_signed_rank", statistic, p, exact=False, rank_biserial=effect)
    # Any number of differences may be positive, so subsets of all sizes count.
    p = two_tails(count_rank_sums(ranks).sum(axis=0), positive)
    return RankTest("wilcoxon_signed_rank", statistic, p, exact=True, rank_biserial=effect)


def rank_sum(first: Iterable[float], second: Iterable[float]) -> RankTest:
    """Mann–Whitney U test of two independent groups.

    Formula: U = number of pairs (one of each group) in which the first is larger, ties as ½; values
    are rounded at the 12th digit of the largest. Where the smaller group times both groups is at
    most 5,000 (50 beside 50, 3 beside 1,600), p is exact, ties or not: twice the smaller tail over
    all splits of the ranks into the two groups. Above, normal approximation with correction for
    ties and continuity. Assumes that nobody is in both groups. Source: Mann & Whitney 1947; the
    approximation is that of ``scipy.stats.mannwhitneyu``.

    Raises:
        StatisticsError: as ``welch_t``.
    """
    one, other = groups(first, second)
    both = np.concatenate([one, other])
    a = _whole(one, both)
    b = _whole(other, both)
    ranks = mean_ranks(np.concatenate([a, b]))
    own = float(ranks[: len(a)].sum())
    statistic = own - len(a) * (len(a) + 1) / 2
    effect = rank_biserial(statistic, len(a) * len(b) - statistic)
    # All values are tied: there is nothing to enumerate, and the approximation would divide by 0.
    if not np.ptp(ranks):
        return RankTest("mann_whitney", statistic, 1.0, exact=True, rank_biserial=effect)
    # Counted by the smaller group: time and memory grow with the size of the subsets.
    few = min(len(a), len(b))
    if few * len(ranks) > _EXACT_SPLITS:
        from scipy import stats  # twenty megabytes: only where it is needed

        p = float(stats.mannwhitneyu(a, b, use_continuity=True, method="asymptotic").pvalue)
        return RankTest("mann_whitney", statistic, p, exact=False, rank_biserial=effect)
    of_few = own if few == len(a) else float(ranks[len(a) :].sum())
    p = two_tails(count_rank_sums(ranks, few)[few], of_few)
    return RankTest("mann_whitney", statistic, p, exact=True, rank_biserial=effect)


def mean_ranks(values: Values) -> Values:
    """Return the rank of each value from 1 on; equal values share the mean of theirs.

    >>> mean_ranks(np.array([30.0, 10.0, 10.0]))
    array([3. , 1.5, 1.5])
    """
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Values = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return ranks


def _whole(values: Values, scale: Values) -> Values:
    """Return values in whole units of the 12th digit of the largest of ``scale``."""
    exponent = math.floor(math.log10(float(np.max(np.abs(scale)))))
    return np.rint(values / 10.0 ** (exponent + 1 - _DIGITS))


def rank_biserial(favourable: float, unfavourable: float) -> float:
    """Return the rank-biserial correlation, the effect size of a rank test, −1…1.

    Formula: (favourable − unfavourable) / (favourable + unfavourable). For matched pairs these are
    the sums of ranks of the positive and of the negative differences, (W₊ − W₋) / (W₊ + W₋). For
    two groups they are the pairs of people in which the first is larger and those in which the
    second is, ties as ½: with U of the first group 2 U / (n₁ n₂) − 1, which is 1 − 2 U / (n₁ n₂)
    with U of the second. Source: Kerby 2014.

    Args:
        favourable: rank sum or number of pairs that speak for the first; not negative.
        unfavourable: the same for the second; not negative. 0 comes back where both are 0.

    Example:
        >>> rank_biserial(favourable=18.0, unfavourable=3.0)
        0.7142857142857143
    """
    if favourable == unfavourable:
        return 0.0
    return (favourable - unfavourable) / (favourable + unfavourable)


@dataclass(frozen=True, slots=True)
class Normality:
    """A Shapiro–Wilk test: ``w`` in 0…1 and its p.

    A small p speaks against a normal distribution.
    """

    w: float
    p: float


def shapiro_wilk(values: Iterable[float]) -> Normality:
    """Shapiro–Wilk test of normality, by SciPy.

    Formula: W = (Σ aᵢ x₍ᵢ₎)² / Σ (xᵢ − mean)², aᵢ the scaled expected normal order statistics.
    Assumes independent values. With few of them it finds only gross departures: a large p proves
    nothing. Source: Shapiro & Wilk 1965; Royston 1995 (AS R94).

    Raises:
        TooFewError: fewer than three values.
        NoVariationError: all are equal.
        StatisticsError: a value is not finite or beyond 1e±60.
    """
    sample = check_values(values)
    n = len(sample)
    if n < MINIMUM:
        raise TooFewError(
            N_("a Shapiro–Wilk test needs at least {minimum} participants; there are {n}"),
            minimum=MINIMUM,
            n=n,
        )
    if is_constant(sample, sample):
        raise NoVariationError(N_("all values are equal, so their distribution cannot be tested"))
    from scipy import stats  # half a second and 20 MB, for processes that test only

    # W has no scale; a range of 1 keeps the squares of tiny and of huge values in reach
    spread = (sample - sample.min()) / (sample.max() - sample.min())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # above 5000 values p is less exact
        answer = stats.shapiro(spread)
    return Normality(float(answer.statistic), float(answer.pvalue))
