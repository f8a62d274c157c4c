"""Copies of a database: making one, proving that it is good, and finding those beside it."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from urllib.parse import quote

from edge_agent.core.errors import DamageError, StoreError
from edge_agent.timeline.database.files import LOGS, forget_cached_pages, sync_folder
from edge_agent.timeline.database.page_comparison import have_same_pages

# ruff: noqa: S608 - only names from the file's own list of tables are put into SQL text

log = logging.getLogger(__name__)

_PAGES_AT_ONCE = 10_000


def copy_database(
    connection: sqlite3.Connection,
    target: Path,
    mode: int = 0o640,
    on_share: Callable[[float], None] | None = None,
) -> None:
    """Copy the whole database including its log; ``target`` appears only when it is complete.

    Args:
        connection: to the database.
        target: path of the copy.
        mode: its rights.
        on_share: gets the share that is copied. Nobody may write meanwhile, else the copying
            begins anew.
    """
    unfinished = target.with_name(target.name + ".part")
    unfinished.unlink(missing_ok=True)
    # ``O_EXCL``: nobody else's file is written over, and the rights are those of a private file.
    handle = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        if os.geteuid() == 0:  # root copies for those whose folder it is
            owner = target.parent.stat()
            os.fchown(handle, owner.st_uid, owner.st_gid)
    finally:
        os.close(handle)
    try:
        with closing(sqlite3.connect(unfinished)) as copy:
            # The backup interface reads pages under SQLite's locks, log included; copying the file
            # would not.
            if on_share is None:
                connection.backup(copy)
            else:
                told = on_share
                connection.backup(
                    copy,
                    pages=_PAGES_AT_ONCE,
                    progress=lambda _, left, pages: told(1 - left / max(pages, 1)),
                )
            copy.execute("PRAGMA journal_mode=DELETE")  # a copy is one file
        unfinished.replace(target)
    except BaseException:
        for end in ("", *LOGS):
            unfinished.with_name(unfinished.name + end).unlink(missing_ok=True)
        raise
    log.info("copied the database to %s", target)


def copies_beside(path: Path) -> list[Path]:
    """Return the copies beside a database: daily, before updates and upgrades, and set aside."""
    copies = {
        copy
        for place in {path, path.resolve()}  # a link to another disk: restored there
        for kind in ("before-*", "backup-*", "replaced.*")
        for copy in place.parent.glob(f"{place.name}.{kind}")
    }
    return sorted(copy for copy in copies if not copy.name.endswith(LOGS))


def verify_copy(
    path: Path,
    connection: sqlite3.Connection,
    copy: Path,
    counted: Callable[[sqlite3.Connection], AbstractContextManager[object]] = nullcontext,
) -> None:
    """Read a copy from the disk, and compare its version and the rows of each table.

    Args:
        path: the database, for errors.
        connection: to it, in a write transaction that began before the copy was made.
        copy: the copy, of one file.
        counted: is entered with each connection whose work takes long.

    Raises:
        DamageError: the database is damaged, and so is its copy.
        StoreError: the copy is not as good as the database.
    """
    with closing(_open_copy(copy)) as there, counted(there):
        fault = _fault(there)
        if fault is None and list(_contents(there)) != list(_contents(connection)):
            fault = "it holds other rows"
    if fault is None:
        return
    own = _fault(connection)
    if own is not None:
        raise DamageError(f"{path}: is damaged ({own}), so it was not upgraded.")
    raise StoreError(
        f"{path}: was not upgraded, for its copy cannot be read back ({fault}). Nothing was "
        "changed; check the card or disk."
    )


def is_copy(path: Path, connection: sqlite3.Connection, copy: Path) -> bool:
    """Tell whether a file is a copy of a database as it is now, page by page.

    Args:
        path: the database.
        connection: to it, in a write transaction that has written nothing yet.
        copy: the file, which may be missing.
    """
    log_file = path.with_name(path.name + LOGS[0])
    # With a log, the file alone is not the database.
    if log_file.exists() and log_file.stat().st_size:
        return False
    if copy.is_symlink() or not copy.is_file():
        return False
    pages, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size")
    )
    return copy.stat().st_size == pages * size and have_same_pages(path, copy, pages * size)


def _open_copy(copy: Path) -> sqlite3.Connection:
    """Open a copy, to be read from the disk and not from the memory of the system."""
    forget_cached_pages(copy)
    sync_folder(copy.parent)
    address = f"file:{quote(str(copy.absolute()))}?mode=ro&immutable=1"
    return sqlite3.connect(address, uri=True)


def _fault(connection: sqlite3.Connection) -> str | None:
    answer = str(connection.execute("PRAGMA integrity_check(1)").fetchone()[0])
    # Its first line names the database only.
    return None if answer == "ok" else answer.splitlines()[-1]


def _contents(connection: sqlite3.Connection) -> Iterator[tuple[str, int]]:
    """Yield the schema's version, and the number of rows of each table."""
    yield "user_version", connection.execute("PRAGMA user_version").fetchone()[0]
    for table in sorted(stored_tables(connection)):
        yield table, connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0]


def stored_tables(connection: sqlite3.Connection) -> list[str]:
    """Return the names of the tables, without those of SQLite itself."""
    rows = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    )
    return [row[0] for row in rows]
