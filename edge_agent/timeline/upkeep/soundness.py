"""The soundness of a database file: what is damaged, and how much of the study is in it.

The check runs beside a running agent, with a time limit.
"""

from __future__ import annotations

import math
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote

from edge_agent.core import clock
from edge_agent.core.errors import StoreError
from edge_agent.timeline.database.connection import connect_any, refuse_unknown_version
from edge_agent.timeline.database.files import (
    forget_cached_pages,
    refuse_pipe,
    said_by,
    translate_errors,
)
from edge_agent.timeline.database.setting import read_setting
from edge_agent.timeline.database.tables import OF_SESSION, PRUNED
from edge_agent.timeline.database.untrusted_file import set_bounds
from edge_agent.timeline.salvage.rescue import forget_damage, note_damage

_STEPS = 10_000  # of SQLite's machine between two looks at the time: some milliseconds
_MOST_FAULTS = 10
_REFERENCES = "PRAGMA foreign_key_check"
_CACHE_KB = 32_000  # an index and its table are read side by side: fewer pages are read twice
ROWS_DELETED = "rows_deleted"
"""Key in ``setting``: rows of the timeline that retention and disk budget have deleted so far."""
_TIMELINE = tuple(table.name for table in PRUNED)
_STUDY = ("consent", *(table.name for table in OF_SESSION if table.title))
_LEAST_SHARE = 0.9
"""A database that holds less than this share of what another one holds is much smaller."""


@dataclass(frozen=True, slots=True)
class Soundness:
    """The result of checking a database file.

    Attributes:
        faults: what is damaged, in SQLite's words, at most ten; empty when nothing was found.
        complete: whether the check finished in time.
        is_torn: whether the file itself is damaged, and not only a reference to a missing row.
    """

    faults: tuple[str, ...]
    complete: bool
    is_torn: bool = False


def look_at(path: Path, *, deep: bool, within_s: float) -> Soundness:
    """Check a database of any schema for damage, without changing it.

    Args:
        path: the database, or a copy of one.
        deep: compare each index with its table and each reference with its row as well.
        within_s: seconds after which the look ends; what it has found until then does not count.
    """
    until_s = clock.boot_seconds() + within_s
    questions = ["PRAGMA quick_check"]
    if deep:
        questions = ["PRAGMA integrity_check", _REFERENCES]
    faults: list[str] = []
    is_torn = False
    refuse_pipe(path)
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as connection:
            # SQLite's words may quote what is damaged, which need not be text any more.
            connection.text_factory = partial(str, encoding="utf-8", errors="replace")
            connection.execute(f"PRAGMA cache_size={-_CACHE_KB}")
            set_bounds(path, connection)
            connection.set_progress_handler(lambda: clock.boot_seconds() >= until_s, _STEPS)
            for question in questions:
                for row in connection.execute(question):
                    faults += _fault(row)
                is_torn = is_torn or (bool(faults) and question != _REFERENCES)
    except sqlite3.Error as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
            return Soundness(tuple(faults[:_MOST_FAULTS]), complete=False, is_torn=is_torn)
        faults.append(said_by(error))
        is_torn = True
    except UnicodeDecodeError as error:  # SQLite's words of an error are never replaced
        faults.append(f"what it says of the damage is no text ({error.reason})")
        is_torn = True
    return Soundness(tuple(faults[:_MOST_FAULTS]), complete=True, is_torn=is_torn)


def _fault(row: tuple[object, ...]) -> list[str]:
    """Return the damage that a row of SQLite's answer describes."""
    if len(row) == 1:
        return [line for line in str(row[0]).splitlines() if line != "ok"]
    return [f"a row of {row[0]} refers to none of {row[2]}"]


# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters


@dataclass(frozen=True, slots=True, order=True)
class Contents:
    """The number of rows in a database, ordered so that the fuller of two is the greater.

    The counts never decrease by themselves: they include rows that retention and disk budget
    deleted, and erasing a participant changes the copies, too.

    Attributes:
        sessions: sessions.
        participants: participants.
        study: consents, and what sessions hold: markers, self-reports and so on.
        recorded: rows of the timeline, with those that were deleted for their age or for space.
    """

    sessions: int
    participants: int
    study: int
    recorded: int

    def is_much_smaller_than(self, other: Contents) -> bool:
        """Tell whether a session or participant is missing, or a tenth of something else."""
        return (
            self.sessions < other.sessions
            or self.participants < other.participants
            or self.study < _LEAST_SHARE * other.study
            or self.recorded < _LEAST_SHARE * other.recorded
        )


def read_contents(connection: sqlite3.Connection) -> Contents:
    """Count what is in a database.

    Raises:
        sqlite3.Error: a table cannot be read.
    """

    # A copy of an older schema lacks tables.
    names = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
    there = {name for (name,) in names}

    def rows(*tables: str) -> int:
        counts = (connection.execute(f"SELECT count(*) FROM {t}") for t in tables if t in there)
        return sum(cursor.fetchone()[0] for cursor in counts)

    recorded = rows(*_TIMELINE) + int(read_setting(connection, ROWS_DELETED) or 0)
    return Contents(rows("session"), rows("participant"), rows(*_STUDY), recorded)


def verify(copy: Path) -> None:
    """Read a copy from the disk and check that it could replace the database.

    Raises:
        StoreError: it is damaged, none of ours, of a version that cannot be upgraded, or cannot be
            read.
    """
    with translate_errors(copy):
        forget_cached_pages(copy)
        with closing(connect_any(copy)) as connection:
            refuse_unknown_version(copy, connection.execute("PRAGMA user_version").fetchone()[0])
    faults = look_at(copy, deep=True, within_s=math.inf).faults
    if faults:
        raise StoreError(f"{copy}: is damaged ({faults[0]}).")


def note_what_is_torn(path: Path, within_s: float) -> str | None:
    """Check a database in use, and write a note for the agent if its file is damaged.

    Args:
        path: the database.
        within_s: seconds after which the look ends.

    Returns:
        What is damaged; ``None``: nothing, or the look took too long.

    Raises:
        StoreError: it cannot be read, or the folder cannot be written.
    """
    with translate_errors(path):
        forget_cached_pages(path)
    soundness = look_at(path, deep=True, within_s=within_s)
    if not soundness.is_torn:
        if soundness.complete:
            forget_damage(path)
        return None
    note_damage(path, f"SQLite says: {soundness.faults[0]}")
    return soundness.faults[0]
