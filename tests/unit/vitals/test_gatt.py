"""Bytes of straps, cuffs, oximeters and thermometers: literal ones, and any.

Expected: Bluetooth SIG, GATT Specification Supplement; IEEE 11073-20601 (SFLOAT, FLOAT).
"""

from __future__ import annotations

import math
import struct
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge_agent.core.errors import GattError
from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.vitals.gatt import (
    BloodPressure,
    DeviceTime,
    HeartRate,
    Oximetry,
    Temperature,
    TemperatureSite,
    decode_battery_level,
    decode_blood_pressure,
    decode_continuous,
    decode_heart_rate,
    decode_sfloat,
    decode_spot_check,
    decode_temperature,
    decode_temperature_type,
)
from edge_agent.vitals.profiles import PROFILES, SensorReadings
from tests.support.timeline import instant

TIME = struct.pack("<HBBBBB", 2026, 11, 20, 8, 15, 30)


def pressure(flags: int, *values: int, rest: bytes = b"") -> bytes:
    return struct.pack("<BHHH", flags, *(values or (120, 80, 93))) + rest


def stamped(*time: int) -> bytes:
    """A pressure with a time."""
    return pressure(2, rest=struct.pack("<HBBBBB", *time))


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ("00 48", HeartRate(72, None, ())),
        ("01 48 01", HeartRate(328, None, ())),
        ("02 48", HeartRate(72, None, ())),  # contact is told but not supported
        ("04 00", HeartRate(0, False, ())),
        ("16 48 ff 01 ff 01 0c 01", HeartRate(72, True, (511 / 1024, 511 / 1024, 268 / 1024))),
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
        (0xF4B0, 120.0),
        (0xF803, -204.5),
        (0x7001, 10_000_000.0),
        (0x8001, 1e-8),
        (0x07FD, 2045.0),
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
        (0b01000, {VitalFlag.PULSE_HIGH}),
        (0b10000, {VitalFlag.PULSE_LOW}),
        (0b11000, set()),  # reserved
        (0xFFC0, set()),  # reserved
    ],
)
def test_the_status_of_a_measurement_becomes_flags(status: int, expected: set[VitalFlag]) -> None:
    read = decode_blood_pressure(pressure(0b10000, rest=struct.pack("<H", status)))
    assert read.flags == expected


def test_reserved_flags_and_octets_behind_what_is_known_are_ignored() -> None:
    odd = decode_blood_pressure(pressure(0b11100000, rest=b"\1\2\3"))
    assert odd == decode_blood_pressure(pressure(0))


@pytest.mark.parametrize("date", [(2026, 0, 20), (2026, 11, 0), (0, 2, 29)])
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


def test_a_value_that_is_no_number_costs_only_itself() -> None:
    nan = 0x07FF
    read = decode_blood_pressure(pressure(4, 120, 80, nan, rest=struct.pack("<H", 72)))
    assert (read.systolic, read.diastolic, read.mean, read.pulse) == (120, 80, None, 72)
    read = decode_blood_pressure(pressure(4, 120, 80, 93, rest=struct.pack("<H", nan)))
    assert (read.systolic, read.diastolic, read.mean, read.pulse) == (120, 80, 93, None)
    read = decode_blood_pressure(pressure(1, nan, 80, 93))
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


# Pulse oximeters and thermometers


NOTHING: frozenset[VitalFlag] = frozenset()


def test_a_spot_check_gives_saturation_pulse_time_and_flags() -> None:
    # timestamp, measurement status (validated), device and sensor status (poor signal, displaced)
    payload = bytes.fromhex("07 61 00 48 00 ea 07 0b 14 08 0f 00 80 00 10 20 00")
    assert decode_spot_check(payload) == Oximetry(
        97.0,
        72.0,
        DeviceTime(2026, 11, 20, 8, 15, 0),
        stored=False,
        contact=False,
        flags=frozenset({VitalFlag.POOR_SIGNAL, VitalFlag.CONTACT_LOST}),
    )


def test_a_plain_continuous_measurement_has_no_flags() -> None:
    assert decode_continuous(bytes.fromhex("00 cf f3 d0 f2")) == Oximetry(
        97.5, 72.0, None, stored=False, contact=None, flags=NOTHING
    )


def test_the_fast_and_slow_values_are_passed_over_and_what_follows_is_read() -> None:
    payload = bytes.fromhex("1f 61 00 48 00 60 00 47 00 62 00 49 00 40 00 00 00 00 e8 f3")
    assert decode_continuous(payload) == Oximetry(
        97.0, 72.0, None, stored=False, contact=True, flags=frozenset({VitalFlag.ESTIMATED})
    )


@pytest.mark.parametrize(
    ("status", "flags"),
    [
        ("20 00", NOTHING),  # ongoing
        ("80 01", NOTHING),  # validated, fully qualified
        ("40 00", frozenset({VitalFlag.ESTIMATED})),
        ("00 04", frozenset({VitalFlag.SIMULATED})),
        ("00 08", frozenset({VitalFlag.SIMULATED})),
        ("00 10", frozenset({VitalFlag.POOR_SIGNAL})),
        ("00 40", frozenset({VitalFlag.POOR_SIGNAL})),
        ("00 80", frozenset({VitalFlag.POOR_SIGNAL})),
        ("1f 00", NOTHING),  # reserved
    ],
)
def test_each_bit_of_the_measurement_status(status: str, flags: frozenset[VitalFlag]) -> None:
    measured = decode_continuous(bytes.fromhex(f"04 61 00 48 00 {status}"))
    assert (measured.saturation, measured.flags) == (97.0, flags)


@pytest.mark.parametrize("bit", range(24))
def test_each_bit_of_the_device_and_sensor_status(bit: int) -> None:
    status = (1 << bit).to_bytes(3, "little")
    flags = decode_continuous(bytes.fromhex("08 61 00 48 00") + status).flags
    if bit in {11, 13, 15}:
        assert flags == {VitalFlag.CONTACT_LOST}
    elif bit in {0, 9} or bit > 15:
        assert flags == NOTHING
    else:
        assert flags == {VitalFlag.POOR_SIGNAL}


def test_an_unavailable_measurement_has_no_values() -> None:
    measured = decode_continuous(bytes.fromhex("04 61 00 48 00 00 20"))
    assert (measured.saturation, measured.pulse) == (None, None)
    assert SensorReadings("ble:x").of_oximetry(measured, instant(1)) == []


def test_a_clock_that_was_never_set_is_no_time() -> None:
    assert decode_spot_check(bytes.fromhex("11 61 00 48 00 ea 07 01 01 00 00 00")).time is None


def test_readings_of_an_oximeter_are_saturation_and_pulse() -> None:
    readings = SensorReadings("ble:x")
    whole = readings.of_oximetry(decode_continuous(bytes.fromhex("00 61 00 48 00")), instant(1))
    assert [(r.kind, r.value, r.flags) for r in whole] == [
        (VitalKind.OXYGEN_SATURATION, 97.0, NOTHING),
        (VitalKind.HEART_RATE, 72.0, NOTHING),
    ]
    # 127 % is how some oximeters say that they have no value
    none = readings.of_oximetry(decode_continuous(bytes.fromhex("00 7f 00 48 00")), instant(2))
    assert [r.kind for r in none] == [VitalKind.HEART_RATE]
    low = readings.of_oximetry(decode_continuous(bytes.fromhex("00 32 00 ff 07")), instant(3))
    assert [(r.value, r.flags) for r in low] == [(50.0, frozenset({VitalFlag.OUT_OF_RANGE}))]


def test_a_measurement_from_memory_without_a_time_is_of_a_time_in_doubt() -> None:
    stored = decode_continuous(bytes.fromhex("04 61 00 48 00 00 02"))
    readings = SensorReadings("ble:x").of_oximetry(stored, instant(1))
    assert [reading.flags for reading in readings] == [{VitalFlag.CLOCK_DIFFERS}] * 2


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        ("", "it ends before the flags"),
        ("00 61", "it ends before the oxygen saturation"),
        ("01 61 00 48 00 60 00", "it ends before the fast pulse rate"),
        ("08 61 00 48 00 00 00", "it ends before the device and sensor status"),
    ],
)
def test_a_damaged_measurement_of_an_oximeter_is_refused(payload: str, problem: str) -> None:
    with pytest.raises(GattError) as caught:
        decode_continuous(bytes.fromhex(payload))
    assert problem in caught.value.problem


@pytest.mark.parametrize(
    ("payload", "celsius"),
    [
        ("00 45 01 00 ff", 32.5),
        ("01 84 03 00 ff", (90.0 - 32) * 5 / 9),  # °F
        ("04 45 01 00 ff 04", 32.5),  # finger
        ("04 21 00 00 00 08", 33.0),  # toe
        ("00 ff ff 7f 00", None),  # NaN
        ("00 00 00 80 00", None),  # NRes
        ("00 fe ff 7f 00", None),  # +INFINITY
        ("00 02 00 80 00", None),  # -INFINITY
        ("00 01 00 80 00", None),  # reserved
        ("00 b5 0c 00 fe", 32.53),
    ],
)
def test_a_temperature_in_either_unit_or_none_that_is_a_number(
    payload: str, celsius: float | None
) -> None:
    measured = decode_temperature(bytes.fromhex(payload))
    assert measured.celsius == (None if celsius is None else pytest.approx(celsius, abs=1e-12))


def test_a_temperature_with_its_time_is_a_reading_that_keeps_it() -> None:
    measured = decode_temperature(bytes.fromhex("02 45 01 00 ff ea 07 0b 14 08 0f 00"))
    assert measured == Temperature(32.5, DeviceTime(2026, 11, 20, 8, 15, 0), None)
    (reading,) = SensorReadings("ble:x").of_temperature(measured, instant(1))
    assert (reading.kind, reading.value) == (VitalKind.SKIN_TEMPERATURE, 32.5)
    assert reading.device_time == "2026-11-20T08:15:00"
    assert VitalFlag.CLOCK_DIFFERS in reading.flags


@pytest.mark.parametrize("site", range(11))
def test_the_place_says_whether_it_is_the_temperature_of_the_body(site: int) -> None:
    # armpit, body, bowel, mouth, rectum, ear drum; not ear lobe, finger, toe and what is reserved
    kind = "body_temperature" if site in {1, 2, 5, 6, 7, 9} else "skin_temperature"
    said = bytes.fromhex("04 72 01 00 ff") + bytes([site])
    (reading,) = SensorReadings("ble:x").of_temperature(decode_temperature(said), instant(1))
    assert (reading.kind, reading.value) == (kind, 37.0)


def test_a_thermometer_that_always_measures_in_one_place_says_it_once() -> None:
    readings = SensorReadings("ble:x")
    readings.site = decode_temperature_type(b"\x09")
    assert readings.site is TemperatureSite.EAR_DRUM
    said = decode_temperature(bytes.fromhex("01 da 03 00 ff"))  # 98.6 °F
    (reading,) = readings.of_temperature(said, instant(1))
    assert (reading.kind, round(reading.value, 9)) == (VitalKind.BODY_TEMPERATURE, 37.0)
    finger = decode_temperature(bytes.fromhex("04 45 01 00 ff 04"))  # its message says it better
    assert readings.of_temperature(finger, instant(2))[0].kind is VitalKind.SKIN_TEMPERATURE


def test_an_unknown_place_is_none_and_an_empty_one_is_refused() -> None:
    assert decode_temperature_type(b"\xfe") is None
    with pytest.raises(GattError, match="Temperature Type"):
        decode_temperature_type(b"")


@given(st.binary(max_size=24))
@example(bytes.fromhex("00 80 00 00 00"))
def test_any_bytes_are_read_or_refused_by_our_error(payload: bytes) -> None:
    readings = SensorReadings("ble:x")
    made: list[VitalReading] = []
    for profile in PROFILES.values():
        for measurement in profile.measurements:
            with suppress(GattError):
                made += measurement.decode(readings, payload, instant(1)).readings
    for reading in made:
        assert math.isfinite(reading.value)
        assert VitalFlag.OUT_OF_RANGE in reading.flags or reading == reading.flag_implausible()
