"""The payload of Home Assistant's device discovery, as far as the appliance uses it.

The words are Home Assistant's:
https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from edge_agent.mqtt.payloads.base import Part


class DeviceEntry(Part):
    """The device, as it stands in Home Assistant's list."""

    identifiers: list[str] = Field(min_length=1, description="By which it is known again")
    name: str
    manufacturer: str
    model: str
    sw_version: str


class Origin(Part):
    """The program that sends the discovery."""

    name: str
    sw_version: str


class Availability(Part):
    """A topic that tells whether a value can be relied on."""

    topic: str
    value_template: str = Field(description="Gives `online`, `offline`, or nothing new")


class Component(Part):
    """One entity. What does not apply to it is left out of the message."""

    platform: Literal["sensor", "binary_sensor", "button", "switch"]
    name: str
    unique_id: str
    availability: list[Availability]
    availability_mode: Literal["all"] = "all"
    entity_category: Literal["diagnostic"] | None = None
    icon: str | None = None
    state_topic: str | None = None
    value_template: str | None = Field(
        None, description="Gives `None`, which Home Assistant shows as unknown, for `null`"
    )
    expire_after: int | None = Field(
        None, gt=0, description="Seconds without a message until it is unavailable"
    )
    device_class: str | None = None
    state_class: Literal["measurement"] | None = None
    unit_of_measurement: str | None = None
    suggested_display_precision: int | None = Field(None, ge=0)
    options: list[str] | None = Field(None, description="The texts that the state can be")
    json_attributes_topic: str | None = None
    json_attributes_template: str | None = None
    payload_on: str | None = None
    payload_off: str | None = None
    state_on: str | None = Field(None, description="What `value_template` gives of a switch on")
    state_off: str | None = None
    command_topic: str | None = None
    payload_press: str | None = None
    qos: int | None = Field(None, ge=0, le=1)


class DiscoveryPayload(BaseModel):
    """The appliance as a device of Home Assistant, with all its entities."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    device: DeviceEntry
    origin: Origin
    components: dict[str, Component]

    def encode(self) -> bytes:
        """Return the message as compact JSON, without what does not apply."""
        return self.model_dump_json(exclude_none=True).encode()
