"""SQL queries by users: read-only, with a time limit.

SQLite enforces both: the file is opened read-only, an authorizer refuses every statement that does
not read (https://sqlite.org/c3ref/set_authorizer.html), no other file can be attached, and a query
that takes too long is interrupted, because an open reader keeps the agent's log growing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_agent.core import clock
from edge_agent.core.bounds import printable
from edge_agent.core.errors import StoreError
from edge_agent.timeline.database.connection import connect
from edge_agent.timeline.database.files import DAMAGED, store_error

_READING = frozenset(
    {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE, sqlite3.SQLITE_READ}
)
_PRAGMAS = frozenset({"table_info", "table_xinfo", "index_list", "foreign_key_list"})
_STEPS = 20_000
"""Steps of SQLite's machine between two looks at the clock: some milliseconds."""


class QueryError(StoreError):
    """A query failed: invalid SQL, not read-only, or over the time limit."""


@dataclass(frozen=True, slots=True)
class SqlAnswer:
    """The result of an SQL query.

    Attributes:
        columns: their names, in order; one may come twice.
        rows: their values, read as they are taken; raises ``QueryError`` as ``ask`` does.
    """

    columns: tuple[str, ...]
    rows: Iterator[tuple[Any, ...]]


class AdHocReader:
    """A database open for queries; use it in a ``with`` block and from one thread.

    Args:
        path: the database.
        seconds: how long one question may take.

    Raises:
        StoreError: there is none, or it cannot be read.

    Example:
        >>> with AdHocReader(path) as reader:
        ...     list(reader.ask("SELECT count(*) AS readings FROM vital").rows)
        [(7200,)]
    """

    def __init__(self, path: Path, seconds: float = 60.0) -> None:
        self._path = path
        self._seconds = seconds
        self._ends_s = clock.boot_seconds() + seconds
        self._connection = connect(path, readonly=True)
        self._connection.row_factory = None
        self._connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        self._connection.set_authorizer(_authorize)
        self._connection.set_progress_handler(self._is_over, _STEPS)

    def __enter__(self) -> AdHocReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def ask(self, query: str, values: Mapping[str, str] | None = None) -> SqlAnswer:
        """Run a query and return its result.

        Args:
            query: one statement of SQL that reads.
            values: of its named places, such as ``:session``.

        Raises:
            QueryError: wrong SQL, something other than reading, or it takes too long.
            StoreError: the database cannot be read.
        """
        self._ends_s = clock.boot_seconds() + self._seconds
        try:
            cursor = self._connection.execute(query, values or {})
        except (sqlite3.Error, sqlite3.Warning) as error:
            raise self._explain(error) from error
        if cursor.description is None:
            raise QueryError("This question has no answer: begin with SELECT or WITH.")
        columns = tuple(column[0] for column in cursor.description)
        return SqlAnswer(columns, self._rows(cursor))

    def tables(self) -> list[tuple[str, str, tuple[str, ...]]]:
        """Return kind (table or view), name and columns of what can be queried, views first."""
        kinds = self._connection.execute(
            "SELECT type, name FROM sqlite_schema WHERE type IN ('table', 'view') "
            "AND name NOT LIKE 'sqlite_%' ORDER BY type DESC, name"
        ).fetchall()
        return [(kind, name, self._columns(name)) for kind, name in kinds]

    def _columns(self, table: str) -> tuple[str, ...]:
        query = f'SELECT * FROM "{table}" LIMIT 0'  # noqa: S608 - a name of the schema
        names = [column[0] for column in self._connection.execute(query).description]
        return tuple(names)

    def _rows(self, cursor: sqlite3.Cursor) -> Iterator[tuple[Any, ...]]:
        try:
            # "yield from" would close the cursor, after its connection
            for row in cursor:  # noqa: UP028
                yield row
        except sqlite3.Error as error:
            raise self._explain(error) from error

    def _is_over(self) -> bool:
        return clock.boot_seconds() > self._ends_s

    def _explain(self, error: Exception) -> StoreError:
        """Return the error with a message that says what to do."""
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code in DAMAGED and isinstance(error, sqlite3.Error):
            return store_error(self._path, error)
        if code == sqlite3.SQLITE_INTERRUPT:
            return QueryError(
                f"The answer took longer than {self._seconds:g} s. Ask for less (WHERE, LIMIT), or "
                "ask a copy: affect-edge backup FILE."
            )
        if code in {sqlite3.SQLITE_AUTH, sqlite3.SQLITE_READONLY}:
            return QueryError("Only reading is possible here: begin with SELECT or WITH.")
        if "no such table" in str(error):
            names = ", ".join(name for _, name, _ in self.tables())
            return QueryError(f"{printable(str(error))}. There are: {names}.")
        return QueryError(f"{printable(str(error))}.")


def _authorize(action: int, first: str | None, *_: object) -> int:
    """Allow reading, and refuse everything else."""
    if action in _READING:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_PRAGMA and first in _PRAGMAS:
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY
