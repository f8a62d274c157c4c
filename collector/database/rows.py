"""Rows of many streams, written together.

Rows that may already exist are copied into a temporary table, and from there into their place.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

import psycopg

from collector.database.rollups import Place
from collector.database.schema import ROLLED_UP, SCHEMA, column_type, key_of
from edge_agent.fleet.tables import BY_NAME, TIMELINE, SentTable

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters

_KEYS = {table.name: key_of(table) for table in TIMELINE}
_KEY_POSITIONS = {
    table.name: [table.columns.index(column) for column in key_of(table)] for table in TIMELINE
}


Key = tuple[Any, ...]


def prepare(connection: psycopg.Connection) -> None:
    """Create the temporary tables for the timeline, once for each connection."""
    for table in TIMELINE:
        connection.execute(
            f"CREATE TEMP TABLE IF NOT EXISTS new_{table.name} "
            f"(LIKE {SCHEMA}.{table.name})".encode()
        )


class RowWriter:
    """Collects changes of rows; of several changes of one row only the newest counts.

    Args:
        connection: in a transaction of the caller.
    """

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        self._rows: dict[str, dict[Key, list[Any] | None]] = defaultdict(dict)
        self.touched: set[Place] = set()
        """Streams and times at which rows of a rollup came or went."""
        self.emptied: set[Place] = set()
        """Those of them at which a rollup may have no row any more."""
        self.replaced: set[int] = set()
        """Streams of which a row took the place of another one."""

    def add(self, stream: int, table: str, what: str, values: list[Any]) -> None:
        """Add a written or deleted row."""
        if table not in _KEYS:
            key: Key = (stream, values[0])
        elif what == "row":
            key = (stream, *(values[position] for position in _KEY_POSITIONS[table]))
        elif len(BY_NAME[table].key) == 1:
            key = (stream, values[1], values[0])  # id and time came
        else:
            key = (stream, *values)
        # A later change overwrites an earlier one; ``None`` stands for a deleted row.
        self._rows[table][key] = values if what == "row" else None

    def flush(self) -> None:
        """Write all collected changes."""
        for name, rows in self._rows.items():
            table = BY_NAME[name]
            if name in _KEYS:
                self._write_timeline(table, rows)
            else:
                self._write_study(name, rows)
        self._rows.clear()

    def _write_timeline(self, table: SentTable, rows: dict[Key, list[Any] | None]) -> None:
        if table.name in ROLLED_UP:
            self.touched.update((key[0], key[1]) for key in rows)
        key = _KEYS[table.name]
        gone = [key for key, values in rows.items() if values is None]
        if gone:
            self.emptied.update((key[0], key[1]) for key in gone)
            condition = " AND ".join(f"{column} = %s" for column in ("stream", *key))
            self._connection.cursor().executemany(
                f"DELETE FROM {SCHEMA}.{table.name} WHERE {condition}".encode(), gone
            )
        new = [(key[0], *values) for key, values in rows.items() if values is not None]
        # Rows are new unless a message came twice or overtook
        # another: the cheap way is tried first.
        if new and not self._add(table, new):
            self.emptied.update((key[0], key[1]) for key in rows)
            self._replace(table, new)

    def _add(self, table: SentTable, new: list[Key]) -> bool:
        """Insert new rows; return ``False`` if one of them exists already."""
        try:
            # A savepoint: after a unique violation PostgreSQL would refuse all further statements.
            with self._connection.transaction():
                self._copy(f"{SCHEMA}.{table.name}", table, new)
        except psycopg.errors.UniqueViolation:
            return False
        return True

    def _replace(self, table: SentTable, new: list[Key]) -> None:
        """Insert or replace rows of which some exist already."""
        beside = f"new_{table.name}"
        self._copy(beside, table, new)
        key = _KEYS[table.name]
        changed = [column for column in table.columns if column not in key]
        sets = ", ".join(f"{column} = excluded.{column}" for column in changed)
        columns = ", ".join(("stream", *table.columns))
        same = " AND ".join(f"old.{column} = new.{column}" for column in ("stream", *key))
        # A row that came once more with the same values has replaced nothing.
        differs = (
            f"({', '.join(f'old.{column}' for column in changed)}) IS DISTINCT FROM "
            f"({', '.join(f'new.{column}' for column in changed)})"
        )
        replaced = self._connection.execute(
            f"SELECT DISTINCT new.stream FROM {beside} AS new CROSS JOIN LATERAL (SELECT * FROM "
            f"{SCHEMA}.{table.name} AS old WHERE {same} OFFSET 0) AS old WHERE {differs}".encode()
        ).fetchall()
        self.replaced.update(row[0] for row in replaced)
        self._connection.execute(
            f"INSERT INTO {SCHEMA}.{table.name} ({columns}) SELECT {columns} FROM {beside} "
            f"ON CONFLICT ({', '.join(('stream', *key))}) DO UPDATE SET {sets}".encode()
        )
        self._connection.execute(f"TRUNCATE {beside}".encode())

    def _copy(self, place: str, table: SentTable, new: list[Key]) -> None:
        columns = ", ".join(("stream", *table.columns))
        with self._connection.cursor().copy(
            # COPY in binary form: far fewer bytes and parsing than one INSERT for each row.
            f"COPY {place} ({columns}) FROM STDIN (FORMAT BINARY)".encode()
        ) as copy:
            copy.set_types(["int8", *(column_type(column) for column in table.columns)])
            for values in new:
                copy.write_row(values)

    def _write_study(self, kind: str, rows: dict[Key, list[Any] | None]) -> None:
        columns = BY_NAME[kind].columns[1:]
        cursor = self._connection.cursor()
        gone = [(stream, kind, id_) for (stream, id_), values in rows.items() if values is None]
        if gone:
            cursor.executemany(
                f"DELETE FROM {SCHEMA}.study_row WHERE stream = %s AND kind = %s AND id = %s", gone
            )
        new = [
            (stream, kind, id_, json.dumps(dict(zip(columns, values[1:], strict=True))))
            for (stream, id_), values in rows.items()
            if values is not None
        ]
        if new:
            cursor.executemany(
                f"INSERT INTO {SCHEMA}.study_row (stream, kind, id, fields) VALUES "
                "(%s, %s, %s, %s::jsonb) ON CONFLICT (stream, kind, id) "
                "DO UPDATE SET fields = excluded.fields",
                new,
            )
