"""The section ``[device]``: which appliance this is."""

from __future__ import annotations

from pydantic import Field

from edge_agent.config.section import Section


class DeviceSettings(Section):
    """Which appliance this is."""

    name: str = Field(
        "affect-edge",
        pattern=r"^[A-Za-z0-9_-]{1,40}$",
        description="Name in MQTT topics and on pages",
    )
