"""The databases that tests copy are those that the program makes."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from edge_agent.store.database.schema import MIGRATIONS, migrate
from edge_agent.store.database.stream_epoch import EPOCH_KEY
from tests.support.new_databases import copied_schema
from tests.support.timeline import query

SETTINGS = ("page_size", "auto_vacuum", "journal_mode", "user_version", "application_id")


def made(path: Path) -> tuple[list[str], list[tuple[object, ...]]]:
    """What a database is made of, without its epoch and the times of its steps."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE migration SET applied = 0")
        connection.execute("UPDATE setting SET value = '' WHERE key = ?", (EPOCH_KEY,))
        settings = [connection.execute(f"PRAGMA {name}").fetchone() for name in SETTINGS]
        return list(connection.iterdump()), settings


def test_a_copy_is_what_the_steps_make_with_an_epoch_of_its_own(tmp_path: Path) -> None:
    real = tmp_path / "real.db"
    migrate(real)
    copies = [tmp_path / "a.db", tmp_path / "b.db"]
    with copied_schema():
        for copy in copies:
            migrate(copy)
    sql = f"SELECT value FROM setting WHERE key = '{EPOCH_KEY}'"
    assert len({query(path, sql)[0] for path in (real, *copies)}) == 3
    assert made(copies[0]) == made(copies[1]) == made(real)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.db", "b.db", "real.db"]


def test_what_has_a_schema_or_is_to_get_another_one_is_no_copy(tmp_path: Path) -> None:
    older = tmp_path / "older.db"
    with copied_schema():
        migrate(older, MIGRATIONS[:5])
        assert len(query_any(older, "SELECT * FROM migration")) == 5
        migrate(older)
    assert len(query(older, "SELECT * FROM migration")) == len(MIGRATIONS)
    assert (tmp_path / f"older.db.before-v{len(MIGRATIONS)}").exists()


def query_any(path: Path, sql: str) -> list[tuple[object, ...]]:
    """The same for a database of any schema."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()
