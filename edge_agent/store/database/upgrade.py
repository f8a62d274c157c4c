"""Creating a database, and upgrading one of an earlier release after a verified copy."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path

from edge_agent.core import clock
from edge_agent.core.errors import StoreError
from edge_agent.store.database.connection import (
    BUSY_SECONDS,
    open_connection,
    refuse_unknown_version,
    transaction,
    version_of_ours,
    versions,
)
from edge_agent.store.database.copy import copy_database, verify_copy
from edge_agent.store.database.creation import create_tables, statements_of
from edge_agent.store.database.files import (
    code_of,
    refuse_half_replaced,
    refuse_unfinished,
    said_by,
    sync_folder,
    translate_errors,
)
from edge_agent.store.database.lock import DatabaseLock, lock, try_lock
from edge_agent.store.database.schema import PAGE_BYTES, VERSION
from edge_agent.store.database.upgrade_steps import TIMELINE, Form, take_steps

log = logging.getLogger(__name__)

SPARE_BYTES = 100_000_000
"""Space that the copy before an upgrade must leave free: the upgrade itself writes, too."""
_PATIENCE_S = 20.0
"""So long a process waits for an agent that holds a database of an earlier schema and does not
upgrade it."""
_PAUSE_S = 0.2
_OF_A_STEP = frozenset({sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT})
"""Codes that mean a wrong step, and not a disk that is full or failing."""


def migrate(path: Path, *, is_locked: bool = False) -> None:
    """Create the database where there is none; upgrade one of an earlier release.

    Args:
        path: the database file; its folder is made when missing. A new file is readable by owner
            and group only.
        is_locked: whether the caller holds the agent's lock. Else an upgrade takes it, or waits
            for the agent that upgrades just now.

    Raises:
        StoreError: of a newer version or from before the first release, not a database of ours,
            not permitted, disk full, an agent of an earlier release runs. Nothing has changed then.
        DamageError: the upgrade found damage. Nothing has changed then.
    """
    refuse_half_replaced(path)
    with translate_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        refuse_unfinished(path)
        # Made here and not by SQLite, so that others may not read it from the first moment on.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640))
        with closing(open_connection(path, "rw", BUSY_SECONDS)) as connection:
            # Two processes may start at once; the one that comes second finds it done.
            if not _is_empty(path, connection):
                if versions(connection)[1] < VERSION:
                    with nullcontext() if is_locked else _without_agent(path, connection):
                        upgrade(path, connection, TIMELINE, statements_of("views.sql"))
                return
            connection.execute(f"PRAGMA page_size={PAGE_BYTES}")
            # before the first table: with it the file can shrink later
            connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
            # Readers go on while the recorder writes; the mode stays in the file.
            connection.execute("PRAGMA journal_mode=WAL")
            with transaction(connection):
                # Look again inside the transaction: another process may have made it meanwhile.
                if _is_empty(path, connection):
                    create_tables(connection)


def _is_empty(path: Path, connection: sqlite3.Connection) -> bool:
    """Tell whether the file has no tables yet; refuse foreign databases and unknown versions."""
    # A file that was just made has no tables and no application ID yet.
    empty = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0
    if empty and versions(connection)[0] == 0:
        return True
    refuse_unknown_version(path, version_of_ours(path, connection))
    return False


def upgrade(
    path: Path, connection: sqlite3.Connection, form: Form, views: Sequence[str] = ()
) -> None:
    """Bring a database of an earlier release to the present schema, after a verified copy.

    The copy is ``<name>.before-schema-<version>``; the one of an earlier upgrade is deleted.
    Killed anywhere, it leaves the database as it was, or upgraded.

    Args:
        path: the database.
        connection: to it, for writing; outside a transaction.
        form: what it has to become.
        views: statements that make its views.

    Raises:
        StoreError: no space, the copy or a step fails. The database is as it was then.
        DamageError: the database is damaged.
    """
    # Inside a transaction the PRAGMA does nothing. With it, a table that a step makes anew would
    # take along whatever is deleted with its rows.
    connection.execute("PRAGMA foreign_keys=OFF")
    try:
        # From here on nobody else writes: what is copied is what is changed.
        with transaction(connection):
            version = versions(connection)[1]
            if version == form.version:
                return  # another process has done it
            log.warning("%s: upgrading schema %d to %d", path, version, form.version)
            _copy_aside(path, connection, form.version)
            try:
                take_steps(connection, form, version, views)
            except (StoreError, sqlite3.Error) as error:
                if isinstance(error, sqlite3.Error) and code_of(error) not in _OF_A_STEP:
                    raise  # of the disk, which has its own sentence
                raise StoreError(
                    f"{path}: could not be upgraded from schema {version} to {form.version} "
                    f"({said_by(error)}). Nothing was changed; go back to the earlier release "
                    "(`affect-edge rollback`) and report this."
                ) from error
        log.warning("%s: has schema %d now", path, form.version)
    finally:
        connection.execute("PRAGMA foreign_keys=ON")


def _copy_aside(path: Path, connection: sqlite3.Connection, version: int) -> None:
    """Copy a database to ``….before-schema-<version>``, and verify the copy."""
    pages, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size")
    )
    free = shutil.disk_usage(path.parent).free
    if free < pages * size + SPARE_BYTES:
        raise StoreError(
            f"{path}: was not upgraded, for the copy that is made before needs "
            f"{(pages * size + SPARE_BYTES) / 1e6:.0f} MB, and {free / 1e6:.0f} MB are free in "
            f"{path.parent}. Nothing was changed. Free space, then start again."
        )
    target = path.with_name(f"{path.name}.before-schema-{version}")
    # Under names that an erasure finds. An older copy goes when this one is proven to be good.
    fresh = target.with_name(f"{target.name}-new")
    # Another connection reads: SQLite copies nothing over one that is about to write.
    with closing(open_connection(path, "ro", BUSY_SECONDS)) as reader:
        copy_database(reader, fresh, path.stat().st_mode & 0o640)
    try:
        verify_copy(path, connection, fresh)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    fresh.replace(target)
    for older in path.parent.glob(f"{path.name}.before-schema-*"):
        if older != target:
            older.unlink()
    sync_folder(path.parent)


@contextmanager
def _without_agent(path: Path, connection: sqlite3.Connection) -> Iterator[None]:
    """Hold the agent's lock in the block, or enter it when the agent has upgraded the database.

    Raises:
        StoreError: an agent holds the lock and does not upgrade: it is of an earlier release.
    """
    until_s = clock.boot_seconds() + _PATIENCE_S
    while isinstance(agent := try_lock(path), str):
        if versions(connection)[1] >= VERSION:
            yield
            return
        # Whoever upgrades holds the lock for writing all the time: then the wait has no end.
        if _is_written(connection):
            until_s = clock.boot_seconds() + _PATIENCE_S
        elif clock.boot_seconds() >= until_s:
            raise StoreError(
                f"{path}: is of an earlier release (schema {versions(connection)[1]}, this program "
                f"knows {VERSION}), and an agent of that release (process {agent or '?'}) records "
                "into it. Start that agent again with this release: it upgrades the database."
            )
        clock.sleep(_PAUSE_S)
    with agent:
        yield


def lock_for_agent(path: Path) -> DatabaseLock:
    """Take the agent's lock; wait while another process holds it to upgrade the database.

    Raises:
        StoreError: as ``lock``.
    """
    until_s = 0.0
    while True:
        try:
            return lock(path)
        except StoreError:
            if _is_being_upgraded(path):
                until_s = clock.boot_seconds() + _PATIENCE_S
            elif clock.boot_seconds() >= until_s:
                raise
        clock.sleep(_PAUSE_S)


def wait_until_upgraded(path: Path, patience_s: float) -> None:
    """Wait while a database is of an earlier release; another process upgrades it.

    Returns when it is not, when the time is over, or when it cannot be read.
    """
    until_s = clock.boot_seconds() + patience_s
    while clock.boot_seconds() < until_s and is_older(path):
        clock.sleep(_PAUSE_S)


def is_older(path: Path) -> bool:
    """Tell whether a database is of an earlier release, and can be upgraded."""
    try:
        with (
            translate_errors(path),
            closing(open_connection(path, "ro", BUSY_SECONDS)) as connection,
        ):
            return TIMELINE.is_older(versions(connection)[1])
    except StoreError:  # missing, or not readable: who opens it is told
        return False


def _is_being_upgraded(path: Path) -> bool:
    try:
        with closing(open_connection(path, "rw", BUSY_SECONDS)) as connection:
            if not TIMELINE.is_older(versions(connection)[1]):
                return False
            # or it has ended while this one waited for the lock for writing
            return _is_written(connection) or versions(connection)[1] >= VERSION
    except sqlite3.Error:
        return False


def _is_written(connection: sqlite3.Connection) -> bool:
    """Tell whether another connection keeps the lock for writing, for longer than usual."""
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if code_of(error) == sqlite3.SQLITE_BUSY:
            return True
        raise
    connection.execute("ROLLBACK")
    return False
