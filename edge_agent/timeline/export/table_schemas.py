"""The description of exported files: every column with type, unit and meaning.

``datapackage.json`` tells the columns to programs, by the Data Package standard
(frictionlessdata.io). The codebook of a bundle is one page that prints well; it is made from the
same schemas and the registry of vitals, so that nothing is written twice. The
documentation has the codebook of every table.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

from edge_agent import __version__
from edge_agent.core import clock
from edge_agent.core.expression import EMOTIONS, Attribution, Emotion, RejectReason
from edge_agent.core.movements import MOVEMENTS, PROGRAMS
from edge_agent.core.own_neutral import BaselineRefusal, OwnNeutralState
from edge_agent.core.readings import VitalFlag
from edge_agent.core.study import (
    STORED,
    AttributeUse,
    MarkerKind,
    Purpose,
    QuestionKind,
    SessionField,
    SessionSetting,
)
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.tables import TIMELINE
from edge_agent.timeline.export.column import Column
from edge_agent.timeline.read.matching import AMBIGUOUS, UNMATCHED

_SHIFTED = "; by own neutral where a session has it"
_UNCERTAIN = (
    "uncertain: no category was probable enough (vision.uncertain_below of settings.json, else the "
    "threshold of the model's card), although a face was read"
)
_POSE = {
    "yaw": "Mean turn of the head, positive to the right of the picture",
    "pitch": "Mean bend of the head, positive down",
    "roll": "Mean tilt of the head, positive counterclockwise in the picture",
}
_LOOK = {
    "look_x": "Mean direction of the eyes in the face, positive toward the person's left",
    "look_y": "Mean direction of the eyes in the face, positive up",
}
_LABELS = (*(emotion.value for emotion in EMOTIONS), "uncertain")
_LAGS = sorted(kind.spec.lag_s for kind in VitalKind)
TITLES = {table.name: table.title for table in TIMELINE if table.title}
TITLES["episode"] = "Runs of one smoothed emotion of the participant's face"
"""Description of each exported table; episodes are found while the rows pass by."""
DESCRIPTION = "datapackage.json"
PACKAGE = "affect-edge-export"
_FIRST = ("purpose", "setting", "name")
SAID_OF_SESSION = (
    *(next(one for one in STORED if one.name == name) for name in _FIRST),
    *(one for one in STORED if one.name not in _FIRST),
)
"""Fields of a new session in the order of the files, which is older than that of ``STORED``."""
_KEYS = {"session": "session", "participant": "participant"}
PATH = "codebook.html"
TITLE = "Codebook: every table and column, to read and to print"
_STYLE = """
body { font: 11pt/1.4 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
  color: #111; background: #fff }
h2 { margin-top: 2.2rem; break-after: avoid }
table { border-collapse: collapse; width: 100%; font-size: 9.5pt }
th, td { border: 1px solid #999; padding: .25rem .4rem; text-align: left; vertical-align: top }
thead { display: table-header-group }
tr { break-inside: avoid }
code { font-family: ui-monospace, monospace }
nav { columns: 3 }
nav ul { margin: 0 }
@media (max-width: 45rem) { table { font-size: 8pt } }
@media screen and (max-width: 45rem) {
  table { display: block; overflow-x: auto } nav { columns: 1 }
}
@page { margin: 15mm }
@media print { body { margin: 0; max-width: none } nav { columns: 2 } }
"""
_TYPES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "0 no, 1 yes",
    "datetime": "time: ISO 8601, UTC",
}
_COLUMNS = ("Column", "Type", "Unit", "Meaning", "Values", "Missing")
_VITALS = (
    "Kind",
    "Name",
    "Unit",
    "Plausible",
    "Lag, s",
    "Meaning",
    "Smallest difference of interest",
)
_PRIMARY = Column("is_primary", "boolean", "1 when it counts as the participant's face")
_SIMULATED = Column("simulated", "boolean", "1 when it is made up for a demonstration")
_OF_QUESTIONS: Mapping[str, Any] = json.loads(
    (resources.files("edge_agent.timeline.export") / "questions.json").read_text(encoding="utf-8")
)
COMPUTED: Mapping[str, tuple[Column, ...]] = {
    name: tuple(Column(**column) for column in table["columns"])
    for name, table in _OF_QUESTIONS.items()
}
"""The tables that the dashboard's questions add to a bundle, by the name of the file without its
ending; ``tools/write_questions.py`` writes them of ``dashboard/questions/``, which is not known
here.
"""
COMPUTED_TITLES = {name: str(table["title"]) for name, table in _OF_QUESTIONS.items()}
"""Description of each of these tables."""


def _times(what: str, prefix: str = "") -> tuple[Column, Column]:
    """Return the two columns of an instant: for people and for programs."""
    return (
        Column(f"{prefix}at", "datetime", f"{what}, UTC"),
        Column(f"{prefix}ms", "integer", f"{what}, since 1970 UTC", "ms"),
    )


def _time_columns(what: str) -> tuple[Column, Column]:
    return _times(what)[0], _whole("at_ms", f"{what}, since 1970 UTC", "ms")


def _text(name: str, description: str, allowed: tuple[str, ...] = ()) -> Column:
    return Column(name, "string", description, allowed=allowed)


def _said_column(one: SessionField) -> Column:
    """Return the column of a field that is a text or one of its choices."""
    return _text(one.name, one.about.text, () if one.kind is str else tuple(one.kind))


def _whole(name: str, description: str, unit: str | None = None) -> Column:
    return Column(name, "integer", description, unit)


def _estimate(name: str, about: str, unit: str) -> Column:
    about = f"{about}. Estimate of the program in source, not coded by people"
    return Column(name, "number", about, unit)


def _per_mille(emotion: Emotion, smoothed: bool) -> Column:
    if smoothed:
        about = f"Smoothed probability of {emotion} at the end{_SHIFTED}"
        return _whole(f"smoothed_{emotion}", about, "1/1000")
    return _whole(emotion.value, f"Mean probability of {emotion} over the frames", "1/1000")


_WHERE = (
    _whole("session", "Number of the session in which it lies; empty outside sessions"),
    _text("participant", "Pseudonymous code of the participant of that session"),
    _text("condition", "Label of the stimulus that went on; empty when none did"),
)
_IN_SESSION = (
    _whole("session", "Number of the session"),
    _text("participant", "Pseudonymous code of the participant"),
)
_INTERVAL = _whole(
    "interval_ms", "Length of the recording interval; 0 when every frame is a row", "ms"
)
_ATTRIBUTION = _text(
    "attribution",
    "Evidence that it is the participant's: declared, seat, alone, leading; unknown: the followed "
    "face, without the evidence asked for; empty: another face, or not recorded",
    allowed=tuple(Attribution),
)

EXPRESSION = (
    *_time_columns("End of the recording interval"),
    *_WHERE,
    _whole(
        "track",
        "Number of the face while it was followed, from 1 on again when the agent starts; says "
        "nothing about the person; 0: nobody followed it",
    ),
    _INTERVAL,
    _whole(
        "frames",
        "Readings that the means are taken over: frames in which the face was looked at and could "
        "be read",
    ),
    *(_per_mille(emotion, smoothed=False) for emotion in EMOTIONS),
    *(_per_mille(emotion, smoothed=True) for emotion in EMOTIONS),
    _text(
        "emotion",
        f"Smoothed label at the end of the interval{_SHIFTED}. {_UNCERTAIN}",
        allowed=_LABELS,
    ),
    Column("face_size", "number", "Mean height of the face in the picture", "pixel"),
    Column(
        "quality",
        "number",
        "Mean fitness of the face for reading (wholeness, size, sharpness, light, pose), 0 to 1",
        "1",
    ),
    _PRIMARY,
    _SIMULATED,
    _ATTRIBUTION,
)
REJECTED_FRAMES = (
    *_time_columns("End of the recording interval"),
    *_WHERE,
    _whole("track", "Number of the face, as in expression.csv"),
    _INTERVAL,
    _text(
        "reason",
        "Why the face could not be read in these frames; where several hold, the first of the "
        "values",
        allowed=tuple(RejectReason),
    ),
    _whole("frames", "Frames that could not be read for this reason; they are in no mean"),
    _PRIMARY,
    _SIMULATED,
    _ATTRIBUTION,
)
MOVEMENT = (
    *_time_columns("End of the recording interval"),
    *_WHERE,
    _whole("track", "Number of the face, as in expression.csv"),
    _INTERVAL,
    _whole(
        "frames",
        "Readings that the means of pose and look are taken over; those of strengths are fewer "
        "where the head was turned away for a part of the interval",
    ),
    *(
        _estimate(name, f"Mean strength of {name.replace('_', ' ')}, 0 to 1", "1")
        for name in MOVEMENTS
    ),
    *(_estimate(name, about, "deg") for name, about in _POSE.items()),
    *(_estimate(name, f"{about}, −1 to 1", "1") for name, about in _LOOK.items()),
    _PRIMARY,
    _SIMULATED,
    _text(
        "source",
        "Program that read the face; empty: the network of this one, which another network taught. "
        "Cells of what another program does not tell are empty",
        allowed=PROGRAMS,
    ),
    _ATTRIBUTION,
)


VITAL = (
    *_time_columns("When it was measured"),
    *_WHERE,
    _text("kind", "What was measured", allowed=tuple(VitalKind)),
    Column("value", "number", "The value, in the unit of the next column"),
    _text(
        "unit",
        "UCUM unit, fixed by the kind",
        allowed=tuple(sorted({kind.unit for kind in VitalKind})),
    ),
    _text("source", "Who said it: a device, a file (and that its times are made up), or simulated"),
    _text("flags", f"What is special about it, separated by blanks: {', '.join(VitalFlag)}"),
    _text(
        "device_time", "Time that the device stamped, by its own clock; empty when it stamped none"
    ),
    _text(
        "observed",
        "Emotion observed before it: the smoothed label of at least 60 % of the rows used in the "
        f"10 s that end {_LAGS[0]:g} to {_LAGS[-1]:g} s before it, unless question.json says "
        "otherwise; ambiguous when none was, unmatched when no face was read; empty outside "
        "sessions",
        allowed=(*(emotion.value for emotion in EMOTIONS), AMBIGUOUS, UNMATCHED),
    ),
    _SIMULATED,
    Column(
        "error",
        "number",
        "Expected absolute error of the value, in its unit; empty when the sensor states none",
    ),
)
EPISODE = (
    *_times("Start of the episode", "start_"),
    *_times("End of the episode", "end_"),
    Column("seconds", "number", "Length of the episode", "s"),
    _text("emotion", "The one smoothed label that it is a run of", allowed=_LABELS),
    _whole("rows", "Rows of expression.csv in it"),
    _whole("frames", "Readings in it, as in expression.csv"),
    _SIMULATED,
)
GAP = (
    *_times("Start of the gap", "start_"),
    *_times("End of the gap", "end_"),
    _text("source", "What did not speak: camera, recorder, or the source of a vital"),
    _text(
        "reason",
        "Why: no_face (more than 3 s), lens_covered (or no light), stalled, stands_still (one "
        "picture again and again), starting, stopped (no frame), disconnected, not_written (no "
        "room), silent (more than 10 s), switched_off, failed (the source), agent_stopped …",
    ),
)
MARKER = (
    *_time_columns("When it was set"),
    *_IN_SESSION,
    _text(
        "kind",
        "What happened: stimulus_start opens the condition of label until the next stimulus "
        "marker; from baseline on the participant looks neutral for 20 s",
        allowed=tuple(MarkerKind),
    ),
    _text(
        "label",
        "Condition that a stimulus start opens, the text of a note, or neutral for a baseline",
    ),
)
SELF_REPORT = (
    *_time_columns("When it was answered"),
    *_IN_SESSION,
    _text("condition", "Label of the last stimulus before; empty when there was none"),
    _text("scale", "What was asked", allowed=("valence", "arousal", "emotion")),
    _text(
        "value",
        "1 to 9 for valence (9 pleasant) and arousal (9 excited); for emotion a category or none",
    ),
)
TRIAL = (
    *_time_columns("When the screen was due"),
    *_IN_SESSION,
    _whole("turn", "Its place among the screens that the session showed, from 1"),
    _whole("step", "Number of its step in the protocol's file, from 1"),
    _text(
        "kind",
        "What was shown: stimulus, instruction, blank, rest, pressure, baseline; valence, arousal, "
        f"emotion; {', '.join(QuestionKind)}; experiment: a value of one of its trials, "
        "with the turn of its screen",
    ),
    _text("condition", "Its condition, else that of the last stimulus before; empty: none"),
    Column("practice", "boolean", "Whether it was practice: it opens no condition"),
    _whole("planned_ms", "How long it was to stand; empty: until an answer or its end", "ms"),
    _whole("stood_ms", "How long it stood by the clock of the appliance", "ms"),
    Column("late_ms", "number", "From at_ms to its first frame; empty: not known", "ms"),
    Column("late_within_ms", "number", "By how much late_ms may be wrong", "ms"),
    Column("shown_ms", "number", "From its first frame to that of the next screen", "ms"),
    Column("frame_ms", "number", "Time between two frames of that browser", "ms"),
    _text(
        "question", "Name of the protocol's own question, or of a value; empty for other screens"
    ),
    _text("wording", "Words of the question; of an experiment number and plugin of the trial"),
    _text(
        "value",
        "Answer: a point from 1, a place from 0 to 100, or a text; empty: none, or not said",
    ),
)
SESSION = (
    *_IN_SESSION,
    *(_said_column(one) for one in SAID_OF_SESSION),
    *_times("Start of the session", "start_"),
    *_times("End of the session; empty while it is open", "end_"),
    _SIMULATED,
    _text(
        "origin",
        "Empty for a session that was run here; entered: it was added later; import: and from "
        "which file",
    ),
    _whole(
        "face_left",
        "How often the participant's face was out of view and a face came back, of the whole "
        "session: nobody knows whether it was the same person's. Computed. Empty: not known, as "
        "without a face, where another program read faces, or where rows are deleted",
    ),
    Column(
        "several_faces_s",
        "number",
        "How long more than one face was in view. Computed. Empty: not known",
        "s",
    ),
    _whole(
        "face_changed",
        "How often another face in view was taken for the participant's instead. Computed. Empty: "
        "not known",
    ),
)
EXCLUSION = (
    *_IN_SESSION,
    *_times("Start of the stretch; empty where the whole session is left out", "start_"),
    *_times("End of the stretch, which does not belong to it", "end_"),
    _text("reason", "Why it is left out of the analysis"),
)
OWN_NEUTRAL = (
    *_IN_SESSION,
    _text(
        "state",
        "asked: no baseline ended; off: the session declined; calibrated; refused: no baseline was "
        "good enough",
        allowed=tuple(OwnNeutralState),
    ),
    _text("reason", "Why the last baseline was refused", allowed=tuple(BaselineRefusal)),
    *_times("Start of the baseline that was judged; empty without one", "start_"),
    *_times("End of that baseline, which does not belong to it", "end_"),
    _whole("seconds", "In how many of its seconds the face was read", "s"),
    *(
        Column(
            f"logit_{emotion}",
            "number",
            f"Mean logit of {emotion} in it, after the prior, up to one constant for all",
        )
        for emotion in EMOTIONS
    ),
    Column(
        "shift",
        "number",
        "What is added to the logit of neutral before smoothing; empty: nothing is",
    ),
    *_times("From when on smoothed probabilities and labels are shifted", "applied_"),
    *_times("Until when, where another classifier read the face later; else empty", "until_"),
    Column("temperature", "number", "Of the classifier's softmax"),
    Column("uncertain_below", "number", "Probability below which the face was uncertain", "1"),
    _text("sha256", "SHA-256 of the classifier whose logits they are"),
    _text("prior", "Prior with which it was used, as in the table of models"),
)
PROTOCOL_RUN = (
    _whole("session", "Number of the session in which it ran"),
    _text("participant", "Pseudonymous code of the participant"),
    _text("name", "Name of the protocol's file"),
    _text("title", "What people call it"),
    _text("sha256", "SHA-256 of the protocol's file as it was run"),
    _whole("order_row", "Which of the protocol's orders it was, from 0"),
    _text("order", "Conditions in the order in which they were planned, apart by >"),
    _text("state", "How it ended: finished, or ended before; running or paused"),
    _text("reason", "Why it ended before its last step, or stands still"),
    _whole("seed", "Of which a random order was made; empty where none was"),
)
PARTICIPANT = (
    _text("participant", "Pseudonymous code"),
    Column("created_at", "datetime", "When the code was made, UTC"),
    _text("consent_version", "Version of the text last agreed to; empty without consent"),
    Column("consent_given_at", "datetime", "When consent was given, UTC"),
    Column("consent_withdrawn_at", "datetime", "When it was withdrawn, UTC; empty while it stands"),
    _SIMULATED,
    _text(
        "consent_attributes",
        "What the consent says of attributes. none: none are kept; here: they stay where they are; "
        "shared: they may go along in exports",
        allowed=tuple(AttributeUse),
    ),
)
PARTICIPANT_ATTRIBUTE = (
    _text("participant", "Pseudonymous code"),
    _text("name", "What is told: age_band, sex, medication, or a field of the study"),
    _text("value", "What it is for this participant"),
)
STANDING_SESSION = (
    _text("participant", "Pseudonymous code"),
    _text("text_version", "Version of the text that they agreed to"),
    _text("purpose", "Why its sessions are recorded", allowed=tuple(Purpose)),
    _text("setting", "Where they take place", allowed=tuple(SessionSetting)),
    _whole("weekday", "Day of the week on which the hours begin: 1 (Monday) to 7"),
    _text("start", "When they begin by the clock of the appliance, such as 08:00"),
    _text("end", "When they end; a time that does not follow start is of the next day"),
    *_times("When it was agreed to", "since_"),
    *_times("When it was taken back or replaced; empty while it holds", "until_"),
)
MODEL = (
    _text("kind", "What it does: expression, face-detector, face-cover, face-movements"),
    _text("name", "Name of the model"),
    _text("version", "Version of its weights"),
    _text("sha256", "SHA-256 of its file"),
    *_times("When the agent began to use it", "since_"),
    _text(
        "prior",
        "Prior of a classifier, vision.prior: data, balanced or fitted; none: it classifies "
        "nothing; unknown: recorded before schema 35",
    ),
)
FILES = {
    "expression": EXPRESSION,
    "movement": MOVEMENT,
    "unfit": REJECTED_FRAMES,
    "vital": VITAL,
    "episode": EPISODE,
    "gap": GAP,
    "marker": MARKER,
    "self_report": SELF_REPORT,
    "trial": TRIAL,
    "session": SESSION,
    "exclusion": EXCLUSION,
    "own_neutral": OWN_NEUTRAL,
    "participant": PARTICIPANT,
    "model": MODEL,
    "protocol_run": PROTOCOL_RUN,
    "participant_attribute": PARTICIPANT_ATTRIBUTE,
    "standing_session": STANDING_SESSION,
}


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file of an export.

    Attributes:
        name: of the table in ``FILES``, or of the file without its ending.
        path: within the export.
        title: what it is.
        media_type: of the file.
        size: bytes.
        sha256: hexadecimal.
        rows: of a table; ``None`` for other files.
    """

    name: str
    path: str
    title: str
    media_type: str
    size: int
    sha256: str
    rows: int | None = None

    def as_resource(self) -> dict[str, Any]:
        """Return the file as a resource of a data package.

        A table with the schema of its columns.
        """
        ending = self.path.rpartition(".")[2]
        described: dict[str, Any] = {
            "name": self.name,
            "title": self.title,
            "path": self.path,
            "format": ending.lower(),
            "mediatype": self.media_type,
            "encoding": "utf-8",
            "bytes": self.size,
            "hash": f"sha256:{self.sha256}",
        }
        if self.rows is None:
            return described
        return described | {
            "profile": "tabular-data-resource",
            "rows": self.rows,
            "schema": schema_of(self.table),
        }

    @property
    def table(self) -> str:
        """The name in ``FILES`` or ``COMPUTED`` of what the file holds, if it is a table."""
        return self.path.rpartition(".")[0]


def schema_of(name: str) -> dict[str, Any]:
    """Return the Table Schema of one of ``FILES`` or ``COMPUTED``.

    It has the columns, and of ``FILES`` the key and the tables that it points to.
    """
    columns = FILES[name] if name in FILES else COMPUTED[name]
    fields = [column.as_field() for column in columns]
    schema: dict[str, Any] = {"fields": fields, "missingValues": [""]}
    if name in COMPUTED:
        return schema
    names = {column.name for column in FILES[name]}
    if name in _KEYS:
        schema["primaryKey"] = _KEYS[name]
    points = [key for key in _KEYS if key in names and key != name]
    if points:
        schema["foreignKeys"] = [
            {"fields": key, "reference": {"resource": key, "fields": _KEYS[key]}} for key in points
        ]
    return schema


def description(files: Iterable[WrittenFile], participant: str = "") -> str:
    """Return the text of ``datapackage.json`` for the files of an export, and of whom alone it
    is.
    """
    package = {
        "profile": "data-package",
        "name": PACKAGE,
        "title": "Timeline exported by Affect Edge",
        "description": "Expressions and vital signs under participants' codes. Times are UTC. A "
        "missing value is an empty cell. A text that a spreadsheet would take for a "
        "formula stands behind an apostrophe.",
        "created": clock.iso_utc(clock.now().wall_ms),
        "version": __version__,
        **({"participant": participant} if participant else {}),
        "resources": [file.as_resource() for file in files],
    }
    return _with_hash(package)


def unchanged_files(path: Path) -> dict[str, str] | None:
    """Return the hash of each file that a description names; ``None``: none of ours, or changed.

    Raises:
        OSError: it cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
        package = json.loads(text)
        del package["hash"]
        if package["name"] != PACKAGE or _with_hash(package) != text:
            return None
        return {one["path"]: one["hash"] for one in package["resources"]}
    except (FileNotFoundError, ValueError, LookupError, TypeError, AttributeError):
        return None


def _with_hash(package: dict[str, Any]) -> str:
    """Return the text of a description with its own hash, by which a change is noticed."""
    digest = hashlib.sha256(json_file(package).encode()).hexdigest()
    return json_file(package | {"hash": f"sha256:{digest}"})


def json_file(content: Mapping[str, Any]) -> str:
    """Return the text of a file of JSON that people can read."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def codebook(files: Iterable[WrittenFile], created: str) -> str:
    """Return the codebook of the tables among the files of an export, as an HTML page.

    Args:
        files: those of the export; only tables are described.
        created: when it was made, as text.
    """
    about = (
        f"Export of {escape(created)} by Affect Edge {__version__}. A missing value is an empty "
        "cell in every table; no number and no word stands for one. A text that a spreadsheet "
        "would take for a formula stands behind an apostrophe."
    )
    return _codebook_page([file for file in files if file.rows is not None], about)


def codebook_of_all() -> str:
    """Return the codebook of every table that there is, of no export."""
    tables = [
        WrittenFile(name, f"{name}.csv", title, "text/csv", 0, "")
        for name, title in ({name: TITLES[name] for name in FILES} | COMPUTED_TITLES).items()
    ]
    return _codebook_page(tables, "Every table of exports and bundles, with all its columns.")


def _codebook_page(tables: Sequence[WrittenFile], about: str) -> str:
    links = "".join(f'<li><a href="#{file.table}">{file.path}</a></li>' for file in tables)
    body = "".join(_table_of(file) for file in tables)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>Codebook</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<h1>Codebook</h1>\n"
        f"<p>{about}</p>\n"
        f'<nav><ul>{links}<li><a href="#kinds">Kinds of vitals</a></li></ul></nav>\n'
        f"{body}{_kinds()}</body>\n</html>\n"
    )


def _table_of(file: WrittenFile) -> str:
    schema = schema_of(file.table)
    keys = []
    if "primaryKey" in schema:
        keys.append(f"One row is known by <code>{schema['primaryKey']}</code>.")
    keys += [
        f"<code>{key['fields']}</code> leads to "
        f'<a href="#{key["reference"]["resource"]}">{key["reference"]["resource"]}.csv</a>.'
        for key in schema.get("foreignKeys", ())
    ]
    rows = (_column(field, schema) for field in schema["fields"])
    number = "" if file.rows is None else f"{file.rows:,} rows. "
    return (
        f'<h2 id="{file.table}">{file.path}</h2>\n<p>{escape(file.title)}. {number}'
        f"{' '.join(keys)}</p>\n{_html_table(_COLUMNS, rows)}"
    )


def _column(field: Mapping[str, Any], schema: Mapping[str, Any]) -> Sequence[str]:
    """Return the cells of one column."""
    values = field.get("constraints", {}).get("enum", ())
    is_key = field["name"] == schema.get("primaryKey")
    return (
        f"<code>{field['name']}</code>",
        _TYPES[field["type"]],
        escape(field.get("unit", "")),
        escape(field["description"]),
        ", ".join(f"<code>{escape(value)}</code>" for value in values),
        "never" if is_key or field["type"] == "boolean" else "empty",
    )


def _kinds() -> str:
    rows = (
        (
            f"<code>{kind}</code>",
            escape(kind.spec.label),
            f"{escape(kind.unit)} ({escape(kind.spec.unit_shown)})",
            " to ".join(f"{bound:g}" for bound in kind.plausible),
            f"{kind.spec.lag_s:g}",
            escape(kind.spec.definition),
            "" if kind.spec.bound is None else f"{kind.spec.bound:g}",
        )
        for kind in VitalKind
    )
    return (
        '<h2 id="kinds">Kinds of vitals</h2>\n<p>What <code>kind</code> in '
        '<a href="#vital">vital.csv</a> can be. A value that is not plausible stays, and has the '
        f"flag <code>out_of_range</code>.</p>\n{_html_table(_VITALS, rows)}"
    )


def _html_table(heads: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{one}</th>' for one in heads)
    body = "\n".join(_lines(rows))
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>\n"


def _lines(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    for first, *others in rows:
        cells = "".join(f"<td>{cell}</td>" for cell in others)
        yield f'<tr><th scope="row">{first}</th>{cells}</tr>'
