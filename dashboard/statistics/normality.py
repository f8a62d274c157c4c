"""The Shapiro–Wilk test of normality: algorithm AS R94. Pure.

``scipy.stats`` has it too, but with twenty megabytes and half a second of import for this one
test of the page Analysis, which are many on a small appliance; its normal quantiles are good to
1e-9 only. A test holds both against each other.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from dashboard.statistics.distributions import Values
from dashboard.statistics.samples import (
    MINIMUM,
    NoVariationError,
    TooFewError,
    checked,
    is_constant,
)
from edge_agent.core.texts import N_, Message

# Royston 1995, table of polynomials, the constant first
_LAST_WEIGHT = (0.0, 0.221157, -0.147981, -2.07119, 4.434685, -2.706056)
_LAST_BUT_ONE = (0.0, 0.042981, -0.293762, -1.752461, 5.682633, -3.582633)
_MEAN_UP_TO_11 = (0.544, -0.39978, 0.025054, -6.714e-4)
_LOG_SD_UP_TO_11 = (1.3822, -0.77857, 0.062767, -0.0020322)
_GAMMA_UP_TO_11 = (-2.273, 0.459)
_MEAN_ABOVE = (-1.5861, -0.31082, -0.083751, 0.0038915)
_LOG_SD_ABOVE = (-0.4803, -0.082676, 0.0030302)
_SMALL = 11
_LEAST_P = 1e-99


@dataclass(frozen=True, slots=True)
class Normality:
    """A Shapiro–Wilk test: ``w`` in 0…1 and its p.

    A small p speaks against a normal distribution.
    """

    w: float
    p: float


def shapiro_wilk(values: Iterable[float]) -> Normality:
    """Shapiro–Wilk test of normality.

    Formula: W = (Σ aᵢ x₍ᵢ₎)² / Σ (xᵢ − mean)², aᵢ the scaled expected normal order statistics.
    Assumes independent
    values. With few of them it finds only gross departures: a large p proves nothing. Source:
    Shapiro & Wilk 1965; Royston 1995 (AS R94).

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
    away = _away_from_one(np.sort(sample))
    return Normality(1 - away, _p(away, n))


def _away_from_one(ordered: Values) -> float:
    """Return 1 − W, without the loss of digits where W is near to 1."""
    weights = _weights(len(ordered))
    # W has no scale; a range of 1 keeps the squares of tiny and of huge values in reach
    spread = (ordered - ordered[0]) / (ordered[-1] - ordered[0])
    deviations = spread - spread.mean()
    of_weights = float(weights @ weights)
    of_values = float(deviations @ deviations)
    together = float(weights @ deviations)
    root = math.sqrt(of_weights * of_values)
    return (root - together) * (root + together) / (of_weights * of_values)


def _weights(n: int) -> Values:
    """Return the weights of the ordered values, rising and antisymmetric."""
    if n == MINIMUM:
        return np.array([-math.sqrt(0.5), 0.0, math.sqrt(0.5)])
    scores = special.ndtri((np.arange(1, n + 1) - 0.375) / (n + 0.25))
    total = float(scores @ scores)
    last = _polynomial(_LAST_WEIGHT, n**-0.5) + scores[-1] / math.sqrt(total)
    ends = [last]
    if n > 5:
        ends.append(_polynomial(_LAST_BUT_ONE, n**-0.5) + scores[-2] / math.sqrt(total))
    k = len(ends)
    kept = total - 2 * float(scores[-k:] @ scores[-k:])
    weights = np.array(scores / math.sqrt(kept / (1 - 2 * sum(end * end for end in ends))))
    for place, end in enumerate(ends):
        weights[-1 - place] = end
        weights[place] = -end
    return weights


def _p(away: float, n: int) -> float:
    """Return p from 1 − W."""
    if n == MINIMUM:
        least = math.asin(math.sqrt(0.75))
        angle = math.asin(math.sqrt(min(1.0, max(0.75, 1 - away))))
        return max(0.0, 6 / math.pi * (angle - least))
    if away <= 0:
        return 1.0
    distance = math.log(away)
    if n <= _SMALL:
        gamma = _polynomial(_GAMMA_UP_TO_11, n)
        if distance >= gamma:
            return _LEAST_P
        distance = -math.log(gamma - distance)
        mean = _polynomial(_MEAN_UP_TO_11, n)
        deviation = math.exp(_polynomial(_LOG_SD_UP_TO_11, n))
    else:
        mean = _polynomial(_MEAN_ABOVE, math.log(n))
        deviation = math.exp(_polynomial(_LOG_SD_ABOVE, math.log(n)))
    return float(special.ndtr((mean - distance) / deviation))


def _polynomial(coefficients: Sequence[float], x: float) -> float:
    return float(np.polynomial.polynomial.polyval(x, coefficients))
