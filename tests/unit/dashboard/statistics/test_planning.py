"""How many people a study needs, against R 4.2.2."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dashboard.statistics.period import adjusted_for_time
from dashboard.statistics.planning import Design, difference_sd, plan_study, planned_power
from dashboard.statistics.t_tests import Method
from edge_agent.core.errors import StatisticsError


def test_two_groups_are_those_of_power_t_test() -> None:
    # power.t.test(delta = 0.8, power = 0.8, strict = TRUE)$n = 25.52458
    found = plan_study(Design(Method.WELCH, 0.8), 0.8)
    assert found.n == found.n_single == 26
    # power.t.test(delta = 0.8, sig.level = 0.05 / 9, power = 0.8, strict = TRUE)$n = 42.78049
    assert plan_study(Design(Method.WELCH, 0.8, tests=9), 0.8).n == 43


def test_a_simulated_study_of_pairs_has_the_planned_power() -> None:
    rng = np.random.default_rng(3)
    gaps = np.repeat([5.0, -5.0], [16, 8])
    found = 0
    for _ in range(3000):
        differences = 0.8 + 0.3 * gaps + rng.normal(0, 1, 24)
        found += adjusted_for_time(differences, np.zeros(24), gaps).p < 0.05
    planned = planned_power(Design(Method.PAIRED, 0.8, order=16 / 24), 24, 0.05)
    assert found / 3000 == pytest.approx(planned, abs=0.025)


def test_a_family_and_an_uneven_order_take_more_people() -> None:
    one = plan_study(Design(Method.PAIRED, 0.5), 0.8)
    nine = plan_study(Design(Method.PAIRED, 0.5, tests=9), 0.8)
    uneven = plan_study(Design(Method.PAIRED, 0.5, tests=9, order=0.8), 0.8)
    assert one.n < nine.n < uneven.n
    assert nine.n_single == one.n
    assert uneven.n == pytest.approx(nine.n / 0.64, abs=4)
    powers = [power for _, power in nine.curve]
    assert powers == sorted(powers)
    assert (nine.n, nine.power) in nine.curve
    assert planned_power(Design(Method.PAIRED, 0.5, tests=9), nine.n - 1, 0.05 / 9) < 0.8


def test_the_spread_of_differences_falls_with_the_correlation() -> None:
    assert difference_sd(10.0, 0.5) == 10.0
    assert difference_sd(10.0, 0.0) == pytest.approx(10 * math.sqrt(2))


@pytest.mark.parametrize(
    ("design", "power", "text"),
    [
        (Design(Method.PAIRED, 0.5, order=1.0), 0.8, "no number of people can tell"),
        (Design(Method.PAIRED, 0.0), 0.8, "other than 0"),
        (Design(Method.PAIRED, 0.001), 0.8, "more than 10,000 people"),
        (Design(Method.PAIRED, 0.5), 1.0, "a power lies above"),
        (Design(Method.PAIRED, 0.5, tests=0), 0.8, "at least 1 test"),
    ],
)
def test_a_plan_that_cannot_be_says_why(design: Design, power: float, text: str) -> None:
    with pytest.raises(StatisticsError, match=text):
        plan_study(design, power)


def test_impossible_spreads_are_refused() -> None:
    with pytest.raises(StatisticsError, match="above 0"):
        difference_sd(0.0, 0.5)
    with pytest.raises(StatisticsError, match="from -1 to below 1"):
        difference_sd(1.0, 1.0)
