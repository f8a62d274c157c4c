"""Folding the rollups of old times: minutes become hours, and hours become days.

An hour holds its minutes' sums from the beginning, so old minutes are only deleted. Hours are moved
into their day. Sums are added and extremes compared, so that a day tells exactly what its rows
told. Days begin at midnight UTC.
"""

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters

from __future__ import annotations

import math
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from edge_agent.core import clock
from edge_agent.store.database.schema import connect, transaction
from edge_agent.store.database.sqlite_errors import translate_errors
from edge_agent.store.database.tables import ADDED, DAY_MS, HOUR_MS
from edge_agent.store.write.rollups import ADD_EXPRESSIONS, ADD_VITALS
from edge_agent.store.write.tombstones import Span

_VITAL = ("n", "total", "least", "most", "flagged", "simulated")
_KINDS = "kind IN (SELECT kind FROM vital_kind)"  # the index begins with the kind


@dataclass(frozen=True, slots=True)
class _Step:
    """From a finer rollup to a coarser one.

    Attributes:
        fine: what is folded.
        coarse: what it is added to.
        length_ms: of a row of ``coarse``.
        portion_ms: what is folded in one transaction.
        expressions: what to do with a row of ``coarse`` that is there already.
        vitals: the same.
    """

    fine: str
    coarse: str
    length_ms: int
    portion_ms: int
    expressions: str
    vitals: str


# An hour has the sums of its minutes; one that is missing, as after a salvage, is made from them.
_MINUTES = _Step("minute", "hour", HOUR_MS, DAY_MS, "NOTHING", "NOTHING")
# A day may have got other hours before: these came later, with readings that were imported.
_HOURS = _Step("hour", "day", DAY_MS, 30 * DAY_MS, ADD_EXPRESSIONS, ADD_VITALS)


@dataclass(frozen=True, slots=True)
class Folded:
    """How many rows of rollups were folded into coarser ones."""

    minutes: int
    hours: int


def fold_rollups(
    path: Path,
    keep_minutes_days: int,
    keep_hours_days: int,
    *,
    within_s: float = math.inf,
    now_ms: int | None = None,
) -> Folded:
    """Fold minutes and hours that are older than they are to be kept.

    Each portion, a day of minutes or a month of hours, is one transaction: what a power cut leaves
    behind is folded by the next call. Ages are reckoned from the newest hour, where that is earlier
    than ``now_ms``: a clock that is ahead folds nothing before its time.

    Args:
        path: the database; an agent may be writing to it.
        keep_minutes_days: days for which minutes are kept, at least 1.
        keep_hours_days: days for which hours are kept, at least as many.
        within_s: stop after about so many seconds and leave the rest to the next call.
        now_ms: UTC; ``None`` is now.

    Raises:
        StoreError: the database cannot be written.
        ValueError: minutes are to be kept for less than a day, or for longer than hours.
    """
    if not 1 <= keep_minutes_days <= keep_hours_days:
        raise ValueError(
            f"minutes are kept for {keep_minutes_days} days, hours for {keep_hours_days}: 1 day at "
            "least, and hours for as long as minutes at least"
        )
    until_s = clock.boot_seconds() + within_s
    with translate_errors(path), closing(connect(path, readonly=False)) as connection:
        present = _present(connection, now_ms)
        minutes = _fold_all(connection, _MINUTES, present - keep_minutes_days * DAY_MS, until_s)
        hours = _fold_all(connection, _HOURS, present - keep_hours_days * DAY_MS, until_s)
    return Folded(minutes, hours)


def _present(connection: sqlite3.Connection, now_ms: int | None) -> int:
    """Return the end of the newest hour in which anything was recorded, at the latest now."""
    wall_ms = clock.now().wall_ms if now_ms is None else now_ms
    newest = connection.execute(
        "SELECT max(coalesce((SELECT max(at) FROM expression_hour), 0), coalesce((SELECT max(at) "
        "FROM vital_hour), 0))"
    ).fetchone()[0]
    return min(wall_ms, int(newest) + HOUR_MS)


def _fold_all(connection: sqlite3.Connection, step: _Step, before: int, until_s: float) -> int:
    """Fold what is older than a time, portion by portion; return how many rows they were."""
    before = before // DAY_MS * DAY_MS  # whole days: the hours of one are moved into it together
    folded = 0
    first = _first(connection, step.fine, before)
    while first is not None and clock.boot_seconds() < until_s:
        start = first // DAY_MS * DAY_MS
        with transaction(connection):
            folded += _fold(connection, step, (start, min(before, start + step.portion_ms)))
        first = _first(connection, step.fine, before)
    return folded


def _first(connection: sqlite3.Connection, resolution: str, before: int) -> int | None:
    """Return the time of the oldest row of both rollups before a time; ``None`` without any."""
    firsts = [
        connection.execute(f"SELECT min(at) FROM expression_{resolution}").fetchone()[0],
        connection.execute(
            f"SELECT min((SELECT min(at) FROM vital_{resolution} AS rollup WHERE rollup.kind = "
            "vital_kind.kind)) FROM vital_kind"
        ).fetchone()[0],
    ]
    return min((at for at in firsts if at is not None and at < before), default=None)


def _fold(connection: sqlite3.Connection, step: _Step, span: Span) -> int:
    """Add the rows of a span to the coarser rollup and delete them; return how many they were."""
    at = f"at / {step.length_ms} * {step.length_ms}"
    connection.execute(
        f"INSERT INTO expression_{step.coarse} (at, {', '.join(ADDED)}) SELECT {at}, "
        f"{', '.join(f'sum({name})' for name in ADDED)} FROM expression_{step.fine} WHERE at >= ? "
        f"AND at < ? GROUP BY 1 ON CONFLICT (at) DO {step.expressions}",
        span,
    )
    connection.execute(
        f"INSERT INTO vital_{step.coarse} (kind, at, {', '.join(_VITAL)}) SELECT kind, {at}, "
        f"sum(n), sum(total), min(least), max(most), sum(flagged), sum(simulated) FROM "
        f"vital_{step.fine} WHERE {_KINDS} AND at >= ? AND at < ? GROUP BY 1, 2 "
        f"ON CONFLICT (kind, at) DO {step.vitals}",
        span,
    )
    tables = (f"expression_{step.fine} WHERE", f"vital_{step.fine} WHERE {_KINDS} AND")
    return sum(
        connection.execute(f"DELETE FROM {table} at >= ? AND at < ?", span).rowcount
        for table in tables
    )
