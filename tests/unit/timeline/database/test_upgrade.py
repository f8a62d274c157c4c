"""Upgrades of databases that earlier releases made."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edge_agent.core import clock
from edge_agent.core.errors import DamageError, StoreError
from edge_agent.core.files import LAST_BYTES
from edge_agent.core.process import SystemdNotifier
from edge_agent.core.readings import VitalFlag
from edge_agent.core.vitals import VitalKind
from edge_agent.fleet.tables import expected_triggers
from edge_agent.timeline.database import dashboard_file, upgrade, upgrade_process, upgrade_progress
from edge_agent.timeline.database.connection import (
    connect,
    connect_any,
    read_transaction,
    transaction,
)
from edge_agent.timeline.database.creation import statements_of
from edge_agent.timeline.database.files import translate_errors
from edge_agent.timeline.database.lock import DatabaseLock, lock
from edge_agent.timeline.database.schema import APPLICATION_ID, PAGE_BYTES, VERSION
from edge_agent.timeline.database.upgrade import lock_for_agent, migrate, wait_until_upgraded
from edge_agent.timeline.database.upgrade_process import migrate_apart, told_to_systemd
from edge_agent.timeline.database.upgrade_progress import percent_upgraded, reported_upgrade
from edge_agent.timeline.database.upgrade_steps import (
    TIMELINE,
    TIMELINE_STEPS,
    DatabaseForm,
    UpgradeStep,
    take_steps,
)
from edge_agent.timeline.intake.imports import list_imports, undo_import
from edge_agent.timeline.salvage.rescue import Rescue, find_damage
from edge_agent.timeline.upkeep.erasure import erase_participant
from edge_agent.timeline.write.inserts import ModelUse, write_model
from tests.golden.tables import schema_shape
from tests.support.first_release import SCRIPTS, ask, first_dashboard, first_database, rows_in
from tests.support.timeline import query, reading, timeline

if TYPE_CHECKING:
    from sqlite_utils import Database


VIEWS = statements_of("views.sql")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return first_database(tmp_path / "affect-edge.db")


def copy_of(path: Path, version: int = VERSION) -> Path:
    return path.with_name(f"{path.name}.before-schema-{version}")


def test_upgrade_first_release_keeps_every_row(path: Path, tmp_path: Path) -> None:
    before = rows_in(path)
    assert [table for table, rows in before.items() if not rows] == []
    migrate(path)
    assert rows_in(path) == before
    assert ask(path, "SELECT DISTINCT prior FROM model") == [("unknown",)]
    assert ask(path, "PRAGMA user_version") == [(VERSION,)]
    assert ask(path, "PRAGMA integrity_check") == [("ok",)]
    assert ask(path, "PRAGMA journal_mode") == [("wal",)]
    assert ask(path, "SELECT version, name FROM migration") == [
        (34, "schema.sql"),
        *((step.version, step.name) for step in TIMELINE_STEPS),
    ]
    fresh = tmp_path / "fresh" / path.name
    migrate(fresh)
    shapes = [schema_shape(one) for one in (path, fresh)]
    for shape in shapes:
        assert isinstance(shape, dict)
        del shape["versions of the schema"]
    assert shapes[0] == shapes[1]
    assert TIMELINE_STEPS[-1].version == VERSION


def test_upgrade_copy_aside_is_the_old_database_and_private(path: Path) -> None:
    before = rows_in(path)
    older = path.with_name(f"{path.name}.before-schema-34")
    older.touch()
    migrate(path)
    assert rows_in(copy_of(path)) == before
    assert ask(copy_of(path), "PRAGMA user_version") == [(34,)]
    assert copy_of(path).stat().st_mode & 0o777 == path.stat().st_mode & 0o777 == 0o640
    assert not older.exists(), "one copy stays"
    inode = copy_of(path).stat().st_ino
    migrate(path)
    assert copy_of(path).stat().st_ino == inode, "nothing is due any more"


def test_upgrade_copy_aside_is_reached_by_an_erasure(path: Path) -> None:
    migrate(path)
    erase_participant(path, "P01", actor="ada")
    assert ask(copy_of(path), "SELECT count(*) FROM participant") == [(0,)]
    assert b"P01" not in copy_of(path).read_bytes()


def test_upgrade_of_participant_s_row_in_two_steps_keeps_what_refers_to_it(path: Path) -> None:
    """``transform`` makes a table anew: with foreign keys on, ON DELETE CASCADE would act."""
    before = rows_in(path)
    triggers = [
        f"CREATE TRIGGER fleet_log_participant_{what} AFTER {what} ON participant BEGIN "
        "INSERT INTO fleet_change (what, a) VALUES (60, 1); END"
        for what in ("INSERT", "DELETE")
    ]

    def make_anew(database: Database) -> None:
        database.table("participant").transform(rename={"simulated": "was_simulated"})

    with closing(connect_raw(path)) as connection:
        for trigger in triggers:
            connection.execute(trigger)
        upgrade.upgrade(path, connection, form_of(UpgradeStep(35, "made anew", make_anew)), VIEWS)
        names = [row["name"] for row in connection.execute("PRAGMA table_info(participant)")]
        assert connection.execute("PRAGMA foreign_keys").fetchone()[0] == 1
    assert "was_simulated" in names
    assert rows_in(path) == before, "and the fleet is told of nothing"
    kept = ask(path, "SELECT sql FROM sqlite_schema WHERE name LIKE 'fleet_log_%' ORDER BY 1")
    assert [row[0] for row in kept] == sorted(triggers)


def form_of(*steps: UpgradeStep) -> DatabaseForm:
    return DatabaseForm(APPLICATION_ID, steps[-1].version, steps)


def connect_raw(path: Path) -> sqlite3.Connection:
    return connect_any(path)


def delete_the_boot(database: Database) -> None:
    database.execute("DELETE FROM boot")


def name_nothing(database: Database) -> None:
    database.execute("ALTER TABLE nowhere ADD COLUMN x TEXT")


def fill_the_disk(database: Database) -> None:
    database.execute("PRAGMA max_page_count=1")
    database.execute("CREATE TABLE large AS SELECT zeroblob(1000000)")


@pytest.mark.parametrize(
    ("take", "said"),
    [
        (delete_the_boot, "could not be upgraded .* would refer to rows of boot that are gone"),
        (name_nothing, "could not be upgraded .*no such table: nowhere.*affect-edge rollback"),
        (fill_the_disk, "disk is full. It needs 100 MB .* are free in .*Free space"),
    ],
)
def test_upgrade_with_a_step_that_fails_changes_nothing(
    path: Path, take: Callable[[Database], None], said: str
) -> None:
    before = rows_in(path)
    form = form_of(*TIMELINE_STEPS, UpgradeStep(VERSION + 1, "fails", take))
    with (
        closing(connect_raw(path)) as connection,
        pytest.raises(StoreError, match=said),
        translate_errors(path),
    ):
        upgrade.upgrade(path, connection, form, VIEWS)
    is_full = "full" in said
    assert copy_of(path, VERSION + 1).exists() != is_full, "on a full disk it would be in the way"
    assert ask(path, "PRAGMA user_version") == [(34,)]
    assert ask(path, "SELECT max(version) FROM migration") == [(34,)]
    assert rows_in(path) == before
    migrate(path)
    assert rows_in(path) == before


def cut_short(path: Path) -> Path:
    """Have an upgrade end after its copy was made; return the copy."""
    form = form_of(*TIMELINE_STEPS[:-1], UpgradeStep(VERSION, "fails", name_nothing))
    with closing(connect_raw(path)) as connection, pytest.raises(StoreError, match="nowhere"):
        upgrade.upgrade(path, connection, form, VIEWS)
    return copy_of(path)


def test_upgrade_cut_short_has_its_copy_used_again(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    inode = cut_short(path).stat().st_ino
    migrate(path)
    assert copy_of(path).stat().st_ino == inode
    assert "is used again" in caplog.text


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE participant SET code = 'P02'",
        "INSERT INTO setting (key, value) VALUES ('a', 'b')",
        "CREATE INDEX made_since ON gap(reason)",
    ],
)
def test_upgrade_copy_is_made_anew_if_the_database_changed(path: Path, change: str) -> None:
    inode = cut_short(path).stat().st_ino
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(change)
    before = rows_in(path)
    migrate(path)
    assert copy_of(path).stat().st_ino != inode
    assert rows_in(copy_of(path)) == before


def test_upgrade_copy_that_is_damaged_is_made_anew(path: Path) -> None:
    copy = cut_short(path)
    with copy.open("r+b") as file:
        file.seek(PAGE_BYTES)
        file.write(bytes(20 * PAGE_BYTES))
    before = rows_in(path)
    migrate(path)
    assert rows_in(copy) == before


def test_upgrade_cut_short_while_it_copied_takes_no_space_of_the_next(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = [path.with_name(f"{copy_of(path).name}-new{end}") for end in ("", ".part")]
    for one in left:
        one.touch()
    usage = shutil.disk_usage(path)

    def look(_folder: Path) -> object:
        assert not any(one.exists() for one in left)
        return usage

    monkeypatch.setattr(shutil, "disk_usage", look)
    migrate(path)
    assert ask(path, "PRAGMA user_version") == [(VERSION,)]


@pytest.mark.parametrize(
    ("since", "free", "is_enough"),
    [(34, 2.2, False), (34, 2.4, True), (VERSION - 1, 0.9, False), (VERSION - 1, 1.1, True)],
)
def test_upgrade_asks_for_the_copy_and_for_what_its_steps_write(
    path: Path, monkeypatch: pytest.MonkeyPatch, since: int, free: float, is_enough: bool
) -> None:
    with closing(connect_raw(path)) as connection:
        if since > 34:
            with transaction(connection):
                form = DatabaseForm(APPLICATION_ID, since, TIMELINE_STEPS[: since - 34])
                take_steps(connection, form, 34, VIEWS)
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
    room = LAST_BYTES + int(free * pages * PAGE_BYTES)
    usage = shutil.disk_usage(path)._replace(free=room)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    if is_enough:
        migrate(path)
    else:
        with pytest.raises(StoreError, match="was not upgraded. It needs"):
            migrate(path)
    assert ask(path, "PRAGMA user_version") == [(VERSION if is_enough else since,)]


def test_upgrade_keeps_references_that_a_salvage_has_broken(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM boot")
        connection.commit()
    migrate(path)
    assert ask(path, "PRAGMA user_version") == [(VERSION,)]


def test_upgrade_without_space_for_the_copy_says_how_much_is_needed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = path.read_bytes()
    usage = shutil.disk_usage(path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1_000_000))
    said = r"needs 100 MB for a copy .*, and 1 MB are free in .*Free space"
    with pytest.raises(StoreError, match=said):
        migrate(path)
    assert path.read_bytes() == before
    assert list(path.parent.glob("*before*")) == []


def test_upgrade_of_a_damaged_database_leaves_it_to_a_rescue(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (root,) = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'expression_at'"
        ).fetchone()
    with path.open("r+b") as file:  # an index of a large table: the quick look passes it over
        file.seek((root - 1) * PAGE_BYTES)
        file.write(bytes(8))
    assert find_damage(path) is None
    with pytest.raises(DamageError, match="is damaged .*so it was not upgraded"):
        migrate(path)
    assert list(path.parent.glob("*before*")) == []
    Rescue(path).replace("it is damaged")
    assert ask(path, "PRAGMA user_version") == [(VERSION,)]
    assert ask(path, "SELECT code FROM participant") == [("P01",)]
    assert ask(path, "SELECT name, prior FROM model ORDER BY id") == [
        ("expression-accurate", "unknown"),
        ("face-detector", "unknown"),
    ]


def test_rescue_of_a_database_of_the_first_release_sees_its_damage(path: Path) -> None:
    assert find_damage(path) is None
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (root,) = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'session'"
        ).fetchone()
    with path.open("r+b") as file:
        file.seek((root - 1) * PAGE_BYTES)
        file.write(bytes(8))
    assert find_damage(path) is not None


KILLED_AT_EACH_STATEMENT = """
import json, os, shutil, signal, sqlite3, sys
from contextlib import closing
from pathlib import Path
import sqlite_utils  # once, before the forks
from edge_agent.timeline.database import connection, dashboard_file, upgrade
from edge_agent.timeline.database.schema import VERSION
from edge_agent.timeline.database.upgrade_steps import DatabaseForm, UpgradeStep
from tests.support.first_release import ask, rows_in
kept, path, what = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
before = rows_in(kept)
left = 10**9
def counted(statement):
    global left
    if statement.startswith(("SELECT", "PRAGMA busy")):
        return  # leaves the file as the statement before did
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
def traced(connection):
    connection.set_trace_callback(counted)
    return connection
plain_open, plain_check = connection.open_connection, dashboard_file._check
def traced_open(*arguments):
    return traced(plain_open(*arguments))
connection.open_connection = upgrade.open_connection = traced_open
dashboard_file._check = lambda file, connection: plain_check(file, traced(connection))
steps = (UpgradeStep(2, "notes", lambda db: db.table("attempt").transform(rename={"who": "whom"})),)
dashboard_file.FORM = DatabaseForm(dashboard_file.FORM.application, 2, steps)
dashboard_file.VERSION = 2
def start():
    if what == "timeline":
        return upgrade.migrate(path)
    with dashboard_file.read_dashboard(path.with_name("affect-edge.db")):
        pass
old, new = (34, VERSION) if what == "timeline" else (1, 2)
killed, lost = 0, []
for number in range(1, 1000):
    for file in path.parent.iterdir():
        file.unlink()
    shutil.copy(kept, path)
    if (child := os.fork()) == 0:
        left = number
        start()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    killed += os.WIFSIGNALED(status)
    with closing(sqlite3.connect(path)) as connection:  # which plays a journal back
        ((version,),) = connection.execute("PRAGMA user_version")
    ((fault,),) = ask(path, "PRAGMA integrity_check")
    noted = version
    if what == "timeline":
        ((noted,),) = ask(path, "SELECT max(version) FROM migration")
    if version != noted or version not in (old, new) or fault != "ok" or rows_in(path) != before:
        lost.append([number, version, noted, fault])
    if number % 10 == 0:
        start()  # the next one
        if rows_in(path) != before:
            lost.append([number, "after the next start"])
    if status == 0:
        break
print(json.dumps({"killed": killed, "ended": status, "lost": lost}))
"""


@pytest.mark.parametrize("what", ["timeline", "dashboard"])
def test_upgrade_killed_at_each_statement_leaves_the_old_or_the_new(
    tmp_path: Path, what: str
) -> None:
    database = tmp_path / "kept" / "affect-edge.db"
    kept = first_database(database) if what == "timeline" else first_dashboard(database)
    with closing(sqlite3.connect(kept)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    place = tmp_path / "killed" / kept.name
    place.parent.mkdir()
    ended = by_process(KILLED_AT_EACH_STATEMENT, kept, place, what)
    told = json.loads(ended.communicate()[0])
    assert told["killed"] > 15, "each statement was a point to be killed at"
    assert told == {"killed": told["killed"], "ended": 0, "lost": []}


def by_process(script: str, *words: object) -> subprocess.Popen[str]:
    """Start a Python script with these words."""
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, words)],
        stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(Path.cwd())},
    )  # fmt: skip


START = """
import logging, sys
from pathlib import Path
from edge_agent.timeline.database.upgrade import migrate
logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stdout)
migrate(Path(sys.argv[1]))
"""


def test_upgrade_by_processes_that_start_at_once_is_done_once(path: Path) -> None:
    before = rows_in(path)
    processes = [by_process(START, path) for _ in range(3)]
    told = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert rows_in(path) == before
    assert "".join(told).count(f"has schema {VERSION} now") == 1


def test_upgrade_beside_an_agent_of_an_earlier_release_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upgrade, "_PATIENCE_S", 0.0)
    with lock(path), pytest.raises(StoreError, match=rf"process {os.getpid()}\).*Start that agent"):
        migrate(path)
    assert ask(path, "PRAGMA user_version") == [(34,)]
    with lock(path):
        migrate(path, is_locked=True)
    assert ask(path, "PRAGMA user_version") == [(VERSION,)]


def test_upgrade_waits_for_the_agent_that_upgrades(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long it takes: the agent shows that it goes on."""
    waits = threading.Event()

    def look(database: Path) -> int | None:
        waits.set()
        return percent_upgraded(database)

    monkeypatch.setattr(upgrade, "_PATIENCE_S", 0.0)
    monkeypatch.setattr(upgrade, "percent_upgraded", look)
    with lock(path), closing(connect_raw(path)) as agent:
        other = threading.Thread(target=lambda: migrate(path))
        with reported_upgrade(path), transaction(agent):
            other.start()
            waits.wait()
            take_steps(agent, TIMELINE, 34, VIEWS)
    other.join()
    assert ask(path, "PRAGMA user_version") == [(VERSION,)]
    assert not copy_of(path).exists(), "the second one found it done"


def test_agent_waits_for_a_process_that_upgrades_and_tells_systemd(
    path: Path, tmp_path: Path
) -> None:
    """However long it takes: each message asks systemd to wait until the next."""
    locks: list[DatabaseLock] = []
    address = str(tmp_path / "systemd")
    told = told_to_systemd(SystemdNotifier(address))
    agent = threading.Thread(target=lambda: locks.append(lock_for_agent(path, told)))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(address)
        with lock(path), closing(connect_raw(path)) as gate, reported_upgrade(path) as report:
            report.show(0.41)
            agent.start()
            assert systemd.recv(99) == b"EXTEND_TIMEOUT_USEC=900000000"
            assert systemd.recv(99) == b"STATUS=upgrading the database, 41 % is done"
            with transaction(gate):
                take_steps(gate, TIMELINE, 34, VIEWS)
            assert locks == []
    agent.join()
    with locks[0], pytest.raises(StoreError, match="another agent records"):
        lock_for_agent(path)


def test_upgrade_beside_a_reader_lets_it_go_on(path: Path) -> None:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM vital").fetchone() == (2,)
        migrate(path)
        names = [row[1] for row in reader.execute("PRAGMA table_info(model)")]
        assert "prior" not in names, "it sees the moment at which it began"
        reader.execute("ROLLBACK")
        assert reader.execute("SELECT DISTINCT prior FROM model").fetchone() == ("unknown",)


def test_reader_before_the_upgrade_is_told_to_start_the_agent(path: Path) -> None:
    before = rows_in(path)
    said = rf"is of an earlier release \(schema 34, this program knows {VERSION}\).*Start the agent"
    with pytest.raises(StoreError, match=said):
        connect(path, readonly=False)
    with pytest.raises(StoreError, match=said), read_transaction(path):
        pass
    assert rows_in(path) == before


def test_upgrade_under_way_is_reported_with_how_far_it_is(path: Path) -> None:
    said = r"is being upgraded to this release just now, 41 % is done\. Wait .*Do not stop agent"
    with reported_upgrade(path) as report:
        report.show(0.41)
        report.show(0.2)
        assert percent_upgraded(path) == 41
        with pytest.raises(StoreError, match=said):
            connect(path, readonly=True)
    assert percent_upgraded(path) is None


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to become another user")
def test_reader_who_may_not_write_sees_that_an_upgrade_is_due(open_folder: Path) -> None:
    """Also without a log, which another user would have to make."""
    path = first_database(open_folder / "affect-edge.db")
    path.chmod(0o644)
    assert not path.with_name(f"{path.name}-wal").exists()
    if (child := os.fork()) == 0:
        os.setuid(65534)
        os._exit(7 if upgrade.is_older(path) else 0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_upgrade_that_was_killed_is_not_taken_for_one_under_way(path: Path) -> None:
    path.with_suffix(".upgrade.lock").write_text(" 41\n")
    assert percent_upgraded(path) is None
    migrate(path)


def test_upgrade_goes_on_while_others_lock_how_far_it_is(path: Path) -> None:
    """The dashboard's user, who reads the file, could lock it for ever."""
    file = path.with_suffix(".upgrade.lock")
    file.touch()
    with file.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        migrate(path)
    assert ask(path, "PRAGMA user_version") == [(VERSION,)]


def test_upgrade_apart_says_how_far_it_is_to_who_waits(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the file that the other process writes."""
    monkeypatch.setattr(upgrade_process, "_LOOK_S", 0.0)
    told: list[int] = []

    def run_to_end(*_words: str, **_more: object) -> subprocess.CompletedProcess[str]:
        while not told:
            clock.sleep(0.001)
        return subprocess.CompletedProcess([], 3, "the disk is full")

    monkeypatch.setattr(upgrade_process, "run_to_end", run_to_end)
    with reported_upgrade(path) as report:
        report.show(0.41)
        with pytest.raises(StoreError, match="the disk is full"):
            migrate_apart(path, on_progress=told.append)
    assert told == [41]


def test_upgrade_shows_how_far_it_is_while_it_works(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upgrade_progress, "_OPERATIONS", 1)
    shown: list[int] = []
    plain_pwrite = os.pwrite

    def pwrite(file: int, text: bytes, at: int) -> int:
        shown.append(int(text))
        return plain_pwrite(file, text, at)

    monkeypatch.setattr(os, "pwrite", pwrite)
    migrate(path)
    assert shown == sorted(set(shown))
    assert {0, 5, 30, 99} < set(shown), "the copy, the proof of it, the steps"


def test_gate_waits_for_a_while_until_the_agent_has_upgraded(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    def upgrade_meanwhile(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            migrate(path)

    monkeypatch.setattr(clock, "sleep", upgrade_meanwhile)
    wait_until_upgraded(path, 60.0)
    assert len(slept) == 3
    wait_until_upgraded(path.with_name("nowhere.db"), 60.0)
    first_database(path.with_name("other.db"))
    wait_until_upgraded(path.with_name("other.db"), 0.0)


def test_dashboard_database_is_upgraded_by_the_same_steps(tmp_path: Path) -> None:
    database = tmp_path / "affect-edge.db"
    file = first_dashboard(database)
    with closing(sqlite3.connect(file)) as connection, connection:
        # Of a removed account: its number is given to nobody else.
        connection.execute("UPDATE sqlite_sequence SET seq = 7 WHERE name = 'account'")
    with dashboard_file.write_dashboard(database) as connection:
        assert connection.execute("SELECT name FROM account").fetchone()[0] == "ada"
        assert connection.execute("SELECT account FROM login").fetchone()[0] == 1
        made = connection.execute(
            "INSERT INTO account (name, password_hash, created, role) VALUES ('eve', '!', 2, "
            "'carer') RETURNING id"
        ).fetchone()[0]
        assert made == 8
        connection.execute("INSERT INTO carer_person VALUES (8, 'P-01', 5)")
        connection.execute("DELETE FROM account WHERE id = 8")
        assert connection.execute("SELECT count(*) FROM carer_person").fetchone()[0] == 0
        assert connection.execute("PRAGMA user_version").fetchone()[0] == dashboard_file.VERSION
    fresh = tmp_path / "fresh" / "affect-edge.db"
    fresh.parent.mkdir()
    with dashboard_file.read_dashboard(fresh):
        pass
    tables = "SELECT name, sql FROM sqlite_schema WHERE sql NOT NULL ORDER BY name"
    now, then = (
        {name: " ".join(sql.replace('"', "").split()) for name, sql in ask(one, tables)}
        for one in (file, dashboard_file.dashboard_file(fresh))
    )
    assert now == then
    copy = file.with_name(f"{file.name}.before-schema-{dashboard_file.VERSION}")
    assert copy.stat().st_mode & 0o777 == 0o600
    assert ask(copy, "SELECT name FROM account") == [("ada",)]
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA user_version=99")
    said = r"newer Affect Edge \(schema 99, this program knows 3\)"
    with pytest.raises(StoreError, match=said), dashboard_file.read_dashboard(database):
        pass


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to work for another user")
def test_dashboard_database_is_upgraded_by_root_with_rights_of_its_owner(
    tmp_path: Path, open_folder: Path
) -> None:
    data = open_folder / "data"
    (data / "dashboard").mkdir(parents=True)
    file = first_dashboard(data / "affect-edge.db")
    assert file.parent.name == "dashboard"
    secret = tmp_path / "secret"
    secret.write_text("of root")
    for one in (file.parent, *file.parent.iterdir()):
        os.chown(one, 65534, 65534)
    file.with_name(f"{file.name}.before-schema-3-new.part").symlink_to(secret)
    file.with_name(f"{file.name}.before-schema-3").symlink_to(secret)
    with dashboard_file.read_as_owner(data / "affect-edge.db") as connection:
        assert connection.execute("SELECT count(*) FROM carer_person").fetchone()[0] == 0
    assert os.geteuid() == 0 and secret.read_text() == "of root"
    copy = file.with_name(f"{file.name}.before-schema-3")
    assert not copy.is_symlink() and copy.stat().st_uid == 65534


def test_dashboard_steps_lead_to_its_version() -> None:
    assert dashboard_file.FORM.version == dashboard_file.VERSION
    versions = [1, *(step.version for step in dashboard_file.FORM.steps)]
    assert versions == list(range(1, dashboard_file.VERSION + 1))
    assert [34, *(step.version for step in TIMELINE_STEPS)] == list(range(34, VERSION + 1))


NOTHING_DUE = """
import sys
from pathlib import Path
import edge_agent.agent.loop, edge_agent.timeline.gate.commands, dashboard.web.app
from edge_agent.timeline.database.dashboard_file import read_dashboard
from edge_agent.timeline.database.connection import connect
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.database.upgrade_process import migrate_apart
path = Path(sys.argv[1])
migrate(path)
migrate_apart(path, is_locked=True)
with read_dashboard(path):
    pass
import shutil
shutil.copy(sys.argv[2], path)
migrate_apart(path, is_locked=True)
with connect(path, readonly=True):
    pass
assert "sqlite_utils" not in sys.modules, "the running agent and the dashboard do without"
shutil.copy(sys.argv[2], path)
migrate(path)
assert "sqlite_utils" in sys.modules, "an upgrade needs it"
"""


def test_sqlite_utils_is_loaded_by_an_upgrade_only(path: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    place = tmp_path / "new" / path.name
    subprocess.run(
        [sys.executable, "-c", NOTHING_DUE, str(place), str(path)], check=True, cwd=Path.cwd()
    )


def test_model_with_another_prior_begins_a_row_of_its_own(path: Path) -> None:
    migrate(path)
    detector = ModelUse("face-detector", "face-detector", "1.3.0", "bb", 5, prior="none")
    with closing(connect(path, readonly=False)) as connection, transaction(connection):
        for since_ms, prior in enumerate(("data", "data", "balanced", "data"), start=10):
            use = ModelUse("expression", "expression-accurate", "1.0.0", "aa", since_ms, 0, prior)
            write_model(connection, use)
            write_model(connection, detector)
    assert ask(path, "SELECT kind, prior FROM model ORDER BY id") == [
        ("expression", "unknown"),
        ("face-detector", "unknown"),
        ("expression", "data"),
        ("expression", "balanced"),
        ("expression", "data"),
    ]


def fold_first_hour(connection: sqlite3.Connection) -> None:
    """Move the first hour of heart rates into its day, as the nightly maintenance does."""
    first = "kind = 'heart_rate' AND at = (SELECT min(at) FROM vital_hour)"
    connection.execute(
        "INSERT INTO vital_day SELECT kind, at / 86400000 * 86400000, n, total, least, most, "
        f"flagged, simulated FROM vital_hour WHERE {first}"
    )
    connection.execute(f"DELETE FROM vital_hour WHERE {first}")


def test_upgrade_stored_artefacts_are_flagged_as_new_ones_are(path: Path, tmp_path: Path) -> None:
    wrong = (10, 59, 60, 86_450)
    seconds = (*range(200), *range(86_400, 86_500))
    readings = [reading(s, 140 if s in wrong else 70 + s % 3) for s in seconds]
    for s in range(40):
        value = 140 if s == 20 else 70
        readings += [
            reading(s, value, source="camera", flags=[VitalFlag.ESTIMATED]),
            reading(s, value, VitalKind.SYSTOLIC),
        ]
    today = timeline(tmp_path / "today", vital=readings)
    tables = ("vital", "vital_minute", "vital_hour", "vital_day")
    with closing(connect_raw(path)) as old:
        old.execute("ATTACH ? AS today", (str(today),))
        for table in tables:
            old.execute(f"DELETE FROM {table}")
        of_then = [row[1] for row in old.execute("PRAGMA main.table_info(vital)")]
        old.execute(f"INSERT INTO vital SELECT {', '.join(of_then)} FROM today.vital")
        # Release 0.1.0 knew no such flag, and counted these readings in means.
        old.execute("UPDATE vital SET flags = trim(replace(flags, 'artefact', ''))")
        for name, length in (("minute", 60_000), ("hour", 3_600_000)):
            old.execute(
                f"INSERT INTO vital_{name} SELECT kind, at / {length} * {length}, sum(flags = ''), "
                "total(value) FILTER (WHERE flags = ''), min(value) FILTER (WHERE flags = ''), "
                "max(value) FILTER (WHERE flags = ''), sum(flags <> ''), 0 FROM vital GROUP BY 1, 2"
            )
        fold_first_hour(old)
    migrate(path)
    with closing(connect_raw(today)) as new:
        fold_first_hour(new)
    assert ask(path, "SELECT flags, count(*) FROM vital GROUP BY 1 ORDER BY 1") == [
        ("", 336), ("artefact", 4), ("artefact estimated", 1), ("estimated", 39),
    ]  # fmt: skip
    for table in tables:
        rows = f"SELECT * FROM {table} ORDER BY 1, 2, 3"
        assert ask(path, rows) == ask(today, rows), table


@pytest.mark.parametrize("since", [34, 35])
def test_upgrade_database_with_imports_can_undo_each_of_them(path: Path, since: int) -> None:
    with closing(connect_raw(path)) as connection:
        connection.executescript((SCRIPTS / "imports.sql").read_text(encoding="utf-8"))
        for name, trigger in expected_triggers().items():
            # they come with a later schema
            if not name.startswith(("fleet_log_own_neutral", "fleet_log_trial")):
                connection.execute(trigger)
        if since > 34:
            with transaction(connection):
                take_steps(connection, DatabaseForm(APPLICATION_ID, 35, TIMELINE_STEPS[:1]), 34)
    before = rows_in(path)
    migrate(path)
    assert {**rows_in(path), "setting": before["setting"]} == before, (
        "and the fleet is told nothing"
    )
    assert [(one.file, one.sessions, one.faces) for one in list_imports(path)] == [
        ("cuff.csv", 0, None),
        ("study.zip", 2, None),
        ("talk.avi", 0, 3),
    ]
    assert ask(path, "SELECT joined FROM import") == [
        ("{}",), ('{"expression": 1, "vital": 1}',), ("{}",),
    ]  # fmt: skip
    kept = ask(path, "SELECT name FROM sqlite_schema WHERE name LIKE 'fleet_log_%'")
    assert len(kept) == len(expected_triggers()) - 6
    video = undo_import(path, 3, actor="ada")
    assert ({table: rows for table, rows in video.study.items() if rows}, video.sessions) == (
        {"marker": 1, "expression": 2, "movement": 1, "day": 1}, {1: 3},
    )  # fmt: skip
    study = undo_import(path, 2, actor="ada")
    assert study.removed == 1
    assert {table: rows for table, rows in study.study.items() if rows} == {
        **dict.fromkeys(("participant", "session", "consent", "participant_attribute"), 1),
        "marker": 1,
        "self_report": 1,
        "exclusion": 1,
        "expression": 2,
        "unfit": 1,
        "gap": 1,
    }
    names = "SELECT code FROM participant UNION ALL SELECT label FROM marker"
    left = ask(path, f"{names} UNION ALL SELECT reason FROM exclusion")
    assert sorted(row[0] for row in left) == ["H02", "P01", "film", "film", "later", "phone rang"]
    assert ask(path, "SELECT id FROM expression ORDER BY 1") == [(1,), (2,), (3,), (6,)]
    assert ask(path, "SELECT source FROM vital ORDER BY 1") == [
        ("ble:strap",),
        ("ble:strap",),
        ("file",),
    ]
    assert ask(path, "SELECT count(*) FROM setting WHERE key LIKE 'study_import%'") == [(0,)]


def test_upgrade_gap_that_ends_before_it_begins_has_no_length(path: Path) -> None:
    with closing(connect_raw(path)) as connection:
        connection.execute(
            "INSERT INTO gap (source, started, ended, reason) VALUES ('recorder', 1764000050000, "
            "1764000020000, 'not_written')"
        )
        connection.commit()
    migrate(path)
    spans = query(path, "SELECT started, ended FROM gap ORDER BY id")
    assert spans == [(1764000013000, 1764000016000), (1764000050000, 1764000050000)]
    with (
        closing(connect_raw(path)) as connection,
        pytest.raises(sqlite3.IntegrityError, match="ended >= started"),
    ):
        connection.execute("UPDATE gap SET ended = started - 1")
