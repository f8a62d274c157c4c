"""T-tests of participants with Hedges' g, equivalence within declared bounds, and the JZS Bayes
factor. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

import numpy as np
from scipy import integrate, optimize, special

from dashboard.statistics import ALPHA, LEVEL, MINIMUM
from dashboard.statistics.distributions import Values, noncentrality
from dashboard.statistics.samples import Interval, TooFewError, check_values, groups, pairs
from edge_agent.core.errors import StatisticsError
from edge_agent.core.texts import N_

DEFAULT_SCALE = math.sqrt(2) / 2
"""Half of the effects that the alternative expects are smaller, in standard deviations."""
_FAR = 40.0  # e-folds of log g about the peak beyond which nothing of the integral is left


class Method(StrEnum):
    """The kind of t-test that was computed."""

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
    sample = check_values(values)
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


@dataclass(frozen=True, slots=True)
class EffectSize:
    """Hedges' g of *first minus second* with its 95 % interval; it has no unit.

    Attributes:
        g: the difference divided by ``standardiser``.
        interval: by the noncentral t distribution, not shrunk by J.
        standardiser: s_av / J, in the unit of the values: what another estimate of the same
            difference is divided by.
    """

    g: float
    interval: Interval
    standardiser: float


def hedges_g(first: Iterable[float], second: Iterable[float], method: Method) -> EffectSize:
    """Hedges' g standardised by the average of the two variances, with an interval from the
    noncentral t.

    Formula, with t, df and standard error SE of the t-test of ``method``, s₁₂ the covariance and
    s_av = √((s₁² + s₂²) / 2):
        g = J(ν) · (mean₁ − mean₂) / s_av,   J as in ``small_sample_correction``
        ν = (n − 1) · (s₁² + s₂²)² / (s₁⁴ + s₂⁴ + 2 s₁₂²) for pairs (Cousineau 2020),
            (s₁² + s₂²)² / (s₁⁴ / (n₁ − 1) + s₂⁴ / (n₂ − 1)) for groups (Delacre et al. 2021)
        interval = (SE / s_av) · [λ_low, λ_high], the noncentralities that put t at the 97.5 % and
            2.5 % points of the noncentral t distribution with df (Algina & Keselman 2003 for pairs,
            Delacre et al. 2021 for groups)
    The same standardiser serves both designs, so that a paired g is comparable with an independent
    one: it is g_av, not g_z, which is larger where a participant's two values correlate by more
    than about one half. The interval is for the population's effect and is not shrunk by J; it
    excludes 0 exactly when the t-test has p < 0.05. Assumes what the t-test assumes.
    ``benchmarks/simulated/effect_intervals.py`` measures bias and coverage.

    Raises:
        StatisticsError: as the t-test of ``method``.
    """
    a, b = pairs(first, second) if method is Method.PAIRED else groups(first, second)
    test = paired_t(a, b) if method is Method.PAIRED else welch_t(a, b)
    average = math.sqrt((float(np.var(a, ddof=1)) + float(np.var(b, ddof=1))) / 2)
    scale = standard_error(a, b, method) / average
    correction = small_sample_correction(_standardiser_df(a, b, method))
    return EffectSize(
        g=correction * test.difference / average,
        # The CDF falls as the noncentrality rises, so the upper point gives the lower end.
        interval=Interval(
            scale * noncentrality(test.t, test.df, 0.5 + LEVEL / 2),
            scale * noncentrality(test.t, test.df, 0.5 - LEVEL / 2),
        ),
        standardiser=average / correction,
    )


def small_sample_correction(df: float) -> float:
    """Return Hedges' J, which removes the bias of a standardised difference in small samples.

    Formula: J(df) = Γ(df / 2) / (√(df / 2) · Γ((df − 1) / 2)), below 1 and rising to it. Source:
    Hedges 1981, eq. 6e.

    Raises:
        StatisticsError: ``df`` is not above 1.
    """
    if not df > 1:
        raise StatisticsError(
            N_("Hedges' correction needs more than 1 degree of freedom, not {df}"), df=df
        )
    # By logarithms: Γ itself overflows at a few hundred degrees of freedom.
    return math.exp(math.lgamma(df / 2) - math.lgamma((df - 1) / 2)) / math.sqrt(df / 2)


def _standardiser_df(a: Values, b: Values, method: Method) -> float:
    """Return ν, the degrees of freedom of the average of the two variances."""
    v = float(np.var(a, ddof=1))
    w = float(np.var(b, ddof=1))
    if method is Method.PAIRED:
        shared = float(np.cov(a, b)[0, 1])
        return (len(a) - 1) * (v + w) ** 2 / (v**2 + w**2 + 2 * shared**2)
    return (v + w) ** 2 / (v**2 / (len(a) - 1) + w**2 / (len(b) - 1))


@dataclass(frozen=True, slots=True)
class EquivalenceBounds:
    """The differences that count as none: everything between ``low`` and ``high``, in the unit of
    the vital.

    Raises:
        StatisticsError: 0 does not lie between two finite bounds.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not -float("inf") < self.low < 0 < self.high < float("inf"):
            raise StatisticsError(
                N_(
                    "equivalence bounds are one finite number below and one above 0, not "
                    "{low:g} and {high:g}"
                ),
                low=self.low,
                high=self.high,
            )


@dataclass(frozen=True, slots=True)
class Equivalence:
    """Two one-sided tests of the difference *first minus second* against both bounds.

    Attributes:
        method: paired or Welch.
        bounds: what counts as no difference.
        interval: 90 % interval of the difference; it lies within the bounds exactly when ``p`` is
            below 0.05.
        t_low: statistic against the lower bound; large where the difference lies well above it.
        t_high: statistic against the upper bound; far below 0 where the difference lies well below
            it.
        df: degrees of freedom.
        p_low: one-sided p of "the difference is not above the lower bound".
        p_high: one-sided p of "the difference is not below the upper bound".
        p: the larger of both, the p of the equivalence test.
    """

    method: Method
    bounds: EquivalenceBounds
    interval: Interval
    t_low: float
    t_high: float
    df: float
    p_low: float
    p_high: float
    p: float


def equivalence(
    first: Iterable[float], second: Iterable[float], method: Method, bounds: EquivalenceBounds
) -> Equivalence:
    """Two one-sided t-tests (TOST): is any difference smaller than the bounds?

    Formula, with difference, standard error SE and df of the t-test of ``method``:
    t_low = (difference − low) / SE, p_low = P(T ≥ t_low); t_high = (difference − high) / SE, p_high
    = P(T ≤ t_high); p = max(p_low, p_high); interval: difference ± t(0.95; df) · SE. Assumes what
    the t-test assumes, and bounds that were declared before the data were seen. A difference can be
    both significant and equivalent (real, but small), and neither (not enough data). Source:
    Schuirmann 1987, with Welch's standard error Lakens 2017. Equal to R's ``t.test(a, b, paired =
    …, mu = low, alternative = "greater")`` and ``(mu = high, alternative = "less")``.

    Raises:
        StatisticsError: as the t-test of ``method``.
    """
    test = (paired_t if method is Method.PAIRED else welch_t)(first, second)
    t_low = (test.difference - bounds.low) / test.error
    t_high = (test.difference - bounds.high) / test.error
    p_low = float(special.stdtr(test.df, -t_low))
    p_high = float(special.stdtr(test.df, t_high))
    half = float(special.stdtrit(test.df, 1 - ALPHA)) * test.error
    return Equivalence(
        method=method,
        bounds=bounds,
        interval=Interval(test.difference - half, test.difference + half),
        t_low=t_low,
        t_high=t_high,
        df=test.df,
        p_low=p_low,
        p_high=p_high,
        p=max(p_low, p_high),
    )


@dataclass(frozen=True, slots=True)
class BayesFactor:
    """Evidence from a t-test.

    Attributes:
        log_factor: natural logarithm of the factor for a difference; below 0 for none.
        scale: r of the Cauchy distribution of the effect that was supposed.
    """

    log_factor: float
    scale: float

    @property
    def for_difference(self) -> float:
        """BF₁₀: how many times more likely the data are with a difference; infinite above 1e308."""
        # ``math.exp`` raises OverflowError from 709.8 on.
        return math.exp(self.log_factor) if self.log_factor < 709 else math.inf

    @property
    def for_none(self) -> float:
        """BF₀₁: how many times more likely the data are without one."""
        return math.exp(-self.log_factor)


def bayes_factor_paired(t: float, n: int, scale: float = DEFAULT_SCALE) -> BayesFactor:
    """Return the JZS Bayes factor of a one-sample or paired t-test.

    Formula: with ν degrees of freedom and N the number of pairs, BF₁₀ = ∫ (1 + Ng)^(−1/2) (1 + t² /
    ((1 + Ng) ν))^(−(ν+1)/2) p(g) dg / (1 + t²/ν)^(−(ν+1)/2), p(g) the inverse-χ² density r
    (2π)^(−1/2) g^(−3/2) exp(−r² / (2g)): under the alternative the effect, in standard
    deviations of the differences, has a Cauchy distribution of scale r; under both
    the variance has Jeffreys’ prior.
    Taken by adaptive quadrature over log g, in logarithms, about the peak. Assumes what the t-test
    does. The factor depends on r: say it. Source: Rouder, Speckman, Sun, Morey & Iverson 2009, eq.
    1 (r = 1 there; √2/2 is the later default of their R package BayesFactor).

    Args:
        t: the statistic.
        n: pairs.
        scale: r, above 0.

    Raises:
        TooFewError: fewer than three pairs.
        StatisticsError: t is not finite, or the scale not above 0.
    """
    _require(t, scale, n)
    return BayesFactor(_log_factor(t, float(n), n - 1.0, scale), scale)


def bayes_factor_independent(
    t: float, n_first: int, n_second: int, scale: float = DEFAULT_SCALE
) -> BayesFactor:
    """Return the JZS Bayes factor of Student's t-test of two independent groups.

    Formula: as for pairs with N = n₁n₂ / (n₁ + n₂) and ν = n₁ + n₂ − 2. Assumes equal variances: t
    must be Student's, not Welch's. Source: Rouder et al. 2009.

    Raises:
        TooFewError: fewer than three in a group.
        StatisticsError: t is not finite, or the scale not above 0.
    """
    _require(t, scale, min(n_first, n_second))
    together = n_first * n_second / (n_first + n_second)
    return BayesFactor(_log_factor(t, together, n_first + n_second - 2.0, scale), scale)


def _require(t: float, scale: float, n: int) -> None:
    if n < MINIMUM:
        raise TooFewError(
            N_("a Bayes factor needs at least {minimum} participants; there are {n}"),
            minimum=MINIMUM,
            n=n,
        )
    if not math.isfinite(t):
        raise StatisticsError(N_("t is {t}; a Bayes factor needs a finite one"), t=t)
    if not 0 < scale < math.inf:
        raise StatisticsError(
            N_("the scale of a Bayes factor is {scale:g}; give one above 0"), scale=scale
        )


def _log_factor(t: float, n: float, df: float, scale: float) -> float:
    """Return log BF₁₀ from the integral over u = log g."""
    half = (df + 1) / 2
    ratio = t * t / df
    without = -half * math.log1p(ratio)
    log_n = math.log(n)
    constant = math.log(scale) - math.log(2 * math.pi) / 2
    narrow = scale**2 / 2

    def log_density(u: float) -> float:
        far = log_n + u
        # log (1 + N g), which is NumPy's ``logaddexp``; called a thousand times, it took a third.
        wider = far + math.log1p(math.exp(-far)) if far > 0 else math.log1p(math.exp(far))
        likelihood = -wider / 2 - half * math.log1p(ratio * math.exp(-wider))
        prior = constant - u / 2 - narrow * math.exp(-u)
        return likelihood + prior - without

    low = 2 * math.log(scale) - 2 * math.log(_FAR)  # below, exp(−r²/2g) is nothing
    high = 2 * math.log(scale) + math.log1p(t * t) + 2 * _FAR
    coarse = np.linspace(low, high, 400)
    # The search for the peak is a local one and needs bounds about it: a coarse grid gives them.
    start = coarse[int(np.argmax([log_density(float(u)) for u in coarse]))]
    width = float(coarse[1] - coarse[0])
    optimum = optimize.minimize_scalar(
        lambda u: -log_density(u), bounds=(start - width, start + width), method="bounded"
    )
    peak = float(optimum.x)
    top = log_density(peak)
    # Cut about the peak, or the quadrature may step over it in so long a range.
    edges = [low, *(peak + step for step in (-8, -4, -2, -1, 0, 1, 2, 4, 8, 16)), high]
    inside = sorted({min(max(edge, low), high) for edge in edges})
    # Less the peak, so that nothing overflows; it is added again at the end.
    parts = [
        integrate.quad(
            lambda u: math.exp(log_density(u) - top), a, b, epsabs=0, epsrel=1e-12, limit=200
        )[0]
        for a, b in pairwise(inside)
    ]
    return top + math.log(math.fsum(parts))
