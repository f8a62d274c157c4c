"""What a session's course by condition is made of, in a transaction that the caller holds."""

from __future__ import annotations

import sqlite3

from edge_agent.core.expression import Expression
from edge_agent.store.database.tables import NAMES


def read_face(
    connection: sqlite3.Connection, start_ms: int, end_ms: int
) -> list[tuple[int, Expression]]:
    """Return time and mean raw probabilities of the participant's face."""
    rows = connection.execute(
        f"SELECT at, {', '.join(NAMES)} FROM expression "  # noqa: S608 - our own names
        "WHERE is_primary = 1 AND at > ? AND at <= ? ORDER BY at",
        (start_ms, end_ms),
    )
    return [(row["at"], Expression(tuple(row[name] / 1000 for name in NAMES))) for row in rows]


def last_baseline_marker(connection: sqlite3.Connection, session: int) -> int | None:
    """Return when the last baseline marker of a session was set, or ``None``."""
    cursor = connection.execute(
        "SELECT max(at) FROM marker WHERE session = ? AND kind = 'baseline'", (session,)
    )
    if (at := cursor.fetchone()[0]) is None:
        return None
    return int(at)
