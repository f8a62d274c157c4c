"""Hashes of passwords in a file of their own, and restores that lock nobody out."""

from __future__ import annotations

import json
import logging
import stat
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from click.testing import CliRunner

from dashboard.accounts.account_rows import Account, insert_account
from dashboard.accounts.accounts import Accounts
from dashboard.accounts.attempts import KeptAttempts
from dashboard.accounts.members import Members
from dashboard.accounts.passwords import AccountError
from dashboard.accounts.roles import Role
from dashboard.accounts.second_factors import SecondFactors
from dashboard.commands.account import account as account_command
from dashboard.commands.password import password as password_command
from edge_agent.core.errors import StoreError
from edge_agent.store.database.schema import migrate, write_transaction
from edge_agent.store.export.ad_hoc import AdHocReader
from edge_agent.store.upkeep.backup import make_daily_copy, restore_copy
from edge_agent.store.write.accounts import credentials as credentials_module
from edge_agent.store.write.accounts.credentials import Credentials, SecondFactorRow

PASSWORD = "correct horse battery"
NEW = "staple and another horse"
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database with two accounts."""
    file = tmp_path / "affect-edge.db"
    migrate(file)
    with write_transaction(file) as connection:
        for name in ("ada", "grace"):
            key = Credentials(file).keep_password(QUICK.hash(PASSWORD))
            insert_account(connection, name, key, Role.ADMINISTRATOR)
    return file


def bytes_of_database(path: Path) -> bytes:
    """The file, its log, and whatever lies beside it by its name."""
    return b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*"))


def assert_everybody_logs_in(path: Path, password: str = PASSWORD) -> None:
    for name in ("ada", "grace"):
        assert Accounts(path).check_password(name, password).name == name


def test_no_hash_stands_in_the_database_and_its_file_is_private(path: Path) -> None:
    make_daily_copy(path)
    KeptAttempts(path).hash_of("192.0.2.7")
    secret = Credentials(path).attempt_key().encode()
    assert secret
    assert secret not in bytes_of_database(path) and b"$argon2" not in bytes_of_database(path)
    assert stat.S_IMODE(path.with_name("credentials.json").stat().st_mode) == 0o600


def test_an_old_copy_that_is_restored_opens_with_the_present_passwords(path: Path) -> None:
    old = make_daily_copy(path)
    for name in ("ada", "grace"):
        Accounts(path).reset_password(name, NEW)
        Accounts(path).reset_password(name, NEW + "er")
    restore_copy(path, old)
    assert_everybody_logs_in(path, NEW + "er")
    for name in ("ada", "grace"):
        Accounts(path).reset_password(name, PASSWORD)
    assert_everybody_logs_in(path)
    assert len(json.loads(path.with_name("credentials.json").read_text())["passwords"]) == 2


def test_a_lost_file_lets_nobody_in_and_says_what_to_do(path: Path) -> None:
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


def test_commands_set_and_give_passwords(path: Path) -> None:
    done = CliRunner().invoke(
        password_command, ["grace", "--data", str(path.parent)], input=f"{NEW}\n{NEW}\n"
    )
    assert done.exit_code == 0, done.output
    assert Accounts(path).check_password("grace", NEW).name == "grace"
    added = CliRunner().invoke(
        account_command,
        ["add", "eve", "--role", "viewer", "--password", "--data", str(path.parent)],
        input=f"{NEW}\n{NEW}\n",
    )
    assert added.exit_code == 0, added.output
    assert Accounts(path).check_password("eve", NEW).must_change
    assert Accounts(path).check_password("ada", PASSWORD).name == "ada"


def test_what_an_account_kept_goes_with_it(path: Path) -> None:
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
    assert len(kept["passwords"]) == 2 and not kept["second_factors"]


def test_a_password_is_changed_though_the_old_hash_cannot_be_removed(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
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
    KeptAttempts(path).hash_of("192.0.2.7")  # draws the key
    with AdHocReader(path) as reader:
        told = [tuple(row) for row in reader.ask("SELECT * FROM account").rows]
        settings = [tuple(row) for row in reader.ask("SELECT * FROM setting").rows]
    key = Credentials(path).attempt_key()
    assert "kept:" not in str(told) and key not in str(settings)


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
