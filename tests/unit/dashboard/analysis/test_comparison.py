"""Which test two states get, and what is left out of it."""

from __future__ import annotations

import math

import pytest

from dashboard.analysis.inference.comparison import Obstacle, compare, compare_states
from dashboard.statistics.anova import repeated_anova
from dashboard.statistics.t_tests import Method, paired_t, welch_t
from edge_agent.core.errors import StatisticsError
from tests.support.statistics.known_statistics import HEART

ANGER = {"a": 75.0, "b": 80.0, "c": 71.0, "d": 90.0}
NEUTRAL = {"a": 70.0, "b": 78.0, "c": 70.5, "e": 60.0}
OTHERS = {"v": 65.0, "w": 66.0, "x": 69.5}


def test_three_people_with_both_states_get_a_paired_test_without_the_rest() -> None:
    found = compare(ANGER, NEUTRAL)
    assert found.method is Method.PAIRED
    assert (found.n_both, found.n_first_only, found.n_second_only, found.left_out) == (3, 1, 1, 2)
    assert found.tests is not None
    assert found.tests.t == paired_t([75.0, 80.0, 71.0], [70.0, 78.0, 70.5])
    assert found.difference == found.tests.t.difference
    assert (found.first, found.second) == ((75.0, 80.0, 71.0), (70.0, 78.0, 70.5))
    assert found.tests.rank.name == "wilcoxon_signed_rank"
    assert len(found.tests.normality) == 1


def test_missing_pairs_are_left_out_as_r_leaves_them_out() -> None:
    first = {str(place): value for place, value in enumerate(HEART[0]) if place not in (1, 6)}
    second = {str(place): value for place, value in enumerate(HEART[1]) if place not in (4, 6, 10)}
    found = compare(first, second)
    # R 4.2.2, NA where a value is missing: t.test(a, b, paired = TRUE)
    assert (found.n_both, found.left_out) == (8, 3)
    assert found.tests is not None
    t = found.tests.t
    assert (t.difference, t.interval.low, t.interval.high) == pytest.approx(
        (5.09375, 2.9949452668211656, 7.1925547331788344), rel=1e-9
    )
    assert (t.t, t.df, t.p) == pytest.approx(
        (5.7388877541303094, 7, 0.00070644093459662472), rel=1e-9
    )


def test_people_with_one_state_each_get_welchs_test() -> None:
    found = compare(ANGER, OTHERS)
    assert found.method is Method.WELCH
    assert found.tests is not None
    assert found.tests.t == welch_t(ANGER.values(), OTHERS.values())
    assert found.tests.rank.name == "mann_whitney"
    assert len(found.tests.normality) == 2


def test_one_or_two_people_on_both_sides_are_left_out_of_welchs_test() -> None:
    found = compare(ANGER | {"z": 99.0}, OTHERS | {"z": 61.0})
    assert (found.n_both, found.left_out) == (1, 1)
    assert found.tests == compare(ANGER, OTHERS).tests


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({}, {}),
        ({"a": 1.0}, {"a": 2.0}),
        (ANGER, {}),
        ({"a": 75.0, "b": 80.0}, NEUTRAL),
        (ANGER, {"y": 1.0, "z": 2.0}),
    ],
)
def test_too_few_people_give_no_number(first: dict[str, float], second: dict[str, float]) -> None:
    found = compare(first, second)
    assert (found.method, found.tests, found.difference) == (None, None, None)
    assert (found.first, found.second, found.obstacle) == ((), (), Obstacle.TOO_FEW)


def test_equal_differences_give_no_test_but_their_size() -> None:
    found = compare({"a": 72.5, "b": 80.5, "c": 60.5}, {"a": 70.0, "b": 78.0, "c": 58.0})
    assert (found.obstacle, found.tests, found.difference) == (Obstacle.NO_VARIATION, None, 2.5)
    noisy = compare({"a": 70.4, "b": 71.6, "c": 80.2}, {"a": 70.1, "b": 71.3, "c": 79.9})
    assert noisy.difference == 0.3, "no noise of rounding"
    groups = compare({"a": 72.0, "b": 72.0, "c": 72.0}, {"x": 70.0, "y": 70.0, "z": 70.0})
    assert (groups.obstacle, groups.tests, groups.difference) == (Obstacle.NO_VARIATION, None, 2.0)


def test_a_group_that_does_not_vary_has_no_normality_but_a_test() -> None:
    found = compare({"a": 72.0, "b": 72.0, "c": 72.0}, OTHERS)
    assert found.tests is not None
    assert found.tests.normality[0] is None
    assert found.tests.normality[1] is not None


def test_a_mean_that_is_not_finite_is_an_error_and_no_result() -> None:
    with pytest.raises(StatisticsError, match="nan is not a finite number"):
        compare(ANGER | {"a": math.nan}, NEUTRAL)


def test_all_states_are_compared_over_the_people_who_have_all_of_them() -> None:
    happiness = {"c": 69.0, "b": 79.5, "a": 71.0, "f": 90.0}
    found = compare_states([ANGER, NEUTRAL, happiness])
    assert (found.n, found.left_out, found.obstacle) == (3, 3, None)
    assert found.anova == repeated_anova(
        [[75.0, 80.0, 71.0], [70.0, 78.0, 70.5], [71.0, 79.5, 69.0]]
    )


def test_states_that_few_people_share_or_that_do_not_vary_have_no_anova() -> None:
    few = compare_states([ANGER, OTHERS, NEUTRAL])
    assert (few.n, few.left_out, few.anova, few.obstacle) == (0, 8, None, Obstacle.TOO_FEW)
    same = compare_states([OTHERS, OTHERS, OTHERS])
    assert (same.n, same.anova, same.obstacle) == (3, None, Obstacle.NO_VARIATION)
    with pytest.raises(StatisticsError, match="nan is not a finite number"):
        compare_states([OTHERS, OTHERS | {"v": math.nan}])
