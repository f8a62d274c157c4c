"""Minutes that go on: their rows are written, and their rollups when they have ended.

Each batch of ten seconds would write the pages of a minute and of an hour anew, a seventh to a
quarter of all that goes to the card. So a minute is rolled up once, from its rows, when a later one
has begun or the recorder ends. Readers take what is in no rollup yet from the rows
(``timeline.read.trends``). After a power cut the next start finds such minutes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from edge_agent.core.expression import ExpressionRow
from edge_agent.timeline.database.schema import ADDED, DAY_MS, HOUR_MS, IS_OF_PARTICIPANT, MINUTE_MS
from edge_agent.timeline.write.rollups import ADD_EXPRESSIONS, add_expressions, roll_up_expressions

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters

_NEWEST_ROWS = 10_000  # more than are written between two minutes


class OpenMinutes:
    """The minutes of one recorder that have rows and no rollup yet.

    Call ``add`` and ``close`` in the transaction that writes the rows, and ``forget`` when it was
    rolled back.
    """

    def __init__(self) -> None:
        self._starts: set[int] = set()
        self._closed: set[int] = set()  # in the transaction of now
        self._are_known = False

    def begin(self, connection: sqlite3.Connection) -> None:
        """Begin a transaction; the first one rolls up what an earlier recorder left open."""
        self._closed = set()
        if not self._are_known:
            for start in find_open_minutes(connection):
                if start not in self._starts:
                    roll_up_minute(connection, start)
            self._are_known = True

    def add(
        self, connection: sqlite3.Connection, rows: Sequence[ExpressionRow], simulated: bool
    ) -> None:
        """Add rows of primary faces that were just written.

        A minute that was rolled up already takes them at once: they are late, or another program
        has made its rollup anew.
        """
        starts = {_minute_of(row.at.wall_ms) for row in rows}
        rolled_up = {start for start in starts if _is_rolled_up(connection, start)}
        for start in rolled_up & self._starts:
            roll_up_minute(connection, start)
        late = rolled_up - self._starts
        roll_up_expressions(
            connection, [row for row in rows if _minute_of(row.at.wall_ms) in late], simulated
        )
        self._closed |= rolled_up & self._starts
        self._starts = self._starts - rolled_up | starts - rolled_up

    def close(self, connection: sqlite3.Connection, before_ms: int | None = None) -> None:
        """Roll up the minutes that ended before a time, UTC milliseconds; ``None``: all."""
        ended = {
            start for start in self._starts if before_ms is None or start + MINUTE_MS <= before_ms
        }
        for start in sorted(ended):
            roll_up_minute(connection, start)
        self._starts -= ended
        self._closed |= ended

    def forget(self) -> None:
        """Take back what the last transaction closed, for it was rolled back."""
        self._starts |= self._closed
        self._closed = set()
        self._are_known = False

    def __bool__(self) -> bool:
        """Tell whether a minute is open."""
        return bool(self._starts)


def find_open_minutes(connection: sqlite3.Connection) -> list[int]:
    """Return the starts of minutes whose rollup lacks some of the newest recorded rows."""
    rows = connection.execute(
        "SELECT start FROM (SELECT DISTINCT at / :minute * :minute AS start FROM (SELECT at, "
        "is_primary, import FROM expression ORDER BY id DESC LIMIT :newest) WHERE is_primary = 1 "
        "AND import IS NULL) WHERE coalesce((SELECT rows FROM expression_minute WHERE at = start), "
        f"0) < (SELECT count(*) FROM expression WHERE {IS_OF_PARTICIPANT} AND at >= start AND at < "
        "start + :minute) "
        # Of a minute that was folded the hour or the day still counts the rows.
        "AND NOT EXISTS (SELECT 1 FROM expression_day WHERE at = start / :day * :day) AND "
        "coalesce((SELECT rows FROM expression_hour WHERE at = start / :hour * :hour), 0) < "
        f"(SELECT count(*) FROM expression WHERE {IS_OF_PARTICIPANT} AND at >= start / :hour * "
        ":hour AND at < start / :hour * :hour + :hour) ORDER BY start",
        {"minute": MINUTE_MS, "hour": HOUR_MS, "day": DAY_MS, "newest": _NEWEST_ROWS},
    )
    return [row[0] for row in rows]


def roll_up_minute(connection: sqlite3.Connection, start: int) -> None:
    """Make a minute from its rows, and give its hour the difference.

    Nothing happens where the rollup counts all of them, or rows that are gone by now.
    """
    span = (start, start + MINUTE_MS)
    stored, present = connection.execute(
        "SELECT coalesce((SELECT rows FROM expression_minute WHERE at = ?1), 0), (SELECT count(*) "
        f"FROM expression WHERE {IS_OF_PARTICIPANT} AND at >= ?1 AND at < ?2)",
        span,
    ).fetchone()
    if stored >= present:
        return
    _add_to_hour(connection, start, -1)
    connection.execute("DELETE FROM expression_minute WHERE at = ?", (start,))
    add_expressions(connection, "minute", MINUTE_MS, "at >= ? AND at < ?", span)
    _add_to_hour(connection, start, 1)


def _add_to_hour(connection: sqlite3.Connection, start: int, sign: int) -> None:
    """Add a minute to its hour, or subtract it; one that is not there changes nothing."""
    connection.execute(
        f"INSERT INTO expression_hour (at, {', '.join(ADDED)}) SELECT at / {HOUR_MS} * {HOUR_MS}, "
        f"{', '.join(f'{sign} * {name}' for name in ADDED)} FROM expression_minute WHERE at = ? "
        f"ON CONFLICT (at) DO {ADD_EXPRESSIONS}",
        (start,),
    )


def _is_rolled_up(connection: sqlite3.Connection, start: int) -> bool:
    row = connection.execute("SELECT 1 FROM expression_minute WHERE at = ?", (start,))
    return row.fetchone() is not None


def _minute_of(at_ms: int) -> int:
    return at_ms // MINUTE_MS * MINUTE_MS
