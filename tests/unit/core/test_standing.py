"""Hours of the week, and when they are by a clock on the wall."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from edge_agent.core.errors import StudyError
from edge_agent.core.standing import Schedule, daily_hours, overlapping
from edge_agent.core.study import Purpose

BERLIN = ZoneInfo("Europe/Berlin")


def ms(text: str, zone: ZoneInfo = BERLIN) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1000)


def schedule(days: str, start: str, end: str) -> Schedule:
    return Schedule("1", daily_hours(map(int, days), start, end), Purpose.PERSONAL)


def span(given: Schedule, text: str) -> tuple[str, str] | None:
    found = given.span_at(ms(text), BERLIN)
    if found is None:
        return None
    start, end = (
        datetime.fromtimestamp(one / 1000, BERLIN).isoformat(timespec="minutes")
        for one in (found.start_ms, found.end_ms)
    )
    return start, end


@pytest.mark.parametrize(
    ("given", "at", "expected"),
    [
        # 2026-11-27 is a Friday.
        (("5", "08:00", "21:00"), "2026-11-27T07:59", None),
        (("5", "08:00", "21:00"), "2026-11-27T08:00", ("27T08:00+01:00", "27T21:00+01:00")),
        (("5", "08:00", "21:00"), "2026-11-27T21:00", None),
        (("5", "08:00", "21:00"), "2026-11-26T12:00", None),
        (("5", "22:00", "06:00"), "2026-11-28T05:59", ("27T22:00+01:00", "28T06:00+01:00")),
        (("5", "22:00", "06:00"), "2026-11-27T05:59", None),
        (("5", "18:00", "24:00"), "2026-11-27T23:59", ("27T18:00+01:00", "28T00:00+01:00")),
        (("5", "00:00", "24:00"), "2026-11-27T00:00", ("27T00:00+01:00", "28T00:00+01:00")),
    ],
)
def test_hours_of_a_weekday_hold_a_time(
    given: tuple[str, str, str], at: str, expected: tuple[str, str] | None
) -> None:
    found = span(schedule(*given), at)
    assert found == (expected and tuple(f"2026-11-{one}" for one in expected))


def test_hours_over_the_change_of_summer_time_keep_to_the_clock_on_wall() -> None:
    # On Sunday 2026-03-29 it is 03:00 after 01:59, on 2026-10-25 it is 02:00 after 02:59.
    night = schedule("6", "22:00", "06:00")
    spring, autumn = (
        night.span_at(ms(day), BERLIN) for day in ("2026-03-29T05:59", "2026-10-25T05:59")
    )
    assert spring and autumn
    assert [one.end_ms - one.start_ms for one in (spring, autumn)] == [7 * 3600_000, 9 * 3600_000]
    left_out = schedule("7", "02:15", "02:45")
    assert span(left_out, "2026-03-29T03:00") is None
    twice = schedule("7", "01:00", "02:30")
    assert span(twice, "2026-10-25T01:30") == ("2026-10-25T01:00+02:00", "2026-10-25T02:30+02:00")


def test_next_hours_follow_in_the_next_week() -> None:
    friday = schedule("5", "08:00", "21:00")
    found = friday.next_span(ms("2026-11-27T08:00"), BERLIN)
    assert found and found.start_ms == ms("2026-12-04T08:00")


@pytest.mark.parametrize(
    ("first", "second", "meets"),
    [
        (("1", "08:00", "12:00"), ("1", "12:00", "14:00"), False),
        (("1", "08:00", "12:01"), ("1", "12:00", "14:00"), True),
        (("1", "12:00", "14:00"), ("1", "08:00", "12:01"), True),
        (("7", "22:00", "06:00"), ("1", "05:00", "07:00"), True),
        (("7", "22:00", "06:00"), ("1", "06:00", "07:00"), False),
        (("12", "00:00", "24:00"), ("3", "00:00", "24:00"), False),
        (("12", "00:00", "24:00"), ("2", "23:00", "24:00"), True),
    ],
)
def test_hours_of_two_people_meet_or_not(
    first: tuple[str, str, str], second: tuple[str, str, str], meets: bool
) -> None:
    hours = overlapping(schedule(*first).hours, schedule(*second).hours)
    assert (hours is not None) is meets


@pytest.mark.parametrize(
    ("days", "start", "end", "field"),
    [
        ("", "08:00", "21:00", "days"),
        ("1", "8", "21:00", "start"),
        ("1", "24:00", "21:00", "start"),
        ("1", "08:00", "25:00", "end"),
        ("1", "08:00", "08:00", "end"),
    ],
)
def test_hours_that_say_nothing_are_refused(days: str, start: str, end: str, field: str) -> None:
    with pytest.raises(StudyError) as refused:
        daily_hours(map(int, days), start, end)
    assert refused.value.field == field
