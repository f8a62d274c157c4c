"""Hashes that stood in the database move to a file of their own, and nobody is locked out."""

from __future__ import annotations

import json
import logging
import shutil
import sqlite3
import stat
from contextlib import closing
from functools import partial
from itertools import count
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from click.testing import CliRunner

from dashboard.accounts.account_rows import Account
from dashboard.accounts.accounts import Accounts
from dashboard.accounts.attempts import KeptAttempts
from dashboard.accounts.members import Members
from dashboard.accounts.passwords import AccountError
from dashboard.accounts.roles import Role
from dashboard.accounts.second_factors import SecondFactors
from dashboard.commands.account import account as account_command
from dashboard.commands.password import password as password_command
from dashboard.web import server
from dashboard.web.app import create_app
from dashboard.web.settings import DashboardOptions
from edge_agent.core.errors import StoreError
from edge_agent.store.database.schema import connect, copies_beside, migrate, write_transaction
from edge_agent.store.export.ad_hoc import AdHocReader
from edge_agent.store.upkeep.backup import make_daily_copy, restore_copy
from edge_agent.store.upkeep.copy_report import read_report, write_report
from edge_agent.store.upkeep.traces import moved_credentials
from edge_agent.store.upkeep.traces.moved_credentials import move_credentials, scrub_credentials
from edge_agent.store.write.accounts import credentials as credentials_module
from edge_agent.store.write.accounts.credentials import Credentials, SecondFactorRow
from tests.support.backups.killed import killed_at
from tests.support.timeline import query

PASSWORD = "correct horse battery"
NEW = "staple and another horse"
KEY = "5e" * 32
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database of before: two accounts with their hashes, and the key of attempts."""
    file = tmp_path / "affect-edge.db"
    migrate(file)
    with write_transaction(file) as connection:
        for name in ("ada", "grace"):
            connection.execute(
                "INSERT INTO account (name, password_hash, created, role) "
                "VALUES (?, ?, 1, 'administrator')",
                (name, QUICK.hash(PASSWORD)),
            )
        connection.execute("INSERT INTO setting (key, value) VALUES ('attempt_key', ?)", (KEY,))
    return file


def bytes_of_database(path: Path) -> bytes:
    """The file, its log, and whatever lies beside it by its name."""
    return b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*"))


def assert_everybody_logs_in(path: Path, password: str = PASSWORD) -> None:
    for name in ("ada", "grace"):
        assert Accounts(path).check_password(name, password).name == name


def test_hashes_move_and_leave_no_byte_in_database_log_free_pages_and_copies(path: Path) -> None:
    make_daily_copy(path)
    who = KeptAttempts(path).hash_of("192.0.2.7")
    assert move_credentials(path) == 2
    assert_everybody_logs_in(path)
    assert scrub_credentials(path)
    for secret in (b"$argon2", KEY.encode()):
        assert secret not in bytes_of_database(path)
    assert KeptAttempts(path).hash_of("192.0.2.7") == who
    file = path.with_name("credentials.json")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert (move_credentials(path), scrub_credentials(path)) == (0, False)


def test_pages_that_were_freed_without_being_overwritten_are_written_anew(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA secure_delete=OFF")
        for number in range(100, 400):
            connection.execute(
                "INSERT INTO account (id, name, password_hash, created) VALUES (?, ?, ?, 1)",
                (number, f"n{number}", f"$argon2id$v=19$old{number}"),
            )
        connection.execute("DELETE FROM account WHERE id >= 100")
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert b"$argon2id$v=19$old" in path.read_bytes()
    move_credentials(path)
    scrub_credentials(path)
    assert b"$argon2" not in bytes_of_database(path)
    assert_everybody_logs_in(path)


def test_a_kill_before_any_step_locks_nobody_out(path: Path, tmp_path: Path) -> None:
    make_daily_copy(path)
    for step in count(1):
        folder = tmp_path / str(step)
        folder.mkdir()
        for file in path.parent.glob("affect-edge.db*"):
            shutil.copy2(file, folder)
        database = folder / path.name

        def at_start(database: Path = database) -> None:
            move_credentials(database)
            scrub_credentials(database)

        killed = killed_at(step, at_start)
        assert_everybody_logs_in(database)
        at_start()
        assert_everybody_logs_in(database)
        assert b"$argon2" not in bytes_of_database(database)
        if not killed:
            break
    assert step > 8, "the file of credentials, its folder, the database and the copy"


def test_a_full_disk_leaves_all_as_it_was_and_the_dashboard_starts(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("edge_agent.store.write.accounts.credentials.os.fsync", full)
        with caplog.at_level(logging.WARNING):
            create_app(DashboardOptions(path.parent))
    assert "passwords stay in the database until the next start" in caplog.text
    assert_everybody_logs_in(path)
    create_app(DashboardOptions(path.parent))
    assert query(path, "SELECT count(*) FROM account WHERE password_hash LIKE 'kept:%'") == [(2,)]
    assert_everybody_logs_in(path)


def test_an_old_copy_that_is_restored_opens_with_the_present_passwords(path: Path) -> None:
    old = make_daily_copy(path)
    move_credentials(path)
    scrub_credentials(path)
    for name in ("ada", "grace"):
        Accounts(path).reset_password(name, NEW)
        Accounts(path).reset_password(name, NEW + "er")
    restore_copy(path, old)
    assert_everybody_logs_in(path, NEW + "er")
    for name in ("ada", "grace"):
        Accounts(path).reset_password(name, PASSWORD)
    assert_everybody_logs_in(path)
    assert len(json.loads(path.with_name("credentials.json").read_text())["passwords"]) == 2


def test_a_copy_of_before_that_was_elsewhere_is_moved_when_it_is_restored(
    path: Path, tmp_path: Path
) -> None:
    elsewhere = make_daily_copy(path).rename(tmp_path / "stick.db")
    move_credentials(path)
    Accounts(path).reset_password("ada", NEW)
    restore_copy(path, elsewhere)
    assert_everybody_logs_in(path)
    assert move_credentials(path) == 2
    assert_everybody_logs_in(path)


def test_copies_keep_the_passwords_of_accounts_that_are_gone(path: Path) -> None:
    Members(path).add_with_password("eve", Role.VIEWER, NEW, "ada")
    with write_transaction(path) as connection:
        connection.execute(
            "UPDATE account SET password_hash = ? WHERE name = 'eve'", (QUICK.hash(NEW),)
        )
    old = make_daily_copy(path)
    Members(path).remove(Members(path).named("eve").id, "ada")
    move_credentials(path)
    scrub_credentials(path)
    assert b"$argon2" not in old.read_bytes()
    restore_copy(path, old)
    assert Accounts(path).check_password("eve", NEW).name == "eve"


def test_the_copy_for_a_rollback_stays_and_is_for_its_owner_alone(path: Path) -> None:
    copy = make_daily_copy(path).rename(path.with_name(f"{path.name}.before-update-of-0.9"))
    move_credentials(path)
    scrub_credentials(path)
    assert copy in copies_beside(path) and b"$argon2" in copy.read_bytes()
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600


def test_copies_on_a_stick_are_cleaned_and_what_is_no_copy_is_named(
    path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    copy = make_daily_copy(path).rename(stick / f"{path.name}.backup-2026-01-01")
    path.with_name(f"{path.name}.backup-2026-01-02").write_bytes(b"no database")
    write_report(path, type(read_report(path))(places={str(stick): None}))
    move_credentials(path)
    with caplog.at_level(logging.WARNING):
        assert scrub_credentials(path)
    assert b"$argon2" not in copy.read_bytes()
    assert "may still be in a copy" in caplog.text


def test_a_reader_that_does_not_end_is_waited_for_until_the_next_start(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moved_credentials.__name__ + ".connect", partial(connect, busy_seconds=0.1))
    with closing(connect(path, readonly=True)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM account").fetchone()
        move_credentials(path)
        with caplog.at_level(logging.WARNING):
            server._scrub(path)
    assert "old bytes of passwords may still be in the database" in caplog.text
    assert scrub_credentials(path)
    assert b"$argon2" not in bytes_of_database(path)


def test_a_lost_file_lets_nobody_in_and_says_what_to_do(path: Path) -> None:
    move_credentials(path)
    path.with_name("credentials.json").unlink()
    for name in ("ada", "nobody"):
        with pytest.raises(AccountError, match="affect-edge password NAME"):
            Accounts(path).check_password(name, PASSWORD)
    done = CliRunner().invoke(
        password_command, ["ada", "--data", str(path.parent)], input=f"{NEW}\n{NEW}\n"
    )
    assert done.exit_code == 0, done.output
    assert Accounts(path).check_password("ada", NEW).name == "ada"
    with pytest.raises(AccountError, match="wrong"):
        Accounts(path).check_password("grace", PASSWORD)


def test_commands_work_on_a_database_of_before_and_on_one_that_was_moved(path: Path) -> None:
    for moved in (False, True):
        if moved:
            move_credentials(path)
        done = CliRunner().invoke(
            password_command, ["grace", "--data", str(path.parent)], input=f"{NEW}\n{NEW}\n"
        )
        assert done.exit_code == 0, done.output
        assert Accounts(path).check_password("grace", NEW).name == "grace"
        added = CliRunner().invoke(
            account_command,
            ["add", f"eve{moved}", "--role", "viewer", "--password", "--data", str(path.parent)],
            input=f"{NEW}\n{NEW}\n",
        )
        assert added.exit_code == 0, added.output
        assert Accounts(path).check_password(f"eve{moved}", NEW).must_change
    assert Accounts(path).check_password("ada", PASSWORD).name == "ada"


def test_what_an_account_kept_goes_with_it(path: Path) -> None:
    move_credentials(path)
    members = Members(path)
    members.add_with_password("eve", Role.VIEWER, NEW, "ada")
    eve = members.named("eve")
    with write_transaction(path) as connection:
        factor = Credentials(path).keep_second_factor(SecondFactorRow(secret="GEZDGNBVGY3TQOJQ"))
        connection.execute("UPDATE account SET second_factor = ? WHERE id = ?", (factor, eve.id))
    link = members.reset(eve.id, "ada")
    kept = json.loads(path.with_name("credentials.json").read_text())
    assert len(kept["passwords"]) == 2 and factor in kept["second_factors"]
    members.redeem(link.partition("link=")[2], NEW)
    assert Accounts(path).check_password("eve", NEW).has_second_factor
    assert SecondFactors(path).stamp_of(Account(eve.id, "eve"))
    members.remove(eve.id, "ada")
    kept = json.loads(path.with_name("credentials.json").read_text())
    assert len(kept["passwords"]) == 2 and not kept.get("second_factors")


def test_a_password_is_changed_though_the_old_hash_cannot_be_removed(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    move_credentials(path)

    def broken(*_: object) -> None:
        raise StoreError("the disk is full")

    with monkeypatch.context() as patched, caplog.at_level(logging.WARNING):
        patched.setattr(Credentials, "drop", broken)
        Accounts(path).reset_password("ada", NEW)
    assert "stays in the file of credentials" in caplog.text
    assert Accounts(path).check_password("ada", NEW).name == "ada"
    with pytest.raises(AccountError, match="wrong"):
        Accounts(path).check_password("ada", PASSWORD)


def test_questions_in_sql_see_neither_hash_nor_key(path: Path) -> None:
    move_credentials(path)
    with AdHocReader(path) as reader:
        told = [tuple(row) for row in reader.ask("SELECT * FROM account").rows]
        settings = [tuple(row) for row in reader.ask("SELECT * FROM setting").rows]
    assert "kept:" not in str(told) and KEY not in str(settings)


def test_thousands_of_changes_do_not_make_the_file_grow_without_end(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials_module, "_REPLACED_MAX", 3)
    kept = Credentials(path)
    key = first = kept.keep_password("0")
    for number in range(1, 6):
        fresh = kept.keep_password(str(number), instead_of=key)
        kept.drop(key)
        key = fresh
    assert kept.password(key) == "5" and kept.password(first) is None
    assert len(json.loads(path.with_name("credentials.json").read_text())["replaced"]) == 3
