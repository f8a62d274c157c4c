"""Builds the sender from the settings."""

from __future__ import annotations

from pathlib import Path

from edge_agent.config import Settings
from edge_agent.fleet.log import ChangeLog
from edge_agent.fleet.sender import FleetSender, SenderOptions
from edge_agent.mqtt.broker import Broker


def fleet_sender(settings: Settings, database: Path, broker: Broker) -> FleetSender:
    """Return what sends the timeline, not yet started; its triggers are made when it starts.

    Raises:
        MqttError: the broker's settings cannot work.
    """
    options = SenderOptions(
        broker,
        settings.device.name,
        root=settings.mqtt.root,
        backlog_bytes=settings.fleet.backlog_mb * 1_000_000,
    )
    return FleetSender(options, ChangeLog(database))
