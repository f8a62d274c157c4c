"""How the rows of each table are carried over: what comes first, and what to do where two meet."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from edge_agent.store.salvage.records import Value

LARGE = (
    "expression_hour",
    "vital_hour",
    "expression_minute",
    "vital_minute",
    "gap",
    "unfit",
    "expression",
    "vital",
)
"""Tables of the timeline: carried over while recording goes on, these in this order."""
MADE_ANEW = frozenset({"migration", "vital_kind", "sqlite_sequence"})
"""Tables that a new database has filled already."""
_NEWER_WINS = frozenset({"setting", "outbox_seq"})
_SUMS = ("_minute", "_hour", "_day")
_CHOSEN = {"least": "min", "most": "max"}


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the new database.

    Attributes:
        name: of the table.
        columns: of the table.
        key: those of its primary key.
        real: those that hold floating-point numbers.
    """

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    real: frozenset[str]

    @property
    def is_sum(self) -> bool:
        """Whether its rows add up what others hold: two for one time are added."""
        return self.name.endswith(_SUMS)

    @property
    def number(self) -> str | None:
        """The column that only numbers the rows, of a table of the timeline."""
        if self.name in LARGE and self.key == ("id",):
            return "id"
        return None

    def fitting(self, row: Mapping[str, Value]) -> dict[str, Value]:
        """Return the values that this table has columns for."""
        return {name: self._typed(name, row[name]) for name in self.columns if name in row}

    def _typed(self, name: str, value: Value) -> Value:
        # whole numbers in a REAL column are stored as integers
        return float(value) if name in self.real and isinstance(value, int) else value

    def insertion(self, names: tuple[str, ...]) -> str:
        """Return the statement that writes a row of these columns."""
        verb = "INSERT OR REPLACE" if self.name in _NEWER_WINS else "INSERT"
        text = (
            f"{verb} INTO {self.name} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
        )
        if self.is_sum:
            sums = ", ".join(self._added(name) for name in names if name not in self.key)
            return f"{text} ON CONFLICT ({', '.join(self.key)}) DO UPDATE SET {sums}"
        return text

    def _added(self, name: str) -> str:
        if name in _CHOSEN:
            choose = _CHOSEN[name]
            own = f"coalesce({name}, excluded.{name})"
            other = f"coalesce(excluded.{name}, {name})"
            return f"{name} = {choose}({own}, {other})"
        return f"{name} = {name} + excluded.{name}"


def tables_of(connection: sqlite3.Connection) -> dict[str, Table]:
    """Return the tables of a new database that take salvaged rows: small ones, then ``LARGE``."""
    names = [
        row[0]
        for row in connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        )
    ]
    # settings first: they hold the times that were erased; sessions before what hangs on them
    small = [name for name in names if name not in LARGE and name not in MADE_ANEW]
    small.sort(key=lambda name: (name != "setting", name != "participant", name != "session"))
    large = [name for name in LARGE if name in names]
    return {name: _table(connection, name) for name in (*small, *large)}


def _table(connection: sqlite3.Connection, name: str) -> Table:
    described = connection.execute("SELECT * FROM pragma_table_info(?)", (name,)).fetchall()
    keys = sorted((row[5], row[1]) for row in described if row[5])
    return Table(
        name,
        tuple(row[1] for row in described),
        tuple(column for _, column in keys),
        frozenset(row[1] for row in described if row[2] == "REAL"),
    )
