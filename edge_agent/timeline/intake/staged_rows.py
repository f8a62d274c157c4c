"""Markers, self-reports, expressions, readings and gaps of a study: staged row by row.

Rows are joined to sessions by time, as everywhere. A row that names a session, or a person, must
lie in it, or in one of theirs; one that lies in no session is counted, and not taken: it belongs to
nobody of the study.

``StagedReadings`` keeps readings aside until a whole file was read, however many there are.
"""

from __future__ import annotations

import math
import sqlite3
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import tee
from operator import itemgetter
from typing import Self

from edge_agent.core import clock
from edge_agent.core.bounds import STEPS_KEPT, STEPS_OF_TIMES, add_work, together
from edge_agent.core.clock import Instant
from edge_agent.core.errors import ReadingError, StoreError, StudyError
from edge_agent.core.expression import EMOTIONS, NO_TRACK, Attribution, Emotion, RejectReason
from edge_agent.core.given_readings import (
    ReadingOrigin,
    flag_near_pressures,
    reading_of,
    with_near_pressures,
)
from edge_agent.core.interleaving import TextsBeside, names_devices
from edge_agent.core.movements import LOOK, POSE, PROGRAMS
from edge_agent.core.own_neutral import BaselineRefusal, OwnNeutralState
from edge_agent.core.readings import BeatSums, BeatTimes, VitalFlag, VitalReading, place_in_time
from edge_agent.core.study import MarkerKind, QuestionKind
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.schema import (
    MOVEMENT_STEPS,
    NAMES,
    NONE_OF_THESE,
    POINTS,
    SMOOTHED,
    UNKNOWN_PRIOR,
)
from edge_agent.timeline.export.table_schemas import FILES
from edge_agent.timeline.intake import cells as read
from edge_agent.timeline.intake.cells import (
    CellError,
    Cells,
    FileCount,
    Labelling,
    SourceRow,
    StudyImport,
)
from edge_agent.timeline.intake.named_people import OWN, NamedPeople, NamedSessions
from edge_agent.timeline.intake.people import Sessions, StagedSession
from edge_agent.timeline.intake.tidy import StudySource
from edge_agent.timeline.read.base import flags_of
from edge_agent.timeline.study.marker_changes import checked_reason
from edge_agent.timeline.write.inserts import recorded_value

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters


_LONGEST_MS = 3_600_000
_MOST_FRAMES = 10**9
_UNCERTAIN = "uncertain"
_OF_TRIAL = (
    *("turn", "step", "kind", "condition", "practice", "planned_ms", "stood_ms"),
    *("late_ms", "late_within_ms", "shown_ms", "frame_ms", "question", "wording", "value"),
)
_DIGITS = 11
"""A number of a session has fewer."""
_STRETCH = ("start_at", "start_ms", "end_at", "end_ms")
Values = tuple[object, ...]
Make = Callable[[SourceRow, FileCount], Values | None]
"""Returns the values of a row in the order of its columns; ``None``: it is not taken."""
_TABLE = """
CREATE TABLE vital (
    kind TEXT NOT NULL, source TEXT NOT NULL, at INTEGER NOT NULL, value REAL NOT NULL,
    flags TEXT NOT NULL, device_time TEXT, error REAL, stream INTEGER NOT NULL,
    PRIMARY KEY (source, at, kind)
) STRICT, WITHOUT ROWID
"""
_STAGED = "INSERT INTO vital VALUES (?2, ?3, ?1, ?4, ?5, ?6, ?7, ?8)"
_OF_ARMS = {"hand", "wrist"}
_READ = {
    table: frozenset(column.name for column in columns) - {OWN}
    | {"onset", "duration", "marker", "label", "trial_type"}
    for table, columns in FILES.items()
}
"""The columns of a table, with those of BIDS, that say something else than whose a row is."""
_OTHER_SESSION = "is not the session in whose time the row lies."
PER_MILLE = 1000
_SECOND_MS = 1000
_RUN_MS = 2000
"""A longer time without a row of a face ends its run, as the agent forgets a face."""
_ROW = "a row for each second"
_FACE = {
    "interval_ms": _ROW,
    "track": "not known which rows are of one face",
    "frames": "each row is taken for one picture",
    "is_primary": "the only face is taken for the participant's",
    "simulated": "nothing is simulated",
    "attribution": "not known by which evidence a face counts as the participant's",
}
ABSENT: Mapping[str, Mapping[str, str]] = {
    "expression": _FACE
    | {
        "emotion": "no label",
        "face_size": "not known, and kept as 0",
        "quality": "not known, and kept as 1",
    },
    "movement": _FACE | {"source": "read by this program"},
    "unfit": {name: _FACE[name] for name in _FACE if name != "frames"},
    "vital": {
        "unit": "each value is in the unit of its kind",
        "source": "each file is one source",
        "flags": "implausible values are flagged here",
    },
    "model": {"prior": "not known"},
}
"""What rows are taken for where their table lacks a column, by table. A dry run says it, too."""


def _insert_into(table: str, columns: str) -> str:
    places = ", ".join("?" * len(columns.split(",")))
    return f"INSERT INTO {table} ({columns}) VALUES ({places})"


_VITAL = _insert_into("vital", "at, kind, source, value, flags, device_time, error")


class FaceOrder:
    """Refuses rows of faces that contradict what is assumed of a column that is not there."""

    def __init__(self) -> None:
        self._runs: dict[int, tuple[int, int, int]] = {}
        self._count = 0
        # In order, none touches another: begin, end, and the track, if it is of one alone.
        self._spans: list[tuple[int, int, int | None]] = []

    def check(self, cells: Cells, track: int, at_ms: int) -> None:
        """Look at a row.

        Raises:
            CellError: it has no length and the row before it is nearer than a second, or nobody
                says which of two faces of one time is the participant's.
        """
        if track not in self._runs:
            add_work(STEPS_OF_TIMES)
        number, first, last = self._runs.get(track, (0, at_ms, at_ms))
        if not number or not 0 <= at_ms - last <= _RUN_MS:
            self._count += 1
            number, first, last = self._count, at_ms, at_ms
        self._runs[track] = (number, first, at_ms)
        if not read.text_of(cells, "interval_ms") and 0 < at_ms - last < _SECOND_MS:
            raise CellError(
                "interval_ms",
                "",
                f"is missing, and the row before is {at_ms - last} ms earlier. Say how many "
                "milliseconds a row lasts.",
            )
        if self._is_beside(track, first, at_ms) and not read.text_of(cells, "is_primary"):
            raise CellError(
                "is_primary",
                "",
                "is missing, and two faces are there at one time. Write 1 for the participant's "
                "and 0 for others.",
            )

    def _is_beside(self, track: int, first_ms: int, at_ms: int) -> bool:
        """Add the time of a run; tell whether one of another track is in it."""
        spans = self._spans
        begin_ms, end_ms, owner = spans[-1] if spans else (at_ms, 0, None)
        if owner == track and begin_ms <= first_ms <= end_ms <= at_ms:  # as with nearly every row
            spans[-1] = (begin_ms, at_ms, track)
            return False
        start = bisect_left(spans, first_ms, key=itemgetter(1))
        end = bisect_right(spans, at_ms, key=itemgetter(0))
        met = spans[start:end]
        if not met:
            add_work(STEPS_OF_TIMES)
        is_alone = all(one == track for *_, one in met)
        begin_ms = min(first_ms, *(one for one, *_ in met), at_ms)
        end_ms = max(at_ms, *(one for _, one, _ in met), first_ms)
        spans[start:end] = [(begin_ms, end_ms, track if is_alone else None)]
        return not is_alone

    def run_of(self, track: int) -> int:
        """Return a number of the rows of a track that follow each other in time."""
        return self._runs[track][0]


class TimelineRows:
    """Stages the rows of a source that lie in its sessions.

    Args:
        staged: the staging database, in a transaction.
        source: the files.
        sessions: those of the files.
        report: gets counts and problems.
        labels: gives labels to faces without one; ``None``: they are refused.
    """

    def __init__(
        self,
        staged: sqlite3.Connection,
        source: StudySource,
        sessions: Sessions,
        report: StudyImport,
        labels: Callable[[], Labelling] | None = None,
    ) -> None:
        self._staged = staged
        self._source = source
        self._sessions = sessions
        self._report = report
        self._now = clock.now()
        self._left_out: dict[int, list[tuple[int, int]]] = {}
        self._calibrated: set[int] = set()
        self._beats = BeatSums()
        self._beside = TextsBeside(())
        self._labels = None if labels is None else cache(labels)
        self._labelled = 0
        self._faces = FaceOrder()
        self._table = ""
        self._people = NamedPeople(())
        self._named_sessions = NamedSessions()

    def stage(self) -> None:
        """Stage all of them."""
        readers = self._readers()
        # In the order of ``TABLES``; readings need a way of their own.
        for table in self._source.tables():
            if table in readers:
                # Row by row: memory does not grow with the files.
                make, columns = readers[table]
                self._begin(table)
                self._staged.executemany(_insert_into(table, columns), self._made(table, make))
                self._end(table)
        if "vital" in self._source.tables():
            self._begin("vital")
            self._vitals()
            self._end("vital")

    def _begin(self, table: str) -> None:
        self._table = table
        self._faces = FaceOrder()
        labels = self._source.labels()
        codes = {one.code for one in self._sessions.all}
        if "participant" in self._source.tables():
            people = self._source.rows("participant")
            codes |= {read.text_of(row.cells, "participant") for row in people} - {""}
        self._people = NamedPeople(codes, labels, is_own=not labels)
        # The folders of BIDS say which session it is.
        of_numbers = {} if labels else {one.number: one.code for one in self._sessions.all}
        self._named_sessions = NamedSessions(of_numbers)

    def _end(self, table: str) -> None:
        for row, contradiction in self._people.rest():
            assert isinstance(row, SourceRow)
            self._report.refuse_cell(
                row, CellError(contradiction.column, contradiction.value, contradiction.cure)
            )
        for row, column, text in self._named_sessions.rest():
            assert isinstance(row, SourceRow)
            self._report.refuse_cell(row, CellError(column, text, _OTHER_SESSION))
        self._note_absent(table)

    def _readers(self) -> dict[str, tuple[Make, str]]:
        """Return how a row of each table is read, and its columns in the order of the values."""
        face, own = "at, interval_ms, track, frames", "is_primary, simulated, attribution"
        baseline = "session, state, reason, from_ms, to_ms, seconds"
        classifier = "temperature, uncertain_below, sha256, prior"
        return {
            "exclusion": (self._exclusion, "session, from_ms, to_ms, reason, made, actor"),
            "marker": (self._marker, "session, at, kind, label"),
            "self_report": (self._self_report, "session, at, condition, scale, value"),
            "trial": (self._trial, f"session, at, {', '.join(_OF_TRIAL)}"),
            "own_neutral": (
                self._own_neutral,
                f"{baseline}, {', '.join(NAMES)}, shift, applied_ms, until_ms, {classifier}",
            ),
            "expression": (
                self._expression,
                f"{face}, {', '.join((*NAMES, *SMOOTHED))}, emotion, face_size, quality, {own}",
            ),
            "movement": (self._movement, f"{face}, {', '.join(MOVEMENT_STEPS)}, source, {own}"),
            "unfit": (self._rejected, f"at, interval_ms, track, reason, frames, {own}"),
            "gap": (self._gap, "started, ended, source, reason"),
            "model": (self._model, "kind, name, version, sha256, prior, since"),
        }

    def _made(self, table: str, make: Make) -> Iterator[Values]:
        """Yield the values of accepted rows; errors are added to the problems."""
        for row in self._source.rows(table):
            count = self._report.count(table, row)
            count.rows += 1
            try:
                values = make(row, count)
            except CellError as error:
                self._report.refuse_cell(row, error)
                continue
            if values is not None:
                count.taken += 1
                yield values

    def _place(self, row: SourceRow, at_ms: int, count: FileCount) -> StagedSession | None:
        """Return the session of an accepted row; count a row that is not accepted."""
        # By time and not by the number in the row: that is how rows find their session everywhere.
        session = self._sessions.at(at_ms)
        named = read.text_of(row.cells, "session")
        if named and (session is None or str(session.number) != named):
            raise CellError("session", named, _OTHER_SESSION)
        return self._counted(row, session, count)

    def _counted(
        self, row: SourceRow, session: StagedSession | None, count: FileCount
    ) -> StagedSession | None:
        if session is None:
            count.outside_sessions += 1
            return None
        known = _READ[self._table]
        contradiction = self._people.find(row.file, row.cells, known, session.code)
        if contradiction is not None:
            raise CellError(contradiction.column, contradiction.value, contradiction.cure)
        self._people.note(row.file, row, row.cells, session.code)
        if not read.text_of(row.cells, "session"):
            self._named_sessions.note(row.file, row, row.cells, session.number)
        if session.is_left_out:
            count.left_out += 1
            return None
        return session

    def _place_of_event(self, row: SourceRow, at_ms: int, count: FileCount) -> StagedSession | None:
        """Return the session of a marker or self-report; the end of a session belongs to it."""
        # The moment of the end belongs to the next session in ``at``: here the named one decides.
        named = read.text_of(row.cells, "session")
        session = self._sessions.at(at_ms)
        if named:
            session = self._sessions.by_number.get(read.bounded(row.cells, "session", 1, 10**9))
            if session is None or not session.start_ms <= at_ms <= session.end_ms:
                raise CellError("session", named, _OTHER_SESSION)
        else:
            session = self._ended_for(row, at_ms) or session
        return self._counted(row, session, count)

    def _ended_for(self, row: SourceRow, at_ms: int) -> StagedSession | None:
        """Return the session that ends in this moment, where a row names its participant."""
        person = read.text_of(row.cells, OWN).casefold()
        ended = self._sessions.ending_at(at_ms) if person else None
        return ended if ended is not None and ended.code.casefold() == person else None

    def _exclusion(self, row: SourceRow, count: FileCount) -> Values | None:
        number = read.bounded(row.cells, "session", 1, 10**9)
        session = self._sessions.by_number.get(number)
        if session is None:
            raise CellError("session", number, "is no session of the study.")
        span = (session.start_ms, session.end_ms)
        is_whole = not any(read.text_of(row.cells, name) for name in _STRETCH)
        if not is_whole:
            span = read.moment(row.cells, "start_"), read.moment(row.cells, "end_")
            if not session.start_ms <= span[0] < span[1] <= session.end_ms:
                raise CellError("start_ms", span[0], "and the end are no stretch of the session.")
        try:
            reason = checked_reason(read.needed(row.cells, "reason"))
        except StudyError as error:
            raise CellError("reason", row.cells["reason"], f"is too long. {error}") from error
        if self._counted(row, session, count) is None:
            return None
        others = self._left_out.setdefault(number, [])
        place = bisect_left(others, span)
        beside = others[max(place - 1, 0) : place + 1]
        if any(first < span[1] and span[0] < last for first, last in beside):
            raise CellError("session", number, "is left out twice at one time. Remove one row.")
        add_work(STEPS_OF_TIMES)
        others.insert(place, span)
        since_start = [None if is_whole else at - session.start_ms for at in span]
        return number, *since_start, reason, self._now.wall_ms, "import"

    def _marker(self, row: SourceRow, count: FileCount) -> Values | None:
        at_ms = read.moment(row.cells)
        kind = read.member(MarkerKind, row.cells, "kind")
        text = read.label(row.cells, "label", f"Marker {kind}", empty_allowed=False)
        session = self._place_of_event(row, at_ms, count)
        return None if session is None else (session.number, at_ms, kind.value, text)

    def _self_report(self, row: SourceRow, count: FileCount) -> Values | None:
        at_ms = read.moment(row.cells)
        value = _answer(row.cells)
        session = self._place_of_event(row, at_ms, count)
        if session is None:
            return None
        condition = read.text_of(row.cells, "condition") or None
        return session.number, at_ms, condition, row.cells["scale"].strip(), value

    def _trial(self, row: SourceRow, count: FileCount) -> Values | None:
        at_ms, cells = read.moment(row.cells), row.cells
        values = _values_of_trial(cells)
        session = self._place_of_event(row, at_ms, count)
        return None if session is None else (session.number, at_ms, *values)

    def _own_neutral(self, row: SourceRow, count: FileCount) -> Values | None:
        cells = row.cells
        number = read.bounded(cells, "session", 1, 10**9)
        session = self._sessions.by_number.get(number)
        if session is None:
            raise CellError("session", number, "is no session of the study.")
        if number in self._calibrated:
            raise CellError("session", number, "is there twice. Remove one row.")
        self._calibrated.add(number)
        state = read.member(OwnNeutralState, cells, "state")
        reason = ""
        if state is OwnNeutralState.REFUSED:
            reason = read.member(BaselineRefusal, cells, "reason").value
        start, end, applied, until = _times_of_neutral(cells, session)
        shift, temperature = read.signed(cells, "shift"), read.signed(cells, "temperature")
        has_all = None not in (start, applied, shift) and (temperature or 0.0) > 0
        if has_all != (state is OwnNeutralState.CALIBRATED):
            raise CellError("state", state, "does not fit shift, times and temperature of its row.")
        if self._counted(row, session, count) is None:
            return None
        return (
            *(number, state.value, reason, start, end),
            read.bounded(cells, "seconds", 0, 86_400) if read.text_of(cells, "seconds") else None,
            *(read.signed(cells, f"logit_{name}") for name in NAMES),
            *(shift, applied, until, temperature, read.signed(cells, "uncertain_below")),
            *(read.text_of(cells, name) for name in ("sha256", "prior")),
        )

    def _note_absent(self, table: str) -> None:
        """Note the columns that a table lacks, and what its rows are taken for; and labels."""
        there = self._source.columns(table)
        absent = [
            f"{column} ({taken_for})"
            for column, taken_for in ABSENT.get(table, {}).items()
            if column not in there
        ]
        count = self._report.counts.get(table)
        # Of a data set of another form the source says itself what it lacks.
        is_table = count is not None and count.file == f"{table}.csv"
        if absent and count is not None and is_table and count.taken:
            columns = "column" if len(absent) == 1 else "columns"
            self._report.notes.append(f"{count.file} lacks the {columns} {'; '.join(absent)}.")
        if table == "expression" and self._labelled and self._labels is not None:
            self._report.notes.append(
                f"{self._labelled:,} rows of expressions have no label (emotion): it was computed "
                f"{self._labels().sentence}"
            )

    def _expression(self, row: SourceRow, count: FileCount) -> Values | None:
        cells = row.cells
        at_ms = read.moment(cells)
        if self._place(row, at_ms, count) is None:
            return None
        means = read.probabilities(cells, NAMES)
        # Where nothing was smoothed, the means stand for it.
        smoothed = read.probabilities(cells, SMOOTHED, means)
        track = read.bounded(cells, "track", 0, 2**53, NO_TRACK)
        emotion = read.text_of(cells, "emotion")
        if emotion not in {"", *NAMES, _UNCERTAIN}:
            raise CellError("emotion", emotion, f"is not one of {', '.join(EMOTIONS)}, uncertain.")
        self._faces.check(cells, track, at_ms)
        if not emotion:
            is_smoothed = any(read.text_of(cells, name) for name in SMOOTHED)
            smoothed, emotion = self._label(track, at_ms, smoothed, is_smoothed=is_smoothed)
        return (
            at_ms,
            read.bounded(cells, "interval_ms", 0, _LONGEST_MS, 1000),
            track,
            read.bounded(cells, "frames", 1, _MOST_FRAMES, 1),
            *means,
            *smoothed,
            None if emotion == _UNCERTAIN else emotion,
            read.number(cells, "face_size", 0.0),
            read.number(cells, "quality", 1.0),
            *_whose(cells),
        )

    def _label(
        self, track: int, at_ms: int, values: list[int], *, is_smoothed: bool
    ) -> tuple[list[int], str]:
        """Return the smoothed probabilities (per mille) of a row without a label, and its label."""
        if self._labels is None:
            raise CellError(
                "emotion", "", f"is missing. Fill it in: {', '.join(EMOTIONS)} or uncertain."
            )
        given = tuple(value / PER_MILLE for value in values)
        labels = self._labels()
        read_face = labels.choose if is_smoothed else labels.read
        smoothed, emotion = read_face(self._faces.run_of(track), Instant(at_ms, at_ms), given)
        self._labelled += 1
        return [round(PER_MILLE * one) for one in smoothed], emotion or _UNCERTAIN

    def _movement(self, row: SourceRow, count: FileCount) -> Values | None:
        cells = row.cells
        at_ms = read.moment(cells)
        if self._place(row, at_ms, count) is None:
            return None
        track = read.bounded(cells, "track", 0, 2**53, NO_TRACK)
        self._faces.check(cells, track, at_ms)
        return (
            at_ms,
            read.bounded(cells, "interval_ms", 0, _LONGEST_MS, 1000),
            track,
            read.bounded(cells, "frames", 1, _MOST_FRAMES, 1),
            *(_steps(cells, name) for name in MOVEMENT_STEPS),
            _program(cells),
            *_whose(cells),
        )

    def _rejected(self, row: SourceRow, count: FileCount) -> Values | None:
        cells = row.cells
        at_ms = read.moment(cells)
        if self._place(row, at_ms, count) is None:
            return None
        return (
            at_ms,
            read.bounded(cells, "interval_ms", 0, _LONGEST_MS, 1000),
            read.bounded(cells, "track", 0, 2**53, NO_TRACK),
            read.member(RejectReason, cells, "reason").value,
            read.bounded(cells, "frames", 1, _MOST_FRAMES),
            *_whose(cells),
        )

    def _gap(self, row: SourceRow, count: FileCount) -> Values | None:
        """Return a gap, cut to the session in which it begins."""
        start_ms = read.moment(row.cells, "start_")
        end_ms = read.moment(row.cells, "end_")
        session = self._sessions.at(start_ms)
        named = read.text_of(row.cells, "session")
        if named and not self._touches(named, session, start_ms, end_ms):
            raise CellError("session", named, _OTHER_SESSION)
        session = self._counted(row, session, count)
        if session is None:
            return None
        source = read.needed(row.cells, "source")
        # A gap may reach over the end of its session, in which the rest belongs to nobody. Of some
        # that earlier releases dated by the readings that were lost, the end lies before the start.
        end_ms = max(start_ms, min(end_ms, session.end_ms))
        return start_ms, end_ms, source, read.needed(row.cells, "reason")

    def _touches(
        self, named: str, session: StagedSession | None, start_ms: int, end_ms: int
    ) -> bool:
        """Tell whether a gap may be of the session that it names; it may begin before that."""
        if session is not None:
            return str(session.number) == named
        other = (
            self._sessions.by_number.get(int(named))
            if named.isdecimal() and len(named) < _DIGITS
            else None
        )
        return other is not None and start_ms < other.end_ms and other.start_ms < end_ms

    def _model(self, row: SourceRow, _count: FileCount) -> Values:
        names = ("kind", "name", "version", "sha256")
        # Tables of 0.1.0 have no such column.
        prior = read.text_of(row.cells, "prior", UNKNOWN_PRIOR)
        since_ms = read.moment(row.cells, "since_")
        return *(read.needed(row.cells, name) for name in names), prior, since_ms

    def _vitals(self) -> None:
        """Stage the readings; flag implausible ones if the files have no flags."""
        # Beats of one packet share its time: they are spread over the seconds that they lasted.
        pairs = _of_each_time(self._readings(), BeatTimes().spread)
        if "flags" not in self._source.columns("vital"):
            pairs = _of_each_time(pairs, flag_near_pressures)
        # Two passes over the same pairs, side by side: the rows for messages, the readings to be
        # placed.
        rows, given = tee(pairs)
        newest: dict[tuple[VitalKind, str], int] = {}

        def find_stored(reading: VitalReading) -> float | None:
            newest_ms = newest.get((reading.kind, reading.source))
            if newest_ms is None:
                add_work(STEPS_KEPT)
            # Most follow each other: only what does not is looked up.
            is_newer = newest_ms is None or newest_ms < reading.at.wall_ms
            return None if is_newer else recorded_value(self._staged, reading)

        readings = place_in_time((one for _, one in given), find_stored, of_file=True)
        for (row, _), (reading, is_new) in zip(rows, readings, strict=True):
            if is_new:
                self._staged.execute(_VITAL, _values_of(reading))
                key = (reading.kind, reading.source)
                newest[key] = max(newest.get(key, 0), reading.at.wall_ms)
                continue
            cure = f"is there twice for {reading.kind} of {reading.source}. Remove one of them."
            self._report.refuse_cell(row, CellError("at", read.text_of(row.cells, "at"), cure))
        named = None if "source" in self._source.columns("vital") else self._beside.find_named()
        parting = self._beside.find_column()
        if parting is None and named is not None:
            self._report.refuse_file(
                "vital",
                f"its column {named.column} tells devices apart "
                f"({', '.join(named.texts[:5])}), and readings of two devices must not be one "
                "source. Rename it to source, or remove it.",
            )
        if parting is not None:
            self._report.refuse_file(
                "vital",
                f"its column {parting.column} names {len(parting.texts)} devices, arms or people "
                f"({', '.join(parting.texts[:5])}): their readings lie between each other in time, "
                f"or apart as those of two do, and would be one source ({parting.source}). Rename "
                "it to source, or give each a source of its own.",
            )
        elif self._beats.problem:
            self._report.refuse_file("vital", self._beats.problem)

    def _readings(self) -> Iterator[tuple[SourceRow, VitalReading]]:
        # A file that has flags was exported: its readings are no new import.
        columns = self._source.columns("vital")
        known = "flags" in columns
        others = sorted(columns - {column.name for column in FILES["vital"]})
        self._beside = TextsBeside(others, lambda name: names_devices(name) or name in _OF_ARMS)
        flags = frozenset() if known else frozenset({VitalFlag.IMPORTED})
        for row in self._source.rows("vital"):
            count = self._report.count("vital", row)
            count.rows += 1
            origin = ReadingOrigin(f"csv:{row.file}", flags=flags, live=False, units_needed=False)
            try:
                reading = reading_of(_given(row.cells), self._now, origin)
                session = self._place(row, reading.at.wall_ms, count)
            except ReadingError as error:
                text = row.cells.get(error.field, "")
                self._report.refuse_cell(row, CellError(error.field, text, error.reason))
            except CellError as error:
                self._report.refuse_cell(row, error)
            else:
                if session is not None:
                    count.taken += 1
                    self._beside.add([reading], row.cells)
                    if not known:  # what was recorded here is kept as it was
                        self._beats.add([reading])
                    yield row, reading


def _times_of_neutral(cells: Cells, session: StagedSession) -> list[int | None]:
    """Return start and end of a baseline, and from when to when its shift was applied.

    All are milliseconds since the start of the session.
    """
    columns = ("start_ms", "end_ms", "applied_ms", "until_ms")
    times = [read.optional_moment(cells, column) for column in columns]
    given = [at for at in times if at is not None]
    follow = given == sorted(given) and len(set(times[:2])) == (1 if times[0] is None else 2)
    if not follow or any(not session.start_ms <= at <= session.end_ms for at in given):
        there = ", ".join(read.text_of(cells, column) for column in columns)
        raise CellError("start_ms", there, "and the other times do not follow in the session.")
    return [None if at is None else at - session.start_ms for at in times]


def _steps(cells: Cells, name: str) -> int | None:
    """Return a strength, an angle or a look in the steps in which it is stored; empty: not read."""
    most = 180.0 if name in POSE else 1.0
    least = -most if name in (*POSE, *LOOK) else 0.0
    text = read.text_of(cells, name)
    if not text:
        return None
    # A value that is no number is outside every range, and refused below.
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not least <= value <= most:
        raise CellError(name, text, f"is not between {least:g} and {most:g}.")
    return round(MOVEMENT_STEPS[name] * value)


def _program(cells: Cells) -> str:
    """Return the program that read a face; empty: ours."""
    name = read.text_of(cells, "source")
    if name not in ("", *PROGRAMS):
        raise CellError("source", name, f"is none of {', '.join(PROGRAMS)}, and not empty.")
    return name


def _whose(cells: Cells) -> tuple[int, int, str]:
    """Return whether a face is the participant's, is simulated, and by which evidence it counts."""
    attribution = ""
    if read.text_of(cells, "attribution"):
        attribution = read.member(Attribution, cells, "attribution").value
    is_unknown = attribution == Attribution.UNKNOWN
    is_primary = read.boolean(cells, "is_primary", default=not is_unknown)
    if attribution and is_primary is is_unknown:
        fits = "only where is_primary is 0" if is_unknown else "only where is_primary is 1"
        raise CellError("attribution", attribution, f"stands {fits}. Correct one of the two.")
    return int(is_primary), int(read.boolean(cells, "simulated")), attribution


def _given(cells: Cells) -> dict[str, object]:
    """Return the fields of a reading; its time is in ``at`` or ``at_ms``."""
    given: dict[str, object] = {
        name: cells[name].strip()
        for name in ("kind", "value", "unit", "source", "flags", "device_time", "error")
        if name in cells
    }
    return given | {"at": read.text_of(cells, "at") or read.needed(cells, "at_ms")}


def _values_of(reading: VitalReading) -> Values:
    """Return time, kind, source, value, flags, device time and error of a reading, as kept."""
    flags = " ".join(sorted(reading.flags))
    about = (reading.kind.value, reading.source, reading.value, flags)
    return (reading.at.wall_ms, *about, reading.device_time, reading.error)


def _answer(cells: Cells) -> int | str:
    """Return an answer in the form that the table stores."""
    scale = read.needed(cells, "scale")
    if scale in {"valence", "arousal"}:
        return read.bounded(cells, "value", 1, POINTS)
    if scale != "emotion":
        raise CellError("scale", scale, "is not one of valence, arousal, emotion.")
    value = read.needed(cells, "value")
    if value not in {*Emotion, NONE_OF_THESE}:
        raise CellError("value", value, f"is not one of {', '.join(Emotion)}, {NONE_OF_THESE}.")
    return value


def _values_of_trial(cells: Cells) -> Values:
    """Return the values of a screen of a protocol in the order of ``_OF_TRIAL``."""
    kind, question = read.needed(cells, "kind"), read.text_of(cells, "question")
    value: int | str | None = read.text_of(cells, "value") or None
    numbers = QuestionKind(kind).numbers if kind in tuple(QuestionKind) else None
    if value is not None and numbers is not None:
        value = read.bounded(cells, "value", *numbers)
    if value is not None and not question:
        raise CellError("question", "", "is missing. Name the question that the value answers.")
    planned = read.text_of(cells, "planned_ms")
    frame_ms = read.number(cells, "frame_ms", 0.0) or None
    return (
        *(read.bounded(cells, "turn", 1, 10**9), read.bounded(cells, "step", 1, 10**9)),
        *(kind, read.text_of(cells, "condition") or None),
        int(read.boolean(cells, "practice")),
        read.bounded(cells, "planned_ms", 0, 10**12) if planned else None,
        read.bounded(cells, "stood_ms", 0, 10**12),
        *(read.signed(cells, name) for name in ("late_ms", "late_within_ms", "shown_ms")),
        *(frame_ms, question, read.text_of(cells, "wording"), value),
    )


def _of_each_time(
    pairs: Iterator[tuple[SourceRow, VitalReading]],
    change: Callable[[Sequence[VitalReading]], list[VitalReading]],
) -> Iterator[tuple[SourceRow, VitalReading]]:
    """Change readings that follow each other in a file and share their time."""
    for of_time in together(pairs, lambda pair: pair[1].at.wall_ms):
        changed = change([reading for _, reading in of_time])
        yield from zip((row for row, _ in of_time), changed, strict=True)


@dataclass(frozen=True, slots=True)
class StagedKind:
    """The readings of one kind and source in a file: their number and time range.

    Attributes:
        kind, source: of which.
        readings: how many, each counted once.
        first_ms, last_ms: times of the first and the last, UTC milliseconds.
    """

    kind: VitalKind
    source: str
    readings: int
    first_ms: int
    last_ms: int


class StagedReadings:
    """Stages readings in a temporary SQLite database; a context manager.

    SQLite keeps few readings in memory and more in an unnamed temporary file, which disappears with
    the process.

    Args:
        file: whose readings they are, for what is said of a full disk.
        in_memory: keep all of them in memory; nothing touches the disk.
        source: of all readings, instead of their own.

    Attributes:
        repeated: how many readings were there before with the same kind, source, time and value.
        differing: how many had the kind, source and time of one before, and another value; they
            are kept a millisecond later.

    Example:
        >>> with StagedReadings("strap.csv") as staged:
        ...     staged.add(readings)
        ...     import_readings(database, staged)
    """

    def __init__(self, file: str, *, in_memory: bool = False, source: str = "") -> None:
        self._file = file
        self._source = source
        self._streams: dict[tuple[int, str], int] = {}
        self.repeated = 0
        self.differing = 0
        # An empty name is a temporary database; nothing in it must survive a crash, so that it
        # needs no journal.
        self._connection = sqlite3.connect(":memory:" if in_memory else "", isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = OFF")
        self._connection.execute(_TABLE)
        self._connection.execute("BEGIN")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def add(self, readings: Iterable[VitalReading], part: int = 0) -> None:
        """Keep readings, without their boot clock.

        Args:
            readings: of one file.
            part: number of that file in an archive or a folder. A file and a source of its own
                are a stream; several may become one source.

        Raises:
            StoreError: there is no room for them.
        """
        own, given, kept = tee(readings, 3)
        before, changed = (map(self._with_source, one) for one in (given, kept))
        # ``place_in_time`` may move a reading; the one before it tells whether it did.
        placed = place_in_time(changed, self._value_of, of_file=True)
        for one, at_first, (reading, is_new) in zip(own, before, placed, strict=True):
            if not is_new:
                self.repeated += 1
                continue
            self.differing += at_first.at != reading.at
            key = (part, one.source)
            self._insert(reading, self._streams.setdefault(key, len(self._streams)))

    def _with_source(self, reading: VitalReading) -> VitalReading:
        return replace(reading, source=self._source) if self._source else reading

    def _insert(self, reading: VitalReading, stream: int) -> None:
        """Keep a reading that is the first of its kind, source and time."""
        try:
            self._connection.execute(_STAGED, (*_values_of(reading), stream))
        except sqlite3.OperationalError as error:
            raise StoreError(
                f"{self._file}: the readings cannot be kept in a temporary database while the file "
                f"is read ({error}). Free some space where temporary files lie, or name another "
                "folder in SQLITE_TMPDIR. Nothing was imported."
            ) from error

    def of_several_streams(
        self, name_of: Callable[[int], str], certain: Collection[str] = ()
    ) -> Iterator[tuple[VitalKind, str, list[str], Iterator[tuple[int, int]]]]:
        """Yield each kind and source of several streams, with the streams of its readings.

        Args:
            name_of: names a file of an archive or folder by its number.
            certain: own sources that are one device, in however many files.

        Yields:
            Kind, source, the names of all streams, and time and stream of each reading.
        """
        ids: dict[object, int] = {}
        places: list[int] = []
        names: list[str] = []
        for part, own in self._streams:
            # Files of a device with a serial number are one stream.
            place = ids.setdefault(own if own in certain else (part, own), len(ids))
            places.append(place)
            if place == len(names):
                is_told = self._source or len({p for p, one in self._streams if one == own}) == 1
                named = f"{name_of(part)} ({own})" if is_told else name_of(part)
                names.append(named)
        rows = self._connection.execute(
            "SELECT kind, source FROM vital GROUP BY kind, source HAVING min(stream) < max(stream)"
        ).fetchall()
        for kind, source in rows:
            readings = self._connection.execute(
                "SELECT at, stream FROM vital WHERE kind = ? AND source = ? ORDER BY at",
                (kind, source),
            )
            of_places = ((at, places[stream]) for at, stream in readings)
            yield VitalKind(kind), source, names, of_places

    def points(self, kind: VitalKind, source: str) -> Iterator[tuple[int, float]]:
        """Return time and value of the readings of a kind and source, in the order of time."""
        return iter(
            self._connection.execute(
                "SELECT at, value FROM vital WHERE kind = ? AND source = ? ORDER BY at",
                (kind.value, source),
            )
        )

    def rename(self, kind: VitalKind, source: str, name: str) -> None:
        """Give the readings of a kind and source another source.

        Those of a time that has one already are placed as ``add`` does.
        """
        self._connection.execute(
            "UPDATE OR IGNORE vital SET source = ? WHERE kind = ? AND source = ?",
            (name, kind.value, source),
        )
        rest = self._connection.execute(
            "DELETE FROM vital WHERE kind = ? AND source = ? RETURNING at, value, flags, "
            "device_time, error, stream",
            (kind.value, source),
        ).fetchall()
        for at, value, flags, *rest_of, stream in sorted(rest, key=lambda row: row[0]):
            one = VitalReading(Instant(0, at), kind, value, name, flags_of(flags), *rest_of)
            for reading, is_new in place_in_time([one], self._value_of):
                if is_new:
                    self._insert(reading, stream)
                else:
                    self.repeated += 1

    def move(self, kind: VitalKind, source: str, pairs: Iterable[tuple[int, int]]) -> None:
        """Give readings of a kind and source other times: old and new ones, UTC milliseconds."""
        of = (kind.value, source)
        # behind each other: a new time may be the old one of another reading
        self._connection.executemany(
            "UPDATE vital SET at = -? WHERE kind = ? AND source = ? AND at = ?",
            ((new, *of, old) for old, new in pairs),
        )
        self._connection.execute(
            "UPDATE OR IGNORE vital SET at = -at WHERE kind = ? AND source = ? AND at < 0", of
        )
        left = self._connection.execute(
            "DELETE FROM vital WHERE kind = ? AND source = ? AND at < 0", of
        )
        self.repeated += left.rowcount

    def _value_of(self, reading: VitalReading) -> float | None:
        """Return the staged value for a reading's kind, source and time, if there is one."""
        key = (reading.source, reading.at.wall_ms, reading.kind.value)
        row = self._connection.execute(
            "SELECT value FROM vital WHERE source = ? AND at = ? AND kind = ?", key
        ).fetchone()
        return None if row is None else float(row[0])

    def __iter__(self) -> Iterator[VitalReading]:
        """Return each reading, those of a source together and in order of time; pressures that are
        too near to each other are flagged.
        """
        rows = self._connection.execute(
            "SELECT kind, source, at, value, flags, device_time, error FROM vital "
            "ORDER BY source, at, kind"
        )
        return with_near_pressures(
            VitalReading(Instant(0, at), VitalKind(kind), value, source, flags_of(flags), *rest)
            for kind, source, at, value, flags, *rest in rows
        )

    def kinds(self) -> list[StagedKind]:
        """Return number and time range of the readings of each kind and source."""
        rows = self._connection.execute(
            "SELECT kind, source, count(*), min(at), max(at) FROM vital GROUP BY kind, source "
            "ORDER BY kind, source"
        )
        return [StagedKind(VitalKind(row[0]), *row[1:]) for row in rows]

    def count_to_come(self) -> int:
        """Return how many are of a time that is still to come, by the flag that they got for it."""
        row = self._connection.execute(
            "SELECT count(*) FROM vital WHERE at > ? AND flags LIKE ?",
            (clock.now().wall_ms, f"%{VitalFlag.CLOCK_DIFFERS}%"),
        ).fetchone()
        return int(row[0])
