"""Power and sample sizes against R 4.2.2, and what they refuse."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dashboard.statistics.period import adjusted_for_time
from dashboard.statistics.planning import (
    PlannedDesign,
    SampleSize,
    difference_sd,
    plan_study,
    planned_power,
    power_of,
    sample_size,
    still_needed,
)
from dashboard.statistics.samples import NoVariationError, TooFewError
from dashboard.statistics.t_tests import Method
from edge_agent.core.errors import StatisticsError
from tests.support.statistics.known_statistics import HEART, UNEQUAL

PAIRED = Method.PAIRED
WELCH = Method.WELCH


# R 4.2.2: power.t.test(n, delta, sd = 1, type = "paired" and "two.sample", strict = TRUE)$power
POWERS = (
    (3, 1.5, 0.31638186155934267, 0.29319470030587313),
    (12, 0.8, 0.71366006560024464, 0.46575928830292335),
    (24, 0.2, 0.15558114152307367, 0.1041715606412319),
    (100, 0.3, 0.84394710273766371, 0.56005925358089947),
    (10_000, 0.04, 0.9793074919526521, 0.80739325279731866),
)


# R 4.2.2: ceiling(power.t.test(power, delta, sd = 1, sig.level, type = …, strict = TRUE,
# tol = 1e-12)$n), at least 3
SIZES = (
    (0.1, 0.8, 0.05, 787, 1571),
    (0.5, 0.8, 0.05, 34, 64),
    (0.8, 0.8, 0.05, 15, 26),
    (0.8, 0.9, 0.01, 27, 49),
    (2.0, 0.9, 0.05, 5, 7),
    (6.0, 0.8, 0.05, 3, 3),
)


@pytest.mark.parametrize(("n", "effect", "paired", "groups"), POWERS)
def test_power_equals_r(n: int, effect: float, paired: float, groups: float) -> None:
    assert power_of(PAIRED, n, effect) == pytest.approx(paired, rel=1e-9)
    assert power_of(WELCH, n, effect) == pytest.approx(groups, rel=1e-9)
    assert power_of(PAIRED, n, -effect) == power_of(PAIRED, n, effect)


@pytest.mark.parametrize(("effect", "power", "alpha", "paired", "groups"), SIZES)
def test_sizes_equal_r(effect: float, power: float, alpha: float, paired: int, groups: int) -> None:
    for method, n in ((PAIRED, paired), (WELCH, groups)):
        found = sample_size(method, effect, power, alpha)
        assert found == SampleSize(method, n, effect, power_of(method, n, effect, alpha))


def test_what_is_still_needed_comes_from_spread_and_not_from_difference() -> None:
    found = still_needed(*HEART, PAIRED, 2.0)
    sd = float(np.std(np.subtract(*HEART), ddof=1))
    assert found.sd == pytest.approx(sd, rel=1e-12)
    assert found.size == sample_size(PAIRED, 2.0 / found.sd)
    assert found.more_first == found.more_second == found.size.n - 12
    strict = still_needed(*HEART, PAIRED, 2.0, 0.9, 0.01)
    assert strict.size == sample_size(PAIRED, 2.0 / found.sd, 0.9, 0.01)
    assert still_needed(*HEART, PAIRED, 20.0).more_first == 0
    raised = still_needed([x + 64 for x in HEART[0]], HEART[1], PAIRED, 2.0)
    assert raised.more_first == found.more_first


def test_groups_of_unequal_size_each_say_what_they_lack() -> None:
    found = still_needed(*UNEQUAL, WELCH, 5.0)
    assert (found.more_first, found.more_second) == (found.size.n - 5, found.size.n - 9)
    variances = [np.var(side, ddof=1) for side in UNEQUAL]
    assert found.sd == pytest.approx(math.sqrt(np.mean(variances)), rel=1e-12)


def test_effect_that_no_study_could_find_is_refused() -> None:
    with pytest.raises(StatisticsError, match="an effect of 0, more than 10,000 participants"):
        sample_size(PAIRED, 0.0)
    with pytest.raises(StatisticsError, match="an effect of 0.01, more than 10,000 participants"):
        sample_size(WELCH, 0.01)
    for power in (0.05, 1.0, math.nan):
        with pytest.raises(StatisticsError, match="a power lies above 0.05 and below 1"):
            sample_size(PAIRED, 0.8, power)
    with pytest.raises(StatisticsError, match="finite number, not nan"):
        sample_size(PAIRED, math.nan)
    with pytest.raises(StatisticsError, match="at least 3 participants a side, not 2"):
        power_of(PAIRED, 2, 1.0)
    with pytest.raises(StatisticsError, match="at least 4 people, not 3"):
        planned_power(PlannedDesign(PAIRED, 1.0), 3, 0.05)
    for alpha in (0.0, 1.0):
        with pytest.raises(StatisticsError, match=f"a level lies above 0 .*; {alpha:g} does not"):
            power_of(PAIRED, 12, 0.8, alpha)


def test_without_a_spread_nothing_is_planned() -> None:
    with pytest.raises(TooFewError, match="at least 3 participants with both states; there are 2"):
        still_needed([1.0, 2.0], [2.0, 5.0], PAIRED, 5.0)
    with pytest.raises(NoVariationError):
        still_needed([1.0, 2.0, 3.0], [2.0, 3.0, 4.0], PAIRED, 5.0)


def test_two_groups_are_those_of_power_t_test() -> None:
    # power.t.test(delta = 0.8, power = 0.8, strict = TRUE)$n = 25.52458
    found = plan_study(PlannedDesign(Method.WELCH, 0.8), 0.8)
    assert found.n == found.n_single == 26
    # power.t.test(delta = 0.8, sig.level = 0.05 / 9, power = 0.8, strict = TRUE)$n = 42.78049
    assert plan_study(PlannedDesign(Method.WELCH, 0.8, tests=9), 0.8).n == 43


def test_a_simulated_study_of_pairs_has_the_planned_power() -> None:
    rng = np.random.default_rng(3)
    gaps = np.repeat([5.0, -5.0], [16, 8])
    found = 0
    for _ in range(3000):
        differences = 0.8 + 0.3 * gaps + rng.normal(0, 1, 24)
        found += adjusted_for_time(differences, np.zeros(24), gaps).p < 0.05
    design = PlannedDesign(PAIRED, 0.8, order=16 / 24)
    planned = planned_power(design, 24, 0.05)
    assert found / 3000 == pytest.approx(planned, abs=0.025)
    # R 4.2.2: pt(qt(1 - alpha / 2, 22), 22, 0.8 * sqrt(24 * 4 * 2 / 9), lower.tail = FALSE) + …
    assert planned == pytest.approx(0.94173295135070134, rel=1e-9)
    assert planned_power(design, 24, 0.01) == pytest.approx(0.79870011134232943, rel=1e-9)


def test_a_family_and_an_uneven_order_take_more_people() -> None:
    one = plan_study(PlannedDesign(Method.PAIRED, 0.5), 0.8)
    nine = plan_study(PlannedDesign(Method.PAIRED, 0.5, tests=9), 0.8)
    uneven = plan_study(PlannedDesign(Method.PAIRED, 0.5, tests=9, order=0.8), 0.8)
    assert one.n < nine.n < uneven.n
    assert nine.n_single == one.n
    assert uneven.n == pytest.approx(nine.n / 0.64, abs=4)
    assert nine.level == 0.05 / 9
    assert planned_power(PlannedDesign(Method.PAIRED, 0.5, tests=9), nine.n - 1, 0.05 / 9) < 0.8


def test_a_curve_goes_beyond_the_number_that_is_needed() -> None:
    plan = plan_study(PlannedDesign(Method.PAIRED, 0.5, tests=9), 0.8)
    numbers, powers = zip(*plan.curve, strict=True)
    assert (numbers[0], plan.n, numbers[-1], len(numbers)) == (4, 57, 91, 26)
    assert powers == tuple(sorted(powers))
    assert (plan.n, plan.power) in plan.curve
    small = plan_study(PlannedDesign(WELCH, 6.0), 0.8)
    assert [number for number, _ in small.curve] == [4, 5, 6, 7, 8]


@pytest.mark.parametrize(
    ("design", "power", "text"),
    [
        (PlannedDesign(Method.PAIRED, 0.5, order=1.0), 0.8, "no number of people can separate"),
        (PlannedDesign(Method.PAIRED, 0.0), 0.8, "other than 0"),
        (PlannedDesign(Method.PAIRED, 0.001), 0.8, "more than 10,000 participants"),
        (PlannedDesign(Method.PAIRED, 0.5), 1.0, "a power lies above"),
        (PlannedDesign(Method.PAIRED, 0.5, tests=0), 0.8, "at least 1 test"),
    ],
)
def test_a_plan_that_cannot_be_says_why(design: PlannedDesign, power: float, text: str) -> None:
    with pytest.raises(StatisticsError, match=text):
        plan_study(design, power)


def test_the_spread_of_differences_falls_with_the_correlation() -> None:
    assert difference_sd(10.0, 0.5) == 10.0
    assert difference_sd(10.0, 0.0) == pytest.approx(10 * math.sqrt(2))
    assert difference_sd(10.0, -1.0) == 20.0
    for sd in (0.0, math.inf):
        with pytest.raises(StatisticsError, match=f"above 0; {sd:g} is not"):
            difference_sd(sd, 0.5)
    for correlation in (-1.1, 1.0):
        with pytest.raises(StatisticsError, match=f"from -1 to below 1; {correlation:g} does not"):
            difference_sd(1.0, correlation)
