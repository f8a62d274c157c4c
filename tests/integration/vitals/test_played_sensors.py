"""Sensors that people own, played by ``bumble``: their bytes go through a real link layer, a real
attribute protocol and a real GATT client into the session that the agent runs.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

pytest.importorskip("bumble", reason="bumble plays the sensors: pip install bumble")

from bumble.gatt import Characteristic
from bumble.link import LocalLink

from edge_agent.config.data import RecorderOptions
from edge_agent.core.electrocardiogram import EcgStretch
from edge_agent.core.readings import Gap, VitalFlag, VitalReading
from edge_agent.core.vitals import SensorKind
from edge_agent.timeline.write.recorder import Recorder
from edge_agent.vitals import gatt
from edge_agent.vitals.sensor import Sensor, SensorSession
from tests.support.timeline import query, timeline
from tests.support.vitals.near_sensors import BATTERY_SERVICE
from tests.support.vitals.played_sensors import (
    INDICATED,
    NOTIFIED,
    READABLE,
    SENSOR,
    PlayedRadio,
    PlayedSensor,
)
from tests.support.vitals.straps import heart_rate

DEADLINE_S = 60.0
NAN = 0x07FF


class Heard:
    """A session that listens to one sensor."""

    def __init__(
        self, sensor: PlayedSensor, kind: SensorKind, *, recorder: Recorder | None = None
    ) -> None:
        self.sensor = sensor
        self._recorder = recorder
        self.readings: list[VitalReading] = []
        self.gaps: list[Gap | EcgStretch] = []
        link = LocalLink()  # type: ignore[no-untyped-call]
        self._link = link
        self.session = SensorSession(
            Sensor(SENSOR, kind), PlayedRadio(link), self._take, self.gaps.append
        )

    def _take(self, reading: VitalReading) -> None:
        if self._recorder is not None:
            self._recorder.submit(reading)
        self.readings.append(reading)

    async def listen(self, script: Callable[[], Awaitable[None]]) -> None:
        """Run the session for as long as a script runs."""
        await self.sensor.begin(self._link)
        running = asyncio.create_task(self.session.run())
        try:
            async with asyncio.timeout(DEADLINE_S):
                await self.until(lambda: self.session.state.battery_percent is not None)
                await script()
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running

    async def until(self, condition: Callable[[], bool]) -> None:
        """Let the loop run until a condition holds."""
        while not condition():
            await asyncio.sleep(0.005)

    async def says(self, characteristic: str, payload: bytes, readings: int) -> list[VitalReading]:
        """Have the sensor say something, and return the readings that it gives."""
        before = len(self.readings)
        await self.sensor.say(characteristic, payload)
        await self.until(lambda: len(self.readings) >= before + readings)
        return self.readings[before:]


def sensor_of(
    services: Mapping[str, Mapping[str, Characteristic.Properties]], **values: bytes
) -> PlayedSensor:
    """A sensor with these services and values, and a battery."""
    with_battery = {**services, BATTERY_SERVICE: {gatt.BATTERY_LEVEL: READABLE}}
    return PlayedSensor(with_battery, {gatt.BATTERY_LEVEL: b"\x57", **values})


def shown(readings: list[VitalReading]) -> list[tuple[str, float]]:
    return [(reading.kind.value, round(reading.value, 3)) for reading in readings]


def test_a_strap_tells_rate_intervals_contact_and_battery() -> None:
    strap = sensor_of({gatt.HEART_RATE_SERVICE: {gatt.HEART_RATE_MEASUREMENT: NOTIFIED}})
    heard = Heard(strap, SensorKind.HEART_RATE)

    async def script() -> None:
        worn = await heard.says(gatt.HEART_RATE_MEASUREMENT, heart_rate(72, 0.75, 0.875), 3)
        assert shown(worn) == [("heart_rate", 72), ("rr_interval", 0.75), ("rr_interval", 0.875)]
        assert all(reading.flags == frozenset() for reading in worn)
        assert heard.session.state.contact is True
        (off,) = await heard.says(gatt.HEART_RATE_MEASUREMENT, heart_rate(60, contact=False), 1)
        assert off.flags == {VitalFlag.CONTACT_LOST}
        assert heard.session.state.contact is False
        assert heard.session.state.battery_percent == 87
        await strap.drop()
        await heard.until(lambda: not heard.session.state.connected)
        await heard.until(lambda: heard.session.state.connected)
        assert shown(await heard.says(gatt.HEART_RATE_MEASUREMENT, heart_rate(73), 1))

    asyncio.run(heard.listen(script))


def test_a_cuff_indicates_a_pressure_whose_mean_is_missing() -> None:
    cuff = sensor_of({gatt.BLOOD_PRESSURE_SERVICE: {gatt.BLOOD_PRESSURE_MEASUREMENT: INDICATED}})
    heard = Heard(cuff, SensorKind.BLOOD_PRESSURE)

    async def script() -> None:
        payload = struct.pack("<BHHHHH", 0b10100, 121, 79, NAN, 64, 0b100)
        readings = await heard.says(gatt.BLOOD_PRESSURE_MEASUREMENT, payload, 3)
        assert shown(readings) == [("systolic", 121), ("diastolic", 79), ("heart_rate", 64)]
        assert readings[0].flags == {VitalFlag.IRREGULAR_PULSE}

    asyncio.run(heard.listen(script))


def test_what_an_ear_thermometer_says_is_in_the_database(tmp_path: Path) -> None:
    offered = {gatt.TEMPERATURE_MEASUREMENT: INDICATED, gatt.TEMPERATURE_TYPE: READABLE}
    ear = sensor_of({gatt.THERMOMETER_SERVICE: offered}, **{gatt.TEMPERATURE_TYPE: b"\x09"})
    path = timeline(tmp_path)
    recorder = Recorder(path, RecorderOptions(batch_seconds=0.2))
    heard = Heard(ear, SensorKind.THERMOMETER, recorder=recorder)

    async def script() -> None:
        nothing = ("ff ff 7f 00", "00 00 80 00", "fe ff 7f 00", "02 00 80 00", "01 00 80 00")
        for special in nothing:  # NaN, NRes, the infinities, reserved
            await ear.say(gatt.TEMPERATURE_MEASUREMENT, bytes.fromhex(f"00 {special}"))
        await heard.says(gatt.TEMPERATURE_MEASUREMENT, bytes.fromhex("00 72 01 00 ff"), 1)  # 37.0
        await asyncio.sleep(0.002)  # two of one sensor in one millisecond would be one
        await heard.says(gatt.TEMPERATURE_MEASUREMENT, bytes.fromhex("01 f9 03 00 ff"), 1)  # °F
        await asyncio.sleep(0.002)
        await heard.says(gatt.TEMPERATURE_MEASUREMENT, bytes.fromhex("00 ae 01 00 ff 00"), 1)

    recorder.start()
    asyncio.run(heard.listen(script))
    recorder.stop()
    assert recorder.join(DEADLINE_S)
    assert query(path, "SELECT kind, round(value, 3), flags FROM vital ORDER BY at") == [
        ("body_temperature", 37.0, ""),
        ("body_temperature", 38.722, ""),
        ("body_temperature", 43.0, ""),
    ]


def test_an_oximeter_tells_continuously_and_once() -> None:
    offered = {gatt.CONTINUOUS_MEASUREMENT: NOTIFIED, gatt.SPOT_CHECK_MEASUREMENT: INDICATED}
    clip = sensor_of({gatt.PULSE_OXIMETER_SERVICE: offered})
    heard = Heard(clip, SensorKind.PULSE_OXIMETER)

    async def script() -> None:
        good = await heard.says(gatt.CONTINUOUS_MEASUREMENT, bytes.fromhex("00 61 00 48 00"), 2)
        assert shown(good) == [("oxygen_saturation", 97), ("heart_rate", 72)]
        away = bytes.fromhex("08 61 00 48 00 00 08 00")
        off = await heard.says(gatt.CONTINUOUS_MEASUREMENT, away, 2)
        assert {reading.flags for reading in off} == {frozenset({VitalFlag.CONTACT_LOST})}
        spot = await heard.says(gatt.SPOT_CHECK_MEASUREMENT, bytes.fromhex("00 60 00 ff 07"), 1)
        assert shown(spot) == [("oxygen_saturation", 96)]

    asyncio.run(heard.listen(script))
