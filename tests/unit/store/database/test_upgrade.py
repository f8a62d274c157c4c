"""Upgrading a database: rows stay, the old file is copied aside, half of it is none of it."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from edge_agent.core.clock import Instant
from edge_agent.core.errors import StoreError
from edge_agent.core.readings import VitalReading
from edge_agent.core.study import MarkerKind
from edge_agent.core.vitals import VitalKind
from edge_agent.store.alert_log.alert_log import AlertLog
from edge_agent.store.database.schema import (
    MIGRATIONS,
    Migration,
    connect,
    migrate,
    write_transaction,
)
from edge_agent.store.database.tables import TABLES
from edge_agent.store.database.views import VIEWS
from edge_agent.store.read.reader import Reader
from edge_agent.store.study.study import Study
from edge_agent.store.write.imports import import_readings
from tests.support.timeline import database, query, row

NEXT = (*MIGRATIONS, Migration("test column", ("ALTER TABLE gap ADD COLUMN note TEXT",)))


def test_migrating_again_changes_nothing(tmp_path: Path) -> None:
    path = database(tmp_path, [row(1)])
    before = path.read_bytes()
    migrate(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir() if "before" in p.name] == []


def test_an_upgrade_keeps_the_rows_and_copies_the_old_file_aside(tmp_path: Path) -> None:
    path = database(tmp_path, [row(1), row(2)])
    migrate(path, NEXT)
    with closing(sqlite3.connect(path)) as upgraded:
        assert upgraded.execute("SELECT count(*) FROM expression").fetchone() == (2,)
        assert upgraded.execute("SELECT note FROM gap").fetchall() == []
        assert upgraded.execute("SELECT max(version) FROM migration").fetchone() == (len(NEXT),)
    copy = tmp_path / f"affect-edge.db.before-v{len(NEXT)}"
    with closing(sqlite3.connect(copy)) as old:
        assert old.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
        assert old.execute("SELECT count(*) FROM expression").fetchone() == (2,)
    assert stat.S_IMODE(copy.stat().st_mode) & 0o007 == 0


def test_a_database_of_the_first_version_gets_a_place_for_the_time_that_a_device_stamps(
    tmp_path: Path,
) -> None:
    path = tmp_path / "affect-edge.db"
    old = (
        Migration(
            "first version",
            (*TABLES, "CREATE VIEW vital_view AS SELECT at AS at_ms, flags FROM vital"),
        ),
    )
    migrate(path, old)
    with closing(sqlite3.connect(path)) as first:
        first.execute(
            "INSERT INTO vital (at, kind, source, value) VALUES (1, 'heart_rate', 'ble:old', 70.0)"
        )
        first.commit()
    migrate(path)
    assert query(path, "SELECT at_ms, value, source, device_time FROM vital_view") == [
        (1, 70.0, "ble:old", None)
    ]
    assert {
        name for (name,) in query(path, "SELECT name FROM sqlite_schema WHERE type = 'view'")
    } == set(VIEWS)


def test_an_older_database_keeps_its_markers_and_can_take_baselines(tmp_path: Path) -> None:
    path = tmp_path / "affect-edge.db"
    migrate(path, MIGRATIONS[:2])
    with closing(sqlite3.connect(path)) as old:
        old.execute("INSERT INTO participant (id, code, created) VALUES (1, 'P1', 1)")
        old.execute("INSERT INTO consent (participant, text_version, given) VALUES (1, 'v1', 1)")
        old.execute(
            "INSERT INTO session (id, participant, purpose, name, started) VALUES (1, 1, "
            "'research', '', 5)"
        )
        old.execute("INSERT INTO marker VALUES (7, 1, 6, 60, 'stimulus_start', 'anger')")
        with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
            old.execute("INSERT INTO marker VALUES (8, 1, 6, 60, 'baseline', 'neutral')")
        old.commit()
    migrate(path)
    Study(path).add_marker(MarkerKind.BASELINE, "", at=Instant(100, 10))
    assert query(path, "SELECT id, session, at, boot_ms, kind, label FROM marker") == [
        (7, 1, 6, 60, "stimulus_start", "anger"),
        (8, 1, 10, 100, "baseline", "neutral"),
    ]
    assert query(path, "SELECT label, started FROM condition") == [("anger", 6)]
    assert query(path, "SELECT tbl_name FROM sqlite_schema WHERE name = 'marker_session'") == [
        ("marker",)
    ]
    with write_transaction(path) as connection:
        connection.execute("DELETE FROM session")
    assert query(path, "SELECT count(*) FROM marker") == [(0,)], (
        "markers still go with their session"
    )


def test_a_database_from_before_covered_faces_keeps_its_rejected_frames_and_can_take_them(
    tmp_path: Path,
) -> None:
    path = tmp_path / "affect-edge.db"
    before = next(number for number, step in enumerate(MIGRATIONS) if step.name == "covered faces")
    migrate(path, MIGRATIONS[:before])
    blurred, covered = (
        (n, 1000 * n, n, None, 1000, 2, flaw, 9, 1, 0)
        for n, flaw in ((7, "blurred"), (8, "covered"))
    )
    row = f"INSERT INTO unfit VALUES ({', '.join('?' * 10)})"
    with closing(sqlite3.connect(path)) as old:
        old.execute(row, blurred)
        with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
            old.execute(row, covered)
        old.commit()
    migrate(path)
    with write_transaction(path) as connection:
        connection.execute(row, covered)
    assert query(path, "SELECT * FROM unfit") == [blurred, covered]
    assert query(path, "SELECT at_ms, reason FROM unfit_view") == [
        (7000, "blurred"),
        (8000, "covered"),
    ]


def test_an_older_database_keeps_its_rejected_frames_and_can_take_faces_that_were_cut_off(
    tmp_path: Path,
) -> None:
    path = tmp_path / "affect-edge.db"
    migrate(path, (*MIGRATIONS[:5], Migration("as it had them", tuple(VIEWS.values()))))
    dark, cut = (
        (n, 1000 * n, n, None, 1000, 2, flaw, 9, 1, 0)
        for n, flaw in ((7, "too_dark"), (8, "cut_off"))
    )
    row = f"INSERT INTO unfit VALUES ({', '.join('?' * 10)})"
    with closing(sqlite3.connect(path)) as old:
        old.execute("DELETE FROM migration WHERE version = 6")
        old.execute("PRAGMA user_version = 5")
        old.execute(row, dark)
        with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
            old.execute(row, cut)
        old.commit()
    migrate(path)
    with write_transaction(path) as connection:
        connection.execute(row, cut)
    assert query(path, "SELECT * FROM unfit") == [dark, cut]
    assert query(path, "SELECT at_ms, reason FROM unfit_view") == [
        (7000, "too_dark"),
        (8000, "cut_off"),
    ]
    assert query(path, "SELECT tbl_name FROM sqlite_schema WHERE name = 'unfit_at'") == [("unfit",)]
    assert {
        name for (name,) in query(path, "SELECT name FROM sqlite_schema WHERE type = 'view'")
    } == set(VIEWS)


def test_alerts_of_before_keep_their_sentence(tmp_path: Path) -> None:
    path = tmp_path / "affect-edge.db"
    names = [migration.name for migration in MIGRATIONS]
    migrate(path, MIGRATIONS[: names.index("the parts of what alerts say")])
    with closing(sqlite3.connect(path)) as old:
        old.execute(
            "INSERT INTO alert (rule, kind, text, raised, quiet) VALUES ('camera', 'camera', "
            "'The camera gives no picture for 30 s.', 7000, 0)"
        )
        old.commit()
    migrate(path)
    (alert,) = AlertLog(path).open_alerts()
    assert alert.text == "The camera gives no picture for 30 s."
    assert query(path, "SELECT parts FROM alert") == [(None,)]


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


def test_an_upgrade_that_fails_half_way_changes_nothing(tmp_path: Path) -> None:
    path = database(tmp_path)
    broken = Migration(
        "broken", ("ALTER TABLE gap ADD COLUMN note TEXT", "INSERT INTO nowhere VALUES (1)")
    )
    with pytest.raises(StoreError, match="nowhere"):
        migrate(path, (*MIGRATIONS, broken))
    assert query(path, "PRAGMA user_version") == [(len(MIGRATIONS),)]
    assert "note" not in [
        name for (name,) in query(path, "SELECT name FROM pragma_table_info('gap')")
    ]


def test_a_database_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = database(tmp_path)
    migrate(path, NEXT)
    before = path.read_bytes()
    for call in (
        lambda: migrate(path),
        lambda: connect(path, readonly=False),
        lambda: Reader(path).counts(),
    ):
        known = (
            rf"newer Affect Edge \(schema {len(NEXT)}, "
            rf"this program knows {len(MIGRATIONS)}\).*update"
        )
        with pytest.raises(StoreError, match=known):
            call()
    assert path.read_bytes() == before


def test_a_database_of_an_older_version_is_read_only_after_an_upgrade(tmp_path: Path) -> None:
    path = database(tmp_path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 0")
    with pytest.raises(StoreError, match=r"older schema 0.*Start the agent once"):
        Reader(path).span()
