"""Decoders for the bytes of straps, cuffs, thermometers and pulse oximeters.

Sources: Bluetooth SIG, *GATT Specification Supplement* (the sections Heart Rate Measurement, Blood
Pressure Measurement, Temperature Measurement, Temperature Type, Date Time, Battery Level), *Heart
Rate Service* 1.0, *Blood Pressure Service* 1.1, *Health Thermometer Service* 1.0, *Pulse Oximeter
Service* 1.0 (its two measurements, and the bits of both status fields); IEEE 11073-20601 for the
number formats SFLOAT and FLOAT. All numbers are little-endian.

Bits that are reserved for future use are ignored, as the specifications demand, and so are octets
after the last known field. Any other deviation from the specification raises ``GattError``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import NamedTuple

from edge_agent.core.errors import GattError
from edge_agent.core.readings import VitalFlag
from edge_agent.core.vitals import FAHRENHEIT, MMHG_IN_KPA

# The supplement gives RR intervals in 1/1024 s, not in ms.
_RR_PER_SECOND = 1024
# No number: NaN (a cuff has no such value), NRes (not at this resolution), beyond what the sensor
# can measure (the infinities), and a value that is reserved.
_NO_SFLOATS = {0x07FF, 0x0800, 0x0801, 0x07FE, 0x0802}
_NO_FLOATS = {0x007FFFFF, 0x00800000, 0x00800001, 0x007FFFFE, 0x00800002}
_STATUS = {
    0: VitalFlag.BODY_MOVEMENT,
    1: VitalFlag.CUFF_LOOSE,
    2: VitalFlag.IRREGULAR_PULSE,
    5: VitalFlag.IMPROPER_POSITION,
}
_PULSE_RANGE = {1: VitalFlag.PULSE_HIGH, 2: VitalFlag.PULSE_LOW}
_PER_STATUS_BIT = {
    6: VitalFlag.ESTIMATED,  # early estimated data
    10: VitalFlag.SIMULATED,  # data for demonstration
    11: VitalFlag.SIMULATED,  # data for testing
    12: VitalFlag.POOR_SIGNAL,  # calibration ongoing
    14: VitalFlag.POOR_SIGNAL,  # questionable measurement
    15: VitalFlag.POOR_SIGNAL,  # invalid measurement
}
_STORED_BIT = 9
_UNAVAILABLE_BIT = 13
_PER_SENSOR_BIT = {
    1: VitalFlag.POOR_SIGNAL,  # equipment malfunction
    2: VitalFlag.POOR_SIGNAL,  # signal processing irregularity
    3: VitalFlag.POOR_SIGNAL,  # inadequate signal
    4: VitalFlag.POOR_SIGNAL,  # poor signal
    5: VitalFlag.POOR_SIGNAL,  # low perfusion
    6: VitalFlag.POOR_SIGNAL,  # erratic signal
    7: VitalFlag.POOR_SIGNAL,  # nonpulsatile signal
    8: VitalFlag.POOR_SIGNAL,  # questionable pulse
    10: VitalFlag.POOR_SIGNAL,  # sensor interference
    11: VitalFlag.CONTACT_LOST,  # sensor unconnected to user
    12: VitalFlag.POOR_SIGNAL,  # unknown sensor
    13: VitalFlag.CONTACT_LOST,  # sensor displaced
    14: VitalFlag.POOR_SIGNAL,  # sensor malfunction
    15: VitalFlag.CONTACT_LOST,  # sensor disconnected
}


def _uuid(number: int) -> str:
    """Return the 128-bit UUID of a number assigned by the Bluetooth SIG."""
    return f"{number:08x}-0000-1000-8000-00805f9b34fb"


HEART_RATE_SERVICE = _uuid(0x180D)
BLOOD_PRESSURE_SERVICE = _uuid(0x1810)
HEART_RATE_MEASUREMENT = _uuid(0x2A37)
BLOOD_PRESSURE_MEASUREMENT = _uuid(0x2A35)
PULSE_OXIMETER_SERVICE = _uuid(0x1822)
SPOT_CHECK_MEASUREMENT = _uuid(0x2A5E)
CONTINUOUS_MEASUREMENT = _uuid(0x2A5F)
THERMOMETER_SERVICE = _uuid(0x1809)
TEMPERATURE_MEASUREMENT = _uuid(0x2A1C)
TEMPERATURE_TYPE = _uuid(0x2A1D)
BATTERY_LEVEL = _uuid(0x2A19)

_NAMES = {
    HEART_RATE_MEASUREMENT: "Heart Rate Measurement (0x2A37)",
    BLOOD_PRESSURE_MEASUREMENT: "Blood Pressure Measurement (0x2A35)",
    SPOT_CHECK_MEASUREMENT: "PLX Spot-Check Measurement (0x2A5E)",
    CONTINUOUS_MEASUREMENT: "PLX Continuous Measurement (0x2A5F)",
    TEMPERATURE_MEASUREMENT: "Temperature Measurement (0x2A1C)",
    TEMPERATURE_TYPE: "Temperature Type (0x2A1D)",
    BATTERY_LEVEL: "Battery Level (0x2A19)",
}


@dataclass(frozen=True, slots=True)
class HeartRate:
    """One Heart Rate Measurement.

    Attributes:
        rate: heart rate, 1/min.
        contact: whether the sensor touches the skin; ``None``: it cannot detect that.
        rr_s: times between beats, seconds, oldest first.
    """

    rate: int
    contact: bool | None
    rr_s: tuple[float, ...]


class DeviceTime(NamedTuple):
    """A time by the clock of a device; year, month and day are 0 if it does not know them."""

    year: int
    month: int
    day: int
    hour: int
    minute: int
    second: int

    @property
    def text(self) -> str:
        """The time as text, such as ``2026-11-20T08:15:00``."""
        return "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}".format(*self)

    @property
    def moment(self) -> datetime | None:
        """The time without a zone; ``None`` when a part of the date is not known."""
        return datetime(*self) if self.year and self.month and self.day else None  # noqa: DTZ001 - it has no zone


@dataclass(frozen=True, slots=True)
class BloodPressure:
    """One Blood Pressure Measurement; a pressure or pulse is ``None`` if the cuff has no value.

    Attributes:
        systolic, diastolic, mean: mmHg.
        time: by the cuff's clock.
        pulse: 1/min.
        flags: the cuff's remarks on the measurement.
    """

    systolic: float | None
    diastolic: float | None
    mean: float | None
    time: DeviceTime | None
    pulse: float | None
    flags: frozenset[VitalFlag]


class TemperatureSite(Enum):
    """The site of the body at which a temperature was measured."""

    ARMPIT = 1
    BODY = 2
    EAR_LOBE = 3
    FINGER = 4
    BOWEL = 5
    MOUTH = 6
    RECTUM = 7
    TOE = 8
    EAR_DRUM = 9


@dataclass(frozen=True, slots=True)
class Temperature:
    """One Temperature Measurement.

    Attributes:
        celsius: °C; ``None``: the thermometer has no value.
        time: by the thermometer's clock.
        site: where it was measured; ``None``: the message does not say.
    """

    celsius: float | None
    time: DeviceTime | None
    site: TemperatureSite | None


class Fields:
    """Takes the fields of a characteristic one after the other.

    Example:
        >>> fields = Fields(HEART_RATE_MEASUREMENT, bytes([0, 72]))
        >>> fields.number("flags"), fields.number("heart rate")
        (0, 72)
    """

    def __init__(self, characteristic: str, payload: bytes) -> None:
        self._name = _NAMES[characteristic]
        self._payload = payload
        self._at = 0

    @property
    def left(self) -> int:
        """Number of octets not yet read."""
        return len(self._payload) - self._at

    def error(self, problem: str) -> GattError:
        """Return the exception for a problem in these fields."""
        return GattError(self._name, self._payload, problem)

    def number(self, what: str, octets: int = 1) -> int:
        """Return the next unsigned number."""
        if self.left < octets:
            raise self.error(f"is too short: it ends before the {what}")
        self._at += octets
        return int.from_bytes(self._payload[self._at - octets : self._at], "little")

    def sfloat(self, what: str) -> float | None:
        """Return the next SFLOAT; ``None`` for its special values, which are no numbers.

        A missing value does not affect the others: a blood pressure without a mean keeps systolic
        and diastolic.
        """
        return decode_sfloat(self.number(what, 2))

    def float32(self, what: str) -> float | None:
        """Return the next 32-bit FLOAT; ``None`` as with ``sfloat``."""
        raw = self.number(what, 4)
        return None if raw in _NO_FLOATS else _scale(raw, 24, 8)


def decode_sfloat(raw: int) -> float | None:
    """Decode an IEEE 11073-20601 SFLOAT of 16 bits.

    Exponent in the top 4 bits, mantissa in the low 12, both two's complement, base 10. ``None`` for
    the special values.
    """
    return None if raw in _NO_SFLOATS else _scale(raw, 12, 4)


def _scale(raw: int, mantissa_bits: int, exponent_bits: int) -> float:
    """Return mantissa · 10^exponent, rounded once."""
    mantissa = _to_signed(raw & ((1 << mantissa_bits) - 1), mantissa_bits)
    exponent = _to_signed(raw >> mantissa_bits, exponent_bits)
    # Only a whole power of ten is exact: 3 / 10 gives 0.3, 3 · 0.1 gives 0.30000000000000004.
    if exponent >= 0:
        return float(mantissa * 10**exponent)
    return float(mantissa / 10**-exponent)


def _to_signed(value: int, bits: int) -> int:
    """Interpret a number as two's complement of so many bits."""
    return value - (1 << bits) if value >> (bits - 1) else value


def decode_heart_rate(payload: bytes) -> HeartRate:
    """Decode a Heart Rate Measurement (0x2A37).

    Raises:
        GattError: it is too short, or ends in the middle of an RR interval.
    """
    fields = Fields(HEART_RATE_MEASUREMENT, payload)
    flags = fields.number("flags")
    # Bit 0 tells the width of the rate.
    rate = fields.number("heart rate", 2 if flags & 1 else 1)
    # Bit 2 says whether the sensor can detect contact at all; bit 1 means something only then.
    contact = bool(flags & 0b010) if flags & 0b100 else None
    # Energy is not used; it must be taken, for the intervals stand behind it.
    if flags & 0b1000:
        fields.number("energy expended", 2)
    intervals: list[float] = []
    # No count is sent: the intervals fill the rest of the packet.
    while flags & 0b10000 and fields.left:
        intervals.append(fields.number("end of an RR interval", 2) / _RR_PER_SECOND)
    return HeartRate(rate, contact, tuple(intervals))


def decode_blood_pressure(payload: bytes) -> BloodPressure:
    """Decode a Blood Pressure Measurement (0x2A35); kPa are turned into mmHg.

    Raises:
        GattError: it is too short, or its time cannot be one.
    """
    fields = Fields(BLOOD_PRESSURE_MEASUREMENT, payload)
    flags = fields.number("flags")
    unit = MMHG_IN_KPA if flags & 1 else 1.0
    # All three pressures are in every message, in the unit of bit 0.
    systolic, diastolic, mean = (
        None if value is None else value * unit
        for value in [
            fields.sfloat(f"{name} pressure") for name in ("systolic", "diastolic", "mean arterial")
        ]
    )
    time = take_time(fields) if flags & 0b10 else None
    pulse = fields.sfloat("pulse rate") if flags & 0b100 else None
    # Which of the cuff's users was measured is not used: sessions tell whose reading it is.
    if flags & 0b1000:
        fields.number("user")
    status = fields.number("measurement status", 2) if flags & 0b10000 else 0
    return BloodPressure(systolic, diastolic, mean, time, pulse, _status_flags(status))


def decode_temperature(payload: bytes) -> Temperature:
    """Decode a Temperature Measurement (0x2A1C); °F are turned into °C.

    Raises:
        GattError: it is too short, or its time cannot be one.
    """
    fields = Fields(TEMPERATURE_MEASUREMENT, payload)
    flags = fields.number("flags")
    value = fields.float32("temperature")
    time = take_time(fields) if flags & 0b10 else None
    site = _site(fields) if flags & 0b100 else None
    # Bit 0: the value is in Fahrenheit.
    if value is not None and flags & 1:
        value = FAHRENHEIT.convert(value)
    return Temperature(value, time, site)


def decode_temperature_type(payload: bytes) -> TemperatureSite | None:
    """Decode a Temperature Type (0x2A1D); ``None`` for a reserved number.

    Raises:
        GattError: it is empty.
    """
    return _site(Fields(TEMPERATURE_TYPE, payload))


def _site(fields: Fields) -> TemperatureSite | None:
    """Take a Temperature Type from the fields."""
    number = fields.number("temperature type")
    if number in {site.value for site in TemperatureSite}:
        return TemperatureSite(number)
    return None


def take_time(fields: Fields) -> DeviceTime:
    """Take a Date Time from the fields.

    Years are 1582 to 9999; month and day may each be 0 for not known.
    """
    time = DeviceTime(
        fields.number("year", 2),
        *(fields.number(what) for what in ("month", "day", "hour", "minute", "second")),
    )
    # A known day must exist in its month; 2000 is a leap year and so allows February 29.
    known = DeviceTime(time.year or 2000, time.month or 1, time.day or 1, *time[3:])
    try:
        datetime(*known)  # noqa: DTZ001 - asked only whether there is such a time
    except ValueError:
        raise fields.error(f"there is no such time as {time.text}") from None
    if time.year and not 1582 <= time.year <= 9999:
        raise fields.error(f"the year {time.year} is not between 1582 and 9999")
    return time


def _status_flags(status: int) -> frozenset[VitalFlag]:
    """Return the flags of a Measurement Status; reserved bits are ignored."""
    flags = {flag for bit, flag in _STATUS.items() if status >> bit & 1}
    # Bits 3 and 4 are one number: 1 and 2 mean a pulse above and below the range, 0 within it.
    pulse = _PULSE_RANGE.get(status >> 3 & 0b11)
    return frozenset(flags | {pulse} if pulse else flags)


def decode_battery_level(payload: bytes) -> int:
    """Decode a Battery Level (0x2A19) and return percent.

    Raises:
        GattError: it is empty or above 100.
    """
    fields = Fields(BATTERY_LEVEL, payload)
    level = fields.number("level")
    if level > 100:
        raise fields.error(f"{level} % is more than 100")
    return level


@dataclass(frozen=True, slots=True)
class Oximetry:
    """One measurement of a pulse oximeter.

    Attributes:
        saturation: oxygen saturation, %; ``None``: no value.
        pulse: pulse rate, 1/min; ``None``: no value.
        time: by the oximeter's clock.
        stored: whether it comes from the oximeter's memory, so that its arrival is not its time.
        contact: whether the sensor is on the person; ``None``: not known.
        flags: the oximeter's remarks on the measurement.
    """

    saturation: float | None
    pulse: float | None
    time: DeviceTime | None
    stored: bool
    contact: bool | None
    flags: frozenset[VitalFlag]


def decode_spot_check(payload: bytes) -> Oximetry:
    """Decode a PLX Spot-Check Measurement (0x2A5E), without its pulse amplitude index.

    Raises:
        GattError: it is too short, or its time cannot be one.
    """
    fields = Fields(SPOT_CHECK_MEASUREMENT, payload)
    flags = fields.number("flags")
    saturation = fields.sfloat("oxygen saturation")
    pulse = fields.sfloat("pulse rate")
    time = take_time(fields) if flags & 0b1 else None
    # Pulse Oximeter Service 1.0: bit 4 says that the device's clock is not set.
    clock_is_set = not flags & 0b10000
    return _oximetry(
        fields, (saturation, pulse), time if clock_is_set else None, (flags & 0b10, flags & 0b100)
    )


def decode_continuous(payload: bytes) -> Oximetry:
    """Decode the normal values of a PLX Continuous Measurement (0x2A5F).

    The fast and slow values and the pulse amplitude index are ignored.

    Raises:
        GattError: it is too short.
    """
    fields = Fields(CONTINUOUS_MEASUREMENT, payload)
    flags = fields.number("flags")
    saturation = fields.sfloat("oxygen saturation")
    pulse = fields.sfloat("pulse rate")
    # They come between the normal values and the status, and are passed over.
    for bit, speed in ((0b1, "fast"), (0b10, "slow")):
        if flags & bit:
            fields.number(f"{speed} oxygen saturation", 2)
            fields.number(f"{speed} pulse rate", 2)
    return _oximetry(fields, (saturation, pulse), None, (flags & 0b100, flags & 0b1000))


def _oximetry(
    fields: Fields,
    values: tuple[float | None, float | None],
    time: DeviceTime | None,
    present: tuple[int, int],
) -> Oximetry:
    """Take the two status fields that are present, and return the measurement."""
    status = fields.number("measurement status", 2) if present[0] else 0
    sensor = fields.number("device and sensor status", 3) if present[1] else 0
    flags = _flags(status, _PER_STATUS_BIT) | _flags(sensor, _PER_SENSOR_BIT)
    contact = VitalFlag.CONTACT_LOST not in flags if present[1] else None
    # The values are placeholders then, whatever they are.
    if status >> _UNAVAILABLE_BIT & 1:
        values = (None, None)
    stored = bool(status >> _STORED_BIT & 1)
    return Oximetry(values[0], values[1], time, stored, contact, flags)


def _flags(bits: int, meanings: dict[int, VitalFlag]) -> frozenset[VitalFlag]:
    """Return the flags of the bits; reserved bits are ignored."""
    return frozenset(flag for bit, flag in meanings.items() if bits >> bit & 1)
