"""The rank-biserial correlation against values computed outside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dashboard.statistics.ranks import RankTest, rank_sum, signed_rank

# Sums of ranks and U by SciPy 1.17: stats.rankdata of the differences and stats.mannwhitneyu.
BEFORE = (125.0, 115.0, 130.0, 140.0, 140.0, 115.0, 140.0, 125.0, 140.0, 135.0)
AFTER = (110.0, 122.0, 125.0, 120.0, 140.0, 124.0, 123.0, 137.0, 135.0, 145.0)
FIRST = (19.0, 22.0, 16.0, 29.0, 24.0)
SECOND = (20.0, 11.0, 17.0, 12.0)


def test_pairs_give_the_difference_of_the_rank_sums_over_their_total() -> None:
    # W+ = 27, W- = 18, one difference of 0 dropped, ties shared
    assert signed_rank(BEFORE, AFTER).rank_biserial == pytest.approx(0.2, abs=1e-12)
    assert signed_rank(AFTER, BEFORE).rank_biserial == pytest.approx(-0.2, abs=1e-12)


def test_groups_give_the_share_of_favourable_pairs_minus_that_of_others() -> None:
    # U = 17 of 5 times 4 pairs
    assert rank_sum(FIRST, SECOND).rank_biserial == pytest.approx(0.7, abs=1e-12)
    assert rank_sum(SECOND, FIRST).rank_biserial == pytest.approx(-0.7, abs=1e-12)


# R 4.2.2: wilcox.test(c(1, 3.5, 9.5), 1:60 + 0.25, exact = TRUE); with ties all C(58, 3) splits of
# the ranks, counted with itertools.combinations
@pytest.mark.parametrize(
    ("few", "many", "p"),
    [
        ((1.0, 3.5, 9.5), [n + 0.25 for n in range(1, 61)], 0.00513711566064818),
        ((20.0, 3.0, 9.0), [float(n // 2) for n in range(55)], 0.6156339123671247),
    ],
)
def test_a_group_of_three_beside_many_is_exact(
    few: tuple[float, ...], many: list[float], p: float
) -> None:
    for found in (rank_sum(few, many), rank_sum(many, few)):
        assert found.exact
        assert found.p == pytest.approx(p, rel=1e-12)


# Differences of 0.3 and 0.2 either way: in tenths they are whole numbers and their ties are exact.
TENTHS = (
    (703, 700), (800, 803), (913, 910), (658, 660), (1202, 1200), (745, 748), (990, 987),
    (601, 603), (554, 551), (1105, 1108), (867, 864), (772, 774),
)  # fmt: skip


@pytest.mark.parametrize("unit", [1.0, 10.0, 1e3, 3.0, 1e-7])
def test_rounding_noise_breaks_no_tie_of_pairs(unit: float) -> None:
    first = [float(one) for one, _ in TENTHS]
    second = [float(other) for _, other in TENTHS]
    whole = signed_rank(first, second)
    # all 2^12 assignments of signs to the mean ranks, counted one by one: W+ = 45, 1,432 of them at
    # or above it
    assert whole.p == 2 * 1432 / 4096
    parted = signed_rank([one / unit for one in first], [other / unit for other in second])
    assert (parted.p, parted.statistic) == (whole.p, whole.statistic)


def test_a_difference_of_rounding_alone_is_none() -> None:
    found = signed_rank([0.1 + 0.2, 5.0, 7.0, 8.0], [0.3, 4.0, 5.0, 5.0])
    assert (found.statistic, found.p) == (0.0, 0.25)  # three differences, all above 0: 2 / 2^3


def test_rounding_noise_breaks_no_tie_of_groups() -> None:
    first = [0.1 + 0.2, 0.7 + 0.1, 0.5]
    second = [0.3, 0.8, 0.6, 0.2]
    whole = rank_sum([3.0, 8.0, 5.0], [3.0, 8.0, 6.0, 2.0])
    parted = rank_sum(first, second)
    assert (parted.p, parted.statistic) == (whole.p, whole.statistic) == (whole.p, 7.0)


@pytest.mark.parametrize("test", [rank_sum, signed_rank])
def test_sides_that_differ_by_rounding_alone_have_no_ranks(
    test: Callable[[Any, Any], RankTest],
) -> None:
    first = [100 + 1e-12 * (place % 5) for place in range(40)]
    found = test(first, [100.0] * 40)
    assert (found.p, found.rank_biserial) == (1.0, 0.0)
