"""Distributions that SciPy lacks, or computes only in part of the range that the tests need. Pure."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from scipy import integrate, optimize, special

Values = npt.NDArray[np.float64]

_FAR_NORMAL = 9.5  # the normal density is 1e-20 there
_FAR_RATIO = 6.5  # for df ≥ 2, P(√(χ²_df / df) > 6.5) is below 1e-18


def noncentral_t_cdf(t: float, df: float, noncentrality: float) -> float:
    """Return P(T ≤ t) for T = (Z + δ) / √(χ²_df / df), the noncentral t distribution.

    Formula for t > 0: Φ(−δ) + ∫ over z > −δ of φ(z) · P(χ²_df > df · ((z + δ) / t)²) dz, by adaptive quadrature;
    for t < 0: 1 − P(T ≤ −t; −δ). Absolute error below 1e-12. Own, because ``scipy.stats.nct.cdf`` gives NaN or does
    not return for |t| in the thousands, which three nearly equal differences reach. For df ≥ 2. Source: Johnson, Kotz &
    Balakrishnan 1995, Continuous Univariate Distributions 2, ch. 31.
    """
    if t < 0:
        return 1.0 - noncentral_t_cdf(-t, df, -noncentrality)
    below = float(special.ndtr(-noncentrality))
    if t <= 1:  # a narrow bump in z; integrated over u = (z + δ) / t it is wide

        def bump(u: float) -> float:
            return t * _normal_density(t * u - noncentrality) * float(special.chdtrc(df, df * u * u))

        return below + _integral(bump, (0.0, 1.0, _FAR_RATIO))

    def density(z: float) -> float:
        ratio = (z + noncentrality) / t
        return _normal_density(z) * float(special.chdtrc(df, df * ratio * ratio))

    edges = [min(max(x - noncentrality, -_FAR_NORMAL), _FAR_NORMAL) for x in (0.0, t, 4 * t)]
    return below + _integral(density, (*edges, _FAR_NORMAL))


def _normal_density(z: float) -> float:
    return math.exp(-z * z / 2) / math.sqrt(2 * math.pi)


def _integral(function: Callable[[float], float], edges: Sequence[float]) -> float:
    """Return the integral over the intervals between rising edges."""
    parts = [(start, end) for start, end in itertools.pairwise(edges) if end > start]
    return sum(integrate.quad(function, start, end, epsabs=1e-14, epsrel=1e-12)[0] for start, end in parts)


def noncentrality(t: float, df: float, probability: float) -> float:
    """Return the δ at which P(T ≤ t; δ) is ``probability``; the CDF falls as δ rises."""

    def excess(delta: float) -> float:
        return noncentral_t_cdf(t, df, delta) - probability

    scale = math.sqrt(1 + t * t / (2 * df))
    near = t * (1 - 1 / (4 * df)) - float(special.ndtri(probability)) * scale  # as if T were normal
    low, high = _bracket(excess, near, 0.05 * scale)
    return float(optimize.brentq(excess, low, high, xtol=1e-12, rtol=1e-13))


def _bracket(falling: Callable[[float], float], start: float, step: float) -> tuple[float, float]:
    """Return two places around the zero of a falling function, going out from ``start`` in doubling steps."""
    low, high = start - step, start + step
    while falling(low) < 0:
        low, high, step = low - 4 * step, low, 4 * step
    while falling(high) > 0:
        low, high, step = high, high + 4 * step, 4 * step
    return low, high


def count_rank_sums(ranks: Values) -> Values:
    """Count the subsets of ranks by size and sum: entry [k, s] is how many of size k sum to s / 2.

    Mean ranks are multiples of a half, so doubled ones are whole numbers; the counts are exact up to 2^50.
    """
    doubled = [round(2 * float(rank)) for rank in ranks]
    counts = np.zeros((len(doubled) + 1, sum(doubled) + 1))
    counts[0, 0] = 1.0
    for rank in doubled:
        counts[1:, rank:] += counts[:-1, : counts.shape[1] - rank].copy()
    return counts


def two_tails(counts: Values, rank_total: float) -> float:
    """Return twice the smaller tail of the distribution in ``counts`` (by doubled rank sum) at ``rank_total``."""
    place = round(2 * rank_total)
    tail = min(float(counts[: place + 1].sum()), float(counts[place:].sum()))
    return min(1.0, 2 * tail / float(counts.sum()))
