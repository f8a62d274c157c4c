"""The bounds of what others send, and what this machine stamps itself, which has none."""

from __future__ import annotations

import io
import math

import pytest

from edge_agent.core.bounds import (
    EARLIEST_MS,
    LATEST_MS,
    LINE_MOST,
    bounded_lines,
    check_sent,
    printable,
)
from edge_agent.core.clock import Instant, iso_utc
from edge_agent.core.errors import DataFileError, ReadingError, StudyError
from edge_agent.core.given_readings import ArrivalTimes, ReadingOrigin, read_given, reading_of
from edge_agent.core.readings import VitalFlag

UNSET = Instant(boot_ms=42_000, wall_ms=3_600_000)
"""An hour into 1970: a clock that nothing has set."""
WATCH = ReadingOrigin("mqtt", prefix="mqtt:")


@pytest.mark.parametrize(
    ("wall_ms", "text"),
    [
        (1_790_000_400_250, "2026-09-21T14:20:00.250Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (10**17, "9999-12-30T23:59:59.999Z"),
        (2**62, "9999-12-30T23:59:59.999Z"),
        (-(2**62), "0001-01-02T00:00:00.000Z"),
    ],
)
def test_iso_text_of_any_number_is_a_date(wall_ms: int, text: str) -> None:
    assert iso_utc(wall_ms) == text


@pytest.mark.parametrize("wall_ms", [EARLIEST_MS, LATEST_MS - 1])
def test_time_at_the_edge_of_the_bounds_is_taken(wall_ms: int) -> None:
    check_sent("given_ms", wall_ms)
    check_sent("at", Instant(0, wall_ms))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("given_ms", EARLIEST_MS - 1),
        ("given_ms", LATEST_MS),
        ("at", Instant(0, EARLIEST_MS - 1)),
        ("at", Instant(LATEST_MS, EARLIEST_MS)),
        ("at", Instant(-1, EARLIEST_MS)),
        ("at", Instant(42_000, -1)),
        ("value", math.inf),
        ("value", 1e308),
        ("step", 2**53),
        ("rows", [0] * 10_001),
        ("label", "a\nb"),
        ("label", "\x1b[2J"),
        ("label", "x" * 2_001),
        ("values", {"a": "\x00"}),
    ],
)
def test_value_beyond_the_bounds_is_refused_by_its_name(name: str, value: object) -> None:
    with pytest.raises(StudyError, match=name):
        check_sent(name, value)


def test_unset_clock_of_this_machine_is_no_reason_to_refuse() -> None:
    check_sent("at", UNSET)
    (reading,) = read_given([{"kind": "heart_rate", "value": 72}], UNSET, WATCH, ArrivalTimes())
    assert not isinstance(reading, ReadingError)
    assert (reading.at, reading.flags) == (UNSET, frozenset())
    dated = {"kind": "heart_rate", "value": 72, "at": 1_790_000_400_250}
    assert reading_of(dated, UNSET, WATCH).flags == {VitalFlag.CLOCK_DIFFERS}


def test_value_that_no_vital_has_is_refused_in_a_message() -> None:
    with pytest.raises(ReadingError, match=r"1e\+308 /min cannot be heart rate"):
        reading_of({"kind": "heart_rate", "value": 1e308}, UNSET, WATCH)


def test_printable_text_shows_control_characters_as_escapes() -> None:
    assert printable("a\nb\x1b[2J\ud800\u202e ü") == r"a\nb\x1b[2J\ud800\u202e ü"


def test_line_of_a_text_that_is_too_long_is_refused() -> None:
    with pytest.raises(DataFileError, match=r"a\.csv, line 2: is longer than"):
        list(bounded_lines(io.StringIO("at\n" + "1" * (LINE_MOST + 1)), "a.csv"))
