"""Payloads of commands from outside, and of the answers to what was refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import ConfigDict, Field

from edge_agent.core.clock import iso_utc
from edge_agent.core.errors import ReadingError
from edge_agent.core.study import MarkerKind, Purpose, SessionSetting
from edge_agent.mqtt.payloads.base import Part, Payload, Time

REFUSALS_SHOWN = 20
"""Refused readings named in one report: a message may hold a thousand."""


class RefusedReading(Part):
    """A refused reading, and why."""

    index: int | None = Field(
        ge=0, description="Its position in the list, from 0; null: the whole message"
    )
    id: str | int | None = Field(
        description="The `id` its sender gave it; null: none, or none that could be used"
    )
    field: str = Field(description="The field that is wrong")
    reason: str = Field(description="Field, value, and what is allowed")


class RejectedPayload(Payload):
    """Readings received over MQTT that were refused."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "schema": 1,
                    "at": "2026-11-20T08:12:10.250Z",
                    "digest": "9f86d081884c7d65",
                    "taken": 1,
                    "refused": 1,
                    "readings": [
                        {
                            "index": 1,
                            "id": "a-17",
                            "field": "unit",
                            "reason": "unit: 'psi' is no unit of systolic. Allowed: mm[hg], "
                            "mmhg, kpa, or empty for mm[Hg].",
                        }
                    ],
                }
            ]
        }
    )

    at: Time
    digest: str = Field(
        description="First 16 hexadecimal digits of the SHA-256 of the message that was refused"
    )
    taken: int = Field(ge=0, description="Readings of the same message that were accepted")
    refused: int = Field(ge=1, description="Readings of the message that were refused")
    readings: list[RefusedReading] = Field(
        max_length=REFUSALS_SHOWN, description="The first twenty refused readings"
    )


class SessionCommand(Part):
    """Opens or closes a session, now."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "action": "start",
                    "participant": "P007",
                    "purpose": "research",
                    "setting": "laboratory",
                    "name": "three films",
                }
            ]
        }
    )

    action: Literal["start", "end"]
    participant: str | None = Field(
        None, max_length=32, description="start: code of somebody who has consented"
    )
    purpose: Purpose | None = Field(None, description="start: why it is recorded")
    setting: SessionSetting = Field(SessionSetting.OTHER, description="start: where it takes place")
    name: str = Field("", max_length=80, description="start: name of the session")


class MarkerCommand(Part):
    """Sets a marker in the open session: now, or when the sender's clock says."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "stimulus_start", "label": "anger"}]}
    )

    kind: MarkerKind
    label: str = Field(
        "", max_length=80, description="Condition or note; may be empty for stimulus_end, baseline"
    )
    sent_ms: float | None = Field(
        None,
        allow_inf_nan=False,
        description="When it happened, by the sender's own clock, milliseconds since whenever it "
        "likes: the way of the message is taken off by it; null: when it arrives",
    )
    sender: str = Field(
        "",
        max_length=80,
        description="Whose clock that is; programs with clocks of their own differ",
    )


class CaptureCommand(Part):
    """Turns the camera on or off; it stays so after a restart."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"action": "off"}]})

    action: Literal["on", "off"]


class CommandRejectedPayload(Payload):
    """A command that was refused."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "schema": 1,
                    "at": "2026-11-20T08:12:10.250Z",
                    "topic": "command/marker",
                    "digest": "9f86d081884c7d65",
                    "reason": "No session is open. Start one first.",
                }
            ]
        }
    )

    at: Time
    topic: str = Field(description="command/session, command/marker or command/capture")
    digest: str = Field(description="First 16 hexadecimal digits of the SHA-256 of the message")
    reason: str = Field(description="Why, and what to do")


def rejected_payload(
    wall_ms: int,
    digest: str,
    taken: int,
    refused: Sequence[tuple[int | None, str | int | None, ReadingError]],
) -> RejectedPayload:
    """Return the report of a message with refused readings.

    Args:
        wall_ms: when it was refused, UTC milliseconds since 1970.
        digest: of the message, as in `RejectedPayload`.
        taken: how many of its readings were accepted.
        refused: position in the message, id and error of each refused reading.
    """
    return RejectedPayload(
        at=iso_utc(wall_ms),
        digest=digest,
        taken=taken,
        refused=len(refused),
        readings=[
            RefusedReading(index=index, id=name, field=error.field, reason=str(error))
            for index, name, error in refused[:REFUSALS_SHOWN]
        ],
    )
