"""Bytes of straps and cuffs.

Expected: Bluetooth SIG, GATT Specification Supplement; IEEE 11073-20601 (SFLOAT).
"""

from __future__ import annotations

import struct

import pytest

from edge_agent.core.errors import GattError
from edge_agent.core.readings import VitalFlag
from edge_agent.vitals.gatt import (
    BloodPressure,
    DeviceTime,
    HeartRate,
    decode_battery_level,
    decode_blood_pressure,
    decode_heart_rate,
    decode_sfloat,
)

TIME = struct.pack("<HBBBBB", 2026, 11, 20, 8, 15, 30)


def pressure(flags: int, *values: int, rest: bytes = b"") -> bytes:
    return struct.pack("<BHHH", flags, *(values or (120, 80, 93))) + rest


def stamped(*time: int) -> bytes:
    """A pressure with a time."""
    return pressure(2, rest=struct.pack("<HBBBBB", *time))


def test_a_heart_rate_with_contact_and_three_intervals_is_read() -> None:
    read = decode_heart_rate(bytes.fromhex("16 48 ff 01 ff 01 0c 01"))
    assert (read.rate, read.contact) == (72, True)
    assert read.rr_s == pytest.approx((0.499, 0.499, 0.262), abs=5e-4)


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ("00 48", HeartRate(72, None, ())),
        ("01 48 01", HeartRate(328, None, ())),
        ("02 48", HeartRate(72, None, ())),  # contact is told but not supported
        ("04 00", HeartRate(0, False, ())),
        ("06 48", HeartRate(72, True, ())),
        ("08 48 10 27", HeartRate(72, None, ())),
        ("19 48 00 10 27 00 04", HeartRate(72, None, (1.0,))),
        ("10 48", HeartRate(72, None, ())),
        ("e6 48", HeartRate(72, True, ())),  # reserved bits
        ("20 48 01 02 03", HeartRate(72, None, ())),  # a field of the future
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
        *((special, None) for special in (0x07FF, 0x0800, 0x0801, 0x07FE, 0x0802)),  # no number
    ],
)
def test_an_sfloat_is_exponent_and_mantissa_in_twos_complement(
    raw: int, expected: float | None
) -> None:
    assert decode_sfloat(raw) == expected


def test_a_blood_pressure_with_everything_is_read() -> None:
    rest = TIME + struct.pack("<HBH", 72, 2, 0b100111)
    assert decode_blood_pressure(pressure(0b11110, rest=rest)) == BloodPressure(
        120.0,
        80.0,
        93.0,
        DeviceTime(2026, 11, 20, 8, 15, 30),
        72.0,
        frozenset(
            {
                *(VitalFlag.BODY_MOVEMENT, VitalFlag.CUFF_LOOSE),
                *(VitalFlag.IRREGULAR_PULSE, VitalFlag.IMPROPER_POSITION),
            }
        ),
    )


def test_kilopascals_become_millimetres_of_mercury() -> None:
    read = decode_blood_pressure(pressure(1, 0xF0A0, 0xF06B, 0xF07C))  # 16.0, 10.7, 12.4 kPa
    assert (read.systolic, read.diastolic, read.mean) == pytest.approx(
        (120.01, 80.26, 93.01), abs=0.005
    )


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


@pytest.mark.parametrize("date", [(0, 11, 20), (2026, 0, 20), (2026, 11, 0), (0, 0, 0), (0, 2, 29)])
def test_a_date_that_a_cuff_does_not_know_is_no_moment(date: tuple[int, int, int]) -> None:
    read = decode_blood_pressure(stamped(*date, 8, 15, 30))
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
        (stamped(2026, 13, 20, 8, 15, 30), "no such time as 2026-13-20T08:15:30"),
        (stamped(2026, 2, 30, 8, 15, 30), "no such time as 2026-02-30"),
        (stamped(2026, 2, 3, 24, 0, 0), "no such time as 2026-02-03T24:00:00"),
        (stamped(1581, 2, 3, 8, 0, 0), "the year 1581 is not between 1582 and 9999"),
        (stamped(10000, 2, 3, 8, 0, 0), "no such time as 10000-02-03"),
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


def test_a_battery_is_read() -> None:
    assert decode_battery_level(b"\x57") == 87
    with pytest.raises(GattError, match="101 % is more than 100"):
        decode_battery_level(b"\x65")
    with pytest.raises(GattError, match=r"too short: it ends before the level\."):
        decode_battery_level(b"")
