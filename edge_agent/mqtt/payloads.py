"""The topics of an appliance, and the payload of each message but health, discovery and commands.

In ``state``, for programs that show values, ``null`` is not known. No alert is a medical alarm.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, create_model

from edge_agent.core.clock import iso_utc
from edge_agent.core.expression import (
    EMOTIONS,
    FACE_STATES,
    Emotion,
    Observation,
    Recognition,
    RejectReason,
)
from edge_agent.core.given_sessions import message_session_fields
from edge_agent.core.measures import MovementKind
from edge_agent.core.movements import TURNED_AWAY_DEGREES, movements_as_json
from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.core.study import EXAMPLE, IN_MESSAGES
from edge_agent.core.vitals import VitalKind

EPOCH = "5f2c9a0d1e3b4c67"


_VARIABILITY = {
    "at": "2026-11-20T08:12:09.870Z",
    "source": "ble:A0:9E:1A:00:00:01",
    "share": 0.97,
    "beats": 341,
    "rmssd_ms": 41.8,
    "low_ms": 41.2,
    "high_ms": 42.1,
    "simulated": False,
}
_OF_FIVE_MINUTES = "Heart-rate variability of the last five minutes; null: no beats came in them"


class Topics:
    """The topics of one appliance: ``<root>/<device>/<suffix>``.

    Args:
        root: first part, such as ``affect-edge``.
        device: name of the appliance.
        off: suffixes of those on which nothing is published.

    Example:
        >>> Topics("affect-edge", "lab").full(Topics.SUMMARY)
        'affect-edge/lab/summary'
    """

    STATUS = "status"
    SUMMARY = "summary"
    EMOTION = "emotion"
    VITALS = "vitals"
    MOVEMENTS = "movements"
    HEALTH = "health"
    STATE = "state"
    ALERTS = "alerts"
    SESSION = "session"
    INGEST = "ingest/vitals"
    REJECTED = "ingest/rejected"
    COMMAND_SESSION = "command/session"
    COMMAND_MARKER = "command/marker"
    COMMAND_CAPTURE = "command/capture"
    COMMAND_REJECTED = "command/rejected"
    TIMELINE = "timeline"
    TIMELINE_CONFIRMED = "timeline/confirmed"

    RETAINED = frozenset({EMOTION, HEALTH, ALERTS})
    """Those of which the broker keeps the newest message, beside ``status``."""

    def __init__(self, root: str, device: str, off: Collection[str] = ()) -> None:
        self.base = f"{root}/{device}"
        self.off = frozenset(off)

    def full(self, suffix: str) -> str:
        """Return the whole topic of a suffix, such as ``summary``."""
        return f"{self.base}/{suffix}"


Time = Annotated[
    str,
    Field(
        pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$",
        description="UTC, ISO 8601 with milliseconds",
        json_schema_extra={"format": "date-time"},
    ),
]
Epoch = Annotated[
    str,
    Field(
        pattern=r"^[0-9a-f]{16}$",
        description="Which counting seq belongs to: in a new epoch, after a restore, seq begins "
        "anew",
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


def example(**fields: Any) -> ConfigDict:
    """Return the configuration of a model with this object as its documented example."""
    return ConfigDict(json_schema_extra={"examples": [fields]})


def message_example(**fields: Any) -> ConfigDict:
    """Return the configuration of a message, whose example begins with its version."""
    return example(schema=1, **fields)


class Payload(BaseModel):
    """Base class of all payloads: a version number; unknown keys are refused."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        populate_by_name=True,
        json_schema_serialization_defaults_required=True,
    )

    schema_version: Literal[1] = Field(
        1, alias="schema", description="Version of the payload's schema"
    )

    def encode(self) -> bytes:
        """Return the payload as compact JSON in UTF-8."""
        return self.model_dump_json(by_alias=True).encode()


class PayloadPart(BaseModel):
    """Base class of an object inside a payload."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class StatusPayload(Payload):
    """Whether the appliance is connected; the last will says offline, without a time."""

    model_config = message_example(state="online", at="2026-11-20T08:12:10.250Z")

    state: Literal["online", "offline"] = Field(description="online from connecting to stopping")
    at: Time | None = Field(
        description="When it changed; null in the last will, which the broker gets in advance"
    )


class EmotionPayload(Payload):
    """The smoothed emotion of the primary face, sent when it changes."""

    model_config = message_example(
        at="2026-11-20T08:12:10.250Z",
        emotion="happiness",
        probability=0.91,
        track=3,
        valence=0.88,
        simulated=False,
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


class HeadPose(PayloadPart):
    """Orientation of the head in the picture."""

    yaw: float = Field(description="Degrees; positive: turned to the picture's right")
    pitch: float = Field(description="Degrees; positive: turned down")
    roll: float = Field(description="Degrees; positive: tilted counterclockwise")


class Look(PayloadPart):
    """Direction of the eyes relative to the face."""

    look_x: float = Field(ge=-1, le=1, description="Positive: toward the person's left")
    look_y: float = Field(ge=-1, le=1, description="Positive: upward")


class MovementsPayload(Payload):
    """Smoothed movements of the primary face, pose of its head and look: estimates."""

    model_config = message_example(
        at="2026-11-20T08:12:10.250Z",
        track=3,
        movements={"brow_down": 0.02, "smile": 0.93, "jaw_open": 0.31},
        pose={"yaw": -12.3, "pitch": 4.1, "roll": 0.6},
        look={"look_x": -0.12, "look_y": 0.05},
        simulated=False,
    )

    at: Time
    track: int = Field(
        description="Number of the track: a face followed over frames, never a person"
    )
    movements: dict[MovementKind, Share] = Field(
        description="Strength of each movement that is read: 0 at rest … 1"
    )
    pose: HeadPose
    look: Look
    simulated: bool = Field(description="Whether the camera is a demonstration")


class VitalPayload(Payload):
    """One physiological reading."""

    model_config = message_example(
        at="2026-11-20T08:12:10.250Z",
        kind="systolic",
        value=121.0,
        unit="mm[Hg]",
        source="simulated",
        flags=["simulated"],
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
    probability = track = valence = None
    if face is not None:
        track = face.track
        probability = round(min(face.smoothed.confidence, 1.0), 4)
        valence = round(max(-1.0, min(1.0, face.smoothed.valence)), 4)
    return EmotionPayload(
        at=at,
        emotion=state,
        probability=probability,
        track=track,
        valence=valence,
        simulated=simulated,
    )


def movements_payload(recognition: Recognition, *, simulated: bool) -> MovementsPayload | None:
    """Return the payload of the primary face of one frame; ``None``: its movements are not read."""
    face = recognition.primary
    if face is None or face.smoothed_movements is None or face.smoothed_movements.only_pose:
        return None
    return MovementsPayload.model_validate(
        {
            "at": iso_utc(recognition.at.wall_ms),
            "track": face.track,
            "simulated": simulated,
            **movements_as_json(face.smoothed_movements),
        }
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


class MarkerInMessage(PayloadPart):
    """The marker of a message about a session."""

    kind: str = Field(description="stimulus_start, stimulus_end, baseline, note or declared")
    label: str = Field(description="The condition that a stimulus opens or closes, or the note")


class SessionEvent(Payload):
    """A session started or ended, or a marker was set."""

    model_config = message_example(
        seq=17,
        epoch="3f9c1e60b75a2d84",
        replayed=False,
        event="marker",
        session=5,
        **{one.name: getattr(EXAMPLE, one.name) for one in IN_MESSAGES},
        at="2026-11-20T08:12:10.250Z",
        marker={"kind": "stimulus_start", "label": "anger"},
    )

    seq: int = Field(
        ge=1, description="Rises by one with each message; an equal number is a repeated message"
    )
    epoch: Epoch
    replayed: bool = Field(description="Whether it comes late, because the broker was away")
    event: Literal["started", "ended", "marker"]
    session: int = Field(description="Number of the session on this appliance")
    at: Time
    marker: MarkerInMessage | None


SessionPayload = create_model(
    "SessionPayload",
    __base__=SessionEvent,
    __doc__=SessionEvent.__doc__,
    **message_session_fields(),
)
"""An event with what was said of its session."""


class VitalNow(PayloadPart):
    """The newest usable reading of one kind."""

    value: float = Field(description="In the unit of the kind, as it is stored")
    unit: str = Field(description="UCUM unit, fixed by the kind")
    measured_at: Time
    source: str = Field(description="Where it comes from, as in the topic vitals")
    flags: list[VitalFlag] = Field(description="Notes such as manual or simulated")


class VariabilityNow(PayloadPart):
    """Heart-rate variability of the last five minutes, of the source with most good beats."""

    at: Time = Field(description="End of the last interval")
    source: str = Field(description="Where the intervals come from, as in the topic vitals")
    share: Share = Field(description="Share of the five minutes that good beats fill")
    beats: int = Field(ge=0, description="Good intervals")
    rmssd_ms: float | None = Field(
        ge=0, description="RMSSD, ms; null: good beats fill less than 80 % of the five minutes"
    )
    low_ms: float | None = Field(
        ge=0,
        description="Lower 95 % limit of the true RMSSD by the errors that the sensor states of "
        "its beats; null: it states none",
    )
    high_ms: float | None = Field(ge=0, description="Upper limit, as the lower one")
    simulated: bool


class StatePayload(Payload):
    """The present state of the appliance."""

    model_config = message_example(
        at="2026-11-20T08:12:10.250Z",
        emotion="happiness",
        shares=dict(
            zip(FACE_STATES, (10.0, 65.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 5.0, 20.0), strict=True)
        ),
        valence=0.64,
        faces=1,
        turned_away=False,
        vitals={
            "heart_rate": {
                "value": 72.0,
                "unit": "/min",
                "measured_at": "2026-11-20T08:12:09.870Z",
                "source": "simulated",
                "flags": ["simulated"],
            },
            "systolic": None,
        },
        variability=_VARIABILITY,
        capture=True,
        camera=True,
        recording=True,
        session=False,
        frames_per_second=14.9,
        temperature_celsius=52.1,
        alarms={},
        simulated=True,
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
    turned_away: bool | None = Field(
        description="Whether the head of the primary face is turned away from the camera: yaw or "
        f"pitch beyond {TURNED_AWAY_DEGREES:.0f}°, or too far to be read; null: not known, or "
        "`mqtt.movements` is off"
    )
    vitals: dict[VitalKind, VitalNow | None] = Field(
        description="The newest reading of each kind; null: none is recent enough, or it was in "
        "doubt. A strap's is recent for ten seconds, one of a single measurement for an hour"
    )
    variability: VariabilityNow | None = Field(None, description=_OF_FIVE_MINUTES)
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


class Window(PayloadPart):
    """The interval that a summary covers."""

    start: Time
    end: Time
    seconds: float = Field(ge=0, description="Length by a clock that is never set")


class VitalSummary(PayloadPart):
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

    model_config = message_example(
        device="affect-edge",
        seq=4711,
        epoch="3f9c1e60b75a2d84",
        replayed=False,
        window={
            "start": "2026-11-20T08:12:00.250Z",
            "end": "2026-11-20T08:12:10.250Z",
            "seconds": 10.0,
        },
        frames=150,
        frames_with_face=120,
        unfit={"turned_away": 6, "too_dark": 2},
        emotions=dict(zip(EMOTIONS, (0.21, 0.7, 0.03, 0.02, 0.01, 0.01, 0.01, 0.01), strict=True)),
        dominant="happiness",
        shares=dict(
            zip(FACE_STATES, (0.1, 0.65, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.05, 0.2), strict=True)
        ),
        valence=0.64,
        vitals={
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
        variability=_VARIABILITY,
        simulated=False,
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
    variability: VariabilityNow | None = Field(None, description=_OF_FIVE_MINUTES)
    simulated: bool = Field(description="Whether any part is simulated")


class OpenAlert(PayloadPart):
    """An open alert."""

    rule: str = Field(description="Name of its rule in the configuration")
    kind: Literal[
        "vital", "face", "sensor", "camera", "broker", "disk", "backup", "variability"
    ] = Field(description="What the rule watches")
    text: str = Field(description="What is so, for people; no measured value stands in it")
    since: Time = Field(description="When it began")
    acknowledged: bool = Field(description="Whether somebody has seen it, on the page Alerts")


class AlertsPayload(Payload):
    """The open alerts. This is no medical alarm: it may come late or not at all."""

    model_config = message_example(
        at="2026-11-20T08:12:40.250Z",
        open=[
            {
                "rule": "camera",
                "kind": "camera",
                "text": "No picture from the camera for 30 s. Look at its cable.",
                "since": "2026-11-20T08:12:40.250Z",
                "acknowledged": False,
            }
        ],
    )

    at: Time
    open: list[OpenAlert] = Field(description="Those that stand, the oldest first; empty: none")


class _OfStream(BaseModel):
    """Base class of messages between device and collector; unknown keys are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class TimelinePayload(_OfStream):
    """Changes of the timeline and the study: this map as CBOR (RFC 8949), compressed with zlib."""

    model_config = message_example(
        device="lab",
        epoch=EPOCH,
        first=48_210,
        last=48_211,
        sent=1_790_000_412_000,
        synchronised=True,
        boot="0f6c1b9e",
        boot_ms=86_412_000,
        absent=0,
        changes=[
            [48_210, "participant", "row", [3, "P03", 1_790_000_400_000, 0, 7]],
            [48_211, "marker", "gone", [12, None]],
        ],
    )

    schema_version: Literal[1] = Field(1, alias="schema", description="Version of this message")
    device: str = Field(min_length=1, max_length=200, description="Who sends; as in the topic")
    epoch: str = Field(
        min_length=16,
        max_length=16,
        description="Which stream: another one after the database was restored or replaced",
    )
    first: int = Field(ge=1, description="The first position that the message covers")
    last: int = Field(ge=1, description="The last one; the next message begins after it")
    sent: int = Field(description="When it was sent, ms since 1970, by the device's clock")
    synchronised: bool = Field(description="Whether that clock was set by a server of time")
    boot: str = Field(
        "",
        max_length=8,
        description="Start of the machine: how the kernel's name of it begins; empty: not known",
    )
    boot_ms: int = Field(0, ge=0, description="When it was sent, ms since that start")
    absent: int = Field(ge=0, description="Rows that were gone before they could be sent")
    changes: list[list[Any]] = Field(
        description="Each [position, table, what, values], in order: row with the columns and gone "
        "with the key that docs/fleet.md names; with an empty table begin, copied, erase and gap"
    )


class Erased(_OfStream):
    """An erasure that the collector has carried out."""

    position: int = Field(ge=1, description="Position of the erasure in the stream")
    rows: int = Field(ge=0, description="Rows that were deleted at the collector")


class Confirmation(_OfStream):
    """The last position of a stream that a collector has committed, and its erasures."""

    model_config = message_example(
        epoch=EPOCH,
        position=48_211,
        closed=False,
        again=False,
        erased=[{"position": 47_003, "rows": 3_629}],
    )

    schema_version: Literal[1] = Field(1, alias="schema", description="Version of this message")
    epoch: str = Field(min_length=16, max_length=16, description="Which stream is confirmed")
    position: int = Field(ge=0, description="Everything up to here is committed")
    closed: bool = Field(
        False, description="Whether a newer stream of this device has begun: this one is not taken"
    )
    again: bool = Field(
        False, description="Whether everything after this position is wanted again, at once"
    )
    erased: tuple[Erased, ...] = Field((), max_length=100, description="The newest erasures")
