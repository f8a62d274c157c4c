"""A study that has taken place, over the API."""

from __future__ import annotations

from pathlib import Path

from starlette.testclient import TestClient

from tests.support.timeline import START_MS, query


def test_a_study_is_entered_by_a_program(ada: TestClient, tmp_path: Path) -> None:
    made = ada.post("/api/v1/participants", json={"code": "P01"})
    assert (made.status_code, made.json()) == (201, {"code": "P01", "simulated": False})
    consent = {"text_version": "3", "given": START_MS - 1000}
    assert ada.post("/api/v1/participants/P01/consents", json=consent).status_code == 201
    session = {"participant": "P01", "purpose": "research", "start": START_MS}
    added = ada.post("/api/v1/sessions", json={**session, "end": START_MS + 60_000})
    assert (added.status_code, added.json()["id"], added.json()["end"]) == (
        201,
        1,
        START_MS + 60_000,
    )
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
