"""No old bytes in a database file and its log."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path

from edge_agent.core.errors import StoreError

_CHUNK = 1 << 20
_SHORTEST_TEXT = 3


def scrub(path: Path, connection: sqlite3.Connection, texts: Iterable[str]) -> bool:
    """Leave no old bytes in file and log; return whether the file had to be written anew for that.

    Args:
        path: the database.
        connection: to it, outside a transaction.
        texts: that were deleted, and must be nowhere in the file.

    Raises:
        StoreError: a reader did not end in time.

    ``secure_delete`` overwrites what is deleted, but a page that SQLite has rearranged before may
    hold older copies.
    """
    # First the log, whose frames hold the pages as they were before; only then does the file have
    # all that is left, and can be searched.
    empty_log(path, connection)
    if not holds(path, texts):
        return False
    connection.execute("VACUUM")
    # VACUUM writes the new file through the log: it is emptied again.
    empty_log(path, connection)
    return True


def empty_log(path: Path, connection: sqlite3.Connection) -> None:
    """Write the log into the file and empty it; wait for present readers.

    Raises:
        StoreError: a reader did not end in time.
    """
    if connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
        raise StoreError(
            f"{path}: the rows are erased, but another program keeps the file open, and its "
            f"log {path.name}-wal still holds them. Close what reads it (an export, a "
            "database browser), then restart the agent and the dashboard: that empties the "
            "log."
        )


def holds(path: Path, texts: Iterable[str]) -> bool:
    """Tell whether the bytes of a text are in the file, in upper or lower case."""
    wanted = [text.lower().encode() for text in texts if len(text) >= _SHORTEST_TEXT]
    if not wanted:
        return False
    overlap = max(map(len, wanted)) - 1
    kept = b""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            window = kept + chunk.lower()
            if any(text in window for text in wanted):
                return True
            kept = window[-overlap:] if overlap else b""
    return False
