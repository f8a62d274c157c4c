"""The timeline as a SQLite file: for datasette, DuckDB and every language.

It is written by ``sqlite3`` alone: the dashboard writes exports, too, and loads no library for it.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from typing import IO

from edge_agent.core.texts import N_
from edge_agent.timeline.export.format import FileFormat
from edge_agent.timeline.export.source import ExportSource
from edge_agent.timeline.export.table_schemas import FILES, schema_of

_TYPES = {
    "string": "TEXT",
    "datetime": "TEXT",
    "integer": "INTEGER",
    "number": "REAL",
    "boolean": "INTEGER",
}
_DESCRIPTION = """
CREATE TABLE columns (
    table_name TEXT, name TEXT, type TEXT, unit TEXT, meaning TEXT, PRIMARY KEY (table_name, name)
)
"""
_NO_SPACE = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE}
"""Nothing but writing ends with these: the recording is only read."""


def _write(source: ExportSource, out: IO[bytes]) -> None:
    """Write a table for each of ``FILES``, and one that describes the columns.

    Raises:
        OSError: the disk is full.
    """
    try:
        with closing(sqlite3.connect(out.name, isolation_level=None)) as file:
            # A file that is not complete is deleted: it needs no journal beside it.
            file.execute("PRAGMA journal_mode=OFF")
            file.execute("PRAGMA synchronous=OFF")
            file.execute("BEGIN")
            file.execute(_DESCRIPTION)
            _insert(file, "columns", 5, _described())
            for name, columns in FILES.items():
                file.execute(_table(name))
                rows = (tuple(row.values()) for row in source.rows(name))
                _insert(file, name, len(columns), rows)
            file.execute("COMMIT")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode in _NO_SPACE:
            raise OSError(errno.ENOSPC, str(error)) from error
        raise


def _insert(
    file: sqlite3.Connection, table: str, width: int, rows: Iterable[Sequence[object]]
) -> None:
    places = ", ".join("?" * width)
    file.executemany(f"INSERT INTO {table} VALUES ({places})", rows)  # noqa: S608 - our own names


def _described() -> list[tuple[str | None, ...]]:
    return [
        (name, column.name, column.type, column.unit, column.description)
        for name, columns in FILES.items()
        for column in columns
    ]


def _table(name: str) -> str:
    """Return the statement that makes a table with the keys of its Table Schema."""
    schema = schema_of(name)
    # ``order`` of a protocol is a word of SQL.
    parts = [f'"{field["name"]}" {_TYPES[field["type"]]}' for field in schema["fields"]]
    if "primaryKey" in schema:
        parts.append(f"PRIMARY KEY ({schema['primaryKey']})")
    for key in schema.get("foreignKeys", ()):
        other = key["reference"]
        parts.append(
            f"FOREIGN KEY ({key['fields']}) REFERENCES {other['resource']} ({other['fields']})"
        )
    return f"CREATE TABLE {name} ({', '.join(parts)})"


SQLITE = FileFormat(
    name="sqlite",
    label="SQLite",
    summary="a SQLite file of the tables",
    description=N_("One file of the same tables, for datasette and programs that ask in SQL."),
    suffix=".sqlite",
    media_type="application/vnd.sqlite3",
    write=_write,
)
