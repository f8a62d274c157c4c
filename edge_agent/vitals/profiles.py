"""The profile of each kind of Bluetooth sensor, and readings from its messages.

Search, connection and scan use ``PROFILES``. Readings have the time of this machine and flags, and
none has the same time as another of its kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

from edge_agent.core.clock import Instant
from edge_agent.core.electrocardiogram import EcgStretch
from edge_agent.core.given_readings import are_near
from edge_agent.core.readings import CLOCK_TOLERANCE_S, VitalFlag, VitalReading
from edge_agent.core.vitals import SensorKind, VitalKind
from edge_agent.vitals import gatt, polar
from edge_agent.vitals.gatt import (
    BloodPressure,
    DeviceTime,
    HeartRate,
    Oximetry,
    Temperature,
    TemperatureSite,
)
from edge_agent.vitals.polar_beats import BeatChoice, BeatInterval, EcgKeeper
from edge_agent.vitals.polar_motion import MotionMeter

T = TypeVar("T")
ON_THE_SKIN = {TemperatureSite.EAR_LOBE, TemperatureSite.FINGER, TemperatureSite.TOE}
"""Sites with the temperature of the skin; at others the thermometer measures that of the body."""

_TIMES_KEPT = 1000  # of a device: its memory


class SensorReadings:
    """Makes the readings of one sensor.

    Readings have the time of their arrival. The last of several RR intervals in a message ended
    then, and each earlier one when the next began. A kind never has two readings in one
    millisecond, even if messages arrive in a burst: the timeline keeps only one reading of a kind,
    source and time.

    Args:
        source: for ``VitalReading.source``.

    Attributes:
        site: the fixed site of a thermometer; ``None``: its messages contain the site, or it is not
            known.
        choice: which intervals are recorded of a sensor that sends beats in two ways; ``None``: it
            sends them in one.
        keeper: of an electrocardiogram; ``None``: it is not kept.
        motion: of the acceleration; ``None``: it is not measured.

    Example:
        >>> readings = SensorReadings("ble:AA:BB:CC:DD:EE:FF")
        >>> readings.of_heart_rate(decode_heart_rate(bytes([0, 72])), clock.now())[0].value
        72.0
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self.site: TemperatureSite | None = None
        self.choice: BeatChoice | None = None
        self.keeper: EcgKeeper | None = None
        self.motion: MotionMeter | None = None
        self._contact: bool | None = None
        self._last: dict[VitalKind, int] = {}
        self._of_time: dict[str, BloodPressure | Oximetry | Temperature | None] = {}

    def of_heart_rate(self, measured: HeartRate, at: Instant) -> list[VitalReading]:
        """Return the heart rate and its RR intervals, flagged ``contact_lost`` without contact."""
        self._contact = measured.contact
        flags = frozenset({VitalFlag.CONTACT_LOST} if measured.contact is False else ())
        readings = [self._reading(VitalKind.HEART_RATE, float(measured.rate), at, flags)]
        # The supplement sends the oldest interval first, and gives no times.
        # The last interval ended on arrival; what is left of the sum lies between it and each
        # earlier end.
        left = sum(measured.rr_s)
        intervals: list[BeatInterval] = []
        for interval in measured.rr_s:
            left -= interval
            intervals.append(BeatInterval(at.shift(-left), interval, flags=flags))
        if self.choice is not None:
            self.choice.hear_contact(measured.contact)
            intervals = self.choice.of_service(intervals, at)
        return readings + self.of_intervals(intervals)

    def of_intervals(self, intervals: Sequence[BeatInterval]) -> list[VitalReading]:
        """Return the readings of intervals between beats, with their errors."""
        readings = (
            self._reading(VitalKind.RR_INTERVAL, one.seconds, one.ended, one.flags)
            for one in intervals
        )
        return [
            replace(reading, error=one.error_s)
            for reading, one in zip(readings, intervals, strict=True)
        ]

    def of_motion(self, frame: polar.PolarFrame, at: Instant) -> list[VitalReading]:
        """Return the motion that is known with a frame of an acceleration.

        Raises:
            GattError: it violates the protocol.
        """
        if self.motion is None:
            return []
        contact = self._contact if self.choice is None else self.choice.contact
        flags = frozenset({VitalFlag.CONTACT_LOST} if contact is False else ())
        return [
            self._reading(VitalKind.BODY_MOTION, one.deviation_mg, one.ended, flags)
            for one in self.motion.add(frame, at)
        ]

    def of_blood_pressure(self, measured: BloodPressure, at: Instant) -> list[VitalReading]:
        """Return the pressures and the pulse that the cuff has measured.

        All have the cuff's flags, and ``clock_differs`` if its time differs by more than five
        minutes from ours: a stored measurement, or a wrong clock. Systolic and diastolic pressures
        that are too near to each other are ``out_of_range``. A measurement that is sent again gives
        none.
        """
        if self._was_sent(measured):
            return []
        stamped, doubt = _stamp(measured.time, at)
        flags = measured.flags | doubt
        high, low = measured.systolic, measured.diastolic
        # Judged together here: each pressure alone may be plausible.
        near = are_near({VitalKind.SYSTOLIC: high, VitalKind.DIASTOLIC: low})
        pressures = flags | {VitalFlag.OUT_OF_RANGE} if near else flags
        values = (
            (VitalKind.SYSTOLIC, high, pressures),
            (VitalKind.DIASTOLIC, low, pressures),
            (VitalKind.MEAN_ARTERIAL, measured.mean, pressures),
            (VitalKind.HEART_RATE, measured.pulse, flags),
        )
        return [
            self._reading(kind, value, at, flags_of_value, stamped)
            for kind, value, flags_of_value in values
            if value is not None
        ]

    def of_oximetry(self, measured: Oximetry, at: Instant) -> list[VitalReading]:
        """Return the oxygen saturation and the pulse that the oximeter has measured.

        Both have the flags of the measurement, and ``clock_differs`` as with a cuff, or if the
        measurement comes from the oximeter's memory without a time. One that is sent again gives
        none.
        """
        if self._was_sent(measured):
            return []
        stamped, doubt = _stamp(measured.time, at)
        flags = measured.flags | doubt
        # It was measured at some time before, and nobody knows when.
        if measured.time is None and measured.stored:
            flags |= {VitalFlag.CLOCK_DIFFERS}
        values = (
            (VitalKind.OXYGEN_SATURATION, measured.saturation),
            (VitalKind.HEART_RATE, measured.pulse),
        )
        return [
            self._reading(kind, value, at, flags, stamped)
            for kind, value in values
            # Oximeters send a value even without a finger; an impossible one is no reading.
            if value is not None and kind.spec.is_possible(value)
        ]

    def of_temperature(self, measured: Temperature, at: Instant) -> list[VitalReading]:
        """Return the temperature, if the thermometer has a possible one.

        The site decides between the temperature of the skin and of the body. Without a site it is
        the skin's, as with a patch: a cool skin taken for the body would look like an illness.
        """
        site = measured.site or self.site
        on_skin = site is None or site in ON_THE_SKIN
        kind = VitalKind.SKIN_TEMPERATURE if on_skin else VitalKind.BODY_TEMPERATURE
        value = measured.celsius
        if value is None or not kind.spec.is_possible(value) or self._was_sent(measured):
            return []
        stamped, flags = _stamp(measured.time, at)
        return [self._reading(kind, value, at, flags, stamped)]

    def _was_sent(self, measured: BloodPressure | Oximetry | Temperature) -> bool:
        """Return whether a device sends what it has measured once more, with its old time.

        A time under which another value came is of a clock that stands, and proves nothing.
        """
        if measured.time is None or measured.time.moment is None:
            return False
        key = type(measured).__name__ + measured.time.text
        if key not in self._of_time:
            if len(self._of_time) >= _TIMES_KEPT:
                del self._of_time[next(iter(self._of_time))]
            self._of_time[key] = measured
            return False
        if self._of_time[key] != measured:
            self._of_time[key] = None
        return self._of_time[key] is not None

    def _reading(
        self,
        kind: VitalKind,
        value: float,
        at: Instant,
        flags: frozenset[VitalFlag],
        device_time: str | None = None,
    ) -> VitalReading:
        """Return a checked reading, at least a millisecond after the last one of its kind."""
        # Bluetooth may deliver several messages at once; a primary key of kind, source and time
        # would drop all but one.
        late_ms = self._last.get(kind, at.boot_ms - 1) + 1 - at.boot_ms
        at = at.shift(max(0, late_ms) / 1000)
        self._last[kind] = at.boot_ms
        return VitalReading(at, kind, value, self._source, flags, device_time).flag_implausible()


def _stamp(time: DeviceTime | None, at: Instant) -> tuple[str | None, frozenset[VitalFlag]]:
    """Return a device's time as text, and a flag if it differs from our local time."""
    differs = False
    if time is not None and time.moment is not None:
        try:
            # Cuffs have no time zone: their clock is taken to show this machine's local time.
            differs = abs(time.moment.timestamp() - at.wall_ms / 1000) > CLOCK_TOLERANCE_S
        except (OverflowError, OSError, ValueError):  # beyond the range of this machine's clock
            differs = True
    return time and time.text, frozenset({VitalFlag.CLOCK_DIFFERS} if differs else ())


class NotificationContents(NamedTuple):
    """The contents of a notification.

    Attributes:
        readings: none if the sensor had no value.
        contact: whether the sensor touches the skin; ``None``: it cannot detect that.
        stretches: of an electrocardiogram that is kept.
    """

    readings: list[VitalReading]
    contact: bool | None = None
    stretches: tuple[EcgStretch, ...] = ()


Decode = Callable[[SensorReadings, bytes, Instant], NotificationContents]


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
        measurements: the characteristics to subscribe to; a sensor has at least one of them.
        site: the characteristic with the fixed site of a thermometer; ``None``: there is none.
    """

    service: str
    measurements: tuple[Measurement, ...]
    site: str | None = None

    @property
    def always_streams(self) -> bool:
        """Whether every sensor of this kind sends continuously."""
        return all(measurement.stream for measurement in self.measurements)


def _reader(
    decode: Callable[[bytes], T],
    readings_of: Callable[[SensorReadings, T, Instant], list[VitalReading]],
) -> Decode:
    def read(readings: SensorReadings, payload: bytes, at: Instant) -> NotificationContents:
        measured = decode(payload)
        return NotificationContents(
            readings_of(readings, measured, at), getattr(measured, "contact", None)
        )

    return read


def read_polar(readings: SensorReadings, payload: bytes, at: Instant) -> NotificationContents:
    """Return the beats of a notification of Polar's protocol.

    Raises:
        GattError: it violates the protocol.
    """
    frame = polar.decode_frame(payload)
    if frame is None or not frame.stream.is_of_beats or readings.choice is None:
        return NotificationContents([])
    intervals = readings.choice.of_frame(frame, at)
    kept: list[EcgStretch] = []
    if readings.keeper is not None and frame.stream is polar.PolarMeasurement.ECG:
        kept = readings.keeper.add(frame, at)
    return NotificationContents(
        readings.of_intervals(intervals), readings.choice.contact, tuple(kept)
    )


def read_motion(readings: SensorReadings, payload: bytes, at: Instant) -> NotificationContents:
    """Return the motion of a notification of Polar's protocol.

    Raises:
        GattError: it violates the protocol.
    """
    frame = polar.decode_frame(payload)
    if frame is None or frame.stream is not polar.PolarMeasurement.ACC:
        return NotificationContents([])
    return NotificationContents(readings.of_motion(frame, at))


_HEART_RATE = _reader(gatt.decode_heart_rate, SensorReadings.of_heart_rate)
_BLOOD_PRESSURE = _reader(gatt.decode_blood_pressure, SensorReadings.of_blood_pressure)
_CONTINUOUS = _reader(gatt.decode_continuous, SensorReadings.of_oximetry)
_SPOT_CHECK = _reader(gatt.decode_spot_check, SensorReadings.of_oximetry)
_TEMPERATURE = _reader(gatt.decode_temperature, SensorReadings.of_temperature)
PROFILES: Mapping[SensorKind, SensorProfile] = {
    SensorKind.HEART_RATE: SensorProfile(
        gatt.HEART_RATE_SERVICE,
        (Measurement(gatt.HEART_RATE_MEASUREMENT, _HEART_RATE, stream=True),),
    ),
    SensorKind.BLOOD_PRESSURE: SensorProfile(
        gatt.BLOOD_PRESSURE_SERVICE,
        (Measurement(gatt.BLOOD_PRESSURE_MEASUREMENT, _BLOOD_PRESSURE),),
    ),
    SensorKind.PULSE_OXIMETER: SensorProfile(
        gatt.PULSE_OXIMETER_SERVICE,
        (
            Measurement(gatt.CONTINUOUS_MEASUREMENT, _CONTINUOUS, stream=True),
            Measurement(gatt.SPOT_CHECK_MEASUREMENT, _SPOT_CHECK),
        ),
    ),
    SensorKind.THERMOMETER: SensorProfile(
        gatt.THERMOMETER_SERVICE,
        (Measurement(gatt.TEMPERATURE_MEASUREMENT, _TEMPERATURE),),
        site=gatt.TEMPERATURE_TYPE,
    ),
}
SERVICES = {profile.service: kind for kind, profile in PROFILES.items()}
"""Service → kind of sensor."""
