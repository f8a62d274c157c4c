"""Passkeys through the pages: made, named, used, removed; and every answer that was made up."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from dashboard.accounts.passkeys.ceremonies import LOGIN_S
from dashboard.accounts.passkeys.passkeys import PASSKEYS_MAX
from dashboard.web.settings import DashboardOptions
from edge_agent.store.database.schema import write_transaction
from tests.support.dashboard import NAME, PASSWORD, client_of, set_up
from tests.support.security.soft_authenticator import (
    PRESENT,
    SoftAuthenticator,
    bytes_of,
    text_of,
)
from tests.support.timeline import query

HERE = "http://localhost"
ADD = "/account/passkeys/add"
LOGIN = "/login/passkey"


class Time:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.passed = 0.0

    def __call__(self) -> float:
        return 1000.0 + self.passed


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def ada(tmp_path: Path, time: Time) -> Iterator[TestClient]:
    """Somebody who is logged in and has the dashboard open by a name."""
    with client_of(tmp_path, time) as client:
        client.base_url = HERE
        yield set_up(client, tmp_path)


def stranger(client: TestClient, address: str = HERE) -> TestClient:
    """Another browser at the same dashboard."""
    return TestClient(
        client.app,
        base_url=address,
        follow_redirects=False,
        raise_server_exceptions=False,
        client=("10.0.0.9", 5000),
    )


def offered(client: TestClient) -> dict[str, Any]:
    """What the page tells a browser that is to make a passkey."""
    page = client.post("/account/passkeys", data={"password": PASSWORD}).text
    found = re.search(r'data-options="([^"]+)"', page)
    assert found, page
    return dict(json.loads(html.unescape(found[1])))


def made(client: TestClient, key: SoftAuthenticator, name: str = "phone") -> list[str]:
    """Make a passkey; return the recovery codes that were shown."""
    answer = client.post(ADD, data={"answer": json.dumps(key.make(offered(client))), "name": name})
    assert answer.status_code in {200, 303}, answer.text
    return re.findall(r"<code>([A-Z2-9]{4}(?:-[A-Z2-9]{4}){3})</code>", answer.text)


def options(client: TestClient) -> dict[str, Any]:
    """What a browser is told that is to log in."""
    answer = client.post(f"{LOGIN}/options")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def given(client: TestClient, answer: dict[str, Any], target: str = "") -> tuple[int, str]:
    """Send an answer; return the status, and where it leads."""
    reply = client.post(LOGIN, data={"answer": json.dumps(answer), "next": target})
    return reply.status_code, reply.headers.get("location", "")


def audit(client: TestClient) -> list[str]:
    """What the audit trail says of passkeys."""
    database = client.app.state.services.options.database  # type: ignore[attr-defined]
    rows = query(database, "SELECT action FROM audit WHERE action LIKE 'passkey%' ORDER BY id")
    return [row[0] for row in rows]


def test_a_passkey_logs_in_without_the_password(ada: TestClient) -> None:
    key = SoftAuthenticator(count=1)
    assert len(made(ada, key)) == 10, "the first one brings recovery codes"
    other = stranger(ada)
    assert "Log in with a passkey" in other.get("/login").text
    asked = options(other)
    assert asked["userVerification"] == "required" and asked["rpId"] == "localhost"
    assert not asked.get("allowCredentials"), "a stranger is told of no passkey"
    assert given(other, key.sign(asked), "/trends") == (303, "/trends")
    assert other.get("/live").status_code == 200
    assert "last used" in other.get("/account").text
    assert audit(ada) == ["passkey_add", "passkey_used"]


def test_from_then_on_the_password_asks_for_the_passkey(ada: TestClient) -> None:
    key = SoftAuthenticator()
    codes = made(ada, key)
    other = stranger(ada)
    data = {"name": NAME, "password": PASSWORD, "next": "/trends"}
    assert other.post("/login", data=data).headers["location"] == "/login/code"
    page = other.get("/login/code").text
    assert "Go on with a passkey" in page and "One of your recovery codes" in page
    asked = options(other)
    assert [one["id"] for one in asked["allowCredentials"]] == [text_of(key.id)]
    assert other.post("/login/code", data={"code": "000000"}).status_code == 401
    assert given(other, key.sign(asked)) == (303, "/trends")
    third = stranger(ada)
    third.post("/login", data=data)
    assert third.post("/login/code", data={"code": codes[0]}).status_code == 303
    assert third.get("/live").status_code == 200


def test_an_answer_is_good_once(ada: TestClient) -> None:
    key = SoftAuthenticator()
    made(ada, key)
    other = stranger(ada)
    answer = key.sign(options(other))
    assert given(other, answer)[0] == 303
    again = stranger(ada)
    assert given(again, answer)[0] == 401
    assert again.get("/live").status_code == 303
    assert audit(ada)[-1] == "passkey_failed"


def test_a_challenge_ends_and_is_of_this_dashboard(ada: TestClient, time: Time) -> None:
    key = SoftAuthenticator()
    made(ada, key)
    other = stranger(ada)
    asked = options(other)
    time.passed += LOGIN_S + 1
    assert given(other, key.sign(asked))[0] == 401
    for challenge in ("", "AAAA", text_of(bytes(56)), offered(ada)["challenge"]):
        assert given(stranger(ada), key.sign({"challenge": challenge}))[0] in {401, 429}


def wrong_signature(key: SoftAuthenticator, asked: dict[str, Any]) -> dict[str, Any]:
    other = SoftAuthenticator(id=key.id, handle=key.handle)
    return other.sign(asked)


def of_another_page(key: SoftAuthenticator, asked: dict[str, Any]) -> dict[str, Any]:
    key.origin = "http://evil.example"
    return key.sign(asked)


def for_another_name(key: SoftAuthenticator, asked: dict[str, Any]) -> dict[str, Any]:
    key.host = "evil.example"
    return key.sign(asked)


def nobody_verified(key: SoftAuthenticator, asked: dict[str, Any]) -> dict[str, Any]:
    key.flags = PRESENT
    return key.sign(asked)


def count_went_back(key: SoftAuthenticator, asked: dict[str, Any]) -> dict[str, Any]:
    key.count = 1
    return key.sign(asked)


def another_owner(key: SoftAuthenticator, asked: dict[str, Any]) -> dict[str, Any]:
    key.handle = text_of(bytes(16))
    return key.sign(asked)


def unknown_passkey(key: SoftAuthenticator, asked: dict[str, Any]) -> dict[str, Any]:
    return SoftAuthenticator().sign(asked)


def made_instead_of_signed(key: SoftAuthenticator, asked: dict[str, Any]) -> dict[str, Any]:
    return key.make({**asked, "user": {"id": key.handle}})


def id_of_another(key: SoftAuthenticator, asked: dict[str, Any]) -> dict[str, Any]:
    answer = SoftAuthenticator(handle=key.handle).sign(asked)
    answer["id"] = text_of(key.id)
    return answer


def changed_after_signing(key: SoftAuthenticator, asked: dict[str, Any]) -> dict[str, Any]:
    answer = key.sign(asked)
    data = bytearray(bytes_of(answer["response"]["authenticatorData"]))
    data[36] ^= 1  # the count
    answer["response"]["authenticatorData"] = text_of(bytes(data))
    return answer


@pytest.mark.parametrize(
    "forge",
    [
        wrong_signature,
        of_another_page,
        for_another_name,
        nobody_verified,
        count_went_back,
        another_owner,
        unknown_passkey,
        made_instead_of_signed,
        id_of_another,
        changed_after_signing,
    ],
)
def test_what_is_made_up_logs_nobody_in(
    ada: TestClient, forge: Callable[[SoftAuthenticator, dict[str, Any]], dict[str, Any]]
) -> None:
    key = SoftAuthenticator(count=7)
    made(ada, key)
    other = stranger(ada)
    status, _ = given(other, forge(key, options(other)))
    assert status == 401
    assert other.get("/live").status_code == 303
    assert "passkey_used" not in audit(ada)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"id": 1}',
        "[" * 5000,
        '{"response": null, "id": "a"}',
        '{"id": "a", "response": {"clientDataJSON": 7}}',
        '{"id": "a", "response": {"clientDataJSON": "e30"}}',
        '{"id": "a", "response": {"clientDataJSON": "%%%"}}',
        '{"id": "a", "response": {"clientDataJSON": "eyJjaGFsbGVuZ2UiOjF9"}}',
    ],
)
def test_what_is_no_answer_at_all_is_refused_with_a_sentence(ada: TestClient, text: str) -> None:
    answer = stranger(ada).post(LOGIN, data={"answer": text})
    assert answer.status_code == 401 and "does not fit" in answer.text
    answer = ada.post(ADD, data={"answer": text, "name": "phone"})
    assert answer.status_code == 400, answer.text


def test_guesses_are_counted(ada: TestClient) -> None:
    other = stranger(ada)
    answers = [given(other, SoftAuthenticator().sign(options(other)))[0] for _ in range(7)]
    assert answers == [401] * 5 + [429] * 2


def test_making_one_asks_for_the_password_and_takes_a_challenge_of_this_login_alone(
    ada: TestClient,
) -> None:
    assert ada.post("/account/passkeys", data={"password": "wrong"}).status_code == 400
    key = SoftAuthenticator()
    foreign = key.make({"challenge": options(ada)["challenge"], "user": {"id": "AAAA"}})
    assert ada.post(ADD, data={"answer": json.dumps(foreign), "name": "a"}).status_code == 400
    asked = offered(ada)
    other = stranger(ada)
    other.post("/login", data={"name": NAME, "password": PASSWORD})
    answer = json.dumps(key.make(asked))
    assert other.post(ADD, data={"answer": answer, "name": "a"}).status_code == 400
    assert ada.post(ADD, data={"answer": answer, "name": "a"}).status_code == 200
    assert ada.post(ADD, data={"answer": answer, "name": "a"}).status_code == 400, "good once"
    assert audit(ada) == ["passkey_add"]


def test_a_passkey_that_verifies_nobody_is_not_made(ada: TestClient) -> None:
    key = SoftAuthenticator(flags=PRESENT)
    answer = json.dumps(key.make(offered(ada)))
    page = ada.post(ADD, data={"answer": answer, "name": "a"})
    assert page.status_code == 400 and "No passkey was made" in page.text


def test_a_passkey_is_known_once(ada: TestClient) -> None:
    key = SoftAuthenticator()
    made(ada, key)
    asked = offered(ada)
    assert [one["id"] for one in asked["excludeCredentials"]] == [text_of(key.id)]
    page = ada.post(ADD, data={"answer": json.dumps(key.make(asked)), "name": "again"})
    assert page.status_code == 400 and "known already" in page.text


def test_names_and_numbers_have_bounds(ada: TestClient) -> None:
    for name in ("", "  ", "x" * 41, "a\x07b"):
        answer = json.dumps(SoftAuthenticator().make(offered(ada)))
        page = ada.post(ADD, data={"answer": answer, "name": name})
        assert page.status_code == 400 and "printable" in page.text
    for number in range(PASSKEYS_MAX):
        made(ada, SoftAuthenticator(), f"key {number}")
    answer = json.dumps(SoftAuthenticator().make(offered(ada)))
    page = ada.post(ADD, data={"answer": answer, "name": "one more"})
    assert page.status_code == 400 and "20 passkeys" in page.text


def test_it_is_renamed_and_removed_with_the_password(ada: TestClient) -> None:
    key = SoftAuthenticator()
    made(ada, key)
    one = f"/account/passkeys/{text_of(key.id)}"
    assert ada.post(f"{one}/name", data={"name": "watch"}).status_code == 303
    assert "watch" in ada.get("/account").text
    assert ada.post(f"{one}/remove", data={"password": "wrong"}).status_code == 400
    answer = ada.post(f"{one}/remove", data={"password": PASSWORD})
    assert answer.status_code == 303
    assert given(stranger(ada), key.sign(options(stranger(ada))))[0] == 401
    assert audit(ada) == ["passkey_add", "passkey_rename", "passkey_remove"]
    for path in (f"{one}/name", f"{one}/remove", "/account/passkeys/none/name"):
        data = {"name": "a", "password": PASSWORD}
        assert ada.post(path, data=data).status_code == 400, path
    direct = stranger(ada).post("/login", data={"name": NAME, "password": PASSWORD})
    assert direct.headers["location"] == "/live", "the last one took the second factor with it"


def test_making_and_removing_end_the_other_logins(ada: TestClient) -> None:
    other = stranger(ada)
    other.post("/login", data={"name": NAME, "password": PASSWORD})
    assert other.get("/live").status_code == 200
    key = SoftAuthenticator()
    made(ada, key)
    assert other.get("/live").status_code == 303
    assert ada.get("/live").status_code == 200


def test_turning_the_second_factor_off_takes_the_passkeys_along(ada: TestClient) -> None:
    key = SoftAuthenticator()
    made(ada, key)
    assert "removes your passkeys" in ada.get("/account").text
    ada.post("/account/second-factor/off", data={"password": PASSWORD})
    assert given(stranger(ada), key.sign(options(stranger(ada))))[0] == 401


def test_an_account_that_is_disabled_or_reset_is_not_opened_by_its_passkey(
    ada: TestClient,
) -> None:
    key = SoftAuthenticator()
    made(ada, key)
    database = ada.app.state.services.options.database  # type: ignore[attr-defined]
    other = stranger(ada)
    for change, sentence in (
        ("UPDATE account SET disabled = 1", "disabled"),
        ("UPDATE account SET disabled = NULL, password_hash = '?'", "with the link first"),
    ):
        with write_transaction(database) as connection:
            connection.execute(change)
        answer = json.dumps(key.sign(options(other)))
        page = other.post(LOGIN, data={"answer": answer})
        assert page.status_code == 401 and sentence in page.text


def test_under_an_address_there_are_none_and_the_page_says_why(ada: TestClient) -> None:
    by_address = stranger(ada, "http://127.0.0.1")
    assert "Log in with a passkey" not in by_address.get("/login").text
    answer = by_address.post(f"{LOGIN}/options")
    assert answer.status_code == 409 and "by its name" in answer.text
    assert given(by_address, SoftAuthenticator().sign({"challenge": "AAAA"}))[0] == 401
    data = {"name": NAME, "password": PASSWORD}
    made(ada, SoftAuthenticator())
    by_address.post("/login", data=data)
    page = by_address.get("/login/code").text
    assert "Go on with a passkey" not in page and "localhost" in page
    ada.base_url = "http://127.0.0.1"
    token = dict(ada.cookies)
    other = stranger(ada, "http://127.0.0.1")
    other.cookies.update(token)
    page = other.get("/account").text
    assert "not under an address" in page
    answer = other.post("/account/passkeys", data={"password": PASSWORD})
    assert answer.status_code == 400 and "not under an address" in answer.text


def test_an_app_can_stand_beside_passkeys(ada: TestClient) -> None:
    made(ada, SoftAuthenticator())
    page = ada.post("/account/second-factor", data={"password": PASSWORD}).text
    assert 'id="secret"' in page
    assert "Add an app" in ada.get("/account").text


def test_nothing_of_a_passkey_stands_in_the_database(ada: TestClient, tmp_path: Path) -> None:
    key = SoftAuthenticator()
    made(ada, key, "telephone of Ada")
    database = DashboardOptions(data=tmp_path).database
    kept = database.with_name("credentials.json").read_text(encoding="utf-8")
    assert text_of(key.id) in kept and "telephone of Ada" in kept
    for file in tmp_path.glob("*.db*"):
        assert text_of(key.id).encode() not in file.read_bytes()
