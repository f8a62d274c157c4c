"""When an alert begins and ends, the words for it, and quiet hours."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.alerts.rules import (
    FORGET_S,
    NEVER_QUIET,
    AlertChange,
    AlertEngine,
    QuietHours,
    Zone,
    alert_text,
    rule_title,
)
from edge_agent.alerts.signals import zone_of
from edge_agent.config.alerts import AlertKind, RuleSettings
from edge_agent.core.vitals import VitalKind

HIGH = RuleSettings(
    name="hr",
    when=AlertKind.VITAL,
    vital=VitalKind.HEART_RATE,
    above=120,
    below=45,
    margin=5,
    seconds=10,
    clear_seconds=30,
)
BEGUN = [(10, AlertChange.BEGUN)]
BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = QuietHours(time(22), time(7), BERLIN)


def changes_of(
    values: Iterable[float | None], engine: AlertEngine | None = None
) -> list[tuple[int, AlertChange]]:
    """Give a value each second (``None``: none is known); return what changed at which second."""
    engine = engine or AlertEngine([HIGH])
    changes = []
    for second, value in enumerate(values):
        zone = Zone.UNKNOWN if value is None else zone_of(HIGH, value)
        change = engine.step("hr", zone, float(second))
        if change is not None:
            changes.append((second, change))
    return changes


@pytest.mark.parametrize(
    ("values", "changes"),
    [
        # 118 is within the limit, and not by the margin
        ([130.0] * 20 + [118.0] * 100 + [110.0] * 40, [*BEGUN, (150, AlertChange.OVER)]),
        ([130.0] * 9 + [119.0] + [130.0] * 9, []),
        ([44.0] * 11, BEGUN),
        ([45.0] * 99 + [120.0] * 99, []),
        # over the limit and just below it, by turns for an hour
        ([130.0] * 15 + ([121.0] * 5 + [117.0] * 5) * 360, BEGUN),
        ([130.0] * 11 + [None] * (round(FORGET_S) - 1) + [130.0], BEGUN),
        ([None] * 1000, []),
    ],
)
def test_alert_begins_after_its_time_and_ends_within_the_margin(
    values: list[float | None], changes: list[tuple[int, AlertChange]]
) -> None:
    assert changes_of(values) == changes


def test_an_alert_of_before_goes_on_until_it_is_forgotten() -> None:
    engine = AlertEngine([HIGH], open_rules=["hr"])
    assert changes_of([130.0] * 100, engine) == []
    assert engine.is_open("hr")
    engine.forget("hr")
    assert changes_of([130.0] * 11, engine) == BEGUN
    lost = round(FORGET_S)
    unknown = changes_of([None] * (lost + 1), AlertEngine([HIGH], ["hr"]))
    assert unknown == [(lost, AlertChange.NOT_KNOWN)]


def test_no_time_at_all_is_at_once() -> None:
    at_once = RuleSettings(name="x", when=AlertKind.CAMERA, seconds=0, clear_seconds=0)
    engine = AlertEngine([at_once])
    assert engine.step("x", Zone.BEYOND, 5.0) is AlertChange.BEGUN
    assert engine.step("x", Zone.WELL, 5.0) is AlertChange.OVER


def test_alert_counts_what_was_so_before_it_was_seen() -> None:
    engine = AlertEngine([RuleSettings(name="x", when=AlertKind.CAMERA, seconds=10)])
    steps = [(103.0, 100.5), (110.0, 100.5), (111.0, 100.5)]
    changes = [engine.step("x", Zone.BEYOND, at_s, since) for at_s, since in steps]
    assert changes == [None, None, AlertChange.BEGUN]


@given(st.lists(st.sampled_from(Zone), max_size=300))
def test_beginnings_and_ends_take_turns_and_each_was_deserved(zones: list[Zone]) -> None:
    rule = RuleSettings(name="x", when=AlertKind.CAMERA, seconds=3, clear_seconds=4)
    engine = AlertEngine([rule])
    is_open = False
    for second, zone in enumerate(zones):
        change = engine.step("x", zone, float(second))
        if change is AlertChange.BEGUN:
            assert not is_open
            assert zones[second - 3 : second + 1] == [Zone.BEYOND] * 4
        elif change is not None:
            assert is_open
            assert zones[second - 4 : second + 1] == [Zone.WELL] * 5
        is_open = engine.is_open("x")


def test_texts_name_limits_and_never_what_was_measured() -> None:
    assert rule_title(HIGH) == "Heart rate above 120 /min or below 45 /min"
    assert alert_text(HIGH, 131.0) == "Heart rate above 120 /min for 10 s."
    assert alert_text(HIGH, 44.0) == "Heart rate below 45 /min for 10 s."
    strap = RuleSettings(name="strap", when=AlertKind.SENSOR, vital=VitalKind.HEART_RATE)
    assert alert_text(strap) == "No reading: heart rate for 13 s."
    camera = RuleSettings(name="camera", when=AlertKind.CAMERA, seconds=0)
    said = alert_text(camera, None, "Check its cable.")
    assert said == "No picture from the camera. Check its cable."


def at(text: str, zone: str = "UTC") -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


@pytest.mark.parametrize(
    ("there", "is_quiet"),
    [
        ("2026-01-15T21:59:59", False),
        ("2026-01-15T22:00:00", True),
        ("2026-01-16T00:00:00", True),
        ("2026-01-16T06:59:59", True),
        ("2026-01-16T07:00:00", False),
        ("2026-07-16T06:59:59", True),
    ],
)
def test_the_night_goes_across_midnight(there: str, is_quiet: bool) -> None:
    assert NIGHT.holds(at(there, "Europe/Berlin")) is is_quiet


def test_hours_of_one_day() -> None:
    rest = QuietHours(time(12, 30), time(14), BERLIN)
    times = ("12:29", "12:30", "14:00")
    quiet = [rest.holds(at(f"2026-01-15T{one}", "Europe/Berlin")) for one in times]
    assert quiet == [False, True, False]
    assert not any(NEVER_QUIET.holds(at(f"2026-01-15T{one}")) for one in times)


def test_the_night_in_which_an_hour_is_left_out() -> None:
    """On 2026-03-29 the clock in Berlin goes from 02:00 to 03:00: at 01:00 UTC."""
    times = ("00:59", "01:00", "04:59", "05:00")  # the last is 07:00 there
    assert [NIGHT.holds(at(f"2026-03-29T{one}")) for one in times] == [True, True, True, False]
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
