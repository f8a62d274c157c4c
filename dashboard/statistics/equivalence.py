"""Showing that two states do not differ by more than a declared bound. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from scipy import special

from dashboard.statistics.samples import Interval
from dashboard.statistics.t_tests import Method, paired_t, welch_t
from edge_agent.core.errors import StatisticsError
from edge_agent.core.texts import N_, Message
from edge_agent.core.vitals import VitalKind

ALPHA = 0.05
"""Level of the equivalence test; its interval has the level 1 − 2 · ALPHA."""


@dataclass(frozen=True, slots=True)
class Bounds:
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
                Message(
                    N_(
                        "equivalence bounds are one finite number below and one above 0, not "
                        "{low:g} and {high:g}"
                    ),
                    low=self.low,
                    high=self.high,
                )
            )


DEFAULT_BOUNDS: Mapping[VitalKind, Bounds] = {
    kind: Bounds(-kind.spec.bound, kind.spec.bound)
    for kind in VitalKind
    if kind.spec.bound is not None
}
"""Bounds for whoever has declared none: what the standards allow a device to be wrong by.

Pressure ± 5 mmHg: the mean error up to which ISO 81060-2 accepts a cuff. Heart rate ± 5 /min: the
smaller of the two errors (10 %, 5 /min) that ANSI/AAMI EC13 allows a heart-rate meter. The sources
of the others stand with their entries in ``core/vitals.py``. They come
from the instruments and not from the sample, because a bound computed from the same data (such as
half of their standard deviation) makes the error rate of the test unknown. They do not say that
less than 5 has no meaning: reactions to emotions are often that small, and who studies them
declares smaller bounds before looking. There is none for intervals between beats: no such standard
speaks of them.
"""


@dataclass(frozen=True, slots=True)
class Equivalence:
    """Two one-sided tests of the difference *first minus second* against both bounds.

    Attributes:
        method: paired or Welch.
        n_first: participants on the first side; with a paired test the number of pairs, and equal
            to ``n_second``.
        n_second: participants on the second side.
        difference: mean difference, in the unit of the values.
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
    n_first: int
    n_second: int
    difference: float
    bounds: Bounds
    interval: Interval
    t_low: float
    t_high: float
    df: float
    p_low: float
    p_high: float
    p: float

    @property
    def shown(self) -> bool:
        """Whether it is shown that the difference lies within the bounds (p < 0.05)."""
        return self.p < ALPHA


def equivalence(
    first: Iterable[float], second: Iterable[float], method: Method, bounds: Bounds
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
    if method is Method.PAIRED:
        test = paired_t(first, second)
    else:
        test = welch_t(first, second)
    t_low = (test.difference - bounds.low) / test.error
    t_high = (test.difference - bounds.high) / test.error
    p_low = float(special.stdtr(test.df, -t_low))
    p_high = float(special.stdtr(test.df, t_high))
    half = float(special.stdtrit(test.df, 1 - ALPHA)) * test.error
    return Equivalence(
        method=method,
        n_first=test.n_first,
        n_second=test.n_second,
        difference=test.difference,
        bounds=bounds,
        interval=Interval(test.difference - half, test.difference + half),
        t_low=t_low,
        t_high=t_high,
        df=test.df,
        p_low=p_low,
        p_high=p_high,
        p=max(p_low, p_high),
    )
