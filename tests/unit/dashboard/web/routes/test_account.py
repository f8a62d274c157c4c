"""The account page, and the command for who has forgotten their password."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dashboard.__main__ import main
from dashboard.accounts.accounts import Accounts, create_login_link
from dashboard.accounts.logins import browser_name
from dashboard.accounts.roles import Role
from dashboard.web.options import DashboardOptions
from edge_agent.timeline.database.upgrade import migrate
from tests.support.dashboard import NAME, PASSWORD, client_of, log_in_as
from tests.support.timeline import query

NEW = "staple and another horse"
FORM = {"old": PASSWORD, "new": NEW, "again": NEW}


def login(client: TestClient, password: str) -> int:
    return client.post("/login", data={"name": NAME, "password": password}).status_code


def another_device(tmp_path: Path) -> TestClient:
    client = client_of(tmp_path)
    client.headers["user-agent"] = PHONE
    assert login(client, PASSWORD) == 303
    return client


def test_a_changed_password_is_confirmed_and_ends_logins_of_other_devices(
    ada: TestClient, tmp_path: Path
) -> None:
    phone = another_device(tmp_path)
    assert "and on 1 other device." in ada.get("/account").text
    answer = ada.post("/account/password", data=FORM)
    assert (answer.status_code, answer.headers["location"]) == (303, "/account?changed=1")
    page = ada.get("/account?changed=1").text
    assert (
        "The password was changed. Every other device has to log in again." in page
        and "other device." not in page
    )
    assert phone.get("/live").headers["location"] == "/login?next=/live"
    assert (login(phone, PASSWORD), login(phone, NEW)) == (401, 303)
    audit = query(DashboardOptions(data=tmp_path).database, "SELECT actor, action FROM audit")
    assert (NAME, "password_change") in audit


def test_whoever_sits_at_an_open_screen_cannot_guess_the_password(ada: TestClient) -> None:
    for _ in range(5):
        assert (
            ada.post("/account/password", data=FORM | {"old": "a guess, no more"}).status_code
            == 422
        )
    answer = ada.post("/account/password", data=FORM)
    assert answer.status_code == 429 and "Wait 5 minutes" in answer.text
    assert int(answer.headers["retry-after"]) > 290
    assert login(ada, PASSWORD) == 429, "counted together with logins"


def test_a_page_of_another_site_cannot_change_a_password(ada: TestClient) -> None:
    answer = ada.post("/account/password", data=FORM, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert login(ada, PASSWORD) == 303


def test_the_demonstration_has_no_password_to_change(tmp_path: Path) -> None:
    with client_of(tmp_path) as client:
        client.get(create_login_link(DashboardOptions(data=tmp_path).database))
        page = client.get("/account").text
        assert "has no password" in page and "<input" not in page
        assert client.post("/account/password", data=FORM).status_code == 422


def answering(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    """Type these words where a password is asked for."""
    typed = iter(words)
    monkeypatch.setattr("click.termui.hidden_prompt_func", lambda _prompt: next(typed))


@pytest.mark.parametrize("name", [[], [NAME], ["ADA"]])
def test_a_forgotten_password_is_set_anew_in_the_terminal(
    ada: TestClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: list[str],
) -> None:
    answering(monkeypatch, NEW, NEW)
    assert main(["password", *name, "--data", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "is logged out everywhere" in said and NEW not in said
    audit = query(tmp_path / "affect-edge.db", "SELECT actor, action, detail FROM audit")
    assert ("command line", "password_reset", NAME) in audit
    assert ada.get("/live").status_code == 303
    assert login(ada, NEW) == 303


@pytest.mark.parametrize(
    ("words", "typed", "said"),
    [
        (["eve"], [], "no account 'eve' with a password. There is: ada"),
        (
            [NAME],
            ["short", "short"],
            "The password must have 10 to 200 characters; this one has 5.",
        ),
    ],
)
def test_a_command_that_cannot_be_done_changes_nothing(
    ada: TestClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    typed: list[str],
    said: str,
) -> None:
    answering(monkeypatch, *typed)
    assert main(["password", *words, "--data", str(tmp_path)]) == 2
    assert said in capsys.readouterr().err
    assert login(ada, PASSWORD) == 303


def test_before_the_setup_there_is_no_password_to_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = DashboardOptions(data=tmp_path).database
    migrate(path)
    assert Accounts(path).names() == []
    assert main(["password", "--data", str(tmp_path)]) == 2
    assert "There is none yet; open the dashboard and set it up." in capsys.readouterr().err


PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) Version/18.1 Safari/604.1"


def keys(text: str) -> list[str]:
    return re.findall(r"/account/logins/(\w{16})/end", text)


def test_one_sees_where_one_is_logged_in_and_ends_it(ada: TestClient, tmp_path: Path) -> None:
    phone = another_device(tmp_path)
    page = ada.get("/account").text
    assert "Safari on iPhone" in page and "testclient, since" in page
    assert page.index("this one") < page.index("Safari on iPhone")
    own, other = keys(page)
    assert ada.post(f"/account/logins/{other}/end").status_code == 303
    assert phone.get("/live").status_code == 303 and ada.get("/live").status_code == 200
    assert ada.post(f"/account/logins/{own}/end").status_code == 303
    assert ada.get("/live").status_code == 303


def test_all_others_are_ended_at_once(ada: TestClient, tmp_path: Path) -> None:
    phones = [another_device(tmp_path) for _ in range(2)]
    assert ada.post("/account/logins/end-others").headers["location"] == "/account"
    assert [phone.get("/live").status_code for phone in phones] == [303, 303]
    assert ada.get("/live").status_code == 200
    assert "End all others" not in ada.get("/account").text


def test_nobody_ends_the_login_of_another_account(ada: TestClient) -> None:
    viewer = log_in_as(ada, Role.VIEWER)
    (key,) = keys(ada.get("/account").text)
    assert viewer.post(f"/account/logins/{key}/end").status_code == 303
    assert ada.get("/live").status_code == 200


def test_log_ins_failures_and_log_outs_stand_in_the_audit(ada: TestClient, tmp_path: Path) -> None:
    phone = another_device(tmp_path)
    phone.post("/logout")
    phone.post("/login", data={"name": NAME.upper(), "password": "wrong"})
    phone.post("/login", data={"name": "my secret password", "password": "x"})
    lines = query(
        tmp_path / "affect-edge.db",
        "SELECT actor, action, detail FROM audit WHERE action LIKE 'log%' ORDER BY id",
    )
    assert lines[1:] == [
        ("ada", "login", "from testclient, Safari on iPhone"),
        ("ada", "logout", ""),
        ("ada", "login_failed", "from testclient, Safari on iPhone"),
        ("unknown", "login_failed", "from testclient, Safari on iPhone"),
    ]


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ("", ""),
        (PHONE, "Safari on iPhone"),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("Mozilla/5.0 (Linux; Android 15) Chrome/140.0 Mobile Safari/537.36", "Chrome on Android"),
        ("curl/8.14.1", "curl"),
        ("<script>", "another program"),
    ],
)
def test_browsers_are_named_for_people(agent: str, name: str) -> None:
    assert browser_name(agent) == name
