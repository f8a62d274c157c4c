"""Markers, self-reports, expressions, readings and gaps of a study: staged row by row.

Rows are joined to sessions by time, as everywhere. A row that names a session must lie in it; one
that lies in none is counted, and not taken: it belongs to nobody of the study.
"""

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import groupby, tee

from edge_agent.core import clock
from edge_agent.core.errors import ReadingError
from edge_agent.core.expression import EMOTIONS, Emotion, RejectReason
from edge_agent.core.given_readings import Origin, flag_near_pressures, reading_of
from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.core.shared_times import BeatTimes, placed
from edge_agent.core.study import MarkerKind
from edge_agent.store.database.tables import NAMES, NONE_OF_THESE, POINTS, SMOOTHED
from edge_agent.store.intake.cells import (
    Cells,
    boolean,
    bounded,
    label,
    member,
    moment,
    needed,
    number,
    probabilities,
    text_of,
)
from edge_agent.store.intake.options import FileCount, StudyImport
from edge_agent.store.intake.people import Sessions, StagedSession
from edge_agent.store.intake.problems import CellError, Problems, SourceRow
from edge_agent.store.intake.tidy import StudySource
from edge_agent.store.write.timeline import recorded_value

_BATCH = 5_000
_LONGEST_MS = 3_600_000
_MOST_FRAMES = 10**9
_UNCERTAIN = "uncertain"
_INSERTS = {
    "marker": "INSERT INTO marker (session, at, kind, label) VALUES (?, ?, ?, ?)",
    "self_report": "INSERT INTO self_report (session, at, condition, scale, value) VALUES (?, ?, "
    "?, ?, ?)",
    "expression": "INSERT INTO expression (at, interval_ms, track, frames, "
    f"{', '.join((*NAMES, *SMOOTHED))}, emotion, face_size, quality, is_primary, simulated) VALUES "
    f"({', '.join('?' * (4 + 2 * len(NAMES) + 5))})",
    "unfit": "INSERT INTO unfit (at, interval_ms, track, reason, frames, is_primary, simulated) "
    "VALUES (?, ?, ?, ?, ?, ?, ?)",
    "gap": "INSERT INTO gap (started, ended, source, reason) VALUES (?, ?, ?, ?)",
    "model": "INSERT INTO model (kind, name, version, sha256, since) VALUES (?, ?, ?, ?, ?)",
}
_VITAL = "INSERT INTO vital (at, kind, source, value, flags, device_time) VALUES (?, ?, ?, ?, ?, ?)"
Values = tuple[object, ...]


class TimelineRows:
    """Stages the rows of a source that lie in its sessions.

    Args:
        staged: the staging database, in a transaction.
        source: the files.
        sessions: those of the files.
        report: gets the counts.
        problems: gets what is wrong.
    """

    def __init__(
        self,
        staged: sqlite3.Connection,
        source: StudySource,
        sessions: Sessions,
        report: StudyImport,
        problems: Problems,
    ) -> None:
        self._staged = staged
        self._source = source
        self._sessions = sessions
        self._report = report
        self._problems = problems
        self._now = clock.now()

    def stage(self) -> None:
        """Stage all of them."""
        makers: dict[str, Callable[[SourceRow, FileCount], Values | None]] = {
            "marker": self._marker,
            "self_report": self._self_report,
            "expression": self._expression,
            "unfit": self._rejected,
            "gap": self._gap,
            "model": self._model,
        }
        for table in self._source.tables():
            if table in makers:
                self._write(_INSERTS[table], self._made(table, makers[table]))
        if "vital" in self._source.tables():
            self._vitals()

    def _write(self, insert: str, rows: Iterator[Values]) -> None:
        batch: list[Values] = []
        for values in rows:
            batch.append(values)
            if len(batch) == _BATCH:
                self._staged.executemany(insert, batch)
                batch.clear()
        self._staged.executemany(insert, batch)

    def _made(
        self, table: str, make: Callable[[SourceRow, FileCount], Values | None]
    ) -> Iterator[Values]:
        """Yield the values of the rows that are taken; what is wrong goes to the problems."""
        for row in self._source.rows(table):
            count = self._report.count(table, row)
            count.rows += 1
            try:
                values = make(row, count)
            except CellError as error:
                self._problems.add_cell(row, error)
                continue
            if values is not None:
                count.taken += 1
                yield values

    def _place(self, row: SourceRow, at_ms: int, count: FileCount) -> StagedSession | None:
        """Return the session of a row that is taken; count one that is not."""
        session = self._sessions.at(at_ms)
        named = text_of(row.cells, "session")
        if named and (session is None or str(session.number) != named):
            raise CellError("session", named, "is not the session in whose time the row lies.")
        return self._counted(session, count)

    def _counted(self, session: StagedSession | None, count: FileCount) -> StagedSession | None:
        if session is None:
            count.outside += 1
            return None
        if session.is_left_out:
            count.left_out += 1
            return None
        return session

    def _place_of_event(self, row: SourceRow, at_ms: int, count: FileCount) -> StagedSession | None:
        """Return the session of a marker or self-report; the end of a session belongs to it."""
        named = text_of(row.cells, "session")
        session = self._sessions.at(at_ms)
        if named:
            number = bounded(row.cells, "session", 1, 10**9)
            session = self._sessions.by_number.get(number)
            if session is None or not session.start_ms <= at_ms <= session.end_ms:
                raise CellError("session", named, "is not the session in whose time the row lies.")
        return self._counted(session, count)

    def _marker(self, row: SourceRow, count: FileCount) -> Values | None:
        at_ms = moment(row.cells)
        kind = member(MarkerKind, row.cells, "kind")
        text = label(row.cells, "label", f"Marker {kind}", empty_allowed=False)
        session = self._place_of_event(row, at_ms, count)
        return None if session is None else (session.number, at_ms, kind.value, text)

    def _self_report(self, row: SourceRow, count: FileCount) -> Values | None:
        at_ms = moment(row.cells)
        value = _answer(row.cells)
        session = self._place_of_event(row, at_ms, count)
        if session is None:
            return None
        condition = text_of(row.cells, "condition") or None
        return session.number, at_ms, condition, row.cells["scale"].strip(), value

    def _expression(self, row: SourceRow, count: FileCount) -> Values | None:
        cells = row.cells
        at_ms = moment(cells)
        if self._place(row, at_ms, count) is None:
            return None
        means = probabilities(cells, NAMES)
        smoothed = probabilities(cells, SMOOTHED, means)
        emotion = text_of(cells, "emotion", _UNCERTAIN)
        if emotion not in {*NAMES, _UNCERTAIN}:
            raise CellError("emotion", emotion, f"is not one of {', '.join(EMOTIONS)}, uncertain.")
        return (
            at_ms,
            bounded(cells, "interval_ms", 0, _LONGEST_MS, 1000),
            bounded(cells, "track", 0, 2**53, 1),
            bounded(cells, "frames", 1, _MOST_FRAMES, 1),
            *means,
            *smoothed,
            None if emotion == _UNCERTAIN else emotion,
            number(cells, "face_size", 0.0),
            number(cells, "quality", 1.0),
            int(boolean(cells, "is_primary", default=True)),
            int(boolean(cells, "simulated")),
        )

    def _rejected(self, row: SourceRow, count: FileCount) -> Values | None:
        cells = row.cells
        at_ms = moment(cells)
        if self._place(row, at_ms, count) is None:
            return None
        return (
            at_ms,
            bounded(cells, "interval_ms", 0, _LONGEST_MS, 1000),
            bounded(cells, "track", 0, 2**53, 1),
            member(RejectReason, cells, "reason").value,
            bounded(cells, "frames", 1, _MOST_FRAMES),
            int(boolean(cells, "is_primary", default=True)),
            int(boolean(cells, "simulated")),
        )

    def _gap(self, row: SourceRow, count: FileCount) -> Values | None:
        """Return a gap, cut to the session in which it begins."""
        start_ms = moment(row.cells, "start_")
        end_ms = moment(row.cells, "end_")
        session = self._counted(self._sessions.at(start_ms), count)
        if session is None:
            return None
        source = needed(row.cells, "source")
        return start_ms, min(end_ms, session.end_ms), source, needed(row.cells, "reason")

    def _model(self, row: SourceRow, _count: FileCount) -> Values:
        names = ("kind", "name", "version", "sha256")
        return *(needed(row.cells, name) for name in names), moment(row.cells, "since_")

    def _vitals(self) -> None:
        """Stage the readings; where the files know no flags, what is implausible is flagged."""
        pairs = _of_each_time(self._readings(), BeatTimes().spread)
        if "flags" not in self._source.columns("vital"):
            pairs = _of_each_time(pairs, flag_near_pressures)
        rows, given = tee(pairs)
        readings = placed((one for _, one in given), partial(recorded_value, self._staged))
        for (row, _), (reading, is_new) in zip(rows, readings, strict=True):
            values = (
                reading.at.wall_ms,
                reading.kind.value,
                reading.source,
                reading.value,
                " ".join(sorted(reading.flags)),
                reading.device_time,
            )
            if is_new:
                self._staged.execute(_VITAL, values)
            else:
                again = CellError(
                    "at",
                    text_of(row.cells, "at"),
                    f"is there twice for {reading.kind} of {reading.source}. Remove one of them.",
                )
                self._problems.add_cell(row, again)

    def _readings(self) -> Iterator[tuple[SourceRow, VitalReading]]:
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
                self._problems.add_cell(row, CellError(error.field, text, error.reason))
            except CellError as error:
                self._problems.add_cell(row, error)
            else:
                if session is not None:
                    count.taken += 1
                    yield row, reading


def _given(cells: Cells) -> dict[str, object]:
    """Return the fields of a reading; its time stands in ``at``, or in ``at_ms``."""
    given: dict[str, object] = {
        name: cells[name].strip()
        for name in ("kind", "value", "unit", "source", "flags", "device_time")
        if name in cells
    }
    return given | {"at": text_of(cells, "at") or needed(cells, "at_ms")}


def _answer(cells: Cells) -> int | str:
    """Return what was answered, as the table keeps it."""
    scale = needed(cells, "scale")
    if scale in {"valence", "arousal"}:
        return bounded(cells, "value", 1, POINTS)
    if scale != "emotion":
        raise CellError("scale", scale, "is not one of valence, arousal, emotion.")
    value = needed(cells, "value")
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
