"""Hedges' g for pairs and for groups. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from dashboard.statistics.distributions import Values, noncentrality
from dashboard.statistics.samples import LEVEL, Interval, groups, pairs
from dashboard.statistics.t_tests import Method, paired_t, standard_error, welch_t
from edge_agent.core.errors import StatisticsError
from edge_agent.core.texts import N_, Message


@dataclass(frozen=True, slots=True)
class EffectSize:
    """Hedges' g of *first minus second* with its 95 % interval; it has no unit."""

    g: float
    interval: Interval


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
    return EffectSize(
        g=small_sample_correction(_standardiser_df(a, b, method)) * test.difference / average,
        interval=Interval(
            scale * noncentrality(test.t, test.df, 0.5 + LEVEL / 2),
            scale * noncentrality(test.t, test.df, 0.5 - LEVEL / 2),
        ),
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
            Message(N_("Hedges' correction needs more than 1 degree of freedom, not {df}"), df=df)
        )
    return math.exp(math.lgamma(df / 2) - math.lgamma((df - 1) / 2)) / math.sqrt(df / 2)


def _standardiser_df(a: Values, b: Values, method: Method) -> float:
    """Return ν, the degrees of freedom of the average of the two variances."""
    v = float(np.var(a, ddof=1))
    w = float(np.var(b, ddof=1))
    if method is Method.PAIRED:
        shared = float(np.cov(a, b)[0, 1])
        return (len(a) - 1) * (v + w) ** 2 / (v**2 + w**2 + 2 * shared**2)
    return (v + w) ** 2 / (v**2 / (len(a) - 1) + w**2 / (len(b) - 1))
