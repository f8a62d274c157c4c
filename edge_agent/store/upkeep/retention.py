"""Deleting what is older than it may be kept."""

from __future__ import annotations

import math
from contextlib import closing
from pathlib import Path

from edge_agent.core import clock
from edge_agent.store.database.schema import connect
from edge_agent.store.database.sqlite_errors import translate_errors
from edge_agent.store.upkeep.counted_time import DAY_MS, boots_with_wrong_times, count_time
from edge_agent.store.upkeep.deletions import Deletions

_BEGINNING = -(2**62)


def prune(
    path: Path, keep_days: int, now_ms: int | None = None, *, within_s: float = math.inf
) -> int:
    """Delete rows of expressions and unfit frames older than ``keep_days`` days.

    Rollups, vitals and the study stay. ``audit`` gets one line with the counts, if any row went.

    Their bytes are overwritten, and their pages are used again by later rows; ``keep_to_budget``
    shrinks the file.

    Args:
        path: the database.
        keep_days: days to keep, at least 1.
        now_ms: reckoned from here; ``None``: from the counted time, which no wrong clock moves.
        within_s: stop after about so many seconds and leave the rest to the next call.

    Returns:
        How many rows were deleted.

    Raises:
        StoreError: the database cannot be written.
        ValueError: ``keep_days`` is below 1.
    """
    if keep_days < 1:
        raise ValueError(f"keep_days {keep_days} must be at least 1")
    until_s = clock.boot_seconds() + within_s
    with translate_errors(path), closing(connect(path, readonly=False)) as connection:
        counted = count_time(connection) if now_ms is None else None
        present = counted.present_ms if counted else int(now_ms or 0)
        before = present - keep_days * DAY_MS
        spared = boots_with_wrong_times(connection, before, counted)
        at_ms = clock.now().wall_ms if now_ms is None else now_ms
        deletions = Deletions(connection, "retention", at_ms, spared)
        for table in ("expression", "unfit"):
            deletions.delete_between(table, _BEGINNING, before, until_s)
        return deletions.rows
