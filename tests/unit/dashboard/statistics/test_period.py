"""What time in the session does to a difference, against R 4.2.2 (``lm``)."""

from __future__ import annotations

import numpy as np
import pytest

from dashboard.statistics.period import OneWayError, adjusted_for_time, drift
from dashboard.statistics.samples import TooFewError
from dashboard.statistics.t_tests import paired_t
from edge_agent.core.errors import StatisticsError

FIRST = (71.0, 80.0, 66.5, 84.2, 90.0, 77.0)
SECOND = (70.0, 78.0, 69.0, 83.0, 85.0, 79.0)
GAPS = (5.0, -5.0, 4.0, -3.0, 6.0, -2.0)


def test_the_difference_at_equal_times_equals_r() -> None:
    # summary(lm(I(a - b) ~ g)) and confint
    found = adjusted_for_time(FIRST, SECOND, GAPS)
    assert found.difference == pytest.approx(0.696992481203008, rel=1e-12)
    assert found.error == pytest.approx(1.261657518344376, rel=1e-12)
    assert found.t == pytest.approx(0.552441903661498, rel=1e-12)
    assert found.p == pytest.approx(0.610061481428678, rel=1e-12)
    assert found.slope == pytest.approx(0.103609022556391, rel=1e-12)
    assert (found.interval.low, found.interval.high) == pytest.approx(
        (-2.80593036004023, 4.19991532244625), rel=1e-12
    )
    assert found.df == 4


def test_the_change_over_a_session_equals_r() -> None:
    # summary(lm(value ~ person + state + minutes)) and confint
    people = [person for person in range(4) for _ in range(3)]
    minutes = np.array([2, 5, 8, 8, 5, 2, 5, 2, 8, 2, 8, 5], dtype=np.float64)
    values = np.array([70, 74, 69, 80, 79, 84, 66, 71, 66.5, 90, 85, 91])
    found = drift(people, [0, 1, 2] * 4, minutes, values)
    assert found.slope == pytest.approx(-0.694444444444446, rel=1e-12)
    assert found.p == pytest.approx(0.0629132941646765, rel=1e-11)
    assert (found.interval.low, found.interval.high) == pytest.approx(
        (-1.4434830889801975, 0.0545942000913051), rel=1e-11
    )
    assert (found.df, found.people) == (5, 4)


def test_a_change_that_is_the_same_for_all_drops_out_where_two_states_swap_places() -> None:
    calmed = [a - 1.5 * gap for a, gap in zip(FIRST, GAPS, strict=True)]
    assert adjusted_for_time(calmed, SECOND, GAPS).difference == pytest.approx(
        adjusted_for_time(FIRST, SECOND, GAPS).difference
    )
    assert paired_t(calmed, SECOND).difference != paired_t(FIRST, SECOND).difference


@pytest.mark.parametrize("gaps", [(5.0,) * 6, (4.0, 5.0, 6.0, 5.0, 4.0, 5.0), (0.0,) * 6])
def test_nothing_is_made_up_where_all_met_the_states_the_same_way_round(
    gaps: tuple[float, ...],
) -> None:
    with pytest.raises(OneWayError):
        adjusted_for_time(FIRST, SECOND, gaps)


def test_states_at_the_same_times_for_all_tell_nothing_of_the_session() -> None:
    values = np.array([70.0, 74, 69, 80, 79, 84, 66, 71, 66.5])
    people = [person for person in range(3) for _ in range(3)]
    with pytest.raises(OneWayError, match="nearly the same times"):
        drift(people, [0, 1, 2] * 3, np.array([2.0, 5, 8] * 3), values)


def test_too_few_and_missing_times_are_refused() -> None:
    with pytest.raises(TooFewError):
        adjusted_for_time(FIRST[:3], SECOND[:3], GAPS[:3])
    with pytest.raises(TooFewError):
        drift([], [], np.array([]), np.array([]))
    with pytest.raises(StatisticsError, match="6 pairs need as many times between, not 5"):
        adjusted_for_time(FIRST, SECOND, GAPS[:5])
