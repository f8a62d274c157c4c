"""Bluetooth sensors: their kinds, states, and what a scan finds, as frozen values. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


class SensorKind(StrEnum):
    """What a Bluetooth sensor measures, by the service that it offers."""

    HEART_RATE = "heart_rate"
    BLOOD_PRESSURE = "blood_pressure"
    PULSE_OXIMETER = "pulse_oximeter"
    THERMOMETER = "thermometer"


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


@dataclass(frozen=True, slots=True)
class FoundSensor:
    """A strap or cuff that a scan found, for people and for the configuration.

    Attributes:
        address: what the configuration wants.
        name: as it calls itself.
        rssi: strength of its signal in dBm, nearer to 0 is stronger; ``None`` while it is
            connected.
        services: UUIDs of what it offers.
        kinds: which of them are ours.
        battery_percent: charge of its battery; ``None``: it did not tell.
        connected: whether it is connected to this machine already, by the agent for example.
    """

    address: str
    name: str | None
    rssi: int | None
    services: tuple[str, ...]
    kinds: tuple[SensorKind, ...]
    battery_percent: int | None = None
    connected: bool = False

    def with_battery(self, percent: int) -> FoundSensor:
        """Return the same sensor with a charge."""
        return replace(self, battery_percent=percent)

    def config_line(self, kind: SensorKind) -> str:
        """Return the line for ``devices`` in the configuration."""
        return f'{{ address = "{self.address}", kind = "{kind}" }},'
