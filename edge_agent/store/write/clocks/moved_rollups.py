"""Rollups when rows move from one time to another or an import goes, in the caller's transaction.

What the moved rows added to their old minutes and hours is taken away there, and added to the new
ones. Nothing is made anew: of minutes whose rows were deleted for their age, the rollup is all that
is left.
"""

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from edge_agent.core.readings import UNUSABLE, VitalFlag
from edge_agent.store.database.tables import ADDED, DAY_MS, NAMES
from edge_agent.store.write.rollups import ROLLUPS

_VITAL_ADDED = ("n", "total", "flagged", "simulated")
_OVERDRAWN = "(n < 0 OR flagged < 0)"
_OF_STRETCH = "boot = ? AND at BETWEEN ? AND ?"


def is_flagged(flag: VitalFlag) -> str:
    """Return SQL that tells whether a reading has a flag."""
    return f"instr(' ' || flags || ' ', ' {flag} ') > 0"


IS_UNUSABLE = " OR ".join(is_flagged(flag) for flag in sorted(UNUSABLE))


@dataclass(frozen=True, slots=True)
class Stretch:
    """Rows of one row of ``boot`` in a span of time.

    Attributes:
        boot: number of the row.
        start_ms: of the span, as the rows are dated.
        end_ms: of the span; a row at this moment belongs to it.
    """

    boot: int
    start_ms: int
    end_ms: int

    @property
    def values(self) -> tuple[int, int, int]:
        """Values of ``boot = ? AND at BETWEEN ? AND ?``."""
        return self.boot, self.start_ms, self.end_ms

    def moved(self, boot: int, by_ms: int) -> Stretch:
        """Return the stretch after its rows were moved and given to another row of ``boot``."""
        return Stretch(boot, self.start_ms + by_ms, self.end_ms + by_ms)


def take_away(connection: sqlite3.Connection, rows: Stretch) -> None:
    """Take what rows added to minutes and hours out of them; call before the rows are moved."""
    for name, length in ROLLUPS:
        _add_expressions(connection, name, length, -1, rows)
        _add_vitals(connection, name, length, -1, _OF_STRETCH, rows.values)
        hours = _whole(rows, length)
        connection.execute(
            f"DELETE FROM expression_{name} WHERE rows <= 0 AND at BETWEEN ? AND ?", hours
        )
        connection.execute(
            f"DELETE FROM vital_{name} WHERE n <= 0 AND flagged <= 0 AND at BETWEEN ? AND ?", hours
        )


def add_again(connection: sqlite3.Connection, rows: Stretch, before: Stretch) -> None:
    """Add what was moved to minutes and hours of where it is now; call after it was moved.

    Args:
        connection: of the transaction.
        rows: where they are now.
        before: where they were. What is left there has another least and most.
    """
    for name, length in ROLLUPS:
        _add_expressions(connection, name, length, 1, rows)
        _add_vitals(connection, name, length, 1, _OF_STRETCH, rows.values)
        _measure_vitals(connection, name, length, _whole(before, length))


def delete_import(connection: sqlite3.Connection, number: int) -> int:
    """Delete the readings of an import and what they added to rollups; return how many there were.

    What hours that were folded away cannot give back is taken out of their day.
    """
    span = connection.execute(
        "SELECT min(at), max(at) FROM vital WHERE import = ?", (number,)
    ).fetchone()
    if span[0] is None:
        return 0
    for name, length in ROLLUPS:
        _add_vitals(connection, name, length, -1, "import = ?", (number,))
    sums = ", ".join(f"sum({column})" for column in _VITAL_ADDED)
    connection.execute(
        f"INSERT INTO vital_day (kind, at, {', '.join(_VITAL_ADDED)}) SELECT kind, at / {DAY_MS} * "
        f"{DAY_MS}, {sums} FROM vital_hour WHERE {_OVERDRAWN} GROUP BY 1, 2 ON CONFLICT (kind, at) "
        f"DO UPDATE SET {', '.join(f'{c} = {c} + excluded.{c}' for c in _VITAL_ADDED)}"
    )
    removed = connection.execute("DELETE FROM vital WHERE import = ?", (number,)).rowcount
    for name, length in (*ROLLUPS, ("day", DAY_MS)):
        connection.execute(f"DELETE FROM vital_{name} WHERE n + flagged = 0 OR {_OVERDRAWN}")
        touched = (span[0] // length * length, span[1] // length * length + length - 1)
        _measure_vitals(connection, name, length, touched)
    return removed


def _whole(rows: Stretch, length: int) -> tuple[int, int]:
    """Return the first and the last millisecond of the minutes (hours) that a span touches."""
    return rows.start_ms // length * length, rows.end_ms // length * length + length - 1


def _add_expressions(
    connection: sqlite3.Connection, name: str, length: int, sign: int, rows: Stretch
) -> None:
    sums = (
        "count(*)", "sum(frames)", "sum(emotion IS NULL)", "sum(simulated)",
        *(f"sum({emotion})" for emotion in NAMES),
        *(f"count(*) FILTER (WHERE emotion = '{emotion}')" for emotion in NAMES),
    )  # fmt: skip
    connection.execute(
        f"INSERT INTO expression_{name} (at, {', '.join(ADDED)}) SELECT at / {length} * {length}, "
        f"{', '.join(f'{sign} * {added}' for added in sums)} FROM expression WHERE boot = ? AND "
        f"at BETWEEN ? AND ? AND is_primary = 1 GROUP BY 1 ON CONFLICT (at) DO UPDATE SET "
        f"{', '.join(f'{column} = {column} + excluded.{column}' for column in ADDED)}",
        rows.values,
    )


def _add_vitals(
    connection: sqlite3.Connection,
    name: str,
    length: int,
    sign: int,
    which: str,
    values: tuple[int, ...],
) -> None:
    """Add the readings of an SQL condition to a rollup, or take them away."""
    least = "min(value) FILTER (WHERE usable)" if sign > 0 else "NULL"
    most = "max(value) FILTER (WHERE usable)" if sign > 0 else "NULL"
    connection.execute(
        f"INSERT INTO vital_{name} (kind, at, n, total, flagged, simulated, least, most) SELECT "
        f"kind, at / {length} * {length}, {sign} * sum(usable), {sign} * coalesce(sum(value) "
        f"FILTER (WHERE usable), 0.0), {sign} * sum(NOT usable), {sign} * "
        f"sum({is_flagged(VitalFlag.SIMULATED)}), {least}, {most} FROM (SELECT *, NOT "
        f"({IS_UNUSABLE}) AS usable FROM vital WHERE {which}) GROUP BY 1, 2 ON CONFLICT (kind, at) "
        "DO UPDATE SET "
        f"{', '.join(f'{column} = {column} + excluded.{column}' for column in _VITAL_ADDED)}, "
        "least = min(coalesce(least, excluded.least), coalesce(excluded.least, least)), "
        "most = max(coalesce(most, excluded.most), coalesce(excluded.most, most))",
        values,
    )


def _measure_vitals(
    connection: sqlite3.Connection, name: str, length: int, span: tuple[int, int]
) -> None:
    """Find least and most again where rows went away and all that are left are still there."""
    connection.execute(
        f"UPDATE vital_{name} SET least = found.least, most = found.most, total = found.total "
        f"FROM (SELECT kind AS of_kind, at / {length} * {length} AS since, count(*) AS there, "
        "coalesce(sum(value) FILTER (WHERE usable), 0.0) AS total, min(value) FILTER (WHERE "
        "usable) AS least, max(value) FILTER (WHERE usable) AS most FROM (SELECT *, NOT "
        f"({IS_UNUSABLE}) AS usable FROM vital WHERE at BETWEEN ? AND ?) GROUP BY 1, 2) AS "
        "found WHERE kind = of_kind AND at = since AND n + flagged = there",
        span,
    )
