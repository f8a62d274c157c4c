"""Readings that share a time: every one gets a time of its own."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.core.clock import Instant
from edge_agent.core.errors import DataFileError
from edge_agent.core.readings import (
    MOST_OF_ONE_TIME,
    BeatTimes,
    VitalFlag,
    VitalReading,
    place_in_time,
)
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.intake.staged_rows import StagedReadings

START_MS = 1_790_000_400_000


def reading(ms: int, value: float, kind: VitalKind = VitalKind.RR_INTERVAL) -> VitalReading:
    return VitalReading(Instant(0, START_MS + ms), kind, value, "strap")


def kept(*readings: VitalReading) -> list[tuple[int, float]]:
    """Keep readings as a table does; return time and value of those that are new."""
    table: dict[tuple[int, VitalKind], float] = {}
    new = []
    for one, is_new in place_in_time(readings, lambda r: table.get((r.at.wall_ms, r.kind))):
        if is_new:
            assert (one.at.wall_ms, one.kind) not in table
            table[one.at.wall_ms, one.kind] = one.value
            new.append((one.at.wall_ms - START_MS, one.value))
    return new


def test_beats_of_a_packet_end_before_it_by_what_follows_them() -> None:
    log = [reading(395, 0.892), reading(1370, 0.905), reading(1370, 0.863), reading(2345, 0.846)]
    spread = list(BeatTimes().spread_all(log))
    assert [one.at.wall_ms - START_MS for one in spread] == [395, 507, 1370, 2345]
    assert list(BeatTimes().spread_all(spread)) == spread, "a second time changes nothing"


def test_a_packet_that_says_more_than_passed_keeps_the_order_of_its_beats() -> None:
    log = [reading(0, 0.8), *(reading(1000, value) for value in (0.7, 0.6, 0.9))]
    spread = list(BeatTimes().spread_all(log))
    assert [one.at.wall_ms - START_MS for one in spread] == [0, 1, 100, 1000]


def test_a_log_with_the_newest_first_is_not_turned_round() -> None:
    log = [reading(5000, 0.8), reading(4000, 0.6), reading(4000, 0.7)]
    spread = list(BeatTimes().spread_all(log))
    assert [one.at.wall_ms - START_MS for one in spread] == [5000, 3300, 4000]


def test_beats_of_a_packet_do_not_lie_before_their_source_began() -> None:
    beats = BeatTimes()
    beats.begin("strap", Instant(0, START_MS - 1000))
    spread = list(beats.spread_all([reading(0, 0.8)] * 100))
    times = [one.at.wall_ms - START_MS for one in spread]
    assert times == [*range(-1000, -902), -800, 0]
    doubted = [one.flags == frozenset({VitalFlag.CLOCK_DIFFERS}) for one in spread]
    assert doubted == [True] * 98 + [False] * 2


def test_beats_whose_sender_says_an_earlier_time_keep_it() -> None:
    beats = BeatTimes()
    beats.begin("strap", Instant(0, START_MS))
    log = [reading(-5000, 0.8), reading(-4200, 0.8)]
    assert list(beats.spread_all(log)) == log


@given(st.lists(st.tuples(st.integers(0, 9), st.floats(-1e9, 1e9)), max_size=40))
def test_no_beat_is_lost_or_overtakes_another(packets: list[tuple[int, float]]) -> None:
    log = [reading(1000 * second, value) for second, value in sorted(packets, key=lambda p: p[0])]
    spread = list(BeatTimes().spread_all(log))
    assert [one.value for one in spread] == [one.value for one in log]
    assert all(one.at.wall_ms < other.at.wall_ms for one, other in pairwise(spread))


def test_another_value_is_kept_later_and_the_same_value_once() -> None:
    rate = VitalKind.HEART_RATE
    assert kept(*(reading(0, value, rate) for value in (61, 88, 61, 88, 70))) == [
        (0, 61),
        (1, 88),
        (2, 70),
    ]


def test_pressures_of_one_measurement_move_together() -> None:
    high, low = VitalKind.SYSTOLIC, VitalKind.DIASTOLIC
    first = (reading(0, 128, high), reading(0, 82, low))
    second = (reading(0, 128, high), reading(0, 80, low))
    assert kept(*first, *second, *first) == [(0, 128), (0, 82), (1, 128), (1, 80)]
    by_kind = (first[0], second[0], first[1], second[1])
    assert sorted(kept(*by_kind)) == [(0, 82), (0, 128), (1, 80), (1, 128)]


@pytest.mark.parametrize("is_in_turn", [False, True])
def test_more_readings_of_a_file_than_a_second_has_places_are_refused(is_in_turn: bool) -> None:
    values = range(MOST_OF_ONE_TIME + 1)
    rows = [reading(0, 60 + n / 100, VitalKind.HEART_RATE) for n in values]
    if is_in_turn:
        between = (reading(5000 + n, 70, VitalKind.HEART_RATE) for n in values)
        rows = [one for pair in zip(rows, between, strict=True) for one in pair]
    staged = StagedReadings("log.csv", in_memory=True)
    with staged, pytest.raises(DataFileError, match="more than 1000 readings of heart rate have"):
        staged.add(rows)
