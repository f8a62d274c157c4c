"""Creating a database, and upgrading one of an earlier release after a verified copy."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from edge_agent.core import clock
from edge_agent.core.errors import StoreError
from edge_agent.core.files import LAST_BYTES, room_in
from edge_agent.timeline.database.connection import (
    BUSY_SECONDS,
    open_connection,
    refuse_unknown_version,
    transaction,
    version_of_ours,
    versions,
)
from edge_agent.timeline.database.copy import copy_database, is_copy, verify_copy
from edge_agent.timeline.database.creation import create_tables, statements_of
from edge_agent.timeline.database.files import (
    LOGS,
    code_of,
    is_full,
    refuse_half_replaced,
    refuse_unfinished,
    said_by,
    sync_folder,
    translate_errors,
)
from edge_agent.timeline.database.lock import DatabaseLock, lock, try_lock
from edge_agent.timeline.database.schema import PAGE_BYTES, VERSION
from edge_agent.timeline.database.upgrade_progress import (
    OnProgress,
    UpgradeReport,
    percent_upgraded,
    reported_upgrade,
)
from edge_agent.timeline.database.upgrade_steps import TIMELINE, DatabaseForm, take_steps

log = logging.getLogger(__name__)

_COPIED, _VERIFIED = 0.05, 0.3
"""Shares that are done when the copy is made, and when it is proven to be good."""
_CHECK_OPERATIONS, _STEP_OPERATIONS = 2_000, 5_000
"""Operations of SQLite for each page of the file, measured with 3 million rows."""
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
                    with (
                        nullcontext() if is_locked else _without_agent(path, connection),
                        reported_upgrade(path) as report,
                    ):
                        upgrade(path, connection, TIMELINE, statements_of("views.sql"), report)
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
    path: Path,
    connection: sqlite3.Connection,
    form: DatabaseForm,
    views: Sequence[str] = (),
    report: UpgradeReport | None = None,
) -> None:
    """Bring a database of an earlier release to the present schema, after a verified copy.

    The copy is ``<name>.before-schema-<version>``; the one of an earlier upgrade is deleted.
    Killed anywhere, it leaves the database as it was, or upgraded.

    Args:
        path: the database.
        connection: to it, for writing; outside a transaction.
        form: what it has to become.
        views: statements that make its views.
        report: gets how far it is.

    Raises:
        StoreError: no space, the copy or a step fails. The database is as it was then.
        DamageError: the database is damaged.
    """
    report = report or UpgradeReport(path)
    # Inside a transaction the PRAGMA does nothing. With it, a table that a step makes anew would
    # take along whatever is deleted with its rows.
    connection.execute("PRAGMA foreign_keys=OFF")
    # What a killed upgrade has written to the log goes, and the file alone is the database.
    _empty_log(connection)
    try:
        # From here on nobody else writes: what is copied is what is changed.
        with transaction(connection):
            version = versions(connection)[1]
            if version == form.version:
                return  # another process has done it
            log.warning("%s: upgrading schema %d to %d", path, version, form.version)
            _copy_aside(path, connection, form, report)
            operations = _STEP_OPERATIONS * _pages(connection)
            with report.counting(connection, _VERIFIED, 1.0, operations):
                _take_steps(path, connection, form, views)
        log.warning("%s: has schema %d now", path, form.version)
        _empty_log(connection)
    except (sqlite3.Error, OSError) as error:
        if not is_full(error):
            raise
        # It holds what the database holds, and would take the space that the next try needs.
        _copy_before(path, form.version).unlink(missing_ok=True)
        _empty_log(connection)
        room = _room(path, connection, form)
        raise StoreError(f"{path}: was not upgraded, for the disk is full. {room}") from error
    finally:
        connection.execute("PRAGMA foreign_keys=ON")


def _take_steps(
    path: Path, connection: sqlite3.Connection, form: DatabaseForm, views: Sequence[str]
) -> None:
    version = versions(connection)[1]
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


def _empty_log(connection: sqlite3.Connection) -> None:
    """Move the log into the file and free its space, unless somebody reads there just now."""
    with suppress(sqlite3.OperationalError):
        connection.execute("PRAGMA busy_timeout=0")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    connection.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000:.0f}")


def _copy_before(path: Path, version: int) -> Path:
    return path.with_name(f"{path.name}.before-schema-{version}")


def _copy_aside(
    path: Path, connection: sqlite3.Connection, form: DatabaseForm, report: UpgradeReport
) -> None:
    """Copy a database to ``….before-schema-<version>``, and verify the copy.

    The copy of an upgrade that was cut short is used again if the database is as it was then.

    Raises:
        StoreError: there is no room for the copy and the steps, or it cannot be verified.
        DamageError: the database is damaged.
    """
    target = _copy_before(path, form.version)
    # Under names that an erasure finds. An older copy goes when this one is proven to be good.
    fresh = target.with_name(f"{target.name}-new")
    for left in path.parent.glob(f"{fresh.name}*"):  # of a copying that was cut short
        left.unlink()
    is_there = is_copy(path, connection, target)
    room = _room(path, connection, form, copy_factor=0.0 if is_there else 1.0)
    if room.is_short:
        raise StoreError(f"{path}: was not upgraded. {room}")
    if is_there:
        log.warning("%s: is used again: an upgrade that was cut short has made it", target)
        fresh = target
    else:
        # Another connection reads: SQLite copies nothing over one that is about to write.
        with closing(open_connection(path, "ro", BUSY_SECONDS)) as reader:
            mode = path.stat().st_mode & 0o640
            copy_database(reader, fresh, mode, lambda share: report.show(share * _COPIED))
    operations = _CHECK_OPERATIONS * _pages(connection)
    try:
        verify_copy(
            path,
            connection,
            fresh,
            lambda copy: report.counting(copy, _COPIED, _VERIFIED, operations),
        )
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    fresh.replace(target)
    for older in path.parent.glob(f"{path.name}.before-schema-*"):
        if older != target:
            older.unlink()
    sync_folder(path.parent)


def _pages(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA page_count").fetchone()[0])


@dataclass(frozen=True, slots=True)
class _Room:
    """Room that an upgrade needs on the disk of a folder, and that it may use there, bytes."""

    folder: Path
    needed: float
    free: int

    @property
    def is_short(self) -> bool:
        return self.free < self.needed

    def __str__(self) -> str:
        return (
            f"It needs {(self.needed + LAST_BYTES) / 1e6:.0f} MB for a copy of the database and "
            f"for its log, and {(self.free + LAST_BYTES) / 1e6:.0f} MB are free in {self.folder}. "
            "Nothing was changed. Free space, then start again."
        )


def _room(
    path: Path, connection: sqlite3.Connection, form: DatabaseForm, *, copy_factor: float = 1.0
) -> _Room:
    size = _pages(connection) * connection.execute("PRAGMA page_size").fetchone()[0]
    factor = copy_factor + form.room(versions(connection)[1])
    # Until it is upgraded, nothing is recorded.
    return _Room(path.parent, size * factor, room_in(path.parent, is_needed=True))


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
        # The wait for one that upgrades has no end.
        if percent_upgraded(path) is not None:
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


def lock_for_agent(path: Path, on_progress: OnProgress | None = None) -> DatabaseLock:
    """Take the agent's lock; wait while another process holds it to upgrade the database.

    Args:
        path: the database.
        on_progress: gets how far that is.

    Raises:
        StoreError: as ``lock``.
    """
    # Who has just taken the lock to upgrade says so a moment later.
    until_s = clock.boot_seconds() + _PATIENCE_S if is_older(path) else 0.0
    while True:
        try:
            return lock(path)
        except StoreError:
            percent = percent_upgraded(path)
            if percent is not None:
                until_s = clock.boot_seconds() + _PATIENCE_S
                if on_progress is not None:
                    on_progress(percent)
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
    # Without a log, who may not write cannot read it in the usual way; the file has everything.
    has_log = path.with_name(path.name + LOGS[0]).exists()
    for mode in ("ro",) if has_log else ("ro", "ro&immutable=1"):
        with (
            suppress(StoreError),  # missing, or not readable: who opens it gets an error
            translate_errors(path),
            closing(open_connection(path, mode, BUSY_SECONDS)) as connection,
        ):
            return TIMELINE.is_older(versions(connection)[1])
    return False
