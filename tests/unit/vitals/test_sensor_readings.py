"""What a sensor's message becomes: readings with their times and flags."""

from __future__ import annotations

import time
from datetime import datetime

import pytest

from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.vitals.gatt import BloodPressure, DeviceTime, HeartRate, Oximetry, Temperature
from edge_agent.vitals.profiles import SensorReadings
from tests.support.clocks.simulated_time import START


def test_rr_intervals_end_one_after_the_other_the_last_when_message_came() -> None:
    readings = SensorReadings("ble:x").of_heart_rate(HeartRate(72, True, (0.5, 1.0, 0.75)), START)
    ends = [r.at.seconds_since(START) for r in readings if r.kind is VitalKind.RR_INTERVAL]
    assert ends == [-1.75, -0.75, 0.0]
    assert {r.at.wall_ms - r.at.boot_ms for r in readings} == {START.wall_ms - START.boot_ms}


def test_messages_of_one_instant_do_not_hide_each_other() -> None:
    readings = SensorReadings("ble:x")
    burst = [
        r for _ in range(5) for r in readings.of_heart_rate(HeartRate(72, True, (0.5, 0.5)), START)
    ]
    for kind in (VitalKind.HEART_RATE, VitalKind.RR_INTERVAL):
        times = [r.at.wall_ms for r in burst if r.kind is kind]
        assert times == sorted(set(times))


def cuff_reading(
    systolic: float, diastolic: float, time: DeviceTime | None = None
) -> list[VitalReading]:
    loose = frozenset({VitalFlag.CUFF_LOOSE})
    measured = BloodPressure(systolic, diastolic, None, time, 60.0, loose)
    return SensorReadings("ble:cuff").of_blood_pressure(measured, START)


def cuff_values(*sent: tuple[float, DeviceTime | None]) -> list[float]:
    """Return the systolic pressures that one cuff's measurements give."""
    readings = SensorReadings("ble:cuff")
    return [
        one.value
        for systolic, time in sent
        for one in readings.of_blood_pressure(
            BloodPressure(systolic, 80, None, time, 60.0, frozenset()), START
        )
        if one.kind is VitalKind.SYSTOLIC
    ]


def test_cuff_that_sends_its_memory_again_measured_once() -> None:
    memory = [(120.0, stamp(-600)), (125.0, stamp(-300)), (120.0, stamp(0))]
    assert cuff_values(*memory, *memory) == [120, 125, 120]


@pytest.mark.parametrize("time", [None, DeviceTime(0, 0, 0, 8, 0, 0)])
def test_cuff_without_a_date_measures_each_time(time: DeviceTime | None) -> None:
    assert cuff_values((120.0, time), (120.0, time)) == [120, 120]


def test_time_of_a_clock_that_stands_proves_nothing() -> None:
    noon = stamp(0)
    assert cuff_values((120.0, noon), (125.0, noon), (120.0, noon)) == [120, 125, 120]


def test_oximeter_and_thermometer_that_repeat_measured_once() -> None:
    readings = SensorReadings("ble:x")
    oxygen = Oximetry(98.0, 60.0, stamp(0), False, None, frozenset())
    warmth = Temperature(36.5, stamp(0), None)
    assert readings.of_oximetry(oxygen, START) and readings.of_temperature(warmth, START)
    assert not readings.of_oximetry(oxygen, START.shift(60))
    assert not readings.of_temperature(warmth, START.shift(60))


def test_steady_oxygen_without_a_time_is_new_each_time() -> None:
    readings = SensorReadings("ble:x")
    steady = Oximetry(98.0, 60.0, None, False, None, frozenset())
    assert all(readings.of_oximetry(steady, START.shift(second)) for second in range(100))


def stamp(seconds: float) -> DeviceTime:
    """What a cuff shows so long after the start, by this machine's local time."""
    local = datetime.fromtimestamp(START.wall_ms / 1000 + seconds)  # noqa: DTZ006 - a cuff knows no zone
    return DeviceTime(*local.timetuple()[:6])


def test_pressures_too_near_to_each_other_are_flagged_and_the_pulse_is_not() -> None:
    flags = {r.kind: VitalFlag.OUT_OF_RANGE in r.flags for r in cuff_reading(100, 90)}
    assert flags == {
        VitalKind.SYSTOLIC: True,
        VitalKind.DIASTOLIC: True,
        VitalKind.HEART_RATE: False,
    }
    assert not any(VitalFlag.OUT_OF_RANGE in r.flags for r in cuff_reading(101, 90))
    assert all(VitalFlag.CUFF_LOOSE in r.flags for r in cuff_reading(120, 80))


@pytest.mark.parametrize(
    ("seconds", "differs"), [(-290, False), (290, False), (-310, True), (86_400, True)]
)
def test_a_cuff_whose_clock_is_not_ours_is_flagged_and_its_time_is_kept(
    seconds: float, differs: bool
) -> None:
    readings = cuff_reading(120, 80, stamp(seconds))
    assert {VitalFlag.CLOCK_DIFFERS in r.flags for r in readings} == {differs}
    assert {r.device_time for r in readings} == {stamp(seconds).text}
    assert {r.at.wall_ms for r in readings} == {START.wall_ms}


@pytest.mark.parametrize(
    ("time", "differs"),
    [(DeviceTime(0, 11, 20, 8, 0, 0), False), (DeviceTime(1582, 1, 1, 0, 0, 0), True)],
)
def test_a_date_that_is_not_known_tells_nothing(time: DeviceTime, differs: bool) -> None:
    assert {VitalFlag.CLOCK_DIFFERS in r.flags for r in cuff_reading(120, 80, time)} == {differs}


def test_the_last_second_of_the_year_9999_is_flagged_east_of_greenwich_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as east:
        east.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        readings = cuff_reading(120, 80, DeviceTime(9999, 12, 31, 23, 59, 59))
    time.tzset()
    assert {VitalFlag.CLOCK_DIFFERS in r.flags for r in readings} == {True}
