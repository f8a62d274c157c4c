"""Bounds for a database of another user that root or the dashboard's user opens.

Who may write a file of SQLite decides what a query does in it: a view in the place of a table has
rows without end, a trigger runs with each change, a value needs the memory of the whole machine.
"""

from __future__ import annotations

import functools
import os
import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from edge_agent.core import clock
from edge_agent.core.bounds import printable
from edge_agent.core.errors import StoreError
from edge_agent.core.owners import was_started_by_root

_LARGEST_VALUE = 50_000_000
"""Bytes of a value or row; the gate takes 4 MB at once."""
_LONGEST_S = 3_600.0
"""For so long one statement may run; an export of years takes minutes."""
_PAUSE_S = 5.0
"""After a longer pause between two looks at the time another statement has begun."""
_STEPS = 100_000
"""Of SQLite, between two looks at the time."""
_SENT = re.compile(
    r"CREATE TRIGGER fleet_\w+ AFTER (INSERT|UPDATE|DELETE) ON \w+ BEGIN "
    r"(INSERT INTO fleet_change \(what, a, b, more\) SELECT [^;]+; ?)+END"
)
"""A trigger of a fleet's log, of any release."""
_QUIET = "(SELECT quiet FROM fleet_state)"
_READING = re.compile(r"\b(FROM|WITH|JOIN|RAISE|UNION)\b", re.IGNORECASE)

# Read with the program: the user that root becomes may not read where it lies.
_SCRIPTS = tuple(
    Path(__file__).with_name(name).read_text(encoding="utf-8")
    for name in ("schema.sql", "views.sql")
)


def is_anothers_file(path: Path) -> bool:
    """Tell whether a file belongs to another user than the one who runs this program."""
    try:
        owner = path.stat().st_uid
    except OSError:  # whoever opens it gets an error
        return False
    return owner != (0 if was_started_by_root() else os.geteuid())


def set_bounds(path: Path, connection: sqlite3.Connection, longest_s: float = _LONGEST_S) -> None:
    """Bound values and time of a connection to a file of another user, before anything is read.

    Args:
        path: the file.
        connection: to it.
        longest_s: seconds that one statement may take.
    """
    if is_anothers_file(path):
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LARGEST_VALUE)
        connection.set_progress_handler(_Stopwatch(longest_s), _STEPS)


def refuse_foreign(path: Path, connection: sqlite3.Connection, *, readonly: bool) -> None:
    """Refuse what another user's timeline would have the statements of this program do.

    Views in the place of ours or of a table, and triggers of others where rows are written.
    A view of another name stays: only who names it asks it.

    Args:
        path: the timeline.
        connection: to it.
        readonly: nothing is written through it, so no trigger runs.

    Raises:
        StoreError: there is one.
        sqlite3.Error: the list of tables cannot be read.
    """
    if not is_anothers_file(path):
        return
    rows = connection.execute(
        "SELECT type, name, sql FROM main.sqlite_schema WHERE type IN ('view', 'trigger')"
    )
    for kind, name, sql in rows:
        text = str(sql)
        runs = not readonly if kind == "trigger" else str(name).casefold() in _of_ours()
        if runs and _of_ours().get(name) != _words(text) and not _is_of_a_fleet(text):
            raise StoreError(
                f"{path}: holds the {kind} {printable(str(name))[:100]}, which is not of this "
                "program. Somebody who may write the file has added it, and it could make the "
                "program do anything. Let the owner of the file remove it (DROP "
                f"{str(kind).upper()} …), or restore a copy: sudo affect-edge restore"
            )


class _Stopwatch:
    """Interrupts a statement that takes too long."""

    def __init__(self, longest_s: float) -> None:
        self._longest_s = longest_s
        self._began_s = self._last_s = -_PAUSE_S

    def __call__(self) -> bool:
        """Tell whether it is to be interrupted."""
        now_s = clock.boot_seconds()
        if now_s - self._last_s > _PAUSE_S:
            self._began_s = now_s
        self._last_s = now_s
        return now_s - self._began_s > self._longest_s


@functools.cache
def _of_ours() -> Mapping[str, str]:
    """Return tables, views and triggers of a new timeline: name → words of the statement."""
    with closing(sqlite3.connect(":memory:")) as connection:
        for script in _SCRIPTS:
            connection.executescript(script)
        rows = connection.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL")
        return {name: _words(sql) for name, sql in rows}


def _words(sql: str) -> str:
    return " ".join(sql.split())


def _is_of_a_fleet(sql: str) -> bool:
    """Tell whether a trigger only logs a changed row for the server of a fleet."""
    return _SENT.fullmatch(sql) is not None and not _READING.search(sql.replace(_QUIET, "0"))
