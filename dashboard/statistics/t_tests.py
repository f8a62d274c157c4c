"""Means and t-tests of participants. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy import special

from dashboard.statistics.distributions import Values
from dashboard.statistics.samples import (
    LEVEL,
    MINIMUM,
    Interval,
    TooFewError,
    checked,
    groups,
    pairs,
)
from edge_agent.core.texts import N_


class Method(StrEnum):
    """Which t-test was computed."""

    PAIRED = "paired"
    WELCH = "welch"


@dataclass(frozen=True, slots=True)
class Summary:
    """One group of values.

    Attributes:
        n: how many.
        mean: their mean.
        sd: sample standard deviation (n − 1 below); ``None`` for fewer than two.
        interval: 95 % interval of the mean; ``None`` for fewer than three, where it would say
            nothing.
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
        n_first: participants on the first side; with a paired test the number of pairs, and equal
            to ``n_second``.
        n_second: participants on the second side.
        difference: mean difference, in the unit of the values.
        interval: 95 % interval of the difference.
        error: standard error of the difference.
        t: the test statistic.
        df: degrees of freedom; fractional with Welch's test.
        p: two-sided p, unadjusted and unrounded.
    """

    method: Method
    n_first: int
    n_second: int
    difference: float
    interval: Interval
    error: float
    t: float
    df: float
    p: float


def summarize(values: Iterable[float]) -> Summary:
    """Describe one group.

    Formula: mean ± t(1 − 0.05/2; n − 1) · s / √n. Assumes independent values from a normal
    distribution for the
    interval. Source: any textbook, such as Altman 1991, Practical Statistics for Medical Research,
    §8.4.

    Raises:
        StatisticsError: no value, a value that is not finite, or one beyond 1e±60.
    """
    sample = checked(values)
    if len(sample) == 0:
        raise TooFewError(N_("a mean needs at least 1 participant; there are 0"))
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
    mean(d) ± t(0.975; n − 1) · s_d / √n. Assumes independent participants and differences from a
    normal distribution. Source: Student 1908, Biometrika 6:1–25. Equal to ``scipy.stats.ttest_rel``
    and R's ``t.test(paired = TRUE)``.

    Args:
        first: one value a participant.
        second: the same participants in the same order.

    Raises:
        TooFewError: fewer than three pairs.
        NoVariationError: all differences are equal.
        StatisticsError: lengths differ, or a value is not finite or beyond 1e±60.
    """
    a, b = pairs(first, second)
    return _t_test(
        Method.PAIRED, a, b, float(np.mean(a - b)), standard_error(a, b, Method.PAIRED), len(a) - 1
    )


def welch_t(first: Iterable[float], second: Iterable[float]) -> TTest:
    """Welch's t-test of two independent groups.

    Formula: v = s² / n per group; t = (mean₁ − mean₂) / √(v₁ + v₂);
    df = (v₁ + v₂)² / (v₁² / (n₁ − 1) + v₂² / (n₂ − 1)). Assumes that nobody is in both groups and
    each group is from a normal distribution; the variances may differ. Source: Welch 1947. Equal to
    SciPy's ``ttest_ind(equal_var=False)`` and R's ``t.test``.

    Raises:
        TooFewError: fewer than three participants in a group.
        NoVariationError: neither group varies.
        StatisticsError: a value is not finite or beyond 1e±60.
    """
    a, b = groups(first, second)
    difference = float(np.mean(a) - np.mean(b))
    v = float(np.var(a, ddof=1)) / len(a)
    w = float(np.var(b, ddof=1)) / len(b)
    df = (v + w) ** 2 / (v**2 / (len(a) - 1) + w**2 / (len(b) - 1))
    return _t_test(Method.WELCH, a, b, difference, standard_error(a, b, Method.WELCH), df)


def _t_test(
    method: Method, a: Values, b: Values, difference: float, error: float, df: float
) -> TTest:
    """Return the test of a difference with its standard error, from Student's t distribution."""
    t = difference / error
    half = float(special.stdtrit(df, 0.5 + LEVEL / 2)) * error
    return TTest(
        method=method,
        n_first=len(a),
        n_second=len(b),
        difference=difference,
        interval=Interval(difference - half, difference + half),
        error=error,
        t=t,
        df=float(df),
        p=2 * float(special.stdtr(df, -abs(t))),
    )


def standard_error(a: Values, b: Values, method: Method) -> float:
    """Return the standard error of the mean difference."""
    if method is Method.PAIRED:
        return float(np.std(a - b, ddof=1)) / math.sqrt(len(a))
    return math.sqrt(float(np.var(a, ddof=1)) / len(a) + float(np.var(b, ddof=1)) / len(b))
