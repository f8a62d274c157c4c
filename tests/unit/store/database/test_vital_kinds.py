"""The kinds of vitals that a database takes: one table, filled by migrations, and an upgrade that
loses nothing.
"""

from __future__ import annotations

import gzip
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from edge_agent.core.errors import StoreError
from edge_agent.core.readings import VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.store.database.schema import (
    MIGRATIONS,
    Migration,
    connect,
    migrate,
    write_transaction,
)
from edge_agent.store.database.vital_kinds import add_kind
from edge_agent.store.read.reader import Reader
from edge_agent.store.write.imports import import_readings
from tests.support.timeline import database, instant, query

OLD_FILE = Path(__file__).with_name("schema-6.db.gz")
"""A database that the release with schema 6 made: 135 readings of all five kinds, a session."""

IN_ORDER = (
    "SELECT at, kind, source, value, flags, boot_ms, boot, device_time FROM vital ORDER BY 1, 2"
)
ROLLUPS = (
    "SELECT * FROM vital_minute ORDER BY 1, 2",
    "SELECT * FROM vital_hour ORDER BY 1, 2",
    "SELECT * FROM vital_view ORDER BY at_ms, kind",
    "SELECT * FROM session_vital ORDER BY at_ms, kind",
)


def asked(path: Path, sql: str) -> list[tuple[object, ...]]:
    """The rows of a query, whatever the schema of the database."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def old_database(folder: Path) -> Path:
    path = folder / "affect-edge.db"
    path.write_bytes(gzip.decompress(OLD_FILE.read_bytes()))
    return path


def test_a_database_takes_exactly_the_kinds_of_the_registry_in_their_units(tmp_path: Path) -> None:
    path = database(tmp_path)
    taken = set(query(path, "SELECT kind, unit FROM vital_kind"))
    assert taken == {(kind.value, kind.unit) for kind in VitalKind}, (
        "a kind needs a migration with add_kind() at the end of schema.MIGRATIONS"
    )


def test_an_upgraded_database_keeps_every_row_rollup_and_view(tmp_path: Path) -> None:
    path = old_database(tmp_path)
    assert asked(path, "PRAGMA user_version") == [(6,)]
    before = [asked(path, sql) for sql in (IN_ORDER, *ROLLUPS)]
    assert len(before[0]) == 135
    migrate(path)
    assert [asked(path, sql) for sql in (IN_ORDER, *ROLLUPS)] == before
    assert query(path, "PRAGMA integrity_check") == [("ok",)]
    assert query(path, "PRAGMA foreign_key_check") == []


def words_of(rows: list[tuple[Any, ...]]) -> list[list[str]]:
    """Return names and definitions word for word, however their lines are broken."""
    return [re.findall(r"\w+|[^\w\s]", " ".join(map(str, row))) for row in rows]


def test_an_upgraded_database_is_built_like_a_new_one(tmp_path: Path) -> None:
    path = old_database(tmp_path)
    migrate(path)
    (tmp_path / "new").mkdir()
    new = database(tmp_path / "new")
    names = "SELECT name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY name"
    assert words_of(query(path, names)) == words_of(query(new, names))


def test_an_upgraded_database_takes_a_new_kind(tmp_path: Path) -> None:
    path = old_database(tmp_path)
    with (
        closing(sqlite3.connect(path)) as old,
        pytest.raises(sqlite3.IntegrityError, match="CHECK"),
    ):
        old.execute("INSERT INTO vital (at, kind, source, value) VALUES (1, 'brand_new', 'x', 9)")
    migrate(path, (*MIGRATIONS, Migration("a new kind", add_kind("brand_new", "%"))))
    with closing(sqlite3.connect(path)) as new:
        new.execute("PRAGMA foreign_keys=ON")
        new.execute("INSERT INTO vital (at, kind, source, value) VALUES (1, 'brand_new', 'x', 9)")
        found = new.execute("SELECT value, unit FROM vital_view WHERE kind = 'brand_new'")
        assert found.fetchall() == [(9.0, "%")]
        assert len(new.execute(IN_ORDER).fetchall()) == 136


def test_every_kind_of_the_registry_can_be_written_and_read_after_an_upgrade(
    tmp_path: Path,
) -> None:
    path = old_database(tmp_path)
    migrate(path)
    low = {kind: sum(kind.plausible) / 2 for kind in VitalKind}
    readings = [VitalReading(instant(9000), kind, low[kind], "new") for kind in VitalKind]
    assert import_readings(path, readings)[:2] == (len(VitalKind), 0)
    latest = Reader(path).latest_vitals()
    assert {kind: latest[kind].value for kind in VitalKind} == low


def test_an_upgrade_of_a_table_that_says_something_else_changes_nothing(tmp_path: Path) -> None:
    path = old_database(tmp_path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA writable_schema=ON")
        other.execute(
            "UPDATE sqlite_schema SET sql = replace(sql, 'CHECK (kind IN', 'CHECK (kind  IN') "
            "WHERE name = 'vital'"
        )
    before = asked(path, "SELECT name, sql FROM sqlite_schema ORDER BY name")
    with pytest.raises(StoreError, match="NOT NULL"):
        migrate(path)
    assert asked(path, "SELECT name, sql FROM sqlite_schema ORDER BY name") == before
    assert asked(path, "PRAGMA user_version") == [(6,)]


def test_a_kind_that_a_database_does_not_take_is_an_error_and_no_duplicate(tmp_path: Path) -> None:
    path = database(tmp_path)
    with write_transaction(path) as connection:
        connection.execute("DELETE FROM vital_kind WHERE kind = 'systolic'")
    good = VitalReading(instant(1), VitalKind.HEART_RATE, 60.0, "a")
    bad = VitalReading(instant(1), VitalKind.SYSTOLIC, 120.0, "a")
    with pytest.raises(StoreError, match="FOREIGN KEY"):
        import_readings(path, [good, bad])
    assert query(path, "SELECT count(*) FROM vital") == [(0,)]


def test_a_violated_check_is_an_error_and_no_duplicate(tmp_path: Path) -> None:
    path = tmp_path / "affect-edge.db"
    migrate(path)
    with closing(connect(path, readonly=False)) as connection:
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute(
            "UPDATE sqlite_schema SET sql = replace(sql, 'value REAL NOT NULL', 'value REAL NOT "
            "NULL CHECK (value < 500)') WHERE name = 'vital'"
        )
    with pytest.raises(StoreError, match="CHECK"):
        import_readings(path, [VitalReading(instant(1), VitalKind.HEART_RATE, 999.0, "a")])
    twice = [VitalReading(instant(1), VitalKind.HEART_RATE, 60.0, "a")] * 2
    assert import_readings(path, twice)[:2] == (1, 1)
