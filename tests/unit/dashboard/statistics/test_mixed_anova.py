"""Groups between people and states within them, against R 4.2.2."""

from __future__ import annotations

import random

import pytest

from dashboard.statistics.anova import mixed_anova
from dashboard.statistics.samples import MINIMUM, NoVariationError, TooFewError
from dashboard.statistics.t_tests import paired_t, welch_t
from edge_agent.core.errors import StatisticsError

FIRST = (
    (71.2, 74.1, 79.3),
    (64.5, 66.0, 70.2),
    (80.1, 79.4, 86.6),
    (69.9, 73.2, 72.8),
    (75.0, 77.7, 84.1),
)
SECOND = ((70.3, 69.1, 70.9), (62.8, 66.4, 65.0), (77.7, 78.2, 79.9), (84.0, 81.5, 85.1))
THIRD = ((66.1, 70.4, 68.8), (73.5, 74.9, 80.2), (58.9, 63.0, 60.1))


def test_three_unequal_groups_and_three_states_give_what_r_gives() -> None:
    found = mixed_anova([FIRST, SECOND, THIRD])
    # summary(aov(v ~ g * s + Error(p / s)))
    assert found.groups.f == pytest.approx(0.831671638038287, rel=1e-9)
    assert found.groups.df == (2, 9)
    assert found.groups.p == pytest.approx(0.466198676305987, rel=1e-9)
    assert found.interaction.f == pytest.approx(3.08686714329895, rel=1e-9)
    # anova(lm(y ~ g), X = ~1, test = "Spherical"): the G-G p
    assert found.interaction.p == pytest.approx(0.0639013590594065, rel=1e-9)
    assert found.interaction.df == (4 * found.epsilon, 18 * found.epsilon)
    assert found.groups.partial_eta_squared == pytest.approx(
        2 * 131.205611111111 / (2 * 131.205611111111 + 1419.85183333333), rel=1e-9
    )
    assert (found.sizes, found.states) == ((5, 4, 3), 3)


def test_two_groups_and_two_states_give_what_r_gives() -> None:
    found = mixed_anova([[row[:2] for row in FIRST], [row[:2] for row in SECOND]])
    assert found.groups.f == pytest.approx(0.0200503987247518, rel=1e-9)
    assert found.groups.p == pytest.approx(0.891385473612506, rel=1e-9)
    assert found.interaction.f == pytest.approx(1.67872271098077, rel=1e-9)
    assert found.interaction.p == pytest.approx(0.236179984726834, rel=1e-9)
    assert found.epsilon == 1


def test_a_shift_of_everything_and_the_order_of_groups_change_no_f() -> None:
    found = mixed_anova([FIRST, SECOND])
    moved = mixed_anova([[[x + 40 for x in row] for row in group] for group in (SECOND, FIRST)])
    assert moved.groups.f == pytest.approx(found.groups.f, rel=1e-9)
    assert moved.interaction.f == pytest.approx(found.interaction.f, rel=1e-9)


def test_groups_that_react_alike_have_no_interaction_and_those_that_do_not_have_one() -> None:
    rng = random.Random(1)
    calm = [[70 + rng.gauss(0, 5)] * 2 for _ in range(10)]
    alike = [[a + rng.gauss(0, 1), b + 5 + rng.gauss(0, 1)] for a, b in calm]
    other = [[a + rng.gauss(0, 1), b - 5 + rng.gauss(0, 1)] for a, b in calm]
    assert mixed_anova([alike[:5], alike[5:]]).interaction.p > 0.05
    assert mixed_anova([alike[:5], other[5:]]).interaction.p < 1e-4


def test_two_groups_of_equal_size_and_spread_agree_with_the_t_test_of_differences() -> None:
    one = [[0.0, 1.0], [1.0, 4.0], [2.0, 5.0]]
    other = [[0.0, 3.0], [1.0, 6.0], [2.0, 7.0]]
    f = mixed_anova([one, other]).interaction.f
    t = welch_t([b - a for a, b in one], [b - a for a, b in other]).t
    assert f == pytest.approx(t**2, rel=1e-12)
    assert paired_t([b for _, b in one], [a for a, _ in one]).n_first == MINIMUM


def test_what_cannot_be_compared_is_refused_with_the_reason() -> None:
    with pytest.raises(TooFewError, match="at least 3 people with all states; one has 2"):
        mixed_anova([FIRST, SECOND[:2]])
    with pytest.raises(StatisticsError, match="from 2 on; there is 1"):
        mixed_anova([FIRST])
    with pytest.raises(StatisticsError, match="in each of 2 states"):
        mixed_anova([FIRST, [row[:2] for row in SECOND]])
    with pytest.raises(StatisticsError, match="not finite"):
        mixed_anova([FIRST, [*SECOND, (float("nan"), 1.0, 2.0)]])
    flat = [(1.0, 2.0, 4.0)] * 3
    with pytest.raises(NoVariationError, match="do not differ from each other"):
        mixed_anova([flat, flat])
    shifted = [(1.0, 2.0, 4.0), (2.0, 3.0, 5.0), (5.0, 6.0, 8.0)]
    with pytest.raises(NoVariationError, match="by the same amounts"):
        mixed_anova([shifted, shifted])
