"""A damaged database is set aside, and what is readable goes into a new one."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from edge_agent.core.errors import StoreError
from edge_agent.store.database.salvage_state import read_salvages
from edge_agent.store.database.schema import migrate, write_transaction
from edge_agent.store.database.set_aside_files import set_aside_beside
from edge_agent.store.salvage.carrier import Carrier
from edge_agent.store.salvage.rescue import MOST_IN_AN_HOUR, Rescue
from edge_agent.store.upkeep.erasure import erase_participant
from edge_agent.store.write.tombstones import add_tombstones
from tests.faults.damage import STUDY, Place, copy_database_files, damage, make_database, study_rows
from tests.support.timeline import add, query, row, wait_for


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


def test_an_empty_database_with_its_log_gives_what_is_in_the_log(path: Path) -> None:
    os.truncate(path, 0)
    Rescue(path).before_start()
    assert query(path, "SELECT count(*) > 0 FROM audit WHERE action = 'late'") == [(1,)]
    (kept,) = set_aside_beside(path)
    assert kept.with_name(f"{kept.name}-wal").stat().st_size > 0


def test_a_log_without_its_database_is_no_new_database(path: Path) -> None:
    path.unlink()
    with pytest.raises(StoreError, match="its log affect-edge.db-wal is left"):
        migrate(path)
    Rescue(path).before_start()
    assert query(path, "SELECT count(*) > 0 FROM audit WHERE action = 'late'") == [(1,)]


@pytest.mark.parametrize("seed", range(4))
def test_rows_below_a_damaged_inner_page_are_found(path: Path, sound: Path, seed: int) -> None:
    damage(path, Place.INNER, seed)
    rescue = Rescue(path)
    rescue.replace("a test")
    carried(path, rescue)
    expected = sizes_of(sound)
    assert {table: expected[table] for table in expected} == sizes_of(path)


@pytest.mark.parametrize("page_bytes", [2048, 4096])
def test_a_header_that_is_gone_costs_no_study_row_whatever_size_pages_have(
    path: Path, sound: Path, page_bytes: int
) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute(f"PRAGMA page_size={page_bytes}")
        connection.execute("VACUUM")
    with path.open("r+b") as file:
        file.write(bytes(100))
    rescue = Rescue(path)
    rescue.replace("a test")
    carried(path, rescue)
    assert sizes_of(path) == sizes_of(sound)


def sizes_of(path: Path) -> dict[str, int]:
    copy = path.parent / "counted" / path.name
    copy_database_files(path, copy)
    sizes = {}
    for table in ("expression", "expression_minute", "audit", "marker", "self_report"):
        sizes[table] = query(copy, f"SELECT count(*) FROM {table}")[0][0]
    shutil.rmtree(copy.parent)
    return sizes


def test_a_rescue_that_is_cut_short_is_finished_at_the_next_start(
    path: Path, sound: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as power_cut:
        power_cut.setattr(Rescue, "_make_anew", None)
        with pytest.raises(TypeError):
            Rescue(path).replace("a test")
    assert not path.exists()
    with pytest.raises(StoreError, match="is being salvaged"):
        migrate(path)
    Rescue(path).before_start()
    assert study_rows(path)["audit"] == study_rows(sound)["audit"]
    assert len(set_aside_beside(path)) == 1


def test_a_disk_that_refuses_to_read_for_a_moment_costs_no_study_row(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = study_rows(path)
    works_from_s = time.monotonic() + 0.5
    read = os.pread

    def refusing(file: int, size: int, at: int) -> bytes:
        if size > 100 and time.monotonic() < works_from_s:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return read(file, size, at)

    monkeypatch.setattr(os, "pread", refusing)
    Rescue(path).replace("a test")
    assert time.monotonic() > works_from_s
    after = study_rows(path)
    lost = {table for table in before if set(before[table]) - set(after[table])}
    assert lost <= {"setting"}  # the epoch of the stream is renewed


def test_a_carrier_goes_on_where_it_was(path: Path, sound: Path) -> None:
    rescue = Rescue(path)
    rescue.replace("a test")
    with write_transaction(path) as connection:
        (salvage,) = read_salvages(connection)
        assert salvage.left[0] == "expression_hour"
    first = Carrier(rescue, pause_s=3600.0)  # one portion
    first.start()
    wait_for(lambda: query(path, "SELECT count(*) FROM expression_hour")[0][0] > 0)
    first.stop()
    assert first.join(10)
    carried(path, rescue)
    assert sizes_of(path) == sizes_of(sound)


def test_rollups_that_went_on_meanwhile_are_added_up(path: Path, sound: Path) -> None:
    rescue = Rescue(path)
    rescue.replace("a test")
    add(path, [row(1990 + second) for second in range(20)])
    carried(path, rescue)
    expected = sizes_of(sound)["expression"] + 20
    assert query(path, "SELECT count(*) FROM expression") == [(expected,)]
    assert query(path, "SELECT sum(rows) FROM expression_hour") == query(
        path, "SELECT sum(rows) FROM expression_minute"
    )


def test_what_was_erased_does_not_come_back(path: Path) -> None:
    with write_transaction(path) as connection:
        started, ended = connection.execute("SELECT started, ended FROM session").fetchone()
        # as if a damaged log had brought back a page of before the erasure
        add_tombstones(connection, [(started, ended)])
    rescue = Rescue(path)
    rescue.replace("a test")
    carried(path, rescue)
    assert query(path, "SELECT count(*) FROM session") == [(11,)]
    span = (started, ended)
    for table in ("expression", "vital"):
        left = query(path, f"SELECT count(*) FROM {table} WHERE at >= ? AND at < ?", *span)
        assert left == [(0,)], table


def test_erasing_waits_for_the_salvage_and_then_deletes_the_damaged_file(path: Path) -> None:
    rescue = Rescue(path)
    rescue.replace("a test")
    with pytest.raises(StoreError, match="are still being carried over"):
        erase_participant(path, "SIM-01", actor="ada")
    (damaged,) = set_aside_beside(path)
    carried(path, rescue)
    done = erase_participant(path, "SIM-01", actor="ada")
    assert done.copies_deleted == (damaged.name,)
    assert [file.name for file in path.parent.glob("*damaged*")] == []


def test_a_card_that_damages_every_file_is_not_filled_with_them(path: Path) -> None:
    rescue = Rescue(path)
    for _ in range(MOST_IN_AN_HOUR):
        rescue.replace("a test")
    with pytest.raises(StoreError, match="Replace the card"):
        rescue.replace("a test")
