"""Vital signs: kinds, units, flags, readings and sensors, as frozen values. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from edge_agent.core.clock import Instant


class VitalKind(StrEnum):
    """What a reading measures; the unit is fixed by the kind."""

    HEART_RATE = "heart_rate"
    SYSTOLIC = "systolic"
    DIASTOLIC = "diastolic"
    MEAN_ARTERIAL = "mean_arterial"
    RR_INTERVAL = "rr_interval"

    @property
    def unit(self) -> str:
        """The UCUM unit in which values of this kind are kept."""
        return _UNITS[self]

    @property
    def plausible(self) -> tuple[float, float]:
        """The range outside which a reading is flagged ``out_of_range``; it is never dropped."""
        return _PLAUSIBLE[self]


_UNITS = {
    VitalKind.HEART_RATE: "/min",
    VitalKind.SYSTOLIC: "mm[Hg]",
    VitalKind.DIASTOLIC: "mm[Hg]",
    VitalKind.MEAN_ARTERIAL: "mm[Hg]",
    VitalKind.RR_INTERVAL: "s",
}
_PLAUSIBLE = {
    VitalKind.HEART_RATE: (25.0, 250.0),
    VitalKind.SYSTOLIC: (50.0, 250.0),
    VitalKind.DIASTOLIC: (30.0, 160.0),
    VitalKind.MEAN_ARTERIAL: (30.0, 200.0),
    VitalKind.RR_INTERVAL: (0.24, 2.4),
}


class SensorKind(StrEnum):
    """What a Bluetooth sensor measures, by the service that it offers."""

    HEART_RATE = "heart_rate"
    BLOOD_PRESSURE = "blood_pressure"


@dataclass(frozen=True, slots=True)
class SensorState:
    """How things stand with a Bluetooth sensor.

    Attributes:
        source: as in its readings.
        kind: what it measures.
        connected: whether it is connected now.
        battery_percent: charge of its battery as last told; ``None``: never told.
        contact: whether it touches the skin; ``None``: not connected, or it cannot tell.
        reason: why it could not be connected, a short word for programs; ``None`` once it was.
        problem: the same with the cure, for people.
    """

    source: str
    kind: SensorKind
    connected: bool = False
    battery_percent: int | None = None
    contact: bool | None = None
    reason: str | None = None
    problem: str | None = None


class VitalFlag(StrEnum):
    """What is special about a reading."""

    OUT_OF_RANGE = "out_of_range"
    CONTACT_LOST = "contact_lost"
    MANUAL = "manual"
    ESTIMATED = "estimated"
    SIMULATED = "simulated"
    IMPORTED = "imported"
    BODY_MOVEMENT = "body_movement"
    CUFF_LOOSE = "cuff_loose"
    IRREGULAR_PULSE = "irregular_pulse"
    PULSE_HIGH = "pulse_high"
    PULSE_LOW = "pulse_low"
    IMPROPER_POSITION = "improper_position"
    CLOCK_DIFFERS = "clock_differs"
    REPLAYED = "replayed"


# What such a reading says, or when it was so, is in doubt.
DOUBTFUL = frozenset({VitalFlag.OUT_OF_RANGE, VitalFlag.CONTACT_LOST, VitalFlag.CLOCK_DIFFERS})
# A reading flagged so is kept, and counts in no mean: it is in doubt, or no measurement.
UNUSABLE = DOUBTFUL | {VitalFlag.ESTIMATED}


@dataclass(frozen=True, slots=True)
class VitalReading:
    """One physiological value.

    Attributes:
        at: when it was measured.
        kind: what was measured.
        value: in the unit of the kind.
        source: who said it, such as ``simulated``, ``csv:morning.csv``, ``ble:AA:BB:…``.
        flags: what is special about it.
        device_time: the time that the device itself stamped, as it stamped it
            (``2026-11-20T08:15:00``, its own local time, parts that it does not know 0); ``None``
            when it stamped none.
    """

    at: Instant
    kind: VitalKind
    value: float
    source: str
    flags: frozenset[VitalFlag] = field(default_factory=frozenset)
    device_time: str | None = None

    def checked(self) -> VitalReading:
        """Return this reading, flagged ``out_of_range`` when its value is implausible."""
        low, high = self.kind.plausible
        if low <= self.value <= high:
            return self
        return replace(self, flags=self.flags | {VitalFlag.OUT_OF_RANGE})
