"""Nights after something went wrong: good copies stay, and it is said."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from edge_agent.core.errors import StoreError
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.database.lock import lock, lock_for_copies
from edge_agent.timeline.database.schema import DATABASE_NAME, PAGE_BYTES
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.salvage.rescue import noted_damage
from edge_agent.timeline.upkeep import copies as module
from edge_agent.timeline.upkeep.aging import DAY_MS
from edge_agent.timeline.upkeep.copies import (
    Copy,
    CopyMark,
    copies_state,
    daily_copies,
    make_daily_copy,
    to_delete,
    verified_copies,
)
from edge_agent.timeline.upkeep.erasure import erase_participant
from edge_agent.timeline.upkeep.retention import prune
from edge_agent.timeline.upkeep.soundness import Contents, note_what_is_torn, verify
from tests.support.erasure import CODE, bytes_of, hold, record
from tests.support.timeline import START_MS, query, timeline

NIGHT_MS = START_MS + 600_000


def names(path: Path) -> list[str]:
    return sorted(
        copy.path.name.removeprefix(f"{path.name}.backup-") for copy in daily_copies(path)
    )


def three_nights(path: Path, first: int) -> None:
    """Make a copy on three nights, whatever becomes of each."""
    for night in range(first, first + 3):
        with suppress(StoreError):
            make_daily_copy(path, now_ms=NIGHT_MS + night * DAY_MS)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A study of two participants, and three good copies of it."""
    path = timeline(tmp_path)
    hold(path, CODE, 0)
    hold(path, "P02", 200)
    record(path, 300, 1200)
    three_nights(path, 0)
    assert names(path) == ["2026-09-21", "2026-09-22", "2026-09-23"]
    return path


def empty_the_tables(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA foreign_keys=ON")
        for table in ("participant", "expression", "vital", "movement", "unfit"):
            connection.execute(f"DELETE FROM {table}")
        connection.commit()


def begin_anew(path: Path) -> None:
    for file in path.parent.glob(f"{path.name}*"):
        if file.name in {path.name, f"{path.name}-wal", f"{path.name}-shm"}:
            file.unlink()
    migrate(path)


def damage(path: Path, table: str) -> None:
    """Write over the first page of a table."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    ((page,),) = query(path, "SELECT rootpage FROM sqlite_schema WHERE name = ?", table)
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE_BYTES)
        file.write(b"\x5a" * 64)


@pytest.mark.parametrize("table", ["expression", "vital", "session", "marker"])
def test_three_nights_after_damage_good_copies_stay(path: Path, table: str) -> None:
    before = {copy.path: copy.path.read_bytes() for copy in daily_copies(path)}
    damage(path, table)
    three_nights(path, 3)
    assert {copy.path: copy.path.read_bytes() for copy in daily_copies(path)} == before
    assert not list(path.parent.glob("*backup-new*")), "the damaged copy is thrown away"
    stands = copies_state(path, NIGHT_MS + 5 * DAY_MS)
    assert stands.error and "the disk is damaged" in stands.error
    assert stands.overdue and stands.age_s == 3 * 86_400


@pytest.mark.parametrize("emptied", [empty_the_tables, begin_anew])
def test_copies_after_an_emptied_database_keep_the_good_ones(
    path: Path, emptied: Callable[[Path], None]
) -> None:
    emptied(path)
    timeline(path, expression=range(90_000, 90_030))
    three_nights(path, 3)
    assert names(path) == ["2026-09-21", "2026-09-22", "2026-09-23", "2026-09-26-smaller"]
    stands = copies_state(path, NIGHT_MS + 5 * DAY_MS)
    assert stands.smaller_than == f"{path.name}.backup-2026-09-23"
    assert stands.error is None and stands.overdue and stands.age_s == 3 * 86_400


def test_copies_made_after_a_loss_stay_until_three_are_newer(path: Path) -> None:
    whole = path.with_name("aside")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("VACUUM INTO ?", (str(whole),))
    begin_anew(path)
    three_nights(path, 3)
    for log in ("-wal", "-shm"):
        path.with_name(path.name + log).unlink(missing_ok=True)
    whole.replace(path)
    for night in (6, 7):
        make_daily_copy(path, now_ms=NIGHT_MS + night * DAY_MS)
        assert "2026-09-26-smaller" in names(path)
        assert copies_state(path, NIGHT_MS + night * DAY_MS).is_well
    make_daily_copy(path, now_ms=NIGHT_MS + 8 * DAY_MS)
    assert names(path) == ["2026-09-27", "2026-09-28", "2026-09-29"]


def test_a_new_study_counts_once_fuller_copies_are_put_away(path: Path) -> None:
    begin_anew(path)
    three_nights(path, 3)
    for copy in daily_copies(path):
        if "smaller" not in copy.path.name:
            copy.path.unlink()
    make_daily_copy(path, now_ms=NIGHT_MS + 6 * DAY_MS)
    assert copies_state(path, NIGHT_MS + 6 * DAY_MS).is_well
    assert names(path)[-1] == "2026-09-27"


def test_what_retention_deletes_makes_no_copy_smaller(path: Path) -> None:
    assert prune(path, 1, now_ms=START_MS + 10 * DAY_MS) > 1000
    make_daily_copy(path, now_ms=NIGHT_MS + 3 * DAY_MS)
    assert names(path) == ["2026-09-22", "2026-09-23", "2026-09-24"]
    contents = [mark.contents for _, mark in verified_copies(daily_copies(path))]
    assert len(set(contents)) == 1, "what was deleted for its age counts on"


def test_erasing_makes_no_copy_smaller_and_reaches_all(path: Path) -> None:
    erase_participant(path, CODE, actor="ada")
    assert CODE.lower().encode() not in bytes_of(path.parent)
    assert {mark.contents.participants for _, mark in verified_copies(daily_copies(path))} == {1}
    three_nights(path, 3)
    assert names(path) == ["2026-09-24", "2026-09-25", "2026-09-26"]
    assert copies_state(path, NIGHT_MS + 5 * DAY_MS).is_well


def test_an_erasure_finds_the_smaller_copies_and_unfinished_ones(path: Path) -> None:
    with write_transaction(path) as connection:
        connection.execute("DELETE FROM participant WHERE code = 'P02'")
    make_daily_copy(path, now_ms=NIGHT_MS + 3 * DAY_MS)
    unfinished = path.with_name(f"{path.name}.backup-new")
    unfinished.write_bytes((path.with_name(f"{path.name}.backup-2026-09-23")).read_bytes())
    done = erase_participant(path, CODE, actor="ada")
    assert (
        unfinished.name in done.copies and f"{path.name}.backup-2026-09-24-smaller" in done.copies
    )
    assert CODE.lower().encode() not in bytes_of(path.parent)


def test_a_second_copy_of_a_day_that_holds_less_replaces_none(path: Path) -> None:
    with write_transaction(path) as connection:
        connection.execute("DELETE FROM vital WHERE at > ?", (START_MS + 1_150_000,))
    make_daily_copy(path, now_ms=NIGHT_MS + 2 * DAY_MS)
    assert names(path)[-2:] == ["2026-09-23", "2026-09-23-2"]
    assert copies_state(path, NIGHT_MS + 2 * DAY_MS).is_well, "a twentieth is not much"
    for night in (3, 4, 5):
        make_daily_copy(path, now_ms=NIGHT_MS + night * DAY_MS)
    assert names(path) == ["2026-09-23", "2026-09-24", "2026-09-25", "2026-09-26"], (
        "the fullest one stays"
    )


def test_a_copy_of_a_clock_a_year_ahead_replaces_no_later_one(path: Path) -> None:
    make_daily_copy(path, now_ms=NIGHT_MS + 368 * DAY_MS)
    assert copies_state(path, NIGHT_MS + 3 * DAY_MS).age_s == 86_400, "its date says nothing"
    three_nights(path, 4)
    assert names(path) == ["2026-09-25", "2026-09-26", "2026-09-27"]
    make_daily_copy(path, now_ms=0)
    assert names(path) == ["1970-01-01", "2026-09-26", "2026-09-27"]


def test_copies_made_by_hand_are_verified_before_they_count(path: Path) -> None:
    for copy in daily_copies(path):
        with closing(sqlite3.connect(copy.path)) as connection:
            connection.execute("DELETE FROM setting")
            connection.commit()
    broken = path.with_name(f"{path.name}.backup-2026-09-22")
    with broken.open("r+b") as file:
        file.seek(5 * PAGE_BYTES)
        file.write(b"\x5a" * 4 * PAGE_BYTES)
    assert copies_state(path, NIGHT_MS + 3 * DAY_MS).age_s is None
    make_daily_copy(path, now_ms=NIGHT_MS + 3 * DAY_MS)
    assert names(path) == ["2026-09-21", "2026-09-23", "2026-09-24"]


def test_copies_that_fail_for_days_are_reported(tmp_path: Path) -> None:
    path = timeline(tmp_path)
    ((made,),) = query(path, "SELECT min(applied) FROM migration")
    assert copies_state(path, made + 2 * DAY_MS).is_well, "the first night may be to come"
    assert copies_state(path, made + 2 * DAY_MS + 1).overdue
    assert copies_state(tmp_path / "nowhere" / "affect-edge.db", made).is_well


def test_a_report_or_mark_that_cannot_be_read_is_none(path: Path) -> None:
    report = path.with_name(f"{path.name}.copies.json")
    for text in ("", "{", "[]", '{"attempt": {"when": 1}}', '{"places": 7}'):
        report.write_text(text)
        assert copies_state(path, NIGHT_MS + 2 * DAY_MS).is_well
    copy = daily_copies(path)[0].path
    for text in ("", "[]", "{}", '{"contents": {}}'):
        with closing(sqlite3.connect(copy)) as connection, connection:
            connection.execute("UPDATE setting SET value = ? WHERE key = ?", (text, module._KEY))
        assert daily_copies(path)[0].mark is None


def mark(number: int, sessions: int = 5, smaller_than: str | None = None) -> CopyMark:
    return CopyMark(number, number, Contents(sessions, 1, 0, 0), smaller_than)


@pytest.mark.parametrize(
    ("marks", "going"),
    [
        ([mark(1), mark(2), mark(3)], []),
        ([mark(1), mark(2), mark(3), mark(4)], [0]),
        ([mark(1, 9), mark(2), mark(3), mark(4), mark(5)], [1]),
        ([mark(1), mark(2, 1, "x"), mark(3, 2, "x"), mark(4, 1, "x")], [1]),
        ([mark(2, 1, "x"), mark(1), mark(3), mark(4)], []),
        ([mark(2, 1, "x"), mark(5), mark(3), mark(4)], [0]),
        ([None, mark(2), mark(3)], []),
        ([None, mark(2), mark(3), mark(4)], [0]),
        ([None, None, None, None], []),
    ],
)
def test_the_last_and_the_fullest_stay_whatever_comes(
    marks: list[CopyMark | None], going: list[int]
) -> None:
    copies = [Copy(Path(f"{place}"), one) for place, one in enumerate(marks)]
    assert [int(path.name) for path in to_delete(copies, 3)] == going


@pytest.mark.parametrize(
    ("contents", "smaller"),
    [
        (Contents(10, 10, 100, 1000), False),
        (Contents(9, 10, 100, 1000), True),
        (Contents(10, 9, 100, 1000), True),
        (Contents(10, 10, 90, 900), False),
        (Contents(10, 10, 89, 1000), True),
        (Contents(10, 10, 100, 899), True),
        (Contents(99, 99, 999, 9999), False),
    ],
)
def test_a_session_or_a_tenth_of_the_rows_is_much(contents: Contents, smaller: bool) -> None:
    assert contents.is_much_smaller_than(Contents(10, 10, 100, 1000)) is smaller


def test_two_copies_at_once_do_not_get_in_each_others_way(path: Path) -> None:
    with lock_for_copies(path), pytest.raises(StoreError, match="another copy is being made"):
        make_daily_copy(path, now_ms=NIGHT_MS + 3 * DAY_MS)
    assert make_daily_copy(path, now_ms=NIGHT_MS + 3 * DAY_MS).exists()


_HOLD = """
import fcntl, os, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
held = []
for name in (".", *sorted(os.listdir("."))):
    try:
        held.append(os.open(name, os.O_RDONLY))
        fcntl.flock(held[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
    except PermissionError:
        print(name, "is closed")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_who_may_only_read_the_data_holds_up_neither_recording_nor_copies() -> None:
    # pytest's folders are closed to others
    with TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        path = folder / DATABASE_NAME
        migrate(path)
        for lock_file in (path.with_suffix(".lock"), path.with_suffix(".copies.lock")):
            lock_file.touch()
            lock_file.chmod(0o644)  # as an earlier release left it
        with lock_for_copies(path), lock(path):
            pass
        folder.chmod(0o755)
        with subprocess.Popen(
            [sys.executable, "-c", _HOLD],
            cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        ) as reader:  # fmt: skip
            assert reader.stdout is not None
            said = set(iter(reader.stdout.readline, "held\n"))
            assert said >= {f"affect-edge{one}lock is closed\n" for one in (".", ".copies.")}
            with lock(path):
                assert make_daily_copy(path).exists()
            reader.communicate("")


def test_an_erasure_while_a_copy_is_made_leaves_nobody_in_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def verify_late(copy: Path) -> None:
        verify(copy)
        erase_participant(path, CODE, actor="ada")

    monkeypatch.setattr("edge_agent.timeline.upkeep.copies.verify", verify_late)
    make_daily_copy(path, now_ms=NIGHT_MS + 3 * DAY_MS)
    assert CODE.lower().encode() not in bytes_of(path.parent)
    assert copies_state(path, NIGHT_MS + 3 * DAY_MS).is_well, "and is not taken for smaller"
    assert {mark.contents.participants for _, mark in verified_copies(daily_copies(path))} == {1}


def test_a_database_in_use_that_is_torn_is_named_and_noted(path: Path) -> None:
    assert note_what_is_torn(path, 60) is None
    damage(path, "marker")
    found = note_what_is_torn(path, 60)
    assert found, "what SQLite says of it differs from version to version"
    assert noted_damage(path) == f"SQLite says: {found}"
