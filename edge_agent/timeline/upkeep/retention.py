"""The deletion of rows that are kept no longer, by the age that ``aging`` counts.

It is done in portions, each written down in the transaction that does it.
"""

from __future__ import annotations

import math
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing
from pathlib import Path

from edge_agent.core import clock
from edge_agent.core.clock import iso_utc
from edge_agent.core.texts import N_, Message, as_message, join_list
from edge_agent.timeline.database.connection import connect, transaction
from edge_agent.timeline.database.files import translate_errors
from edge_agent.timeline.database.tables import BY_NAME, TIMELINE, Retention
from edge_agent.timeline.upkeep.aging import DAY_MS, boots_with_wrong_times, count_time
from edge_agent.timeline.upkeep.soundness import ROWS_DELETED
from edge_agent.timeline.write.audit import AuditLine, amend_newest, append
from edge_agent.timeline.write.changes import unlogged_deletions

# ruff: noqa: S608 - only our own conditions are put into SQL text; values go in as parameters

_PORTION_ROWS = 5_000  # a portion a transaction, so that the recorder never waits for long
# SQLite's whole numbers have 64 bits; this is before every time, and can be added to.
_BEGINNING = -(2**62)
_OF_ALL = N_("{old:,.0f} of {all:,.0f} {rows}")
_SHORT_LIVED = N_(
    "{rows} are older than record.keep_days ({days}): the agent deletes them with its next "
    "maintenance. Raise record.keep_days first, or analyse them in a data folder of their own "
    "without an agent."
)


class Deletions:
    """Counts the rows that one run deletes, in one line of ``audit`` updated after every portion.

    A new line is begun if another program has written one meanwhile.

    Args:
        connection: for writing.
        action: of the line in ``audit``: ``retention`` or ``disk_budget``.
        at_ms: of that line, UTC.
        spared: numbers of ``boot`` whose rows stay, for their time is wrong.
    """

    def __init__(
        self, connection: sqlite3.Connection, action: str, at_ms: int, spared: Collection[int] = ()
    ) -> None:
        self._connection = connection
        self._action = action
        self._at_ms = at_ms
        self._others = ""
        if spared:
            numbers = ", ".join(str(int(number)) for number in sorted(spared))
            self._others = f" AND (boot IS NULL OR boot NOT IN ({numbers}))"
        self._rows: Counter[str] = Counter()
        self._told: Counter[str] = Counter()
        self._line: int | None = None

    @property
    def rows(self) -> int:
        """Rows deleted so far."""
        return self._rows.total()

    def delete_between(self, table: str, start: int, end: int, until_s: float = math.inf) -> None:
        """Delete the rows of a table from ``start`` to before ``end``.

        Ends after the portion that passes ``until_s``, seconds of the boot clock.
        """
        key = ", ".join(BY_NAME[table].key)
        # The whole key and not the row number: a table without rowid has none.
        statement = (
            f"DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} "
            f"WHERE at >= ? AND at < ?{self._others} LIMIT ?)"
        )
        while True:
            with transaction(self._connection):
                # Only this device forgets the rows: the collector of a fleet keeps its own.
                with unlogged_deletions(self._connection):
                    portion = self._connection.execute(
                        statement, (start, end, _PORTION_ROWS)
                    ).rowcount
                if portion:
                    self._rows[table] += portion
                    self._write_down(table, portion, end)
            if portion < _PORTION_ROWS or clock.boot_seconds() >= until_s:
                return

    def _write_down(self, table: str, portion: int, before_ms: int) -> None:
        self._told[table] += portion
        detail = self._detail(before_ms)
        if self._line is None or not amend_newest(self._connection, self._line, detail):
            # lines of others followed, which are sealed: what is reported there stays
            self._told = Counter({table: portion})
            detail = self._detail(before_ms)
            line = AuditLine(self._at_ms, "appliance", self._action, detail)
            self._line = append(self._connection, line)
        self._connection.execute(
            "INSERT INTO setting (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value "
            "= CAST(value AS INTEGER) + CAST(excluded.value AS INTEGER)",
            (ROWS_DELETED, str(portion)),
        )

    def _detail(self, before_ms: int) -> str:
        each = ", ".join(f"{rows} {table}" for table, rows in self._told.items())
        total = self._told.total()
        return f"{total} rows of before {iso_utc(before_ms)} deleted: {each}"


def kept_from_ms(keep_days: int) -> int:
    """Return the time from which on rows are kept, UTC milliseconds by the clock of now."""
    return clock.now().wall_ms - keep_days * DAY_MS


def short_lived(rows: Iterable[tuple[str, int, int]], keep_days: int) -> list[Message]:
    """Return a sentence on rows that the next maintenance deletes, if there are any.

    Args:
        rows: of each kind what people call them, how many are too old, and how many there are.
        keep_days: days to keep.
    """
    parts = [
        Message(_OF_ALL, old=float(old), all=float(count), rows=as_message(name))
        for name, old, count in rows
        if old
    ]
    return [Message(_SHORT_LIVED, rows=join_list(parts), days=keep_days)] if parts else []


def is_short_lived(text: object) -> bool:
    """Tell whether a text is such a sentence."""
    return isinstance(text, Message) and text.template == _SHORT_LIVED


def count_old(
    connection: sqlite3.Connection, schema: str, keep_days: int
) -> Iterator[tuple[str, int, int]]:
    """Yield what ``short_lived`` is about, of each table that ``prune`` deletes from.

    Args:
        connection: of the database.
        schema: under which name it is attached there.
        keep_days: days to keep.
    """
    before = kept_from_ms(keep_days)
    for table in TIMELINE:
        if table.kept is Retention.DAYS:
            old, count = connection.execute(
                f"SELECT count(*) FILTER (WHERE at < ?), count(*) FROM {schema}.{table.name}",
                (before,),
            ).fetchone()
            yield table.many, old, count


def prune(
    path: Path, keep_days: int, now_ms: int | None = None, *, within_s: float = math.inf
) -> int:
    """Delete rows of expressions, movements and unfit frames older than ``keep_days`` days.

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
        for table in TIMELINE:
            if table.kept is Retention.DAYS:
                deletions.delete_between(table.name, _BEGINNING, before, until_s)
        return deletions.rows
