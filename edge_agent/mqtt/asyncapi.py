"""The AsyncAPI 3 document of the appliance's topics, generated from the payload models.

``python -m edge_agent.mqtt.asyncapi`` prints it; `make docs` puts it into the site.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any, Literal, cast

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from edge_agent.core.given_readings import MAX_READINGS, GivenReading
from edge_agent.mqtt import incoming, payloads
from edge_agent.mqtt.discovery import Device, DiscoveryPayload, discovery_payload
from edge_agent.mqtt.health_payload import HealthPayload
from edge_agent.mqtt.payloads import Topics

API_VERSION = "1.0.0"
_WHEN = {
    Topics.STATUS: "On connecting and on stopping. When the connection breaks, the broker "
    "publishes `offline` in the appliance's name (last will).",
    Topics.SUMMARY: "Once per window (10 seconds by default), through the outbox: none is lost "
    "while the broker is away, up to the size of the outbox.",
    Topics.EMOTION: "When the smoothed emotion of the primary face changes.",
    Topics.VITALS: "When a reading arrives; none is sent late.",
    Topics.MOVEMENTS: "Where `mqtt.movements` is set: every `record.interval` and at most once a "
    "second, while the movements of the primary face are read; none is sent late.",
    Topics.HEALTH: "Every minute, and when an alarm starts or ends.",
    Topics.ALERTS: "On starting, and when an alert begins, ends or is acknowledged. Not a medical "
    "alarm. That the agent itself is gone is told by `status`.",
    Topics.STATE: "Where `mqtt.home_assistant` is set: once per window, and when the emotion, "
    "`turned_away`, the camera, the recording, the session or an alarm changes.",
    Topics.REJECTED: "When readings of a message on `ingest/vitals` could not be understood.",
    Topics.COMMAND_REJECTED: "When a command on `command/session`, `command/marker` or "
    "`command/capture` was refused.",
    Topics.SESSION: "When a session starts or ends and when a marker is set, through the outbox.",
    Topics.INGEST: "Readings of other devices, one object or a list of up to 1000; only where "
    "`vitals.mqtt.enabled` is set. Refused readings are reported on `ingest/rejected`.",
    Topics.COMMAND_SESSION: "Opens or closes a session; only where `mqtt.commands` is set. "
    "Refusals are reported on `command/rejected`.",
    Topics.COMMAND_MARKER: "Sets a marker in the open session; only where `mqtt.commands` is set.",
    Topics.COMMAND_CAPTURE: "Turns the camera on or off; only where `mqtt.commands` is set.",
    Topics.TIMELINE: "Where `fleet.enabled` is set: after each commit, the rows that it changed. "
    "The payload is no JSON: the map is CBOR, compressed with zlib.",
    Topics.TIMELINE_CONFIRMED: "Published by the collector once its database has committed. What "
    "is not confirmed is sent again.",
}
"""When a message is sent, or what it does."""
_READING = {
    "schema": 1,
    "kind": "heart_rate",
    "value": 72,
    "unit": "/min",
    "at": "2026-11-20T08:12:10.250Z",
    "source": "watch",
    "flags": [],
    "device_time": None,
    "error": None,
    "id": "a-16",
}
_LAB = Device("lab", root="affect-edge", prefix="homeassistant", version="0.1.0")


@dataclass(frozen=True, slots=True)
class TopicChannel:
    """One topic: its payload, how it is sent, and when.

    Attributes:
        suffix: the topic without root and device.
        payload: the model of its messages.
        qos: quality of service, 0 or 1.
        retain: whether the broker keeps the newest message.
        when: when a message is sent, one sentence.
        example: a message as JSON.
        action: what the appliance does: ``send`` or ``receive``.
        address: the whole topic, where it does not begin with root and device.
    """

    suffix: str
    payload: type[BaseModel]
    qos: int
    retain: bool
    when: str
    example: dict[str, Any]
    action: Literal["send", "receive"] = "send"
    address: str = ""

    @property
    def key(self) -> str:
        """Name of the channel in the document, where no slash is allowed."""
        return self.suffix.replace("/", "_")


def _channel_of(
    action: Literal["send", "receive"],
    suffix: str,
    payload: type[BaseModel],
    qos: int,
    retain: bool,
) -> TopicChannel:
    """Return the channel of a topic; its example is the first one of the payload model."""
    schema = payload.model_config["json_schema_extra"]
    assert isinstance(schema, dict)
    examples = cast("list[dict[str, Any]]", schema["examples"])
    return TopicChannel(suffix, payload, qos, retain, _WHEN[suffix], examples[0], action)


CHANNELS = (
    _channel_of("send", Topics.STATUS, payloads.StatusPayload, 1, True),
    _channel_of("send", Topics.SUMMARY, payloads.SummaryPayload, 1, False),
    _channel_of("send", Topics.EMOTION, payloads.EmotionPayload, 0, True),
    _channel_of("send", Topics.VITALS, payloads.VitalPayload, 0, False),
    _channel_of("send", Topics.MOVEMENTS, payloads.MovementsPayload, 0, False),
    _channel_of("send", Topics.HEALTH, HealthPayload, 0, True),
    _channel_of("send", Topics.ALERTS, payloads.AlertsPayload, 0, True),
    _channel_of("send", Topics.STATE, payloads.StatePayload, 0, False),
    _channel_of("send", Topics.REJECTED, incoming.RejectedPayload, 0, False),
    _channel_of("send", Topics.COMMAND_REJECTED, incoming.CommandRejectedPayload, 0, False),
    _channel_of("send", Topics.SESSION, payloads.SessionPayload, 1, False),
)
INGEST = TopicChannel(
    Topics.INGEST, GivenReading, 1, False, _WHEN[Topics.INGEST], _READING, "receive"
)
COMMANDS = (
    _channel_of("receive", Topics.COMMAND_SESSION, incoming.SessionCommand, 1, False),
    _channel_of("receive", Topics.COMMAND_MARKER, incoming.MarkerCommand, 1, False),
    _channel_of("receive", Topics.COMMAND_CAPTURE, incoming.CaptureCommand, 1, False),
)
FLEET = (
    _channel_of("send", Topics.TIMELINE, payloads.TimelinePayload, 1, False),
    _channel_of("receive", Topics.TIMELINE_CONFIRMED, payloads.Confirmation, 1, True),
)
DISCOVERY = TopicChannel(
    "home_assistant",
    DiscoveryPayload,
    1,
    True,
    "Where `mqtt.home_assistant` is set: on connecting, and when Home Assistant says `online` on "
    "`homeassistant/status`. An empty message removes it.",
    json.loads(discovery_payload(_LAB).encode()),
    address="homeassistant/device/{root}-{device}/config",
)


def document() -> dict[str, Any]:
    """Return the AsyncAPI document as a JSON value."""
    channels = (*CHANNELS, INGEST, *COMMANDS, *FLEET, DISCOVERY)
    _, definitions = models_json_schema(
        # Two schemas of one model: a field with a default may be missing in received messages, but
        # never in ours.
        [(c.payload, "serialization" if c.action == "send" else "validation") for c in channels],
        ref_template="#/components/schemas/{model}",
    )
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Affect Edge",
            "version": API_VERSION,
            "description": (
                "What an Affect Edge appliance publishes and accepts over MQTT 3.1.1 or 5. "
                "Messages at QoS 1 arrive at least once: a reader that counts them remembers "
                "the highest `seq` of a topic and ignores messages that are not higher."
            ),
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "broker": {
                "host": "127.0.0.1:1883",
                "protocol": "mqtt",
                "description": "Your own broker; see mqtt.host",
            }
        },
        "channels": {channel.key: _channel(channel) for channel in channels},
        "operations": {
            f"{channel.action}_{channel.key}": _operation(channel) for channel in channels
        },
        "components": {
            "messages": {channel.key: _message(channel) for channel in channels},
            "schemas": definitions["$defs"],
        },
    }


def _channel(channel: TopicChannel) -> dict[str, Any]:
    return {
        "address": channel.address or f"{{root}}/{{device}}/{channel.suffix}",
        "description": channel.when,
        "parameters": {
            "root": {"default": "affect-edge", "description": "Setting mqtt.root"},
            "device": {"default": "affect-edge", "description": "Setting device.name"},
        },
        "messages": {channel.key: {"$ref": f"#/components/messages/{channel.key}"}},
    }


def _operation(channel: TopicChannel) -> dict[str, Any]:
    return {
        "action": channel.action,
        "channel": {"$ref": f"#/channels/{channel.key}"},
        "messages": [{"$ref": f"#/channels/{channel.key}/messages/{channel.key}"}],
        # AsyncAPI's binding for MQTT; a missing version means the newest one, which may differ.
        "bindings": {
            "mqtt": {"qos": channel.qos, "retain": channel.retain, "bindingVersion": "0.2.0"}
        },
    }


def _message(channel: TopicChannel) -> dict[str, Any]:
    schema: dict[str, Any] = {"$ref": f"#/components/schemas/{channel.payload.__name__}"}
    if channel is INGEST:
        schema = {
            "oneOf": [
                schema,
                {"type": "array", "items": schema, "minItems": 1, "maxItems": MAX_READINGS},
            ]
        }
    packed = {"contentType": "application/cbor"} if channel.suffix == Topics.TIMELINE else {}
    return {
        "name": channel.suffix,
        **packed,
        "summary": (channel.payload.__doc__ or "").splitlines()[0],
        "payload": schema,
        "examples": [{"payload": channel.example}],
    }


def as_text() -> str:
    """Return the document as JSON."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Print the document."""
    sys.stdout.write(as_text())


if __name__ == "__main__":
    main()
