"""Databases of this version are kept as they are; those of others are refused and left alone."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edge_agent.core.clock import Instant
from edge_agent.core.errors import StoreError
from edge_agent.core.readings import VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.store.database import schema
from edge_agent.store.database.schema import VERSION, connect, migrate
from edge_agent.store.read.reader import Reader
from edge_agent.store.write.timeline import import_readings
from tests.support.timeline import database, query, row


def test_opening_again_changes_nothing(tmp_path: Path) -> None:
    path = database(tmp_path, [row(1)])
    before = path.read_bytes()
    migrate(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir() if "before" in p.name] == []


def test_the_time_that_a_device_stamps_is_kept_beside_ours(tmp_path: Path) -> None:
    path = database(tmp_path)
    at = Instant(boot_ms=0, wall_ms=1_790_000_000_000)
    stamped = VitalReading(
        at, VitalKind.SYSTOLIC, 120.0, "ble:cuff", device_time="2026-09-21T16:13:00"
    )
    plain = VitalReading(at, VitalKind.DIASTOLIC, 80.0, "ble:cuff")
    import_readings(path, [stamped, plain])
    assert query(path, "SELECT kind, device_time FROM vital ORDER BY kind") == [
        ("diastolic", None),
        ("systolic", "2026-09-21T16:13:00"),
    ]


def test_making_a_database_is_done_wholly_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = schema.statements_of
    path = tmp_path / "affect-edge.db"
    with monkeypatch.context() as patched:
        patched.setattr(
            schema, "statements_of", lambda name: (*whole(name), "INSERT INTO nowhere VALUES (1)")
        )
        with pytest.raises(StoreError, match="nowhere"):
            migrate(path)
    with closing(sqlite3.connect(path)) as half:
        assert half.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,)
    migrate(path)
    assert query(path, "PRAGMA user_version") == [(VERSION,)]


@pytest.mark.parametrize(
    ("version", "said"),
    [
        (VERSION + 1, r"newer Affect Edge \(schema {}, this program knows {}\).*update"),
        (VERSION - 1, r"never released \(schema {}, this program knows {}\).*export"),
        (0, r"never released \(schema {}, this program knows {}\).*export"),
    ],
)
def test_a_database_of_another_version_is_refused_and_left_alone(
    tmp_path: Path, version: int, said: str
) -> None:
    path = database(tmp_path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    before = path.read_bytes()
    for call in (
        lambda: migrate(path),
        lambda: connect(path, readonly=False),
        lambda: Reader(path).counts(),
    ):
        with pytest.raises(StoreError, match=said.format(version, VERSION)):
            call()
    assert path.read_bytes() == before
