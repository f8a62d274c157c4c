"""Payloads of what happens now: connection, emotion and vitals."""

from __future__ import annotations

from typing import Literal, cast

from pydantic import ConfigDict, Field

from edge_agent.core.clock import iso_utc
from edge_agent.core.expression import Observation, Recognition
from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.mqtt.payloads.base import Label, Payload, Share, Time


class StatusPayload(Payload):
    """Whether the appliance is connected; the last will says offline, without a time."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"schema": 1, "state": "online", "at": "2026-11-20T08:12:10.250Z"}]
        }
    )

    state: Literal["online", "offline"] = Field(description="online from connecting to stopping")
    at: Time | None = Field(
        description="When it changed; null in the last will, which the broker gets in advance"
    )


class EmotionPayload(Payload):
    """The smoothed emotion of the primary face, sent when it changes."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "schema": 1,
                    "at": "2026-11-20T08:12:10.250Z",
                    "emotion": "happiness",
                    "probability": 0.91,
                    "track": 3,
                    "valence": 0.88,
                    "simulated": False,
                }
            ]
        }
    )

    at: Time
    emotion: Label = Field(
        description="Smoothed category, uncertain (none above the threshold) or no_face"
    )
    probability: Share | None = Field(
        description="Smoothed probability of the most probable category; null: no face now"
    )
    track: int | None = Field(
        description="Number of the track: a face followed over frames, never a person"
    )
    valence: float | None = Field(
        ge=-1, le=1, description="Derived from the probabilities, not measured"
    )
    simulated: bool = Field(description="Whether the camera is a demonstration")


class VitalPayload(Payload):
    """One physiological reading."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "schema": 1,
                    "at": "2026-11-20T08:12:10.250Z",
                    "kind": "systolic",
                    "value": 121.0,
                    "unit": "mm[Hg]",
                    "source": "simulated",
                    "flags": ["simulated"],
                }
            ]
        }
    )

    at: Time
    kind: VitalKind
    value: float = Field(description="In the unit given")
    unit: str = Field(description="UCUM unit, fixed by the kind")
    source: str = Field(
        description="Where it comes from, such as simulated or ble:AA:BB:CC:DD:EE:FF"
    )
    flags: list[VitalFlag] = Field(description="Doubts and notes, such as out_of_range or manual")


def status_payload(state: Literal["online", "offline"], wall_ms: int | None) -> StatusPayload:
    """Return a status; without a time it is the last will."""
    return StatusPayload(state=state, at=None if wall_ms is None else iso_utc(wall_ms))


def emotion_payload(recognition: Recognition, *, simulated: bool) -> EmotionPayload:
    """Return the payload of the primary face of one frame.

    A face that is missed for a moment keeps its state.
    """
    face: Observation | None = recognition.primary
    at = iso_utc(recognition.at.wall_ms)
    state = cast("Label", recognition.state)
    if face is None:
        return EmotionPayload(
            at=at, emotion=state, probability=None, track=None, valence=None, simulated=simulated
        )
    return EmotionPayload(
        at=at,
        emotion=state,
        probability=round(min(face.smoothed.confidence, 1.0), 4),
        track=face.track,
        valence=round(max(-1.0, min(1.0, face.smoothed.valence)), 4),
        simulated=simulated,
    )


def vital_payload(reading: VitalReading) -> VitalPayload:
    """Return the payload of one reading."""
    return VitalPayload(
        at=iso_utc(reading.at.wall_ms),
        kind=reading.kind,
        value=reading.value,
        unit=reading.kind.unit,
        source=reading.source,
        flags=sorted(reading.flags),
    )
