"""A database in a folder that another user can exchange for one of its own, at any moment.

SQLite knows a database by its path, and opens the log beside it by name, so who owns the folder
above can have it open another file than the one that was looked at. Not even a path through an open
folder helps, such as /proc/self/fd/7/dashboard.db: SQLite follows it to the real path first. So
what it has opened is compared with what lies in the folder that was looked at, before anything of
it is believed.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from edge_agent.core.advice import shell_word
from edge_agent.core.errors import StoreError
from edge_agent.timeline.database.connection import BUSY_SECONDS
from edge_agent.timeline.database.files import closed_on_error

_one_at_a_time = threading.Lock()
"""Else the files of another thread's connection would count as those of this one."""
_LOG = ("-wal", "-shm")
_Identity = tuple[int, int]
_Open = dict[int, os.stat_result]
"""Open files of the process, by descriptor."""


@contextmanager
def closing_alone(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Close a connection after the block, while no other one is being opened."""
    try:
        yield connection
    finally:
        with _one_at_a_time:
            connection.close()


def connect_in(folder: int, file: Path) -> sqlite3.Connection:
    """Open a database for writing if it is the one in an open folder, with the log there.

    Args:
        folder: descriptor of the folder, whose owner is trusted.
        file: its path.

    Raises:
        StoreError: SQLite has opened another one.
        sqlite3.Error: it cannot be opened or read.
    """
    with _one_at_a_time, ExitStack() as stack:
        before = _open_files()
        is_held = _identity(os.stat(file.name, dir_fd=folder)) in _identities(before)
        # A journal that a crash has left in the right folder has to be played back.
        if not is_held and not _exists(f"{file.name}-journal", folder):
            # It can neither play a journal back nor move a log into the file, and while it reads,
            # no other can: what lies beside a wrong file does nothing before it is found out.
            reader = stack.enter_context(closing(_open(folder, file, "ro", before)))
            reader.execute("BEGIN")
            _refuse_other_log(folder, file, reader, before)
            before = _open_files()
        connection = _open(folder, file, "rw", before, is_held=is_held)
        with closed_on_error(connection):
            _refuse_other_log(folder, file, connection, before)
    return connection


def _open(
    folder: int, file: Path, mode: str, before: _Open, *, is_held: bool = False
) -> sqlite3.Connection:
    """Open a file and read nothing: what lies beside a wrong one would count already.

    Args:
        folder: the open folder.
        file: the database.
        mode: of SQLite.
        before: what the process had open.
        is_held: whether another connection of the process has opened the file: SQLite then goes on
            with a descriptor that a closed one has left.
    """
    address = f"file:{quote(str(file))}?mode={mode}"
    connection = sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
    with closed_on_error(connection):
        new = _new_since(before)
        there = os.stat(file.name, dir_fd=folder)
        if _identity(there) not in _identities(new):
            foreign = [number for number, one in new.items() if _is_foreign(number, one, folder)]
            if foreign or not is_held:
                raise _error_at(file, "")
    return connection


def _refuse_other_log(
    folder: int, file: Path, connection: sqlite3.Connection, before: _Open
) -> None:
    """Have a connection open its log, and refuse one of another folder."""
    connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        return
    # The connections of a process share the index, and each has the log itself.
    for end, among in zip(_LOG, (_new_since(before), _open_files()), strict=True):
        try:
            there = os.stat(f"{file.name}{end}", dir_fd=folder)
        except FileNotFoundError as error:
            raise _error_at(file, end) from error
        if _identity(there) not in _identities(among):
            raise _error_at(file, end)


def _exists(name: str, folder: int) -> bool:
    try:
        os.stat(name, dir_fd=folder)
    except FileNotFoundError:
        return False
    return True


def _error_at(file: Path, end: str) -> StoreError:
    outer = file.parent.parent
    return StoreError(
        f"{file}{end}: was exchanged while it was opened, so nothing of it is believed. Only who "
        f"owns {outer} can do that: see what runs as that user (ls -ld {shell_word(outer)}; "
        "ps -u USER), and try again."
    )


def _is_foreign(number: int, there: os.stat_result, folder: int) -> bool:
    """Tell whether an open file is for writing, and of another user than the folder."""
    if not stat.S_ISREG(there.st_mode) or there.st_uid == os.fstat(folder).st_uid:
        return False
    try:
        return bool(fcntl.fcntl(number, fcntl.F_GETFL) & os.O_RDWR)
    except OSError:  # another thread has closed it
        return False


def _new_since(before: _Open) -> _Open:
    return {
        number: one
        for number, one in _open_files().items()
        if number not in before or _identity(before[number]) != _identity(one)
    }


def _open_files() -> _Open:
    files = {}
    for number in map(int, os.listdir("/proc/self/fd")):  # noqa: PTH208 - names alone
        with suppress(OSError):  # another thread has closed it
            files[number] = os.fstat(number)
    return files


def _identities(among: _Open) -> set[_Identity]:
    return {_identity(one) for one in among.values()}


def _identity(there: os.stat_result) -> _Identity:
    return there.st_dev, there.st_ino
