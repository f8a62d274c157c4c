"""The erasure of people from the dashboard's own database, and from the copies beside it.

It names people by code and time of enrolment, in every table that has these two columns. Whom the
timeline does not know any more is deleted there, and the file is written anew. A clock that is set
late moves the time of an enrolment, which the rows then follow. Only its owner opens the file: the
dashboard's user, and root with the rights of that user.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from edge_agent.core.errors import DamageError, StoreError
from edge_agent.timeline.database.connection import read_transaction, transaction
from edge_agent.timeline.database.copy import copies_beside
from edge_agent.timeline.database.dashboard_file import (
    as_owner,
    dashboard_file,
    is_anothers,
    open_accounts,
    read_dashboard,
    refuse_too_large,
    write_dashboard,
)
from edge_agent.timeline.database.files import LOGS, translate_errors
from edge_agent.timeline.database.salvages import is_salvaging
from edge_agent.timeline.upkeep.row_erasure import empty_log

# ruff: noqa: S608 - only names of tables, in quotes, are put into SQL text


Person = tuple[str, int]
"""Code and time of enrolment."""
Change = tuple[Person, Person | None]
"""Somebody as the dashboard names them, and as the timeline does; ``None``: not any more."""
_KEY = {"code", "enrolled"}


def forget_in_dashboard(database: Path) -> None:
    """Delete from the dashboard's database whom the timeline does not know; no byte of them stays.

    Its copies are done like it. One that cannot be read is deleted: nobody can tell whom it names.

    Args:
        database: the database of the timeline.

    Raises:
        StoreError: this user may not open it, or a file cannot be read or written; all others
            were done.
    """
    file = dashboard_file(database)
    with translate_errors(file):
        files = [one for one in (file, *copies_beside(file)) if one.exists()]
        if not files:
            return
        with as_owner(file):
            if is_anothers(file):
                raise StoreError(
                    f"{file}: its letters and lists of carers may still name them, and only the "
                    "dashboard's user opens it. A dashboard that runs does it within a minute. To "
                    "do it now: sudo affect-edge maintenance"
                )
        failed: list[str] = []
        # Before it is asked who is known: whoever is enrolled meanwhile is not among them.
        named = [_read_or_delete(file, one, failed) for one in files]
        changes = _changes_of(set().union(*named), _people_of(database))
        for one in files:
            with as_owner(file), _collect(one, failed):
                if one.exists():
                    _forget(one, changes)
    if failed:
        raise StoreError(" ".join(dict.fromkeys(failed)))


def settle_people(database: Path) -> None:
    """Have the dashboard's database name people as the timeline does; others are deleted from it.

    Args:
        database: the database of the timeline.

    Raises:
        StoreError: one of the databases cannot be read or written, or people are still being
            carried over from a damaged one.
    """
    with read_dashboard(database) as connection:
        named = _named(connection)
    changes = _changes_of(named, _people_of(database))
    with write_dashboard(database) as connection:
        _settle(connection, changes)


def _changes_of(named: set[Person], people: Mapping[Person, Person]) -> list[Change]:
    """Return what is to be done with those whom the dashboard names otherwise than the timeline."""
    changes = [(one, people.get(one)) for one in sorted(named)]
    return [(one, now) for one, now in changes if one != now]


@contextmanager
def _collect(file: Path, failed: list[str]) -> Iterator[None]:
    """Add what keeps a file from being done to a list, so that the others are."""
    try:
        with translate_errors(file):
            yield
    except StoreError as error:
        failed.append(str(error))


def _read_or_delete(file: Path, one: Path, failed: list[str]) -> set[Person]:
    """Return whom one of the files names; delete a copy that cannot be read."""
    with as_owner(file), _collect(one, failed):
        refuse_too_large(one)
        try:
            with translate_errors(one), closing(open_accounts(one)) as connection:
                return _named(connection)
        except DamageError:
            if one == file:
                raise
            for end in ("", *LOGS):
                one.with_name(one.name + end).unlink(missing_ok=True)
    return set()


def _people_of(database: Path) -> dict[Person, Person]:
    """Return all people of the timeline: as they may be named → as they are named now.

    Raises:
        StoreError: it cannot be read, or some of them are still being carried over.
    """
    with read_transaction(database) as connection:
        if is_salvaging(connection):
            raise StoreError(
                f"{database}: rows are still being carried over from a damaged one, so who was "
                "erased cannot be told yet. Let the agent run; the nightly maintenance tries again."
            )
        rows = connection.execute(
            "SELECT code, created, coalesce(moved_ms, 0) AS moved FROM participant LEFT JOIN boot "
            "ON boot.id = participant.boot"
        ).fetchall()
    people = {(row["code"], row["created"] - row["moved"]): row for row in rows}
    people |= {(row["code"], row["created"]): row for row in rows}
    return {one: (row["code"], row["created"]) for one, row in people.items()}


def _named(connection: sqlite3.Connection) -> set[Person]:
    rows = [
        row
        for table in _tables(connection)
        for row in connection.execute(f"SELECT DISTINCT code, enrolled FROM {table}")
    ]
    return {(str(code), int(enrolled)) for code, enrolled in rows}


def _forget(file: Path, changes: Sequence[Change]) -> None:
    with closing(open_accounts(file)) as connection:
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA secure_delete=ON")
        with transaction(connection):
            _settle(connection, changes)
        # A page that SQLite has rearranged before may hold what was deleted long ago.
        empty_log(file, connection)
        connection.execute("VACUUM")
        empty_log(file, connection)


def _settle(connection: sqlite3.Connection, changes: Sequence[Change]) -> None:
    """Rename people, and delete those who are gone, in the caller's transaction."""
    # Addresses follow their letter.
    connection.execute("PRAGMA defer_foreign_keys=ON")
    for table in _tables(connection):
        for (code, enrolled), now in changes:
            if now is not None:
                connection.execute(
                    f"UPDATE OR IGNORE {table} SET enrolled = ? WHERE code = ? AND enrolled = ?",
                    (now[1], code, enrolled),
                )
            connection.execute(
                f"DELETE FROM {table} WHERE code = ? AND enrolled = ?", (code, enrolled)
            )


def _tables(connection: sqlite3.Connection) -> list[str]:
    """Return the tables that name people, in quotes."""
    names = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
    quoted = ['"' + str(name).replace('"', '""') + '"' for (name,) in names]
    return [
        table
        for table in quoted
        if {str(row[1]) for row in connection.execute(f"PRAGMA table_info({table})")} >= _KEY
    ]
