"""What every reader of the database has: its path, and a connection for each question."""

from __future__ import annotations

import sqlite3
from contextlib import AbstractContextManager
from pathlib import Path

from edge_agent.store.database.schema import BUSY_SECONDS, read_transaction


class DatabaseReader:
    """Opens a read-only connection for each question; safe to share between threads.

    Every method of a reader raises ``StoreError`` when the database is missing, foreign, of another
    version, locked or not permitted.

    Args:
        path: the database.
        busy_seconds: how long to wait for a lock.
    """

    def __init__(self, path: Path, *, busy_seconds: float = BUSY_SECONDS) -> None:
        self._path = path
        self._busy_seconds = busy_seconds

    def connect(self) -> AbstractContextManager[sqlite3.Connection]:
        """Open a read-only connection, for modules that bring their own SQL.

        They are those of this room and of the rooms above it.
        """
        return read_transaction(self._path, self._busy_seconds)
