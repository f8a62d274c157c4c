"""Deleting what is older than it may be kept."""

from __future__ import annotations

import math
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from edge_agent.core import clock
from edge_agent.store.database.schema import connect, transaction, translating

DAY_MS = 24 * 3600 * 1000
_PORTION_ROWS = 5_000  # a portion a transaction, so that the recorder never waits for long
_BEGINNING = -(2**62)
_KEYS = {"expression": "id", "unfit": "id", "vital": "at, kind, source"}


def prune(
    path: Path, keep_days: int, now_ms: int | None = None, *, within_s: float = math.inf
) -> int:
    """Delete rows of expressions and unfit frames older than ``keep_days`` days.

    Rollups, vitals and the study stay.

    Their bytes are overwritten, and their pages are used again by later rows; ``keep_to_budget``
    shrinks the file.

    Args:
        path: the database.
        keep_days: days to keep, at least 1.
        now_ms: reckoned from here; ``None`` is now.
        within_s: stop after about so many seconds and leave the rest to the next call.

    Returns:
        How many rows were deleted.

    Raises:
        StoreError: the database cannot be written.
        ValueError: ``keep_days`` is below 1.
    """
    if keep_days < 1:
        raise ValueError(f"keep_days {keep_days} must be at least 1")
    before = (clock.now().wall_ms if now_ms is None else now_ms) - keep_days * DAY_MS
    until_s = time.monotonic() + within_s
    with translating(path), closing(connect(path, readonly=False)) as connection:
        tables = ("expression", "unfit")
        return sum(
            delete_between(connection, table, _BEGINNING, before, until_s) for table in tables
        )


def delete_between(
    connection: sqlite3.Connection, table: str, start: int, end: int, until_s: float = math.inf
) -> int:
    """Delete the rows of a table from ``start`` to before ``end``, in portions.

    Return how many they were.

    Ends after the portion that passes ``until_s``, seconds of ``time.monotonic``.
    """
    key = _KEYS[table]
    statement = (
        f"DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} WHERE at >= ? "
        "AND at < ? LIMIT ?)"
    )
    deleted = 0
    while True:
        with transaction(connection):
            portion = connection.execute(statement, (start, end, _PORTION_ROWS)).rowcount
        deleted += portion
        if portion < _PORTION_ROWS or time.monotonic() >= until_s:
            return deleted
