"""Rows of markers inside a transaction that the caller holds."""

from __future__ import annotations

import sqlite3

from edge_agent.core.clock import Instant
from edge_agent.core.errors import StudyError
from edge_agent.core.expression import Emotion
from edge_agent.core.study import Marker, MarkerKind, Session
from edge_agent.store.study.study_rows import checked_label, in_session, refuse_before_start

_EVER = 2**62
_STIMULI = (MarkerKind.STIMULUS_START.value, MarkerKind.STIMULUS_END.value)


def insert_marker(
    connection: sqlite3.Connection, session: Session, kind: MarkerKind, label: str, at: Instant
) -> Marker:
    """Add a marker to a session.

    A stimulus end without label takes that of the open condition, a baseline neutral.
    """
    boot, at = in_session(connection, session.id, at)
    refuse_before_start(session, at)
    if kind is MarkerKind.STIMULUS_END:
        condition = find_open_condition(connection, session.id)
        if condition is None:
            raise StudyError("No stimulus is going on that could end. Mark its start first.")
        label = label.strip() or condition
    if kind is MarkerKind.BASELINE:
        label = label.strip() or Emotion.NEUTRAL.value
    label = checked_label(label, f"Marker {kind}", empty_allowed=False)
    cursor = connection.execute(
        "INSERT INTO marker (session, at, boot_ms, kind, label, boot) VALUES (?, ?, ?, ?, ?, ?)",
        (session.id, at.wall_ms, at.boot_ms, kind.value, label, boot),
    )
    return Marker(at, kind, label, session.id, int(cursor.lastrowid or 0))


def marker_is_there(
    connection: sqlite3.Connection, session: Session, kind: MarkerKind, label: str, at: Instant
) -> bool:
    """Tell whether a session has a marker of this time, kind and label; no label fits any."""
    known = in_session(connection, session.id, at)[1]
    row = connection.execute(
        "SELECT 1 FROM marker WHERE session = ? AND at = ? AND kind = ? AND (label = ? OR ? = '')",
        (session.id, known.wall_ms, kind.value, label.strip(), label.strip()),
    )
    return row.fetchone() is not None


def find_open_condition(connection: sqlite3.Connection, session: int) -> str | None:
    """Return the label of the stimulus that the last stimulus marker of the session opened."""
    return find_condition(connection, session, _EVER)


def find_condition(connection: sqlite3.Connection, session: int, at_ms: int) -> str | None:
    """Return the label of the stimulus that went on in a session at a time, UTC milliseconds."""
    row = connection.execute(
        "SELECT kind, label FROM marker WHERE session = ? AND kind IN (?, ?) AND at <= ? ORDER BY "
        "at DESC, id DESC LIMIT 1",
        (session, *_STIMULI, at_ms),
    ).fetchone()
    if row is not None and row["kind"] == MarkerKind.STIMULUS_START:
        return str(row["label"])
    return None


def select_markers(connection: sqlite3.Connection, session: int) -> list[Marker]:
    """Return the markers of a session in order of time."""
    if connection.execute("SELECT 1 FROM session WHERE id = ?", (session,)).fetchone() is None:
        raise StudyError(f"There is no session {session}.")
    rows = connection.execute(
        "SELECT id, session, at, boot_ms, kind, label FROM marker WHERE session = ? ORDER BY at, "
        "id",
        (session,),
    )
    return [marker_of(row) for row in rows]


def marker_of(row: sqlite3.Row) -> Marker:
    """Return a row of ``marker`` as a value; its boot clock is 0 where it was not recorded."""
    at = Instant(boot_ms=row["boot_ms"] or 0, wall_ms=row["at"])
    return Marker(at, MarkerKind(row["kind"]), row["label"], row["session"], row["id"])
