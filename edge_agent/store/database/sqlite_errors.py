"""What SQLite and the file system raise, in words that say what to do."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_agent.core.errors import DamageError, StoreError

DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})
"""Codes that mean a damaged file."""


def is_damage(error: sqlite3.Error) -> bool:
    """Tell whether an error means that the file is damaged."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF in DAMAGED


def is_read_only(error: BaseException) -> bool:
    """Tell whether SQLite refused to write because it has the file open for reading only.

    It opens a file so while the card refuses writing, and never tries again by itself.
    """
    cause = error if isinstance(error, sqlite3.Error) else error.__cause__
    code = getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return int(code) & 0xFF == sqlite3.SQLITE_READONLY


@contextmanager
def translate_errors(path: Path) -> Iterator[None]:
    """Turn what SQLite and the file system raise in the block into ``StoreError``."""
    try:
        yield
    except sqlite3.Error as error:
        raise store_error(path, error) from error
    except UnicodeDecodeError as error:
        # What SQLite quotes from a damaged list of tables is no text.
        raise DamageError(f"{path}: {_MEANINGS[sqlite3.SQLITE_CORRUPT]}") from error
    except OSError as error:
        raise StoreError(_describe_os_error(path, error)) from error


def store_error(path: Path, error: sqlite3.Error) -> StoreError:
    """Say what an error of SQLite means for a person, and the cure."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    text = f"{path}: {_MEANINGS.get(code, f'{error}.')}"
    if code in DAMAGED:
        return DamageError(text)
    return StoreError(text)


def translated(path: Path, error: sqlite3.Error | StoreError) -> StoreError:
    """Return an error of SQLite in the words of ``store_error``, and any other as it is."""
    if isinstance(error, StoreError):
        return error
    return store_error(path, error)


def _describe_os_error(path: Path, error: OSError) -> str:
    """Say what a failed file operation means, and the cure."""
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{path}: {_NO_PERMISSION}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{path}: {_FULL}"
    return f"{error.filename or path}: {error.strerror or error}. Name another folder with --data."


_NO_PERMISSION = (
    "no permission to read or write here. Run as the user that owns the folder, or name another "
    "one with --data."
)


_FULL = (
    "the disk, or the size allowed for the database, is full. Free space; recording goes on "
    "by itself."
)


_MEANINGS = {
    sqlite3.SQLITE_PERM: _NO_PERMISSION,
    sqlite3.SQLITE_READONLY: _NO_PERMISSION,
    sqlite3.SQLITE_CANTOPEN: _NO_PERMISSION,
    sqlite3.SQLITE_AUTH: _NO_PERMISSION,
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_NOTADB: "is not a database. Nothing was changed; start the agent, which sets it "
    "aside and salvages what is readable, or name another folder with --data.",
    sqlite3.SQLITE_CORRUPT: "is damaged. Start the agent, which sets it aside and salvages what is "
    "readable, or restore a copy.",
    sqlite3.SQLITE_BUSY: "is locked by another program. Close what has it open (a database "
    "browser?) and try again.",
    sqlite3.SQLITE_LOCKED: "is locked by another program. Close what has it open (a database "
    "browser?) and try again.",
    sqlite3.SQLITE_IOERR: "cannot be read or written (input/output error). Check the card or disk, "
    "`dmesg` tells more.",
}
