"""The locks of a database: of its one agent, its dashboards, who copies, replaces or upgrades it.

Whoever may read a file can lock it. So the files that hold up recording and copies are open to
their owner alone, and not to the dashboard's user.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from edge_agent.core import clock
from edge_agent.core.advice import shell_word
from edge_agent.core.errors import StoreError
from edge_agent.core.owners import as_owner_of
from edge_agent.timeline.database.files import translate_errors

_OWNERS_ALONE = 0o600
_TRIES = 20
_PAUSE_S = 0.01
_STOP = (
    "Stop agent and dashboard first: sudo systemctl stop affect-edge-agent affect-edge-dashboard "
    "affect-edge-database.socket affect-edge-database (or end the programs that you started by "
    "hand)."
)


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
    taken = try_lock(path)
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
        file = _open(file_name) if may_write else _open_file(file_name, os.O_RDONLY)
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
    agent = try_lock(path)
    if isinstance(agent, str):
        raise StoreError(f"{path}: an agent (process {agent}) records into this database. {_STOP}")
    with agent:
        with translate_errors(path):
            file = _open(_dashboard_file(path))
        with DatabaseLock(file):
            if not _take(file, fcntl.LOCK_EX):
                raise StoreError(f"{path}: a dashboard shows this database. {_STOP}")
            yield


@contextmanager
def lock_for_copies(path: Path) -> Iterator[None]:
    """Lock the copies of the database at ``path``: one process at a time makes some.

    Raises:
        StoreError: another one does, or the folder cannot be written.
    """
    file_name = path.with_suffix(".copies.lock")
    with translate_errors(file_name):
        file = _open(file_name, _OWNERS_ALONE)
    with DatabaseLock(file):
        if not _take(file, fcntl.LOCK_EX):
            raise StoreError(f"{path}: another copy is being made. Try again when it is done.")
        yield


@contextmanager
def lock_upgrade(path: Path) -> Iterator[int]:
    """Lock the file that says how far the upgrade of the database at ``path`` is; yield its number.

    The dashboard's user reads it, and so could lock it: that holds up no upgrade, which goes on
    without being seen.

    Raises:
        StoreError: the folder cannot be written.
    """
    file_name = _upgrade_file(path)
    with translate_errors(file_name):
        file = _open(file_name)
    with DatabaseLock(file):
        for _ in range(_TRIES):  # whoever looks locks it for a moment
            if _take(file, fcntl.LOCK_SH):
                break
            clock.sleep(_PAUSE_S)
        yield file
        with translate_errors(file_name):
            os.ftruncate(file, 0)


def read_held_upgrade(path: Path) -> str:
    """Return what the process writes that upgrades the database; empty when none does."""
    try:
        file = _open_file(_upgrade_file(path), os.O_RDONLY)
    except (OSError, StoreError):
        return ""
    with DatabaseLock(file):
        if _take(file, fcntl.LOCK_EX):
            return ""
        return os.pread(file, 20, 0).decode("ascii", "replace")


def try_lock(path: Path) -> DatabaseLock | str:
    """Return the agent's lock, or the process id of the agent that has it.

    Raises:
        StoreError: the folder cannot be written.
    """
    file_name = path.with_suffix(".lock")
    with translate_errors(file_name):
        file = _open(file_name, _OWNERS_ALONE)
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


def _upgrade_file(path: Path) -> Path:
    return path.with_suffix(".upgrade.lock")


def _dashboard_file(path: Path) -> Path:
    return path.with_suffix(".dashboard.lock")


def _open(file_name: Path, mode: int = 0o640) -> int:
    # Root makes it for those whose folder it is, with their rights alone.
    with as_owner_of(file_name.parent):
        file_name.parent.mkdir(parents=True, exist_ok=True)
        file = _open_file(file_name, os.O_RDWR | os.O_CREAT, mode)
        if mode == _OWNERS_ALONE and os.geteuid() == os.fstat(file).st_uid:
            os.fchmod(file, mode)  # an earlier release let the group read it
    return file


def _open_file(file_name: Path, flags: int, mode: int = 0) -> int:
    """Open a lock file; neither a link nor a pipe is one.

    Raises:
        OSError: it cannot be opened.
        StoreError: something else has its name.
    """
    flags |= os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        file = os.open(file_name, flags, mode)
    except OSError as error:
        if error.errno not in {errno.ELOOP, errno.EISDIR, errno.ENXIO}:
            raise
        raise _no_lock(file_name) from error
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise _no_lock(file_name)
    return file


def _no_lock(file_name: Path) -> StoreError:
    return StoreError(
        f"{file_name}: is a link, a folder or a pipe where a lock file has to be, so nothing was "
        f"changed. See who made it (ls -l {shell_word(file_name.parent)}), and delete it."
    )


def _take(file: int, kind: int) -> bool:
    """Take a lock that the kernel releases when the process ends, also after a crash."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
