"""The association of two series within people, against pingouin and SciPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from dashboard.statistics.coupling import (
    coupling_test,
    intervals,
    lag_test,
    lagged,
    person_z,
    repeated_correlation,
)
from dashboard.statistics.responses import Reals
from dashboard.statistics.samples import NoVariationError, TooFewError

# Bland & Altman 1995, BMJ 310:446, table 1: pH and PaCO2 of eight people, as pingouin's example.
ACIDS = (
    ((6.68, 6.53, 6.43, 6.33), (3.97, 4.12, 4.09, 3.97)),
    ((6.85, 7.06, 7.13, 7.17), (5.27, 5.37, 5.41, 5.44)),
    (
        (7.4, 7.42, 7.41, 7.37, 7.34, 7.35, 7.28, 7.3, 7.34),
        (5.67, 3.64, 4.32, 4.73, 4.96, 5.04, 5.22, 4.82, 5.07),
    ),
    ((7.36, 7.33, 7.29, 7.3, 7.35), (5.67, 5.1, 5.53, 4.75, 5.51)),
    (
        (7.35, 7.3, 7.3, 7.37, 7.27, 7.28, 7.32, 7.32),
        (4.28, 4.44, 4.32, 3.23, 4.46, 4.72, 4.75, 4.99),
    ),
    ((7.38, 7.3, 7.29, 7.33, 7.31, 7.33), (4.78, 4.73, 5.12, 4.93, 5.03, 4.93)),
    ((6.86, 6.94, 6.92), (6.85, 6.44, 6.52)),
    (
        (7.19, 7.29, 7.21, 7.25, 7.2, 7.19, 6.77, 6.82),
        (5.28, 4.56, 4.34, 4.32, 4.41, 3.69, 6.09, 5.58),
    ),
)
Z = (0.31, -0.05, 0.22, 0.4, 0.11, 0.18, -0.02)


def wandering(rng: np.random.Generator, n: int) -> Reals:
    return np.cumsum(rng.normal(size=n)).astype(np.float64)


def test_repeated_correlation_equals_pingouin() -> None:
    found = repeated_correlation([(np.array(x), np.array(y)) for x, y in ACIDS])
    # pingouin 0.7.0: rm_corr(read_dataset("rm_corr"), "pH", "PacO2", "Subject")
    assert found.r == pytest.approx(-0.5067697422330647, abs=1e-9)
    assert found.df == 38


def test_repeated_correlation_passes_over_gaps_and_needs_variation() -> None:
    x, y = (np.array(row) for row in ACIDS[2])
    gaps = (np.append(x, [np.nan, 1.0]), np.append(y, [2.0, np.nan]))
    assert repeated_correlation([gaps]) == repeated_correlation([(x, y)])
    with pytest.raises(NoVariationError):
        repeated_correlation([(x, 0 * y + 72.1)])
    with pytest.raises(TooFewError):
        repeated_correlation([(x[:1], y[:1])])


def test_person_z_is_the_correlation_of_what_a_line_leaves() -> None:
    rng = np.random.default_rng(1)
    x, y, at = wandering(rng, 200), wandering(rng, 200), np.arange(200.0)
    x[50:60] = np.nan
    known = ~np.isnan(x)
    left = [
        one[known] - np.polyval(np.polyfit(at[known], one[known], 1), at[known]) for one in (x, y)
    ]
    expected = math.atanh(stats.pearsonr(*left).statistic)
    assert person_z([(x, y)]) == pytest.approx(expected, abs=1e-9)
    drifted = person_z([(x + 3 * at, y - 5 * at + 70)])
    assert drifted == pytest.approx(expected, abs=1e-9), "a linear drift changes nothing"


def test_person_z_over_two_sessions_does_not_see_their_levels() -> None:
    rng = np.random.default_rng(2)
    one, other = (
        (wandering(rng, 100), wandering(rng, 100)),
        (wandering(rng, 80), wandering(rng, 80)),
    )
    moved = (other[0] + 50, other[1] + 50)
    assert person_z([one, other]) == pytest.approx(person_z([one, moved]), abs=1e-9)


def test_person_z_without_enough_pairs_or_variation_is_none() -> None:
    rng = np.random.default_rng(3)
    x, y = wandering(rng, 29), wandering(rng, 29)
    assert person_z([(x, y)]) is None
    assert person_z([(wandering(rng, 60), np.full(60, 72.1))]) is None
    assert person_z([(wandering(rng, 60), np.linspace(70, 76, 60))]) is None


def test_lag_says_by_how_many_bins_the_second_follows() -> None:
    rng = np.random.default_rng(4)
    x = wandering(rng, 300)
    y = np.r_[rng.normal(size=5), x[:-5]] + 0.01 * rng.normal(size=300)
    found = {lag: person_z([lagged((x, y), lag)]) or 0.0 for lag in range(-9, 10)}
    assert max(found, key=found.__getitem__) == 5
    assert lagged((x, y), 300)[0].size == 0


def test_coupling_test_equals_scipy_on_one_value_a_person() -> None:
    found = coupling_test(Z)
    # SciPy 1.x: ttest_1samp(Z, 0), and tanh of its confidence interval
    assert (found.n, found.df) == (7, 6)
    assert [found.t, found.p] == pytest.approx([2.637355713833521, 0.038677005968423404], abs=1e-9)
    ends = [0.011862540277308561, 0.30652755224591155]
    assert [found.interval.low, found.interval.high] == pytest.approx(ends, abs=1e-9)
    assert found.r == pytest.approx(0.1628234857258127, abs=1e-9)
    (at_a_lag,) = intervals(np.array(Z)[:, np.newaxis]) or (None,)
    assert at_a_lag is not None
    assert [at_a_lag.low, at_a_lag.high] == pytest.approx(ends, abs=1e-9)
    assert intervals(np.zeros((2, 1))) is None
    with pytest.raises(TooFewError, match="at least 3; there are 2"):
        coupling_test(Z[:2])
    with pytest.raises(NoVariationError):
        coupling_test([0.2, 0.2, 0.2])


def test_lag_test_of_one_lag_is_an_exact_sign_flip_test() -> None:
    z = np.array(Z)[:, np.newaxis]
    found = lag_test(z, seed=1)
    assert found is not None
    signs = np.where((np.arange(128)[:, None] >> np.arange(7)) & 1, -1.0, 1.0)
    sums = np.abs(signs @ z[:, 0])  # without a change of spread, |t| rises with |sum|
    assert found.p[0] == np.mean(sums >= z.sum() - 1e-12)
    assert (found.flips, found.is_exact) == (128, True)


def test_lag_test_judges_each_lag_by_the_largest_of_all() -> None:
    rng = np.random.default_rng(5)
    z = rng.normal(0, 0.2, (12, 21))
    z[:, 13] += 0.5
    found = lag_test(z, seed=1)
    assert found is not None
    assert found.p[13] < 0.01 and int(np.argmin(found.p)) == 13
    for lag, together in enumerate(found.p):
        alone = lag_test(z[:, [lag]], seed=1)
        assert alone is not None and alone.p[0] <= together
    assert lag_test(z[:5], seed=1) is None, "five people never reach .05"
