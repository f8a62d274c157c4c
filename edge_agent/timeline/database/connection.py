"""Connections to the timeline, and transactions.

Example:
    >>> with read_transaction(path) as connection:
    ...     connection.execute("SELECT count(*) FROM expression").fetchone()
"""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from edge_agent.core.errors import StoreError
from edge_agent.timeline.database.files import (
    closed_on_error,
    refuse_half_replaced,
    refuse_pipe,
    refuse_unfinished,
    translate_errors,
)
from edge_agent.timeline.database.schema import APPLICATION_ID, PAGE_BYTES, VERSION
from edge_agent.timeline.database.untrusted_file import refuse_foreign, set_bounds
from edge_agent.timeline.database.upgrade_progress import refuse_during_upgrade
from edge_agent.timeline.database.upgrade_steps import TIMELINE

BUSY_SECONDS = 5.0
_LOG_BYTES = 4_096_000  # the write-ahead log is moved into the file when it has grown to this


def connect(
    path: Path, *, readonly: bool, busy_seconds: float = BUSY_SECONDS
) -> sqlite3.Connection:
    """Open an existing database whose schema is the present one; the caller closes the connection.

    The connection is in autocommit mode (use ``transaction``), gives ``sqlite3.Row`` rows and
    belongs to this thread.

    Args:
        path: the database file.
        readonly: open ``mode=ro``, which works beside a running agent and as another user.
        busy_seconds: how long to wait for a lock.

    Raises:
        StoreError: missing, not a database, of another version, not permitted, locked.
    """
    # A half-replaced appliance may have a database that does not belong to its other files.
    refuse_half_replaced(path)
    with translate_errors(path):
        try:
            file = path.stat()
        except FileNotFoundError as error:
            refuse_unfinished(path)
            raise StoreError(
                f"{path}: there is no database. Start the agent once, or import a file, or "
                "name its folder with --data."
            ) from error
        if stat.S_ISDIR(file.st_mode):
            told = "is a folder, not a file. Move it away, or name another folder with --data."
            raise StoreError(f"{path}: {told}")
        if file.st_size == 0:
            raise StoreError(
                f"{path}: is empty. Start the agent once, or import a file, or name another "
                "folder with --data."
            )
        connection = open_connection(path, "ro" if readonly else "rw", busy_seconds)
        with closed_on_error(connection):
            refuse_other_version(path, version_of_ours(path, connection))
            refuse_foreign(path, connection, readonly=readonly)
    return connection


def connect_any(path: Path) -> sqlite3.Connection:
    """Open an existing database of ours for writing, whatever its schema.

    Raises:
        StoreError: it is not one of ours.
        sqlite3.Error: it cannot be opened or read.
    """
    connection = open_connection(path, "rw", BUSY_SECONDS)
    with closed_on_error(connection):
        version_of_ours(path, connection)
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Run the block in one write transaction: all of it is committed, or none.

    Example:
        >>> with closing(connect(path, readonly=False)) as connection, transaction(connection):
        ...     connection.execute("DELETE FROM gap WHERE id = ?", (7,))
    """
    # IMMEDIATE takes the write lock at once: a transaction that reads first and writes later could
    # fail with SQLITE_BUSY in its middle, where waiting does not help.
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def write_transaction(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the database for one short write transaction.

    Example:
        >>> with write_transaction(path) as connection:
        ...     insert_participant(connection, "P01", clock.now())

    Raises:
        StoreError: as ``connect``; disk full.
    """
    with (
        translate_errors(path),
        closing(connect(path, readonly=False)) as connection,
        transaction(connection),
    ):
        yield connection


@contextmanager
def read_transaction(
    path: Path, busy_seconds: float = BUSY_SECONDS
) -> Iterator[sqlite3.Connection]:
    """Open the database read-only; all queries of the block see the same moment of it.

    Example:
        >>> with read_transaction(path) as connection:
        ...     connection.execute("SELECT count(*) FROM vital").fetchone()[0]

    Raises:
        StoreError: as ``connect``.
    """
    with (
        translate_errors(path),
        closing(connect(path, readonly=True, busy_seconds=busy_seconds)) as connection,
    ):
        # A read transaction sees the database as of its first query, however much is written
        # meanwhile.
        connection.execute("BEGIN")
        yield connection


def insert(connection: sqlite3.Connection, table: str, /, **values: object) -> int:
    """Insert a row, column by column, inside the caller's transaction; return its number."""
    columns = ", ".join(values)
    places = ", ".join("?" * len(values))
    text = f"INSERT INTO {table} ({columns}) VALUES ({places})"  # noqa: S608 - our own names
    return connection.execute(text, tuple(values.values())).lastrowid or 0


def open_connection(path: Path, mode: str, busy_seconds: float) -> sqlite3.Connection:
    """Open the file with the settings that every connection has."""
    refuse_pipe(path)
    connection = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode={mode}",
        uri=True,
        timeout=busy_seconds,
        isolation_level=None,
    )
    with closed_on_error(connection):
        set_bounds(path, connection)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA foreign_keys=ON")
        # FULL: a power cut loses one batch at the most, for the same bytes written as NORMAL.
        connection.execute("PRAGMA synchronous=FULL")
        # Deleted rows are overwritten: an erased participant leaves no byte in the file.
        connection.execute("PRAGMA secure_delete=ON")
        connection.execute(f"PRAGMA wal_autocheckpoint={_LOG_BYTES // PAGE_BYTES}")
    return connection


def versions(connection: sqlite3.Connection) -> tuple[int, int]:
    """Return application id and schema version of the file."""
    application: int = connection.execute("PRAGMA application_id").fetchone()[0]
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return application, version


def version_of_ours(path: Path, connection: sqlite3.Connection) -> int:
    """Return the schema version; refuse a database of another program."""
    application, version = versions(connection)
    if application != APPLICATION_ID:
        raise StoreError(
            f"{path}: is a database, but not one of Affect Edge. Nothing was changed; name another "
            "folder with --data."
        )
    return version


def refuse_unknown_version(path: Path, version: int) -> None:
    """Refuse a database whose schema this program neither knows nor can upgrade.

    Raises:
        StoreError: it is newer, or from before the first release.
    """
    if version > VERSION:
        raise StoreError(
            f"{path}: was written by a newer Affect Edge (schema {version}, this program knows "
            f"{VERSION}). Nothing was changed; update this program, or name another folder with "
            "--data."
        )
    if version < TIMELINE.oldest:
        raise StoreError(
            f"{path}: was made before the first release (schema {version}, this program upgrades "
            f"{TIMELINE.oldest} and later). Nothing was changed; export it with the program "
            "that made it, or name another folder with --data."
        )


def refuse_other_version(path: Path, version: int) -> None:
    """Refuse a database whose schema is not the present one.

    Raises:
        StoreError: it is newer or older, or is being upgraded.
    """
    refuse_unknown_version(path, version)
    if version < VERSION:
        refuse_during_upgrade(path)
        raise StoreError(
            f"{path}: is of an earlier release (schema {version}, this program knows {VERSION}), "
            "and not upgraded yet. Start the agent, or say `affect-edge maintenance --upgrade` "
            "where there is none: the database is copied aside and upgraded. Then try again."
        )
