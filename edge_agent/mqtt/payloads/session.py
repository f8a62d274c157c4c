"""The payload of a session that starts or ends, and of its markers."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from edge_agent.mqtt.payloads.base import Epoch, Part, Payload, Time


class SessionMarker(Part):
    """A marker set in a session."""

    kind: str = Field(description="stimulus_start, stimulus_end, baseline or note")
    label: str = Field(description="The condition that a stimulus opens or closes, or the note")


class SessionPayload(Payload):
    """A session started or ended, or a marker was set."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "schema": 1,
                    "seq": 17,
                    "epoch": "3f9c1e60b75a2d84",
                    "replayed": False,
                    "event": "marker",
                    "session": 5,
                    "participant": "P007",
                    "purpose": "research",
                    "name": "three films",
                    "at": "2026-11-20T08:12:10.250Z",
                    "marker": {"kind": "stimulus_start", "label": "anger"},
                }
            ]
        }
    )

    seq: int = Field(
        ge=1,
        description="Rises by one with each message; an equal number is a repeated message",
    )
    epoch: Epoch
    replayed: bool = Field(description="Whether it comes late, because the broker was away")
    event: Literal["started", "ended", "marker"]
    session: int = Field(description="Number of the session on this appliance")
    participant: str = Field(description="Pseudonymous code")
    purpose: str
    name: str
    at: Time
    marker: SessionMarker | None
