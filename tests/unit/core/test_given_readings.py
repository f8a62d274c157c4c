"""Readings that others send: what is taken, flagged or refused, and where the bounds are."""

from __future__ import annotations

import json
import time
from datetime import timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from edge_agent.core.clock import Instant
from edge_agent.core.errors import ReadingError
from edge_agent.core.given_readings import (
    ArrivalTimes,
    GivenReading,
    ReadingOrigin,
    are_near,
    has_time,
    id_of,
    known_fields,
    parse_payload,
    read_given,
    reading_of,
)
from edge_agent.core.readings import LocalTimes, VitalFlag, VitalReading, time_ms
from edge_agent.core.vitals import VitalKind
from tests.support.vitals.odd_readings import ITEMS

KNOWN = ", ".join(sorted(known_fields()))
NOW = Instant(boot_ms=5_000_000, wall_ms=1_790_000_400_000)  # 2026-09-21T14:20:00Z
WATCH = ReadingOrigin("mqtt", prefix="mqtt:")
FILE = ReadingOrigin(
    "csv:a.csv",
    flags=frozenset({VitalFlag.IMPORTED}),
    zone=timezone(timedelta(hours=2)),
    decimal_comma=True,
    live=False,
    units_needed=False,
)


def judged(origin: ReadingOrigin = WATCH, **fields: Any) -> VitalReading:
    return reading_of({"kind": "heart_rate", "value": 72, **fields}, NOW, origin)


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


def test_a_source_that_is_named_cannot_be_that_of_another() -> None:
    assert judged(source="ble:A0:9E:1A:00:00:01").source == "mqtt:ble:A0:9E:1A:00:00:01"


def test_pressures_of_one_measurement_too_near_to_each_other_are_flagged() -> None:
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
    later = read_given(items[:1], NOW.shift(1), WATCH, arrivals)[0]
    assert isinstance(later, VitalReading) and later.at == NOW.shift(1)


KINDS = ", ".join(VitalKind)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"kind": "pulse"}, f"kind: 'pulse' is not one of {KINDS}."),
        ({"kind": None}, f"kind: is missing. Write one of {KINDS}."),
        ({"kind": ["heart_rate"]}, f"kind: ['heart_rate'] is not one of {KINDS}."),
        ({"value": None}, "value: is missing. Send a number."),
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
        ({"at": 10**400}, "is not a time between the years 2000 and 2100."),
        ({"at": False}, "at: False is not a time between"),
        ({"at": {}}, "at: {} is not a time between"),
        ({"source": "a\nb"}, "source: 'a\\nb' is no name of up to 64 printable characters."),
        ({"source": "\ud800"}, "source: '\\ud800' is no name of up to 64 printable characters."),
        ({"source": 7}, "source: 7 is no name"),
        ({"flags": ["odd"]}, "flags: ['odd'] is not made of out_of_range, contact_lost"),
        ({"flags": 3}, "flags: 3 is not made of"),
        ({"flags": [[]]}, "flags: [[]] is not made of"),
        (
            {"device_time": "16:20"},
            "device_time: '16:20' is not a time such as 2026-11-20T08:15:00, without a zone.",
        ),
        ({"schema": 2}, "schema: 2 is not supported. Send version 1, or leave it out."),
        ({"id": []}, "id: [] is no whole number or text of up to 64 characters."),
        ({"pulse": 1}, f"'pulse': is no field of a reading. Known: {KNOWN}."),
    ],
)
def test_what_cannot_be_understood_is_refused_by_field_and_value(
    fields: dict[str, Any], said: str
) -> None:
    refusal = refused(**fields)
    assert said in refusal
    assert len(refusal) < 400, "however large the value is"


@pytest.mark.parametrize("item", [None, 3, "heart_rate", [], [["kind", "heart_rate"]]])
def test_reading_that_is_no_object_is_refused(item: object) -> None:
    with pytest.raises(ReadingError, match="is no object with kind and value"):
        reading_of(item, NOW, WATCH)


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (b"", "payload: is empty. Send a reading, or a list of readings."),
        (b"72", "72 is no object"),
        (b"{", "is not JSON"),
        (b'{"kind": "heart_rate", "value": NaN}', "is not JSON (NaN is no number)"),
        (b"\xff\xfe", "is not UTF-8 text (byte 0)"),
        ("{}".encode("utf-16"), "is not UTF-8 text"),
        (b"[" * 100_000, "is nested too deeply"),
        (b"1" * 5000, "is not JSON"),
        (b"[]", "payload: of 0 readings is not allowed. Send 1 to 1000."),
        (json.dumps([{}] * 1001).encode(), "payload: of 1001 readings is not allowed"),
    ],
)
def test_a_payload_that_is_no_list_of_readings_is_refused(payload: bytes, said: str) -> None:
    with pytest.raises(ReadingError) as caught:
        read_all(payload)
    assert said in str(caught.value)


@settings(max_examples=60, deadline=None)
@given(st.lists(ITEMS, max_size=20))
def test_whatever_is_handed_in_is_taken_or_refused(items: list[object]) -> None:
    for answer in read_given(items, NOW, WATCH, ArrivalTimes()):
        assert isinstance(answer, ReadingError | VitalReading)
        assert len(str(answer)) < 600


def refused(origin: ReadingOrigin = WATCH, **fields: Any) -> str:
    with pytest.raises(ReadingError) as caught:
        judged(origin, **fields)
    return str(caught.value)


def test_a_payload_may_have_a_quarter_of_a_mebibyte_and_thousand_readings() -> None:
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
    assert "Write 2026-11-27 or 2026-11-27 14:30." in refused(FILE, at="soon")


def test_a_time_without_a_zone_may_be_of_this_machine() -> None:
    with pytest.MonkeyPatch.context() as east:
        east.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        assert time_ms("2026-09-21 23:20", LocalTimes(None)) == NOW.wall_ms
        assert time_ms("2026-09-21T14:20Z", LocalTimes(None)) == NOW.wall_ms
    time.tzset()
    for text in ("0001-01-01", "9999-12-31"):
        with pytest.raises(ReadingError, match=f"'{text}' is not a time between"):
            time_ms(text, LocalTimes(None))


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
    origin = ReadingOrigin("watch", live=live)
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
    assert id_of("no object") is None
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


def test_a_unit_may_stand_behind_a_value_that_is_text() -> None:
    pressure: dict[str, Any] = {"kind": "systolic", "value": "16 kPa"}
    assert judged(**pressure) == judged(kind="systolic", value=16, unit="kPa")
    assert judged(unit="KPA ", **pressure) == judged(**pressure)
    assert judged(kind="rr_interval", value=" 800  ms ").value == 0.8
    assert "unit: 'mmHg' is not the unit of 16 kPa." in refused(unit="mmHg", **pressure)
    assert "value: '16 kPa' is not a number." in refused(value="16 kPa"), "of another kind"
    strict = ReadingOrigin("x", as_text=False)
    assert "value: '16 kPa' is not a number." in refused(strict, **pressure)
    assert "'72' is text. Send the number without quotation marks." in refused(strict, value="72")


def test_interval_without_unit_is_in_seconds_in_files_of_ours() -> None:
    assert judged(FILE, kind="rr_interval", value="0.8").value == 0.8
    assert "unit: is missing" in refused(kind="rr_interval", value=0.8, unit="")
    assert judged(unit=None).value == 72


def test_flags_come_as_a_list_or_in_one_text_and_those_of_origin_are_added() -> None:
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
        assert "is not supported" in refused(schema=bad)


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


def test_arrivals_differ_on_the_wall_where_its_clock_is_rounded_down() -> None:
    arrivals = ArrivalTimes()
    first, second = NOW, Instant(NOW.boot_ms + 1, NOW.wall_ms)
    at = [arrivals.stamp("a", VitalKind.HEART_RATE, one).wall_ms for one in (first, second)]
    assert at == [NOW.wall_ms, NOW.wall_ms + 1]


def test_arrivals_of_a_burst_differ_by_kind_and_source() -> None:
    arrivals = ArrivalTimes()
    rate = VitalKind.HEART_RATE
    beat = VitalKind.RR_INTERVAL
    at = [arrivals.stamp("a", rate, NOW).boot_ms - NOW.boot_ms for _ in range(3)]
    at += [arrivals.stamp(*key, NOW).boot_ms - NOW.boot_ms for key in (("b", rate), ("a", beat))]
    assert at == [0, 1, 2, 0, 0]
    next_ms = NOW.shift(0.001)
    assert arrivals.stamp("a", rate, next_ms) == NOW.shift(0.003)
    assert arrivals.stamp("b", rate, next_ms) == next_ms
    assert arrivals.stamp("a", rate, NOW.shift(0.004)) == NOW.shift(0.004)


def test_the_published_form_of_a_reading_is_what_the_validation_knows() -> None:
    assert known_fields() == {
        "schema", "kind", "value", "unit", "at", "source", "flags", "device_time", "id",
        "error",
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


def test_error_of_an_interval_in_ms_is_kept_in_seconds() -> None:
    one = judged(kind="rr_interval", value=812, unit="ms", error=8)
    assert (one.value, one.error) == pytest.approx((0.812, 0.008))
    assert judged().error is None


@pytest.mark.parametrize("bad", [-1, 1e200, "inf", "far", True])
def test_error_that_cannot_be_one_is_refused(bad: object) -> None:
    assert "error" in refused(error=bad)


SPELLINGS = {
    ("skin_temperature", "Cel"): "oC|degC|deg C|°C|℃|celsius|degrees C|degree Celsius|º C|Cel",
    ("skin_temperature", "°F"): "oF|degF|deg. F|Fahrenheit|℉|degrees Fahrenheit|[degF]",
    ("heart_rate", "/min"): "bpm|1 / min|min-1|min^-1|min⁻¹|beats/min|beats per minute|/minute",
    ("oxygen_saturation", "%"): "％|percent|Per cent|pct",
    ("systolic", "mm[Hg]"): "mmHg|mm Hg|㎜Hg|mm[Hg]",
    ("rr_interval", "ms"): "msec|milliseconds",
    ("rr_interval", "s"): "sec|seconds",
    ("skin_conductance", "uS"): "µS|μS|micro siemens|Microsiemens|micro-mhos",
    ("skin_conductance", "kΩ"): "kOhm|k ohm|kilo-ohms",
}


@pytest.mark.parametrize(("kind", "unit"), SPELLINGS)
def test_unit_has_the_same_scale_however_it_is_spelt(kind: str, unit: str) -> None:
    spec = VitalKind(kind).spec
    scale = spec.scale_of(unit)
    assert scale is not None
    for spelt in SPELLINGS[kind, unit].split("|"):
        assert spec.scale_of(spelt) == spec.scale_of_stream(spelt) == scale, spelt


@pytest.mark.parametrize(
    ("kind", "unit"),
    [
        ("heart_rate", "mL/min"),
        ("heart_rate", "min"),
        ("heart_rate", "l/min"),
        ("skin_temperature", "K"),
        ("skin_conductance", "msec"),
        ("rr_interval", "uS"),
    ],
)
def test_unit_of_something_else_has_no_scale(kind: str, unit: str) -> None:
    assert VitalKind(kind).spec.scale_of(unit) is None
