"""The locks of a database: of its one agent, of its dashboards, and of who replaces it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from edge_agent.core.errors import StoreError
from edge_agent.store.database.sqlite_errors import translate_errors


class DatabaseLock:
    """Held by the one agent of a database.

    Two recorders would count the same seconds twice in the rollups.

    Released by ``release`` and by the end of the process, however it ends.
    """

    def __init__(self, file: int) -> None:
        self._file: int | None = file

    def release(self) -> None:
        """Let another agent take the database; may be called twice."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __enter__(self) -> DatabaseLock:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def lock(path: Path) -> DatabaseLock:
    """Become the agent of the database at ``path``; the lock file lies beside it, named ``….lock``.

    Raises:
        StoreError: another agent has it (its process id is named), or the folder cannot be written.
    """
    taken = _agent_lock(path)
    if isinstance(taken, str):
        raise StoreError(
            f"{path}: another agent records into this "
            f"database{f' (process {taken})' if taken else ''}. Stop that one first, or give "
            "this one a folder of its own with --data."
        )
    return taken


def lock_for_reading(path: Path) -> DatabaseLock:
    """Become one of the dashboards of the database at ``path``: nobody may replace it meanwhile.

    Who may not write the folder takes the lock of a file that the agent's user has made.

    Raises:
        StoreError: it is being replaced just now, or the folder cannot be written.
    """
    file_name = _dashboard_file(path)
    with translate_errors(file_name):
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
    """Have the database at ``path`` for oneself: neither agent nor dashboard runs or starts.

    Raises:
        StoreError: one of them runs; the text names the command that stops it.
    """
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
            return holder
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
    """Take a lock, which the kernel releases with the process: a crash leaves none behind."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
