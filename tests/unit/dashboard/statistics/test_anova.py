"""Analyses of variance against literals from R 4.2.2, and what they refuse."""

from __future__ import annotations

import math

import pytest

from dashboard.statistics.anova import mixed_anova, repeated_anova
from dashboard.statistics.samples import NoVariationError, TooFewError
from edge_agent.core.errors import StatisticsError
from tests.support.statistics.known_designs import STATES, VARIANCES, KnownVariance
from tests.support.statistics.known_statistics import close


@pytest.mark.parametrize("known", VARIANCES, ids=str)
def test_the_analysis_of_variance_equals_r(known: KnownVariance) -> None:
    found = repeated_anova(known.states)
    assert (found.f, found.df_states, found.df_error) == tuple(map(close, known.f))
    assert found.epsilon == close(known.epsilon)
    assert (found.p, found.corrected_p) == tuple(map(close, known.p))
    assert (found.partial_eta_squared, found.generalized_eta_squared) == tuple(
        map(close, known.eta_squared)
    )
    assert (found.n, found.states) == (len(known.states[0]), len(known.states))
    assert found.corrected_df == (found.epsilon * found.df_states, found.epsilon * found.df_error)


def test_order_of_states_and_constant_for_each_participant_change_nothing() -> None:
    states = STATES["normal"]
    shifted = [
        [value + 8 * place for place, value in enumerate(state)] for state in reversed(states)
    ]
    one = repeated_anova(states)
    other = repeated_anova(shifted)
    assert (other.f, other.epsilon, other.corrected_p) == tuple(
        map(close, (one.f, one.epsilon, one.corrected_p))
    )


def test_two_participants_are_too_few_and_text_says_how_many_are_needed() -> None:
    with pytest.raises(TooFewError, match="at least 3 participants with all 3 states; there are 2"):
        repeated_anova([[1.0, 2.0], [2.0, 5.0], [3.0, 4.0]])


def test_equal_differences_with_rounding_have_no_f() -> None:
    first = [70.1, 71.3, 72.9, 80.7]
    with pytest.raises(NoVariationError, match="same amounts for all 4 participants"):
        repeated_anova([first, [x + 0.1 for x in first], [x - 3.7 for x in first]])


def test_missing_values_and_single_states_are_refused() -> None:
    with pytest.raises(StatisticsError, match="the states have 3 to 4 values"):
        repeated_anova([[1.0, 2.0, 3.0], [2.0, 5.0, 6.0, 7.0]])
    with pytest.raises(StatisticsError, match="at least 2 states; there is 1"):
        repeated_anova([[1.0, 2.0, 3.0]])
    with pytest.raises(StatisticsError, match="nan is not a finite number"):
        repeated_anova([[1.0, 2.0, 3.0], [2.0, math.nan, 6.0]])


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


def test_anova_of_unsuitable_data_is_refused_with_the_reason() -> None:
    with pytest.raises(TooFewError, match="at least 3 people with all states; one has 2"):
        mixed_anova([FIRST, SECOND[:2]])
    with pytest.raises(StatisticsError, match="at least 2 groups; there is 1"):
        mixed_anova([FIRST])
    with pytest.raises(StatisticsError, match="in each of at least 2 states"):
        mixed_anova([FIRST, [row[:2] for row in SECOND]])
    with pytest.raises(StatisticsError, match="not finite"):
        mixed_anova([FIRST, [*SECOND, (float("nan"), 1.0, 2.0)]])
    flat = [(1.0, 2.0, 4.0)] * 3
    with pytest.raises(NoVariationError, match="do not differ from each other"):
        mixed_anova([flat, flat])
    shifted = [(1.0, 2.0, 4.0), (2.0, 3.0, 5.0), (5.0, 6.0, 8.0)]
    with pytest.raises(NoVariationError, match="by the same amounts"):
        mixed_anova([shifted, shifted])
