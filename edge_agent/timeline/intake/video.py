"""Import of the faces of a recorded video into the timeline, in one transaction.

Our chain read them, or another program whose table is imported.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edge_agent.core import clock
from edge_agent.core.clock import Instant, iso_utc
from edge_agent.core.errors import StudyError
from edge_agent.core.expression import ExpressionRow, RejectedFrames
from edge_agent.core.movements import MovementRow
from edge_agent.core.readings import Gap, VitalReading
from edge_agent.core.study import Purpose, Session
from edge_agent.core.texts import Message
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.database.tables import BY_NAME
from edge_agent.timeline.intake.imports import insert_import
from edge_agent.timeline.study.past import PastMarker, PastSession, insert_past_marker
from edge_agent.timeline.study.past import insert_past_session as insert_session
from edge_agent.timeline.study.rows import insert_audit, select_sessions, session_numbered
from edge_agent.timeline.upkeep.retention import kept_from_ms, short_lived
from edge_agent.timeline.write.inserts import (
    write_expressions,
    write_gap,
    write_movements,
    write_rejected_frames,
    write_vitals,
)
from edge_agent.timeline.write.reading_imports import next_import

VideoRow = ExpressionRow | MovementRow | RejectedFrames | VitalReading | Gap
VideoRows = Sequence[VideoRow]


_ROWS_OF = {"expression": "emotions", "movement": "movements"}
_TABLE_OF: Mapping[type[ExpressionRow | MovementRow | RejectedFrames], str] = {
    ExpressionRow: "expression",
    MovementRow: "movement",
    RejectedFrames: "unfit",
}


@dataclass(frozen=True, slots=True)
class VideoImport:
    """A recorded video, with its time and its session.

    Attributes:
        start_ms: when the recording began, UTC milliseconds.
        end_ms: when it ended.
        session: number of a session that is there, or one to be added.
        markers: to be added to it.
        about: file and program, for the audit trail and the list of imports.
        tables: that it brings rows to; none may lie in its time already.
        action: in the audit trail.
    """

    start_ms: int
    end_ms: int
    session: int | PastSession
    markers: tuple[PastMarker, ...]
    about: str
    tables: tuple[str, ...] = ("expression", "movement")
    action: str = "video_import"


class _LookedAtError(Exception):
    """Rolls back the transaction of ``check_video``."""


def check_video(path: Path, new: VideoImport, *, purposes: Collection[Purpose], actor: str) -> None:
    """Check that a video can be imported, before hours are spent on analysing it.

    Everything except the rows is written and rolled back.

    Raises:
        StudyError: as `store_video`.
    """
    try:
        with write_transaction(path) as connection:
            _session_for(connection, new, purposes, actor, next_import(connection))
            # The check is the import itself without its rows, so that the two cannot differ.
            raise _LookedAtError
    except _LookedAtError:
        pass


def store_video(
    path: Path,
    new: VideoImport,
    rows: VideoRows,
    interval_ms: int,
    *,
    purposes: Collection[Purpose],
    actor: str,
) -> Session:
    """Write the rows of a video at the times of its recording, with its session and markers.

    Args:
        path: the database, already migrated.
        new: the video.
        rows: of its faces and of the pulse in them, at times within it.
        interval_ms: length of a row.
        purposes: which purposes a session may have here.
        actor: who did it, for the audit trail.

    Raises:
        StudyError: there is no such session, the video reaches beyond it, rows lie in that time
            already, or as `past.add_session` and `past.add_past_markers`. Nothing was written then.
    """
    rows = [_within(row, new.end_ms) for row in rows]
    with write_transaction(path) as connection:
        number = next_import(connection)
        session = _session_for(connection, new, purposes, actor, number)
        simulated = session.simulated
        # Rows of a video have no boot clock: they are never moved when a clock is set.
        expressions = [(row, None) for row in rows if isinstance(row, ExpressionRow)]
        rejected = [(row, None) for row in rows if isinstance(row, RejectedFrames)]
        write_expressions(connection, expressions, interval_ms, simulated, number)
        movements = [(row, None) for row in rows if isinstance(row, MovementRow)]
        write_movements(connection, movements, interval_ms, simulated, number)
        write_rejected_frames(connection, rejected, interval_ms, simulated, number)
        readings = [(row, None) for row in rows if isinstance(row, VitalReading)]
        new_readings = write_vitals(connection, readings, number).count(True)
        for row in rows:
            if isinstance(row, Gap):
                write_gap(connection, row, None, import_number=number)
        count = len(expressions) or len(movements)
        pulse = f", readings of the pulse: {new_readings}" if readings else ""
        detail = f"session {session.id}, {count} rows{pulse}: {new.about}"
        now = clock.now()
        insert_audit(connection, actor, new.action, detail, now)
        span = (new.start_ms, new.end_ms)
        insert_import(
            connection,
            number,
            file=new.about,
            actor=actor,
            at_ms=now.wall_ms,
            readings=new_readings,
            video=span,
        )
        return session


def short_lived_rows(rows: VideoRows, keep_days: int) -> list[Message]:
    """Return a sentence on rows of a video that the next maintenance deletes, if there are any.

    Args:
        rows: of the video.
        keep_days: days that such rows are kept.
    """
    before = kept_from_ms(keep_days)
    counts = []
    for kind, table in _TABLE_OF.items():
        there = [row.at.wall_ms < before for row in rows if isinstance(row, kind)]
        counts.append((BY_NAME[table].many, sum(there), len(there)))
    return short_lived(counts, keep_days)


def _within(row: VideoRow, end_ms: int) -> VideoRow:
    """Return a row at a time before the end of its video, for a session holds what is before it."""
    if isinstance(row, Gap) or row.at.wall_ms < end_ms:
        return row
    return replace(row, at=Instant(row.at.boot_ms, end_ms - 1))


def _session_for(
    connection: sqlite3.Connection,
    new: VideoImport,
    purposes: Collection[Purpose],
    actor: str,
    number: int,
) -> Session:
    """Return the session of a video, added with its markers where it is new."""
    span = f"{iso_utc(new.start_ms)} to {iso_utc(new.end_ms)}"
    if isinstance(new.session, PastSession):
        session = insert_session(
            connection, new.session, purposes=purposes, actor=actor, import_number=number
        )
    else:
        session = session_numbered(connection, new.session)
        end_ms = clock.now().wall_ms if session.end_ms is None else session.end_ms
        if not session.start_ms <= new.start_ms < new.end_ms <= end_ms:
            raise StudyError(
                f"The video ({span}) reaches beyond session {session.id} "
                f"({iso_utc(session.start_ms)} to {iso_utc(end_ms)}). Give the time at which it "
                "began with --start, or another session."
            )
    for table in new.tables:
        (there,) = connection.execute(
            # Rows are stamped with their end: one that ends at the start is of before.
            f"SELECT count(*) FROM {table} WHERE at > ? AND at <= ?",  # noqa: S608 - our own names
            (new.start_ms, new.end_ms),
        ).fetchone()
        if there:
            raise StudyError(
                f"{there} rows of {_ROWS_OF[table]} lie in the time of the video already ({span}): "
                "the camera recorded then, or the video was read before. Two readings of one time "
                "would count twice; correct --start."
            )
    sessions = select_sessions(connection)
    # In order of time, as a person would have set them: an end must find its start.
    for marker in sorted(new.markers, key=lambda marker: marker.at_ms):
        insert_past_marker(connection, sessions, marker, number)
    return session
