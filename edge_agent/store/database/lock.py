"""The locks of a database, and the file that an open connection writes to.

Its one agent holds a lock, and so do its dashboards and who replaces it. A connection goes on
writing to its file, whatever the path names by now.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from edge_agent.core.errors import StoreError
from edge_agent.store.database.files import closed_on_error, translate_errors
from edge_agent.store.database.schema import BUSY_SECONDS, connect


class DatabaseLock(AbstractContextManager["DatabaseLock"]):
    """The lock that the one agent of a database holds.

    Two recorders would count the same seconds twice in the rollups.

    Released by ``release`` and by the end of the process, however it ends.
    """

    def __init__(self, file: int) -> None:
        self._file: int | None = file

    def release(self) -> None:
        """Release the lock, so that another agent can take it; may be called twice."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __exit__(self, *_: object) -> None:
        self.release()


def lock(path: Path) -> DatabaseLock:
    """Take the agent's lock on the database at ``path``; the lock file beside it is ``….lock``.

    Raises:
        StoreError: another agent has it (its process id is named), or the folder cannot be written.
    """
    taken = _agent_lock(path)
    if isinstance(taken, str):
        who = f" (process {taken})" if taken else ""
        raise StoreError(
            f"{path}: another agent records into this database{who}. Stop that one first, or give "
            "this one a folder of its own with --data."
        )
    return taken


def lock_for_reading(path: Path) -> DatabaseLock:
    """Take a shared lock for a dashboard: the database at ``path`` cannot be replaced meanwhile.

    A user without write access to the folder locks a file that the agent's user has created.

    Raises:
        StoreError: it is being replaced just now, or the folder cannot be written.
    """
    file_name = _dashboard_file(path)
    with translate_errors(file_name):
        # Opening for reading is enough to lock a file, so that a dashboard needs no right to write.
        may_write = not file_name.exists() or os.access(file_name, os.W_OK)
        file = _open(file_name) if may_write else os.open(file_name, os.O_RDONLY | os.O_CLOEXEC)
        if not _take(file, fcntl.LOCK_SH):
            os.close(file)
            raise StoreError(
                f"{path}: is being restored just now. Start again when that has ended."
            )
    return DatabaseLock(file)


@contextmanager
def lock_alone(path: Path) -> Iterator[None]:
    """Lock the database at ``path`` exclusively: neither agent nor dashboard runs or starts.

    Raises:
        StoreError: one of them runs; the text names the command that stops it.
    """
    # The agent's lock first, as everywhere: two programs that take both never wait for each other.
    agent = _agent_lock(path)
    if isinstance(agent, str):
        raise StoreError(f"{path}: an agent (process {agent}) records into this database. {_STOP}")
    with agent:
        with translate_errors(path):
            file = _open(_dashboard_file(path))
        with DatabaseLock(file):
            if not _take(file, fcntl.LOCK_EX):
                raise StoreError(f"{path}: a dashboard shows this database. {_STOP}")
            yield


_STOP = (
    "Stop agent and dashboard first: sudo systemctl stop affect-edge-agent affect-edge-dashboard "
    "affect-edge-database (or end the programs that you started by hand)."
)


def _agent_lock(path: Path) -> DatabaseLock | str:
    """Return the agent's lock, or the process id of the agent that has it."""
    file_name = path.with_suffix(".lock")
    with translate_errors(file_name):
        file = _open(file_name)
        if not _take(file, fcntl.LOCK_EX):
            holder = os.read(file, 20).decode("ascii", "replace").strip()
            os.close(file)
            # The process id is only for people; the lock alone decides, for a file may be left by a
            # crash.
            return holder
        # The file is emptied only now: another holder's process id must stay readable until then.
        os.ftruncate(file, 0)
        os.write(file, f"{os.getpid()}\n".encode("ascii"))
    return DatabaseLock(file)


def _dashboard_file(path: Path) -> Path:
    return path.with_suffix(".dashboard.lock")


def _open(file_name: Path) -> int:
    file_name.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(file_name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    if os.geteuid() == 0:  # agent and dashboard open it as those whose folder it is
        owner = file_name.parent.stat()
        os.fchown(file, owner.st_uid, owner.st_gid)
    return file


def _take(file: int, kind: int) -> bool:
    """Take a lock that the kernel releases when the process ends, also after a crash."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


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
        """Whether the path still names this file: device and inode are compared."""
        # Device and inode, for a file may be replaced by one of the same name and size.
        try:
            return _identity(self._path.stat()) == self._identity
        except OSError:
            return False

    @property
    def is_empty(self) -> bool:
        """Whether another program truncated the file to 0 bytes, which SQLite does not notice."""
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
