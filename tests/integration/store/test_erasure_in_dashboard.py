"""Erasure from the dashboard's own database, by each user who may ask for it."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from click.testing import CliRunner

from affect_edge import cli
from dashboard.web.erased import ErasedPeople
from edge_agent.core import owners
from edge_agent.store.database.dashboard_file import FILE_NAME, FOLDER, write_dashboard
from edge_agent.store.database.schema import DATABASE_NAME
from edge_agent.store.database.upgrade import migrate
from edge_agent.store.gate.commands import Commands
from edge_agent.store.study.people import everybody
from edge_agent.store.study.sessions import Study
from edge_agent.store.upkeep.erasure import erase_participant
from edge_agent.store.upkeep.unfinished import orders_since, sentences_of_left
from tests.support.erasure import CODE, hold
from tests.support.security.two_users import stand_in

AGENT, WEB = 61001, 61002
ADDRESS = "quokka.relative@example.org"
KEPT = "kept.relative@example.org"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")


def appliance(data: Path, *, own_folder: bool) -> Path:
    """Make a timeline with two people, and letters and a carer's list that name both."""
    path = data / DATABASE_NAME
    migrate(path)
    hold(path, CODE, 1000)
    Study(path).create_participant("K-1")
    if own_folder:
        (data / FOLDER).mkdir()
    with write_dashboard(path) as connection:
        connection.execute(
            "INSERT INTO account (name, password_hash, created, role) VALUES ('c', '', 1, 'carer')"
        )
        for one in everybody(path):
            key = (one.code, one.created_ms)
            address = ADDRESS if one.code == CODE else KEPT
            connection.execute("INSERT INTO carer_person VALUES (1, ?, ?)", key)
            connection.execute("INSERT INTO letter VALUES (?, ?, 'week', 'en', '1', 1)", key)
            connection.execute(
                "INSERT INTO letter_address (code, enrolled, address, until) VALUES (?, ?, ?, '')",
                (*key, address),
            )
    file = (data / FOLDER if own_folder else data) / FILE_NAME
    shutil.copy(file, file.with_name(f"{FILE_NAME}.before-update-of-0.0.9"))
    return path


def names_left(path: Path) -> set[str]:
    """Return which of code and address are anywhere in the data folder."""
    files = [file for file in path.parent.rglob("*") if file.is_file()]
    read = b"".join(file.read_bytes() for file in files).lower()
    return {one for one in (CODE, ADDRESS) if one.lower().encode() in read}


def test_erasure_by_one_user_of_both_leaves_no_byte_in_the_accounts(tmp_path: Path) -> None:
    path = appliance(tmp_path / "data", own_folder=False)
    assert names_left(path) == {CODE, ADDRESS}
    words = ["participant", "erase", CODE, "--confirm", CODE, "--data", str(path.parent)]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    assert names_left(path) == set()
    with closing(sqlite3.connect(path.with_name(FILE_NAME))) as connection:
        assert connection.execute("SELECT address FROM letter_address").fetchall() == [(KEPT,)]
        assert connection.execute("SELECT code FROM carer_person").fetchall() == [("K-1",)]


@pytest.fixture
def two_users(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A database of an agent's user, and accounts of a dashboard's."""
    monkeypatch.setattr(owners, "user_named", owners.user_named)
    stand_in(AGENT, WEB, AGENT)
    with TemporaryDirectory(dir="/var/tmp") as name:
        Path(name).chmod(0o755)
        # Everything that an erasure loads is loaded now: Python may be root's alone.
        for folder in ("loaded", "data"):
            path = appliance(Path(name) / folder, own_folder=True)
            if folder == "loaded":
                words = ["participant", "erase", CODE, "--confirm", CODE]
                CliRunner().invoke(cli, [*words, "--data", str(path.parent)])
                CliRunner().invoke(cli, ["maintenance", "--data", str(path.parent)])
                dashboard(path).look()
                sentences_of_left(path)
        for one in (path.parent, *path.parent.rglob("*")):
            is_web = FOLDER in one.parts
            os.chown(one, WEB if is_web else AGENT, AGENT)
            one.chmod(0o750 if one.is_dir() else 0o600 if is_web else 0o640)
        yield path


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


def erase_by_command(path: Path) -> int:
    words = ["participant", "erase", CODE, "--confirm", CODE, "--data", str(path.parent)]
    done = CliRunner().invoke(cli, words)
    is_named = f"{FOLDER}/{FILE_NAME}: its letters" in done.output
    return done.exit_code + 10 * is_named


@as_root
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_erasure_by_root_leaves_no_byte_in_the_accounts(two_users: Path) -> None:
    assert names_left(two_users) == {CODE, ADDRESS}
    assert ends(0, lambda: erase_by_command(two_users)) == 0
    assert names_left(two_users) == set() and orders_since(two_users) is None
    own = two_users.parent / FOLDER
    assert {file.stat().st_uid for file in own.rglob("*")} == {WEB}


@as_root
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_erasure_by_the_agents_user_is_done_by_the_dashboard(two_users: Path) -> None:
    assert ends(AGENT, lambda: erase_by_command(two_users)) == 11  # fails, and names the file
    assert orders_since(two_users) is not None
    assert "sudo affect-edge maintenance" in " ".join(sentences_of_left(two_users))
    assert names_left(two_users) == {CODE, ADDRESS}
    maintenance = ["maintenance", "--clock-is-right", "--data", str(two_users.parent)]
    assert ends(AGENT, lambda: CliRunner().invoke(cli, maintenance).exit_code) == 1

    def forget() -> int:
        # The gate is not part of this test: what the dashboard tells it is stored below.
        from edge_agent.store.upkeep.dashboard_erasure import forget_in_dashboard

        forget_in_dashboard(two_users)
        return 0

    assert ends(WEB, forget) == 0
    assert names_left(two_users) == set()


@as_root
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_order_of_an_erasure_is_carried_out_by_maintenance_as_root(two_users: Path) -> None:
    assert ends(AGENT, lambda: erase_by_command(two_users)) == 11
    maintenance = ["maintenance", "--clock-is-right", "--data", str(two_users.parent)]
    assert ends(0, lambda: CliRunner().invoke(cli, maintenance).exit_code) == 0
    assert names_left(two_users) == set() and orders_since(two_users) is None


def test_dashboard_carries_an_order_out_and_stores_that_it_is_done(tmp_path: Path) -> None:
    path = appliance(tmp_path / "data", own_folder=False)
    erase_participant(path, CODE, actor="ada", accounts=False)
    assert orders_since(path) is not None and names_left(path) == {CODE, ADDRESS}
    dashboard(path).look()
    assert orders_since(path) is None and names_left(path) == set()
    assert sentences_of_left(path) == []
