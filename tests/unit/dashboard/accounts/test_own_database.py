"""The dashboard's own database: private, apart from the timeline, and never in anybody's way."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from dashboard.accounts.accounts import Accounts, choose_language, language_of_account
from dashboard.accounts.attempts import KeptAttempts
from dashboard.accounts.members import Members
from dashboard.accounts.passwords import AccountError
from dashboard.accounts.roles import Account, Role, insert_account
from dashboard.accounts.second_factors import SecondFactors
from edge_agent.core.errors import StoreError
from edge_agent.timeline.database.dashboard_file import dashboard_file, write_dashboard
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.upkeep.copies import make_daily_copy, restore_copy
from tests.support.timeline import query_dashboard

PASSWORD = "correct horse battery"
NEW = "staple and another horse"
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A timeline, and two accounts in the dashboard's database."""
    file = tmp_path / "affect-edge.db"
    migrate(file)
    with write_dashboard(file) as connection:
        for name in ("ada", "grace"):
            insert_account(connection, name, QUICK.hash(PASSWORD), Role.ADMINISTRATOR)
    return file


def test_no_account_stands_in_the_timeline_or_its_copies(path: Path) -> None:
    make_daily_copy(path)
    KeptAttempts(path).hash_of("192.0.2.7")  # draws the key
    ((key,),) = query_dashboard(path, "SELECT value FROM setting WHERE key = 'attempt_key'")
    timeline = b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*"))
    assert b"$argon2" not in timeline and key.encode() not in timeline
    assert stat.S_IMODE(dashboard_file(path).stat().st_mode) == 0o600


def test_a_copy_of_the_timeline_put_back_leaves_accounts_alone(path: Path) -> None:
    old = make_daily_copy(path)
    Accounts(path).reset_password("ada", NEW)
    restore_copy(path, old)
    assert Accounts(path).check_password("ada", NEW).name == "ada"


def test_a_damaged_file_is_named_with_what_to_do(path: Path) -> None:
    dashboard_file(path).write_bytes(b"\xff\x00{" * 1000)
    with pytest.raises(StoreError, match=r"dashboard\.db: is damaged, and nobody can log in"):
        Accounts(path).check_password("ada", PASSWORD)
    assert dashboard_file(path).read_bytes() == b"\xff\x00{" * 1000


@pytest.mark.parametrize(
    ("version", "said"),
    [
        (99, r"newer Affect Edge \(schema 99"),
        (0, "is not the database of this version's dashboard"),
    ],
)
def test_a_file_of_another_version_is_refused_as_it_is(path: Path, version: int, said: str) -> None:
    with write_dashboard(path) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    with pytest.raises(StoreError, match=said):
        Accounts(path).check_password("ada", PASSWORD)


def test_removing_an_account_removes_its_data_and_a_reset_keeps_its_factor(path: Path) -> None:
    members = Members(path)
    members.add_with_password("eve", Role.VIEWER, NEW, "ada")
    eve = members.find("eve")
    choose_language(path, eve.id, "de")
    with write_dashboard(path) as connection:
        connection.execute(
            "UPDATE account SET second_factor = ? WHERE id = ?",
            ('{"secret": "GEZDGNBVGY3TQOJQ"}', eve.id),
        )
    link = members.reset(eve.id, "ada")
    with pytest.raises(AccountError, match="wrong"):
        Accounts(path).check_password("eve", NEW)
    members.redeem(link.partition("link=")[2], NEW)
    assert Accounts(path).check_password("eve", NEW).has_second_factor
    assert SecondFactors(path).stamp_of(Account(eve.id, "eve"))
    members.remove(eve.id, "ada")
    assert language_of_account(path, eve.id) == ""
    assert b"GEZDGNBVGY3TQOJQ" not in dashboard_file(path).read_bytes()
    members.add_with_password("ivy", Role.VIEWER, NEW, "ada")
    assert members.find("ivy").id > eve.id, "no number comes twice"
