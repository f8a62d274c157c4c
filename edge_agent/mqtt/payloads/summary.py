"""The payload of a summary: one window of the timeline."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from edge_agent.core.expression import Emotion, RejectReason
from edge_agent.core.vitals import VitalKind
from edge_agent.mqtt.payloads.base import Epoch, Label, Part, Payload, Share, Time


class Window(Part):
    """The interval that a summary covers."""

    start: Time
    end: Time
    seconds: float = Field(ge=0, description="Length by a clock that is never set")


class VitalSummary(Part):
    """One kind of reading over the window.

    Readings in doubt, and estimated ones, are only counted.
    """

    mean: float
    min: float
    max: float
    n: int = Field(ge=1, description="Readings that mean, min and max are taken over")
    flagged: int = Field(
        ge=0, description="Readings left out: in doubt (range, contact, clock), or only estimated"
    )
    unit: str = Field(description="UCUM unit")
    simulated: bool


class SummaryPayload(Payload):
    """One window of the timeline."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "schema": 1,
                    "device": "affect-edge",
                    "seq": 4711,
                    "epoch": "3f9c1e60b75a2d84",
                    "replayed": False,
                    "window": {
                        "start": "2026-11-20T08:12:00.250Z",
                        "end": "2026-11-20T08:12:10.250Z",
                        "seconds": 10.0,
                    },
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
                }
            ]
        }
    )

    device: str
    seq: int = Field(
        ge=1,
        description="Rises by one with each window; an equal number is a repeated summary, a "
        "missing one a lost summary",
    )
    epoch: Epoch
    replayed: bool = Field(description="Whether it comes late, because the broker was away")
    window: Window
    frames: int = Field(ge=0, description="Frames read in the window")
    frames_with_face: int = Field(
        ge=0, description="Of these, frames in which the primary face was seen"
    )
    unfit: dict[RejectReason, int] = Field(
        default_factory=dict,
        description="Of these, rejected frames (the face could not be read) by reason; in no mean",
    )
    emotions: dict[Emotion, Share] | None = Field(
        description="Mean smoothed probability of each category over the frames that could be "
        "read; null: none could"
    )
    dominant: Label | None = Field(description="The most frequent label; null: no frame at all")
    shares: dict[Label, Share] | None = Field(
        description="Share of frames with each label; null: no frame at all"
    )
    valence: float | None = Field(
        ge=-1, le=1, description="Mean; derived from the probabilities, not measured"
    )
    vitals: dict[VitalKind, VitalSummary]
    simulated: bool = Field(description="Whether any part is simulated")
