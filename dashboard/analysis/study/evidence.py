"""How much the data speak for or against a difference: the Bayes factor of each t-test. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dashboard.analysis.comparison import Comparison
from dashboard.statistics import (
    BayesFactor,
    Method,
    bayes_factor_independent,
    bayes_factor_paired,
)


def evidence_of(comparison: Comparison) -> BayesFactor | None:
    """Return the Bayes factor of a comparison with the default scale; ``None`` without a test.

    Of two groups it is that of Student's t, which the factor is defined for, not of Welch's.
    """
    if comparison.tests is None:
        return None
    if comparison.method is Method.PAIRED:
        return bayes_factor_paired(comparison.tests.t.t, len(comparison.first))
    n = len(comparison.first)
    m = len(comparison.second)
    pooled = _squares(comparison.first) + _squares(comparison.second)
    error = math.sqrt(pooled / (n + m - 2) * (1 / n + 1 / m))
    return bayes_factor_independent(comparison.tests.t.difference / error, n, m)


def _squares(values: Sequence[float]) -> float:
    middle = math.fsum(values) / len(values)
    return math.fsum((value - middle) ** 2 for value in values)
