"""The JZS Bayes factor against an integral of 30 digits, and against published ones."""

from __future__ import annotations

import math

import pytest

from dashboard.statistics.samples import TooFewError
from dashboard.statistics.t_tests import bayes_factor_independent, bayes_factor_paired
from edge_agent.core.errors import StatisticsError

DEFAULT = math.sqrt(2) / 2

# mpmath, 30 digits: quad over u = log g in pieces of 2 from -12 to 86 of the integrand of Rouder et
# al. 2009, eq. 1, divided by its value without an effect; natural logarithms.
KNOWN = (
    (2.24, 80, 1.0, -0.024008803090285753),
    (2.03, 100, 1.0, -0.53796727155549757),
    (0.5, 12, DEFAULT, -1.1390019150355169),
    (-4.0621, 10, DEFAULT, 2.8482927031123961),
    (50.0, 30, DEFAULT, 60.358181575764432),
)


@pytest.mark.parametrize(("t", "n", "scale", "log_factor"), KNOWN)
def test_pairs_equal_an_integral_of_30_digits(
    t: float, n: int, scale: float, log_factor: float
) -> None:
    found = bayes_factor_paired(t, n, scale)
    assert found.log_factor == pytest.approx(log_factor, rel=1e-9)
    assert found.for_difference * found.for_none == pytest.approx(1.0)


def test_the_sleep_data_have_the_factor_of_the_manual_of_bayes_factor() -> None:
    # manual of the R package: ttestBF of R's sleep, paired, r = 0.707: 17.259
    found = bayes_factor_paired(-4.062127683382037, 10)
    assert found.for_difference == pytest.approx(17.259, abs=5e-4)


def test_extreme_t_and_many_people_stay_finite_and_ordered() -> None:
    none = bayes_factor_paired(0.0, 100_000)
    large = bayes_factor_paired(50.0, 100_000)
    assert none.log_factor < -5 and math.isfinite(none.for_none)
    assert large.log_factor > 1000 and large.for_difference == math.inf
    assert bayes_factor_paired(-50.0, 100_000).log_factor == pytest.approx(large.log_factor)
    middle = bayes_factor_independent(2.5, 50_000, 50_000)
    assert none.log_factor < middle.log_factor < large.log_factor


def test_groups_are_pairs_of_half_the_harmonic_mean() -> None:
    assert bayes_factor_independent(0.0, 20, 20).log_factor < 0
    assert bayes_factor_independent(4.0, 20, 20).log_factor > 0


def test_what_cannot_be_computed_is_refused() -> None:
    with pytest.raises(TooFewError, match="there are 2"):
        bayes_factor_paired(1.0, 2)
    with pytest.raises(StatisticsError, match="t is nan"):
        bayes_factor_paired(math.nan, 10)
    with pytest.raises(StatisticsError, match="give one above 0"):
        bayes_factor_paired(1.0, 10, 0.0)
