"""Bytes of straps and cuffs.

Expected: Bluetooth SIG, GATT Specification Supplement; IEEE 11073-20601 (SFLOAT).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.core.errors import GattError
from edge_agent.core.readings import VitalFlag
from edge_agent.vitals import gatt
from edge_agent.vitals.gatt import (
    BloodPressure,
    DeviceTime,
    HeartRate,
    SensorLocation,
    decode_battery_level,
    decode_blood_pressure,
    decode_heart_rate,
    decode_sensor_location,
    decode_sfloat,
)

T = TypeVar("T")
TIME = struct.pack("<HBBBBB", 2026, 11, 20, 8, 15, 30)


def pressure(flags: int, *values: int, rest: bytes = b"") -> bytes:
    return struct.pack("<BHHH", flags, *(values or (120, 80, 93))) + rest


def test_a_heart_rate_with_contact_and_three_intervals_is_read() -> None:
    read = decode_heart_rate(bytes.fromhex("16 48 ff 01 ff 01 0c 01"))
    assert (read.rate, read.contact, read.energy_kj) == (72, True, None)
    assert read.rr_s == pytest.approx((0.499, 0.499, 0.262), abs=5e-4)


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ("00 48", HeartRate(72, None, None, ())),
        ("01 48 01", HeartRate(328, None, None, ())),
        ("02 48", HeartRate(72, None, None, ())),  # contact is told but not supported
        ("04 00", HeartRate(0, False, None, ())),
        ("06 48", HeartRate(72, True, None, ())),
        ("08 48 10 27", HeartRate(72, None, 10_000, ())),
        ("19 48 00 10 27 00 04", HeartRate(72, None, 10_000, (1.0,))),
        ("10 48", HeartRate(72, None, None, ())),
        ("e6 48", HeartRate(72, True, None, ())),  # reserved bits
        ("20 48 01 02 03", HeartRate(72, None, None, ())),  # a field of the future
    ],
)
def test_each_form_of_a_heart_rate_is_read(payload: str, expected: HeartRate) -> None:
    assert decode_heart_rate(bytes.fromhex(payload)) == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (0x0072, 114.0),
        (0xB076, 0.00118),
        (0x0000, 0.0),
        (0x0FFF, -1.0),
        (0xF4B0, 120.0),
        (0xF803, -204.5),
        (0x7001, 10_000_000.0),
        (0x8001, 1e-8),
        (0x07FD, 2045.0),
        (0x0803, -2045.0),
        (0x17FF, 20_470.0),  # special only with the exponent 0
        (0x07FE, math.inf),
        (0x0802, -math.inf),
    ],
)
def test_an_sfloat_is_exponent_and_mantissa_in_twos_complement(raw: int, expected: float) -> None:
    assert decode_sfloat(raw) == expected


@pytest.mark.parametrize("raw", [0x07FF, 0x0800, 0x0801])
def test_an_sfloat_that_is_no_number_is_not_one(raw: int) -> None:
    assert math.isnan(decode_sfloat(raw))


def test_a_blood_pressure_with_everything_is_read() -> None:
    rest = TIME + struct.pack("<HBH", 72, 2, 0b100111)
    assert decode_blood_pressure(pressure(0b11110, rest=rest)) == BloodPressure(
        120.0,
        80.0,
        93.0,
        DeviceTime(2026, 11, 20, 8, 15, 30),
        72.0,
        2,
        frozenset(
            {
                VitalFlag.BODY_MOVEMENT,
                VitalFlag.CUFF_LOOSE,
                VitalFlag.IRREGULAR_PULSE,
                VitalFlag.IMPROPER_POSITION,
            }
        ),
    )


def test_kilopascals_become_millimetres_of_mercury() -> None:
    read = decode_blood_pressure(pressure(1, 0xF0A0, 0xF06B, 0xF07C))  # 16.0, 10.7, 12.4 kPa
    assert (read.systolic, read.diastolic, read.mean) == pytest.approx(
        (120.01, 80.26, 93.01), abs=0.005
    )


def test_a_value_that_the_cuff_does_not_have_is_none() -> None:
    read = decode_blood_pressure(pressure(0b01100, 120, 80, 0x07FF, rest=b"\xff\x07\xff"))
    assert (read.systolic, read.mean, read.pulse, read.user) == (120.0, None, None, None)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (0, set()),
        (0b01000, {VitalFlag.PULSE_HIGH}),
        (0b10000, {VitalFlag.PULSE_LOW}),
        (0b11000, set()),  # reserved
        (0xFFC0, set()),  # reserved
    ],
)
def test_the_status_of_a_measurement_becomes_flags(status: int, expected: set[VitalFlag]) -> None:
    assert (
        decode_blood_pressure(pressure(0b10000, rest=struct.pack("<H", status))).flags == expected
    )


def test_reserved_flags_and_octets_behind_what_is_known_are_ignored() -> None:
    assert decode_blood_pressure(pressure(0b11100000, rest=b"\1\2\3")) == decode_blood_pressure(
        pressure(0)
    )


def test_the_time_that_a_cuff_stamps_is_text_and_a_moment() -> None:
    time = DeviceTime(2026, 11, 20, 8, 15, 30)
    assert time.text == "2026-11-20T08:15:30"
    assert time.moment is not None and time.moment.isoformat() == time.text


@pytest.mark.parametrize("date", [(0, 11, 20), (2026, 0, 20), (2026, 11, 0), (0, 0, 0), (0, 2, 29)])
def test_a_date_that_a_cuff_does_not_know_is_no_moment(date: tuple[int, int, int]) -> None:
    read = decode_blood_pressure(pressure(2, rest=struct.pack("<HBBBBB", *date, 8, 15, 30)))
    assert read.time is not None
    assert read.time.text == "{:04}-{:02}-{:02}T08:15:30".format(*date)
    assert read.time.moment is None


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        ("", "too short: it ends before the flags"),
        ("16", "ends before the heart rate"),
        ("01 48", "ends before the heart rate"),
        ("08 48 10", "ends before the energy expended"),
        ("10 48 00 04 01", "ends before the end of an RR interval"),
    ],
)
def test_a_broken_heart_rate_is_refused_with_its_bytes(payload: str, problem: str) -> None:
    with pytest.raises(GattError, match=problem) as caught:
        decode_heart_rate(bytes.fromhex(payload))
    assert "Heart Rate Measurement (0x2A37)" in str(caught.value)
    assert f"[{payload}]" in str(caught.value)
    assert payload not in caught.value.problem or not payload


@pytest.mark.parametrize("missing", [0x07FF, 0x0800, 0x0801, 0x07FE, 0x0802])
def test_a_value_that_is_no_number_costs_only_itself(missing: int) -> None:
    read = decode_blood_pressure(pressure(4, 120, 80, missing, rest=struct.pack("<H", 72)))
    assert (read.systolic, read.diastolic, read.mean, read.pulse) == (120, 80, None, 72)
    read = decode_blood_pressure(pressure(4, 120, 80, 93, rest=struct.pack("<H", missing)))
    assert (read.systolic, read.diastolic, read.mean, read.pulse) == (120, 80, 93, None)
    read = decode_blood_pressure(pressure(1, missing, 80, 93))
    assert (read.systolic, read.diastolic) == (None, 80 * 7.500_617)


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        (b"", "ends before the flags"),
        (b"\0", "ends before the systolic pressure"),
        (pressure(0)[:-1], "ends before the mean arterial pressure"),
        (pressure(2, rest=TIME[:-1]), "ends before the second"),
        (
            pressure(2, rest=struct.pack("<HBBBBB", 2026, 13, 20, 8, 15, 30)),
            "no such time as 2026-13-20T08:15:30",
        ),
        (
            pressure(2, rest=struct.pack("<HBBBBB", 2026, 2, 30, 8, 15, 30)),
            "no such time as 2026-02-30",
        ),
        (
            pressure(2, rest=struct.pack("<HBBBBB", 2026, 2, 3, 24, 0, 0)),
            "no such time as 2026-02-03T24:00:00",
        ),
        (
            pressure(2, rest=struct.pack("<HBBBBB", 1500, 2, 3, 8, 0, 0)),
            "the year 1500 is not between",
        ),
        (
            pressure(2, rest=struct.pack("<HBBBBB", 10000, 2, 3, 8, 0, 0)),
            "no such time as 10000-02-03",
        ),
        (pressure(8), "ends before the user"),
        (pressure(16, rest=b"\0"), "ends before the measurement status"),
    ],
)
def test_a_broken_blood_pressure_is_refused_with_its_bytes(payload: bytes, problem: str) -> None:
    with pytest.raises(GattError, match=problem) as caught:
        decode_blood_pressure(payload)
    assert str(caught.value).startswith(
        f"Blood Pressure Measurement (0x2A35) [{payload.hex(' ')}]: "
    )


def test_battery_and_place_are_read() -> None:
    assert decode_battery_level(b"\x57") == 87
    assert decode_sensor_location(b"\x01") is SensorLocation.CHEST
    assert decode_sensor_location(b"\x07") is None
    with pytest.raises(GattError, match="101 % is more than 100"):
        decode_battery_level(b"\x65")
    for decode in (decode_battery_level, decode_sensor_location):
        with pytest.raises(GattError, match=r"too short: it ends before the (level|location)\."):
            decode(b"")


@pytest.mark.parametrize(("year", "read"), [(0, True), (1581, False), (1582, True), (9999, True)])
def test_the_years_that_a_device_may_say_are_those_of_the_specification(
    year: int, read: bool
) -> None:
    payload = pressure(2, rest=struct.pack("<HBBBBB", year, 2, 3, 8, 15, 30))
    if read:
        assert decode_blood_pressure(payload).time is not None
        return
    with pytest.raises(GattError, match=f"the year {year} is not between 1582 and 9999"):
        decode_blood_pressure(payload)


def test_the_numbers_that_bluetooth_assigned_are_whole_uuids() -> None:
    assert gatt.HEART_RATE_SERVICE == "0000180d-0000-1000-8000-00805f9b34fb"


@given(st.binary(min_size=2_500, max_size=2_500))
@settings(max_examples=100, deadline=None)
def test_ten_thousand_payloads_are_each_read_or_refused_by_our_error(blob: bytes) -> None:
    for payload in payloads(blob):
        # a hundred, drawn at once: drawing them one by one takes minutes
        rate = outcome(decode_heart_rate, payload)
        cuff = outcome(decode_blood_pressure, payload)
        if isinstance(rate, HeartRate):
            assert 0 <= rate.rate <= 0xFFFF and all(0 <= interval < 64 for interval in rate.rr_s)
        if isinstance(cuff, BloodPressure):
            values = [
                v for v in (cuff.systolic, cuff.diastolic, cuff.mean, cuff.pulse) if v is not None
            ]
            assert all(math.isfinite(value) for value in values)
            assert cuff.time is None or len(cuff.time.text) == 19


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused_by_our_error(payload: bytes) -> None:
    for decode in (
        decode_heart_rate,
        decode_blood_pressure,
        decode_battery_level,
        decode_sensor_location,
    ):
        outcome(decode, payload)


def payloads(blob: bytes) -> list[bytes]:
    """Cut 2,500 bytes into a hundred payloads of 0 to 24 bytes."""
    pieces = [blob[start : start + 25] for start in range(0, len(blob), 25)]
    return [piece[1 : 1 + piece[0] % 25] for piece in pieces]


def outcome(decode: Callable[[bytes], T], payload: bytes) -> T | None:
    """What a decoder reads in a payload; ``None`` when it refuses it as it should."""
    try:
        return decode(payload)
    except GattError as error:
        shown = f"[{payload.hex(' ')}]"
        if error.payload != payload or shown not in str(error):
            raise AssertionError(f"the error does not show {shown}") from error
        return None
