"""A damaged database is set aside, and what is readable goes into a new one."""

from __future__ import annotations

import errno
import itertools
import os
import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edge_agent.config.data import RecorderOptions
from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.errors import DamageError, StoreError
from edge_agent.core.expression import Emotion
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.database.files import set_aside_beside
from edge_agent.timeline.database.salvages import Salvage, read_salvages, write_salvages
from edge_agent.timeline.database.schema import MINUTE_MS, PAGE_BYTES
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.intake.imports import undo_import
from edge_agent.timeline.salvage.background_copying import FEWEST_PAGES, BackgroundCopying
from edge_agent.timeline.salvage.rescue import MOST_IN_AN_HOUR, Rescue, note_damage, noted_damage
from edge_agent.timeline.salvage.row_copying import LARGE, Copying
from edge_agent.timeline.salvage.wal import log_beside, read_log
from edge_agent.timeline.upkeep.erasure import erase_participant
from edge_agent.timeline.write.batch import BatchWriter
from edge_agent.timeline.write.rollups import add_tombstones
from tests.faults.damage import Place, copy_database_files, damage, flip, make_database, study_rows
from tests.support.clocks.machine import rows_at
from tests.support.clocks.simulated_time import Seconds
from tests.support.first_release import SCRIPTS, first_database
from tests.support.timeline import START_MS, query, row, timeline, wait_for


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_database(tmp_path_factory.mktemp("sound"))


@pytest.fixture
def path(tmp_path: Path, sound: Path) -> Path:
    path = tmp_path / sound.name
    copy_database_files(sound, path)
    return path


def replaced(path: Path) -> str:
    """Make a new database with everything; return what is told of it."""
    rescue = Rescue(path)
    rescue.replace("a test")
    return carried(rescue)


def carried(rescue: Rescue) -> str:
    """Carry over the whole timeline; return what is told of it."""
    copying = BackgroundCopying(rescue, pause_s=0.0)
    copying.start()
    try:
        wait_for(lambda: "still being" not in (copying.sentence() or "still being"), 120)
    finally:
        copying.stop()
        assert copying.join(60)
    assert copying.error is None
    return copying.sentence() or ""


def test_rescue_database_of_first_release_with_imports_can_undo_them(tmp_path: Path) -> None:
    path = first_database(tmp_path / "affect-edge.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((SCRIPTS / "imports.sql").read_text(encoding="utf-8"))
    replaced(path)
    assert undo_import(path, 3, actor="ada").study["expression"] == 2
    study = undo_import(path, 2, actor="ada")
    assert (study.study["session"], study.study["expression"], study.removed) == (1, 2, 1)
    assert query(path, "SELECT id FROM expression ORDER BY 1") == [(1,), (2,), (3,), (6,)]


def test_rescue_gap_that_ends_before_it_begins_has_no_length(tmp_path: Path) -> None:
    path = first_database(tmp_path / "affect-edge.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "INSERT INTO gap (source, started, ended, reason) VALUES ('recorder', 1764000050000, "
            "1764000020000, 'not_written')"
        )
        connection.commit()
    replaced(path)
    spans = query(path, "SELECT started, ended FROM gap ORDER BY id")
    assert spans[-1] == (1764000050000, 1764000050000)
    assert query(path, "SELECT count(*) FROM set_aside WHERE source = 'gap'") == [(0,)]


def test_rescue_without_rows_of_boot_dates_what_goes_on_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock had stepped by a day when the file was emptied, and its rows of ``boot`` are
    lost.
    """
    stepped_ms = 86_400_000
    path = timeline(tmp_path, expression=[row(second, Emotion.ANGER) for second in range(8)])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA foreign_keys=OFF")
        connection.execute("UPDATE expression SET boot_ms = at - ?, boot = 1", (START_MS - 40_000,))
        connection.execute(
            "UPDATE expression SET at = at + ?, boot = 2 WHERE boot_ms >= 44000", (stepped_ms,)
        )
    now = Instant(wall_ms=START_MS + 9_000 + stepped_ms, boot_ms=49_000)
    monkeypatch.setattr(clock, "now", lambda: now)
    replaced(path)
    ((number, offset_ms),) = query(path, "SELECT id, wall_minus_boot_ms FROM boot")
    assert offset_ms == now.wall_ms - now.boot_ms
    told = query(path, "SELECT boot_ms >= 44000, boot, count(*) FROM expression GROUP BY 1, 2")
    assert told == [(0, None, 4), (1, number, 4)]


def test_everything_of_a_sound_database_comes_over(path: Path, sound: Path) -> None:
    rescue = Rescue(path)
    rescue.replace("a test")
    before, after = study_rows(sound), study_rows(path)
    assert before | {"setting": []} == after | {"setting": []}
    assert "12 participants and 12 sessions" in carried(rescue)
    old = path.parent / "old" / path.name
    copy_database_files(sound, old)
    for table in (
        "expression",
        "vital",
        "expression_minute",
        "vital_hour",
        "movement",
        "unfit",
        "gap",
    ):
        rows = f"SELECT * FROM {table} ORDER BY 1, 2, 3"
        assert query(path, rows) == query(old, rows), table
    assert query(path, "PRAGMA integrity_check") == [("ok",)]
    assert query(path, "PRAGMA foreign_key_check") == []


def test_a_log_without_its_database_is_salvaged(path: Path, sound: Path) -> None:
    late = "SELECT count(*) > 0 FROM audit WHERE action = 'late'"
    os.truncate(path, 0)
    Rescue(path).before_start()
    assert query(path, late) == [(1,)]
    (kept,) = set_aside_beside(path)
    assert kept.with_name(f"{kept.name}-wal").stat().st_size > 0
    copy_database_files(sound, path)
    path.unlink()
    with pytest.raises(StoreError, match="its log affect-edge.db-wal is left"):
        migrate(path)
    Rescue(path).before_start()
    assert query(path, late) == [(1,)]


@pytest.mark.parametrize("seed", range(2))
def test_rows_below_a_damaged_inner_page_are_found(path: Path, sound: Path, seed: int) -> None:
    damage(path, Place.INNER, seed)
    replaced(path)
    assert sizes_of(path) == sizes_of(sound)


def test_a_damaged_page_is_counted_once_in_any_portion(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.timeline.salvage.background_copying.PORTION_S", 0.0)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM expression WHERE id % 8 > 0")  # a portion is a page
        connection.commit()
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        leaves = connection.execute(
            "SELECT pageno FROM dbstat WHERE name = 'expression' AND pagetype = 'leaf' "
            "ORDER BY path"
        ).fetchall()
    (page,) = leaves[len(leaves) // 2]
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE_BYTES)
        file.write(b"\xff" * 100)
    rescue = Rescue(path)
    rescue.replace("a test")
    rows = "SELECT count(*) FROM expression"
    newest = query(path, rows)
    first = BackgroundCopying(rescue, pause_s=0.0)  # which is stopped somewhere in the table
    first.start()
    wait_for(lambda: query(path, rows) > newest)
    first.stop()
    assert first.join(60)
    carried(rescue)
    with write_transaction(path) as connection:
        (salvage,) = read_salvages(connection)
    assert salvage.lost_pages == 1


@pytest.mark.parametrize("page_bytes", [2048, 4096])
def test_a_header_that_is_gone_costs_no_study_row(path: Path, sound: Path, page_bytes: int) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute(f"PRAGMA page_size={page_bytes}")
        connection.execute("VACUUM")
    with path.open("r+b") as file:
        file.write(bytes(100))
    replaced(path)
    assert sizes_of(path) == sizes_of(sound)


def sizes_of(path: Path) -> dict[str, int]:
    copy = path.parent / "counted" / path.name
    copy_database_files(path, copy)
    sizes = {}
    for table in ("expression", "expression_minute", "audit", "marker", "self_report"):
        sizes[table] = query(copy, f"SELECT count(*) FROM {table}")[0][0]
    shutil.rmtree(copy.parent)
    return sizes


def test_a_rescue_cut_short_is_finished_at_the_next_start(
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


def test_a_disk_that_refuses_for_a_moment_costs_no_study_row(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = study_rows(path)
    seconds = Seconds()
    monkeypatch.setattr(clock, "boot_seconds", seconds)
    monkeypatch.setattr(clock, "sleep", seconds.wait)
    works_from_s = seconds.now + 0.5
    read = os.pread

    def refusing(file: int, size: int, at: int) -> bytes:
        if size > 100 and seconds.now < works_from_s:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return read(file, size, at)

    monkeypatch.setattr(os, "pread", refusing)
    Rescue(path).replace("a test")
    assert seconds.now > works_from_s
    after = study_rows(path)
    lost = {table for table in before if set(before[table]) - set(after[table])}
    assert lost <= {"setting"}  # the epoch of the stream is renewed


def test_minute_that_went_on_at_a_salvage_is_rolled_up_after_it(path: Path) -> None:
    rescue = Rescue(path)
    writer = BatchWriter(RecorderOptions())
    start = START_MS + 1_000 * MINUTE_MS
    write_faces(path, writer, start, range(30))
    rescue.replace("a test")
    writer.forget()
    write_faces(path, writer, start, range(30, 50))
    carried(rescue)
    write_faces(path, writer, start, range(50, 90))
    with write_transaction(path) as connection:
        writer.close_minutes(connection)
    minutes = query(path, "SELECT at, rows FROM expression_minute ORDER BY at")
    counted = dict(minutes)
    assert (counted[start], counted[start + MINUTE_MS]) == (60, 30)
    hours = query(path, "SELECT sum(rows) FROM expression_hour")
    assert hours == [(sum(rows for _, rows in minutes),)]


def write_faces(path: Path, writer: BatchWriter, start: int, seconds: range) -> None:
    faces = [rows_at(Instant(0, start + 1000 * second))[0] for second in seconds]
    with write_transaction(path) as connection:
        writer.write(connection, faces)


def test_background_copying_goes_on_where_it_was(path: Path, sound: Path) -> None:
    rescue = Rescue(path)
    rescue.replace("a test")
    first = BackgroundCopying(rescue, pause_s=3600.0)  # one portion
    first.start()
    wait_for(lambda: query(path, "SELECT count(*) FROM expression_hour")[0][0] > 0)
    first.stop()
    assert first.join(60)
    carried(rescue)
    assert sizes_of(path) == sizes_of(sound)


def test_on_a_busy_machine_portions_do_not_become_smaller(
    path: Path, sound: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rescue = Rescue(path)
    rescue.replace("a test")
    seconds = itertools.count(step=60)  # every look at the clock comes a minute after the last
    monkeypatch.setattr(clock, "boot_seconds", lambda: float(next(seconds)))
    changes: list[list[Salvage]] = []

    def write_and_count(connection: sqlite3.Connection, salvages: list[Salvage]) -> None:
        changes.append(salvages)
        write_salvages(connection, salvages)

    monkeypatch.setattr(
        "edge_agent.timeline.salvage.background_copying.write_salvages", write_and_count
    )
    carried(rescue)
    assert sizes_of(path) == sizes_of(sound)
    # Of a copy: closing the database itself would write its log back, which other tests need.
    copy_database_files(sound, path.parent / "old" / path.name)
    with closing(sqlite3.connect(path.parent / "old" / path.name)) as connection:
        ((pages,),) = connection.execute("PRAGMA page_count")
    assert len(changes) <= pages / FEWEST_PAGES + len(LARGE)


@pytest.mark.parametrize("when", ["between two portions", "during one"])
def test_background_copying_at_work_forgets_no_second_rescue(
    path: Path, sound: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    rescue = Rescue(path)
    rescue.replace("the first")
    owner: type = BackgroundCopying
    name = "_check_space"
    if when == "during one":
        owner = Copying
        name = "page"
    usual = getattr(owner, name)
    calls = itertools.count(1)
    begun = pytest.MonkeyPatch()

    def rescue_too(*values: object) -> None:
        usual(*values)
        if next(calls) == 3:
            begun.undo()
            rescue.replace("the second")

    monkeypatch.setattr(owner, name, rescue_too)
    begun.setattr("edge_agent.timeline.salvage.background_copying.PORTION_S", 0.0)
    carried(rescue)
    told = carried(rescue)  # it ends with the first one, if that is all it knew
    assert "the first" in told and "the second" in told
    assert sizes_of(path) == sizes_of(sound)


def test_rows_of_a_divided_page_are_not_lost_with_its_half(tmp_path: Path) -> None:
    first = tmp_path / "first" / "affect-edge.db"
    path = tmp_path / "damaged" / first.name
    migrate(first)
    with closing(sqlite3.connect(first)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        for begin in (0, 40):
            connection.executemany(
                "INSERT INTO vital (at, kind, value, source) VALUES (?, 'heart_rate', 60, 'strap')",
                [(START_MS + number * 1000,) for number in range(begin, begin + 40)],
            )
            connection.commit()
        copy_database_files(first, path)
        (new_page,) = connection.execute(
            "SELECT pageno FROM dbstat WHERE name = 'vital' AND pagetype = 'leaf' ORDER BY path"
        ).fetchone()
    log = log_beside(path)
    flip(log, read_log(log).frames[new_page] + 100, random.Random(1))
    Rescue(path).before_start()
    readings = [at for (at,) in query(path, "SELECT at FROM vital ORDER BY at")]
    assert readings[:40] == [START_MS + number * 1000 for number in range(40)]
    assert len(readings) > 40  # and more than SQLite would read, which forgets the second half


@pytest.mark.parametrize("what", ["its count of rows", "all of it"])
def test_the_newest_readings_that_can_be_read_come_first(path: Path, what: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        (page,) = connection.execute(
            "SELECT pageno FROM dbstat WHERE name = 'vital' AND pagetype = 'leaf' "
            "ORDER BY path DESC"
        ).fetchone()
        before = {at for (at,) in connection.execute("SELECT at FROM vital")}
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE_BYTES + (0 if what == "all of it" else 3))
        file.write(b"\xff" * (PAGE_BYTES if what == "all of it" else 2))
    Rescue(path).replace("a test")
    ((at,),) = query(path, "SELECT max(at) FROM vital")
    assert at in sorted(before)[-500:]


def test_rescue_rollups_written_meanwhile_are_added_up(path: Path, sound: Path) -> None:
    rescue = Rescue(path)
    rescue.replace("a test")
    timeline(path, expression=range(1990, 2010))
    carried(rescue)
    expected = sizes_of(sound)["expression"] + 20
    assert query(path, "SELECT count(*) FROM expression") == [(expected,)]
    assert query(path, "SELECT sum(rows) FROM expression_hour") == query(
        path, "SELECT sum(rows) FROM expression_minute"
    )


def test_rescue_brings_no_erased_person_back(path: Path) -> None:
    with write_transaction(path) as connection:
        started, ended = connection.execute("SELECT started, ended FROM session").fetchone()
        # as if a damaged log had brought back a page of before the erasure
        add_tombstones(connection, [(started, ended)])
    replaced(path)
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
    carried(rescue)
    done = erase_participant(path, "SIM-01", actor="ada")
    assert done.copies_deleted == (damaged.name,)
    assert [file.name for file in path.parent.glob("*damaged*")] == []


def test_no_card_is_filled_with_rescues_and_only_done_ones_count(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rescue = Rescue(path)
    rescue.report(DamageError("a reader met it"))
    for owner, name in [(Path, "write_text")] * MOST_IN_AN_HOUR + [(Rescue, "_make_anew")]:
        with monkeypatch.context() as full_disk:
            full_disk.setattr(owner, name, _refuse)
            with pytest.raises(StoreError, match="is full"):
                rescue.replace("a test")
    rescue.replace("a test")
    assert rescue.reported is None
    assert len(set_aside_beside(path)) == 1
    for _ in range(MOST_IN_AN_HOUR - 1):
        rescue.replace("a test")
    with pytest.raises(StoreError, match="Replace the card"):
        rescue.replace("a test")


def _refuse(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_damage_that_was_noted_is_salvaged_once(path: Path, sound: Path) -> None:
    note_damage(path, "a page is torn")
    path.rename(path.with_name("old.db"))
    copy_database_files(sound, path)
    assert (noted_damage(path), noted_damage(path.with_name("none.db"))) == (None, None)
    before = study_rows(path)
    Rescue(path).before_start()
    assert study_rows(path) == before, "a sound database is left alone"
    note_damage(path, "a page is torn")
    Rescue(path).before_start()
    cause = "SELECT json_extract(value, '$[0].cause') FROM setting WHERE key = 'salvage'"
    assert query(path, cause) == [("a page is torn",)]
    before = study_rows(path)
    Rescue(path).before_start()
    assert study_rows(path) == before
