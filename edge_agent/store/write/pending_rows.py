"""Which of the rows that wait in memory may be written, asked at the moment of writing."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from edge_agent.core.expression import ExpressionRow, RejectedFrames
from edge_agent.core.readings import VitalReading
from edge_agent.store.write.outbox import OutboxMessage
from edge_agent.store.write.tombstones import Tombstones

T = TypeVar("T")


def rows_in_sessions(connection: sqlite3.Connection, rows: Sequence[T]) -> list[T]:
    """Return the rows without expressions, unfit frames and readings of a time outside sessions.

    A row's time is the end of its interval. It is asked when the row is written, some seconds
    later: nothing stays of what was seen after a session ended, although the camera looks away only
    at the next tick.
    """
    return [row for row in rows if _may_stay(connection, row)]


def _may_stay(connection: sqlite3.Connection, row: object) -> bool:
    if not isinstance(row, ExpressionRow | RejectedFrames | VitalReading):
        return True
    session = connection.execute(
        "SELECT 1 FROM session WHERE started <= :at AND (ended IS NULL OR ended >= :at)",
        {"at": row.at.wall_ms},
    )
    return session.fetchone() is not None


def summarises_erased_time(tombstones: Tombstones, message: OutboxMessage) -> bool:
    """Tell whether a message sums up a time that was erased."""
    window = (message.payload or {}).get("window")
    if not isinstance(window, Mapping):
        return False
    start, end = (
        round(1000 * datetime.fromisoformat(window[name]).timestamp()) for name in ("start", "end")
    )
    return tombstones.cover(start, end)
