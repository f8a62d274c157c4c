"""What a reading is, and which readings count in no mean: those whose flags are in ``UNUSABLE``.

Example::

    reading = VitalReading(at, VitalKind.HEART_RATE, 12.0, "csv:night.csv").checked()
    reading.flags              # {VitalFlag.OUT_OF_RANGE}
    reading.flags & UNUSABLE   # not empty: kept, and counted in no mean
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from edge_agent.core.clock import Instant
from edge_agent.core.vitals import VitalKind


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
    POOR_SIGNAL = "poor_signal"


# What such a reading says, or when it was so, is in doubt.
DOUBTFUL = frozenset(
    {
        VitalFlag.OUT_OF_RANGE,
        VitalFlag.CONTACT_LOST,
        VitalFlag.CLOCK_DIFFERS,
        VitalFlag.POOR_SIGNAL,
    }
)
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

    def with_flag(self, flag: VitalFlag) -> VitalReading:
        """Return this reading with one more flag."""
        return replace(self, flags=self.flags | {flag})

    def checked(self) -> VitalReading:
        """Return this reading, flagged ``out_of_range`` when its value is implausible."""
        low, high = self.kind.plausible
        if low <= self.value <= high:
            return self
        return self.with_flag(VitalFlag.OUT_OF_RANGE)
