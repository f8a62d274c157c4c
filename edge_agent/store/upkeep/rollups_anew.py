"""Making the rollups anew after rows were deleted, inside a transaction that the caller holds.

``store.write.rollups`` adds to them while rows are written.

A minute whose rows are all still there is computed anew from what is left of them. Of a minute
whose rows are older than ``record.keep_days`` nobody knows which part to take away: it is removed.
Hours are the sums of their minutes; where minutes have been folded away (``store.upkeep.fold``), an
hour that a span touches keeps nothing of them. Days are of hours that have been folded: one that a
span touches is removed.
"""

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from edge_agent.core.readings import VitalFlag
from edge_agent.store.database.tables import ADDED, DAY_MS, HOUR_MS, MINUTE_MS, NAMES
from edge_agent.store.write.clocks.moved_rollups import IS_UNUSABLE, is_flagged
from edge_agent.store.write.tombstones import Span

_DAY_TABLES = ("expression_day", "vital_day")
_VITAL = ("n", "total", "least", "most", "flagged", "simulated")


def pruned_minutes(connection: sqlite3.Connection, span: Span) -> set[int]:
    """Return the minutes that a span touches and whose rows are not all there any more.

    Ask before deleting.
    """
    first, last = _minutes(span)
    rows = connection.execute(
        "SELECT at FROM expression_minute AS minute WHERE at >= ? AND at < ? AND rows <> (SELECT "
        "count(*) FROM expression WHERE is_primary = 1 AND expression.at >= minute.at AND "
        f"expression.at < minute.at + {MINUTE_MS})",
        (first, last),
    )
    return {row[0] for row in rows}


def folded_days(connection: sqlite3.Connection, span: Span) -> int:
    """Return how many days that a span touches are kept as days only, and will be removed.

    Ask before deleting.
    """
    days: set[int] = set()
    for table in _DAY_TABLES:
        rows = connection.execute(
            f"SELECT DISTINCT at FROM {table} WHERE at >= ? AND at < ?", _days(span)
        )
        days.update(row[0] for row in rows)
    return len(days)


def make_anew(connection: sqlite3.Connection, span: Span, pruned: Iterable[int]) -> tuple[int, int]:
    """Compute the rollups of a span anew from the rows that are left.

    Args:
        connection: of the transaction, after the rows were deleted.
        span: which was deleted.
        pruned: minutes that are removed, for their rows were not all there.

    Returns:
        How many minutes of expressions there were, and how many of these are gone now.
    """
    minutes = _minutes(span)
    before = connection.execute(
        "SELECT count(*) FROM expression_minute WHERE at >= ? AND at < ?", minutes
    ).fetchone()[0]
    for kind in ("expression", "vital"):
        connection.execute(f"DELETE FROM {kind}_minute WHERE at >= ? AND at < ?", minutes)
    _expression_minutes(connection, minutes)
    connection.executemany("DELETE FROM expression_minute WHERE at = ?", [(at,) for at in pruned])
    _vital_minutes(connection, minutes)
    _hours(connection, span)
    for table in _DAY_TABLES:
        connection.execute(f"DELETE FROM {table} WHERE at >= ? AND at < ?", _days(span))
    left = connection.execute(
        "SELECT count(*) FROM expression_minute WHERE at >= ? AND at < ?", minutes
    ).fetchone()[0]
    return before, before - left


def _days(span: Span) -> Span:
    """Return start of the first day that a span touches, and end of the last."""
    return span[0] // DAY_MS * DAY_MS, span[1] // DAY_MS * DAY_MS + DAY_MS


def _minutes(span: Span) -> Span:
    """Return start of the first minute that a span touches, and end of the last."""
    return span[0] // MINUTE_MS * MINUTE_MS, span[1] // MINUTE_MS * MINUTE_MS + MINUTE_MS


def _expression_minutes(connection: sqlite3.Connection, minutes: Span) -> None:
    sums = ", ".join(f"sum({name})" for name in NAMES)
    counts = ", ".join(f"count(*) FILTER (WHERE emotion = '{name}')" for name in NAMES)
    connection.execute(
        f"INSERT INTO expression_minute (at, {', '.join(ADDED)}) SELECT at / {MINUTE_MS} * "
        f"{MINUTE_MS}, count(*), sum(frames), sum(emotion IS NULL), sum(simulated), {sums}, "
        f"{counts} FROM expression WHERE is_primary = 1 AND at >= ? AND at < ? GROUP BY 1",
        minutes,
    )


def _vital_minutes(connection: sqlite3.Connection, minutes: Span) -> None:
    connection.execute(
        f"INSERT INTO vital_minute (kind, at, {', '.join(_VITAL)}) SELECT kind, at / {MINUTE_MS} * "
        f"{MINUTE_MS} AS minute, sum(usable), coalesce(sum(value) FILTER (WHERE usable), 0.0), "
        "min(value) FILTER (WHERE usable), max(value) FILTER (WHERE usable), sum(NOT usable), "
        f"sum({is_flagged(VitalFlag.SIMULATED)}) FROM (SELECT *, NOT ({IS_UNUSABLE}) AS usable "
        "FROM vital WHERE at >= ? AND at < ?) GROUP BY 1, 2",
        minutes,
    )


def _hours(connection: sqlite3.Connection, span: Span) -> None:
    hours = span[0] // HOUR_MS * HOUR_MS, span[1] // HOUR_MS * HOUR_MS + HOUR_MS
    for kind in ("expression", "vital"):
        connection.execute(f"DELETE FROM {kind}_hour WHERE at >= ? AND at < ?", hours)
    connection.execute(
        f"INSERT INTO expression_hour (at, {', '.join(ADDED)}) SELECT at / {HOUR_MS} * {HOUR_MS}, "
        f"{', '.join(f'sum({name})' for name in ADDED)} FROM expression_minute WHERE at >= ? AND "
        "at < ? GROUP BY 1",
        hours,
    )
    connection.execute(
        f"INSERT INTO vital_hour (kind, at, {', '.join(_VITAL)}) SELECT kind, at / {HOUR_MS} * "
        f"{HOUR_MS} AS hour, sum(n), sum(total), min(least), max(most), sum(flagged), "
        "sum(simulated) FROM vital_minute WHERE at >= ? AND at < ? GROUP BY 1, 2",
        hours,
    )
