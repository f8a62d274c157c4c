"""The payload of what is known now, for programs that show values: ``null`` is not known."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from edge_agent.core.readings import VitalFlag
from edge_agent.core.vitals import VitalKind
from edge_agent.mqtt.payloads.base import Label, Part, Payload, Time


class VitalNow(Part):
    """The newest usable reading of one kind."""

    value: float = Field(description="In the unit of the kind")
    unit: str = Field(description="UCUM unit, fixed by the kind")
    measured_at: Time
    source: str = Field(description="Where it comes from, as in the topic vitals")
    flags: list[VitalFlag] = Field(description="Notes such as manual or simulated")


class StatePayload(Payload):
    """What is known now."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "schema": 1,
                    "at": "2026-11-20T08:12:10.250Z",
                    "emotion": "happiness",
                    "shares": {
                        "neutral": 10.0,
                        "happiness": 65.0,
                        "surprise": 0.0,
                        "sadness": 0.0,
                        "anger": 0.0,
                        "disgust": 0.0,
                        "fear": 0.0,
                        "contempt": 0.0,
                        "uncertain": 5.0,
                        "no_face": 20.0,
                    },
                    "valence": 0.64,
                    "faces": 1,
                    "vitals": {
                        "heart_rate": {
                            "value": 72.0,
                            "unit": "/min",
                            "measured_at": "2026-11-20T08:12:09.870Z",
                            "source": "simulated",
                            "flags": ["simulated"],
                        },
                        "systolic": None,
                    },
                    "capture": True,
                    "camera": True,
                    "recording": True,
                    "session": False,
                    "frames_per_second": 14.9,
                    "temperature_celsius": 52.1,
                    "alarms": {},
                    "simulated": True,
                }
            ]
        }
    )

    at: Time
    emotion: Label | None = Field(
        description="Smoothed emotion of the primary face; null: the camera gives no pictures"
    )
    shares: dict[Label, float] | None = Field(
        description="Per cent of the frames of the last summary window with each label; null: it "
        "had no frame"
    )
    valence: float | None = Field(
        ge=-1, le=1, description="Derived from the probabilities, not measured; null: no face"
    )
    faces: int | None = Field(ge=0, description="Faces in the newest frame; null: no pictures")
    vitals: dict[VitalKind, VitalNow | None] = Field(
        description="The newest reading of each kind; null: none is recent enough, or it was in "
        "doubt. A strap's is recent for ten seconds, one of a single measurement for an hour"
    )
    capture: bool = Field(description="Whether the camera is switched on, by `command/capture`")
    camera: bool = Field(description="Whether the camera gives pictures")
    recording: bool = Field(description="Whether what is seen is written to the timeline")
    session: bool | None = Field(description="Whether a session is open; null: not known")
    frames_per_second: float | None = Field(description="null: the camera is not meant to run")
    temperature_celsius: float | None = Field(description="Of the processor; null: no sensor")
    alarms: dict[str, str] | None = Field(
        description="Name → text of each, as in health; null: not known yet"
    )
    simulated: bool = Field(description="Whether the camera is a demonstration")
