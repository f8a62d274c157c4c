"""The way in with a second factor: password, code, and what guessing costs."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path

import pyotp
import pytest
from starlette.testclient import TestClient

from dashboard.__main__ import main
from dashboard.accounts import second_factors
from dashboard.accounts.roles import Role
from dashboard.web.options import DashboardOptions
from dashboard.web.services import ENROLMENT_S, HALF_LOGIN_S
from edge_agent.core.clock import Instant, now
from tests.support.dashboard import (
    NAME,
    PASSWORD,
    another_browser,
    client_of,
    log_in_as,
    services_of,
    set_up,
)
from tests.support.timeline import query

PAGE = "/account/second-factor"


class Time:
    """Seconds that pass when told to: for the dashboard's clock and for the codes."""

    def __init__(self) -> None:
        self.passed = 0.0

    def __call__(self) -> float:
        return 1000.0 + self.passed

    def now(self) -> Instant:
        return now().shift(self.passed)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    monkeypatch.setattr(second_factors, "now", time.now)
    return time


@pytest.fixture
def ada(tmp_path: Path, time: Time) -> Iterator[TestClient]:
    """Somebody who is logged in."""
    with client_of(tmp_path, time) as client:
        yield set_up(client, tmp_path)


def begun(client: TestClient) -> tuple[str, str]:
    """Ask for a second factor; return the key of the form, and the secret."""
    page = client.post(PAGE, data={"password": PASSWORD}).text
    key = re.search(r'name="key" value="([^"]+)"', page)
    secret = re.search(r'id="secret"[^>]*>([^<]+)<', page)
    assert key and secret, page
    return key[1], secret[1].replace(" ", "")


def code_of(secret: str, time: Time) -> str:
    """What the app shows, a minute later each time: no code comes twice."""
    time.passed += 60
    return pyotp.TOTP(secret).at(time.now().wall_ms // 1000)


def secured(client: TestClient, time: Time) -> tuple[str, list[str]]:
    """Turn it on; return the secret and the recovery codes."""
    key, secret = begun(client)
    page = client.post(f"{PAGE}/on", data={"key": key, "code": code_of(secret, time)}).text
    codes = re.findall(r"<code>([A-Z2-9]{4}(?:-[A-Z2-9]{4}){3})</code>", page)
    assert len(codes) == 10, page
    return secret, codes


def half(client: TestClient, password: str = PASSWORD) -> str:
    """Give name and password; return where that leads."""
    answer = client.post("/login", data={"name": NAME, "password": password, "next": "/trends"})
    return str(answer.headers.get("location", answer.status_code))


def test_password_and_code_open_the_page_that_was_asked_for(ada: TestClient, time: Time) -> None:
    secret, codes = secured(ada, time)
    assert 'class="qr"' not in ada.get("/account").text, "the picture is shown once"
    other = another_browser(ada, "10.0.0.9")
    assert half(other) == "/login/code"
    assert other.get("/live").status_code == 303, "the password alone opens nothing"
    assert other.get("/login/code").status_code == 200
    answer = other.post("/login/code", data={"code": "000 000"})
    assert answer.status_code == 401 and "This code is wrong" in answer.text
    answer = other.post("/login/code", data={"code": code_of(secret, time)})
    assert (answer.status_code, answer.headers["location"]) == (303, "/trends")
    assert other.get("/live").status_code == 200
    assert half(other) == "/login/code" and other.get("/live").status_code == 200
    assert other.post("/login/code", data={"code": codes[0]}).status_code == 303
    assert "9 recovery codes are left" in other.get("/account").text
    audit = query(_database(ada), "SELECT actor, action FROM audit")
    assert (NAME, "second_factor_failed") in audit


def test_without_the_right_password_there_is_no_page_for_a_code(
    ada: TestClient, time: Time
) -> None:
    secret, _ = secured(ada, time)
    other = another_browser(ada, "10.0.0.9")
    assert half(other, "not the password") == "401"
    assert other.get("/login/code").headers["location"] == "/login"
    answer = other.post("/login/code", data={"code": code_of(secret, time)})
    assert answer.headers["location"] == "/login"
    assert half(other) == "/login/code"
    time.passed += HALF_LOGIN_S + 1
    answer = other.post("/login/code", data={"code": code_of(secret, time)})
    assert answer.headers["location"] == "/login", "that was too slow"


def test_who_knows_the_password_cannot_guess_codes_by_giving_it_again(
    ada: TestClient, time: Time
) -> None:
    secured(ada, time)
    other = another_browser(ada, "10.0.0.9")
    answers = []
    for guess in range(8):
        assert half(other) == "/login/code"
        answers.append(other.post("/login/code", data={"code": f"{guess:06}"}).status_code)
    assert answers == [401] * 5 + [429] * 3


def test_a_password_that_changed_meanwhile_ends_the_half_login(ada: TestClient, time: Time) -> None:
    secret, _ = secured(ada, time)
    other = another_browser(ada, "10.0.0.9")
    half(other)
    new = "staple and another horse"
    ada.post("/account/password", data={"old": PASSWORD, "new": new, "again": new})
    answer = other.post("/login/code", data={"code": code_of(secret, time)})
    assert answer.headers["location"] == "/login"
    assert other.get("/live").status_code == 303


def test_every_change_asks_for_the_password(ada: TestClient, time: Time) -> None:
    wrong = {"password": "not the password"}
    answer = ada.post(PAGE, data=wrong)
    assert answer.status_code == 422 and "The current password is wrong." in answer.text
    secured(ada, time)
    for path in (f"{PAGE}/off", f"{PAGE}/codes"):
        assert ada.post(path, data=wrong).status_code == 422
    assert half(another_browser(ada, "10.0.0.9")) == "/login/code", "it is on still"
    answer = ada.post(f"{PAGE}/codes", data={"password": PASSWORD})
    assert len(re.findall(r"<li><code>", answer.text)) == 10
    assert answer.headers["cache-control"] == "no-store"
    assert ada.post(f"{PAGE}/off", data={"password": PASSWORD}).status_code == 303
    assert half(another_browser(ada, "10.0.0.9")) == "/trends"


def test_wrong_first_code_shows_same_secret_again_and_too_late_begins_anew(
    ada: TestClient, time: Time
) -> None:
    key, secret = begun(ada)
    answer = ada.post(f"{PAGE}/on", data={"key": key, "code": "000000"})
    assert answer.status_code == 400 and secret[:4] in answer.text
    time.passed += ENROLMENT_S + 1
    answer = ada.post(f"{PAGE}/on", data={"key": key, "code": code_of(secret, time)})
    assert "Start again" in html.unescape(answer.text)
    assert "Turn on the second factor" in ada.get("/account").text


def test_second_factor_begun_by_one_login_is_not_turned_on_by_another(
    ada: TestClient, time: Time
) -> None:
    key, secret = begun(ada)
    eve = log_in_as(ada, Role.VIEWER)
    answer = eve.post(f"{PAGE}/on", data={"key": key, "code": code_of(secret, time)})
    assert answer.status_code == 422


def test_a_role_that_needs_one_opens_nothing_before_it_is_on(tmp_path: Path, time: Time) -> None:
    with client_of(tmp_path, time, second_factor_for=("administrator",)) as client:
        set_up(client, tmp_path)
        assert client.get("/live").headers["location"] == "/account"
        assert client.get("/api/v1/audit").status_code == 403
        assert "Turn on a second factor first." in client.get("/account").text
        assert log_in_as(client, Role.VIEWER).get("/live").status_code == 200
        secured(client, time)
        assert client.get("/live").status_code == 200


def test_programs_with_a_token_are_asked_for_nothing_more(tmp_path: Path, time: Time) -> None:
    with client_of(tmp_path, time, second_factor_for=("administrator",)) as client:
        set_up(client, tmp_path)
        secured(client, time)
        form = {"name": "grafana", "scope": "read", "role": "viewer", "days": "0"}
        page = client.post("/tokens", data=form).text
        secret = re.search(r"affect-edge-[\w-]{43}", page)
        assert secret, page
        headers = {"Authorization": f"Bearer {secret[0]}"}
        assert (
            another_browser(client, "10.0.0.9").get("/api/v1/now", headers=headers).status_code
            != 401
        )


def test_lost_second_factor_is_turned_off_by_a_command(
    ada: TestClient, tmp_path: Path, time: Time, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["account", "second-factor", "off", NAME, "--data", str(tmp_path)]
    assert main(command) == 2
    assert "ada has no second factor" in capsys.readouterr().err
    secured(ada, time)
    assert main(command) == 0
    assert ada.get("/live").status_code == 303, "logged out everywhere"
    assert half(another_browser(ada, "10.0.0.9")) == "/trends"
    last = query(_database(ada), "SELECT actor, detail FROM audit WHERE action LIKE '%factor_off'")
    assert last == [("command line", NAME)]


def _database(client: TestClient) -> Path:
    options: DashboardOptions = services_of(client).options
    return options.database
