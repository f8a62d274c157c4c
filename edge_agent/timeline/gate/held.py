"""A connection that a process keeps to a database which it may only read."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import suppress
from pathlib import Path

from edge_agent.core.errors import StoreError
from edge_agent.timeline.database.connection import connect
from edge_agent.timeline.database.files import LOGS
from edge_agent.timeline.gate.client import gate_of, wake_gate

log = logging.getLogger(__name__)


class HeldDatabase:
    """Keeps SQLite from deleting the log of a database that another user writes.

    Without the log a user without write access cannot read: only a writer makes it. SQLite deletes
    it when the last connection closes, which happens where the agent is stopped and the gate has
    ended. A connection for reading is enough to hold it. All methods belong to one thread.

    Args:
        path: the database. One that this user may write needs nothing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None

    def hold(self) -> None:
        """Open the database if it is another file than before; have its log made if it is missing.

        What fails is tried again by the next call.
        """
        if gate_of(self._path) is None:
            return
        with suppress(OSError):
            file = self._path.stat()
            has_log = self._path.with_name(self._path.name + LOGS[0]).exists()
            if has_log and self._file == (file.st_dev, file.st_ino):
                return
            self.close()
            try:
                if not has_log:
                    wake_gate(self._path)
                self._held = connect(self._path, readonly=True)
                # A connection opens the file with its first query.
                self._held.execute("SELECT count(*) FROM setting").fetchone()
                self._file = file.st_dev, file.st_ino
            except (StoreError, sqlite3.Error) as error:
                log.warning("%s: cannot be held open: %s", self._path, error)

    def close(self) -> None:
        """Let go of the database."""
        if self._held is not None:
            self._held.close()
        self._held = self._file = None
