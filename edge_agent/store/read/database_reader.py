"""What every reader of the database has: its path, and a connection for each question."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
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
        self._of_thread = threading.local()

    @contextmanager
    def at_one_moment(self) -> Iterator[None]:
        """Answer what this thread asks within the block from one connection.

        All answers are of the same moment of the database, which is opened once: each opening reads
        its whole schema, 1 to 2 ms of a server's processor.
        """
        with self.connect() as connection:
            before = self._shared()
            self._of_thread.connection = connection
            try:
                yield
            finally:
                self._of_thread.connection = before

    def connect(self) -> AbstractContextManager[sqlite3.Connection]:
        """Open a read-only connection, for modules that bring their own SQL.

        They are those of this room and of the rooms above it.
        """
        shared = self._shared()
        if shared is not None:
            return nullcontext(shared)
        return read_transaction(self._path, self._busy_seconds)

    def _shared(self) -> sqlite3.Connection | None:
        return getattr(self._of_thread, "connection", None)
