"""Topic names and payloads: what is said over MQTT, as pydantic models.

A model is the contract of one topic. The AsyncAPI document is generated from them
(``edge_agent.mqtt.asyncapi``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, cast

from pydantic import BaseModel, ConfigDict, Field

from edge_agent.core.clock import iso_utc
from edge_agent.core.errors import ReadingError
from edge_agent.core.expression import Emotion, Flaw, Observation, Recognition
from edge_agent.core.sensors import SensorKind
from edge_agent.core.study import MarkerKind, Purpose, Setting
from edge_agent.core.vitals import VitalFlag, VitalKind, VitalReading

Time = Annotated[
    str,
    Field(
        pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$",
        description="UTC, ISO 8601 with milliseconds",
        json_schema_extra={"format": "date-time"},
    ),
]
Share = Annotated[float, Field(ge=0, le=1)]
Label = Literal[
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
    "uncertain",
    "no_face",
]


REFUSALS_SHOWN = 20


class Topics:
    """The topics of one appliance: ``<root>/<device>/<suffix>``.

    Args:
        root: first part, such as ``affect-edge``.
        device: name of the appliance.
    """

    STATUS = "status"
    SUMMARY = "summary"
    EMOTION = "emotion"
    VITALS = "vitals"
    HEALTH = "health"
    SESSION = "session"
    INGEST = "ingest/vitals"
    REJECTED = "ingest/rejected"
    COMMAND_SESSION = "command/session"
    COMMAND_MARKER = "command/marker"
    COMMAND_REJECTED = "command/rejected"

    def __init__(self, root: str, device: str) -> None:
        self.base = f"{root}/{device}"

    def full(self, suffix: str) -> str:
        """Return the whole topic of a suffix."""
        return f"{self.base}/{suffix}"


class Payload(BaseModel):
    """What every payload has; unknown keys are refused."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        populate_by_name=True,
        json_schema_serialization_defaults_required=True,
    )

    schema_version: Literal[1] = Field(
        1, alias="schema", description="Version of this payload's form"
    )

    def encode(self) -> bytes:
        """Return the payload as compact JSON in UTF-8."""
        return self.model_dump_json(by_alias=True).encode()


class Part(BaseModel):
    """A table inside a payload."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class StatusPayload(Payload):
    """Whether the appliance is reachable; the last will says offline without a time."""

    state: Literal["online", "offline"] = Field(description="online from connecting to stopping")
    at: Time | None = Field(
        description="When it changed; null in the last will, which is written beforehand"
    )


class EmotionPayload(Payload):
    """The smoothed emotion of the primary face, sent when it changes."""

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

    at: Time
    kind: VitalKind
    value: float = Field(description="In the unit given")
    unit: str = Field(description="UCUM unit, fixed by the kind")
    source: str = Field(description="Who said it, such as simulated or ble:AA:BB:CC:DD:EE:FF")
    flags: list[VitalFlag] = Field(description="What is special about it")


class RefusedReading(Part):
    """A reading that was not taken, and why."""

    index: int | None = Field(
        ge=0, description="Its place in the list; null: the message as a whole"
    )
    id: str | int | None = Field(
        description="What its sender calls it; null: it said none that could be used"
    )
    field: str = Field(description="Which part is wrong")
    reason: str = Field(description="Field, value, and what is allowed")


class RejectedPayload(Payload):
    """Readings handed in over MQTT that were not taken."""

    at: Time
    digest: str = Field(
        description="First 16 hexadecimal digits of the SHA-256 of the message that was refused"
    )
    taken: int = Field(ge=0, description="Readings of the same message that were taken")
    refused: int = Field(ge=1, description="Readings that were not")
    readings: list[RefusedReading] = Field(
        max_length=REFUSALS_SHOWN, description="The first twenty of these"
    )


class SessionCommand(Part):
    """Opens or closes a session, now."""

    action: Literal["start", "end"]
    participant: str | None = Field(
        None, max_length=32, description="start: code of somebody who has consented"
    )
    purpose: Purpose | None = Field(None, description="start: why it is recorded")
    setting: Setting = Field(Setting.OTHER, description="start: where it takes place")
    name: str = Field("", max_length=80, description="start: what to call it")


class MarkerCommand(Part):
    """Sets a marker in the open session, now."""

    kind: MarkerKind
    label: str = Field(
        "", max_length=80, description="Condition or note; may be empty for stimulus_end, baseline"
    )


class CommandRejectedPayload(Payload):
    """A command that was not obeyed."""

    at: Time
    topic: str = Field(description="command/session or command/marker")
    digest: str = Field(description="First 16 hexadecimal digits of the SHA-256 of the message")
    reason: str = Field(description="Why, and what to do")


class Window(Part):
    """The interval that a summary covers."""

    start: Time
    end: Time
    seconds: float = Field(ge=0, description="Length by a clock that never jumps")


class VitalSummary(Part):
    """One kind of reading over the window.

    Readings out of range or without contact are only counted.
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

    device: str
    seq: int = Field(
        ge=1, description="Rises by one from summary to summary; a repeated number is a repetition"
    )
    replayed: bool = Field(description="Whether it comes late, after the broker was away")
    window: Window
    frames: int = Field(ge=0, description="Frames read in the window")
    frames_with_face: int = Field(
        ge=0, description="Of these, frames in which the primary face was seen"
    )
    unfit: dict[Flaw, int] = Field(
        default_factory=dict,
        description="Of these, frames whose face could not be read, by reason; in no mean",
    )
    emotions: dict[Emotion, Share] | None = Field(
        description="Mean smoothed probability of each category over the frames that could be "
        "read; null: none could"
    )
    dominant: Label | None = Field(
        description="The label of the most frames; null: no frame at all"
    )
    shares: dict[Label, Share] | None = Field(
        description="Share of frames with each label; null: no frame at all"
    )
    valence: float | None = Field(
        ge=-1, le=1, description="Mean; derived from the probabilities, not measured"
    )
    vitals: dict[VitalKind, VitalSummary]
    simulated: bool = Field(description="Whether any part comes from a demonstration")


class SessionMarker(Part):
    """A marker set in a session."""

    kind: str = Field(description="stimulus_start, stimulus_end, baseline or note")
    label: str = Field(description="The condition that a stimulus opens or closes, or the note")


class SessionPayload(Payload):
    """A session started or ended, or a marker was set."""

    seq: int = Field(
        ge=1, description="Rises by one from message to message; a repeated number is a repetition"
    )
    replayed: bool = Field(description="Whether it comes late, after the broker was away")
    event: Literal["started", "ended", "marker"]
    session: int = Field(description="Number of the session on this appliance")
    participant: str = Field(description="Pseudonymous code")
    purpose: str
    name: str
    at: Time
    marker: SessionMarker | None


class Disk(Part):
    """The disk that holds the database."""

    free_bytes: int = Field(ge=0)
    free_percent: float = Field(ge=0, le=100)


class Memory(Part):
    """Memory of the agent and of the machine."""

    process_bytes: int = Field(ge=0, description="Resident memory of the agent")
    available_bytes: int = Field(ge=0, description="Memory that programs could still take")


class Throttling(Part):
    """What the Raspberry Pi's firmware says about power and heat, now and since its start."""

    under_voltage: bool
    frequency_capped: bool
    throttled: bool
    soft_temperature_limit: bool
    under_voltage_since_start: bool
    throttled_since_start: bool


class CameraHealth(Part):
    """How frames flow."""

    fps: float | None = Field(
        description="Frames read each second; null: the camera is not meant to run"
    )
    frame_age_seconds: float | None = Field(
        description="Age of the newest frame; null: none expected or none yet"
    )
    frames_dropped: int = Field(
        ge=0, description="Frames passed over because a newer one was there"
    )
    fps_limit: float | None = Field(
        ge=0, description="Frames read each second at the most; null: all are read"
    )
    limited_by: Literal["budget", "heat"] | None = Field(
        description="Why: vision.cpu_budget, or the temperature of the processor; null: not limited"
    )


class RecorderHealth(Part):
    """How rows reach the disk."""

    queue_depth: int = Field(ge=0, description="Items waiting to be written")
    rows_dropped: int = Field(ge=0, description="Rows lost because they could not be written")
    last_commit_age_seconds: float | None = Field(description="null: nothing was written yet")
    duplicates: int = Field(
        ge=0, description="Readings that were there already and were not written again"
    )


class MqttHealth(Part):
    """How messages reach the broker."""

    state: str
    outbox: int = Field(ge=0, description="Messages that the broker has not acknowledged")
    readings_taken: int = Field(ge=0, description="Readings that other devices handed in over MQTT")
    readings_refused: int = Field(
        ge=0, description="Readings of theirs that could not be understood"
    )


class SensorHealth(Part):
    """How things stand with a Bluetooth sensor."""

    source: str = Field(description="As in its readings")
    kind: SensorKind = Field(description="What it measures")
    connected: bool
    battery_percent: int | None = Field(ge=0, le=100, description="null: it never told")
    contact: bool | None = Field(
        description="Whether it touches the skin; null: not connected, or it cannot tell"
    )
    reason: str | None = Field(
        description="Why it could not be connected, a short word; null: it was"
    )


class Alarm(Part):
    """Something a person should look at."""

    name: str = Field(description="Short and stable, for programs")
    text: str = Field(description="What is wrong and what to do about it, for people")


class HealthPayload(Payload):
    """How the appliance is, every minute and when an alarm comes or goes."""

    at: Time
    device: str
    version: str
    uptime_seconds: float = Field(ge=0, description="Since the agent started")
    temperature_celsius: float | None = Field(description="Of the processor; null: no sensor")
    throttling: Throttling | None = Field(description="null: not a Raspberry Pi")
    cpu_percent: float = Field(ge=0, description="Of the agent, 100 for one core")
    load_1_minute: float = Field(ge=0)
    disk: Disk | None = Field(description="null: the data folder is gone")
    memory: Memory
    camera: CameraHealth
    recorder: RecorderHealth
    mqtt: MqttHealth
    sensors: list[SensorHealth] = Field(
        description="Bluetooth straps and cuffs that are configured"
    )
    clock_synchronised: bool
    alarms: list[Alarm]


def status_payload(state: Literal["online", "offline"], wall_ms: int | None) -> StatusPayload:
    """Return a status; without a time it is the last will."""
    return StatusPayload(state=state, at=None if wall_ms is None else iso_utc(wall_ms))


def emotion_payload(recognition: Recognition, *, simulated: bool) -> EmotionPayload:
    """Return what to say about the primary face of one frame.

    One that is missed for a moment keeps its state.
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
    """Return what to say about one reading."""
    return VitalPayload(
        at=iso_utc(reading.at.wall_ms),
        kind=reading.kind,
        value=reading.value,
        unit=reading.kind.unit,
        source=reading.source,
        flags=sorted(reading.flags),
    )


def rejected_payload(
    wall_ms: int,
    digest: str,
    taken: int,
    refused: Sequence[tuple[int | None, str | int | None, ReadingError]],
) -> RejectedPayload:
    """Return what to say about the readings of a message that were not taken: place, name of their
    sender's, reason.
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
