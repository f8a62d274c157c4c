"""The columns of the exported files, with type, unit and meaning.

``docs/data.md`` repeats them for people.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edge_agent.core.attributes import AttributeUse
from edge_agent.core.expression import EMOTIONS, Emotion, RejectReason
from edge_agent.core.readings import VitalFlag
from edge_agent.core.study import MarkerKind, Purpose, SessionSetting
from edge_agent.core.vitals import VitalKind
from edge_agent.store.read.matching import AMBIGUOUS, UNMATCHED


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a file; ``type`` is that of the Table Schema standard."""

    name: str
    type: str
    description: str
    unit: str | None = None
    allowed: tuple[str, ...] = ()

    def as_field(self) -> dict[str, Any]:
        """Return the column as a field of a Table Schema (frictionlessdata.io)."""
        field: dict[str, Any] = {
            "name": self.name,
            "type": self.type,
            "description": self.description,
        }
        if self.unit:
            field["unit"] = self.unit
        if self.allowed:
            field["constraints"] = {"enum": list(self.allowed)}
        if self.type == "boolean":
            field |= {"trueValues": ["1"], "falseValues": ["0"]}
        if self.type == "datetime":
            field["format"] = "%Y-%m-%dT%H:%M:%S.%fZ"
        return field


def _times(what: str, prefix: str = "") -> tuple[Column, Column]:
    """Return the two columns of an instant: for people and for programs."""
    return (
        Column(f"{prefix}at", "datetime", f"{what}, UTC"),
        Column(f"{prefix}ms", "integer", f"{what}, since 1970 UTC", "ms"),
    )


def _at(what: str) -> tuple[Column, Column]:
    text, number = _times(what)
    return text, Column("at_ms", number.type, number.description, number.unit)


def _per_mille(emotion: Emotion, smoothed: bool) -> Column:
    if smoothed:
        return Column(
            f"smoothed_{emotion}",
            "integer",
            f"Smoothed probability of {emotion} at the end",
            "1/1000",
        )
    return Column(
        emotion.value, "integer", f"Mean probability of {emotion} over the frames", "1/1000"
    )


_SESSION = Column(
    "session", "integer", "Number of the session in which it lies; empty outside sessions"
)
_PARTICIPANT = Column(
    "participant", "string", "Pseudonymous code of the participant of that session"
)
_CONDITION = Column(
    "condition", "string", "Label of the stimulus that went on; empty when none did"
)
_SIMULATED = Column("simulated", "boolean", "1 when it is made up for a demonstration")
_UNCERTAIN = (
    "uncertain: no category was probable enough (vision.uncertain_below of settings.json, else the "
    "threshold of the model's card), although a face was read"
)
_LABELS = (*(emotion.value for emotion in EMOTIONS), "uncertain")

EXPRESSION = (
    *_at("End of the recording interval"),
    _SESSION,
    _PARTICIPANT,
    _CONDITION,
    Column(
        "track",
        "integer",
        "Number of the face while it was followed; says nothing about the person",
    ),
    Column(
        "interval_ms",
        "integer",
        "Length of the recording interval; 0 when every frame is a row",
        "ms",
    ),
    Column(
        "frames",
        "integer",
        "Readings that the means are taken over: frames in which the face was looked at and could "
        "be read",
    ),
    *(_per_mille(emotion, smoothed=False) for emotion in EMOTIONS),
    *(_per_mille(emotion, smoothed=True) for emotion in EMOTIONS),
    Column(
        "emotion",
        "string",
        f"Smoothed label at the end of the interval. {_UNCERTAIN}",
        allowed=_LABELS,
    ),
    Column("face_size", "number", "Mean height of the face in the picture", "pixel"),
    Column(
        "quality",
        "number",
        "Mean fitness of the face for reading (wholeness, size, sharpness, light, pose), 0 to 1",
        "1",
    ),
    Column(
        "is_primary",
        "boolean",
        "1 when it is the participant's face: the largest and most central one",
    ),
    _SIMULATED,
)
REJECTED_FRAMES = (
    *_at("End of the recording interval"),
    _SESSION,
    _PARTICIPANT,
    _CONDITION,
    Column("track", "integer", "Number of the face, as in expression.csv"),
    Column(
        "interval_ms",
        "integer",
        "Length of the recording interval; 0 when every frame is a row",
        "ms",
    ),
    Column(
        "reason",
        "string",
        "Why the face could not be read in these frames",
        allowed=tuple(RejectReason),
    ),
    Column(
        "frames", "integer", "Frames that could not be read for this reason; they are in no mean"
    ),
    Column(
        "is_primary",
        "boolean",
        "1 when it is the participant's face: the largest and most central one",
    ),
    _SIMULATED,
)
VITAL = (
    *_at("When it was measured"),
    _SESSION,
    _PARTICIPANT,
    _CONDITION,
    Column("kind", "string", "What was measured", allowed=tuple(VitalKind)),
    Column("value", "number", "The value, in the unit of the next column"),
    Column(
        "unit",
        "string",
        "UCUM unit, fixed by the kind",
        allowed=tuple(sorted({kind.unit for kind in VitalKind})),
    ),
    Column("source", "string", "Who said it: a device, a file, or simulated"),
    Column(
        "flags", "string", f"What is special about it, separated by blanks: {', '.join(VitalFlag)}"
    ),
    Column(
        "device_time",
        "string",
        "Time that the device stamped, by its own clock; empty when it stamped none",
    ),
    Column(
        "observed",
        "string",
        "Emotion observed before it: the smoothed label of at least 60 % of the rows in the 10 s "
        "that end 5 s before it (pressures: 45 s); ambiguous when none was, unmatched when no face "
        "was read; empty outside sessions",
        allowed=(*(emotion.value for emotion in EMOTIONS), AMBIGUOUS, UNMATCHED),
    ),
    _SIMULATED,
)
EPISODE = (
    *_times("Start of the episode", "start_"),
    *_times("End of the episode", "end_"),
    Column("seconds", "number", "Length of the episode", "s"),
    Column("emotion", "string", "The one smoothed label that it is a run of", allowed=_LABELS),
    Column("rows", "integer", "Rows of expression.csv in it"),
    Column("frames", "integer", "Readings in it, as in expression.csv"),
    _SIMULATED,
)
GAP = (
    *_times("Start of the gap", "start_"),
    *_times("End of the gap", "end_"),
    Column("source", "string", "What did not speak: camera, recorder, or the source of a vital"),
    Column("reason", "string", "Why: no_face, stalled, disconnected, not_written …"),
)
MARKER = (
    *_at("When it was set"),
    Column("session", "integer", "Number of the session"),
    Column("participant", "string", "Pseudonymous code of the participant"),
    Column("kind", "string", "What happened", allowed=tuple(MarkerKind)),
    Column(
        "label",
        "string",
        "Condition that a stimulus start opens, the text of a note, or neutral for a baseline",
    ),
)
SELF_REPORT = (
    *_at("When it was answered"),
    Column("session", "integer", "Number of the session"),
    Column("participant", "string", "Pseudonymous code of the participant"),
    Column("condition", "string", "Label of the last stimulus before; empty when there was none"),
    Column("scale", "string", "What was asked", allowed=("valence", "arousal", "emotion")),
    Column(
        "value",
        "string",
        "1 to 9 for valence (9 pleasant) and arousal (9 excited); for emotion a category or none",
    ),
)
SESSION = (
    Column("session", "integer", "Number of the session"),
    Column("participant", "string", "Pseudonymous code of the participant"),
    Column("purpose", "string", "Why it was recorded", allowed=tuple(Purpose)),
    Column("setting", "string", "Where it took place", allowed=tuple(SessionSetting)),
    Column("name", "string", "Name given by the experimenter"),
    *_times("Start of the session", "start_"),
    *_times("End of the session; empty while it is open", "end_"),
    _SIMULATED,
    Column(
        "origin",
        "string",
        "Empty for a session that was run here; entered: it was added later; import: and from "
        "which file",
    ),
)
PROTOCOL_RUN = (
    Column("session", "integer", "Number of the session in which it ran"),
    Column("participant", "string", "Pseudonymous code of the participant"),
    Column("name", "string", "Name of the protocol's file"),
    Column("title", "string", "What people call it"),
    Column("sha256", "string", "SHA-256 of the protocol's file as it was run"),
    Column("order_row", "integer", "Which of the protocol's orders it was, from 0"),
    Column("order", "string", "Conditions in the order in which they were planned, apart by >"),
    Column("state", "string", "How it ended: finished, or ended before; running or paused"),
    Column("reason", "string", "Why it ended before its last step, or stands still"),
)
PARTICIPANT = (
    Column("participant", "string", "Pseudonymous code"),
    Column("created_at", "datetime", "When the code was made, UTC"),
    Column(
        "consent_version", "string", "Version of the text last agreed to; empty without consent"
    ),
    Column("consent_given_at", "datetime", "When consent was given, UTC"),
    Column("consent_withdrawn_at", "datetime", "When it was withdrawn, UTC; empty while it stands"),
    _SIMULATED,
    Column(
        "consent_attributes",
        "string",
        "What the consent says of attributes. none: none are kept; here: they stay where they are; "
        "shared: they may go along in exports",
        allowed=tuple(AttributeUse),
    ),
)
PARTICIPANT_ATTRIBUTE = (
    Column("participant", "string", "Pseudonymous code"),
    Column("name", "string", "What is told: age_band, sex, medication, or a field of the study"),
    Column("value", "string", "What it is for this participant"),
)
MODEL = (
    Column("kind", "string", "What it does: expression, face-detector, face-cover"),
    Column("name", "string", "Name of the model"),
    Column("version", "string", "Version of its weights"),
    Column("sha256", "string", "SHA-256 of its file"),
    *_times("When the agent began to use it", "since_"),
)
FILES = {
    "expression": EXPRESSION,
    "unfit": REJECTED_FRAMES,
    "vital": VITAL,
    "episode": EPISODE,
    "gap": GAP,
    "marker": MARKER,
    "self_report": SELF_REPORT,
    "session": SESSION,
    "participant": PARTICIPANT,
    "model": MODEL,
    "protocol_run": PROTOCOL_RUN,
    "participant_attribute": PARTICIPANT_ATTRIBUTE,
}
TITLES = {
    "expression": "Expressions: one face over one recording interval",
    "unfit": "Frames in which a face could not be read, and why",
    "vital": "Vital readings",
    "episode": "Runs of one smoothed emotion of the participant's face",
    "gap": "Times in which a source did not speak",
    "marker": "Markers of sessions",
    "self_report": "What participants said of themselves",
    "session": "Sessions",
    "participant": "Participants",
    "model": "Models that the agent used, and from when",
    "protocol_run": "Protocols that were run, and in which order",
    "participant_attribute": "Attributes of participants who agreed that they go along",
}
