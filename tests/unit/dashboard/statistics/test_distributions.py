"""The distributions that SciPy lacks or computes only in part of the range."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from dashboard.statistics.distributions import (
    count_rank_sums,
    noncentral_t_cdf,
    noncentrality,
    two_tails,
)

quick = settings(max_examples=60, deadline=None)  # a busy machine may be slow

# R 4.2.2: pt(2, 5, 1), pt(-1.5, 3.7, 0.5), pt(0, 7, 0.3), pt(10, 30, 8), pt(0.25, 2, -1)
FROM_R = (
    (2.0, 5.0, 1.0, 0.77807466261594704),
    (-1.5, 3.7, 0.5, 0.045024428313276688),
    (0.0, 7.0, 0.3, 0.38208857781104733),
    (10.0, 30.0, 8.0, 0.88121349237748581),
    (0.25, 2.0, -1.0, 0.88753546656974813),
)


@pytest.mark.parametrize(("t", "df", "delta", "expected"), FROM_R)
def test_the_noncentral_t_distribution_agrees_with_r(
    t: float, df: float, delta: float, expected: float
) -> None:
    assert noncentral_t_cdf(t, df, delta) == pytest.approx(expected, abs=1e-11)


@pytest.mark.parametrize("t", [-25.0, -3.0, -0.01, 0.01, 0.7, 4.0, 40.0])
@pytest.mark.parametrize("df", [2.0, 2.634, 11.0, 63.0, 1000.0])
def test_the_noncentral_t_distribution_agrees_with_scipy_where_that_works(
    t: float, df: float
) -> None:
    for delta in (0.5 * t, t, 1.5 * t, t + 1.0):
        assert noncentral_t_cdf(t, df, delta) == pytest.approx(
            float(special.nctdtr(df, delta, t)), abs=1e-10
        )


@pytest.mark.parametrize("t", [1e3, 1e6, 1e12])
def test_an_enormous_t_still_has_a_noncentrality(t: float) -> None:
    found = noncentrality(t, 2.0, 0.025)
    # For such a t the normal part vanishes: δ / t is a quantile of √(χ²₂ / 2), here at 1 − 0.025.
    assert found / t == pytest.approx(math.sqrt(float(stats.chi2.ppf(0.975, 2)) / 2), rel=2e-6)


@quick
@given(st.floats(-60, 60), st.floats(2, 400), st.sampled_from([0.025, 0.975]))
def test_the_noncentrality_gives_back_its_probability(
    t: float, df: float, probability: float
) -> None:
    assert noncentral_t_cdf(t, df, noncentrality(t, df, probability)) == pytest.approx(
        probability, abs=1e-9
    )


@quick
@given(st.lists(st.integers(1, 9).map(lambda n: n / 2), min_size=1, max_size=9))
def test_rank_sums_are_counted_as_if_every_subset_were_listed(ranks: list[float]) -> None:
    counts = count_rank_sums(np.array(ranks))
    listed = [
        subset for size in range(len(ranks) + 1) for subset in itertools.combinations(ranks, size)
    ]
    assert counts.sum() == len(listed) == 2 ** len(ranks)
    for (size, total), same in Counter((len(subset), sum(subset)) for subset in listed).items():
        assert counts[size, round(2 * total)] == same


def test_both_tails_of_the_middle_are_everything() -> None:
    assert two_tails(np.array([1.0, 2.0, 1.0]), 0.5) == 1.0
    assert two_tails(np.array([1.0, 2.0, 1.0]), 0.0) == 0.5
