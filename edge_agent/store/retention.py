"""Deleting what is older than it may be kept."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from edge_agent import clock
from edge_agent.store.schema import connect, transaction, translating

_DAY_MS = 24 * 3600 * 1000
_PORTION_ROWS = 5_000  # a portion a transaction, so that the recorder never waits for long


def prune(path: Path, keep_days: int, now_ms: int | None = None) -> int:
    """Delete rows of expressions and unfit frames older than ``keep_days`` days; rollups, vitals and the study stay.

    Their bytes are overwritten, and their pages are used again by later rows; the file does not shrink.

    Args:
        path: the database.
        keep_days: days to keep, at least 1.
        now_ms: reckoned from here; ``None`` is now.

    Returns:
        How many rows were deleted.

    Raises:
        StoreError: the database cannot be written.
        ValueError: ``keep_days`` is below 1.
    """
    if keep_days < 1:
        raise ValueError(f"keep_days {keep_days} must be at least 1")
    before = (clock.now().wall_ms if now_ms is None else now_ms) - keep_days * _DAY_MS
    with translating(path), closing(connect(path, readonly=False)) as connection:
        return sum(_delete(connection, table, before) for table in ("expression", "unfit"))


def _delete(connection: sqlite3.Connection, table: str, before: int) -> int:
    """Delete the rows of a table before a time; return how many they were."""
    deleted = 0
    while True:
        with transaction(connection):
            portion = connection.execute(
                f"DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE at < ? ORDER BY at LIMIT ?)",  # noqa: S608 - our own names
                (before, _PORTION_ROWS),
            ).rowcount
        deleted += portion
        if portion < _PORTION_ROWS:
            return deleted
