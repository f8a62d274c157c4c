"""Keeping the database well over years: daily copies, and a look at whether the file is sound."""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from edge_agent.core import clock
from edge_agent.core.errors import StoreError
from edge_agent.store.database.replacement import (
    LOGS,
    free_stamp,
    prepared_path,
    replace_files,
    set_aside,
)
from edge_agent.store.database.schema import (
    connect,
    connect_any,
    copies_beside,
    copy_database,
    transaction,
)
from edge_agent.store.database.sqlite_errors import translate_errors
from edge_agent.store.database.stream_epoch import renew_stream_epoch
from edge_agent.store.upkeep.copies import (
    Copy,
    Mark,
    adopt,
    daily_copies,
    fullest,
    next_number,
    to_delete,
    write_mark,
)
from edge_agent.store.upkeep.copy_report import Attempt, write_attempt
from edge_agent.store.upkeep.verification import Contents, verify

KEEP_COPIES = 3
SPARE_BYTES = 500_000_000
"""Space that a copy must leave free: below it recording itself is at risk."""
_DAMAGE_CURE = (
    "Stop the agent and restore one of them, or try `sqlite3 FILE .recover`. Cards wear out: "
    "consider a new one."
)


def make_daily_copy(path: Path, keep: int = KEEP_COPIES, now_ms: int | None = None) -> Path:
    """Copy the database beside a running agent, verify the copy, then delete what is too many.

    The copy is ``<name>.backup-<day>``, beside the database, so that erasing a participant finds
    it. One that holds much less than another copy is called ``…-smaller`` and takes the place of
    none. What became of it is known to ``standing`` of ``copy_report``.

    Args:
        path: the database.
        keep: how many complete copies stay, this one included; see ``to_delete`` of ``copies``.
        now_ms: UTC; ``None`` is now. A second copy of one day replaces the first, unless it holds
            less.

    Raises:
        StoreError: the database cannot be read, its copy is damaged, or would leave less than
            ``SPARE_BYTES`` free. The older copies are as they were then.
    """
    at_ms = clock.now().wall_ms if now_ms is None else now_ms
    try:
        target = copy_beside(path, path, keep, at_ms, SPARE_BYTES)
    except StoreError as error:
        with suppress(StoreError):  # the folder may be gone or full: the first error tells more
            write_attempt(path, Attempt(at_ms, str(error)))
        raise
    write_attempt(path, Attempt(at_ms))
    return target


def copy_beside(path: Path, place: Path, keep: int, at_ms: int, spare_bytes: int) -> Path:
    """Make a verified copy of the database beside ``place``, and delete what is too many there.

    Args:
        path: the database.
        place: itself, or where it would be in another folder.
        keep: as in ``make_daily_copy``.
        at_ms: UTC, for its name.
        spare_bytes: space that the copy must leave free.

    Raises:
        StoreError: as ``make_daily_copy``.
    """
    with translate_errors(place), _alone(place.parent) as folder:
        adopt(place, at_ms)
        fresh = place.with_name(f"{place.name}.backup-new")
        try:
            with translate_errors(path), closing(connect(path, readonly=True)) as connection:
                _check_space(path, connection, place.parent, spare_bytes)
                copy_database(connection, fresh)
            target = _named(path, place, fresh, at_ms)
            # on the disk before an older one goes: a power cut may come between
            os.fsync(folder)
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise
        for copy in to_delete(daily_copies(place), keep):
            copy.unlink(missing_ok=True)
    return target


def _named(path: Path, place: Path, fresh: Path, at_ms: int) -> Path:
    """Verify a fresh copy and compare it with the others; return the name that it got."""
    try:
        verify(fresh)
    except StoreError as error:
        what = str(error).removeprefix(f"{fresh}: ").rstrip(".")
        raise StoreError(
            f"{path}: its copy {what}, so the database or the disk is damaged. The copy was thrown "
            f"away, the older ones stay ({_names(path)}). {_DAMAGE_CURE}"
        ) from error
    others = daily_copies(place)
    most = fullest(others)

    def mark_of(contents: Contents) -> Mark:
        smaller_than = None
        if most and contents.is_much_smaller_than(most[1].contents):
            smaller_than = most[0].path.name
        return Mark(at_ms, next_number(others), contents, smaller_than)

    target = _name(place, write_mark(fresh, mark_of), others)
    return fresh.replace(target)


def _name(place: Path, mark: Mark, others: Sequence[Copy]) -> Path:
    """Return the first name of the day that is free, or that of a copy that holds no more."""
    day = datetime.fromtimestamp(mark.verified_ms / 1000, UTC)
    stem = f"{place.name}.backup-{day:%Y-%m-%d}{'-smaller' if mark.smaller_than else ''}"
    taken = {copy.path: copy.mark for copy in others}
    for number in count(1):
        target = place.with_name(stem if number == 1 else f"{stem}-{number}")
        there = taken.get(target)
        if target not in taken or (there and there.contents <= mark.contents):
            break
    return target


@contextmanager
def _alone(folder: Path) -> Iterator[int]:
    """Keep others from making a copy in the folder meanwhile; the folder is open in the block."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield handle
    except BlockingIOError as error:
        raise StoreError(
            f"{folder}: another copy is being made there now. Try again when it is done."
        ) from error
    finally:
        os.close(handle)


def _names(path: Path) -> str:
    return ", ".join(copy.name for copy in copies_beside(path)) or "there is none"


def restore_copy(path: Path, copy: Path) -> None:
    """Put a copy in the place of the database; agent and dashboard must not run.

    Its messages get a new epoch: readers know higher numbers than the copy does.
    Killed anywhere, it leaves the one or the other, each with its own log.

    Raises:
        StoreError: the copy is none of ours, or cannot be read or written. The database is as it
            was then.
    """
    fresh = prepared_path(path)
    with translate_errors(copy):
        with closing(connect_any(copy)) as connection:
            copy_database(connection, fresh)
        with closing(connect_any(fresh)) as connection:
            with transaction(connection):
                renew_stream_epoch(connection)
            connection.execute("PRAGMA journal_mode=WAL")
        stamp = free_stamp([path], "by-a-copy")
        replace_files(path, [path], stamp)
        for replaced in set_aside([path], stamp):
            for end in ("", *LOGS):
                replaced.with_name(replaced.name + end).unlink(missing_ok=True)


def _check_space(path: Path, connection: sqlite3.Connection, folder: Path, spare: int) -> None:
    pages, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size")
    )
    free = shutil.disk_usage(folder).free
    if free < pages * size + spare:
        raise StoreError(
            f"{path}: was not copied aside, for the copy of {pages * size / 1e6:.0f} MB would "
            f"leave too little of the {free / 1e6:.0f} MB that are free in {folder}. Free space, "
            "or lower record.budget_mb."
        )
