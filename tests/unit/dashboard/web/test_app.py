"""The pages and the API over a real database: who gets in, what is answered, what an error looks
like.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from dashboard.accounts.accounts import create_login_link, ensure_setup_code
from dashboard.web.app import ROUTERS, create_app
from dashboard.web.security import BODY_BYTES
from dashboard.web.services import LOGIN_COOKIE, PUBLIC_PATHS
from dashboard.web.settings import DashboardOptions
from edge_agent.core.errors import StoreError
from edge_agent.core.study import Purpose
from edge_agent.core.vitals import VitalKind
from edge_agent.store.study.study import Study
from tests.support.dashboard import NAME, PASSWORD, add_session, client_of, fill, set_up
from tests.support.timeline import query

HOUR_MS = 3_600_000


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Where the database of the dashboard lies."""
    return DashboardOptions(data=tmp_path).database


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[TestClient]:
    """Somebody who is not logged in."""
    with client_of(tmp_path) as client:
        yield client


@pytest.fixture
def ada(tmp_path: Path, stranger: TestClient) -> TestClient:
    """Somebody who is logged in."""
    return set_up(stranger, tmp_path)


# Who gets in


def test_every_route_but_the_public_ones_needs_a_login(tmp_path: Path) -> None:
    client = client_of(tmp_path)
    routes = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
    assert len(routes) > 20
    for route in routes:
        path = route.path.replace("{code}", "P-01").replace("{number}", "1")
        if path in PUBLIC_PATHS or path.startswith("/static/"):
            continue
        for method in route.methods or ():
            answer = client.request(method, path)
            expected = 401 if path.startswith("/api/") else 303
            # a wrong token opens nothing
            expected = 404 if path.startswith("/participate/") else expected
            assert answer.status_code == expected, (method, path)
            assert "set-cookie" not in answer.headers


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
    assert (
        "Secure"
        in secure.post("/login", data={"name": NAME, "password": PASSWORD}).headers["set-cookie"]
    )


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


def test_wrong_passwords_are_refused_and_after_five_the_address_has_to_wait(
    ada: TestClient,
) -> None:
    ada.cookies.clear()
    for _ in range(5):
        answer = ada.post("/login", data={"name": NAME, "password": "wrong password"})
        assert answer.status_code == 401 and "Name or password is wrong" in answer.text
    answer = ada.post("/login", data={"name": NAME, "password": PASSWORD})
    assert answer.status_code == 429 and "Wait 5 minutes" in answer.text
    assert int(answer.headers["retry-after"]) > 290
    code = ada.post("/setup", data={"code": "A", "name": NAME, "password": PASSWORD})
    assert code.status_code == 429, "setup codes and passwords are counted together"
    assert ada.get("/login?link=abc").status_code == 429


def test_logging_out_ends_the_login_on_the_device(ada: TestClient, database: Path) -> None:
    token = ada.cookies[LOGIN_COOKIE]
    assert ada.post("/logout").headers["location"] == "/login"
    ada.cookies.set(LOGIN_COOKIE, token)
    assert ada.get("/api/v1/session").status_code == 401
    assert query(database, "SELECT count(*) FROM login") == [(0,)]


def test_the_login_link_of_the_demo_works_once(stranger: TestClient, database: Path) -> None:
    link = create_login_link(database)
    first = stranger.get(link)
    assert (first.status_code, first.headers["location"]) == (303, "/live")
    assert stranger.get(link).headers["location"] == "/live", "coming back with it does no harm"
    stranger.cookies.clear()
    second = stranger.get(link)
    assert second.status_code == 403 and "has been used" in second.text


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site", "origin": "https://evil.example"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
    ],
)
def test_what_another_site_asks_for_is_refused(
    ada: TestClient, database: Path, headers: dict[str, str]
) -> None:
    answer = ada.post("/study/participants", data={"code": "P-01"}, headers=headers)
    assert answer.status_code == 403 and "came from another page" in answer.text
    assert query(database, "SELECT count(*) FROM participant") == [(0,)]


@pytest.mark.parametrize(
    "headers", [{"sec-fetch-site": "same-origin"}, {"origin": "http://127.0.0.1"}, {}]
)
def test_what_our_own_pages_and_programs_ask_for_is_done(
    ada: TestClient, headers: dict[str, str]
) -> None:
    assert (
        ada.post("/study/participants", data={"code": "P-01"}, headers=headers).status_code == 303
    )


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
    for path in (
        "/live",
        "/trends?range=1h",
        "/study",
        "/export",
        "/health",
        "/analysis",
        "/login",
        "/nothing",
    ):
        text = ada.get(path).text
        assert "<style" not in text and " style=" not in text and " onclick=" not in text, path
        assert "http://" not in text.replace("http://127.0.0.1", "") and "https://" not in text, (
            path
        )


# Errors


def test_an_unknown_address_is_a_page_for_people_and_json_for_programs(ada: TestClient) -> None:
    page = ada.get("/nothing")
    assert (
        page.status_code == 404 and "There is no such page" in page.text and "Trends" in page.text
    )
    assert ada.get("/api/v1/nothing").json() == {"detail": "Nothing is kept at this address."}


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
    assert "No readings yet" in ada.get("/live").text
    assert "has not written anything yet" in ada.get("/trends").text
    assert "needs a participant whose consent" in ada.get("/study").text
    assert "Nothing is recorded yet" in ada.get("/export").text
    assert "has not written anything yet" in ada.get("/health").text


def test_trends_draw_the_chosen_range_and_mark_simulated_data(
    ada: TestClient, database: Path
) -> None:
    fill(database, minutes=10, simulated=True)
    page = ada.get("/trends?range=1h").text
    assert 'data-length="3600000"' in page and "contains simulated data" in page
    chart = json.loads(page.split("data-chart-json>")[1].split("</script>")[0])
    assert {trace["name"] for trace in chart["figure"]["data"]} >= {
        "happiness",
        "uncertain",
        "heart rate",
        "systolic",
    }


@pytest.mark.parametrize(("minutes", "key"), [(0, "24h"), (5, "10m"), (40, "1h")])
def test_trends_open_on_a_range_that_fits_what_is_recorded(
    ada: TestClient, database: Path, minutes: int, key: str
) -> None:
    if minutes:
        fill(database, minutes=minutes)
    assert f'href="/trends?range={key}" aria-current' in ada.get("/trends").text


def test_a_range_of_ones_own_is_kept_and_an_empty_one_refused(
    ada: TestClient, database: Path
) -> None:
    fill(database, minutes=5)
    ((last,),) = query(database, "SELECT max(at) FROM expression")
    page = ada.get(f"/trends?start={last - HOUR_MS}&end={last + 1}")
    assert page.status_code == 200 and f'name="start" value="{last - HOUR_MS}"' in page.text
    refused = ada.get(f"/trends?start={last}&end={last}")
    assert refused.status_code == 422 and "its end must lie after its start" in refused.text
    assert "Nothing was recorded from" in ada.get("/trends?start=0&end=1000").text


def test_the_trends_api_mirrors_the_page(ada: TestClient, database: Path) -> None:
    fill(database, minutes=10)
    ((last,),) = query(database, "SELECT max(at) FROM expression")
    answer = ada.get(f"/api/v1/trends?start={last - 600_000}&end={last + 1}&buckets=10").json()
    assert set(answer["vitals"]) == set(VitalKind)
    assert answer["vitals"]["heart_rate"]["unit"] == "/min"
    # buckets begin at round times of the clock: the first may end before the first row, others lie
    # in the gap
    shares = [
        bucket
        for bucket in zip(*answer["expression"]["shares"].values(), strict=True)
        if bucket[0] is not None
    ]
    assert len(shares) >= 4
    assert [sum(bucket) for bucket in shares] == pytest.approx([1.0] * len(shares))
    chart = ada.get(f"/api/v1/trends/chart?start={last - 600_000}&end={last + 1}").json()
    assert chart["time_axis"] and len(chart["columns"]) == len(chart["rows"][0])
    assert ada.get(f"/api/v1/trends?start={last}&end={last}").status_code == 422
    assert ada.get("/api/v1/trends?start=0&end=9999999999999").status_code == 422


def test_a_session_needs_consent_and_carries_its_markers(ada: TestClient, database: Path) -> None:
    made = ada.post("/study/participants", data={"code": "P-01"})
    assert made.headers["location"] == "/study/participants/P-01/consent"
    session = {"participant": "P-01", "purpose": "research", "name": "films"}
    refused = ada.post("/study/sessions", data=session)
    assert refused.status_code == 409 and "has given no consent" in refused.text
    assert "A camera watches my face" in ada.get("/study/participants/P-01/consent").text
    unticked = ada.post("/study/participants/P-01/consent", data={"text_version": "3"})
    assert unticked.status_code == 409 and "Tick the box" in unticked.text
    ada.post("/study/participants/P-01/consent", data={"agreed": "yes", "text_version": "3"})
    assert ada.post("/study/sessions", data=session).headers["location"] == "/live"
    state = ada.post("/api/v1/session/markers", json={"kind": "stimulus_start", "label": "anger"})
    assert state.status_code == 201 and state.json()["condition"] == "anger"
    state = ada.post("/api/v1/session/markers", json={"kind": "stimulus_end"})
    assert state.json()["condition"] is None
    assert [marker["label"] for marker in state.json()["markers"]] == ["anger", "anger"]
    assert "A session is open" in ada.get("/study").text
    assert ada.post("/study/sessions/end").headers["location"] == "/study"
    number = ada.get("/api/v1/sessions").json()[0]["id"]
    assert "stimulus start" in ada.get(f"/study/sessions/{number}").text
    assert ada.get("/study/sessions/99").status_code == 404
    actions = [action for (action,) in query(database, "SELECT action FROM audit ORDER BY id")]
    assert actions[2:] == ["participant_create", "consent_give", "session_start", "session_end"]


def test_the_rules_of_the_study_are_explained_where_they_are_broken(ada: TestClient) -> None:
    ada.post("/study/participants", data={"code": "P-01"})
    for path, data, why in (
        ("/study/participants", {"code": "P-01"}, "is taken"),
        ("/study/participants", {"code": "Ada Lovelace"}, "Never use a name"),
        ("/study/participants/P-01/withdraw", {}, "no consent that could be withdrawn"),
        (
            "/study/sessions",
            {"participant": "P-01", "purpose": "fun"},
            "Purpose &#39;fun&#39; is not known",
        ),
        ("/study/sessions/end", {}, "No session is open"),
    ):
        answer = ada.post(path, data=data)
        assert answer.status_code == 409 and why in answer.text, path
    assert ada.get("/study/participants/nobody/consent").status_code == 409
    assert "No session is open" in ada.post("/api/v1/session/end", json={}).json()["detail"]
    assert (
        ada.post("/api/v1/session/markers", json={"kind": "party", "label": "x"}).status_code == 422
    )


def test_a_session_can_be_run_by_a_program(ada: TestClient, database: Path) -> None:
    add_session(database)
    new = {"participant": "P-01", "purpose": "research", "name": "by program"}
    started = ada.post("/api/v1/session", json=new)
    assert started.status_code == 201 and started.json()["session"]["name"] == "by program"
    assert ada.post("/api/v1/session", json=new).status_code == 409
    assert ada.get("/api/v1/session").json()["session"]["end"] is None
    assert ada.post("/api/v1/session/end").json()["session"] is None


def test_a_withdrawn_consent_bars_further_sessions(ada: TestClient, database: Path) -> None:
    add_session(database)
    assert (
        ada.post("/study/participants/P-01/withdraw").headers["location"]
        == "/study/participants/P-01/erase"
    )
    assert "withdrawn" in ada.get("/study").text
    answer = ada.post("/study/sessions", data={"participant": "P-01", "purpose": "research"})
    assert answer.status_code == 409


def test_only_the_configured_purposes_are_offered_and_taken(tmp_path: Path) -> None:
    with client_of(tmp_path, purposes=(Purpose.MEDICAL,)) as client:
        set_up(client, tmp_path)
        add_session(DashboardOptions(data=tmp_path).database)
        page = client.get("/study").text
        assert "<option>medical</option>" in page and "<option>research</option>" not in page
        refused = client.post(
            "/study/sessions", data={"participant": "P-01", "purpose": "research"}
        )
        assert "Allowed: medical" in refused.text


def test_health_tells_the_size_of_the_timeline_and_that_no_agent_runs(
    ada: TestClient, database: Path
) -> None:
    fill(database, minutes=2)
    answer = ada.get("/api/v1/health").json()
    assert answer["agent"] is None and answer["database_bytes"] > 0
    assert answer["counts"]["expression"] > 0 and answer["first"] < answer["last"]


def test_liveness_tells_strangers_nothing_but_that_it_answers(stranger: TestClient) -> None:
    assert stranger.get("/healthz").json() == {"status": "ok"}


def test_plotly_is_served_from_this_machine_compressed_and_kept_for_ever(
    stranger: TestClient,
) -> None:
    page = stranger.get("/setup").text
    address = page.split('name="plotly-script" content="')[1].split('"')[0]
    compressed = stranger.get(address)
    assert (
        compressed.headers["content-encoding"] == "gzip"
        and "immutable" in compressed.headers["cache-control"]
    )
    plain = stranger.get(address, headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers and plain.content == compressed.content


def test_the_api_describes_itself_to_those_who_are_logged_in(ada: TestClient) -> None:
    document = ada.get("/api/v1/openapi.json").json()
    assert "/api/v1/trends" in document["paths"] and "/api/v1/session/markers" in document["paths"]
    assert all(path.startswith("/api/v1/") for path in document["paths"])
    assert ada.get("/docs").status_code == 404
    assert ada.get("/favicon.ico").headers["content-type"].startswith("image/svg+xml")


def test_the_setup_code_can_be_asked_for_while_the_dashboard_runs(
    stranger: TestClient, database: Path
) -> None:
    code = ensure_setup_code(database)
    assert code is not None and code.count("-") == 2


def test_a_body_that_would_fill_the_memory_is_refused_before_anybody_asks_for_a_login(
    stranger: TestClient,
) -> None:
    large = b"x" * (BODY_BYTES + 1)
    declared = stranger.post("/api/v1/session", content=large)
    chunked = stranger.post("/api/v1/session", content=iter([large[:-1], b"xx"]))
    for answer in (declared, chunked):
        assert answer.status_code == 413
        assert "larger than 1024 KiB" in answer.text
