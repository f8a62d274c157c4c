"""Making a new database: its tables, and where their first pages lie."""

from __future__ import annotations

import functools
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from importlib import resources

from edge_agent.core import clock
from edge_agent.timeline.database.connection import insert, transaction
from edge_agent.timeline.database.schema import APPLICATION_ID, VERSION
from edge_agent.timeline.database.setting import renew_stream_epoch


@dataclass(frozen=True, slots=True)
class StoredTable:
    """A table as the file describes it: name, number of its first page, and its statement."""

    name: str
    root: int
    sql: str


@functools.cache
def expected_tables(*, rewritten: bool = False) -> tuple[StoredTable, ...]:
    """Return the tables of a new database, and where their first pages lie.

    These pages come first in the file, in the order of ``schema.sql``: a file whose own list cannot
    be read has them there, too.

    Args:
        rewritten: as ``VACUUM`` leaves them, which puts them in another order.
    """
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        # The pages of the pointer map lie between the tables, so that the setting decides where
        # these begin.
        connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
        with transaction(connection):
            create_tables(connection)
        if rewritten:
            connection.execute("VACUUM")
        rows = connection.execute(
            "SELECT name, rootpage, sql FROM sqlite_schema WHERE type = 'table'"
        )
        return tuple(StoredTable(*row) for row in rows)


@functools.cache
def statements_of(name: str) -> tuple[str, ...]:
    """Return the statements of a script beside this module, such as ``schema.sql``.

    Python's ``executescript`` would commit the open transaction first.
    """
    script = resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
    statements = [""]
    for line in script.splitlines(keepends=True):
        statements[-1] += line
        if sqlite3.complete_statement(statements[-1]):
            statements.append("")
    return tuple(statements[:-1])


def create_tables(connection: sqlite3.Connection) -> None:
    """Make tables, views and the first epoch, and note the version."""
    for name in ("schema.sql", "views.sql"):
        for statement in statements_of(name):
            connection.execute(statement)
    renew_stream_epoch(connection)
    insert(connection, "migration", version=VERSION, name="schema.sql", applied=clock.now().wall_ms)
    # In the same transaction: a file with our ID always has all tables.
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version={VERSION}")
