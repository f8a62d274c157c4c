"""What the standard Bluetooth characteristics of pulse oximeters mean: bytes in, values out.

Source: Bluetooth SIG, *Pulse Oximeter Service* 1.0 (PLX Spot-Check Measurement, PLX Continuous
Measurement, and the bits of Measurement Status and of Device and Sensor Status).
"""

from __future__ import annotations

from dataclasses import dataclass

from edge_agent.core.readings import VitalFlag
from edge_agent.vitals.gatt import (
    CONTINUOUS_MEASUREMENT,
    SPOT_CHECK_MEASUREMENT,
    DeviceTime,
    Fields,
    take_time,
)

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


@dataclass(frozen=True, slots=True)
class Oximetry:
    """One measurement of a pulse oximeter.

    Attributes:
        saturation: oxygen saturation, %; ``None``: it could not tell.
        pulse: pulse rate, 1/min; ``None``: it could not tell.
        time: when, by the oximeter's clock.
        stored: whether it comes from the oximeter's memory, so that its arrival says nothing of
            when it was.
        contact: whether the sensor is on the person; ``None``: the oximeter does not say.
        flags: what the oximeter says of the measurement.
    """

    saturation: float | None
    pulse: float | None
    time: DeviceTime | None
    stored: bool
    contact: bool | None
    flags: frozenset[VitalFlag]


def decode_spot_check(payload: bytes) -> Oximetry:
    """Decode a PLX Spot-Check Measurement (0x2A5E); its pulse amplitude index is passed over.

    Raises:
        GattError: it is too short, or its time cannot be one.
    """
    fields = Fields(SPOT_CHECK_MEASUREMENT, payload)
    flags = fields.number("flags")
    saturation = fields.sfloat("oxygen saturation")
    pulse = fields.sfloat("pulse rate")
    time = take_time(fields) if flags & 0b1 else None
    clock_is_set = not flags & 0b10000
    return _oximetry(
        fields, (saturation, pulse), time if clock_is_set else None, (flags & 0b10, flags & 0b100)
    )


def decode_continuous(payload: bytes) -> Oximetry:
    """Decode a PLX Continuous Measurement (0x2A5F): its normal values; the fast and slow ones, and
    the pulse amplitude index, are passed over.

    Raises:
        GattError: it is too short.
    """
    fields = Fields(CONTINUOUS_MEASUREMENT, payload)
    flags = fields.number("flags")
    saturation = fields.sfloat("oxygen saturation")
    pulse = fields.sfloat("pulse rate")
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
    if status >> _UNAVAILABLE_BIT & 1:
        values = (None, None)
    stored = bool(status >> _STORED_BIT & 1)
    return Oximetry(values[0], values[1], time, stored, contact, flags)


def _flags(bits: int, meanings: dict[int, VitalFlag]) -> frozenset[VitalFlag]:
    """Return what the bits say; reserved ones say nothing."""
    return frozenset(flag for bit, flag in meanings.items() if bits >> bit & 1)
