"""The disk budget: the oldest rows outside sessions are deleted, and the file shrinks.

What goes, hour by hour, the oldest first: expressions, movements, unfit frames and readings of
times outside sessions. What stays, whatever the budget: rows of sessions, ended or open, for a
study is deleted by people alone, with a row that began before the end of its session, such as the
last stretch of an electrocardiogram; the last day; and the rollups, so that the trends keep every
minute of what went.

A database that was damaged, or that a restore replaced, lies aside as a file of its own. It counts,
and is said, but it is never deleted here, nor is a row deleted for it: nobody can prove that all of
it is in the database.
"""

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from edge_agent.core import clock
from edge_agent.timeline.database.connection import connect, read_transaction, transaction
from edge_agent.timeline.database.copy import copies_beside
from edge_agent.timeline.database.files import part_of, set_aside_beside, translate_errors
from edge_agent.timeline.database.schema import HOUR_MS
from edge_agent.timeline.database.setting import read_setting
from edge_agent.timeline.database.tables import PRUNED
from edge_agent.timeline.upkeep.aging import DAY_MS, boots_with_wrong_times, count_time
from edge_agent.timeline.upkeep.copies import KEEP_COPIES
from edge_agent.timeline.upkeep.retention import Deletions
from edge_agent.timeline.write.rollups import Span

SHARES = 3 + KEEP_COPIES
"""The database itself, its daily copies, and the two of the last update: each may become as
large.
"""
_AIM = 0.95  # of the share: what one pruning leaves, so that the next is not due within the hour
_FREE_PAGES = 0.1  # of the file: later rows fill them; more are given back to the disk
_PORTION_BYTES = 8_000_000  # a transaction, so that the recorder never waits for long
_TABLES = tuple(table.name for table in PRUNED)
_WITH_INTERVAL = tuple(table.name for table in PRUNED if "interval_ms" in table.within)
_LONGEST_INTERVAL_MS = 60_000  # of a row: the largest ``record.interval``
_CUT = "disk_budget_cut"


@dataclass(frozen=True, slots=True)
class Space:
    """The size of the database beside its disk budget.

    Attributes:
        used_bytes: of its rows and indexes; pages that are free are not counted.
        share_bytes: what the budget leaves to it, beside its copies.
        cut_ms: rows of before this time went for the budget alone, ``keep_days`` would keep them;
            else ``None``.
        aside_bytes: of databases that were damaged or replaced, and lie aside.
        aside_over_bytes: by how much these, the database and its copies are larger than the whole
            budget; 0 where nothing lies aside.
    """

    used_bytes: int
    share_bytes: int
    cut_ms: int | None
    aside_bytes: int = 0
    aside_over_bytes: int = 0

    @property
    def over_bytes(self) -> int:
        """Bytes above the share; 0 where it is kept."""
        return max(0, self.used_bytes - self.share_bytes)


@dataclass(frozen=True, slots=True)
class Kept:
    """The result of enforcing the budget.

    Rows deleted, bytes by which the file shrank, and its size now.
    """

    rows: int
    given_back: int
    space: Space


def space_of(path: Path, budget_mb: int, keep_days: int, now_ms: int | None = None) -> Space:
    """Return the size of the database beside its disk budget, without changing anything.

    Raises:
        StoreError: the database cannot be read.
    """
    with read_transaction(path) as connection:
        return _space(path, connection, budget_mb, keep_days, _present(now_ms))


def keep_to_budget(
    path: Path,
    budget_mb: int,
    keep_days: int,
    *,
    within_s: float | None = None,
    now_ms: int | None = None,
) -> Kept:
    """Delete the oldest rows outside sessions until the database fits its share of the disk.

    Free space is given back to the disk.

    Every deletion leaves a line in ``audit``.

    Args:
        path: the database; an agent may be writing to it.
        budget_mb: what database and copies may take together, in MB of 10⁶ bytes.
        keep_days: as in ``prune``, to tell whether something went before its time.
        within_s: stop after so many seconds and leave the rest to the next call; ``None`` does all.
        now_ms: UTC; ``None``: the counted time, which no wrong clock moves.

    Raises:
        StoreError: the database cannot be written.
    """
    present = _present(now_ms)
    until_s = math.inf if within_s is None else clock.boot_seconds() + within_s
    with translate_errors(path), closing(connect(path, readonly=False)) as connection:
        size = path.stat().st_size
        counted = count_time(connection) if now_ms is None else None
        # The last day stays whatever the budget.
        newest = (counted.present_ms if counted else present) - DAY_MS
        spared = boots_with_wrong_times(connection, newest, counted)
        deletions = Deletions(connection, "disk_budget", present, spared)
        cut_ms = _delete_oldest(connection, _share(budget_mb), deletions, newest, until_s)
        rows = deletions.rows
        if rows:
            _remember(connection, cut_ms)
        _give_back(connection, _share(budget_mb), until_s)
        space = _space(path, connection, budget_mb, keep_days, present)
        return Kept(rows, max(0, size - path.stat().st_size), space)


def _present(now_ms: int | None) -> int:
    return clock.now().wall_ms if now_ms is None else now_ms


def _share(budget_mb: int) -> int:
    return budget_mb * 1_000_000 // SHARES


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _used_bytes(connection: sqlite3.Connection) -> int:
    """Return the bytes of all pages that hold something."""
    # Free pages do not count: deletion does not shrink the file at once, and would never end.
    pages = _pragma(connection, "page_count") - _pragma(connection, "freelist_count")
    return pages * _pragma(connection, "page_size")


def _space(
    path: Path, connection: sqlite3.Connection, budget_mb: int, keep_days: int, present: int
) -> Space:
    cut_ms = int(read_setting(connection, _CUT) or 0) or None
    # The alarm ends by itself.
    if cut_ms and cut_ms <= present - keep_days * DAY_MS:
        cut_ms = None  # by now these rows would have gone anyway
    copies = copies_beside(path)
    replaced = [copy for copy in copies if ".replaced." in copy.name]
    aside = _bytes_of([*set_aside_beside(path), *replaced])
    over = 0
    if aside:
        kept = [copy for copy in copies if copy not in replaced]
        over = max(0, aside + _bytes_of([path, *kept]) - budget_mb * 1_000_000)
    return Space(_used_bytes(connection), _share(budget_mb), cut_ms, aside, over)


def _bytes_of(databases: Sequence[Path]) -> int:
    """Return the size of databases with their logs; one may be deleted meanwhile."""
    total = 0
    for database in databases:
        for part in ("", "-wal"):
            with suppress(FileNotFoundError):
                total += part_of(database, part).stat().st_size
    return total


def _delete_oldest(
    connection: sqlite3.Connection, share: int, deletions: Deletions, newest: int, until_s: float
) -> int:
    """Delete hour by hour, up to ``newest``, until the share is kept.

    Return the time before which the rows lay.
    """
    cut_ms = 0
    if _used_bytes(connection) <= share:
        return cut_ms
    for start, end in _hours_outside_sessions(connection, newest):
        # Measured after each hour: nobody knows beforehand how many pages a row frees.
        if _used_bytes(connection) <= _AIM * share or clock.boot_seconds() >= until_s:
            break
        for table in _TABLES:
            deletions.delete_between(table, start, end)
        cut_ms = end
    return cut_ms


def _hours_outside_sessions(connection: sqlite3.Connection, newest: int) -> Iterator[Span]:
    """Yield the hours, or parts of hours, that hold rows outside sessions, the oldest first."""
    for start, end in _spans_outside_sessions(connection, newest):
        at = _first_row(connection, start, end)
        while at is not None:
            hour_end = min(end, at // HOUR_MS * HOUR_MS + HOUR_MS)
            yield at, hour_end
            at = _first_row(connection, hour_end, end)


def _spans_outside_sessions(connection: sqlite3.Connection, newest: int) -> Iterator[Span]:
    """Yield the times between sessions up to ``newest``.

    A row belongs to a session from its start to its end, and so does one that began before the end.
    """
    free_from = 0
    reaching = " UNION ALL ".join(
        f"SELECT max(at) AS at FROM {table} WHERE at > ended AND at <= ended + "
        f"{_LONGEST_INTERVAL_MS} AND at - interval_ms < ended"
        for table in _WITH_INTERVAL
    )
    # A session that is open is protected up to the newest time.
    sessions = connection.execute(
        f"SELECT started, coalesce((SELECT max(at) FROM ({reaching})), ended, ?) FROM session "
        "ORDER BY started",
        (newest,),
    )
    for started, ended in [*map(tuple, sessions), (newest, newest)]:
        if free_from < min(started, newest):
            yield free_from, min(started, newest)
        # Sessions may overlap after a clock that was set back.
        free_from = max(free_from, ended + 1)


def _first_row(connection: sqlite3.Connection, start: int, end: int) -> int | None:
    """Return the time of the first row of a span; ``None`` when there is none."""
    times: list[int | None] = []
    for table in _TABLES:
        first = f"SELECT min(at) FROM {table} WHERE at >= ? AND at < ?"
        times.append(connection.execute(first, (start, end)).fetchone()[0])
    return min((at for at in times if at is not None), default=None)


def _remember(connection: sqlite3.Connection, cut_ms: int) -> None:
    """Store the time before which rows were deleted, for the alarm."""
    with transaction(connection):
        connection.execute(
            "INSERT INTO setting (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value "
            "= max(CAST(value AS INTEGER), CAST(excluded.value AS INTEGER))",
            (_CUT, str(cut_ms)),
        )


def _pages_to_give_back(connection: sqlite3.Connection, share: int) -> int:
    """Return how many free pages to give back to the disk.

    They are those that later rows will not need soon, or that lie above the share.
    """
    pages = _pragma(connection, "page_count")
    free = _pragma(connection, "freelist_count")
    above = pages - int(_AIM * share) // _pragma(connection, "page_size")
    # Above the share, as far as pages are free; else all but those that later rows fill.
    return max(min(free, above), free - int(_FREE_PAGES * pages), 0)


def _give_back(connection: sqlite3.Connection, share: int, until_s: float) -> None:
    """Shrink the file in portions."""
    excess = _pages_to_give_back(connection, share)
    if not excess:
        return
    portion = _PORTION_BYTES // _pragma(connection, "page_size")
    while excess > 0 and clock.boot_seconds() < until_s:
        # As a script, for `execute` steps once, and each step frees one page.
        connection.executescript(
            f"BEGIN IMMEDIATE; PRAGMA incremental_vacuum({min(excess, portion)}); COMMIT"
        )
        excess -= portion
    # Not waiting for those who read just now: the file then shrinks when they are done, at a later
    # checkpoint.
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
