"""Repeated-measures analysis of variance against literals from R, and what it refuses."""

from __future__ import annotations

import math

import pytest

from dashboard.statistics.anova import repeated_anova
from dashboard.statistics.samples import NoVariationError, TooFewError
from dashboard.statistics.t_tests import paired_t
from edge_agent.core.errors import StatisticsError
from tests.support.statistics.known_designs import STATES, VARIANCES, KnownVariance
from tests.support.statistics.known_statistics import HEART


def close(value: float) -> object:
    """Equal to a relative 1e-9, however large or small the value."""
    return pytest.approx(value, rel=1e-9, abs=0)


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


def test_with_two_states_it_is_the_paired_t_test() -> None:
    found = repeated_anova(HEART)
    test = paired_t(*HEART)
    assert (found.f, found.p, found.epsilon) == (close(test.t**2), close(test.p), close(1.0))


def test_the_order_of_states_and_a_constant_for_each_participant_change_nothing() -> None:
    states = STATES["normal"]
    shifted = [
        [value + 8 * place for place, value in enumerate(state)] for state in reversed(states)
    ]
    one = repeated_anova(states)
    other = repeated_anova(shifted)
    assert (other.f, other.epsilon, other.corrected_p) == tuple(
        map(close, (one.f, one.epsilon, one.corrected_p))
    )


def test_two_participants_are_too_few_and_the_text_says_how_many_are_needed() -> None:
    with pytest.raises(TooFewError, match="at least 3 participants with all 3 states; there are 2"):
        repeated_anova([[1.0, 2.0], [2.0, 5.0], [3.0, 4.0]])


def test_equal_differences_have_no_f_even_where_rounding_makes_them_look_unequal() -> None:
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
