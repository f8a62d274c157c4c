"""Quiet hours: across midnight, and in the nights in which clocks are changed."""

from __future__ import annotations

from datetime import datetime, time
from zoneinfo import ZoneInfo

import pytest

from edge_agent.alerts.rules import NEVER_QUIET, QuietHours

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = QuietHours(time(22), time(7), BERLIN)


def at(text: str, zone: str = "UTC") -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


@pytest.mark.parametrize(
    ("there", "is_quiet"),
    [
        ("2026-01-15T21:59:59", False),
        ("2026-01-15T22:00:00", True),
        ("2026-01-15T23:59:59", True),
        ("2026-01-16T00:00:00", True),
        ("2026-01-16T06:59:59", True),
        ("2026-01-16T07:00:00", False),
        ("2026-07-16T06:59:59", True),
        ("2026-07-16T07:00:00", False),
    ],
)
def test_the_night_goes_across_midnight(there: str, is_quiet: bool) -> None:
    assert NIGHT.holds(at(there, "Europe/Berlin")) is is_quiet


def test_hours_of_one_day() -> None:
    rest = QuietHours(time(12, 30), time(14), BERLIN)
    assert not rest.holds(at("2026-01-15T12:29", "Europe/Berlin"))
    assert rest.holds(at("2026-01-15T12:30", "Europe/Berlin"))
    assert not rest.holds(at("2026-01-15T14:00", "Europe/Berlin"))


def test_the_night_in_which_an_hour_is_left_out() -> None:
    """On 2026-03-29 the clock in Berlin goes from 02:00 to 03:00: at 01:00 UTC."""
    assert NIGHT.holds(at("2026-03-29T00:59"))
    assert NIGHT.holds(at("2026-03-29T01:00"))
    assert NIGHT.holds(at("2026-03-29T04:59"))
    assert not NIGHT.holds(
        at("2026-03-29T05:00")
    )  # 07:00 there, an hour sooner than the day before
    left_out = QuietHours(time(2, 15), time(2, 45), BERLIN)
    minutes = range(at("2026-03-29T00:00"), at("2026-03-29T03:00"), 60_000)
    assert not any(left_out.holds(minute) for minute in minutes)


def test_the_night_in_which_an_hour_comes_twice() -> None:
    """On 2026-10-25 the clock in Berlin goes from 03:00 back to 02:00: at 01:00 UTC."""
    assert NIGHT.holds(at("2026-10-25T05:59"))
    assert not NIGHT.holds(at("2026-10-25T06:00"))
    twice = QuietHours(time(2), time(3), BERLIN)
    minutes = range(at("2026-10-24T22:00"), at("2026-10-25T04:00"), 60_000)
    assert sum(twice.holds(minute) for minute in minutes) == 120


def test_without_quiet_hours_it_is_never_quiet() -> None:
    hours = range(at("2026-01-15T00:00"), at("2026-01-16T00:00"), 3_600_000)
    assert not any(NEVER_QUIET.holds(hour) for hour in hours)
