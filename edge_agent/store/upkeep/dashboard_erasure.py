"""The erasure of people from the dashboard's own database, and from the copies beside it.

It names people by code and time of enrolment, in every table that has these two columns. Whom the
timeline does not know any more is deleted there, and the file is written anew. Only its owner opens
it: the dashboard's user, and root with the rights of that user.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from contextlib import closing
from pathlib import Path

from edge_agent.core.errors import StoreError
from edge_agent.store.database.connection import read_transaction, transaction
from edge_agent.store.database.copy import copies_beside
from edge_agent.store.database.dashboard_file import (
    as_owner,
    dashboard_file,
    is_anothers,
    open_accounts,
    refuse_too_large,
)
from edge_agent.store.database.files import translate_errors
from edge_agent.store.upkeep.row_erasure import empty_log

# ruff: noqa: S608 - only names of tables, in quotes, are put into SQL text


Person = tuple[str, int]
"""Code and time of enrolment."""
_KEY = {"code", "enrolled"}


def forget_in_dashboard(database: Path) -> None:
    """Delete from the dashboard's database whom the timeline does not know; no byte of them stays.

    Args:
        database: the database of the timeline.

    Raises:
        StoreError: this user may not open it, or a file cannot be read or written.
    """
    file = dashboard_file(database)
    with translate_errors(file):
        if not file.exists():
            return
        known = _people_of(database)
        with as_owner(file):
            if is_anothers(file):
                raise StoreError(
                    f"{file}: its letters and lists of carers may still name them, and only the "
                    "dashboard's user opens it. A dashboard that runs does it within a minute. To "
                    "do it now: sudo affect-edge maintenance"
                )
            refuse_too_large(file)
            for one in (file, *copies_beside(file)):
                with translate_errors(one):
                    _forget(one, known)


def _people_of(database: Path) -> Collection[Person]:
    with read_transaction(database) as connection:
        rows = connection.execute("SELECT code, created FROM participant").fetchall()
    return {(str(row["code"]), int(row["created"])) for row in rows}


def _forget(file: Path, known: Collection[Person]) -> None:
    with closing(open_accounts(file)) as connection:
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA secure_delete=ON")
        with transaction(connection):
            for table in _tables(connection):
                named = connection.execute(
                    f"SELECT DISTINCT code, enrolled FROM {table}"
                ).fetchall()
                connection.executemany(
                    f"DELETE FROM {table} WHERE code = ? AND enrolled = ?",
                    [one for one in named if one not in known],
                )
        # A page that SQLite has rearranged before may hold what was deleted long ago.
        empty_log(file, connection)
        connection.execute("VACUUM")
        empty_log(file, connection)


def _tables(connection: sqlite3.Connection) -> list[str]:
    """Return the tables that name people, in quotes."""
    names = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
    quoted = ['"' + str(name).replace('"', '""') + '"' for (name,) in names]
    return [
        table
        for table in quoted
        if {str(row[1]) for row in connection.execute(f"PRAGMA table_info({table})")} >= _KEY
    ]
