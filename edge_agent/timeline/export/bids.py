"""Sessions as a data set after the Brain Imaging Data Structure (BIDS).

It has a folder for each participant and session, and tables below ``beh``, with data dictionaries
beside them. The markers are events: a stimulus is one event that lasts. Sensors speak when they
like; their readings stand in ``beh`` as they were measured. A copy at one sample a second is for
programs that read evenly sampled recordings, and its sidecar says how it was made.
"""

from __future__ import annotations

import math
import re
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from importlib import resources
from itertools import accumulate, groupby
from operator import attrgetter
from pathlib import Path
from typing import IO, Any

from edge_agent import __version__
from edge_agent.core.clock import iso_utc
from edge_agent.core.measures import Measure
from edge_agent.core.readings import UNUSABLE
from edge_agent.core.study import (
    AGE_BAND,
    AGE_BANDS,
    MEDICATION,
    OF_PROTOCOL,
    SEX,
    SEXES,
    MarkerKind,
)
from edge_agent.core.texts import N_
from edge_agent.core.vitals import AnalysisOption, VitalKind
from edge_agent.timeline.database.tables import PRUNED, RECORDED, TIMELINE, RowOwner
from edge_agent.timeline.export import bids_physioevents as physioevents
from edge_agent.timeline.export.appliance import DepositFacts
from edge_agent.timeline.export.bids_physioevents import (
    PROTOCOL,
    TIMESTAMP,
    PhysioEvent,
    PhysioEvents,
)
from edge_agent.timeline.export.bundle import origins_in_words
from edge_agent.timeline.export.column import Column
from edge_agent.timeline.export.electrocardiograms import (
    HZ,
    Electrocardiogram,
    electrocardiograms_of,
)
from edge_agent.timeline.export.format import Audience, Computed, TreeFormat
from edge_agent.timeline.export.rows import Row, Value, whole
from edge_agent.timeline.export.source import ExportSource
from edge_agent.timeline.export.table_schemas import FILES, json_file

PROGRAM = "Affect Edge"
"""Name in ``GeneratedBy`` of a data set of ours."""
TASK = "affect"
LEFT_OUT = "left_out"
"""The kind of an event, and the column of a session, that the analysis leaves out."""
SHIFTED = "own_neutral"
"""The kind of an event from which on labels are shifted by the participant's own neutral."""
NOT_AVAILABLE = "n/a"
AS_RECORDED = "TextsAsRecorded"
"""The key of the description that is true where no apostrophe stands before the sign of a text.

Data sets of earlier releases lack it: there one does, as in a CSV file.
"""
MODELS = "Models"
"""The key under which the table of expressions tells the models that were used."""
_AS_EVENTS = {"marker", "exclusion"}
_ECG_BLOCK = 3600 * HZ
"""Samples of an electrocardiogram that are turned into text at a time."""
BEH_TABLES = {
    name: name.replace("_", "")
    for name in (
        *(
            table.name
            for table in TIMELINE
            if table.whose is RowOwner.SESSION and table.brought and table.name not in _AS_EVENTS
        ),
        *(table.name for table in RECORDED if table.brought),
    )
}
"""The tables of the timeline that stand below ``beh``, and the label of ``acq-`` of each."""
RESAMPLED = "resampled"

# The time is told by onset, the person by the folder, and what is derived is derived again.
_TOLD_OTHERWISE = {"at", "at_ms", "start_at", "start_ms", "end_at", "end_ms", "session"}
_TOLD_OTHERWISE |= {"participant", "observed"}
_TOLD_OTHERWISE |= {"applied_at", "applied_ms", "until_at", "until_ms"}
_ATTRIBUTES: Mapping[str, tuple[str, None, tuple[str, ...]]] = {
    AGE_BAND: ("Age in years, as a band", None, AGE_BANDS),
    SEX: ("Sex as the participant told it", None, SEXES),
    MEDICATION: ("Medication as the participant told it", None, ()),
}
_DERIVED_CONDITION = {table.name for table in PRUNED}
_BREAKS = re.compile(r"\r\n|\r|\n")
LINE_BREAK = "␤"
"""Stands for a line break inside a text; no program splits lines at it, and nobody types it."""
COLUMNS = (
    Column("onset", "number", "When it happened, from the start of the session", "s"),
    Column(
        "duration",
        "number",
        "How long a stimulus lasted; n/a where its end was not marked; 0 for an instant",
        "s",
    ),
    Column("trial_type", "string", "Condition that a stimulus opened; n/a for all else"),
    Column(
        "marker",
        "string",
        f"What was marked; {LEFT_OUT}: a stretch that the analysis leaves out, with its reason; "
        f"{SHIFTED}: the participant's own neutral shifts labels and smoothed probabilities; "
        f"{PROTOCOL}: what a protocol noted of its own course",
        allowed=(*MarkerKind, LEFT_OUT, SHIFTED, PROTOCOL),
    ),
    Column("label", "string", "Label or text of the marker, or reason"),
)
_STEP_MS = 1000
_LEAST_STEPS = 5
_EVEN = 0.1
_MOSTLY = 0.8
_LONGEST_STEP_S = 300.0
_LATE_S = 1.0
"""A source speaks at even steps if most of some differ by no more than a share; a longer step is
that of single measurements.
"""
_STEPS = """SELECT kind, source, step, count(*) FROM (
        SELECT kind, source, at - lag(at) OVER (PARTITION BY kind, source ORDER BY at) AS step
        FROM vital WHERE at >= ? AND at < ?
    ) GROUP BY kind, source, step ORDER BY kind, source, step"""
_HOW = (
    "Resampled: the newest reading of this source at each second, for at most {held} s; n/a "
    "otherwise. Readings flagged {flags} are left out. The readings as they were measured, at "
    "irregular times and with their flags, stand in the file acq-vital_beh.tsv beside this one."
)
BIDS_VERSION = "1.11.1"
"""The specification whose ``PhysioType`` and ``physioevents`` are used."""
_ONSET = Column("onset", "number", "When, from the start of the session", "s")
_DURATION = Column("duration", "number", "How long", "s")
NEUTRAL_TIMES = {
    "start_ms": Column("baseline_start", "number", "Start of the baseline that was judged", "s"),
    "end_ms": Column("baseline_end", "number", "Its end, which does not belong to it", "s"),
    "applied_ms": Column("applied", "number", "From when on labels are shifted", "s"),
    "until_ms": Column(
        "until", "number", "Until when, where another classifier read the face later", "s"
    ),
}
"""Columns of a session's own neutral, by those of a CSV export: seconds from the session's start.
"""
_ACQ_TIME = Column("acq_time", "datetime", "Start of the session, UTC: onsets count from here")
_LEFT_OUT = Column(
    LEFT_OUT, "string", "Why the analysis leaves out the whole session; n/a where it does not"
)
_TASK_DESCRIPTION = "What was shown or asked stands in the labels of the events."
_FOREVER_MS = 2**62


def beh_columns(table: str) -> tuple[Column, ...]:
    """Return the columns of a table below ``beh`` that follow onset (of a gap: and duration)."""
    left_out = _TOLD_OTHERWISE | ({"condition"} if table in _DERIVED_CONDITION else set())
    return tuple(column for column in FILES[table] if column.name not in left_out)


def attribute_column(name: str) -> Column:
    """Return the column of an attribute in the table of participants."""
    own = ("Field of the study's own, as the experimenter called it", None, ())
    return Column(name, "string", *_ATTRIBUTES.get(name, own))


def subject_labels(codes: Iterable[str]) -> dict[str, str]:
    """Return the label of each participant's code: letters and digits only, and each once.

    Example:
        >>> subject_labels(["P-1", "P1"])
        {'P-1': 'P1', 'P1': 'P1x2'}
    """
    labels: dict[str, str] = {}
    taken: set[str] = set()
    for code in codes:
        label = plain = re.sub(r"[^A-Za-z0-9]", "", code)
        number = 1
        # Some file systems do not tell capitals from small letters.
        while label.casefold() in taken:
            number += 1
            label = f"{plain}x{number}"
        taken.add(label.casefold())
        labels[code] = label
    return labels


def seconds(milliseconds: int) -> str:
    """Return milliseconds as seconds with all their digits."""
    # ``divmod`` of a negative number would round down.
    sign = "-" if milliseconds < 0 else ""
    whole, rest = divmod(abs(milliseconds), 1000)
    return f"{sign}{whole}.{rest:03d}"


def tsv_line(values: Iterable[Value]) -> str:
    """Return values as one line with its end; what is missing or no number is ``n/a``.

    Tab-separated files know no quotes: a line break inside a text becomes ``LINE_BREAK``, a tab a
    blank, and a text that is itself ``n/a`` stands behind one.
    """
    return "\t".join(_cell(value) for value in values) + "\n"


def describe_columns(columns: Iterable[Column]) -> dict[str, Any]:
    """Return the data dictionary of columns: meaning, unit and values of each."""
    return {column.name: _meaning(column) for column in columns}


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a sidecar."""
    path.write_text(json_file(content), encoding="utf-8")


def _meaning(column: Column) -> dict[str, Any]:
    meaning: dict[str, Any] = {"Description": column.description}
    if column.unit:
        meaning["Units"] = column.unit
    if column.allowed:
        meaning["Levels"] = {value: value for value in column.allowed}
    if column.type == "boolean":
        meaning["Levels"] = {"0": "no", "1": "yes"}
    return meaning


def _cell(value: Value) -> str:
    if value is None or value == "":
        return NOT_AVAILABLE
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, str):
        text = _BREAKS.sub(LINE_BREAK, value).replace("\t", " ")
        return f" {text}" if text == NOT_AVAILABLE else text
    return repr(value) if math.isfinite(value) else NOT_AVAILABLE


@dataclass(frozen=True, slots=True)
class BidsEvent:
    """One event.

    Attributes:
        at_ms: when, UTC milliseconds.
        lasted_ms: how long; ``None`` where nobody knows.
        marker: what was marked.
        label: its label, or why a stretch is left out.
    """

    at_ms: int
    lasted_ms: int | None
    marker: str
    label: str


def events_of(markers: Sequence[Row]) -> list[BidsEvent]:
    """Return the events of the markers of a session, which are in order of time.

    A stimulus and the end that follows it, with the same label, are one event; an end that fits
    to no start stays an event of its own.
    """
    events: list[BidsEvent] = []
    opened: int | None = None
    for row in markers:
        event = BidsEvent(
            int(row["at_ms"] or 0), 0, MarkerKind(str(row["kind"])), str(row["label"] or "")
        )
        # An end without a start, or with another label, is kept: nothing that was marked is lost.
        if event.marker is MarkerKind.STIMULUS_END and opened is not None:
            start = events[opened]
            if start.label == event.label:
                events[opened] = replace(start, lasted_ms=event.at_ms - start.at_ms)
                opened = None
                continue
        # Unknown until its end is found.
        if event.marker is MarkerKind.STIMULUS_START:
            opened = len(events)
            event = replace(event, lasted_ms=None)
        events.append(event)
    return events


def shift_of(row: Row, end_ms: int | None) -> BidsEvent | None:
    """Return from when to when labels are shifted, a row of ``own_neutral.csv``; else ``None``.

    Args:
        row: what became of the own neutral of a session.
        end_ms: end of the session, UTC milliseconds; ``None`` while it is open.
    """
    if row["shift"] is None:
        return None
    at_ms = whole(row["applied_ms"])
    last_ms = end_ms if row["until_ms"] is None else whole(row["until_ms"])
    lasted_ms = None if last_ms is None else max(0, last_ms - at_ms)
    label = f"neutral shifted by {float(row['shift']):+.3f} in labels"
    return BidsEvent(at_ms, lasted_ms, SHIFTED, label)


@dataclass(frozen=True, slots=True)
class BidsChannel:
    """The vital and the source that one column of a recording holds.

    Attributes:
        kind, source: of its readings.
        held_s: seconds for which a reading is the value of the samples that follow it.
    """

    kind: VitalKind
    source: str
    held_s: float


def held_seconds(kind: Measure, steps: Mapping[float, int]) -> float:
    """Return for how many seconds a reading of a source is its value.

    A source that speaks at even steps, such as a watch once a minute, gives the value of that step.

    Args:
        kind: of its readings.
        steps: seconds from one reading to the next → how often.
    """
    ordered = sorted(steps)
    count = sum(steps.values())
    if count < _LEAST_STEPS:
        return kind.spec.held_s
    middle = next(
        step
        for step, before in zip(ordered, accumulate(steps[one] for one in ordered), strict=True)
        if 2 * before >= count
    )
    even = sum(steps[one] for one in ordered if abs(one - middle) <= _EVEN * middle)
    if even < _MOSTLY * count or middle > _LONGEST_STEP_S:
        return kind.spec.held_s
    return max(kind.spec.held_s, math.ceil(middle) + _LATE_S)


def is_resampled(kind: VitalKind) -> bool:
    """Tell whether a vital has a value at every time; intervals and blood pressure have none."""
    # A cuff measures once: holding its value would invent a level between two measurements.
    return kind is not VitalKind.RR_INTERVAL and kind.spec.option is not AnalysisOption.PRESSURE


def measured_in(connection: sqlite3.Connection, start_ms: int, end_ms: int) -> list[BidsChannel]:
    """Return the vitals and sources that have a reading in a span of time."""
    rows = connection.execute(_STEPS, (start_ms, end_ms))
    steps: dict[tuple[VitalKind, str], Counter[float]] = {}
    for kind, source, step_ms, count in rows:
        of_source = steps.setdefault((VitalKind(kind), source), Counter())
        if step_ms is not None:
            of_source[step_ms / 1000] += count
    return [BidsChannel(*key, held_seconds(key[0], own)) for key, own in steps.items()]


class Resampled:
    """Writes one recording; give it the readings in order of time.

    Args:
        file: to write into.
        channels: its columns.
        start_ms: time of the first sample, UTC milliseconds.
    """

    def __init__(self, file: IO[str], channels: Iterable[BidsChannel], start_ms: int) -> None:
        self._channels = list(channels)
        self._newest: dict[tuple[str, str], tuple[int, float]] = {}
        self._start_ms = self._next_ms = start_ms
        self._file = file

    def add(self, row: Row) -> None:
        """Take a reading, a row of ``vital.csv``."""
        at_ms = int(row["at_ms"] or 0)
        self.write_until(at_ms)
        flags = str(row["flags"] or "").split()
        key = str(row["kind"]), str(row["source"] or "")
        if UNUSABLE.isdisjoint(flags):
            # An unusable reading is passed over; the one before it is held on until it is too old.
            self._newest[key] = (at_ms, float(row["value"] or 0.0))

    def write_until(self, end_ms: int) -> None:
        """Write the samples before a time."""
        while self._next_ms < end_ms:
            cells = [self._sample(channel) for channel in self._channels]
            at = seconds(self._next_ms - self._start_ms)
            self._file.write("\t".join([*cells, at]) + "\n")
            # Sums of whole milliseconds: no error adds up over hours.
            self._next_ms = self._next_ms + _STEP_MS

    def _sample(self, channel: BidsChannel) -> str:
        at_ms, value = self._newest.get((channel.kind.value, channel.source), (-math.inf, 0.0))
        if self._next_ms - at_ms >= 1000 * channel.held_s:
            return NOT_AVAILABLE
        return _cell(value)


@contextmanager
def write_resampled(
    path: Path, channels: Sequence[BidsChannel], start_ms: int
) -> Iterator[Resampled]:
    """Write a recording, which ends in ``.tsv.gz``, and its sidecar.

    Without channels it has only the clock that the events beside it share.
    """
    with physioevents.packed_text(path) as file:
        yield Resampled(file, channels, start_ms)
    write_json(path.with_name(path.name.removesuffix(".tsv.gz") + ".json"), _sidecar(channels))


def _sidecar(channels: Sequence[BidsChannel]) -> dict[str, Any]:
    names = column_names(channels)
    flags = ", ".join(sorted(UNUSABLE))
    content: dict[str, Any] = {
        "TaskName": TASK,
        "PhysioType": "generic",
        "SamplingFrequency": 1000 / _STEP_MS,
        "StartTime": 0,
        "Columns": [*names, TIMESTAMP],
    }
    for name, channel in zip(names, channels, strict=True):
        how = _HOW.format(held=f"{channel.held_s:g}", flags=flags)
        content[name] = {
            "Description": f"{channel.kind.spec.label}. {how}",
            "Units": channel.kind.unit,
            "Source": channel.source,
        }
    content[TIMESTAMP] = {
        "Description": "Time of the sample, from the start of the session",
        "Units": "s",
    }
    return content


def _ecg_sidecar(kept: Sequence[Electrocardiogram]) -> dict[str, Any]:
    names = [f"cardiac__{place + 1}" if place else "cardiac" for place in range(len(kept))]
    content: dict[str, Any] = {
        "TaskName": TASK,
        "PhysioType": "generic",
        "SamplingFrequency": HZ,
        "StartTime": 0,
        "Columns": names,
    }
    for name, one in zip(names, kept, strict=True):
        content[name] = {
            "Description": "Electrocardiogram as the sensor sent it, on the clock of the "
            f"recording; {NOT_AVAILABLE} where nothing was kept",
            "Units": "uV",
            "Source": one.source,
        }
    return content


def column_names(channels: Iterable[BidsChannel]) -> list[str]:
    """Return the name of each column: its kind; of further sources of a kind with a number."""
    names: list[str] = []
    for channel in channels:
        # BIDS needs different names; the source of each is told in the sidecar.
        before = sum(name.partition("__")[0] == channel.kind.value for name in names)
        names.append(f"{channel.kind}__{before + 1}" if before else channel.kind.value)
    return names


@dataclass(frozen=True, slots=True)
class _Session:
    """A session as the files need it; ``end_ms`` lies far in the future while it is open."""

    label: str
    folder: Path
    stem: str
    start_ms: int
    end_ms: int


def write_dataset(source: ExportSource, root: Path) -> None:
    """Write the chosen sessions of a timeline as a BIDS data set into an empty folder.

    Rows that lie in no session, and participants without one, have no place in it.
    """
    _DataSet(source, root).write()


class _DataSet:
    def __init__(self, source: ExportSource, root: Path) -> None:
        self._source = source
        self._root = root
        self._sessions: dict[int, _Session] = {}
        self._left_out = source.of_sessions("exclusion")
        self._own_neutral = source.of_sessions("own_neutral")
        self._skin_responses = physioevents.skin_responses_of(source.appliance.tables)

    def write(self) -> None:
        rows = list(self._source.rows("session"))
        # In alphabetical order, so that labels do not tell who came first.
        labels = subject_labels(sorted({str(row["participant"]) for row in rows}))
        self._describe(rows, len(labels))
        self._participants(labels)
        for code, of_person in groupby(
            sorted(rows, key=lambda row: (str(row["participant"]), whole(row["start_ms"]))),
            lambda row: str(row["participant"]),
        ):
            self._person(labels[code], list(of_person))
        self._events()
        for table in BEH_TABLES:
            self._beh(table)
        self._electrocardiograms()
        self._dictionaries()

    def _describe(self, sessions: Sequence[Row], participants: int) -> None:
        """Write the description of the data set, for people and programs."""
        described = DepositFacts.of(self._source.appliance)
        description = {
            "Name": described.title or f"Timeline exported by {PROGRAM}",
            "BIDSVersion": BIDS_VERSION,
            "DatasetType": "raw",
            **({"Authors": [one.name for one in described.authors]} if described.authors else {}),
            **({"License": described.licence} if described.licence else {}),
            "GeneratedBy": [{"Name": PROGRAM, "Version": __version__}],
            AS_RECORDED: True,
        }
        write_json(self._root / "dataset_description.json", description)
        readme = resources.files("edge_agent.timeline.export").joinpath("scripts/BIDS.md")
        text = readme.read_text(encoding="utf-8")
        (self._root / "README.md").write_text(
            text.format(
                created=self._source.created,
                version=__version__,
                device=self._source.appliance.device,
                sessions=len(sessions),
                origins=origins_in_words(sessions) or "none",
                participants=participants,
            ),
            encoding="utf-8",
        )
        day = self._source.created[:10]
        change = f"1.0.0 {day}\n  - Exported by {PROGRAM} {__version__}.\n"
        (self._root / "CHANGES").write_text(change, encoding="utf-8")

    def _participants(self, labels: dict[str, str]) -> None:
        told: dict[str, dict[str, Value]] = {}
        for row in self._source.rows("participant_attribute"):
            told.setdefault(str(row["participant"]), {})[str(row["name"])] = row["value"]
        names = sorted({name for code in told if code in labels for name in told[code]})
        label = Column("participant_id", "string", "Label of the participant's folder")
        columns = (label, *FILES["participant"], *map(attribute_column, names))
        with (self._root / "participants.tsv").open("w", encoding="utf-8", newline="") as file:
            file.write(_heads(columns))
            for row in self._source.rows("participant"):
                code = str(row["participant"])
                if code in labels:
                    attributes = [told.get(code, {}).get(name) for name in names]
                    file.write(tsv_line([f"sub-{labels[code]}", *row.values(), *attributes]))
        write_json(self._root / "participants.json", describe_columns(columns))

    def _person(self, label: str, rows: list[Row]) -> None:
        """Make the folders of a participant, and the table of the sessions."""
        folder = self._root / f"sub-{label}"
        folder.mkdir()
        identifier = Column("session_id", "string", "Label of the session's folder")
        own = [column for column in FILES["session"] if column.name != "participant"]
        columns = (identifier, _ACQ_TIME, *own, _LEFT_OUT)
        with (folder / f"sub-{label}_sessions.tsv").open("w", encoding="utf-8") as file:
            file.write(_heads(columns))
            for place, row in enumerate(rows, start=1):
                session = self._session(folder, f"sub-{label}", f"{place}", row)
                first = (f"ses-{session.label}", iso_utc(session.start_ms))
                values = [row[column.name] for column in own]
                reasons = (
                    one["reason"]
                    for one in self._left_out.get(whole(row["session"]), ())
                    if one["start_ms"] is None
                )
                file.write(tsv_line([*first, *values, next(reasons, None)]))
        write_json(folder / f"sub-{label}_sessions.json", describe_columns(columns))

    def _session(self, folder: Path, subject: str, label: str, row: Row) -> _Session:
        number = whole(row["session"])
        beh = folder / f"ses-{label}" / "beh"
        beh.mkdir(parents=True)
        stem = f"{subject}_ses-{label}_task-{TASK}"
        end_ms = _FOREVER_MS if row["end_ms"] is None else whole(row["end_ms"])
        made = _Session(label, beh, stem, whole(row["start_ms"]), end_ms)
        self._sessions[number] = made
        return made

    def _events(self) -> None:
        """Write the markers of every session, and the stretches of it that are left out or whose
        labels are shifted; without any, a file has only its header.
        """
        markers = self._source.of_sessions("marker")
        for number, session in self._sessions.items():
            path = session.folder / f"{session.stem}_events.tsv"
            with path.open("w", encoding="utf-8", newline="") as file:
                file.write(_heads(COLUMNS))
                events = events_of(markers.get(number, []))
                for row in self._left_out.get(number, ()):
                    if row["start_ms"] is not None:
                        at_ms = whole(row["start_ms"])
                        lasted_ms = whole(row["end_ms"]) - at_ms
                        events.append(BidsEvent(at_ms, lasted_ms, LEFT_OUT, str(row["reason"])))
                end_ms = None if session.end_ms == _FOREVER_MS else session.end_ms
                shifts = (shift_of(row, end_ms) for row in self._own_neutral.get(number, ()))
                events += filter(None, shifts)
                for event in sorted(events, key=attrgetter("at_ms")):
                    file.write(_event(event, session.start_ms))

    def _dictionaries(self) -> None:
        """Write the data dictionaries of the existing tables; they apply to all sessions."""
        task = {"TaskName": TASK, "TaskDescription": _TASK_DESCRIPTION}
        if self._sessions:
            write_json(self._root / f"task-{TASK}_events.json", describe_columns(COLUMNS))
        if any(self._root.glob("sub-*/ses-*/beh/*_physioevents.tsv.gz")):
            write_json(
                self._root / f"task-{TASK}_recording-{RESAMPLED}_physioevents.json",
                self._about_physioevents(),
            )
        for table, label in BEH_TABLES.items():
            if not any(self._root.glob(f"sub-*/ses-*/beh/*_acq-{label}_beh.tsv")):
                continue
            columns = _columns(table)
            content: dict[str, Any] = task | describe_columns(columns)
            if table == "expression":
                content[MODELS] = list(self._source.rows("model"))
                content["Settings"] = dict(self._source.appliance.settings)
            write_json(self._root / f"task-{TASK}_acq-{label}_beh.json", content)

    def _beh(self, table: str) -> None:
        """Write one table below ``beh`` of each session that has rows of it."""
        match table:
            case "vital":
                self._vitals()
            case "gap":
                self._gaps()
            case "own_neutral":
                self._own_neutrals()
            case _:
                self._plain(table)

    def _plain(self, table: str) -> None:
        for session, rows in self._by_session(table):
            with _open_table(session, table) as file:
                file.writelines(_line(table, row, session) for row in rows)

    def _about_physioevents(self) -> dict[str, Any]:
        threshold = self._source.appliance.question.get("scr_threshold")
        has_skin = physioevents.SKIN_RESPONSES in self._source.appliance.tables
        about = physioevents.sidecar(describe_columns(physioevents.COLUMNS), has_skin=has_skin)
        if has_skin and threshold is not None:
            about["SkinResponseThreshold"] = threshold
        return about

    def _vitals(self) -> None:
        """Write the readings as they were measured, resampled, and the beats as events."""
        markers = self._source.of_sessions("marker")
        for number, rows in self._by_number("vital"):
            session = self._sessions[number]
            responses = self._skin_responses.get(number, [])
            marked = map(_physio_event, events_of(markers.get(number, [])))
            others = physioevents.merge_events(responses, sorted(marked, key=attrgetter("at_ms")))
            with ExitStack() as stack:
                file = stack.enter_context(_open_table(session, "vital"))
                even, events = self._recording(stack, session, others, has_skin=bool(responses))
                last_ms = session.start_ms
                for row in rows:
                    file.write(_line("vital", row, session))
                    last_ms = whole(row["at_ms"])
                    if even is not None:
                        even.add(row)
                    if events is not None and physioevents.is_beat(row):
                        events.add(physioevents.beat_of(row))
                if even is not None:
                    # The second of the last reading is written, too.
                    even.write_until(last_ms + 1)
                if events is not None:
                    events.finish()

    def _recording(
        self, stack: ExitStack, session: _Session, others: Iterable[PhysioEvent], *, has_skin: bool
    ) -> tuple[Resampled | None, PhysioEvents | None]:
        """Open the recording of a session and its events, as far as it has any."""
        measured = measured_in(self._source.connection, session.start_ms, session.end_ms)
        channels = [one for one in measured if is_resampled(one.kind)]
        has_events = has_skin or any(one.kind is VitalKind.RR_INTERVAL for one in measured)
        if not (channels or has_events):
            return None, None
        stem = session.folder / f"{session.stem}_recording-{RESAMPLED}"
        even = stack.enter_context(
            write_resampled(Path(f"{stem}_physio.tsv.gz"), channels, session.start_ms)
        )
        if not has_events:
            return even, None
        path = Path(f"{stem}_physioevents.tsv.gz")
        file = stack.enter_context(physioevents.packed_text(path))
        return even, PhysioEvents(file, session.start_ms, others, tsv_line)

    def _electrocardiograms(self) -> None:
        """Write the electrocardiogram of each session that has one, from the session's start on."""
        spans = {number: (one.start_ms, one.end_ms) for number, one in self._sessions.items()}
        for number, kept in electrocardiograms_of(self._source, spans):
            session = self._sessions[number]
            lasted_ms = max(one.ended_ms for one in kept) - session.start_ms
            count = math.floor(lasted_ms * HZ / 1000) + 1
            stem = session.folder / f"{session.stem}_recording-ecg_physio"
            columns = [one.sample(session.start_ms, count) for one in kept]
            with physioevents.packed_text(Path(f"{stem}.tsv.gz")) as file:
                # Block by block: as objects, the numbers of a day need four times their memory.
                for first in range(0, count, _ECG_BLOCK):
                    block = (column[first : first + _ECG_BLOCK].tolist() for column in columns)
                    for values in zip(*block, strict=True):
                        cells = (
                            NOT_AVAILABLE if math.isnan(one) else f"{one:.0f}" for one in values
                        )
                        file.write("\t".join(cells) + "\n")
            write_json(Path(f"{stem}.json"), _ecg_sidecar(kept))

    def _gaps(self) -> None:
        """Write the gaps that reach into a session, cut to it."""
        rows = list(self._source.rows("gap"))
        for session in self._sessions.values():
            met = [
                row
                for row in rows
                if whole(row["start_ms"]) < session.end_ms
                and whole(row["end_ms"]) > session.start_ms
            ]
            if met:
                with _open_table(session, "gap") as file:
                    file.writelines(_line("gap", row, session) for row in met)

    def _own_neutrals(self) -> None:
        """Write what became of the own neutral of each session that has one."""
        for number, rows in self._own_neutral.items():
            session = self._sessions[number]
            with _open_table(session, "own_neutral") as file:
                file.writelines(_line("own_neutral", row, session) for row in rows)

    def _by_session(self, table: str) -> Iterator[tuple[_Session, Iterator[Row]]]:
        for number, rows in self._by_number(table):
            yield self._sessions[number], rows

    def _by_number(self, table: str) -> Iterator[tuple[int, Iterator[Row]]]:
        """Yield each session with its rows, which are consecutive: sessions do not overlap."""
        # ``groupby`` reads a table once, and never holds a session of it in memory.
        for number, rows in groupby(self._source.rows(table), lambda row: row["session"]):
            if number is not None and whole(number) in self._sessions:
                yield whole(number), rows


def _columns(table: str) -> tuple[Column, ...]:
    """Return all columns of a table below ``beh``."""
    if table == "own_neutral":
        return (*NEUTRAL_TIMES.values(), *beh_columns(table))
    first = (_ONSET, _DURATION) if table == "gap" else (_ONSET,)
    return first + beh_columns(table)


@contextmanager
def _open_table(session: _Session, table: str) -> Iterator[IO[str]]:
    """Open a table below ``beh``, with its heads.

    It is opened again where two sessions meet in one moment.
    """
    path = session.folder / f"{session.stem}_acq-{BEH_TABLES[table]}_beh.tsv"
    is_new = not path.exists()
    # Appended, for rows of two sessions may alternate where they meet.
    with path.open("a", encoding="utf-8", newline="") as file:
        if is_new:
            file.write(_heads(_columns(table)))
        yield file


def _line(table: str, row: Row, session: _Session) -> str:
    """Return a row as a line; a gap is cut to its session."""
    if table == "gap":
        start_ms = max(session.start_ms, whole(row["start_ms"]))
        end_ms = min(session.end_ms, whole(row["end_ms"]))
        times = [seconds(start_ms - session.start_ms), seconds(end_ms - start_ms)]
    elif table == "own_neutral":
        given = (row[name] for name in NEUTRAL_TIMES)
        times = [
            NOT_AVAILABLE if at is None else seconds(whole(at) - session.start_ms) for at in given
        ]
    else:
        times = [seconds(whole(row["at_ms"]) - session.start_ms)]
    rest = (row[column.name] for column in beh_columns(table))
    return "\t".join(times) + "\t" + tsv_line(rest)


def _kind_of(event: BidsEvent) -> str:
    """Return the kind under which an event stands: what a protocol noted is nobody's note."""
    is_own = event.marker == MarkerKind.NOTE and event.label.startswith(OF_PROTOCOL)
    return PROTOCOL if is_own else event.marker


def _physio_event(event: BidsEvent) -> PhysioEvent:
    return PhysioEvent(event.at_ms, event.lasted_ms, _kind_of(event), event.label)


def _event(event: BidsEvent, start_ms: int) -> str:
    """Return an event as a line."""
    is_stimulus = event.marker is MarkerKind.STIMULUS_START
    lasted = NOT_AVAILABLE if event.lasted_ms is None else seconds(event.lasted_ms)
    times = f"{seconds(event.at_ms - start_ms)}\t{lasted}\t"
    return times + tsv_line([event.label if is_stimulus else None, _kind_of(event), event.label])


def _heads(columns: Iterable[Column]) -> str:
    return tsv_line(column.name for column in columns)


BIDS = TreeFormat(
    name="bids",
    label="BIDS (zip)",
    summary="a data set after the Brain Imaging Data Structure",
    description=N_(
        "A data set for archives such as OpenNeuro and programs that read BIDS; sessions only."
    ),
    audience=Audience.ARCHIVES,
    suffix=".bids.zip",
    media_type="application/zip",
    position=45,
    computed=frozenset({Computed.SKIN_RESPONSES}),
    write_tree=write_dataset,
)
