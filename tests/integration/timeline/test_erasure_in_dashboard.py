"""Erasure from the dashboard's own database, by each user who may ask for it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from click.testing import CliRunner

from affect_edge import cli
from dashboard.accounts.letters import Letters
from dashboard.web.erased import ErasedPeople
from edge_agent.core import clock, owners
from edge_agent.core.errors import StoreError
from edge_agent.timeline.database import dashboard_file
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.database.dashboard_file import FILE_NAME, FOLDER, write_dashboard
from edge_agent.timeline.database.dashboard_file import PREPARED as EXPORTS
from edge_agent.timeline.database.salvages import Salvage, write_salvages
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.gate.commands import Commands
from edge_agent.timeline.study.people import list_entry_of
from edge_agent.timeline.study.sessions import Study
from edge_agent.timeline.upkeep.dashboard_erasure import forget_in_dashboard
from edge_agent.timeline.upkeep.erasing_again import note_forgotten
from edge_agent.timeline.upkeep.erasure import erase_participant
from edge_agent.timeline.upkeep.unfinished import orders_since, sentences_of_left
from tests.support.clocks.dated import study_with_session
from tests.support.clocks.machine import DAY_S, Machine
from tests.support.person_everywhere import (
    CODE,
    IMPORT,
    bring,
    copy_aside,
    hold_everywhere,
    words_left,
)
from tests.support.security.two_users import stand_in

AGENT, WEB = 61001, 61002
KEPT = "kept.relative@example.org"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")


def appliance(data: Path, *, own_folder: bool) -> tuple[Path, set[str]]:
    """Make both databases with one person in all tables, and another one with letters and a carer.

    Return the timeline and the person's words.
    """
    path = data / DATABASE_NAME
    (data / FOLDER if own_folder else data).mkdir(parents=True)
    words = hold_everywhere(path)
    Study(path).create_participant("K-1")
    with write_dashboard(path) as connection:
        write_letter(connection, ("K-1", list_entry_of(path, "K-1").created_ms))
    copy_aside(path)
    return path, words


def write_letter(connection: sqlite3.Connection, key: tuple[str, int]) -> None:
    """Have letters sent about somebody, and put them on a carer's list."""
    connection.execute("INSERT INTO carer_person VALUES (1, ?, ?)", key)
    connection.execute("INSERT INTO letter VALUES (?, ?, 'week', 'en', '1', 1)", key)
    connection.execute(
        "INSERT INTO letter_address (code, enrolled, address, until) VALUES (?, ?, ?, "
        "'2026-01-04')",
        (*key, KEPT),
    )


def is_left(path: Path, words: set[str]) -> bool:
    """Tell whether a word is in any file of the data folder."""
    return words_left(path.parent, words) != {}


def erase_by_command(path: Path) -> int:
    """Return the exit code; 10 more where it names the dashboard's database as what is left."""
    words = ["participant", "erase", CODE, "--confirm", CODE, "--data", str(path.parent)]
    done = CliRunner().invoke(cli, words)
    is_named = f"{FOLDER}/{FILE_NAME}: its letters" in done.output
    return done.exit_code + 10 * is_named


def test_erasure_by_one_user_of_both_leaves_no_byte_in_the_accounts(tmp_path: Path) -> None:
    path, words = appliance(tmp_path / "data", own_folder=False)
    assert erase_by_command(path) == 0 and not is_left(path, words)
    with closing(sqlite3.connect(path.with_name(FILE_NAME))) as connection:
        assert connection.execute("SELECT address FROM letter_address").fetchall() == [(KEPT,)]
        assert connection.execute("SELECT code FROM carer_person").fetchall() == [("K-1",)]


@pytest.fixture
def two_users(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, set[str]]]:
    """A database of an agent's user, and accounts of a dashboard's."""
    monkeypatch.setattr(owners, "user_named", owners.user_named)
    stand_in(AGENT, WEB, AGENT)
    with TemporaryDirectory(dir="/var/tmp") as name:
        Path(name).chmod(0o755)
        # Everything that an erasure loads is loaded now: Python may be root's alone.
        for folder in ("loaded", "data"):
            path, words = appliance(Path(name) / folder, own_folder=True)
            if folder == "loaded":
                erase_by_command(path)
                CliRunner().invoke(cli, ["maintenance", "--data", str(path.parent)])
                CliRunner().invoke(cli, ["imports", "--undo", "1", "--data", str(path.parent)])
                dashboard(path).look()
                sentences_of_left(path)
        for one in (path.parent, *path.parent.rglob("*")):
            is_web = FOLDER in one.parts
            is_export = EXPORTS in one.parts
            os.chown(one, WEB if is_web else AGENT, AGENT)
            if one.is_dir():
                one.chmod(0o770 if is_web and is_export else 0o750)
            else:
                one.chmod(0o600 if is_web else 0o640)
        yield path, words


def dashboard(path: Path) -> ErasedPeople:
    return ErasedPeople(path, Commands(path))


def ends(user: int, work: Callable[[], int]) -> int:
    """Do some work as a user, in a process of its own; return its exit code."""
    child = os.fork()
    if not child:
        code = 70
        try:
            if user:
                os.setgroups([AGENT])
                os.setgid(AGENT)
                os.setuid(user)
            code = work()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@as_root
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_erasure_by_root_leaves_no_byte_in_the_accounts(two_users: tuple[Path, set[str]]) -> None:
    path, words = two_users
    assert ends(0, lambda: erase_by_command(path)) == 0
    assert not is_left(path, words) and orders_since(path) is None
    assert {file.stat().st_uid for file in (path.parent / FOLDER).rglob("*")} == {WEB}


@as_root
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_erasure_by_the_agents_user_is_done_by_the_dashboard(
    two_users: tuple[Path, set[str]],
) -> None:
    path, words = two_users
    assert ends(AGENT, lambda: erase_by_command(path)) == 11  # fails, and names the file
    assert orders_since(path) is not None
    assert "sudo affect-edge maintenance" in " ".join(sentences_of_left(path))
    assert ends(AGENT, lambda: erase_by_command(path)) == 1, "nobody is called so any more"
    assert {Path(file).parent.name for file in words_left(path.parent, words)} == {FOLDER}
    maintenance = ["maintenance", "--clock-is-right", "--data", str(path.parent)]
    assert ends(AGENT, lambda: CliRunner().invoke(cli, maintenance).exit_code) == 1

    def forget() -> int:
        # The gate is not part of this test: what the dashboard tells it is stored below.
        forget_in_dashboard(path)
        return 0

    assert ends(WEB, forget) == 0
    assert not is_left(path, words)


@as_root
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize(("seconds", "code"), [(50, 0), (100, 11)])
def test_erasure_by_the_agents_user_waits_for_a_dashboard_that_runs(
    two_users: tuple[Path, set[str]], monkeypatch: pytest.MonkeyPatch, seconds: int, code: int
) -> None:
    path, _ = two_users
    (path.parent / FOLDER / f"{FILE_NAME}-wal").touch()
    passed = [0.0]

    def sleep(pause_s: float) -> None:
        passed[0] += pause_s
        if passed[0] == seconds:  # what the dashboard lets its gate store when it has done it
            note_forgotten(path, clock.now().wall_ms, actor="dashboard")

    monkeypatch.setattr(clock, "sleep", sleep)
    monkeypatch.setattr(clock, "boot_seconds", lambda: passed[0])
    assert ends(AGENT, lambda: erase_by_command(path)) == code


@as_root
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_order_of_an_erasure_is_carried_out_by_maintenance_as_root(
    two_users: tuple[Path, set[str]],
) -> None:
    path, words = two_users
    assert ends(AGENT, lambda: erase_by_command(path)) == 11
    maintenance = ["maintenance", "--clock-is-right", "--data", str(path.parent)]
    assert ends(0, lambda: CliRunner().invoke(cli, maintenance).exit_code) == 0
    assert not is_left(path, words) and orders_since(path) is None


def test_dashboard_carries_an_order_out_and_stores_that_it_is_done(tmp_path: Path) -> None:
    path, words = appliance(tmp_path / "data", own_folder=False)
    erase_participant(path, CODE, actor="ada", accounts=False)
    assert orders_since(path) is not None and is_left(path, words)
    dashboard(path).look()
    assert orders_since(path) is None and not is_left(path, words)
    assert sentences_of_left(path) == []


def test_copy_of_accounts_that_is_locked_leaves_the_others_erased(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboard_file, "BUSY_SECONDS", 0.1)
    path, words = appliance(tmp_path / "data", own_folder=False)
    locked, garbled = (
        path.with_name(f"{FILE_NAME}.before-{one}") for one in ("schema-1", "schema-0")
    )
    garbled.write_bytes(CODE.encode() * 1000)
    with closing(sqlite3.connect(locked, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        done = erase_participant(path, CODE, actor="ada")
    assert len(done.left) == 1 and f"{locked}: is locked" in done.left[0]
    assert words_left(path.parent, words).keys() == {locked.name} and not garbled.exists()
    dashboard(path).look()
    assert sentences_of_left(path) == [] and not is_left(path, words)


def test_copies_of_accounts_that_were_moved_away_are_erased(tmp_path: Path) -> None:
    path, words = appliance(tmp_path / "data", own_folder=False)
    path.with_name(FILE_NAME).unlink()
    assert erase_by_command(path) == 0 and not is_left(path, words)
    assert not path.with_name(FILE_NAME).exists()


def test_order_waits_while_people_are_carried_over(tmp_path: Path) -> None:
    path, _ = appliance(tmp_path / "data", own_folder=False)
    erase_participant(path, CODE, actor="ada", accounts=False)
    salvage = Salvage("affect-edge.db.damaged.1", 0, "torn", left=["participant"])
    with write_transaction(path) as connection:
        write_salvages(connection, [salvage])
        connection.execute("DELETE FROM participant")
    with pytest.raises(StoreError, match="still being carried over"):
        dashboard(path).look()
    with closing(sqlite3.connect(path.with_name(FILE_NAME))) as connection:
        kept = connection.execute("SELECT address FROM letter_address").fetchall()
    assert (KEPT,) in kept and orders_since(path) is not None


@as_root
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize(("user", "code"), [(0, 0), (AGENT, 1)], ids=["root", "agent"])
def test_undo_of_an_import_by_a_user_erases_letters_or_orders_it(
    two_users: tuple[Path, set[str]], user: int, code: int
) -> None:
    path, _ = two_users
    bring(path)
    address = "Zq-Äh-letter_address-address-0"
    undo = ["imports", "--undo", str(IMPORT), "--data", str(path.parent)]
    assert ends(user, lambda: CliRunner().invoke(cli, undo).exit_code) == code
    assert (
        bool(words_left(path.parent, {address})) is (orders_since(path) is not None) is bool(code)
    )


@pytest.mark.parametrize("clean_up", [forget_in_dashboard, lambda path: Letters(path).all()])
def test_letters_about_an_enrolment_that_a_late_clock_moved_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clean_up: Callable[[Path], object]
) -> None:
    path = tmp_path / DATABASE_NAME
    migrate(path)
    machine = Machine(monkeypatch)
    machine.wrong_s = -DAY_S
    agent = machine.agent(path)
    study_with_session(path, machine)
    agent.record_all(range(111, 121))
    with write_dashboard(path) as connection:
        connection.execute(
            "INSERT INTO account (id, name, password_hash, created, role) VALUES (1, 'c', '', 1, "
            "'carer')"
        )
        key = ("P-1", list_entry_of(path, "P-1").created_ms)
        write_letter(connection, key)
    machine.network_sets_clock()
    agent.check_clock()
    now = ("P-1", list_entry_of(path, "P-1").created_ms)
    assert now != key
    clean_up(path)
    with closing(sqlite3.connect(path.with_name(FILE_NAME))) as connection:
        for table in ("carer_person", "letter", "letter_address"):
            rows = connection.execute(f"SELECT code, enrolled FROM {table}").fetchall()
            assert rows == [now], table
