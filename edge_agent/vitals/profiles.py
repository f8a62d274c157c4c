"""What each kind of Bluetooth sensor offers, and how its messages become readings.

One ``SensorProfile`` for each ``SensorKind``; search, connection and scan read it from here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from edge_agent.core.clock import Instant
from edge_agent.core.readings import VitalReading
from edge_agent.core.sensors import SensorKind
from edge_agent.vitals import gatt, oximeter
from edge_agent.vitals.sensor_readings import SensorReadings


class Message(NamedTuple):
    """What a notification says.

    Attributes:
        readings: none where the sensor had no value.
        contact: whether the sensor touches the skin; ``None``: it cannot tell.
    """

    readings: list[VitalReading]
    contact: bool | None = None


Decode = Callable[[SensorReadings, bytes, Instant], Message]


@dataclass(frozen=True, slots=True)
class Measurement:
    """A characteristic that sends readings.

    Attributes:
        characteristic: its UUID.
        decode: turns its payload, arrived at an instant, into readings; raises ``GattError``.
        stream: whether it sends all the time, so that silence is a gap.
    """

    characteristic: str
    decode: Decode
    stream: bool = False


@dataclass(frozen=True, slots=True)
class SensorProfile:
    """A Bluetooth service that measures something.

    Attributes:
        service: its UUID.
        measurements: what is listened to, as far as the sensor has it; it has one at least.
        site: the characteristic in which a thermometer that always measures in one place says
            where; ``None``: there is none.
    """

    service: str
    measurements: tuple[Measurement, ...]
    site: str | None = None

    @property
    def always_streams(self) -> bool:
        """Whether every sensor of this kind sends all the time."""
        return all(measurement.stream for measurement in self.measurements)


def _heart_rate(readings: SensorReadings, payload: bytes, at: Instant) -> Message:
    measured = gatt.decode_heart_rate(payload)
    return Message(readings.of_heart_rate(measured, at), measured.contact)


def _blood_pressure(readings: SensorReadings, payload: bytes, at: Instant) -> Message:
    return Message(readings.of_blood_pressure(gatt.decode_blood_pressure(payload), at))


def _continuous(readings: SensorReadings, payload: bytes, at: Instant) -> Message:
    measured = oximeter.decode_continuous(payload)
    return Message(readings.of_oximetry(measured, at), measured.contact)


def _spot_check(readings: SensorReadings, payload: bytes, at: Instant) -> Message:
    measured = oximeter.decode_spot_check(payload)
    return Message(readings.of_oximetry(measured, at), measured.contact)


def _temperature(readings: SensorReadings, payload: bytes, at: Instant) -> Message:
    return Message(readings.of_temperature(gatt.decode_temperature(payload), at))


PROFILES: Mapping[SensorKind, SensorProfile] = {
    SensorKind.HEART_RATE: SensorProfile(
        gatt.HEART_RATE_SERVICE,
        (Measurement(gatt.HEART_RATE_MEASUREMENT, _heart_rate, stream=True),),
    ),
    SensorKind.BLOOD_PRESSURE: SensorProfile(
        gatt.BLOOD_PRESSURE_SERVICE,
        (Measurement(gatt.BLOOD_PRESSURE_MEASUREMENT, _blood_pressure),),
    ),
    SensorKind.PULSE_OXIMETER: SensorProfile(
        gatt.PULSE_OXIMETER_SERVICE,
        (
            Measurement(gatt.CONTINUOUS_MEASUREMENT, _continuous, stream=True),
            Measurement(gatt.SPOT_CHECK_MEASUREMENT, _spot_check),
        ),
    ),
    SensorKind.THERMOMETER: SensorProfile(
        gatt.THERMOMETER_SERVICE,
        (Measurement(gatt.TEMPERATURE_MEASUREMENT, _temperature),),
        site=gatt.TEMPERATURE_TYPE,
    ),
}
SERVICES = {profile.service: kind for kind, profile in PROFILES.items()}
"""Which kind of sensor offers a service."""
