"""Home Assistant's discovery message: one device with every entity of the appliance.

The words are Home Assistant's:
https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from edge_agent.core.expression import FACE_STATES
from edge_agent.core.vitals import SPECS
from edge_agent.mqtt.payloads import PayloadPart, Topics

WINDOWS_SILENT = 3
"""Summary windows without a message after which values become unavailable."""
LEAST_EXPIRY_S = 30
_SHARE = {
    "state_class": "measurement",
    "unit_of_measurement": "%",
    "suggested_display_precision": 0,
}
_MARKERS = (
    ("baseline", "Mark baseline", {"kind": "baseline"}),
    ("stimulus_start", "Mark start of stimulus", {"kind": "stimulus_start", "label": "stimulus"}),
    ("stimulus_end", "Mark end of stimulus", {"kind": "stimulus_end"}),
    ("note", "Mark note", {"kind": "note", "label": "Home Assistant"}),
)


class DeviceEntry(PayloadPart):
    """The device, as it stands in Home Assistant's list."""

    identifiers: list[str] = Field(min_length=1, description="By which it is known again")
    name: str
    manufacturer: str
    model: str
    sw_version: str


class Origin(PayloadPart):
    """The program that sends the discovery."""

    name: str
    sw_version: str


class Availability(PayloadPart):
    """A topic that tells whether a value can be relied on."""

    topic: str
    value_template: str = Field(description="Gives `online`, `offline`, or nothing new")


class Component(PayloadPart):
    """One entity. What does not apply to it is left out of the message."""

    platform: Literal["sensor", "binary_sensor", "button", "switch"]
    name: str
    unique_id: str
    availability: list[Availability]
    availability_mode: Literal["all"] = "all"
    entity_category: Literal["diagnostic"] | None = None
    enabled_by_default: bool | None = None
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


@dataclass(frozen=True, slots=True)
class Device:
    """The appliance as the discovery message describes it.

    Attributes:
        name: of the appliance.
        root: first part of its topics.
        prefix: of Home Assistant's discovery topics (``discovery_prefix`` there).
        version: of the agent.
        window_s: seconds of a summary window: so often ``state`` is sent at least.
        commands: whether the appliance takes commands: only then there are buttons and a switch.
        movements: whether it publishes movements: only then there is *Head turned away*.
    """

    name: str
    root: str
    prefix: str
    version: str
    window_s: float = 10.0
    commands: bool = False
    movements: bool = False

    @property
    def id(self) -> str:
        """Identifier at the broker, by which Home Assistant recognises the appliance."""
        return f"{self.root}-{self.name}".replace("/", "-")

    @property
    def topic(self) -> str:
        """The topic of the discovery message."""
        return f"{self.prefix}/device/{self.id}/config"

    @property
    def birth_topic(self) -> str:
        """The topic of Home Assistant's birth message."""
        return f"{self.prefix}/status"

    @property
    def topics(self) -> Topics:
        """The topics of the appliance."""
        return Topics(self.root, self.name)


def discovery_payload(device: Device) -> DiscoveryPayload:
    """Return the device with its entities: sensors and, with commands, buttons and a switch."""
    make = _ComponentMaker(device)
    _add_expression(make)
    _add_vitals(make)
    _add_variability(make)
    _add_appliance(make)
    if device.movements:
        make.binary_sensor(
            "turned_away",
            "Head turned away",
            "value_json.turned_away",
            icon="mdi:head-remove-outline",
            enabled_by_default=False,
        )
    if device.commands:
        _add_buttons(make)
        make.capture_switch()
    return DiscoveryPayload(
        device=DeviceEntry(
            identifiers=[device.id],
            name=device.name,
            manufacturer="Affect Edge",
            model="Affect Edge",
            sw_version=device.version,
        ),
        origin=Origin(name="Affect Edge", sw_version=device.version),
        components=make.components,
    )


class _ComponentMaker:
    """Makes entities with the fields that all entities of a device share."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._state = device.topics.full(Topics.STATE)
        self._status = Availability(
            topic=device.topics.full(Topics.STATUS), value_template="{{ value_json.state }}"
        )
        self._expire_s = max(LEAST_EXPIRY_S, round(WINDOWS_SILENT * device.window_s))
        self.components: dict[str, Component] = {}

    def sensor(self, key: str, name: str, value: str, **more: Any) -> None:
        """Add a sensor whose state is an expression over the message ``state``."""
        self._reader("sensor", key, name, value, **more)

    def binary_sensor(self, key: str, name: str, value: str, **more: Any) -> None:
        """Add a binary sensor whose state is true, false or ``null`` in the message."""
        # Jinja writes Python's True, not JSON's true.
        more |= {"payload_on": "True", "payload_off": "False"}
        self._reader("binary_sensor", key, name, value, **more)

    def button(self, key: str, name: str, suffix: str, command: dict[str, str]) -> None:
        """Add a button that sends a command; it can be pressed while a session is open."""
        session = Availability(
            topic=self._state, value_template="{{ 'online' if value_json.session else 'offline' }}"
        )
        self._add(
            key,
            platform="button",
            name=name,
            availability=[self._status, session],
            command_topic=self._device.topics.full(suffix),
            payload_press=json.dumps(command),
            qos=1,
        )

    def capture_switch(self) -> None:
        """Add the switch of the camera; its state comes from the appliance."""
        self._add(
            "capture",
            platform="switch",
            name="Capture",
            availability=[self._status],
            icon="mdi:camera",
            state_topic=self._state,
            value_template="{{ value_json.capture }}",
            state_on="True",
            state_off="False",
            command_topic=self._device.topics.full(Topics.COMMAND_CAPTURE),
            payload_on=json.dumps({"action": "on"}),
            payload_off=json.dumps({"action": "off"}),
            qos=1,
        )

    def attributes(self, value: str) -> dict[str, str]:
        """Return the fields for an entity's attributes, from an object in ``state``."""
        return {
            "json_attributes_topic": self._state,
            "json_attributes_template": f"{{{{ {value} | tojson }}}}",
        }

    def _reader(self, platform: str, key: str, name: str, value: str, **more: Any) -> None:
        self._add(
            key,
            platform=platform,
            name=name,
            availability=[self._status],
            state_topic=self._state,
            value_template=f"{{{{ {value} }}}}",
            expire_after=self._expire_s,
            **more,
        )

    def _add(self, key: str, **fields: Any) -> None:
        # Home Assistant keeps an entity's name and history by unique_id: it must never change.
        self.components[key] = Component(unique_id=f"{self._device.id}-{key}", **fields)


def _add_expression(make: _ComponentMaker) -> None:
    """Add the sensors of the expression: label, share of each label, valence, faces."""
    emotion = "value_json.emotion"
    labels = {"device_class": "enum", "options": list(FACE_STATES), "icon": "mdi:emoticon-outline"}
    make.sensor("expression", "Expression", emotion, **labels)
    for label in FACE_STATES:
        share = f"value_json.shares.{label} if value_json.shares else None"
        make.sensor(f"share_{label}", f"Share {label.replace('_', ' ')}", share, **_SHARE)
    make.sensor(
        "valence",
        "Valence (derived)",
        "value_json.valence",
        state_class="measurement",
        suggested_display_precision=2,
    )
    make.sensor("faces", "Faces", "value_json.faces", state_class="measurement")


def _add_vitals(make: _ComponentMaker) -> None:
    """Add a sensor for each kind of vital, with time, source and flags as attributes."""
    for kind, spec in SPECS.items():
        reading = f"value_json.vitals.{kind.value}"
        make.sensor(
            kind.value,
            spec.label,
            f"{reading}.value if {reading} else None",
            device_class=spec.device_class,
            state_class=spec.state_class,
            unit_of_measurement=spec.unit_shown,
            suggested_display_precision=spec.decimals,
            **make.attributes(f"({reading} or {{}})"),
        )


def _add_variability(make: _ComponentMaker) -> None:
    """Add the sensor of RMSSD over five minutes, with share, limits and source as attributes."""
    now = "value_json.variability"
    make.sensor(
        "rmssd",
        "Heart-rate variability (RMSSD)",
        f"{now}.rmssd_ms if {now} else None",
        device_class="duration",
        state_class="measurement",
        unit_of_measurement="ms",
        suggested_display_precision=0,
        icon="mdi:heart-pulse",
        **make.attributes(f"({now} or {{}})"),
    )


def _add_appliance(make: _ComponentMaker) -> None:
    """Add the sensors of the appliance itself."""
    make.binary_sensor("camera", "Camera", "value_json.camera", device_class="running")
    make.binary_sensor("recording", "Recording", "value_json.recording", icon="mdi:record-rec")
    make.binary_sensor("session", "Session", "value_json.session", device_class="running")
    make.binary_sensor(
        "alarm",
        "Alarm",
        "(value_json.alarms | count > 0) if value_json.alarms is not none else None",
        device_class="problem",
        entity_category="diagnostic",
        **make.attributes("(value_json.alarms or {})"),
    )
    measured = {
        "entity_category": "diagnostic",
        "state_class": "measurement",
        "suggested_display_precision": 1,
    }
    rate = "value_json.frames_per_second"
    make.sensor(
        "frames_per_second", "Frames per second", rate, unit_of_measurement="/s", **measured
    )
    measured |= {"device_class": "temperature", "unit_of_measurement": "°C"}
    celsius = "value_json.temperature_celsius"
    make.sensor("temperature", "Processor temperature", celsius, **measured)


def _add_buttons(make: _ComponentMaker) -> None:
    """Add a button for each kind of marker, and one that ends the session.

    None starts one: a start names a participant who has consented.
    """
    for key, name, command in _MARKERS:
        make.button(f"mark_{key}", name, Topics.COMMAND_MARKER, command)
    make.button("end_session", "End session", Topics.COMMAND_SESSION, {"action": "end"})
