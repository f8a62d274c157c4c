"""Power and sample sizes against literals from R, and what they refuse."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dashboard.statistics.planning import power_of, sample_size, still_needed
from dashboard.statistics.samples import NoVariationError, TooFewError
from dashboard.statistics.t_tests import Method
from edge_agent.core.errors import StatisticsError
from tests.support.statistics.known_statistics import HEART, UNEQUAL

PAIRED = Method.PAIRED
WELCH = Method.WELCH

# R 4.2.2: power.t.test(n, delta, sd = 1, type = "paired" and "two.sample", strict = TRUE)$power
POWERS = (
    (3, 1.5, 0.31638186155934267, 0.29319470030587313),
    (6, 3.0, 0.99988470648660865, 0.99644609637373094),
    (12, 0.8, 0.71366006560024464, 0.46575928830292335),
    (24, 0.8, 0.96334476043058204, 0.77429068787686672),
    (24, 0.2, 0.15558114152307367, 0.1041715606412319),
    (100, 0.3, 0.84394710273766371, 0.56005925358089947),
    (10_000, 0.04, 0.9793074919526521, 0.80739325279731866),
)
# R 4.2.2: ceiling(power.t.test(power, delta, sd = 1, type = …, strict = TRUE, tol = 1e-12)$n), at
# least 3
SIZES = (
    (0.1, 0.8, 787, 1571),
    (0.1, 0.9, 1053, 2103),
    (0.2, 0.8, 199, 394),
    (0.5, 0.8, 34, 64),
    (0.5, 0.9, 44, 86),
    (0.8, 0.8, 15, 26),
    (1.14, 0.9, 11, 18),
    (2.0, 0.9, 5, 7),
    (6.0, 0.8, 3, 3),
)


@pytest.mark.parametrize(("n", "effect", "paired", "groups"), POWERS)
def test_power_equals_r(n: int, effect: float, paired: float, groups: float) -> None:
    assert power_of(PAIRED, n, effect) == pytest.approx(paired, rel=1e-9)
    assert power_of(WELCH, n, effect) == pytest.approx(groups, rel=1e-9)
    assert power_of(PAIRED, n, -effect) == power_of(PAIRED, n, effect)


def test_without_an_effect_power_is_the_level() -> None:
    assert power_of(PAIRED, 12, 0.0) == pytest.approx(0.05, rel=1e-9)


@pytest.mark.parametrize(("effect", "power", "paired", "groups"), SIZES)
def test_sizes_equal_r(effect: float, power: float, paired: int, groups: int) -> None:
    assert sample_size(PAIRED, effect, power).n == paired
    assert sample_size(WELCH, effect, power).n == groups


def test_a_size_says_what_power_it_reaches() -> None:
    found = sample_size(PAIRED, 0.8)
    assert found.power == power_of(PAIRED, found.n, 0.8) >= 0.8 > power_of(PAIRED, found.n - 1, 0.8)


def test_what_is_still_needed_comes_from_the_spread_and_not_from_the_difference() -> None:
    found = still_needed(*HEART, PAIRED, 2.0)
    sd = float(np.std(np.subtract(*HEART), ddof=1))
    assert found.sd == pytest.approx(sd, rel=1e-12)
    assert found.size == sample_size(PAIRED, 2.0 / found.sd)
    assert (found.have_first, found.more_first) == (12, found.size.n - 12)
    raised = still_needed([x + 64 for x in HEART[0]], HEART[1], PAIRED, 2.0)
    assert raised.more_first == found.more_first


def test_groups_of_unequal_size_each_say_what_they_lack() -> None:
    found = still_needed(*UNEQUAL, WELCH, 5.0)
    assert (found.have_first, found.have_second) == (5, 9)
    assert (found.more_first, found.more_second) == (found.size.n - 5, found.size.n - 9)


def test_enough_people_need_no_more() -> None:
    assert still_needed(*HEART, PAIRED, 20.0).more_first == 0


@pytest.mark.parametrize("bad", [0.05, 1.0, 0.0, math.nan])
def test_a_power_out_of_range_is_refused_by_name(bad: float) -> None:
    with pytest.raises(StatisticsError, match="a power lies above 0.05 and below 1"):
        sample_size(PAIRED, 0.8, bad)


def test_what_nobody_could_find_or_plan_is_refused() -> None:
    with pytest.raises(StatisticsError, match="an effect of 0, more than 10,000 participants"):
        sample_size(PAIRED, 0.0)
    with pytest.raises(StatisticsError, match="an effect of 0.01, more than 10,000 participants"):
        sample_size(WELCH, 0.01)
    with pytest.raises(StatisticsError, match="finite number, not nan"):
        sample_size(PAIRED, math.nan)
    with pytest.raises(StatisticsError, match="at least 3 participants a side, not 2"):
        power_of(PAIRED, 2, 1.0)


def test_without_a_spread_nothing_is_planned() -> None:
    with pytest.raises(TooFewError, match="at least 3 participants with both states; there are 2"):
        still_needed([1.0, 2.0], [2.0, 5.0], PAIRED, 5.0)
    with pytest.raises(NoVariationError):
        still_needed([1.0, 2.0, 3.0], [2.0, 3.0, 4.0], PAIRED, 5.0)
