"""The Shapiro–Wilk test of normality."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass

from dashboard.statistics.samples import (
    MINIMUM,
    NoVariationError,
    TooFewError,
    checked,
    is_constant,
)
from edge_agent.core.texts import N_, Message


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
    sample = checked(values)
    n = len(sample)
    if n < MINIMUM:
        raise TooFewError(
            Message(
                N_("a Shapiro–Wilk test needs at least {minimum} participants; there are {n}"),
                minimum=MINIMUM,
                n=n,
            )
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
