"""Accounts that administrators manage: on the page, by command, with links and first passwords."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from click.testing import CliRunner
from starlette.testclient import TestClient

from dashboard.accounts.accounts import Accounts, create_login_link, ensure_setup_code
from dashboard.accounts.members import LINK_HOURS, Members
from dashboard.accounts.passwords import AccountError
from dashboard.accounts.roles import Role
from dashboard.commands.account import account as command
from edge_agent.core import clock
from tests.support.dashboard import NAME, PASSWORD, client_of, log_in_as
from tests.support.timeline import query, query_dashboard, timeline

NEW = "staple and another horse"
LAST = "ada is the last administrator who can log in"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database in which ada is administrator."""
    path = timeline(tmp_path)
    Accounts(path).set_up(ensure_setup_code(path) or "", NAME, PASSWORD)
    return path


def link_in(text: str) -> str:
    found = re.search(r'id="link">http://127\.0\.0\.1(/welcome\?link=[\w-]+)<', text)
    assert found, text
    return found[1]


def choose(client: TestClient, link: str, new: str = NEW, again: str = NEW) -> int:
    secret = link.partition("=")[2]
    answer = client.post("/welcome", data={"link": secret, "new": new, "again": again})
    return answer.status_code


def test_a_link_lets_its_owner_choose_a_password_once(ada: TestClient, tmp_path: Path) -> None:
    answer = ada.post("/accounts", data={"name": "vic", "role": "viewer"})
    link = link_in(answer.text)
    assert link not in ada.get("/accounts").text, "shown once"
    vic = client_of(tmp_path)
    for _ in range(2):
        page = vic.get(link)
        assert page.status_code == 200 and "<strong>vic</strong>" in page.text, "looking is free"
    assert choose(vic, link, "short", "short") == 400
    assert choose(vic, link, NEW, "another") == 400
    assert choose(vic, link) == 303
    assert vic.get("/live").status_code == 200 and vic.get("/study").status_code == 403
    late = client_of(tmp_path)
    assert late.get(link).status_code == 403 and choose(late, link) == 403
    secret = link.partition("=")[2]
    assert secret not in str(query_dashboard(tmp_path / "affect-edge.db", "SELECT * FROM account"))


def test_a_link_ends_after_three_days(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    members = Members(path)
    link = members.add_with_link("vic", Role.VIEWER, NAME).partition("=")[2]
    assert members.holder_of(link).name == "vic"
    later = clock.now().shift(LINK_HOURS * 3600)
    monkeypatch.setattr("dashboard.accounts.members.now", lambda: later)
    with pytest.raises(AccountError, match="has expired or was already used"):
        members.redeem(link, NEW)


def test_guessing_at_links_is_held_up(ada: TestClient, tmp_path: Path) -> None:
    stranger = client_of(tmp_path)
    statuses = [choose(stranger, f"/welcome?link=guess{number}") for number in range(6)]
    assert statuses == [403] * 5 + [429]


def test_looking_at_a_link_that_has_ended_keeps_nobody_from_logging_in(
    ada: TestClient, tmp_path: Path
) -> None:
    stranger = client_of(tmp_path)
    for path in ("/welcome", "/welcome?link=old") * 4:
        answer = stranger.get(path)
        assert answer.status_code == 403 and "This link is not valid" in answer.text
    form = {"name": NAME, "password": PASSWORD}
    assert stranger.post("/login", data=form).status_code == 303


def test_a_first_password_opens_nothing_but_another_password(
    ada: TestClient, tmp_path: Path
) -> None:
    form = {"name": "opa", "role": "operator", "password": PASSWORD}
    assert ada.post("/accounts", data=form).status_code == 303
    opa = client_of(tmp_path)
    opa.post("/login", data={"name": "opa", "password": PASSWORD})
    assert opa.get("/live").headers["location"] == "/account"
    refused = opa.get("/api/v1/live/recent").json()
    assert refused["detail"] == "Choose a password of your own first."
    assert "Choose a password of your own first" in opa.get("/account").text
    same = {"old": PASSWORD, "new": PASSWORD, "again": PASSWORD}
    assert opa.post("/account/password", data=same).status_code == 422
    other = {"old": PASSWORD, "new": NEW, "again": NEW}
    assert opa.post("/account/password", data=other).status_code == 303
    assert opa.get("/live").status_code == 200


def test_one_administrator_who_can_log_in_always_stays(path: Path) -> None:
    members = Members(path)
    ada = members.find(NAME).id
    Accounts(path).follow_link(create_login_link(path).removeprefix("/login?link="))
    other = members.add_with_link("bob", Role.ADMINISTRATOR, NAME)  # who cannot log in yet
    for change in (members.remove, members.disable, members.reset):
        with pytest.raises(AccountError, match=LAST):
            change(ada, NAME)
    with pytest.raises(AccountError, match=LAST):
        members.set_role(ada, Role.RESEARCHER, NAME)
    members.redeem(other.partition("=")[2], NEW)
    members.set_role(ada, Role.RESEARCHER, NAME)
    with pytest.raises(AccountError, match="bob is the last administrator"):
        members.remove(members.find("bob").id, NAME)
    assert Accounts(path).check_password(NAME, PASSWORD).role is Role.RESEARCHER


def test_a_disabled_account_is_told_so_only_with_the_right_password(path: Path) -> None:
    accounts = Accounts(path)
    members = Members(path)
    members.add_with_password("vic", Role.VIEWER, NEW, NAME)
    token = accounts.log_in(accounts.check_password("vic", NEW))
    number = members.find("vic").id
    members.disable(number, NAME)
    assert accounts.of_token(token) is None
    with pytest.raises(AccountError, match="This account is disabled"):
        accounts.check_password("vic", NEW)
    with pytest.raises(AccountError, match="Name or password is wrong"):
        accounts.check_password("vic", PASSWORD)
    members.enable(number, NAME)
    assert accounts.check_password("vic", NEW).name == "vic"


def test_a_reset_takes_the_password_away(path: Path) -> None:
    accounts = Accounts(path)
    members = Members(path)
    members.add_with_password("vic", Role.VIEWER, NEW, NAME)
    vic = accounts.check_password("vic", NEW)
    token = accounts.log_in(vic)
    link = members.reset(vic.id, NAME).partition("=")[2]
    assert accounts.of_token(token) is None
    with pytest.raises(AccountError, match="is wrong"):
        accounts.check_password("vic", NEW)
    members.redeem(link, PASSWORD)
    assert accounts.check_password("vic", PASSWORD).must_change is False


@pytest.mark.parametrize("name", [NAME, "nobody", "vic", "demo"])
def test_no_name_is_distinguished_by_how_long_a_wrong_password_takes(
    path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is compared with a hash: vic has a link and no password yet, demo never has one."""
    Members(path).add_with_link("vic", Role.VIEWER, NAME)
    Accounts(path).follow_link(create_login_link(path).removeprefix("/login?link="))
    compared = []
    right = PasswordHasher.verify

    def verify(hasher: PasswordHasher, kept: str, password: str) -> bool:
        compared.append(kept)
        return right(hasher, kept, password)

    monkeypatch.setattr(PasswordHasher, "verify", verify)
    with pytest.raises(AccountError, match="Name or password is wrong"):
        Accounts(path).check_password(name, "wrong")
    assert len(compared) == 1 and compared[0].startswith("$argon2id$")


def test_each_change_stands_in_the_audit(path: Path) -> None:
    members = Members(path)
    members.add_with_link("vic", Role.VIEWER, NAME)
    number = members.find("vic").id
    members.set_role(number, Role.VIEWER, NAME)
    members.set_role(number, Role.OPERATOR, NAME)
    members.disable(number, NAME)
    members.enable(number, NAME)
    members.reset(number, NAME)
    members.remove(number, NAME)
    lines = query(path, "SELECT action, detail FROM audit WHERE action LIKE 'account%' ORDER BY id")
    assert lines == [
        ("account_add", "vic as viewer, with a link"),
        ("account_role", "vic: viewer to operator"),
        ("account_disable", "vic"),
        ("account_enable", "vic"),
        ("account_reset", "vic"),
        ("account_remove", "vic"),
    ]


def test_the_page_offers_every_change(ada: TestClient) -> None:
    log_in_as(ada, Role.VIEWER)
    number = next(one["id"] for one in ada.get("/api/v1/accounts").json() if one["name"] != NAME)
    assert ada.post(f"/accounts/{number}/disable").status_code == 303
    assert "disabled</span>" in ada.get("/accounts").text
    assert ada.post(f"/accounts/{number}/enable").status_code == 303
    assert link_in(ada.post(f"/accounts/{number}/reset").text)
    assert ada.post(f"/accounts/{number}/remove").status_code == 303
    gone = ada.post(f"/accounts/{number}/enable")
    assert gone.status_code == 422 and "This account no longer exists" in gone.text
    assert LAST in ada.post("/accounts/1/remove").text


def run(path: Path, *words: str, typed: str = "") -> tuple[int, str]:
    done = CliRunner().invoke(command, [*words, "--data", str(path.parent)], input=typed)
    return done.exit_code, done.output


def test_accounts_are_managed_on_the_command_line(path: Path) -> None:
    code, output = run(path, "add", "vic", "--role", "viewer")
    assert code == 0 and "/welcome?link=" in output
    Members(path).redeem(output.partition("link=")[2].strip(), NEW)
    assert run(path, "role", "VIC", "operator") == (0, "vic has the role operator now.\n")
    code, output = run(path, "add", "opa", "--role", "operator", "--password", typed=f"{NEW}\n" * 2)
    assert code == 0 and "has to change the password" in output and NEW not in output
    code, output = run(path, "list")
    assert [line.split("\t")[:2] for line in output.splitlines()] == [
        ["ada", "administrator"],
        ["opa", "operator"],
        ["vic", "operator"],
    ]
    assert "/welcome?link=" in run(path, "reset", "vic")[1]
    assert run(path, "remove", "vic") == (0, "vic was removed.\n")
    actors = query(path, "SELECT DISTINCT actor FROM audit WHERE action LIKE 'account%' ORDER BY 1")
    assert actors == [("command line",), ("vic",)]
