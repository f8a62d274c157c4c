"""Rows that break the bounds of ``core.bounds``: naming them, and removing them.

Nothing takes such a row any more; a database may hold some that were written before. Pages, exports
and programs show a time that no date has as the first or the last one that there is.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from edge_agent.core import clock
from edge_agent.core.bounds import LARGEST, LATEST_MS, SOURCE_LENGTH
from edge_agent.core.errors import StoreError
from edge_agent.timeline.database.connection import connect, transaction
from edge_agent.timeline.database.files import translate_errors
from edge_agent.timeline.database.tables import TIMELINE, RowOwner
from edge_agent.timeline.intake.corrections import reading_of_row
from edge_agent.timeline.study.rows import insert_audit
from edge_agent.timeline.write.rollups import roll_up_anew

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters

_TIMES = {
    table.name: tuple(time.column for time in table.times)
    for table in TIMELINE
    if table.whose in {RowOwner.TIME, RowOwner.SESSION, RowOwner.ALERT} and table.times
}
"""Table → its times. People, consents and sessions have only times that were checked always."""
_PORTION = 10_000
_STEPS = 10_000  # of SQLite's machine between two looks at the clock
_VALUES = f"abs(value) > {LARGEST:.0f} OR length(source) > {SOURCE_LENGTH}"
_IN_TIME = f"at >= 0 AND at < {LATEST_MS}"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The rows that break bounds.

    Attributes:
        rows: table → how many; tables without any are left out.
        complete: whether all readings were looked at in time.
    """

    rows: dict[str, int]
    complete: bool

    @property
    def sentence(self) -> str:
        """The tables with their rows: ``2 rows of vital, 1 of alert``."""
        first, *others = (f"{count:,} of {table}" for table, count in self.rows.items())
        return ", ".join([first.replace(" of", " rows of", 1), *others])


def find_unreadable(path: Path, within_s: float) -> Unreadable:
    """Count the rows whose times no page can show, or whose values or sources are beyond bounds.

    Times are found by their index; for values all readings are read, within a time.

    Raises:
        StoreError: the database cannot be read.
    """
    until_s = clock.boot_seconds() + within_s
    complete = True
    with translate_errors(path), closing(connect(path, readonly=True)) as connection:
        rows = {table: _count(connection, table, _out_of_time(table)) for table in _TIMES}
        connection.set_progress_handler(lambda: clock.boot_seconds() >= until_s, _STEPS)
        try:
            rows["vital"] += _count(connection, "vital", f"({_VALUES}) AND {_IN_TIME}")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
                raise
            complete = False
    return Unreadable({table: count for table, count in rows.items() if count}, complete)


def remove_unreadable(path: Path, *, actor: str) -> Unreadable:
    """Remove the rows that ``find_unreadable`` counts, in portions; return them.

    Raises:
        StoreError: the database cannot be written, or such rows are left.
    """
    removed: dict[str, int] = {}
    with translate_errors(path), closing(connect(path, readonly=False)) as connection:
        for table in _TIMES:
            for condition in (_out_of_time(table), *([_VALUES] if table == "vital" else [])):
                while count := _remove_portion(connection, table, condition):
                    removed[table] = removed.get(table, 0) + count
        done = Unreadable(removed, complete=True)
        if removed:
            with transaction(connection):
                insert_audit(connection, actor, "unreadable_remove", done.sentence, clock.now())
    left = find_unreadable(path, float("inf"))
    if left.rows:
        raise StoreError(f"{path}: {left.sentence} were written meanwhile. Ask again.")
    return done


def _out_of_time(table: str) -> str:
    """Return the condition of a wrong time; SQLite finds both ends of the timeline by its index."""
    return " OR ".join(
        f"{column} {beyond}" for column in _TIMES[table] for beyond in ("< 0", f">= {LATEST_MS}")
    )


def _count(connection: sqlite3.Connection, table: str, condition: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM {table} WHERE {condition}").fetchone()
    return int(row[0])


def _remove_portion(connection: sqlite3.Connection, table: str, condition: str) -> int:
    """Remove some of the rows, in a transaction of their own; return how many."""
    with transaction(connection):
        if table != "vital":
            return connection.execute(f"DELETE FROM {table} WHERE {condition}").rowcount
        rows = connection.execute(
            f"SELECT * FROM vital WHERE {condition} LIMIT ?", (_PORTION,)
        ).fetchall()
        for row in rows:
            connection.execute(
                "DELETE FROM vital WHERE at = ? AND kind = ? AND source = ?",
                (row["at"], row["kind"], row["source"]),
            )
            roll_up_anew(connection, reading_of_row(row), None)
        return len(rows)
