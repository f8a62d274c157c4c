"""Which file a connection really writes to, whatever its path names by now."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edge_agent.store.database.schema import BUSY_SECONDS, connect
from edge_agent.store.database.sqlite_errors import translate_errors


class OpenFile:
    """A file that is kept by its number, as an open connection keeps it.

    Where somebody deletes or moves it, this still knows it, and can tell where it is.

    Args:
        path: the file, which is open already.

    Raises:
        OSError: there is no such file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        # O_PATH: closing any other descriptor would take SQLite's locks on the file away.
        self._descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        self._identity = _identity(os.fstat(self._descriptor))

    @property
    def is_in_place(self) -> bool:
        """Whether the path still names this file: device and inode are compared."""
        try:
            return _identity(self._path.stat()) == self._identity
        except OSError:
            return False

    @property
    def is_empty(self) -> bool:
        """Whether somebody emptied the file: SQLite goes on writing to its log alone."""
        return os.fstat(self._descriptor).st_size == 0

    @property
    def is_deleted(self) -> bool:
        """Whether no path names this file any more."""
        return os.fstat(self._descriptor).st_nlink == 0

    @property
    def way_in(self) -> Path:
        """A path by which this process can open the file, deleted or not."""
        return Path(f"/proc/self/fd/{self._descriptor}")

    @property
    def place(self) -> Path | None:
        """Where the file is now; ``None``: nowhere."""
        if self.is_deleted:
            return None
        place = self.way_in.readlink()
        try:
            return place if _identity(place.stat()) == self._identity else None
        except OSError:
            return None

    def close(self) -> None:
        """Let the file go: a deleted one is gone then. May be called twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


@dataclass(frozen=True, slots=True)
class OpenDatabase:
    """A connection for writing, and the file that it writes to."""

    connection: sqlite3.Connection
    file: OpenFile

    def close(self) -> None:
        """Close both."""
        self.connection.close()
        self.file.close()


def open_database(
    path: Path, *, busy_seconds: float = BUSY_SECONDS, max_bytes: int | None = None
) -> OpenDatabase:
    """Open a database, and keep hold of its file whatever becomes of the path.

    Args:
        path: the database.
        busy_seconds: how long to wait for a lock.
        max_bytes: largest size of the file; ``None`` is the size of the disk.

    Raises:
        StoreError: as ``connect``.
        sqlite3.Error: the largest size cannot be set.
    """
    file = None
    with suppress(OSError):
        # Before the connection: where the file goes in between, it is not in its place, which its
        # writer sees. The other way round, the next file would be taken for the one written to.
        file = OpenFile(path)
    try:
        connection = connect(path, readonly=False, busy_seconds=busy_seconds)
    except BaseException:
        if file is not None:
            file.close()
        raise
    with translate_errors(path):
        opened = OpenDatabase(connection, file or OpenFile(path))
    if max_bytes is not None:
        _limit(opened, max_bytes)
    return opened


def _limit(opened: OpenDatabase, max_bytes: int) -> None:
    try:
        page = opened.connection.execute("PRAGMA page_size").fetchone()[0]
        most = max(1, max_bytes // page)
        opened.connection.execute(f"PRAGMA max_page_count={most}")
    except BaseException:
        opened.close()
        raise


def _identity(file: os.stat_result) -> tuple[int, int]:
    return file.st_dev, file.st_ino
