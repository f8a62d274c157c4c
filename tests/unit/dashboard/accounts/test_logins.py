"""The log-ins of your own account, and what the audit trail says of log-ins."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dashboard.accounts.login import browser_name
from dashboard.accounts.roles import Role
from tests.support.dashboard import NAME, PASSWORD, client_of, log_in_as
from tests.support.timeline import query

PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) Version/18.1 Safari/604.1"


def another_device(tmp_path: Path) -> TestClient:
    client = client_of(tmp_path)
    client.headers["user-agent"] = PHONE
    answer = client.post("/login", data={"name": NAME, "password": PASSWORD})
    assert answer.status_code == 303
    return client


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
