"""Keeping the database well over years: daily copies, and a look at whether the file is sound."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from edge_agent.core import clock
from edge_agent.core.errors import StoreError
from edge_agent.store.database.schema import (
    connect,
    connect_any,
    copies_beside,
    copy_database,
    transaction,
)
from edge_agent.store.database.sqlite_errors import store_error, translate_errors
from edge_agent.store.database.stream_epoch import renew_stream_epoch

KEEP_COPIES = 3
SPARE_BYTES = 500_000_000
"""Space that a copy must leave free: below it recording itself is at risk."""


def make_daily_copy(path: Path, keep: int = KEEP_COPIES, now_ms: int | None = None) -> Path:
    """Copy the database to ``<name>.backup-<day>`` beside a running agent; delete older copies.

    The copies lie beside the database, so that erasing a participant finds them.

    Args:
        path: the database.
        keep: how many copies stay, this one included.
        now_ms: UTC; ``None`` is now. A second copy of one day replaces the first.

    Raises:
        StoreError: the database cannot be read, or the copy would leave less than ``SPARE_BYTES``
            free; the older copies are kept then.
    """
    day = datetime.fromtimestamp((clock.now().wall_ms if now_ms is None else now_ms) / 1000, UTC)
    target = path.with_name(f"{path.name}.backup-{day:%Y-%m-%d}")
    with translate_errors(path), closing(connect(path, readonly=True)) as connection:
        _check_space(path, connection)
        copy_database(connection, target)
    older = [
        copy
        for copy in copies_beside(path)
        if copy.name.startswith(f"{path.name}.backup-") and copy != target
    ]
    # By name, which is by day: a clock that was wrong once must not delete the copies of better
    # days.
    for copy in sorted(older, reverse=True)[max(keep - 1, 0) :]:
        copy.unlink(missing_ok=True)
    return target


def check_integrity(path: Path) -> None:
    """Read the whole database and compare its indexes and references.

    Raises:
        StoreError: something is damaged; the text says what was found first and what to do.
    """
    with translate_errors(path), closing(connect_any(path)) as connection:
        faults = [
            str(row[0]) for row in connection.execute("PRAGMA integrity_check(3)") if row[0] != "ok"
        ]
        faults += [
            f"a row of {row[0]} refers to none of {row[2]}"
            for row in connection.execute("PRAGMA foreign_key_check")
        ]
    if faults:
        copies = ", ".join(copy.name for copy in copies_beside(path)) or "there is none"
        raise StoreError(
            f"{path}: is damaged ({faults[0]}). Stop the agent and restore a copy that lies beside "
            f"it ({copies}), or try `sqlite3 FILE .recover`. Cards wear out: consider a new one."
        )


def restore_copy(path: Path, copy: Path) -> None:
    """Put a copy in the place of the database; agent and dashboard must not run.

    Its messages get a new epoch: readers know higher numbers than the copy does.

    Raises:
        StoreError: the copy is none of ours, or cannot be read or written. The database is as it
            was then.
    """
    fresh = path.with_name(f"{path.name}.restored")
    with translate_errors(copy):
        try:
            with closing(connect_any(copy)) as connection:
                copy_database(connection, fresh)
            with closing(connect_any(fresh)) as connection:
                with transaction(connection):
                    renew_stream_epoch(connection)
                connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.Error as error:
            raise store_error(copy, error) from error
        for log in (path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
            log.unlink(missing_ok=True)
        fresh.replace(path)


def _check_space(path: Path, connection: sqlite3.Connection) -> None:
    pages, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size")
    )
    free = shutil.disk_usage(path.parent).free
    if free < pages * size + SPARE_BYTES:
        raise StoreError(
            f"{path}: was not copied aside, for the copy of {pages * size / 1e6:.0f} MB would "
            f"leave too little of the {free / 1e6:.0f} MB that are free. Free space, or lower "
            "record.budget_mb."
        )
