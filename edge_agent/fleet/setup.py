"""Builds the sender from the settings."""

from __future__ import annotations

from pathlib import Path

from edge_agent.config import Settings
from edge_agent.config.mqtt import MqttSettings
from edge_agent.fleet.log import ChangeLog
from edge_agent.fleet.sender import FleetSender, SenderOptions


def fleet_sender(settings: Settings, database: Path, broker: MqttSettings) -> FleetSender:
    """Return what sends the timeline, not yet started; its triggers are made when it starts.

    Raises:
        MqttError: the broker's settings cannot work.
    """
    options = SenderOptions(broker, settings.device.name, settings.fleet)
    return FleetSender(options, ChangeLog(database))
