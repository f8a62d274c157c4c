"""Reading the tables of a study from a BIDS data set, and placing its sessions in time.

The files count seconds from the start of a recording. The column ``acq_time`` in the tables of
sessions or scans holds that start. If it is missing, or was moved before the year 2000 for
anonymity, the person who imports states when the first session began.
"""

from __future__ import annotations

import math
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from edge_agent.core.bounds import STEPS_KEPT, add_work
from edge_agent.core.clock import iso_utc
from edge_agent.core.csv_cells import strip_guard
from edge_agent.core.errors import DataFileError, ReadingError
from edge_agent.core.given_readings import is_no_value
from edge_agent.core.readings import VitalFlag, time_ms
from edge_agent.core.sample_means import SampleMeans, TimedSample
from edge_agent.core.study import MarkerKind, attribute_of
from edge_agent.core.vitals import UnitConversion, VitalKind
from edge_agent.timeline.export.bids import (
    AS_RECORDED,
    BEH_TABLES,
    LEFT_OUT,
    LINE_BREAK,
    MODELS,
    NEUTRAL_TIMES,
    PROGRAM,
    SHIFTED,
)
from edge_agent.timeline.export.bids_physioevents import PROTOCOL, TIMESTAMP
from edge_agent.timeline.export.table_schemas import FILES
from edge_agent.timeline.intake import bids_files
from edge_agent.timeline.intake.bids_files import BidsFile, BidsRecording, Node, number, tsv_rows
from edge_agent.timeline.intake.cells import SourceRow
from edge_agent.timeline.intake.tidy import TABLES

TIMES_ARE_TOLD = (
    "--starting: every session of these files has its own time, which an import does not change. "
    "Run the import without --starting."
)
_APART_MS = 3_600_000
_OTHER_UNIT = 100
"""Events that reach so many times further than samples beside them count in another unit."""
_LONG_S = 86_400
"""Events without samples beside them that reach so far may count in another unit: a day."""
_SHORTEST_MS = 1_000
_BETWEEN_MS = 1_000
_SESSION = re.compile(r"ses-[0-9A-Za-z]+", re.ASCII)
_PEOPLE = "participants.tsv"
_NO_ATTRIBUTES = {"participant_id", *(column.name for column in FILES["participant"])}


@dataclass(frozen=True, slots=True)
class PlacedFile:
    """A file, and when its second 0 was, UTC milliseconds."""

    file: BidsFile
    zero_ms: int


@dataclass(slots=True)
class BidsSession:
    """A session of a data set.

    Attributes:
        subject: label of its participant's folder.
        name: label of its own folder; empty where there is none.
        path: of the folder.
        told: what the table of sessions says of it.
        line: where; ``None``: nowhere.
        start_ms: its start, UTC milliseconds.
        end_ms: its end.
        files: its files.
        is_invented: whether its time was not told.
        farthest: the last second of a file of events that reaches farther than a day, with no
            samples beside it, and the file.
    """

    subject: str
    name: str
    path: str
    told: Mapping[str, str]
    line: int | None
    start_ms: int = 0
    end_ms: int = 0
    files: list[PlacedFile] = field(default_factory=list)
    is_invented: bool = False
    farthest: tuple[float, str] | None = None

    @property
    def number(self) -> str:
        """Its number, where the data set is ours; else empty."""
        return self.told.get("session", "")


def place_sessions(
    root: Node, files: Iterable[BidsFile], first_ms: int | None, zone: tzinfo
) -> list[BidsSession]:
    """Return the sessions of a data set, placed in time.

    Args:
        root: the data set.
        files: those of all participants, in order.
        first_ms: when the first session of which no time is told began.
        zone: time zone of times without one.

    Raises:
        DataFileError: a session tells no time, and ``first_ms`` is not there either, or it is there
            and every session tells its time.
    """
    places = []
    next_ms = first_ms
    # They tell of sessions, and are read where a session is placed.
    data = [file for file in files if file.suffix not in {"sessions", "scans"}]
    key = _session_of
    for (subject, name), group in groupby(sorted(data, key=key), key):
        place = _place(root, subject, name)
        members = list(group)
        # Only data sets of ours have this column.
        if "start_at" in place.told:
            _put_as_told(place, members, zone)
        else:
            start_ms = _told_start(root, place, zone)
            if start_ms is None:
                start_ms = _needed(next_ms, place)
                place.is_invented = True
            _put(place, members, start_ms, _scans(root, place, zone))
            if place.is_invented:
                # From the end of the one before: sessions must not overlap.
                next_ms = place.end_ms + _APART_MS
        places.append(place)
    if first_ms is not None and not any(place.is_invented for place in places):
        raise DataFileError(TIMES_ARE_TOLD)
    return places


def _session_of(file: BidsFile) -> tuple[str, str]:
    return file.entities.get("sub", ""), file.entities.get("ses", "")


def _needed(first_ms: int | None, place: BidsSession) -> int:
    if first_ms is None:
        raise DataFileError(
            f"{place.path}: tells no time from the year 2000 on (acq_time in the table of sessions "
            "or scans). Say when the first session began: --starting TIME. The others then follow "
            "an hour apart."
        )
    return first_ms


def _place(root: Node, subject: str, name: str) -> BidsSession:
    """Return a session with its fields from the table of sessions."""
    path = f"sub-{subject}/ses-{name}" if name else f"sub-{subject}"
    table = root / f"sub-{subject}" / f"sub-{subject}_sessions.tsv"
    if name and table.is_file():
        for line, cells in tsv_rows(table, table.name):
            if cells.get("session_id") == f"ses-{name}":
                return BidsSession(subject, name, path, cells, line)
    return BidsSession(subject, name, path, {}, None)


def _put_as_told(place: BidsSession, files: Iterable[BidsFile], zone: tzinfo) -> None:
    """Place a session of ours: all its files count from its start."""
    start_ms = _time(place.told["start_at"], zone)
    end_ms = _time(place.told.get("end_at", ""), zone)
    if start_ms is None:
        raise DataFileError(f"{place.path}: start_at is no time. Export the data set again.")
    place.start_ms = start_ms
    place.end_ms = start_ms if end_ms is None else end_ms
    place.files = [PlacedFile(file, start_ms) for file in files]


def _put(
    place: BidsSession, files: Iterable[BidsFile], start_ms: int, scans: Mapping[str, int]
) -> None:
    """Place a session whose files count from the start of their own recordings.

    Files with the same task and run are one recording. A recording without a time is placed one
    second after the one before it.
    """
    place.start_ms = start_ms
    free_ms = start_ms
    for name, group in groupby(sorted(files, key=_recording), _recording):
        members = list(group)
        extents = [bids_files.extent(file) for file in members]
        _refuse_other_units(members, extents)
        if place.farthest is None:
            place.farthest = _unchecked_end(members, extents)
        # A recording may begin before its second 0.
        first_ms = round(1000 * min(first for first, _ in extents))
        last_ms = round(1000 * max(last for _, last in extents))
        # Without a time of its own, it follows the one before it.
        zero_ms = scans.get(name, free_ms - first_ms)
        place.start_ms = min(place.start_ms, zero_ms + first_ms)
        place.files += [PlacedFile(file, zero_ms) for file in members]
        free_ms = max(free_ms, zero_ms + last_ms + _BETWEEN_MS)
    # A session needs a length, even if all in it happened at once.
    place.end_ms = max(free_ms, place.start_ms + _SHORTEST_MS)


def _refuse_other_units(files: Sequence[BidsFile], extents: Sequence[tuple[float, float]]) -> None:
    """Refuse a recording whose events do not count in seconds, as its samples show.

    Raises:
        DataFileError: they reach so much further than all that was sampled.
    """
    both = list(zip(files, extents, strict=True))
    ends = [end for file, (_, end) in both if bids_files.recording_of(file) and end > 0]
    for file, (_, end) in both:
        if bids_files.is_events(file) and ends and end > _OTHER_UNIT * max(ends):
            raise DataFileError(
                f"{file.path}: its events reach to second {end:g}, and the samples of the same "
                f"recording end at second {max(ends):g}: onset and duration are seconds in BIDS. "
                "Divide milliseconds by 1000. Nothing was imported."
            )


def _unchecked_end(
    files: Sequence[BidsFile], extents: Sequence[tuple[float, float]]
) -> tuple[float, str] | None:
    """Return the end of events that last longer than a day, and their file.

    ``None``: there are none, or samples beside them show their unit.
    """
    if any(bids_files.recording_of(file) for file in files):
        return None
    both = zip(files, extents, strict=True)
    return next(
        (
            (end, file.path)
            for file, (_, end) in both
            if end > _LONG_S and bids_files.is_events(file)
        ),
        None,
    )


def _recording(file: BidsFile) -> str:
    return f"{file.entities.get('task', '')} {file.entities.get('run', '')}"


def _told_start(root: Node, place: BidsSession, zone: tzinfo) -> int | None:
    """Return the start of a session from the table of sessions or of scans."""
    told = _time(place.told.get("acq_time", ""), zone)
    if told is None:
        return min(_scans(root, place, zone).values(), default=None)
    return told


def _scans(root: Node, place: BidsSession, zone: tzinfo) -> dict[str, int]:
    """Return when each recording of a session began, by the table of its scans."""
    folder = root / f"sub-{place.subject}"
    stem = f"sub-{place.subject}"
    if place.name:
        folder = folder / f"ses-{place.name}"
        stem = f"{stem}_ses-{place.name}"
    table = folder / f"{stem}_scans.tsv"
    starts: dict[str, int] = {}
    if not table.is_file():
        return starts
    for line, cells in tsv_rows(table, table.name):
        at_ms = _time(cells.get("acq_time", ""), zone)
        parts = cells.get("filename", "").rpartition("/")[2].partition(".")[0].split("_")
        entities = dict(part.split("-", 1) for part in parts if "-" in part)
        if entities.get("sub", place.subject) != place.subject:
            raise DataFileError(
                f"{table.name}, line {line}, column filename: {cells['filename']!r} is a file of "
                f"sub-{entities['sub']}, in a table of sub-{place.subject}. Correct one of the "
                "two. Nothing was imported."
            )
        name = f"{entities.get('task', '')} {entities.get('run', '')}"
        if at_ms is not None:
            # Several files of one recording have a row each; they began with the first.
            starts[name] = min(at_ms, starts.get(name, at_ms))
    return starts


def _time(text: str, zone: tzinfo) -> int | None:
    """Return UTC milliseconds; ``None`` for no time, or one that was moved for anonymity."""
    try:
        return time_ms(text, zone) if text else None
    except ReadingError:
        return None


def told_of(places: Iterable[BidsSession]) -> list[str]:
    """Return notes about the times of the sessions, as sentences."""
    notes = []
    places = list(places)
    invented = [place for place in places if place.is_invented]
    if invented:
        notes.append(
            f"The data set tells no time of {len(invented)} sessions: they stand an hour apart "
            f"from {iso_utc(invented[0].start_ms)} on. Their dates mean nothing."
        )
    long = [place.farthest for place in places if place.farthest is not None]
    if long:
        end, path = long[0]
        notes.append(
            f"The events of {len(long)} sessions last longer than a day, such as {path} to second "
            f"{end:g}: onset and duration are seconds in BIDS. Divide milliseconds by 1000 and "
            "import the data set anew."
        )
    return notes


class BidsSource:
    """A BIDS data set, in a folder or a zip.

    Participants, sessions, events as markers, readings of evenly sampled recordings, and, in data
    sets of ours, the tables below ``beh``: where a session has its readings there, its resampled
    recording is not read.

    Args:
        path: the folder or zip.
        root: the data set in it.
        first_ms: when the first session of which the data set tells no time began.
        zone: time zone of times without one; ``None``: UTC.

    Raises:
        DataFileError: it cannot be read, or tells no times.
    """

    def __init__(
        self, path: Path, root: Node, first_ms: int | None = None, zone: tzinfo | None = None
    ) -> None:
        self.name = path.name
        self._root = root
        self._files = list(bids_files.data_files(root))
        description = bids_files.read_json(root / bids_files.DESCRIPTION)
        self._is_ours = _is_ours(description)
        self._is_guarded = self._is_ours and description.get(AS_RECORDED) is not True
        self._places = place_sessions(root, self._files, first_ms, zone or UTC)
        self._codes = self._read_codes()
        self._unread: dict[str, _Unread] = {}
        # Tables of a place of their own; all others lie below ``beh`` under their own name.
        self._read: dict[str, Callable[[], Iterator[SourceRow]]] = {
            "participant": self._participants,
            "participant_attribute": self._attributes,
            "session": self._sessions,
            "exclusion": self._exclusions,
            "marker": self._markers,
            "own_neutral": self._own_neutrals,
            "vital": self._vitals,
            "model": self._models,
        }

    def tables(self) -> tuple[str, ...]:
        """Return which tables there are."""
        there = {"session", *(bids_files.table_of(file) or "" for file in self._files)}
        if (self._root / _PEOPLE).is_file():
            there |= {"participant", "participant_attribute"}
        if any(bids_files.is_events(file) for file in self._files):
            there.add("marker")
        if any(bids_files.recording_of(file) for file in self._files):
            there.add("vital")
        if self._is_ours:
            there |= {"exclusion", "model"}
        return tuple(table for table in TABLES if table in there)

    def columns(self, table: str) -> frozenset[str]:
        """Return the names of all columns in the files of a table."""
        tables = (file for file in self._files if bids_files.table_of(file) == table)
        names: set[str] = set()
        for file in tables:
            # The first row names all columns; a table without rows has none that matter.
            names.update(next(tsv_rows(file.node, file.path), (0, {}))[1])
        return frozenset(names)

    def rows(self, table: str) -> Iterator[SourceRow]:
        """Yield the rows of a table; times are milliseconds.

        Raises:
            DataFileError: a file cannot be read, or a time is no number.
        """
        if table in self._read:
            return self._read[table]()
        return self._beh(table)

    def labels(self) -> Mapping[str, str]:
        """Return the labels of the participants' folders → code."""
        return self._codes

    def passed_over(self) -> tuple[str, ...]:
        """Return the files that are not read, by what they are, and how many."""
        unread = [
            file
            for file in self._files
            if file.ending != ".json"
            # of ours: what stands in the tables below ``beh`` and is computed of them again
            and not (self._is_ours and file.suffix == "physioevents")
            and file.suffix not in {"sessions", "scans"}
            and not bids_files.is_events(file)
            and bids_files.table_of(file) is None
            and bids_files.recording_of(file) is None
        ]
        counts = Counter(f"*_{file.suffix}{file.ending}" for file in unread)
        reasons: dict[str, str] = {}
        for file in unread:
            if why := bids_files.why_unread(file):
                reasons.setdefault(
                    f"*_{file.suffix}{file.ending}", f" (such as {file.path}: {why})"
                )
        columns = Counter(
            f"column {column} in"
            for file in self._files
            for column in bids_files.unread_columns(file)
            if not (self._is_ours and column == TIMESTAMP)
        )
        return (
            *(
                f"{count} of {name}{reasons.get(name, '')}"
                for name, count in sorted(counts.items())
            ),
            *(f"{name} {count} of *_physio.tsv.gz" for name, count in sorted(columns.items())),
        )

    def notes(self) -> list[str]:
        """Return notes about the data set, as sentences."""
        notes = told_of(self._places)
        for why, unread in self._unread.items():
            notes.append(
                f"Events that are not read: {unread.count}; the first in {unread.path}, line "
                f"{unread.line}. {why}"
            )
        return notes

    def _participants(self) -> Iterator[SourceRow]:
        with_sessions = {place.subject for place in self._places}
        # People without a session have nothing to import.
        for line, cells in tsv_rows(self._root / _PEOPLE, _PEOPLE):
            given = cells.get("participant_id", "")
            if given.removeprefix("sub-") in with_sessions:
                code = cells.get("participant") or given
                yield self._row(_PEOPLE, line, cells | {"participant": code}, _PEOPLE)

    def _attributes(self) -> Iterator[SourceRow]:
        """Yield attributes from the columns of the table of participants that are not ours."""
        for person in self._participants():
            for column, value in person.cells.items():
                if value and column not in _NO_ATTRIBUTES:
                    name, told = attribute_of(column, value)
                    cells = {"participant": person.cells["participant"], "name": name}
                    yield self._row(_PEOPLE, person.line, cells | {"value": told}, "attributes")

    def _read_codes(self) -> dict[str, str]:
        """Return the code of each participant, by the label of the folder."""
        codes = {place.subject: f"sub-{place.subject}" for place in self._places}
        if (self._root / _PEOPLE).is_file():
            for _, cells in tsv_rows(self._root / _PEOPLE, _PEOPLE):
                label = cells.get("participant_id", "").removeprefix("sub-")
                add_work(STEPS_KEPT)
                codes[label] = cells.get("participant") or f"sub-{label}"
        return codes

    def _numbers(self) -> Iterator[tuple[str, BidsSession]]:
        """Yield each session with its number: its own, else by its place."""
        for count, place in enumerate(self._places, start=1):
            yield place.number or str(count), place

    def _sessions(self) -> Iterator[SourceRow]:
        for session, place in self._numbers():
            cells = {
                "name": f"ses-{place.name}" if place.name else "",
                "start_at": iso_utc(place.start_ms),
                "end_at": iso_utc(place.end_ms),
            }
            # Where the times were told, the table's own fields are more exact than what was
            # computed.
            known = dict(place.told) if "start_at" in place.told else {}
            about = {"session": session, "participant": self._codes[place.subject]}
            about |= _people_in(place.told)
            yield self._row(place.path, place.line, cells | known | about, "sessions")

    def _exclusions(self) -> Iterator[SourceRow]:
        """Yield the sessions, and stretches of them, that the analysis leaves out."""
        for session, place in self._numbers():
            if reason := place.told.get(LEFT_OUT):
                about = {"session": session, "reason": reason}
                yield self._row(place.path, place.line, about, "exclusion")
            for placed in place.files:
                if bids_files.is_events(placed.file):
                    yield from self._beh_file(placed, session, "exclusion")

    def _markers(self) -> Iterator[SourceRow]:
        """Yield the markers of each session in order of time."""
        self._unread.clear()
        for session, place in self._numbers():
            yield from _in_order(self._events_of(place, session))

    def _events_of(self, place: BidsSession, session: str) -> Iterator[_Event]:
        """Yield the markers of a session, file by file."""
        count = 0
        for placed in place.files:
            if bids_files.is_events(placed.file):
                before = count
                for event in self._events(placed, session, before):
                    count = count + 1
                    yield event

    def _events(self, placed: PlacedFile, session: str, before: int) -> Iterator[_Event]:
        """Yield time, order at that time, and row of each marker of a file.

        A stimulus that lasts has an end, which comes before what begins in the same moment.
        """
        file = placed.file
        for line, cells in tsv_rows(file.node, file.path):
            kind, label = _marker(cells)
            if self._is_ours and kind in {LEFT_OUT, SHIFTED}:
                continue
            if why := _why_no_event(cells, label):
                self._unread.setdefault(why, _Unread(file.path, line)).count += 1
                continue
            if self._is_ours and kind == PROTOCOL:
                kind = MarkerKind.NOTE.value
            onset = number(cells, "onset", file, line)
            at_ms = placed.zero_ms + round(1000 * onset)
            # Lines of several files count on, so that equal times keep the order of the files.
            order = float(before + line)
            about = _in_session(file, line, cells, session)
            about |= {"kind": kind, "label": label}
            yield _Event(at_ms, order, self._at(file, line, at_ms, about, "events"))
            text = cells.get("duration", "").strip()
            if kind == MarkerKind.STIMULUS_START and text:
                lasted_ms = round(1000 * (onset + number(cells, "duration", file, line)))
                end_ms = placed.zero_ms + lasted_ms
                # A stimulus without length ends right after its start; any other end comes first at
                # its time.
                if end_ms == at_ms:
                    order = order + 0.5
                else:
                    order = -1.0
                about = about | {"kind": MarkerKind.STIMULUS_END.value}
                yield _Event(end_ms, order, self._at(file, line, end_ms, about, "events"))

    def _beh(self, table: str) -> Iterator[SourceRow]:
        """Yield the rows of a table below ``beh``."""
        for session, place in self._numbers():
            for placed in place.files:
                if bids_files.table_of(placed.file) == table:
                    yield from self._beh_file(placed, session, table)

    def _beh_file(self, placed: PlacedFile, session: str, table: str) -> Iterator[SourceRow]:
        file = placed.file
        for line, cells in tsv_rows(file.node, file.path):
            onset = number(cells, "onset", file, line)
            at_ms = placed.zero_ms + round(1000 * onset)
            # It was written as ``n/a``: no number was measured.
            if table == "vital" and not cells.get("value"):
                continue  # it was no number
            about = _in_session(file, line, cells, session)
            if table == "exclusion":
                if cells.get("marker") != LEFT_OUT:
                    continue
                about |= {"reason": cells.get("label", "")}
            if table in {"gap", "exclusion"}:
                lasted = number(cells, "duration", file, line)
                end_ms = placed.zero_ms + round(1000 * (onset + lasted))
                about |= {"start_ms": str(at_ms), "end_ms": str(end_ms)}
            yield self._at(file, line, at_ms, about, table)

    def _own_neutrals(self) -> Iterator[SourceRow]:
        """Yield what became of the own neutral of sessions."""
        for session, place in self._numbers():
            for placed in place.files:
                if bids_files.table_of(placed.file) != "own_neutral":
                    continue
                for line, cells in tsv_rows(placed.file.node, placed.file.path):
                    about = _in_session(placed.file, line, cells, session)
                    for name, column in NEUTRAL_TIMES.items():
                        if cells.get(column.name):
                            at_s = number(cells, column.name, placed.file, line)
                            about[name] = str(placed.zero_ms + round(1000 * at_s))
                    yield self._row(placed.file.path, line, about, "own_neutral")

    def _vitals(self) -> Iterator[SourceRow]:
        """Yield the readings of each session, or the resampled ones if it has no measured ones."""
        for session, place in self._numbers():
            as_measured = [one for one in place.files if bids_files.table_of(one.file) == "vital"]
            for placed in as_measured:
                yield from self._beh_file(placed, session, "vital")
            # The resampled copy repeats the measured readings.
            if not as_measured:
                for placed in place.files:
                    yield from self._samples(placed, session)

    def _samples(self, placed: PlacedFile, session: str) -> Iterator[SourceRow]:
        recording = bids_files.recording_of(placed.file)
        if recording is None:
            return
        means = {
            place: SampleMeans(kind.spec.per_second)
            for place, (kind, _) in recording.kinds.items()
            if kind is VitalKind.SKIN_CONDUCTANCE
        }
        line = 0
        for line, at_s, cells in bids_files.samples(recording):
            for place in recording.kinds:
                value = cells[place] if place < len(cells) else ""
                if not is_no_value(value):
                    for kept in _kept(recording, place, means.get(place), at_s, value):
                        yield self._sample(placed, session, line, kept)
        for place, one in means.items():
            for done in one.finish():
                yield self._sample(placed, session, line, _mean(recording, place, done))

    def _sample(self, placed: PlacedFile, session: str, line: int, kept: _Kept) -> SourceRow:
        """Return a sample, or a mean of some, as a row."""
        file = placed.file
        name = file.entities.get("recording") or file.entities.get("task", "")
        about = {"session": session, "kind": kept.kind.value, "value": kept.value}
        # The place of the column keeps two columns of the same kind apart.
        about |= {"source": f"bids:{name}:{kept.place}", "flags": kept.flags}
        if kept.unit:
            about["unit"] = kept.unit
        at_ms = placed.zero_ms + round(1000 * kept.at_s)
        return self._at(file, line, at_ms, about, "vital")

    def _models(self) -> Iterator[SourceRow]:
        """Yield the models that the data dictionary of the expressions names."""
        for node in self._root.iterdir():
            if node.name.endswith(f"acq-{BEH_TABLES['expression']}_beh.json"):
                for told in bids_files.read_json(node).get(MODELS, ()):
                    cells = {
                        key: "" if value is None else str(value) for key, value in told.items()
                    }
                    yield self._row(node.name, None, cells, "model")

    def _at(
        self, file: BidsFile, line: int, at_ms: int, cells: dict[str, str], counted_as: str
    ) -> SourceRow:
        return self._row(file.path, line, cells | {"at_ms": str(at_ms), "at": ""}, counted_as)

    def _row(
        self, path: str, line: int | None, cells: dict[str, str], counted_as: str
    ) -> SourceRow:
        """Return a row; earlier releases put an apostrophe before the sign of a text."""
        if self._is_ours:
            cells = {key: text.replace(LINE_BREAK, "\n") for key, text in cells.items()}
        if self._is_guarded:
            cells = {key: strip_guard(text) for key, text in cells.items()}
        return SourceRow(path, line, cells, counted_as)


class _Event(NamedTuple):
    """A marker of a file: its time, UTC milliseconds; its order at that time; its row."""

    at_ms: int
    order: float
    row: SourceRow


@dataclass(slots=True)
class _Unread:
    """Events that are not read for one reason: the first of them, and how many."""

    path: str
    line: int
    count: int = 0


def _in_order(events: Iterable[_Event]) -> Iterator[SourceRow]:
    """Yield the rows of events by time and order; those of one order as they came.

    A temporary database keeps them, which SQLite moves to an unnamed file: a session may have any
    number.
    """
    # A file has one set of columns, and none of its cells has a tab.
    columns: dict[tuple[str, ...], int] = {}
    with closing(sqlite3.connect("", isolation_level=None)) as kept:
        kept.execute("PRAGMA journal_mode = OFF")
        kept.execute("CREATE TABLE event (at REAL, place REAL, file, line, form, counted, cells)")
        kept.execute("BEGIN")
        kept.executemany(
            "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    *(float(at_ms), order, row.file, row.line),
                    columns.setdefault(tuple(row.cells), len(columns)),
                    *(row.counted_as, "\t".join(row.cells.values())),
                )
                for at_ms, order, row in events
            ),
        )
        names = list(columns)
        for file, line, form, counted, cells in kept.execute(
            "SELECT file, line, form, counted, cells FROM event ORDER BY at, place, rowid"
        ):
            yield SourceRow(
                file, line, dict(zip(names[form], cells.split("\t"), strict=True)), counted
            )


class _Kept(NamedTuple):
    """A reading of a recording.

    Attributes:
        place: of its column.
        kind: what was measured.
        unit: its unit; empty: the one in which the kind is kept.
        at_s: seconds from second 0 of the file.
        value: as it is written.
        flags: of the reading.
    """

    place: int
    kind: VitalKind
    unit: str
    at_s: float
    value: str
    flags: str = VitalFlag.IMPORTED.value


def _kept(
    recording: BidsRecording, place: int, means: SampleMeans | None, at_s: float, value: str
) -> Iterator[_Kept]:
    """Yield a sample; of skin conductance what is kept of it and of those before."""
    kind, unit = recording.kinds[place]
    try:
        number = math.nan if means is None else float(value)
    except ValueError:  # told of where the row is judged
        number = math.nan
    if means is None or not math.isfinite(number):
        yield _Kept(place, kind, unit, at_s, value)
        return
    # Before the mean: that of resistances is not the resistance of a mean conductance.
    number = (kind.spec.scale_of(unit) or UnitConversion()).convert(number)
    if not math.isfinite(number):
        yield _Kept(place, kind, unit, at_s, value)
        return
    low, high = kind.plausible
    for done in means.add(TimedSample(at_s, number, not low <= number <= high)):
        yield _mean(recording, place, done)


def _mean(recording: BidsRecording, place: int, done: TimedSample) -> _Kept:
    kind, unit = recording.kinds[place]
    if kind.spec.scale_of(unit) is not None:  # converted; another one is refused with the row
        unit = kind.unit
    flags = [VitalFlag.IMPORTED, *([VitalFlag.OUT_OF_RANGE] if done.is_doubtful else ())]
    return _Kept(place, kind, unit, done.at_s, repr(done.value), " ".join(flags))


def _in_session(file: BidsFile, line: int, cells: dict[str, str], session: str) -> dict[str, str]:
    """Return the cells of a row with the number of the session in whose folder it lies.

    Raises:
        DataFileError: the row names another session of BIDS.
    """
    own = file.entities.get("ses", "")
    for column, named in cells.items():
        if named.removeprefix("ses-") != own and _names_session(column, named, cells):
            raise DataFileError(
                f"{file.path}, line {line}, column {column}: {named!r} is not the session of its "
                f"folder (ses-{own}). Correct one of the two. Nothing was imported."
            )
    return cells | {"session": session}


def _names_session(column: str, named: str, cells: Mapping[str, str]) -> bool:
    """Tell whether a cell names a session of BIDS, as its key or its form shows.

    The texts of our own tables, and conditions, may be anything.
    """
    if column == "ses":
        return bool(named)
    is_text = column == "trial_type" or ("marker" in cells and not column.startswith("session"))
    return not is_text and _SESSION.fullmatch(named) is not None


def _people_in(told: Mapping[str, str]) -> dict[str, str]:
    """Return what the table of sessions says of whose one is, beside the folder that decides."""
    names = (told.get(name, "") for name in ("participant", "participant_id"))
    return {"participant_id": next(filter(None, names), "")}


def _marker(cells: dict[str, str]) -> tuple[str, str]:
    """Return kind and label of an event; an empty label: the event is no part of a study.

    In data sets of others, an event with a duration or with an unknown one is a stimulus; an event
    of duration 0 becomes a note.
    """
    if "marker" in cells:
        return cells["marker"], cells.get("label", "")
    label = cells.get("trial_type", "").strip()
    text = cells.get("duration", "").strip()
    try:
        is_instant = bool(text) and float(text) == 0
    except ValueError:
        is_instant = False
    kind = MarkerKind.NOTE if is_instant else MarkerKind.STIMULUS_START
    return kind.value, label


def _why_no_event(cells: dict[str, str], label: str) -> str:
    """Return why an event of another data set is no marker, and the way; empty: it is one."""
    if not cells.get("onset", "").strip():
        return "They have no onset: where it is known, write the seconds."
    return "" if label else "They have no trial_type: write the condition of each there."


def _is_ours(description: dict[str, Any]) -> bool:
    programs = description.get("GeneratedBy")
    if not isinstance(programs, list):
        return False
    return any(isinstance(one, dict) and one.get("Name") == PROGRAM for one in programs)
