"""The rank-biserial correlation against values computed outside."""

from __future__ import annotations

import pytest

from dashboard.statistics import rank_biserial, rank_sum, signed_rank

# Sums of ranks and U by SciPy 1.17: stats.rankdata of the differences and stats.mannwhitneyu.
BEFORE = (125.0, 115.0, 130.0, 140.0, 140.0, 115.0, 140.0, 125.0, 140.0, 135.0)
AFTER = (110.0, 122.0, 125.0, 120.0, 140.0, 124.0, 123.0, 137.0, 135.0, 145.0)
FIRST = (19.0, 22.0, 16.0, 29.0, 24.0)
SECOND = (20.0, 11.0, 17.0, 12.0)


def test_pairs_give_the_difference_of_the_rank_sums_over_their_total() -> None:
    # W+ = 27, W- = 18, one difference of 0 dropped, ties shared
    assert signed_rank(BEFORE, AFTER).rank_biserial == pytest.approx(0.2, abs=1e-12)
    assert signed_rank(AFTER, BEFORE).rank_biserial == pytest.approx(-0.2, abs=1e-12)


def test_groups_give_the_share_of_favourable_pairs_minus_that_of_the_others() -> None:
    # U = 17 of 5 times 4 pairs
    assert rank_sum(FIRST, SECOND).rank_biserial == pytest.approx(0.7, abs=1e-12)
    assert rank_sum(SECOND, FIRST).rank_biserial == pytest.approx(-0.7, abs=1e-12)


def test_it_is_one_where_every_rank_speaks_for_one_side() -> None:
    assert rank_biserial(favourable=6.0, unfavourable=0.0) == 1.0
    assert rank_sum((4.0, 5.0, 6.0), (1.0, 2.0, 3.0)).rank_biserial == 1.0
    assert signed_rank((1.0, 2.0, 3.0), (2.0, 4.0, 6.0)).rank_biserial == -1.0


def test_many_people_take_the_same_formula() -> None:
    first = [float(value) for value in range(40)]
    second = [value + 20.5 for value in first]
    # the first is larger in 190 of 1,600 pairs: 1 + 2 + … + 19
    assert rank_sum(first, second).rank_biserial == pytest.approx(2 * 190 / 1600 - 1, abs=1e-12)
