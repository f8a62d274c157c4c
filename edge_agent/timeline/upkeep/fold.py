"""Folding old rollups (minutes into hours, hours into days), and recomputing them.

An hour holds its minutes' sums from the beginning, so old minutes are only deleted. Hours are moved
into their day. Sums are added and extremes compared, so that a day tells exactly what its rows
told. Days begin at midnight UTC.

``timeline.write.rollups`` adds to them while rows are written. They are made anew after rows were
deleted, inside a transaction that the caller holds. A minute whose rows are all still there is
computed anew from what is left of them. Of a minute whose rows are older than ``record.keep_days``
nobody knows which part to take away: it is removed. Hours are the sums of their minutes; where
minutes have been folded away, an hour that a span touches keeps nothing of them. Days are of hours
that have been folded: one that a span touches is removed.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from edge_agent.core import clock
from edge_agent.timeline.database.connection import connect, transaction
from edge_agent.timeline.database.files import translate_errors
from edge_agent.timeline.database.schema import ADDED, DAY_MS, HOUR_MS, MINUTE_MS
from edge_agent.timeline.write.redating import add_vitals
from edge_agent.timeline.write.rollups import (
    ADD_EXPRESSIONS,
    ADD_VITALS,
    Span,
    add_expressions,
    which_faces,
)

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters


_VITAL = ("n", "total", "least", "most", "flagged", "simulated")
_KINDS = "kind IN (SELECT kind FROM vital_kind)"  # the index begins with the kind
_DAY_TABLES = ("expression_day", "vital_day")


@dataclass(frozen=True, slots=True)
class _Step:
    """One step of folding: from a finer rollup to a coarser one.

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
class FoldedRollups:
    """The number of rollup rows that were folded into coarser ones."""

    minutes: int
    hours: int


def fold_rollups(
    path: Path,
    keep_minutes_days: int,
    keep_hours_days: int,
    *,
    within_s: float = math.inf,
    now_ms: int | None = None,
) -> FoldedRollups:
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
        # Minutes first: an hour must be whole before it is moved into its day.
        minutes = _fold_all(connection, _MINUTES, present - keep_minutes_days * DAY_MS, until_s)
        hours = _fold_all(connection, _HOURS, present - keep_hours_days * DAY_MS, until_s)
    return FoldedRollups(minutes, hours)


def _present(connection: sqlite3.Connection, now_ms: int | None) -> int:
    """Return the end of the newest hour in which anything was recorded, at the latest now."""
    wall_ms = clock.now().wall_ms if now_ms is None else now_ms
    newest = connection.execute(
        "SELECT max(coalesce((SELECT max(at) FROM expression_hour), 0), coalesce((SELECT max(at) "
        "FROM vital_hour), 0))"
    ).fetchone()[0]
    return min(wall_ms, int(newest) + HOUR_MS)


def _fold_all(connection: sqlite3.Connection, step: _Step, before: int, until_s: float) -> int:
    """Fold rows older than a time, in portions; return their number."""
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
            # For each kind alone: the index begins with the kind, so that a minimum over all reads
            # every row.
            f"SELECT min((SELECT min(at) FROM vital_{resolution} AS rollup WHERE rollup.kind = "
            "vital_kind.kind)) FROM vital_kind"
        ).fetchone()[0],
    ]
    return min((at for at in firsts if at is not None and at < before), default=None)


def _fold(connection: sqlite3.Connection, step: _Step, span: Span) -> int:
    """Add the rows of a span to the coarser rollup and delete them; return how many they were."""
    # Added and deleted in one transaction: a power cut counts nothing twice.
    _add_to_coarser(connection, step, span)
    tables = (f"expression_{step.fine} WHERE", f"vital_{step.fine} WHERE {_KINDS} AND")
    return sum(
        connection.execute(f"DELETE FROM {table} at >= ? AND at < ?", span).rowcount
        for table in tables
    )


def _add_to_coarser(connection: sqlite3.Connection, step: _Step, span: Span) -> None:
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


# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters


def pruned_minutes(connection: sqlite3.Connection, span: Span) -> set[int]:
    """Return the minutes of a span of which some rows were already deleted.

    Call it before deleting the span.
    """
    rows = connection.execute(
        # The rollup counted more rows than are left, so that retention has deleted some; of a
        # minute that goes on it counts fewer.
        "SELECT at FROM expression_minute AS minute WHERE at >= ? AND at < ? AND rows > (SELECT "
        f"count(*) FROM expression WHERE {which_faces(connection)} AND expression.at >= "
        f"minute.at AND expression.at < minute.at + {MINUTE_MS})",
        _widen(span, MINUTE_MS),
    )
    return {row[0] for row in rows}


def folded_days(connection: sqlite3.Connection, span: Span) -> int:
    """Return how many days of a span exist only as daily rollups, which will be removed.

    Call it before deleting the span.
    """
    days: set[int] = set()
    for table in _DAY_TABLES:
        query = f"SELECT DISTINCT at FROM {table} WHERE at >= ? AND at < ?"
        days.update(row[0] for row in connection.execute(query, _widen(span, DAY_MS)))
    return len(days)


def make_anew(connection: sqlite3.Connection, span: Span, pruned: Iterable[int]) -> tuple[int, int]:
    """Recompute the rollups of a span from the remaining rows.

    Args:
        connection: of the transaction, after the rows were deleted.
        span: which was deleted.
        pruned: minutes that are removed, for their rows were not all there.

    Returns:
        How many minutes of expressions there were, and how many of these are gone now.
    """
    minutes = _widen(span, MINUTE_MS)
    before = _minutes_of(connection, minutes)
    # Rows that the span only touches are added again from what is left of them.
    for kind in ("expression", "vital"):
        connection.execute(f"DELETE FROM {kind}_minute WHERE at >= ? AND at < ?", minutes)
    for add in (add_expressions, add_vitals):
        add(connection, "minute", MINUTE_MS, "at >= ? AND at < ?", minutes)
    # Made anew from an incomplete rest, these minutes would tell less than was there.
    connection.executemany("DELETE FROM expression_minute WHERE at = ?", [(at,) for at in pruned])
    hours = _widen(span, HOUR_MS)
    for kind in ("expression", "vital"):
        connection.execute(f"DELETE FROM {kind}_hour WHERE at >= ? AND at < ?", hours)
    # Only now: hours are the sums of the minutes that were just made.
    _add_to_coarser(connection, _MINUTES, hours)
    for table in _DAY_TABLES:
        connection.execute(f"DELETE FROM {table} WHERE at >= ? AND at < ?", _widen(span, DAY_MS))
    # A minute that goes on had no rollup before, and may have one now.
    return len(before), len(before - _minutes_of(connection, minutes))


def _minutes_of(connection: sqlite3.Connection, span: Span) -> set[int]:
    rows = connection.execute("SELECT at FROM expression_minute WHERE at >= ? AND at < ?", span)
    return {row[0] for row in rows}


def _widen(span: Span, length: int) -> Span:
    """Return start of the first minute, hour or day that a span touches, and end of the last."""
    return span[0] // length * length, span[1] // length * length + length
