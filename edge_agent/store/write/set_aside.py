"""Rows that the database refuses: they are kept with the reason, and the others are written."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping

KEEP = 1_000
_LONGEST = 4_000
UNKNOWN_TIME = 0


def set_aside(
    connection: sqlite3.Connection,
    at_ms: int | None,
    source: str,
    content: Mapping[str, object],
    reason: str,
) -> None:
    """Keep a row that no table takes, inside the caller's transaction; the oldest give way.

    Args:
        connection: of the transaction.
        at_ms: when the row happened, for erasing it with its time; ``None``: not known.
        source: which table refused it.
        content: its values.
        reason: what the database says.
    """
    text = json.dumps(content, default=repr, ensure_ascii=True)[:_LONGEST]
    at = at_ms if isinstance(at_ms, int) and 0 <= at_ms < 1 << 62 else UNKNOWN_TIME
    cursor = connection.execute(
        "INSERT INTO set_aside (at, source, content, reason) VALUES (?, ?, ?, ?)",
        (at, source, text, reason[:_LONGEST]),
    )
    connection.execute("DELETE FROM set_aside WHERE id <= ?", (int(cursor.lastrowid or 0) - KEEP,))
