"""What is in a database, whatever its schema: for people who choose what to restore."""

# ruff: noqa: S608 - only our own names are put into SQL text

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field

from edge_agent.core.clock import iso_utc
from edge_agent.core.errors import StoreError
from edge_agent.store.database.schema import APPLICATION_ID
from edge_agent.store.database.sqlite_errors import translate_errors

_TIMED = ("expression", "unfit", "vital")


class Inventory(BaseModel):
    """What is in a database."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: int = Field(ge=0, description="Version of its schema")
    participants: int = Field(ge=0, description="Participants")
    sessions: int = Field(ge=0, description="Sessions")
    accounts: int = Field(ge=0, description="Accounts of the dashboard")
    rows: int = Field(ge=0, description="Rows of the timeline: expressions, unfit frames, vitals")
    newest: str | None = Field(description="Time of the newest of these rows, UTC")

    @property
    def sentence(self) -> str:
        """What is in it, for people."""
        newest = f"newest row {self.newest}" if self.newest else "no row"
        return (
            f"{self.participants:,} participants, {self.sessions:,} sessions, {self.rows:,} rows, "
            f"{newest}, {self.accounts} accounts, schema {self.schema_version}"
        )


def open_as_it_is(path: Path) -> sqlite3.Connection:
    """Open a database of ours for reading, and leave no file beside it.

    Raises:
        StoreError: it is not one of ours.
        sqlite3.Error: it cannot be opened or read.
    """
    how = "mode=ro"
    if not path.with_name(f"{path.name}-wal").exists():
        how = "mode=ro&immutable=1"  # a stick may be write-protected
    connection = sqlite3.connect(f"file:{quote(str(path.absolute()))}?{how}", uri=True)
    try:
        connection.row_factory = sqlite3.Row
        if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            raise StoreError(f"{path}: is a database, but not one of Affect Edge.")
    except BaseException:
        connection.close()
        raise
    return connection


def read_inventory(path: Path) -> Inventory:
    """Count what is in a database.

    Raises:
        StoreError: it is damaged, not one of ours, or cannot be read.
    """
    with translate_errors(path), closing(open_as_it_is(path)) as connection:
        there = {
            row[0]
            for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        }

        def count(table: str) -> int:
            if table not in there:
                return 0
            return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])

        times = [
            connection.execute(f"SELECT max(at) FROM {table}").fetchone()[0]
            for table in _TIMED
            if table in there
        ]
        newest = max((time for time in times if time is not None), default=None)
        return Inventory(
            schema_version=connection.execute("PRAGMA user_version").fetchone()[0],
            participants=count("participant"),
            sessions=count("session"),
            accounts=count("account"),
            rows=sum(count(table) for table in _TIMED),
            newest=_shown(newest),
        )


def _shown(wall_ms: int | None) -> str | None:
    try:
        return None if wall_ms is None else iso_utc(wall_ms)
    except (ValueError, OverflowError, OSError):  # no clock has ever shown such a time
        return None
