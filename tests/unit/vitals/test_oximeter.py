"""Pulse oximeters and thermometers: literal bytes, and any bytes."""

from __future__ import annotations

import math
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge_agent.core.errors import GattError
from edge_agent.core.readings import UNUSABLE, VitalFlag, VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.vitals.gatt import (
    DeviceTime,
    Oximetry,
    Temperature,
    TemperatureSite,
    decode_continuous,
    decode_spot_check,
    decode_temperature,
    decode_temperature_type,
)
from edge_agent.vitals.profiles import PROFILES, SensorReadings
from tests.support.timeline import instant

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


def test_a_plain_continuous_measurement_has_no_flags_and_does_not_know_of_contact() -> None:
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


def test_readings_of_an_oximeter_are_saturation_and_pulse_and_leave_out_what_cannot_be() -> None:
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


def test_a_measurement_from_the_memory_without_a_time_is_of_a_time_in_doubt() -> None:
    stored = decode_continuous(bytes.fromhex("04 61 00 48 00 00 02"))
    readings = SensorReadings("ble:x").of_oximetry(stored, instant(1))
    assert [reading.flags for reading in readings] == [{VitalFlag.CLOCK_DIFFERS}] * 2


def test_what_the_sensor_doubts_counts_in_no_mean() -> None:
    assert VitalFlag.POOR_SIGNAL in UNUSABLE


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


@pytest.mark.parametrize("missing", ["ff 07", "00 08", "01 08", "fe 07", "02 08"])
def test_a_saturation_that_is_no_number_leaves_the_pulse(missing: str) -> None:
    measured = decode_continuous(bytes.fromhex(f"00 {missing} 48 00"))
    assert (measured.saturation, measured.pulse) == (None, 72)


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


@pytest.mark.parametrize(
    ("site", "kind"),
    [
        (1, "body_temperature"),  # armpit
        (2, "body_temperature"),  # body, general
        (3, "skin_temperature"),  # ear lobe
        (4, "skin_temperature"),  # finger
        (5, "body_temperature"),  # bowel
        (6, "body_temperature"),  # mouth
        (7, "body_temperature"),  # rectum
        (8, "skin_temperature"),  # toe
        (9, "body_temperature"),  # ear drum
        (10, "skin_temperature"),  # reserved: not told
        (0, "skin_temperature"),
    ],
)
def test_the_place_says_whether_it_is_the_temperature_of_the_body(site: int, kind: str) -> None:
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


def test_a_place_that_is_no_place_is_told_as_none_and_an_empty_one_refused() -> None:
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
        assert VitalFlag.OUT_OF_RANGE in reading.flags or reading == reading.checked()
