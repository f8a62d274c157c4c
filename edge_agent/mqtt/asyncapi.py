"""The AsyncAPI 3 document of what the appliance publishes, generated from the payload models.

``python -m edge_agent.mqtt.asyncapi > docs/asyncapi.json`` writes it anew after a model has
changed.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from edge_agent.core.readings import MAX_READINGS, GivenReading
from edge_agent.mqtt.topics import (
    CommandRejectedPayload,
    EmotionPayload,
    HealthPayload,
    MarkerCommand,
    RejectedPayload,
    SessionCommand,
    SessionPayload,
    StatusPayload,
    SummaryPayload,
    Topics,
    VitalPayload,
)

API_VERSION = "1.0.0"


@dataclass(frozen=True, slots=True)
class Channel:
    """One topic: its payload, how it is sent, and when."""

    suffix: str
    payload: type[BaseModel]
    qos: int
    retain: bool
    when: str
    example: dict[str, Any]
    action: Literal["send", "receive"] = "send"

    @property
    def key(self) -> str:
        """Its name in the document, where no slash is allowed."""
        return self.suffix.replace("/", "_")


_TIME = "2026-11-20T08:12:10.250Z"

CHANNELS: tuple[Channel, ...] = (
    Channel(
        Topics.STATUS,
        StatusPayload,
        1,
        True,
        "On connecting and on stopping; the broker says offline in the appliance's name when the "
        "connection breaks.",
        {"schema": 1, "state": "online", "at": _TIME},
    ),
    Channel(
        Topics.SUMMARY,
        SummaryPayload,
        1,
        False,
        "Once a window (10 seconds unless configured otherwise), through the outbox: none is lost "
        "while the broker is away, up to the outbox's bound.",
        {
            "schema": 1,
            "device": "affect-edge",
            "seq": 4711,
            "replayed": False,
            "window": {"start": "2026-11-20T08:12:00.250Z", "end": _TIME, "seconds": 10.0},
            "frames": 150,
            "frames_with_face": 120,
            "unfit": {"turned_away": 6, "too_dark": 2},
            "emotions": {
                "neutral": 0.21,
                "happiness": 0.7,
                "surprise": 0.03,
                "sadness": 0.02,
                "anger": 0.01,
                "disgust": 0.01,
                "fear": 0.01,
                "contempt": 0.01,
            },
            "dominant": "happiness",
            "shares": {
                "neutral": 0.1,
                "happiness": 0.65,
                "surprise": 0.0,
                "sadness": 0.0,
                "anger": 0.0,
                "disgust": 0.0,
                "fear": 0.0,
                "contempt": 0.0,
                "uncertain": 0.05,
                "no_face": 0.2,
            },
            "valence": 0.64,
            "vitals": {
                "heart_rate": {
                    "mean": 72.4,
                    "min": 71.0,
                    "max": 74.0,
                    "n": 10,
                    "flagged": 0,
                    "unit": "/min",
                    "simulated": False,
                }
            },
            "simulated": False,
        },
    ),
    Channel(
        Topics.EMOTION,
        EmotionPayload,
        0,
        True,
        "When the smoothed emotion of the primary face changes.",
        {
            "schema": 1,
            "at": _TIME,
            "emotion": "happiness",
            "probability": 0.91,
            "track": 3,
            "valence": 0.88,
            "simulated": False,
        },
    ),
    Channel(
        Topics.VITALS,
        VitalPayload,
        0,
        False,
        "When a reading comes; none is sent late.",
        {
            "schema": 1,
            "at": _TIME,
            "kind": "systolic",
            "value": 121.0,
            "unit": "mm[Hg]",
            "source": "simulated",
            "flags": ["simulated"],
        },
    ),
    Channel(
        Topics.HEALTH,
        HealthPayload,
        0,
        True,
        "Every minute, and when an alarm comes or goes.",
        {
            "schema": 1,
            "at": _TIME,
            "device": "affect-edge",
            "version": "0.1.0",
            "uptime_seconds": 86400.0,
            "temperature_celsius": 52.1,
            "throttling": None,
            "cpu_percent": 38.5,
            "load_1_minute": 0.7,
            "disk": {"free_bytes": 21474836480, "free_percent": 71.5},
            "memory": {"process_bytes": 121634816, "available_bytes": 3221225472},
            "camera": {
                "fps": 14.9,
                "frame_age_seconds": 0.06,
                "frames_dropped": 12,
                "fps_limit": None,
                "limited_by": None,
            },
            "recorder": {
                "queue_depth": 4,
                "rows_dropped": 0,
                "last_commit_age_seconds": 3.2,
                "duplicates": 0,
            },
            "mqtt": {"state": "connected", "outbox": 0, "readings_taken": 0, "readings_refused": 0},
            "sensors": [
                {
                    "source": "ble:A0:9E:1A:00:00:01",
                    "kind": "heart_rate",
                    "connected": True,
                    "battery_percent": 87,
                    "contact": True,
                    "reason": None,
                }
            ],
            "clock_synchronised": True,
            "alarms": [
                {
                    "name": "hot",
                    "text": "The processor has 79 °C and will slow down. Give it air "
                    "or a heat sink.",
                }
            ],
        },
    ),
    Channel(
        Topics.REJECTED,
        RejectedPayload,
        0,
        False,
        "When readings of a message on `ingest/vitals` could not be understood.",
        {
            "schema": 1,
            "at": _TIME,
            "digest": "9f86d081884c7d65",
            "taken": 1,
            "refused": 1,
            "readings": [
                {
                    "index": 1,
                    "id": "a-17",
                    "field": "unit",
                    "reason": "unit: 'psi' is no unit of systolic. Allowed: mm[hg], mmhg, kpa, or "
                    "empty for mm[Hg].",
                }
            ],
        },
    ),
    Channel(
        Topics.COMMAND_REJECTED,
        CommandRejectedPayload,
        0,
        False,
        "When a command on `command/session` or `command/marker` was not obeyed.",
        {
            "schema": 1,
            "at": _TIME,
            "topic": "command/marker",
            "digest": "9f86d081884c7d65",
            "reason": "No session is open. Start one first.",
        },
    ),
    Channel(
        Topics.SESSION,
        SessionPayload,
        1,
        False,
        "When a session starts or ends and when a marker is set, through the outbox.",
        {
            "schema": 1,
            "seq": 17,
            "replayed": False,
            "event": "marker",
            "session": 5,
            "participant": "P007",
            "purpose": "research",
            "name": "three films",
            "at": _TIME,
            "marker": {"kind": "stimulus_start", "label": "anger"},
        },
    ),
)


INGEST = Channel(
    Topics.INGEST,
    GivenReading,
    1,
    False,
    "Readings of other devices, one object or a list of up to 1000; only where "
    "`vitals.mqtt.enabled` is set. What cannot be understood is answered on `ingest/rejected`.",
    {
        "schema": 1,
        "kind": "heart_rate",
        "value": 72,
        "unit": "/min",
        "at": _TIME,
        "source": "watch",
        "flags": [],
        "device_time": None,
        "id": "a-16",
    },
    "receive",
)


COMMANDS = (
    Channel(
        Topics.COMMAND_SESSION,
        SessionCommand,
        1,
        False,
        "Opens or closes a session; only where `mqtt.commands` is set. Refusals are answered on "
        "`command/rejected`.",
        {
            "action": "start",
            "participant": "P007",
            "purpose": "research",
            "setting": "laboratory",
            "name": "three films",
        },
        "receive",
    ),
    Channel(
        Topics.COMMAND_MARKER,
        MarkerCommand,
        1,
        False,
        "Sets a marker in the open session; only where `mqtt.commands` is set.",
        {"kind": "stimulus_start", "label": "anger"},
        "receive",
    ),
)


def document() -> dict[str, Any]:
    """Return the document, ready to be written as JSON."""
    channels = (*CHANNELS, INGEST, *COMMANDS)
    _, definitions = models_json_schema(
        [(c.payload, "serialization" if c.action == "send" else "validation") for c in channels],
        ref_template="#/components/schemas/{model}",
    )
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Affect Edge",
            "version": API_VERSION,
            "description": (
                "What an Affect Edge appliance says and hears over MQTT 3.1.1 or 5. Delivery at "
                "QoS 1 is at least once: a reader that counts remembers the highest `seq` of a "
                "topic and passes over what is not higher."
            ),
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "broker": {
                "host": "127.0.0.1:1883",
                "protocol": "mqtt",
                "description": "Yours; see mqtt.host",
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


def _channel(channel: Channel) -> dict[str, Any]:
    return {
        "address": f"{{root}}/{{device}}/{channel.suffix}",
        "description": channel.when,
        "parameters": {
            "root": {"default": "affect-edge", "description": "Setting mqtt.root"},
            "device": {"default": "affect-edge", "description": "Setting device.name"},
        },
        "messages": {channel.key: {"$ref": f"#/components/messages/{channel.key}"}},
    }


def _operation(channel: Channel) -> dict[str, Any]:
    return {
        "action": channel.action,
        "channel": {"$ref": f"#/channels/{channel.key}"},
        "messages": [{"$ref": f"#/channels/{channel.key}/messages/{channel.key}"}],
        "bindings": {
            "mqtt": {"qos": channel.qos, "retain": channel.retain, "bindingVersion": "0.2.0"}
        },
    }


def _message(channel: Channel) -> dict[str, Any]:
    schema: dict[str, Any] = {"$ref": f"#/components/schemas/{channel.payload.__name__}"}
    if channel is INGEST:
        schema = {
            "oneOf": [
                schema,
                {"type": "array", "items": schema, "minItems": 1, "maxItems": MAX_READINGS},
            ]
        }
    return {
        "name": channel.suffix,
        "summary": (channel.payload.__doc__ or "").splitlines()[0],
        "payload": schema,
        "examples": [{"payload": channel.example}],
    }


def main() -> None:
    """Print the document."""
    json.dump(document(), sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
