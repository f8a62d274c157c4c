"""Effects of time in the session (R 4.2.2) and of misread faces (simulated) on a difference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from dashboard.statistics.distributions import Values
from dashboard.statistics.period import (
    InseparableError,
    OneWayError,
    Recall,
    TimedSums,
    adjusted_for_place,
    adjusted_for_time,
    are_mixed,
    attenuation,
    drift,
    imbalance,
    is_told_apart,
    means_at_equal_times,
)
from dashboard.statistics.samples import TooFewError
from dashboard.statistics.t_tests import paired_t
from edge_agent.core.errors import StatisticsError

FIRST = (71.0, 80.0, 66.5, 84.2, 90.0, 77.0)


SECOND = (70.0, 78.0, 69.0, 83.0, 85.0, 79.0)


GAPS = (5.0, -5.0, 4.0, -3.0, 6.0, -2.0)


def test_the_difference_at_equal_times_equals_r() -> None:
    # summary(lm(I(a - b) ~ g)) and confint
    found = adjusted_for_time(FIRST, SECOND, GAPS)
    numbers = (found.difference, found.error, found.t, found.p, found.slope)
    assert numbers == pytest.approx(
        (
            0.696992481203008,
            1.261657518344376,
            0.552441903661498,
            0.610061481428678,
            0.103609022556391,
        ),
        rel=1e-12,
    )
    ends = (-2.80593036004023, 4.19991532244625)
    assert (found.interval.low, found.interval.high) == pytest.approx(ends, rel=1e-12)
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


def test_change_common_to_all_drops_out_where_two_states_swap_places() -> None:
    calmed = [a - 1.5 * gap for a, gap in zip(FIRST, GAPS, strict=True)]
    assert adjusted_for_time(calmed, SECOND, GAPS).difference == pytest.approx(
        adjusted_for_time(FIRST, SECOND, GAPS).difference
    )
    assert paired_t(calmed, SECOND).difference != paired_t(FIRST, SECOND).difference


EIGHT = (71.0, 80.0, 66.5, 84.2, 90.0, 77.0, 68.4, 79.9)
THEIRS = (70.0, 78.0, 69.0, 83.0, 85.0, 79.0, 66.0, 75.0)
MET_FIRST = (3, 1, 2, 2, 3, 1, 3, 3)
MET_SECOND = (1, 2, 3, 1, 2, 3, 1, 1)


def columns_of(first: Sequence[int], second: Sequence[int]) -> Values:
    """A row for each person, a column for each of three places."""
    every = np.arange(1, 4)
    met = [np.array(places)[:, np.newaxis] == every for places in (first, second)]
    return np.asarray(met[0].astype(float) - met[1])


def test_the_difference_at_equal_places_equals_r() -> None:
    # R 4.2.2: summary(lm(I(first - second) ~ columns)) and confint
    found = adjusted_for_place(EIGHT, THEIRS, columns_of(MET_FIRST, MET_SECOND))
    numbers = (found.difference, found.error, found.t, found.p)
    assert numbers == pytest.approx(
        (0.90833333333333421, 0.55358678934141292, 1.6408146849276399, 0.16175969962615375),
        rel=1e-12,
    )
    ends = (-0.51470681179592825, 2.3313734784625968)
    assert (found.interval.low, found.interval.high) == pytest.approx(ends, rel=1e-12)
    assert (found.df, found.slope) == (5, None)


def test_the_difference_at_places_of_several_sessions_equals_r() -> None:
    # the same of a person with two sessions, and of one whose order is not known
    columns = columns_of(MET_FIRST, MET_SECOND)
    columns[0], columns[3] = (-0.5, 0.5, 0.0), 0.0
    found = adjusted_for_place(EIGHT, THEIRS, columns)
    assert (found.difference, found.error, found.p) == pytest.approx(
        (1.0963350785340327, 0.30050121229638238, 0.014773677772994103), rel=1e-12
    )
    assert found.df == 5


def test_any_change_that_is_the_same_for_all_drops_out_of_equal_places() -> None:
    course = np.array([0.0, 9.0, -40.0, 7.0])  # by place
    calmed = [value + course[place] for value, place in zip(EIGHT, MET_FIRST, strict=True)]
    theirs = [value + course[place] for value, place in zip(THEIRS, MET_SECOND, strict=True)]
    columns = columns_of(MET_FIRST, MET_SECOND)
    found, before = (
        adjusted_for_place(first, second, columns)
        for first, second in ((calmed, theirs), (EIGHT, THEIRS))
    )
    assert (found.difference, found.p) == pytest.approx((before.difference, before.p))


def test_places_that_two_orders_give_are_not_distinguished_from_the_states() -> None:
    # first, second, third or the reverse: the middle one cannot be compared, the others can
    first, middle = (1, 3, 1, 3, 1, 3, 1, 3), (2,) * 8
    with pytest.raises(InseparableError):
        adjusted_for_place(EIGHT, THEIRS, columns_of(first, middle))
    last = [4 - place for place in first]
    found = adjusted_for_place(EIGHT, THEIRS, columns_of(first, last))
    assert found.df == 6
    with pytest.raises(TooFewError):
        adjusted_for_place(EIGHT[:3], THEIRS[:3], columns_of(first, last)[:3])


@pytest.mark.parametrize(
    ("first", "second", "share"),
    [
        ((1, 2, 1, 2), (2, 1, 2, 1), 0.0),
        ((1, 1, 1, 2), (2, 2, 2, 1), 0.5),  # three of four have it first
        ((1, 3, 1, 3), (2, 2, 2, 2), 0.5),  # by the first place half of them against nobody
        ((1, 2, 3, 3), (2, 3, 1, 1), 0.25),
    ],
)
def test_imbalance_is_the_most_that_a_steady_change_can_make(
    first: Sequence[int], second: Sequence[int], share: float
) -> None:
    assert imbalance(columns_of(first, second)) == share


def test_places_of_states_are_distinguished_unless_the_states_give_them() -> None:
    def told(orders: Sequence[Sequence[int]]) -> bool:
        people = [person for person in range(len(orders)) for _ in range(3)]
        places = np.array(orders).ravel()
        states = np.array([[state == one for one in (1, 2)] for state in range(3)] * len(orders))
        columns = np.column_stack([places == 2, places == 3]).astype(float)
        return is_told_apart(people, states.astype(float), columns)

    # of each person at which place the three states came
    assert told([(1, 2, 3), (2, 3, 1), (3, 1, 2), (1, 3, 2)])
    assert not told([(1, 2, 3)] * 4)
    assert not told([(1, 2, 3), (3, 2, 1)] * 2), "the middle one is always in the middle"


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


def sums_of(minutes: Sequence[float], values: Sequence[float]) -> TimedSums:
    """The sums of readings, each added up by itself."""
    return TimedSums(
        len(values),
        sum(minutes),
        sum(t * t for t in minutes),
        sum(values),
        sum(t * y for t, y in zip(minutes, values, strict=True)),
    )


def test_session_means_at_equal_times_are_those_computed_by_hand() -> None:
    # slope: (−2 − 2) / (2 + 2) = −1; the mean times 1 and 2 lie half a minute from their middle
    states = [sums_of((0.0, 2.0), (70.0, 68.0)), sums_of((1.0, 3.0), (74.0, 72.0))]
    assert means_at_equal_times(states) == (68.5, 73.5)


def test_session_means_at_equal_times_equal_least_squares_of_the_readings() -> None:
    rng = np.random.default_rng(7)
    minutes = np.arange(900) / 60
    state = (rng.random(900) < 0.1 + minutes / 30).astype(int) + (rng.random(900) < 0.3)
    values = 70 + 2.5 * state - 0.5 * minutes + rng.normal(0, 3, 900)
    columns = np.column_stack([state == one for one in range(3)])
    # value = state + b · t, solved from all readings; no state is the first
    found = np.linalg.lstsq(np.column_stack([columns, minutes]), values)[0]
    sums = [
        sums_of(minutes[state == one].tolist(), values[state == one].tolist()) for one in range(3)
    ]
    expected = found[:3] + found[3] * minutes.mean()
    assert means_at_equal_times(sums) == pytest.approx(expected, rel=1e-11)


def test_session_means_at_equal_times_differ_by_the_state_alone() -> None:
    early, late = (0.0, 1.0, 2.0, 6.0), (3.0, 7.0, 8.0, 9.0)
    sums = [sums_of(early, [70 - 2 * t for t in early]), sums_of(late, [73 - 2 * t for t in late])]
    first, second = means_at_equal_times(sums)
    assert second - first == pytest.approx(3.0)
    assert sums[1].mean < sums[0].mean


def test_session_means_at_equal_times_need_states_at_several_times() -> None:
    once = [sums_of((2.0, 2.0), (70.0, 71.0)), sums_of((7.1, 7.1, 7.1), (75.0, 74.0, 73.0))]
    with pytest.raises(OneWayError, match="at one time only"):
        means_at_equal_times(once)


@pytest.mark.parametrize(
    ("begins", "mixed"), [(0, True), (30, True), (34, True), (36, False), (60, False)]
)
def test_states_are_mixed_where_they_overlap_enough(begins: int, mixed: bool) -> None:
    # a minute each, a reading a second: times within one have a standard deviation of 17.3 s
    first = [second / 60 for second in range(60)]
    second = [(begins + second) / 60 for second in range(60)]
    assert are_mixed(sums_of(first, first), sums_of(second, second)) == mixed


def test_too_few_and_missing_times_are_refused() -> None:
    with pytest.raises(TooFewError):
        adjusted_for_time(FIRST[:3], SECOND[:3], GAPS[:3])
    with pytest.raises(TooFewError):
        drift([], [], np.array([]), np.array([]))
    with pytest.raises(StatisticsError, match="6 pairs need as many times between, not 5"):
        adjusted_for_time(FIRST, SECOND, GAPS[:5])


def test_nothing_misread_leaves_all_and_a_coin_leaves_nothing() -> None:
    assert attenuation(Recall(1.0, 300), Recall(1.0, 300)).factor == 1.0
    assert attenuation(Recall(0.5, 300), Recall(0.5, 300)).factor == 0.0


@pytest.mark.parametrize(("first", "second"), [(0.9, 0.9), (0.5, 1.0), (0.857, 0.904)])
def test_the_factor_is_what_simulated_misreading_leaves(first: float, second: float) -> None:
    rng = np.random.default_rng(2)
    truth = rng.random(400_000) < 0.5
    right = rng.random(400_000) < np.where(truth, first, second)
    called = np.where(right, truth, ~truth)
    values = np.where(truth, 10.0, 0.0) + rng.normal(0, 1, 400_000)
    left = (values[called].mean() - values[~called].mean()) / 10
    found = attenuation(Recall(first, 287), Recall(second, 1182))
    assert found.factor == pytest.approx(left, abs=0.005)
    assert found.interval.low < found.factor <= found.interval.high


def test_a_recall_without_pictures_is_refused() -> None:
    with pytest.raises(StatisticsError, match=r"not 0\.8 of 0"):
        attenuation(Recall(0.8, 0), Recall(0.9, 10))
