"""Accounts: how long a login and a link last, and which names and passwords are just allowed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dashboard.accounts import accounts as auth
from dashboard.accounts.accounts import Accounts, create_login_link, ensure_setup_code
from dashboard.accounts.passwords import AccountError
from tests.support.clocks.simulated_time import WallClock
from tests.support.timeline import query_dashboard

PASSWORD = "correct horse battery"
AT_MS = 1_790_000_000_000
MINUTE_MS = 60_000


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> WallClock:
    turned = WallClock()
    monkeypatch.setattr(auth, "now", turned)
    return turned


def test_a_setup_code_is_three_groups_of_four_clear_characters(path: Path) -> None:
    code = ensure_setup_code(path)
    assert code is not None
    assert re.fullmatch(r"[A-HJ-NP-Z2-9]{4}(-[A-HJ-NP-Z2-9]{4}){2}", code)


def test_a_login_lasts_twelve_hours_and_its_token_is_long(path: Path, now: WallClock) -> None:
    accounts = Accounts(path)
    ada = accounts.set_up(ensure_setup_code(path) or "", "ada", PASSWORD)
    token = accounts.log_in(ada)
    assert len(token) == 43, "32 random bytes"
    assert query_dashboard(path, "SELECT created, expires - created FROM login") == [
        (AT_MS, 12 * 60 * MINUTE_MS)
    ]
    for _ in range(11):
        now.ms += 60 * MINUTE_MS
        assert accounts.of_token(token) == ada, "it is in use"
    now.ms += 60 * MINUTE_MS - 1
    assert accounts.of_token(token) == ada
    other = Accounts(path, login_hours=1).log_in(ada)
    assert accounts.other_logins(ada, other) == 1
    now.ms += 1
    assert accounts.of_token(token) is None
    assert accounts.other_logins(ada, other) == 0
    now.ms += 60 * MINUTE_MS - 2
    assert accounts.of_token(other) == ada
    now.ms += 1
    assert accounts.of_token(other) is None


def test_a_login_link_lasts_an_hour_unless_told_otherwise(path: Path, now: WallClock) -> None:
    accounts = Accounts(path)
    for minutes in (60, 5):
        link = create_login_link(path) if minutes == 60 else create_login_link(path, minutes)
        token = link.removeprefix("/login?link=")
        assert len(token) == 32, "24 random bytes"
        now.ms += minutes * MINUTE_MS
        with pytest.raises(AccountError, match="has been used or has ended"):
            accounts.follow_link(token)
        now.ms -= 1
        assert accounts.follow_link(token).name == "demo"


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("a", "kfzwkqmwvb"),
        ("n" * 40, "kfzwkqmwvb" * 20),
        ("abcde", "ABCDEkq7wmv2x"),
        ("Ömer Ü", PASSWORD),
    ],
)
def test_names_and_passwords_at_the_edge_of_what_is_allowed(
    path: Path, name: str, password: str
) -> None:
    accounts = Accounts(path)
    made = accounts.set_up(ensure_setup_code(path) or "", f" {name} ", password)
    assert made.name == name
    assert accounts.check_password(name.upper() if name.isascii() else name, password) == made
    with pytest.raises(AccountError):
        accounts.check_password(name, password + "x")


def test_each_account_has_its_own_logins_and_password(path: Path) -> None:
    accounts = Accounts(path)
    ada = accounts.set_up(ensure_setup_code(path) or "", "ada", PASSWORD)
    demo = accounts.follow_link(create_login_link(path).removeprefix("/login?link="))
    here = accounts.log_in(ada)
    there = accounts.log_in(demo)
    assert (accounts.has_password(ada), accounts.has_password(demo)) == (True, False)
    assert accounts.other_logins(ada, "") == 1
    accounts.change_password(ada, PASSWORD, "another good one", here)
    assert accounts.of_token(there) == demo, "logins of others stay"
    assert accounts.require(" ADA ") == "ada"
    with pytest.raises(
        AccountError, match="There is no account 'eve' with a password. There is: ada"
    ):
        accounts.require("eve")


def test_where_nobody_has_an_account_yet_that_is_said(path: Path) -> None:
    with pytest.raises(AccountError, match="There is none yet; open the dashboard and set it up"):
        Accounts(path).require("ada")


def test_a_login_that_nobody_uses_ends_after_two_hours(path: Path, now: WallClock) -> None:
    accounts = Accounts(path)
    demo = accounts.follow_link(create_login_link(path).removeprefix("/login?link="))
    used = accounts.log_in(demo)
    idle = accounts.log_in(demo)
    now.ms += 119 * MINUTE_MS
    assert accounts.of_token(used) == demo
    assert accounts.other_logins(demo, used) == 1
    now.ms += MINUTE_MS
    assert accounts.of_token(idle) is None and accounts.of_token(used) == demo
    assert accounts.other_logins(demo, used) == 0
    accounts.log_in(demo)
    assert query_dashboard(path, "SELECT count(*) FROM login") == [(2,)], (
        "what has ended is not kept"
    )
