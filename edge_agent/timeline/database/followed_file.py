"""The file that an open connection writes to, whatever the path names by now."""

from __future__ import annotations

import os
import sqlite3
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from edge_agent.timeline.database.connection import BUSY_SECONDS, connect
from edge_agent.timeline.database.files import closed_on_error, translate_errors


class OpenFile:
    """A file that is kept open by its descriptor, as an open connection keeps it.

    It still refers to the file after another program deletes or moves it, and finds its new path.

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
        """Tell whether the path still names this file: device and inode are compared."""
        # Device and inode, for a file may be replaced by one of the same name and size.
        try:
            return _identity(self._path.stat()) == self._identity
        except OSError:
            return False

    @property
    def is_empty(self) -> bool:
        """Tell whether a program truncated the file to 0 bytes, which SQLite does not notice."""
        return os.fstat(self._descriptor).st_size == 0

    @property
    def way_in(self) -> Path:
        """A path by which this process can open the file, deleted or not."""
        return Path(f"/proc/self/fd/{self._descriptor}")

    @property
    def place(self) -> Path | None:
        """The present path of the file; ``None`` if it was deleted."""
        if os.fstat(self._descriptor).st_nlink == 0:
            return None
        # The kernel shows where the file is now, and `` (deleted)`` behind a path that is gone.
        place = self.way_in.readlink()
        try:
            return place if _identity(place.stat()) == self._identity else None
        except OSError:
            return None

    def close(self) -> None:
        """Close the file, which frees the space of a deleted one. May be called twice."""
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
    with nullcontext() if file is None else closed_on_error(file):
        connection = connect(path, readonly=False, busy_seconds=busy_seconds)
    with closed_on_error(connection), translate_errors(path):
        opened = OpenDatabase(connection, file or OpenFile(path))
    if max_bytes is not None:
        with closed_on_error(opened):
            # SQLite counts in pages, and gives up with SQLITE_FULL when they are used up.
            page = connection.execute("PRAGMA page_size").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count={max(1, max_bytes // page)}")
    return opened


def _identity(file: os.stat_result) -> tuple[int, int]:
    return file.st_dev, file.st_ino
