"""The pages and the API over a real database: who gets in, what is answered, what an error looks
like.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from dashboard.accounts.accounts import create_login_link
from dashboard.web.app import create_app
from dashboard.web.authentication import DEVICE_COOKIE, LOGIN_COOKIE, PUBLIC_PATHS, cookie_name
from dashboard.web.guards.security import BODY_BYTES
from dashboard.web.options import DashboardOptions
from edge_agent.core.errors import StoreError
from edge_agent.timeline.study.sessions import Study
from tests.golden.project import routes
from tests.support.clocks.simulated_time import Seconds
from tests.support.dashboard import NAME, PASSWORD, client_of, fill, set_up
from tests.support.timeline import query_dashboard


@pytest.fixture
def clock() -> Seconds:
    """What the limit of attempts is counted by."""
    return Seconds()


@pytest.fixture
def stranger(tmp_path: Path, clock: Seconds) -> Iterator[TestClient]:
    """Somebody who is not logged in."""
    with client_of(tmp_path, clock) as client:
        yield client


# Who gets in


def test_every_route_but_the_public_ones_needs_a_login(tmp_path: Path) -> None:
    client = client_of(tmp_path)
    served = routes(cast("FastAPI", client.app))
    # one of each folder of routes: a route that is skipped here would be guarded by nobody
    assert {("GET", "/live"), ("GET", "/study/sessions/{number}/quality")} <= set(served)
    for method, template in served:
        if method == "folder" or template in PUBLIC_PATHS or template.startswith("/static/"):
            continue
        path = re.sub(r"\{\w+\}", "1", template)
        answer = client.request(method, path)
        assert answer.status_code == _answer_to_strangers(path), (method, path)
        assert "set-cookie" not in answer.headers


def _answer_to_strangers(path: str) -> int:
    if path.startswith("/api/") or path == "/metrics":
        return 401
    if path.startswith("/participate/"):
        return 404  # a wrong token opens nothing
    return 303


def test_a_page_leads_to_the_login_and_back(ada: TestClient) -> None:
    ada.cookies.clear()
    answer = ada.get("/trends?range=7d")
    assert answer.headers["location"] == "/login?next=/trends%3Frange%3D7d"
    form = ada.get(answer.headers["location"]).text
    assert 'name="next" value="/trends?range=7d"' in form
    answer = ada.post(
        "/login", data={"name": NAME, "password": PASSWORD, "next": "/trends?range=7d"}
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/trends?range=7d")
    assert ada.get("/login?next=/study").headers["location"] == "/study", (
        "who is logged in needs no form"
    )


def test_a_login_never_leads_to_another_site(ada: TestClient) -> None:
    answer = ada.post(
        "/login", data={"name": NAME, "password": PASSWORD, "next": "https://evil.example/"}
    )
    assert answer.headers["location"] == "/live"


def test_the_login_cookie_cannot_be_read_by_scripts_or_sent_by_other_sites(
    ada: TestClient, tmp_path: Path
) -> None:
    cookie = ada.post("/login", data={"name": NAME, "password": PASSWORD}).headers["set-cookie"]
    assert (
        "HttpOnly" in cookie
        and "SameSite=lax" in cookie
        and "Path=/" in cookie
        and "Secure" not in cookie
    )
    secure = client_of(tmp_path, certificate=tmp_path / "cert.pem", key=tmp_path / "key.pem")
    answer = secure.post("/login", data={"name": NAME, "password": PASSWORD})
    cookies = answer.headers.get_list("set-cookie")
    assert [cookie.partition("=")[0] for cookie in cookies] == [
        f"__Host-{LOGIN_COOKIE}",
        f"__Host-{DEVICE_COOKIE}",
    ]
    for cookie in cookies:
        assert "Secure" in cookie and "Path=/" in cookie and "omain" not in cookie
    secure.cookies.set(LOGIN_COOKIE, ada.cookies[LOGIN_COOKIE])
    assert secure.get("/live").status_code == 303, "one that another program could have set"


@pytest.mark.parametrize("second", [8081, 8443])
def test_login_at_a_second_port_of_a_host_ends_none_at_the_first(
    ada: TestClient, tmp_path: Path, second: int
) -> None:
    (tmp_path / "second").mkdir()
    with client_of(tmp_path / "second", port=second) as other:
        # A browser has one jar of cookies for all ports of a host.
        other.cookies = ada.cookies
        set_up(other, tmp_path / "second")
        ada.cookies = other.cookies
        assert (other.get("/live").status_code, ada.get("/live").status_code) == (200, 200)
        assert other.post("/logout").status_code == 303
        ada.cookies = other.cookies
        assert (other.get("/live").status_code, ada.get("/live").status_code) == (303, 200)


def test_port_of_a_login_cookie_stands_behind_its_name(tmp_path: Path) -> None:
    usual = DashboardOptions(data=tmp_path)
    assert cookie_name(LOGIN_COOKIE, usual) == "affect-edge-login"
    assert cookie_name(LOGIN_COOKIE, replace(usual, port=8443)) == "affect-edge-login-8443"
    secure = replace(usual, port=8443, certificate=tmp_path / "cert.pem")
    assert cookie_name(LOGIN_COOKIE, secure) == "__Host-affect-edge-login-8443"


def test_setup_comes_first_and_only_once(stranger: TestClient, tmp_path: Path) -> None:
    assert stranger.get("/login").headers["location"] == "/setup"
    assert "Setup code" in stranger.get("/setup").text
    wrong = stranger.post(
        "/setup", data={"code": "AAAA-AAAA-AAAA", "name": NAME, "password": PASSWORD}
    )
    assert wrong.status_code == 400 and "not the setup code" in wrong.text
    assert PASSWORD not in wrong.text
    set_up(stranger, tmp_path)
    assert stranger.get("/live").status_code == 200
    assert stranger.get("/setup").status_code == 404


def test_wrong_passwords_are_refused_and_after_five_address_has_to_wait(
    ada: TestClient, clock: Seconds
) -> None:
    ada.cookies.clear()
    for _ in range(5):
        answer = ada.post("/login", data={"name": NAME, "password": "wrong password"})
        assert answer.status_code == 401 and "Name or password is wrong" in answer.text
    answer = ada.post("/login", data={"name": NAME, "password": PASSWORD})
    assert answer.status_code == 429 and "Wait 5 minutes" in answer.text
    assert answer.headers["retry-after"] == "300"
    clock.now += 10
    code = ada.post("/setup", data={"code": "A", "name": NAME, "password": PASSWORD})
    assert code.status_code == 429, "setup codes and passwords are counted together"
    assert ada.get("/login?link=abc").status_code == 403, "links are neither counted nor held up"
    clock.now += 290
    assert ada.post("/login", data={"name": NAME, "password": PASSWORD}).status_code == 303


def test_logging_out_ends_the_login_on_the_device(ada: TestClient, database: Path) -> None:
    token = ada.cookies[LOGIN_COOKIE]
    assert ada.post("/logout").headers["location"] == "/login"
    ada.cookies.set(LOGIN_COOKIE, token)
    assert ada.get("/api/v1/session").status_code == 401
    assert query_dashboard(database, "SELECT count(*) FROM login") == [(0,)]


def test_the_login_link_of_the_demo_works_once(stranger: TestClient, database: Path) -> None:
    link = create_login_link(database)
    first = stranger.get(link)
    assert (first.status_code, first.headers["location"]) == (303, "/live")
    assert stranger.get(link).headers["location"] == "/live", "coming back with it does no harm"
    stranger.cookies.clear()
    second = stranger.get(link)
    assert second.status_code == 403 and "has expired or was already used" in second.text


def test_every_answer_carries_the_guarding_headers(ada: TestClient) -> None:
    for path in ("/live", "/static/app.css", "/nothing", "/api/v1/session", "/healthz"):
        headers = ada.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy and "unsafe" not in policy and "http" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store" or path.startswith("/static/")


def test_no_page_carries_inline_scripts_or_styles_or_addresses_outside(
    ada: TestClient, database: Path
) -> None:
    fill(database, minutes=5)
    for path in ("/live", "/trends?range=1h", "/study", "/analysis", "/login", "/nothing"):
        text = ada.get(path).text
        assert "<style" not in text and " style=" not in text and " onclick=" not in text, path
        assert "http://" not in text.replace("http://127.0.0.1", "") and "https://" not in text, (
            path
        )


# Errors


def test_an_unknown_address_is_a_page_for_people_and_json_for_programs(ada: TestClient) -> None:
    page = ada.get("/nothing")
    assert page.status_code == 404 and "Page not found" in page.text and "Trends" in page.text
    answer = ada.get("/api/v1/nothing%20here")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "urn:affect-edge:problem:not-found",
        "title": "Not found",
        "status": 404,
        "detail": "There is nothing at this address.",
        "instance": "/api/v1/nothing%20here",
        "what_to_do": "Check the address, and the number or name in it.",
    }


def test_the_methods_of_an_address_are_reported_all_of_them(ada: TestClient) -> None:
    for path, methods in (
        ("/api/v1/session", {"GET", "POST"}),
        ("/api/v1/exports/1", {"GET", "DELETE"}),
    ):
        answer = ada.options(path)
        assert answer.status_code == 405
        assert methods <= set(answer.headers["allow"].split(", ")) <= {*methods, "HEAD"}


def test_a_value_that_is_not_understood_is_named(ada: TestClient) -> None:
    answer = ada.get("/api/v1/trends?start=soon&end=5")
    assert answer.status_code == 422
    assert "start" in answer.json()["detail"] and "'soon'" in answer.json()["detail"]
    assert ada.get("/trends?start=soon").status_code == 422


def test_a_database_that_has_gone_is_explained_with_its_cure(
    ada: TestClient, database: Path
) -> None:
    database.unlink()
    page = ada.get("/live")
    assert page.status_code == 503
    assert "there is no database" in page.text and "Start the agent once" in page.text
    assert "there is no database" in ada.get("/api/v1/trends?start=0&end=1").json()["detail"]


def test_an_unexpected_error_shows_no_inside(
    ada: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the secret inside")

    monkeypatch.setattr(Study, "open_session", broken)
    page = ada.get("/live")
    assert page.status_code == 500
    assert (
        "secret inside" not in page.text
        and "Traceback" not in page.text
        and "Something went wrong" in page.text
    )
    assert page.headers["content-security-policy"]


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"file/data: the data folder cannot be made"):
        create_app(DashboardOptions(data=tmp_path / "file" / "data"))


# Pages


def test_before_anything_is_recorded_every_page_says_what_to_do(ada: TestClient) -> None:
    assert ada.get("/").headers["location"] == "/live"
    assert ada.get("/redoc").status_code == 404
    assert ada.get("/favicon.ico").headers["content-type"].startswith("image/svg+xml")
    assert "No readings yet" in ada.get("/live").text
    assert "has not recorded anything yet" in ada.get("/trends").text
    assert "needs a participant whose consent" in ada.get("/study").text
    assert "Nothing is recorded yet" in ada.get("/export").text
    assert "has not recorded anything yet" in ada.get("/health").text


def test_liveness_tells_strangers_nothing_but_that_it_answers(stranger: TestClient) -> None:
    assert stranger.get("/healthz").json() == {"status": "ok"}


def test_body_too_large_for_memory_is_refused_before_the_login(stranger: TestClient) -> None:
    large = b"x" * (BODY_BYTES + 1)
    declared = stranger.post("/api/v1/session", content=large)
    chunked = stranger.post("/api/v1/session", content=iter([large[:-1], b"xx"]))
    for answer in (declared, chunked):
        assert answer.status_code == 413
        assert "larger than 1024 KiB" in answer.text


@pytest.mark.parametrize("path", ["/login", "/study/participants", "/settings"])
def test_a_form_of_too_many_fields_is_refused_with_a_short_page(ada: TestClient, path: str) -> None:
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    many = b"&".join(b"c%d=" % number for number in range(100_000))
    huge = b"&".join(b"c%06d=1" % number for number in range(400_000))
    for body, status, words in ((many, 400, "Too many fields"), (huge, 413, "1024 KiB")):
        answer = ada.post(path, content=body, headers=kind)
        assert answer.status_code == status
        assert words in answer.text and len(answer.content) < 20_000
