"""Databases damaged at random: recording goes on within seconds, and no study row is lost for it.

A longer run: ``DAMAGE_SEEDS=20 pytest tests/faults/test_damage.py``.
"""

from __future__ import annotations

import itertools
import os
import sqlite3
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.core.errors import StoreError
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.database.schema import PAGE_BYTES
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.salvage.btrees import Value
from edge_agent.timeline.salvage.rescue import Rescue
from edge_agent.timeline.salvage.row_copying import DamagedDatabase
from tests.faults.damage import (
    STUDY,
    Place,
    copy_database_files,
    damage,
    lost_rows,
    make_database,
    study_rows,
)
from tests.support.recording import Recording
from tests.support.timeline import START_MS, query, reading, wait_for

SEEDS = range(int(os.environ.get("DAMAGE_SEEDS", "1")))
KEEPS_ITS_ROWS = [table for table in STUDY if table != "setting"]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_database(tmp_path_factory.mktemp("sound"))


@pytest.fixture
def path(tmp_path: Path, sound: Path) -> Iterator[Path]:
    path = tmp_path / sound.name
    copy_database_files(sound, path)
    yield path
    assert not path.with_name("affect-edge.db.salvaging").exists()


def records_again(recording: Recording, path: Path, second: int) -> None:
    recording.submit(reading(second, 111.5))
    recording.committed()
    # by its key: damage to older rows is not read
    at = START_MS + 1000 * second
    assert query(path, "SELECT count(*) FROM vital WHERE at = ?", at) == [(1,)]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("place", Place)
def test_damage_while_the_agent_is_stopped(path: Path, place: Place, seed: int) -> None:
    where = damage(path, place, seed)
    readable = study_rows(path)
    rescue = Rescue(path)
    rescue.before_start()
    migrate(path)
    recording = Recording(path, safe=rescue, batch_rows=1)
    try:
        records_again(recording, path, 900_000)
    finally:
        recording.finish()
    assert not lost_rows({table: readable[table] for table in KEEPS_ITS_ROWS}, path), where


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("place", [Place.HEADER, Place.SCHEMA, Place.STUDY_LEAF])
def test_damage_while_the_agent_records(path: Path, sound: Path, place: Place, seed: int) -> None:
    rescue = Rescue(path)
    rescue.before_start()
    with write_transaction(path) as connection:
        connection.execute("DELETE FROM audit WHERE action = 'late'")
    recording = Recording(path, safe=rescue, batch_rows=1)
    try:
        records_again(recording, path, 900_000)
        recording.submit(reading(900_001, 112.5))
        recording.committed()
        damage(path, place, seed)
        wait_for(lambda: has_study(path))
        recording.submit(reading(900_002, 113.5))
        recording.committed()
        at = START_MS + 1000 * 900_002
        assert query(path, "SELECT count(*) FROM vital WHERE at = ?", at) == [(1,)]
    finally:
        recording.finish()
    again = Rescue(path)
    again.before_start()
    assert query(path, "SELECT count(*) FROM participant") == [(12,)]


def has_study(path: Path) -> bool:
    """Whether a page of the dashboard would show the study."""
    try:
        return query(path, "SELECT count(*) FROM participant") == [(12,)]
    except (StoreError, sqlite3.Error):
        return False


@pytest.mark.parametrize("wrong", [1, 1 << 30], ids=["another page", "no page"])
def test_map_of_pages_that_names_wrong_parents_costs_no_row(path: Path, wrong: int) -> None:
    before = study_rows(path)
    content = bytearray(path.read_bytes())
    for group in range(PAGE_BYTES, len(content), PAGE_BYTES * (PAGE_BYTES // 5 + 1)):
        for at in range(group, group + PAGE_BYTES // 5 * 5, 5):
            kind, parent = struct.unpack_from(">BI", content, at)
            if kind == 5:  # a page of a tree, below another one
                struct.pack_into(">BI", content, at, kind, parent + wrong)
    path.write_bytes(content)
    Rescue(path).replace("a test")
    assert lost_rows({table: before[table] for table in KEEPS_ITS_ROWS}, path) == {}


def test_rows_of_an_unreadable_session_are_set_aside(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = study_rows(path)
    rows = DamagedDatabase.rows

    def without_the_first_session(
        source: DamagedDatabase, table: str
    ) -> Iterator[dict[str, Value]]:
        skipped = int(table == "session")
        return itertools.islice(rows(source, table), skipped, None)

    monkeypatch.setattr(DamagedDatabase, "rows", without_the_first_session)
    Rescue(path).replace("a test")
    assert lost_rows(before, path) == {"session": 1}
    assert len(study_rows(path)["marker"]) < len(before["marker"])


def test_attributes_of_participant_that_nobody_can_read_belong_to_lost_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = DamagedDatabase.rows

    def without_participants(source: DamagedDatabase, table: str) -> Iterator[dict[str, Value]]:
        kept = ("consent", "session", "participant")
        return iter(()) if table in kept else rows(source, table)

    monkeypatch.setattr(DamagedDatabase, "rows", without_participants)
    Rescue(path).replace("a test")
    assert query(path, "SELECT count(*) FROM participant WHERE code LIKE 'LOST-%'") == [(12,)]
    assert query(path, "PRAGMA foreign_key_check") == []
