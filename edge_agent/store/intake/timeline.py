"""Markers, self-reports, expressions, readings and gaps of a study: staged row by row.

Rows are joined to sessions by time, as everywhere. A row that names a session must lie in it; one
that lies in none is counted, and not taken: it belongs to nobody of the study.

``StagedReadings`` keeps readings aside until a whole file was read, however many there are.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby, tee
from typing import Self

from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.errors import ReadingError, StoreError, StudyError
from edge_agent.core.expression import EMOTIONS, Emotion, RejectReason
from edge_agent.core.given_readings import (
    Origin,
    flag_near_pressures,
    reading_of,
    with_near_pressures,
)
from edge_agent.core.movements import LOOK, POSE, PROGRAMS
from edge_agent.core.own_neutral import OwnNeutralState, Refusal
from edge_agent.core.readings import BeatSums, BeatTimes, VitalFlag, VitalReading, place_in_time
from edge_agent.core.study import MarkerKind
from edge_agent.core.vitals import VitalKind
from edge_agent.store.database.schema import (
    MOVEMENT_STEPS,
    NAMES,
    NONE_OF_THESE,
    POINTS,
    SMOOTHED,
    UNKNOWN_PRIOR,
)
from edge_agent.store.intake import cells as read
from edge_agent.store.intake.cells import CellError, Cells, FileCount, SourceRow, StudyImport
from edge_agent.store.intake.people import Sessions, StagedSession
from edge_agent.store.intake.tidy import StudySource
from edge_agent.store.read.base import flags_of
from edge_agent.store.study.marker_changes import checked_reason
from edge_agent.store.write.timeline import recorded_value

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters


_LONGEST_MS = 3_600_000
_MOST_FRAMES = 10**9
_UNCERTAIN = "uncertain"
_STRETCH = ("start_at", "start_ms", "end_at", "end_ms")
COLUMNS = {
    "exclusion": "session, from_ms, to_ms, reason, made, actor",
    "marker": "session, at, kind, label",
    "self_report": "session, at, condition, scale, value",
    "own_neutral": "session, state, reason, from_ms, to_ms, seconds, "
    f"{', '.join(NAMES)}, shift, applied_ms, until_ms, temperature, uncertain_below, sha256, prior",
    "expression": f"at, interval_ms, track, frames, {', '.join((*NAMES, *SMOOTHED))}, emotion, "
    "face_size, quality, is_primary, simulated",
    "movement": f"at, interval_ms, track, frames, {', '.join(MOVEMENT_STEPS)}, is_primary, "
    "simulated, source",
    "unfit": "at, interval_ms, track, reason, frames, is_primary, simulated",
    "gap": "started, ended, source, reason",
    "model": "kind, name, version, sha256, prior, since",
    "vital": "at, kind, source, value, flags, device_time",
}
"""The columns of the timeline that a study brings along, by table."""
Values = tuple[object, ...]
_TABLE = """
CREATE TABLE vital (
    kind TEXT NOT NULL, source TEXT NOT NULL, at INTEGER NOT NULL, value REAL NOT NULL,
    flags TEXT NOT NULL, device_time TEXT, PRIMARY KEY (source, at, kind)
) STRICT, WITHOUT ROWID
"""


def _insert_into(table: str) -> str:
    columns = COLUMNS[table]
    places = ", ".join("?" * len(columns.split(",")))
    return f"INSERT INTO {table} ({columns}) VALUES ({places})"


_VITAL = _insert_into("vital")


class TimelineRows:
    """Stages the rows of a source that lie in its sessions.

    Args:
        staged: the staging database, in a transaction.
        source: the files.
        sessions: those of the files.
        report: gets counts and problems.
    """

    def __init__(
        self,
        staged: sqlite3.Connection,
        source: StudySource,
        sessions: Sessions,
        report: StudyImport,
    ) -> None:
        self._staged = staged
        self._source = source
        self._sessions = sessions
        self._report = report
        self._now = clock.now()
        self._left_out: dict[int, list[tuple[int, int]]] = {}
        self._calibrated: set[int] = set()
        self._beats = BeatSums()

    def stage(self) -> None:
        """Stage all of them."""
        makers: dict[str, Callable[[SourceRow, FileCount], Values | None]] = {
            "exclusion": self._exclusion,
            "marker": self._marker,
            "self_report": self._self_report,
            "own_neutral": self._own_neutral,
            "expression": self._expression,
            "movement": self._movement,
            "unfit": self._rejected,
            "gap": self._gap,
            "model": self._model,
        }
        # In the order of ``TABLES``; readings need a way of their own.
        for table in self._source.tables():
            if table in makers:
                # Row by row: memory does not grow with the files.
                self._staged.executemany(_insert_into(table), self._made(table, makers[table]))
        if "vital" in self._source.tables():
            self._vitals()

    def _made(
        self, table: str, make: Callable[[SourceRow, FileCount], Values | None]
    ) -> Iterator[Values]:
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
            raise CellError("session", named, "is not the session in whose time the row lies.")
        return self._counted(session, count)

    def _counted(self, session: StagedSession | None, count: FileCount) -> StagedSession | None:
        if session is None:
            count.outside_sessions += 1
            return None
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
                raise CellError("session", named, "is not the session in whose time the row lies.")
        return self._counted(session, count)

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
        if self._counted(session, count) is None:
            return None
        others = self._left_out.setdefault(number, [])
        if any(first < span[1] and span[0] < last for first, last in others):
            raise CellError("session", number, "is left out twice at one time. Remove one row.")
        others.append(span)
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
            reason = read.member(Refusal, cells, "reason").value
        start, end, applied, until = _times_of_neutral(cells, session)
        shift, temperature = read.signed(cells, "shift"), read.signed(cells, "temperature")
        has_all = None not in (start, applied, shift) and (temperature or 0.0) > 0
        if has_all != (state is OwnNeutralState.CALIBRATED):
            raise CellError("state", state, "does not fit shift, times and temperature of its row.")
        if self._counted(session, count) is None:
            return None
        return (
            *(number, state.value, reason, start, end),
            read.bounded(cells, "seconds", 0, 86_400) if read.text_of(cells, "seconds") else None,
            *(read.signed(cells, f"logit_{name}") for name in NAMES),
            *(shift, applied, until, temperature, read.signed(cells, "uncertain_below")),
            *(read.text_of(cells, name) for name in ("sha256", "prior")),
        )

    def _expression(self, row: SourceRow, count: FileCount) -> Values | None:
        cells = row.cells
        at_ms = read.moment(cells)
        if self._place(row, at_ms, count) is None:
            return None
        means = read.probabilities(cells, NAMES)
        # Where nothing was smoothed, the means stand for it.
        smoothed = read.probabilities(cells, SMOOTHED, means)
        emotion = read.text_of(cells, "emotion", _UNCERTAIN)
        if emotion not in {*NAMES, _UNCERTAIN}:
            raise CellError("emotion", emotion, f"is not one of {', '.join(EMOTIONS)}, uncertain.")
        return (
            at_ms,
            read.bounded(cells, "interval_ms", 0, _LONGEST_MS, 1000),
            read.bounded(cells, "track", 0, 2**53, 1),
            read.bounded(cells, "frames", 1, _MOST_FRAMES, 1),
            *means,
            *smoothed,
            None if emotion == _UNCERTAIN else emotion,
            read.number(cells, "face_size", 0.0),
            read.number(cells, "quality", 1.0),
            int(read.boolean(cells, "is_primary", default=True)),
            int(read.boolean(cells, "simulated")),
        )

    def _movement(self, row: SourceRow, count: FileCount) -> Values | None:
        cells = row.cells
        at_ms = read.moment(cells)
        if self._place(row, at_ms, count) is None:
            return None
        return (
            at_ms,
            read.bounded(cells, "interval_ms", 0, _LONGEST_MS, 1000),
            read.bounded(cells, "track", 0, 2**53, 1),
            read.bounded(cells, "frames", 1, _MOST_FRAMES, 1),
            *(_steps(cells, name) for name in MOVEMENT_STEPS),
            int(read.boolean(cells, "is_primary", default=True)),
            int(read.boolean(cells, "simulated")),
            _program(cells),
        )

    def _rejected(self, row: SourceRow, count: FileCount) -> Values | None:
        cells = row.cells
        at_ms = read.moment(cells)
        if self._place(row, at_ms, count) is None:
            return None
        return (
            at_ms,
            read.bounded(cells, "interval_ms", 0, _LONGEST_MS, 1000),
            read.bounded(cells, "track", 0, 2**53, 1),
            read.member(RejectReason, cells, "reason").value,
            read.bounded(cells, "frames", 1, _MOST_FRAMES),
            int(read.boolean(cells, "is_primary", default=True)),
            int(read.boolean(cells, "simulated")),
        )

    def _gap(self, row: SourceRow, count: FileCount) -> Values | None:
        """Return a gap, cut to the session in which it begins."""
        start_ms = read.moment(row.cells, "start_")
        end_ms = read.moment(row.cells, "end_")
        session = self._counted(self._sessions.at(start_ms), count)
        if session is None:
            return None
        source = read.needed(row.cells, "source")
        # A gap may reach over the end of its session, in which the rest belongs to nobody. Of some
        # that earlier releases dated by the readings that were lost, the end lies before the start.
        end_ms = max(start_ms, min(end_ms, session.end_ms))
        return start_ms, end_ms, source, read.needed(row.cells, "reason")

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
        readings = place_in_time((one for _, one in given), partial(recorded_value, self._staged))
        for (row, _), (reading, is_new) in zip(rows, readings, strict=True):
            if is_new:
                self._staged.execute(_VITAL, _values_of(reading))
                continue
            cure = f"is there twice for {reading.kind} of {reading.source}. Remove one of them."
            self._report.refuse_cell(row, CellError("at", read.text_of(row.cells, "at"), cure))
        if self._beats.problem:
            self._report.refuse_file("vital", self._beats.problem)

    def _readings(self) -> Iterator[tuple[SourceRow, VitalReading]]:
        # A file that has flags was exported: its readings are no new import.
        known = "flags" in self._source.columns("vital")
        flags = frozenset() if known else frozenset({VitalFlag.IMPORTED})
        for row in self._source.rows("vital"):
            count = self._report.count("vital", row)
            count.rows += 1
            origin = Origin(f"csv:{row.file}", flags=flags, live=False, units_needed=False)
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


def _given(cells: Cells) -> dict[str, object]:
    """Return the fields of a reading; its time is in ``at`` or ``at_ms``."""
    given: dict[str, object] = {
        name: cells[name].strip()
        for name in ("kind", "value", "unit", "source", "flags", "device_time")
        if name in cells
    }
    return given | {"at": read.text_of(cells, "at") or read.needed(cells, "at_ms")}


def _values_of(reading: VitalReading) -> Values:
    """Return time, kind, source, value, flags and device time of a reading, as they are kept."""
    flags = " ".join(sorted(reading.flags))
    about = (reading.kind.value, reading.source, reading.value, flags, reading.device_time)
    return (reading.at.wall_ms, *about)


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


def _of_each_time(
    pairs: Iterator[tuple[SourceRow, VitalReading]],
    change: Callable[[Sequence[VitalReading]], list[VitalReading]],
) -> Iterator[tuple[SourceRow, VitalReading]]:
    """Change readings that follow each other in a file and share their time."""
    for _, group in groupby(pairs, key=lambda pair: pair[1].at.wall_ms):
        together = list(group)
        changed = change([reading for _, reading in together])
        yield from zip((row for row, _ in together), changed, strict=True)


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

    Attributes:
        repeated: how many readings were there before with the same kind, source, time and value.
        differing: how many had the kind, source and time of one before, and another value; they
            are kept a millisecond later.

    Example:
        >>> with StagedReadings("strap.csv") as staged:
        ...     staged.add(readings)
        ...     import_readings(database, staged)
    """

    def __init__(self, file: str, *, in_memory: bool = False) -> None:
        self._file = file
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

    def add(self, readings: Iterable[VitalReading]) -> None:
        """Keep readings, without their boot clock.

        Raises:
            StoreError: there is no room for them.
        """
        given, kept = tee(readings)
        # ``place_in_time`` may move a reading; the one before it tells whether it did.
        for before, (reading, is_new) in zip(
            given, place_in_time(kept, self._value_of), strict=True
        ):
            if not is_new:
                self.repeated += 1
                continue
            self.differing += before.at != reading.at
            self._insert(reading)

    def _insert(self, reading: VitalReading) -> None:
        """Keep a reading that is the first of its kind, source and time."""
        try:
            self._connection.execute(_VITAL, _values_of(reading))
        except sqlite3.OperationalError as error:
            raise StoreError(
                f"{self._file}: the readings cannot be kept in a temporary database while the file "
                f"is read ({error}). Free some space where temporary files lie, or name another "
                "folder in SQLITE_TMPDIR. Nothing was imported."
            ) from error

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
            "SELECT kind, source, at, value, flags, device_time FROM vital "
            "ORDER BY source, at, kind"
        )
        return with_near_pressures(
            VitalReading(
                Instant(0, at), VitalKind(kind), value, source, flags_of(flags), device_time
            )
            for kind, source, at, value, flags, device_time in rows
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
