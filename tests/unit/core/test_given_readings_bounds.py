"""Where what others send is just allowed, and where it is not any more."""

from __future__ import annotations

import json
from datetime import timedelta, timezone
from typing import Any

import pytest
from pydantic import ValidationError

from edge_agent.core.clock import Instant
from edge_agent.core.errors import ReadingError
from edge_agent.core.readings import (
    FIELDS,
    ArrivalTimes,
    GivenReading,
    Origin,
    VitalFlag,
    VitalReading,
    are_near,
    has_time,
    id_of,
    parse_payload,
    read_given,
    reading_of,
)
from edge_agent.core.vitals import VitalKind

NOW = Instant(boot_ms=5_000_000, wall_ms=1_790_000_400_000)
WATCH = Origin("mqtt", prefix="mqtt:")
FILE = Origin(
    "csv:a.csv",
    flags=frozenset({VitalFlag.IMPORTED}),
    zone=timezone(timedelta(hours=2)),
    decimal_comma=True,
    live=False,
    units_needed=False,
)


def judged(origin: Origin = WATCH, **fields: Any) -> VitalReading:
    return reading_of({"kind": "heart_rate", "value": 72, **fields}, NOW, origin)


def refused(origin: Origin = WATCH, **fields: Any) -> str:
    with pytest.raises(ReadingError) as caught:
        judged(origin, **fields)
    return str(caught.value)


def test_a_payload_may_have_a_quarter_of_a_mebibyte_and_a_thousand_readings() -> None:
    one = json.dumps({"kind": "heart_rate", "value": 72}).encode()
    assert parse_payload(one.ljust(262_144)) == [json.loads(one)]
    with pytest.raises(ReadingError, match="of 262145 bytes is too large. Send at most 262144"):
        parse_payload(one.ljust(262_145))
    assert len(parse_payload(json.dumps([{}] * 1000).encode())) == 1000
    assert parse_payload(b"[{}]") == [{}]


def test_times_lie_between_the_years_2000_and_2100() -> None:
    assert judged(FILE, at=946_684_800).at.wall_ms == 946_684_800_000
    assert judged(FILE, at=946_684_800_000).at.wall_ms == 946_684_800_000
    assert judged(FILE, at="4102444799.999").at.wall_ms == 4_102_444_799_999
    for outside in (946_684_799, 4_102_444_800, "1999-12-31T23:59:59Z", "2100-01-01T00:00:00Z"):
        assert "is not a time between the years 2000 and 2100" in refused(FILE, at=outside)
    assert "is not a time between" in refused(at=99_999_999_999), "the last number of seconds"
    assert "is not a time between" in refused(at=100_000_000_000), "the first of milliseconds"


def test_a_time_without_a_zone_is_of_that_of_the_file() -> None:
    assert judged(FILE, at="2026-09-21 16:20:00").at == Instant(0, NOW.wall_ms)
    assert judged(FILE, at="2026-09-21T14:20:00Z").at == Instant(0, NOW.wall_ms)


@pytest.mark.parametrize(
    ("ahead_ms", "live", "flagged"),
    [
        (60_000, True, False),
        (60_001, True, True),
        (60_001, False, True),
        (-31 * 86_400_000, True, False),
        (-31 * 86_400_000 - 1, True, True),
        (-31 * 86_400_000 - 1, False, False),
    ],
)
def test_a_clock_may_be_a_minute_ahead_and_a_reading_a_month_old(
    ahead_ms: int, live: bool, flagged: bool
) -> None:
    origin = Origin("watch", live=live)
    flags = judged(origin, at=NOW.wall_ms + ahead_ms).flags
    assert (VitalFlag.CLOCK_DIFFERS in flags) is flagged


def test_names_may_have_sixty_four_characters_and_in_a_file_four_hundred() -> None:
    assert judged(source="x" * 64).source == "mqtt:" + "x" * 64
    assert "up to 64 printable" in refused(source="x" * 65)
    assert judged(FILE, source="x" * 400).source == "x" * 400
    assert "up to 400 printable" in refused(FILE, source="x" * 401)
    assert judged(source="a\tb").source == "mqtt:a\tb"
    assert judged(source="").source == judged(source=None).source == "mqtt"


def test_an_id_is_a_short_text_or_a_number_of_64_bits() -> None:
    good = ["x" * 64, 2**63 - 1, -(2**63) + 1, 0]
    assert [id_of({"id": value}) for value in good] == good
    bad: list[object] = ["x" * 65, 2**63, -(2**63), False, 1.5, "a\nb"]
    assert [id_of({"id": value}) for value in bad] == [None] * 6
    assert "id: True is no whole number or text of up to 64" in refused(id=True)


def test_numbers_come_as_text_too_with_a_comma_only_where_that_is_usual() -> None:
    assert judged(FILE, value="72,5").value == 72.5
    assert "value: '72,5' is not a number" in refused(value="72,5")
    assert judged(value=" 72.5 ").value == 72.5
    assert judged(value="7.2e1").value == 72
    assert "is not a number" in refused(FILE, value="7_2")
    assert isinstance(judged(value=72).value, float)


@pytest.mark.parametrize(
    ("kind", "unit", "factor"),
    [
        ("heart_rate", "/MIN", 1),
        ("heart_rate", " 1/min ", 1),
        ("systolic", "MM[HG]", 1),
        ("diastolic", "mmHg", 1),
        ("mean_arterial", "kpa", 7.500617),
        ("rr_interval", "MS", 0.001),
        ("rr_interval", "s", 1),
        ("systolic", "", 1),
    ],
)
def test_units_are_understood_however_they_are_written(kind: str, unit: str, factor: float) -> None:
    assert judged(kind=f" {kind.upper()} ", unit=unit, value=100).value == pytest.approx(
        100 * factor
    )


def test_an_interval_without_a_unit_is_in_seconds_where_files_have_always_had_it_so() -> None:
    assert judged(FILE, kind="rr_interval", value="0.8").value == 0.8
    assert "unit: is missing" in refused(kind="rr_interval", value=0.8, unit="")
    assert judged(unit=None).value == 72


def test_flags_come_as_a_list_or_in_one_text_and_those_of_the_origin_are_added() -> None:
    both = {VitalFlag.MANUAL, VitalFlag.CUFF_LOOSE}
    assert judged(flags="manual CUFF_LOOSE").flags == both
    assert judged(flags=["manual", "cuff_loose"]).flags == both
    assert judged(flags=["MANUAL", " Cuff_Loose "]).flags == both
    assert judged(FILE, flags=None).flags == {VitalFlag.IMPORTED}
    assert judged(FILE, flags="manual").flags == {VitalFlag.IMPORTED, VitalFlag.MANUAL}
    assert "flags: {} is not made of" in refused(flags={})


def test_the_time_of_a_device_stays_as_it_stands() -> None:
    told = "2026-11-20T08:15:00"
    assert judged(device_time=told).device_time == told
    assert judged(device_time="").device_time is None
    for bad in (f"{told}Z", f" {told}", 7):
        assert "is not a time such as" in refused(device_time=bad)


def test_version_1_is_spoken_and_nothing_else() -> None:
    assert judged(schema=1) == judged()
    for bad in (True, 0, "1"):
        assert "is not spoken here" in refused(schema=bad)


@pytest.mark.parametrize(("high", "near"), [(90.0, True), (90.1, False), (80.0, True)])
def test_pressures_ten_apart_are_too_near_and_more_are_not(high: float, near: bool) -> None:
    values = {VitalKind.SYSTOLIC: high, VitalKind.DIASTOLIC: 80.0}
    assert are_near(values) is near
    assert not are_near({VitalKind.SYSTOLIC: high})
    assert not are_near({VitalKind.DIASTOLIC: 80.0})


def test_pressures_of_different_moments_or_sources_are_not_compared() -> None:
    at = NOW.wall_ms
    items = [
        {"kind": "systolic", "value": 85, "at": at},
        {"kind": "diastolic", "value": 80, "at": at + 1},
        {"kind": "diastolic", "value": 80, "at": at, "source": "other"},
        {"kind": "luck"},
    ]
    answers = read_given(items, NOW, WATCH, ArrivalTimes())
    assert isinstance(answers[3], ReadingError)
    assert all(not one.flags for one in answers[:3] if isinstance(one, VitalReading))


def test_only_an_object_with_a_time_has_one() -> None:
    found = [has_time(item) for item in ({"at": 0}, {"at": None}, {}, "at", ["at"])]
    assert found == [True, False, False, False, False]


def test_arrivals_are_told_apart_by_kind_and_source_and_only_within_their_burst() -> None:
    arrivals = ArrivalTimes()
    rate = VitalKind.HEART_RATE
    beat = VitalKind.RR_INTERVAL
    at = [arrivals.stamp("a", rate, NOW).boot_ms - NOW.boot_ms for _ in range(3)]
    at += [arrivals.stamp(*key, NOW).boot_ms - NOW.boot_ms for key in (("b", rate), ("a", beat))]
    assert at == [0, 1, 2, 0, 0]
    next_ms = NOW.shifted(0.001)
    assert arrivals.stamp("a", rate, next_ms) == NOW.shifted(0.003)
    assert arrivals.stamp("b", rate, next_ms) == next_ms
    assert arrivals.stamp("a", rate, NOW.shifted(0.004)) == NOW.shifted(0.004)


def test_the_published_form_of_a_reading_is_what_the_validation_knows() -> None:
    assert set(FIELDS) == {
        "schema", "kind", "value", "unit", "at", "source", "flags", "device_time", "id",
    }  # fmt: skip
    form = GivenReading.model_json_schema(by_alias=True)
    assert form["additionalProperties"] is False
    assert form["required"] == ["kind", "value"]
    assert form["properties"]["schema"] | {"description": ""} == {
        "const": 1, "default": 1, "description": "", "title": "Schema", "type": "integer",
    }  # fmt: skip
    good = {"kind": "heart_rate", "value": 72}
    assert GivenReading.model_validate(good | {"source": "x" * 64}).flags == []
    assert GivenReading.model_validate(good | {"source": ""}).source == "", "the sender's only one"
    for bad in ("x" * 65, "two\nlines", "\x7f"):
        with pytest.raises(ValidationError):
            GivenReading.model_validate(good | {"source": bad})
