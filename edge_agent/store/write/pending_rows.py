"""Which of the rows that wait in memory may be written, asked at the moment of writing."""

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters

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
_SAME_START = (
    "{} IN (SELECT id FROM boot WHERE boot_id = (SELECT boot_id FROM boot WHERE id = :boot))"
)


def rows_in_sessions(
    connection: sqlite3.Connection, rows: Sequence[tuple[T, int | None]]
) -> list[tuple[T, int | None]]:
    """Return the rows without expressions, unfit frames and readings of a time outside sessions.

    A row's time is the end of its interval. It is asked when the row is written, some seconds
    later: nothing stays of what was seen after a session ended, although the camera looks away only
    at the next tick.

    Args:
        connection: of the transaction.
        rows: each with its row of ``boot``.
    """
    return [(row, boot) for row, boot in rows if _may_stay(connection, row, boot)]


def _may_stay(connection: sqlite3.Connection, row: object, boot: int | None) -> bool:
    """Tell whether a row lies in a session: by the boot clock where both have one.

    The wall clock may have stepped since the session began.
    """
    if not isinstance(row, ExpressionRow | RejectedFrames | VitalReading):
        return True
    session = connection.execute(
        f"SELECT 1 FROM session WHERE CASE WHEN {_SAME_START.format('boot')} THEN boot_ms <= "
        ":boot_ms ELSE started <= :at END AND (ended IS NULL OR CASE WHEN "
        f"{_SAME_START.format('ended_boot')} THEN ended_boot_ms >= :boot_ms ELSE ended >= :at END)",
        {"at": row.at.wall_ms, "boot_ms": row.at.boot_ms, "boot": boot},
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
