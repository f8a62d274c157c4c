"""Participants, consent and sessions, by page and by program."""

from __future__ import annotations

from pathlib import Path

from starlette.testclient import TestClient

from dashboard.web.options import DashboardOptions
from dashboard.web.routes.study import CONSENT_VERSION
from edge_agent.core.study import Purpose
from tests.support.dashboard import add_session, client_of, set_up
from tests.support.timeline import query


def test_a_session_needs_consent_and_carries_its_markers(ada: TestClient, database: Path) -> None:
    assert 'title="Letters, digits, . _ -, no spaces"' in ada.get("/study").text
    made = ada.post("/study/participants", data={"code": "P-01"})
    assert made.headers["location"] == "/study/participants/P-01/consent"
    session = {"participant": "P-01", "purpose": "research", "name": "films"}
    refused = ada.post("/study/sessions", data=session)
    assert refused.status_code == 409 and "has given no consent" in refused.text
    assert "A camera watches my face" in ada.get("/study/participants/P-01/consent").text
    unticked = ada.post("/study/participants/P-01/consent", data={"text_version": CONSENT_VERSION})
    assert unticked.status_code == 409 and "Tick the box" in unticked.text
    ada.post(
        "/study/participants/P-01/consent", data={"agreed": "yes", "text_version": CONSENT_VERSION}
    )
    assert ada.post("/study/sessions", data=session).headers["location"] == "/live"
    state = ada.post("/api/v1/session/markers", json={"kind": "stimulus_start", "label": "anger"})
    assert state.status_code == 201 and state.json()["condition"] == "anger"
    state = ada.post("/api/v1/session/markers", json={"kind": "stimulus_end"})
    assert state.json()["condition"] is None
    assert [marker["label"] for marker in state.json()["markers"]] == ["anger", "anger"]
    assert "A session is open" in ada.get("/study").text
    assert ada.post("/study/sessions/end").headers["location"] == "/study?ended=1"
    number = ada.get("/api/v1/sessions").json()[0]["id"]
    assert "stimulus start" in ada.get(f"/study/sessions/{number}").text
    assert ada.get("/study/sessions/99").status_code == 404
    actions = [action for (action,) in query(database, "SELECT action FROM audit ORDER BY id")]
    assert actions[2:] == [
        *("participant_create", "consent_give", "session_start"),
        *("marker_add", "marker_add", "session_end", "session_view"),
    ]


def test_session_of_page_and_api_says_whether_own_neutral_is_used(ada: TestClient) -> None:
    ada.post("/study/participants", data={"code": "P-01"})
    ada.post(
        "/study/participants/P-01/consent", data={"agreed": "yes", "text_version": CONSENT_VERSION}
    )
    session = {"participant": "P-01", "purpose": "research"}
    for form, state in (
        ({}, None),
        ({"own_neutral": "yes"}, "asked"),
        ({"own_neutral": "no"}, "off"),
    ):
        assert ada.post("/study/sessions", data=session | form).status_code == 303
        assert ada.get("/api/v1/session").json()["own_neutral"] == state
        ada.post("/study/sessions/end")
    started = ada.post("/api/v1/session", json=session | {"own_neutral": True})
    assert started.json()["own_neutral"] == "asked"


def test_the_rules_of_the_study_are_explained_where_they_are_broken(ada: TestClient) -> None:
    ada.post("/study/participants", data={"code": "P-01"})
    for path, data, why in (
        ("/study/participants", {"code": "P-01"}, "is taken"),
        ("/study/participants", {"code": "Ada Lovelace"}, "Never use a name"),
        ("/study/participants/P-01/withdraw", {}, "no consent that could be withdrawn"),
        (
            "/study/sessions",
            {"participant": "P-01", "purpose": "fun"},
            "Unknown purpose &#39;fun&#39;",
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


def test_form_sent_twice_is_carried_out_once(ada: TestClient) -> None:
    form = {"code": "", "once": "key of one form"}
    places = {ada.post("/study/participants", data=form).headers["location"] for _ in range(2)}
    assert len(places) == 1
    code = places.pop().split("/")[3]
    agreed = {"agreed": "yes", "text_version": CONSENT_VERSION}
    nobody = ada.post("/study/participants/P-none/consent", data=agreed)
    assert nobody.status_code == 409 and "P-none" in nobody.text
    given = ada.post(f"/study/participants/{code}/consent", data=agreed)
    assert given.headers["location"] == f"/study?participant={code}"
    assert f'<option value="{code}" selected>' in ada.get(given.headers["location"]).text
    assert " selected>" not in ada.get("/study").text.split("Setting")[0]
    session = {"participant": code, "purpose": "research", "once": "key of another"}
    started = [ada.post("/study/sessions", data=session) for _ in range(2)]
    assert [answer.headers["location"] for answer in started] == ["/live", "/live"]
    ended = [ada.post("/study/sessions/end", data={"session": "1"}) for _ in range(2)]
    assert {answer.headers["location"] for answer in ended} == {"/study?ended=1"}
    assert "Show the session" in ada.get("/study?ended=1").text
    assert ada.post("/api/v1/session/end", json={"session": 1}).json()["session"] is None
    assert ada.post("/api/v1/session/end").status_code == 409
    assert "Choose a participant" in ada.post("/study/sessions", data={"purpose": "x"}).text


def test_only_the_configured_purposes_are_offered_and_taken(tmp_path: Path) -> None:
    with client_of(tmp_path, purposes=(Purpose.MEDICAL,)) as client:
        set_up(client, tmp_path)
        add_session(DashboardOptions(data=tmp_path).database)
        page = client.get("/study").text
        assert '<option value="medical">' in page and '<option value="research">' not in page
        refused = client.post(
            "/study/sessions", data={"participant": "P-01", "purpose": "research"}
        )
        assert "Allowed: medical" in refused.text


def test_code_that_programs_misread_is_added_and_remarked(ada: TestClient) -> None:
    def made(code: str) -> list[str]:
        answer = ada.post("/api/v1/participants", json={"code": code})
        assert answer.status_code == 201
        remarks: list[str] = answer.json()["remarks"]
        return remarks

    assert made("1") == made("P01") == made("P1") == []
    (remark,) = made("NA")
    assert "as a missing value" in remark
    page = ada.post("/study/participants", data={"code": "01"}).headers["location"]
    assert "the codes 1 and 01 as one number" in ada.get(page).text
    assert "as one number" not in ada.get("/study/participants/P01/consent").text


def test_instruments_of_the_page_are_fields_of_one_text(ada: TestClient, database: Path) -> None:
    ada.post("/study/participants", data={"code": "P-01"})
    ada.post(
        "/study/participants/P-01/consent", data={"agreed": "yes", "text_version": CONSENT_VERSION}
    )
    page = ada.get("/study?participant=P-01").text
    assert "Skin conductance: site of the electrodes</label>" in page
    form = {"participant": "P-01", "purpose": "research", "instrument-skin_gel": ""}
    form |= {"instrument-heart_sensor": " Polar H10; new ", "instrument-other": "dry room"}
    assert ada.post("/study/sessions", data=form).status_code == 303
    stated = "heart_sensor: Polar H10, new; dry room"
    assert query(database, "SELECT instruments FROM session") == [(stated,)]


def test_study_begins_with_its_lists_once_there_is_a_session(
    ada: TestClient, database: Path
) -> None:
    folded, unfolded = '<details class="start-fold">', '<details class="start-fold" open>'
    assert unfolded in ada.get("/study").text, "nobody is there yet"
    add_session(database)
    page = ada.get("/study").text
    assert folded in page and unfolded not in page
    assert unfolded in ada.get("/study?participant=P-01").text, "who comes from a consent"
    refused = ada.post("/study/sessions", data={"participant": "P-01", "purpose": "fun"}).text
    assert unfolded in refused
