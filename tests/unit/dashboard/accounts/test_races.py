"""Acts of an administrator while a password is being checked: they hold against the check."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyotp
import pytest
from starlette.testclient import TestClient

from dashboard.accounts import passwords
from dashboard.accounts.accounts import Accounts, ensure_setup_code
from dashboard.accounts.members import Members
from dashboard.accounts.roles import Role, StaleError
from dashboard.accounts.second_factors import SecondFactors, new_secret
from edge_agent.timeline.database.dashboard_file import write_dashboard
from tests.support.dashboard import NAME, PASSWORD, client_of
from tests.support.timeline import query_dashboard, timeline

OLD = "staple and another horse"
NEW = "quiet river under bridges"
Act = Callable[[Members, int], object]


def reset(members: Members, number: int) -> None:
    members.reset(number, NAME)


def disable(members: Members, number: int) -> None:
    members.disable(number, NAME)


def reset_and_redeem(members: Members, number: int) -> None:
    members.redeem(members.reset(number, NAME).partition("=")[2], NEW)


def remove(members: Members, number: int) -> None:
    members.remove(number, NAME)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database with the administrator ada and the carer eve."""
    path = timeline(tmp_path)
    Accounts(path).set_up(ensure_setup_code(path) or "", NAME, PASSWORD)
    members = Members(path)
    members.redeem(members.add_with_link("eve", Role.CARER, NAME).partition("=")[2], OLD)
    return path


def act_in_the_check(monkeypatch: pytest.MonkeyPatch, path: Path, act: Act) -> None:
    """Let an administrator act on eve once the next password has been found to be right."""
    members = Members(path)
    check = passwords.is_password

    def check_and_act(password: str, kept: str) -> bool:
        monkeypatch.setattr(passwords, "is_password", check)
        is_right = check(password, kept)
        act(members, members.find("eve").id)
        return is_right

    monkeypatch.setattr(passwords, "is_password", check_and_act)


@pytest.mark.parametrize("act", [reset, disable, reset_and_redeem, remove])
def test_login_under_way_while_an_administrator_acts_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch, act: Act
) -> None:
    eve = client_of(path.parent)
    act_in_the_check(monkeypatch, path, act)
    answer = eve.post("/login", data={"name": "eve", "password": OLD})
    assert answer.status_code == 401 and "affect-edge-login" not in answer.cookies
    assert query_dashboard(path, "SELECT count(*) FROM login") == [(0,)]


def test_login_under_way_while_a_second_factor_is_turned_on_is_refused(path: Path) -> None:
    accounts = Accounts(path)
    eve = accounts.check_password("eve", OLD)
    secret = new_secret()
    SecondFactors(path).turn_on(eve, secret, pyotp.TOTP(secret).now(), accounts.log_in(eve))
    with pytest.raises(StaleError):
        accounts.log_in(eve)


@pytest.mark.parametrize("way", ["enable", "redeem"])
def test_login_left_behind_opens_nothing_after_a_way_back_in(path: Path, way: str) -> None:
    accounts, members = Accounts(path), Members(path)
    eve = accounts.check_password("eve", OLD)
    token = accounts.log_in(eve)
    login = query_dashboard(path, "SELECT * FROM login")[0]
    link = members.reset(eve.id, NAME).partition("=")[2]
    if way == "enable":
        members.disable(eve.id, NAME)
    # As a log-in of an earlier release that was under way may have left it.
    with write_dashboard(path) as connection:
        connection.execute(f"INSERT INTO login VALUES ({', '.join('?' * len(login))})", login)
    if way == "enable":
        members.enable(eve.id, NAME)
    else:
        members.redeem(link, NEW)
    assert accounts.of_token(token) is None


def kept(path: Path) -> list[tuple[object, ...]]:
    sql = "SELECT password_hash, link_hash, second_factor, disabled FROM account WHERE name = 'eve'"
    return query_dashboard(path, sql)


def eve_with_a_second_factor(path: Path) -> TestClient:
    """Return the browser of eve, whose second factor has just been turned on."""
    client = client_of(path.parent)
    assert client.post("/login", data={"name": "eve", "password": OLD}).status_code == 303
    eve = Accounts(path).check_password("eve", OLD)
    secret = new_secret()
    token = client.cookies["affect-edge-login"]
    SecondFactors(path).turn_on(eve, secret, pyotp.TOTP(secret).now(), token)
    return client


@pytest.mark.parametrize("act", [reset, disable, reset_and_redeem])
@pytest.mark.parametrize("address", ["password", "second-factor/off", "second-factor/codes"])
def test_own_change_under_way_while_an_administrator_acts_changes_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch, act: Act, address: str
) -> None:
    client = eve_with_a_second_factor(path)
    left = []

    def act_and_look(members: Members, number: int) -> None:
        act(members, number)
        left.append(kept(path))

    act_in_the_check(monkeypatch, path, act_and_look)
    typed = {"old": OLD, "new": NEW + "s", "again": NEW + "s", "password": OLD}
    answer = client.post(f"/account/{address}", data=typed)
    assert answer.status_code == 422, answer.text
    assert left == [kept(path)]


def test_second_factor_turned_on_while_the_account_is_reset_is_refused(path: Path) -> None:
    accounts = Accounts(path)
    eve = accounts.check_password("eve", OLD)
    secret, token = new_secret(), accounts.log_in(eve)
    Members(path).reset(eve.id, NAME)
    with pytest.raises(StaleError):
        SecondFactors(path).turn_on(eve, secret, pyotp.TOTP(secret).now(), token)
    assert kept(path)[0][2] is None
