"""Distributions that SciPy lacks, or computes only in part of the range that tests need. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

Values = npt.NDArray[np.float64]

_FAR_NORMAL = 9.5  # the normal density is 1e-20 there
_FAR_RATIO = 6.5  # for df ≥ 2, P(√(χ²_df / df) > 6.5) is below 1e-18
_NEAR_ZERO = np.array([0.01, 0.1])  # ratios: with a fractional df the integrand is not smooth at 0
# standard deviations of √(χ²_df / df), which lies about 1
_AROUND_ONE = np.array([-8.0, -3.0, 0.0, 3.0, 8.0])
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)


def noncentral_t_cdf(t: float, df: float, noncentrality: float) -> float:
    """Return P(T ≤ t) for T = (Z + δ) / √(χ²_df / df), the noncentral t distribution.

    Formula for t > 0: Φ(−δ) + ∫ over z > −δ of φ(z) · P(χ²_df > df · ((z + δ) / t)²) dz; for t < 0:
    1 − P(T ≤ −t; −δ). The integral is taken by Gauss and Legendre's rule of 24 points between the
    places where either factor bends. Absolute error below 1e-12. Own, because
    ``scipy.stats.nct.cdf`` gives NaN or does not return for |t| in the thousands, which three
    nearly equal differences reach. For df ≥ 2. Source: Johnson, Kotz & Balakrishnan 1995,
    Continuous Univariate Distributions 2, ch. 31.
    """
    # The integral below is for t > 0; the distribution of −T has the opposite noncentrality.
    if t < 0:
        return 1.0 - noncentral_t_cdf(-t, df, -noncentrality)
    below = float(special.ndtr(-noncentrality))
    low = max(-noncentrality, -_FAR_NORMAL)
    high = min(_FAR_RATIO * t - noncentrality, _FAR_NORMAL)
    if high <= low:
        return below
    ratios = np.concatenate([_NEAR_ZERO, 1 + _AROUND_ONE / math.sqrt(2 * df)])
    # From ratios to the places z where they are taken; 0 is the peak of the normal density. Between
    # two edges the integrand is smooth enough for the 24 points.
    bends = np.append(ratios * t - noncentrality, 0.0)
    edges = np.concatenate([[low], np.sort(bends[(bends > low) & (bends < high)]), [high]])
    half = np.diff(edges)[:, np.newaxis] / 2
    z = edges[:-1, np.newaxis] + half * (1 + _NODES)
    ratio = (z + noncentrality) / t
    density = np.exp(-z * z / 2) / math.sqrt(2 * math.pi) * special.chdtrc(df, df * ratio * ratio)
    return below + float(np.sum(half * _WEIGHTS * density))


def noncentrality(t: float, df: float, probability: float) -> float:
    """Return the δ at which P(T ≤ t; δ) is ``probability``; the CDF falls as δ rises."""

    def excess(delta: float) -> float:
        return noncentral_t_cdf(t, df, delta) - probability

    # The normal approximation is close, so the search starts with a short step.
    scale = math.sqrt(1 + t * t / (2 * df))
    near = t * (1 - 1 / (4 * df)) - float(special.ndtri(probability)) * scale  # as if T were normal
    low, high = _bracket(excess, near, 0.05 * scale)
    return float(optimize.brentq(excess, low, high, xtol=1e-12, rtol=1e-13))


def _bracket(falling: Callable[[float], float], start: float, step: float) -> tuple[float, float]:
    """Return two places around the zero of a falling function, going out from ``start`` in steps
    that grow fourfold.
    """
    low = start - step
    high = start + step
    while falling(low) < 0:
        low, high, step = low - 4 * step, low, 4 * step
    while falling(high) > 0:
        low = high
        high = high + 4 * step
        step = 4 * step
    return low, high


def count_rank_sums(ranks: Values, largest: int | None = None) -> Values:
    """Count the subsets of ranks by size and sum: entry [k, s] is how many of size k sum to s / 2.

    Mean ranks are multiples of a half, so doubled ones are whole numbers; the counts are exact up
    to 2^50, above to the last digits. ``largest`` is the size from which on none is counted; each
    if it is ``None``.
    """
    doubled = [round(2 * float(rank)) for rank in ranks]
    size = len(doubled) if largest is None else largest
    # As wide as the sum of the largest ranks that can come together.
    counts = np.zeros((size + 1, sum(sorted(doubled)[-size:]) + 1))
    counts[0, 0] = 1.0
    for rank in doubled:
        # The copy holds the counts from before this rank: a rank must not enter a subset twice.
        counts[1:, rank:] += counts[:-1, : counts.shape[1] - rank].copy()
    return counts


def two_tails(counts: Values, rank_total: float) -> float:
    """Return twice the smaller tail of the distribution in ``counts`` (by doubled rank sum) at
    ``rank_total``.
    """
    place = round(2 * rank_total)
    # The place itself belongs to both tails.
    tail = min(float(counts[: place + 1].sum()), float(counts[place:].sum()))
    return min(1.0, 2 * tail / float(counts.sum()))
