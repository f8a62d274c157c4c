"""Writes a BIDS data set: a folder for each participant and session, tables below ``beh``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from itertools import groupby
from pathlib import Path
from typing import IO, Any

from edge_agent import __version__
from edge_agent.core.clock import iso_utc
from edge_agent.core.study import MarkerKind
from edge_agent.store.export.bids.cells import described, tsv_line, write_json
from edge_agent.store.export.bids.events import COLUMNS, Event, events_of
from edge_agent.store.export.bids.names import (
    BEH_TABLES,
    MODELS,
    NOT_AVAILABLE,
    PROGRAM,
    RESAMPLED,
    TASK,
    attribute_column,
    beh_columns,
    seconds,
    subject_labels,
)
from edge_agent.store.export.bids.resampled import channels_of, resampled
from edge_agent.store.export.rows.columns import FILES, Column
from edge_agent.store.export.rows.typed import Row, Value
from edge_agent.store.export.source import ExportSource

BIDS_VERSION = "1.9.0"
_ONSET = Column("onset", "number", "When, from the start of the session", "s")
_DURATION = Column("duration", "number", "How long", "s")
_ACQ_TIME = Column("acq_time", "datetime", "Start of the session, UTC: onsets count from here")
_TASK_DESCRIPTION = "What was shown or asked stands in the labels of the events."
_FOREVER_MS = 2**62


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

    def write(self) -> None:
        rows = list(self._source.rows("session"))
        labels = subject_labels(sorted({str(row["participant"]) for row in rows}))
        self._describe(len(rows), len(labels))
        self._participants(labels)
        for code, of_person in groupby(
            sorted(rows, key=lambda row: (str(row["participant"]), _number(row["start_ms"]))),
            lambda row: str(row["participant"]),
        ):
            self._person(labels[code], list(of_person))
        self._events()
        for table in ("self_report", "expression", "unfit"):
            self._beh(table)
        self._vitals()
        self._gaps()
        self._dictionaries()

    def _describe(self, sessions: int, participants: int) -> None:
        """Write what the data set is, for people and programs."""
        name = f"Timeline recorded by {PROGRAM}"
        description = {
            "Name": name,
            "BIDSVersion": BIDS_VERSION,
            "DatasetType": "raw",
            "GeneratedBy": [{"Name": PROGRAM, "Version": __version__}],
        }
        write_json(self._root / "dataset_description.json", description)
        text = resources.files("edge_agent.store.export").joinpath("scripts/BIDS.md").read_text()
        (self._root / "README.md").write_text(
            text.format(
                created=self._source.created,
                version=__version__,
                device=self._source.appliance.device,
                sessions=sessions,
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
        write_json(self._root / "participants.json", described(columns))

    def _person(self, label: str, rows: list[Row]) -> None:
        """Make the folders of a participant, and the table of the sessions."""
        folder = self._root / f"sub-{label}"
        folder.mkdir()
        identifier = Column("session_id", "string", "Label of the session's folder")
        own = [column for column in FILES["session"] if column.name != "participant"]
        columns = (identifier, _ACQ_TIME, *own)
        with (folder / f"sub-{label}_sessions.tsv").open("w", encoding="utf-8") as file:
            file.write(_heads(columns))
            for place, row in enumerate(rows, start=1):
                session = self._session(folder, f"sub-{label}", f"{place}", row)
                values = [row[column.name] for column in own]
                file.write(tsv_line([f"ses-{session.label}", iso_utc(session.start_ms), *values]))
        write_json(folder / f"sub-{label}_sessions.json", described(columns))

    def _session(self, folder: Path, subject: str, label: str, row: Row) -> _Session:
        number = _number(row["session"])
        beh = folder / f"ses-{label}" / "beh"
        beh.mkdir(parents=True)
        stem = f"{subject}_ses-{label}_task-{TASK}"
        end_ms = _FOREVER_MS if row["end_ms"] is None else _number(row["end_ms"])
        made = _Session(label, beh, stem, _number(row["start_ms"]), end_ms)
        self._sessions[number] = made
        return made

    def _events(self) -> None:
        """Write the markers of every session; a session without one has the line of heads."""
        markers: dict[int, list[Row]] = {}
        for row in self._source.rows("marker"):
            markers.setdefault(_number(row["session"]), []).append(row)
        for number, session in self._sessions.items():
            path = session.folder / f"{session.stem}_events.tsv"
            with path.open("w", encoding="utf-8", newline="") as file:
                file.write(_heads(COLUMNS))
                for event in events_of(markers.get(number, [])):
                    file.write(_event(event, session.start_ms))

    def _dictionaries(self) -> None:
        """Write the data dictionaries of the tables that there are; they hold for all sessions."""
        task = {"TaskName": TASK, "TaskDescription": _TASK_DESCRIPTION}
        if self._sessions:
            write_json(self._root / f"task-{TASK}_events.json", described(COLUMNS))
        for table, label in BEH_TABLES.items():
            if not any(self._root.glob(f"sub-*/ses-*/beh/*_acq-{label}_beh.tsv")):
                continue
            columns = _columns(table)
            content: dict[str, Any] = task | described(columns)
            if table == "expression":
                content[MODELS] = list(self._source.rows("model"))
                content["Settings"] = dict(self._source.appliance.settings)
            write_json(self._root / f"task-{TASK}_acq-{label}_beh.json", content)

    def _beh(self, table: str) -> None:
        """Write one table below ``beh`` of each session that has rows of it."""
        for session, rows in self._by_session(table):
            with _opened(session, table) as file:
                file.writelines(_line(table, row, session) for row in rows)

    def _vitals(self) -> None:
        """Write the readings as they were measured, and resampled."""
        for session, rows in self._by_session("vital"):
            channels = channels_of(self._source.connection, session.start_ms, session.end_ms)
            path = session.folder / f"{session.stem}_recording-{RESAMPLED}_physio.tsv.gz"
            with (
                _opened(session, "vital") as file,
                resampled(path, channels, session.start_ms) as even,
            ):
                last_ms = session.start_ms
                for row in rows:
                    file.write(_line("vital", row, session))
                    last_ms = _number(row["at_ms"])
                    if even is not None:
                        even.take(row)
                if even is not None:
                    even.write_until(last_ms + 1)

    def _gaps(self) -> None:
        """Write the gaps that reach into a session, cut to it."""
        rows = list(self._source.rows("gap"))
        for session in self._sessions.values():
            met = [
                row
                for row in rows
                if _number(row["start_ms"]) < session.end_ms
                and _number(row["end_ms"]) > session.start_ms
            ]
            if met:
                with _opened(session, "gap") as file:
                    file.writelines(_line("gap", row, session) for row in met)

    def _by_session(self, table: str) -> Iterator[tuple[_Session, Iterator[Row]]]:
        """Yield each session with its rows, which lie together, for sessions do not overlap."""
        for number, rows in groupby(self._source.rows(table), lambda row: row["session"]):
            if number is not None and _number(number) in self._sessions:
                yield self._sessions[_number(number)], rows


def _columns(table: str) -> tuple[Column, ...]:
    """Return all columns of a table below ``beh``."""
    first = (_ONSET, _DURATION) if table == "gap" else (_ONSET,)
    return first + beh_columns(table)


@contextmanager
def _opened(session: _Session, table: str) -> Iterator[IO[str]]:
    """Open a table below ``beh``, with its heads.

    It is opened again where two sessions meet in one moment.
    """
    path = session.folder / f"{session.stem}_acq-{BEH_TABLES[table]}_beh.tsv"
    is_new = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        if is_new:
            file.write(_heads(_columns(table)))
        yield file


def _line(table: str, row: Row, session: _Session) -> str:
    """Return a row as a line; a gap is cut to its session."""
    if table == "gap":
        start_ms = max(session.start_ms, _number(row["start_ms"]))
        end_ms = min(session.end_ms, _number(row["end_ms"]))
        times = [seconds(start_ms - session.start_ms), seconds(end_ms - start_ms)]
    else:
        times = [seconds(_number(row["at_ms"]) - session.start_ms)]
    rest = (row[column.name] for column in beh_columns(table))
    return "\t".join(times) + "\t" + tsv_line(rest)


def _event(event: Event, start_ms: int) -> str:
    """Return an event as a line."""
    is_stimulus = event.marker is MarkerKind.STIMULUS_START
    lasted = NOT_AVAILABLE if event.lasted_ms is None else seconds(event.lasted_ms)
    times = f"{seconds(event.at_ms - start_ms)}\t{lasted}\t"
    return times + tsv_line([event.label if is_stimulus else None, event.marker.value, event.label])


def _heads(columns: Iterable[Column]) -> str:
    return tsv_line(column.name for column in columns)


def _number(value: Value) -> int:
    """Return a whole number of a row."""
    if not isinstance(value, int):
        raise TypeError(f"{value!r} is no whole number")
    return value
