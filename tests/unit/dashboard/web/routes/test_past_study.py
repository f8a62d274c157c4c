"""A study that has taken place, over the API."""

from __future__ import annotations

from pathlib import Path

from starlette.testclient import TestClient

from edge_agent.timeline.database.schema import DAY_MS
from tests.support.commands import affect_edge
from tests.support.timeline import START_MS, add, query, reading, row


def test_a_study_is_entered_by_a_program(ada: TestClient, tmp_path: Path) -> None:
    made = ada.post("/api/v1/participants", json={"code": "P01"})
    person = {"code": "P01", "simulated": False, "remarks": []}
    assert (made.status_code, made.json()) == (201, person)
    consent = {"text_version": "3", "given": START_MS - 1000}
    assert ada.post("/api/v1/participants/P01/consents", json=consent).status_code == 201
    session = {"participant": "P01", "purpose": "research", "start": START_MS}
    added = ada.post("/api/v1/sessions", json={**session, "end": START_MS + 60_000})
    assert (added.status_code, added.json()["id"], added.json()["end"]) == (
        201,
        1,
        START_MS + 60_000,
    )
    assert added.json()["rows"] == 0
    again = ada.post("/api/v1/sessions", json={**session, "end": START_MS + 9_000})
    assert (again.status_code, "meets session 1" in again.json()["detail"]) == (409, True)
    markers = [
        {"at": START_MS + 5_000, "kind": "stimulus_start", "label": "anger"},
        {"at": START_MS + 9_000, "kind": "stimulus_end"},
    ]
    done = ada.post("/api/v1/sessions/1/markers", json=markers)
    assert (done.status_code, done.json()) == (201, {"added": 2, "duplicates": 0})
    outside = [{"at": START_MS - 5_000, "kind": "note", "label": "early"}]
    refused = ada.post("/api/v1/sessions/1/markers", json=outside)
    assert (refused.status_code, "lies outside session 1" in refused.json()["detail"]) == (
        409,
        True,
    )
    sql = (
        "SELECT actor, action FROM audit WHERE action NOT LIKE 'account%' ORDER BY id DESC LIMIT 4"
    )
    assert query(tmp_path / "affect-edge.db", sql) == [
        ("ada", "markers_add"),
        ("ada", "session_add"),
        ("ada", "consent_give"),
        ("ada", "participant_create"),
    ]


def test_work_and_education_are_forbidden_here_too(ada: TestClient) -> None:
    ada.post("/api/v1/participants", json={"code": "SIM", "simulated": True})
    session = {"participant": "SIM", "purpose": "research", "setting": "education"}
    times = {"start": START_MS, "end": START_MS + 1000}
    done = ada.post("/api/v1/sessions", json={**session, **times})
    assert (done.status_code, "must not be inferred in education" in done.text) == (409, True)


def test_a_past_session_says_how_many_rows_it_takes_and_lasts_day_at_most(
    ada: TestClient, tmp_path: Path
) -> None:
    path = tmp_path / "affect-edge.db"
    add(path, [row(s) for s in range(1, 61)], [reading(s) for s in range(1, 61)])
    ada.post("/api/v1/participants", json={"code": "P01"})
    consent = {"text_version": "3", "given": START_MS - DAY_MS}
    ada.post("/api/v1/participants/P01/consents", json=consent)
    session = {"participant": "P01", "purpose": "research", "start": START_MS - 1000}
    long = ada.post("/api/v1/sessions", json={**session, "end": START_MS + DAY_MS})
    assert long.status_code == 409
    assert "is more than a day, and a session that is added" in long.json()["detail"]
    added = ada.post("/api/v1/sessions", json={**session, "end": START_MS - 1000 + DAY_MS})
    assert (added.status_code, added.json()["rows"]) == (201, 120)
    page = ada.get("/study/participants/P01/erase").text
    assert "<dt>Rows of the timeline</dt><dd>120</dd>" in page
    assert "120 rows lie in sessions that were added after their time (1)." in page


def test_a_participant_is_not_called_like_an_account(ada: TestClient, tmp_path: Path) -> None:
    made = ada.post("/api/v1/participants", json={"code": "ADA"})
    assert made.status_code == 409
    assert "ADA is the name of an account. Choose another." in made.json()["detail"]
    page = ada.post("/study/participants", data={"code": "ada"})
    assert "is the name of an account" in page.text
    done = affect_edge("participant", "add", "ada", "--data", tmp_path)
    assert done.code == 1 and "is the name of an account" in done.err
    assert query(tmp_path / "affect-edge.db", "SELECT count(*) FROM participant") == [(0,)]
