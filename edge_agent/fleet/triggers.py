"""The triggers that log each change in the transaction that makes it, whoever makes it."""

# ruff: noqa: S608 - only our own names are put into SQL text

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from edge_agent.fleet.tables import TABLES, SentTable

ROW = 0
"""A row as it is when it is sent, or rows: ``a`` to ``b``."""
GONE = 1
"""A row that was deleted or moved; its key."""
_PREFIX = "fleet_log_"


def expected_triggers() -> dict[str, str]:
    """Return the statements that make the triggers, by name."""
    return {name: sql for table in TABLES for name, sql in _triggers_of(table)}


def present_triggers(connection: sqlite3.Connection) -> dict[str, str]:
    """Return the statements of the triggers that a database has, by name."""
    rows = connection.execute(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND name GLOB ?",
        (f"{_PREFIX}*",),
    )
    return {row[0]: row[1] for row in rows}


def drop_triggers(connection: sqlite3.Connection) -> None:
    """Take the triggers away, in the caller's transaction."""
    for name in present_triggers(connection):
        connection.execute(f"DROP TRIGGER {name}")


def _triggers_of(table: SentTable) -> Iterator[tuple[str, str]]:
    name = f"{_PREFIX}{table.name}"
    row = _log(table, ROW, "new")
    yield (
        f"{name}_new",
        f"CREATE TRIGGER {name}_new AFTER INSERT ON {table.name} BEGIN {row}; END",
    )
    moved = ""
    if table.time is not None:
        changed = " OR ".join(
            f"old.{column} IS NOT new.{column}" for column in {*table.key, table.time}
        )
        moved = f"{_log(table, GONE, 'old')} WHERE {_ordered(changed)}; "
    yield (
        f"{name}_changed",
        f"CREATE TRIGGER {name}_changed AFTER UPDATE ON {table.name} BEGIN {moved}{row}; END",
    )
    gone = f"{_log(table, GONE, 'old')} WHERE (SELECT quiet FROM fleet_state) = 0"
    yield (
        f"{name}_gone",
        f"CREATE TRIGGER {name}_gone AFTER DELETE ON {table.name} BEGIN {gone}; END",
    )


def _ordered(condition: str) -> str:
    """Return the parts of a condition in one order: the text is compared at each start."""
    return " OR ".join(sorted(condition.split(" OR ")))


def _log(table: SentTable, what: int, row: str) -> str:
    """Return the statement that logs a change of ``row``, ``old`` or ``new``."""
    code = table.code * 10 + what
    if table.key == ("id",):
        time = "NULL"
        if what == GONE and table.time is not None:
            time = f"{row}.{table.time}"
        values = f"{code}, {row}.id, {time}, NULL"
    else:
        values = f"{code}, {row}.at, NULL, json_array({row}.kind, {row}.source)"
    return f"INSERT INTO fleet_change (what, a, b, more) SELECT {values}"
