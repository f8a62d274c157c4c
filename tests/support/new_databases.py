"""New databases as copies of one.

A new file gets its schema by all steps of its history, of which SQLite checks each against all
others: 40 ms of processor time, a thousand times in a run of the tests.
"""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from edge_agent.core import clock
from edge_agent.store.database import schema
from edge_agent.store.database.stream_epoch import renew_stream_epoch

_really_check = schema._check_ours


@contextmanager
def copied_schema() -> Iterator[None]:
    """Let ``migrate`` copy a database that it has made before, where it would make the same."""
    with patch.object(schema, "_check_ours", _check_or_copy):
        yield


@contextmanager
def real_schema() -> Iterator[None]:
    """Let ``migrate`` make each database as it does outside of the tests."""
    with patch.object(schema, "_check_ours", _really_check):
        yield


def _check_or_copy(path: Path, connection: sqlite3.Connection, newest: int) -> int:
    version = _really_check(path, connection, newest)
    if version or newest != len(schema.MIGRATIONS):
        return version
    made = _made()
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as copy:
        copy.deserialize(made)
        # What is its own in each database.
        renew_stream_epoch(copy)
        copy.execute("UPDATE migration SET applied = ?", (clock.now().wall_ms,))
        copy.backup(connection)
    connection.execute("PRAGMA journal_mode=WAL")
    return newest


@functools.cache
def _made() -> bytes:
    with TemporaryDirectory() as folder, real_schema():
        path = Path(folder) / schema.DATABASE_NAME
        schema.migrate(path)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode=DELETE")  # in memory there is no other
        return path.read_bytes()
