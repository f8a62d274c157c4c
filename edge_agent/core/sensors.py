"""Bluetooth sensors: their kinds and states, as frozen values. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


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
