"""A look at whether a database file is sound, beside a running agent, in limited time."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote

from edge_agent.core import clock

_STEPS = 10_000  # of SQLite's machine between two looks at the time: some milliseconds
_MOST_FAULTS = 10
_REFERENCES = "PRAGMA foreign_key_check"
_CACHE_KB = 32_000  # an index and its table are read side by side: fewer pages are read twice


@dataclass(frozen=True, slots=True)
class Soundness:
    """What a look at a file has found.

    Attributes:
        faults: what is damaged, in SQLite's words, at most ten; empty when nothing was found.
        complete: whether the look came to its end in time.
        is_torn: whether the file itself is damaged, and not only a reference to a missing row.
    """

    faults: tuple[str, ...]
    complete: bool
    is_torn: bool = False


def look_at(path: Path, *, deep: bool, within_s: float) -> Soundness:
    """Read a database of any schema and say what is damaged; nothing is changed.

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
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as connection:
            # SQLite's words may quote what is damaged, which need not be text any more.
            connection.text_factory = partial(str, encoding="utf-8", errors="replace")
            connection.execute(f"PRAGMA cache_size={-_CACHE_KB}")
            connection.set_progress_handler(lambda: clock.boot_seconds() >= until_s, _STEPS)
            for question in questions:
                for row in connection.execute(question):
                    faults += _fault(row)
                is_torn = is_torn or (bool(faults) and question != _REFERENCES)
    except sqlite3.Error as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
            return Soundness(tuple(faults[:_MOST_FAULTS]), complete=False, is_torn=is_torn)
        faults.append(str(error))
        is_torn = True
    except UnicodeDecodeError as error:  # SQLite's words of an error are never replaced
        faults.append(f"what it says of the damage is no text ({error.reason})")
        is_torn = True
    return Soundness(tuple(faults[:_MOST_FAULTS]), complete=True, is_torn=is_torn)


def _fault(row: tuple[object, ...]) -> list[str]:
    """Return what a row of an answer says is damaged."""
    if len(row) == 1:
        return [line for line in str(row[0]).splitlines() if line != "ok"]
    return [f"a row of {row[0]} refers to none of {row[2]}"]
