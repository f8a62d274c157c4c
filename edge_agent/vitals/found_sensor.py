"""A strap or cuff that a scan found."""

from __future__ import annotations

from dataclasses import dataclass, replace

from edge_agent.core.sensors import SensorKind


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
