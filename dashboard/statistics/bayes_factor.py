"""How much more likely the data are with an effect than without one: the JZS Bayes factor. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import integrate, optimize

from dashboard.statistics.samples import MINIMUM, TooFewError
from edge_agent.core.errors import StatisticsError
from edge_agent.core.texts import N_, Message

DEFAULT_SCALE = math.sqrt(2) / 2
"""Half of the effects that the alternative expects are smaller, in standard deviations."""

_FAR = 40.0  # e-folds of log g about the peak beyond which nothing of the integral is left


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
            Message(
                N_("a Bayes factor needs at least {minimum} participants; there are {n}"),
                minimum=MINIMUM,
                n=n,
            )
        )
    if not math.isfinite(t):
        raise StatisticsError(Message(N_("t is {t}; a Bayes factor needs a finite one"), t=t))
    if not 0 < scale < math.inf:
        raise StatisticsError(
            Message(N_("the scale of a Bayes factor is {scale:g}; give one above 0"), scale=scale)
        )


def _log_factor(t: float, n: float, df: float, scale: float) -> float:
    """Return log BF₁₀ from the integral over u = log g."""
    without = -(df + 1) / 2 * math.log1p(t * t / df)

    def log_density(u: float) -> float:
        wider = np.logaddexp(0.0, math.log(n) + u)  # log (1 + N g)
        likelihood = -wider / 2 - (df + 1) / 2 * math.log1p(t * t / df * math.exp(-wider))
        prior = math.log(scale) - math.log(2 * math.pi) / 2 - u / 2 - scale**2 / 2 * math.exp(-u)
        return float(likelihood + prior - without)

    low = 2 * math.log(scale) - 2 * math.log(_FAR)  # below, exp(−r²/2g) is nothing
    high = 2 * math.log(scale) + math.log1p(t * t) + 2 * _FAR
    coarse = np.linspace(low, high, 400)
    start = coarse[int(np.argmax([log_density(float(u)) for u in coarse]))]
    width = float(coarse[1] - coarse[0])
    optimum = optimize.minimize_scalar(
        lambda u: -log_density(u), bounds=(start - width, start + width), method="bounded"
    )
    peak = float(optimum.x)
    top = log_density(peak)
    edges = [low, *(peak + step for step in (-8, -4, -2, -1, 0, 1, 2, 4, 8, 16)), high]
    inside = sorted({min(max(edge, low), high) for edge in edges})
    parts = [
        integrate.quad(
            lambda u: math.exp(log_density(u) - top), a, b, epsabs=0, epsrel=1e-12, limit=200
        )[0]
        for a, b in pairwise(inside)
    ]
    return top + math.log(math.fsum(parts))
