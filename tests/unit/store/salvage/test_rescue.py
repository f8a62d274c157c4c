"""A damaged database is set aside, and what is readable goes into a new one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edge_agent.store.database.schema import migrate
from edge_agent.store.salvage.carrier import Carrier
from edge_agent.store.salvage.rescue import Rescue
from tests.faults.damage import STUDY, Place, copy_database_files, damage, make_database, study_rows
from tests.support.timeline import query, wait_for


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_database(tmp_path_factory.mktemp("sound"))


@pytest.fixture
def path(tmp_path: Path, sound: Path) -> Path:
    path = tmp_path / sound.name
    copy_database_files(sound, path)
    return path


def carried(path: Path, rescue: Rescue) -> str:
    """Carry over the whole timeline; return what is told of it."""
    carrier = Carrier(rescue, pause_s=0.0)
    carrier.start()
    try:
        wait_for(lambda: "still being" not in (carrier.sentence() or "still being"), 30)
    finally:
        carrier.stop()
        assert carrier.join(10)
    assert carrier.error is None
    return carrier.sentence() or ""


def test_a_sound_database_is_left_alone(path: Path) -> None:
    before = study_rows(path)
    Rescue(path).before_start()
    assert study_rows(path) == before
    assert [file.name for file in path.parent.glob("*damaged*")] == []


def test_everything_of_a_sound_database_comes_over(path: Path, sound: Path) -> None:
    rescue = Rescue(path)
    rescue.replace("a test")
    assert {table: rows for table, rows in study_rows(path).items() if table != "setting"} == {
        table: rows for table, rows in study_rows(sound).items() if table != "setting"
    }
    told = carried(path, rescue)
    assert "12 participants and 12 sessions" in told
    for table in ("expression", "vital", "expression_minute", "vital_hour", "unfit", "gap"):
        old = path.parent / "old" / path.name
        shutil.rmtree(old.parent, ignore_errors=True)
        copy_database_files(sound, old)
        key = "ORDER BY 1, 2, 3"
        assert query(path, f"SELECT * FROM {table} {key}") == query(
            old, f"SELECT * FROM {table} {key}"
        ), table
    assert query(path, "PRAGMA integrity_check") == [("ok",)]
    assert query(path, "PRAGMA foreign_key_check") == []


@pytest.mark.parametrize("place", Place)
def test_study_rows_survive_damage(path: Path, sound: Path, place: Place) -> None:
    where = damage(path, place, 1)
    readable = study_rows(path)
    rescue = Rescue(path)
    rescue.before_start()
    migrate(path)
    salvaged = study_rows(path)
    for table in STUDY:
        if table != "setting":
            assert set(readable[table]) <= set(salvaged[table]), (where, table)
