"""Several questions to a reader about one moment of the database."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edge_agent.core.errors import StoreError
from edge_agent.store.database.schema import DATABASE_NAME, migrate, write_transaction
from edge_agent.store.read.reader import Reader
from edge_agent.store.study.study import Study


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / DATABASE_NAME
    migrate(path)
    return path


def codes(reader: Reader) -> list[str]:
    with reader.connect() as connection:
        return [code for (code,) in connection.execute("SELECT code FROM participant")]


def test_what_is_written_meanwhile_is_seen_after_the_block(database: Path) -> None:
    reader = Reader(database)
    with reader.at_one_moment():
        assert codes(reader) == []
        Study(database).create_participant("P-01")
        with reader.at_one_moment():
            assert codes(reader) == []
        assert codes(reader) == []
        with ThreadPoolExecutor(1) as other:
            assert other.submit(codes, reader).result() == ["P-01"]
    assert codes(reader) == ["P-01"]


def test_the_block_opens_the_database_once_and_closes_it(database: Path) -> None:
    reader = Reader(database)
    with reader.at_one_moment():
        with reader.connect() as first:
            pass
        with reader.connect() as second:
            pass
        assert first is second
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        first.execute("SELECT 1")


def test_what_is_wrong_in_the_block_is_told_as_ever_and_ends_it(database: Path) -> None:
    reader = Reader(database)
    with pytest.raises(StoreError), reader.at_one_moment(), reader.connect() as connection:
        connection.execute("SELECT no_such_column FROM participant")
    with write_transaction(database) as connection:
        connection.execute("DELETE FROM participant")
    assert codes(reader) == []
