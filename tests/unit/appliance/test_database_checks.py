"""What the doctor finds in damaged databases, in copies, and in the age of rows and copies."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edge_agent.appliance.database_checks import check_database
from edge_agent.appliance.findings import Finding, Verdict
from edge_agent.config.loading import load_settings
from edge_agent.core import clock
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.upkeep.copies import make_daily_copy
from edge_agent.timeline.upkeep.soundness import look_at
from tests.support.timeline import START_MS, reading, timeline

DAMAGES = 30


def look(data: Path, *, deep: bool = False) -> dict[str, Finding]:
    return {f.check: f for f in check_database(load_settings(), data, deep=deep)}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a database with half an hour in it."""
    path = timeline(
        tmp_path_factory.mktemp("whole"),
        expression=range(1_800),
        vital=[reading(s, 60 + s % 30) for s in range(1_800)],
    )
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path.read_bytes()


def faults_of(path: Path) -> bool:
    """Whether SQLite itself, asked directly, finds the file damaged."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            said = connection.execute("PRAGMA integrity_check").fetchall()
            return said != [("ok",)]
    except (sqlite3.DatabaseError, UnicodeDecodeError):  # it quotes what is no text any more
        return True


def test_the_deep_look_finds_every_damage_that_sqlite_finds(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / DATABASE_NAME
    damaged = missed = quickly = 0
    for seed in range(DAMAGES):
        rng = random.Random(seed)
        at = rng.randrange(len(whole) - 64)
        path.write_bytes(whole[:at] + rng.randbytes(64) + whole[at + 64 :])
        if not faults_of(path):
            continue
        damaged += 1
        finding = look(tmp_path, deep=True)["database"]
        missed += finding.verdict is not Verdict.PROBLEM
        assert bool(finding.cure) == (finding.verdict is not Verdict.OK)
        quickly += look(tmp_path)["database"].verdict is Verdict.PROBLEM
    assert damaged > DAMAGES // 2
    assert missed == 0
    assert quickly >= 0.5 * damaged, "the quick look compares no index with its table"


def test_a_sound_database_is_reported_to_be_sound(whole: bytes, tmp_path: Path) -> None:
    (tmp_path / DATABASE_NAME).write_bytes(whole)
    for deep in (False, True):
        finding = look(tmp_path, deep=deep)["database"]
        assert finding.verdict is Verdict.OK
        assert finding.found.endswith("; sound")


def test_a_look_ends_when_its_time_is_over(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / DATABASE_NAME
    path.write_bytes(whole)
    soundness = look_at(path, deep=True, within_s=-1)
    assert (soundness.faults, soundness.complete) == ((), False)


def test_each_copy_is_read_by_the_deep_look(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / DATABASE_NAME
    path.write_bytes(whole)
    good = make_daily_copy(path)
    bad = path.with_name(f"{path.name}.backup-2026-01-01")
    bad.write_bytes(whole[:8_192] + b"\x5a" * 4_096 + whole[12_288:])
    findings = look(tmp_path, deep=True)
    assert findings[f"copy {good.name}"].verdict is Verdict.OK
    assert findings[f"copy {bad.name}"].verdict is Verdict.WARNING
    assert "Do not restore this one" in findings[f"copy {bad.name}"].cure


def test_the_age_of_the_newest_row_is_told_and_one_of_future_is_a_warning(tmp_path: Path) -> None:
    ago_s = (clock.now().wall_ms - START_MS) / 1000
    timeline(tmp_path, vital=[reading(ago_s - 3_600 * 5)])
    assert look(tmp_path)["newest row"].found == "5 hours old"
    ahead = tmp_path / "ahead"
    ahead.mkdir()
    timeline(ahead, expression=[ago_s + 86_400 * 30])
    finding = look(ahead)["newest row"]
    assert finding.verdict is Verdict.WARNING
    assert "30 days in the future" in finding.found
