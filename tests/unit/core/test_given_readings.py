"""The validation of readings that others send: what is taken, what is flagged, what is refused
and why.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.core.clock import Instant
from edge_agent.core.errors import ReadingError
from edge_agent.core.readings import (
    FIELDS,
    MAX_BYTES,
    MAX_READINGS,
    UNUSABLE,
    ArrivalTimes,
    Origin,
    VitalFlag,
    VitalReading,
    id_of,
    parse_payload,
    read_given,
    reading_of,
)
from edge_agent.core.vitals import VitalKind
from tests.support.vitals.odd_readings import ITEMS

NOW = Instant(boot_ms=5_000_000, wall_ms=1_790_000_400_000)  # 2026-09-21T14:20:00Z
WATCH = Origin("mqtt", prefix="mqtt:")


def judged(**fields: Any) -> VitalReading:
    return reading_of({"kind": "heart_rate", "value": 72, **fields}, NOW, WATCH)


def read_all(payload: bytes) -> list[VitalReading]:
    return [reading_of(item, NOW, WATCH) for item in parse_payload(payload)]


def test_a_reading_without_a_time_is_of_the_moment_at_which_it_arrives() -> None:
    assert judged() == VitalReading(NOW, VitalKind.HEART_RATE, 72.0, "mqtt")


@pytest.mark.parametrize(
    "at", ["2026-09-21T14:19:00Z", "2026-09-21 16:19:00+02:00", 1_790_000_340_000, 1_790_000_340]
)
def test_times_are_iso_text_with_an_offset_or_epoch_numbers(at: object) -> None:
    assert judged(at=at).at == Instant(boot_ms=0, wall_ms=NOW.wall_ms - 60_000), (
        "the boot clock then is not known"
    )


@pytest.mark.parametrize(
    ("fields", "value"),
    [
        ({"kind": "systolic", "value": 16, "unit": "kPa"}, 120.0099),
        ({"kind": "Diastolic", "value": "80", "unit": "mmHg"}, 80.0),
        ({"kind": "rr_interval", "value": 850, "unit": "ms"}, 0.85),
        ({"kind": "rr_interval", "value": 0.85, "unit": "s"}, 0.85),
        ({"kind": "heart_rate", "value": 70, "unit": "bpm"}, 70.0),
    ],
)
def test_units_are_converted_to_that_of_the_kind(fields: dict[str, Any], value: float) -> None:
    assert judged(**fields).value == pytest.approx(value, abs=1e-4)


def test_an_implausible_value_is_flagged_and_kept() -> None:
    assert judged(value=400).flags == {VitalFlag.OUT_OF_RANGE}
    assert judged(value=-1).flags == {VitalFlag.OUT_OF_RANGE}


@pytest.mark.parametrize(
    ("ahead_s", "flagged"),
    [(0, False), (59, False), (61, True), (-30 * 86_400, False), (-32 * 86_400, True)],
)
def test_a_time_to_come_or_far_too_old_is_flagged_as_a_wrong_clock(
    ahead_s: int, flagged: bool
) -> None:
    flags = judged(at=NOW.wall_ms + 1000 * ahead_s).flags
    assert flags == ({VitalFlag.CLOCK_DIFFERS} if flagged else set())
    assert bool(flags & UNUSABLE) == flagged, "and counts in no mean"


def test_what_is_imported_may_be_as_old_as_it_likes_but_not_from_the_future() -> None:
    file = Origin("csv:a.csv", live=False, units_needed=False)
    old = reading_of({"kind": "heart_rate", "value": "60", "at": "2004-01-01T00:00:00Z"}, NOW, file)
    assert not old.flags
    new = reading_of({"kind": "heart_rate", "value": "60", "at": "2026-09-22T14:20:00Z"}, NOW, file)
    assert new.flags == {VitalFlag.CLOCK_DIFFERS}


def test_a_source_that_is_named_cannot_be_that_of_another() -> None:
    assert judged(source="ble:A0:9E:1A:00:00:01").source == "mqtt:ble:A0:9E:1A:00:00:01"


def test_pressures_of_one_measurement_that_are_too_near_to_each_other_are_flagged() -> None:
    at = NOW.wall_ms
    items = [
        {"kind": "systolic", "value": 90, "at": at},
        {"kind": "diastolic", "value": 80, "at": at},
        {"kind": "heart_rate", "value": 70, "at": at},
        {"kind": "systolic", "value": 91, "at": at, "source": "other"},
        {"kind": "diastolic", "value": 80, "at": at, "source": "other"},
    ]
    readings = read_given(items, NOW, WATCH, ArrivalTimes())
    flagged = [VitalFlag.OUT_OF_RANGE in r.flags for r in readings if isinstance(r, VitalReading)]
    assert flagged == [True, True, False, False, False]


def test_readings_that_arrive_in_one_millisecond_are_all_kept() -> None:
    arrivals = ArrivalTimes()
    items = [{"kind": "rr_interval", "value": 0.8, "unit": "s"}] * 3 + [
        {"kind": "heart_rate", "value": 75}
    ]
    both = [*read_given(items, NOW, WATCH, arrivals), *read_given(items, NOW, WATCH, arrivals)]
    times = [r.at.wall_ms - NOW.wall_ms for r in both if isinstance(r, VitalReading)]
    assert times == [-1600, -800, 0, 0, 1, 2, 3, 1]
    later = read_given(items[:1], NOW.shifted(1), WATCH, arrivals)[0]
    assert isinstance(later, VitalReading) and later.at == NOW.shifted(1)


KINDS = ", ".join(VitalKind)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"kind": "pulse"}, f"kind: 'pulse' is not one of {KINDS}."),
        ({"kind": None}, f"kind: nothing is not one of {KINDS}."),
        ({"kind": ["heart_rate"]}, f"kind: ['heart_rate'] is not one of {KINDS}."),
        ({"value": None}, "value: nothing is not a number."),
        ({"value": True}, "value: True is not a number."),
        ({"value": "fast"}, "value: 'fast' is not a number."),
        ({"value": "1_000"}, "value: '1_000' is not a number."),
        ({"value": 10**400}, "is not a number."),
        ({"value": "inf"}, "value: 'inf' is not a number."),
        ({"kind": "systolic", "value": 1e308, "unit": "kPa"}, "value: 1e+308 is not a number."),
        (
            {"unit": "mmHg"},
            "unit: 'mmHg' is no unit of heart_rate. Allowed: /min, 1/min, bpm, or empty for /min.",
        ),
        ({"unit": 5}, "unit: 5 is no unit of heart_rate."),
        (
            {"kind": "rr_interval"},
            "unit: is missing: an RR interval may be in s / ms. Allowed: s, ms.",
        ),
        ({"at": "yesterday"}, "at: 'yesterday' is not a time. Write 2026-11-20T08:15:00Z"),
        (
            {"at": "2026-09-21T14:19:00"},
            "at: '2026-09-21T14:19:00' has no time zone. Write Z or +01:00 behind it",
        ),
        (
            {"at": "0001-01-01T00:00:00+23:00"},
            "at: '0001-01-01T00:00:00+23:00' is not a time between",
        ),
        ({"at": 0}, "at: 0 is not a time between the years 2000 and 2100."),
        ({"at": 10**400}, "is not a time between the years 2000 and 2100."),
        ({"at": False}, "at: False is not a time between"),
        ({"at": {}}, "at: {} is not a time between"),
        ({"source": "a\nb"}, "source: 'a\\nb' is no name of up to 64 printable characters."),
        ({"source": "\ud800"}, "source: '\\ud800' is no name of up to 64 printable characters."),
        ({"source": "x" * 65}, "is no name of up to 64 printable characters."),
        ({"source": 7}, "source: 7 is no name"),
        ({"flags": ["odd"]}, "flags: ['odd'] is not made of out_of_range, contact_lost"),
        ({"flags": 3}, "flags: 3 is not made of"),
        ({"flags": [[]]}, "flags: [[]] is not made of"),
        (
            {"device_time": "16:20"},
            "device_time: '16:20' is not a time such as 2026-11-20T08:15:00, without a zone.",
        ),
        ({"schema": 2}, "schema: 2 is not spoken here. Send version 1, or leave it out."),
        ({"id": []}, "id: [] is no whole number or text of up to 64 characters."),
        ({"pulse": 1}, f"'pulse': is no field of a reading. Known: {', '.join(sorted(FIELDS))}."),
    ],
)
def test_what_cannot_be_understood_is_refused_by_field_and_value(
    fields: dict[str, Any], said: str
) -> None:
    with pytest.raises(ReadingError) as caught:
        judged(**fields)
    assert said in str(caught.value)
    assert len(str(caught.value)) < 400, "however large the value is"


@pytest.mark.parametrize("item", [None, 3, "heart_rate", [], [["kind", "heart_rate"]]])
def test_what_is_no_object_is_refused(item: object) -> None:
    with pytest.raises(ReadingError, match="is no object with kind and value"):
        reading_of(item, NOW, WATCH)


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (b"", "is not JSON"),
        (b"72", "72 is no object"),
        (b"{", "is not JSON"),
        (b'{"kind": "heart_rate", "value": NaN}', "is not JSON (NaN is no number)"),
        (b"\xff\xfe", "is not UTF-8 text (byte 0)"),
        ("{}".encode("utf-16"), "is not UTF-8 text"),
        (b"[" * 100_000, "is nested too deeply"),
        (b"1" * 5000, "is not JSON"),
        (b"[]", "payload: of 0 readings is not allowed. Send 1 to 1000."),
        (
            json.dumps([{}] * (MAX_READINGS + 1)).encode(),
            "payload: of 1001 readings is not allowed",
        ),
        (
            b" " * (MAX_BYTES + 1),
            f"payload: of {MAX_BYTES + 1} bytes is too large. Send at most {MAX_BYTES} at a time.",
        ),
    ],
)
def test_a_payload_that_is_no_list_of_readings_is_refused(payload: bytes, said: str) -> None:
    with pytest.raises(ReadingError) as caught:
        read_all(payload)
    assert said in str(caught.value)


def test_only_a_usable_id_comes_back() -> None:
    given: list[object] = ["a-1", 7, True, 2**70, "x" * 65, "\n", None, []]
    assert [id_of({"id": value}) for value in given] == ["a-1", 7, *[None] * 6]
    assert id_of("no object") is None


@settings(max_examples=60, deadline=None)
@given(st.lists(ITEMS, max_size=20))
def test_whatever_is_handed_in_is_taken_or_refused_and_nothing_else_happens(
    items: list[object],
) -> None:
    for answer in read_given(items, NOW, WATCH, ArrivalTimes()):
        assert isinstance(answer, ReadingError | VitalReading)
        assert len(str(answer)) < 600


@pytest.mark.parametrize("source", ["two\nlines", "\x7f", "x" * 200])
def test_a_source_that_cannot_be_shown_is_refused(source: str) -> None:
    with pytest.raises(ReadingError, match="source"):
        judged(source=source)
