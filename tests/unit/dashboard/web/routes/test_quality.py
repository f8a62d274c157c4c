"""The quality report of a session: its page, its address for programs, and its command, which all
say the same.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dashboard.web.options import DashboardOptions
from edge_agent.timeline.database.connection import write_transaction
from tests.support import studies
from tests.support.commands import affect_edge
from tests.support.dashboard import add_session, fill
from tests.support.studies import HEART


@pytest.fixture
def session(tmp_path: Path, ada: TestClient) -> int:
    """The number of a session of ten minutes with three conditions."""
    database = DashboardOptions(data=tmp_path).database
    fill(database)
    return add_session(database)


def test_a_session_that_is_not_there_is_no_page(ada: TestClient, tmp_path: Path) -> None:
    assert ada.get("/study/sessions/7/quality").status_code == 404
    assert ada.get("/api/v1/sessions/7/quality").status_code == 404
    assert ada.get("/api/v1/sessions/seven/quality").status_code == 422
    done = affect_edge("session", "quality", 7, "--data", tmp_path)
    assert (done.code, done.err) == (
        1,
        "affect-edge: There is no session 7. The Study page lists them.\n",
    )


def test_the_page_says_whether_the_session_is_fit_and_what_to_mend(
    ada: TestClient, session: int
) -> None:
    page = ada.get(f"/study/sessions/{session}/quality").text
    assert "This session is not fit for analysis because of the face and readings." in page
    assert "is needed. Less under" in page
    assert "systolic" in page
    assert f'href="/study/sessions/{session}/quality"' in ada.get(f"/study/sessions/{session}").text


def test_programs_get_the_same_over_http_and_from_the_command(
    ada: TestClient, session: int, tmp_path: Path
) -> None:
    answer = ada.get(f"/api/v1/sessions/{session}/quality")
    assert answer.status_code == 200
    found = answer.json()
    assert (found["session"], found["participant"], found["level"]) == (session, "P-01", "bad")
    assert found["thresholds"]["face_share"] == 0.8
    assert len(found["measures"]["conditions"]) == 3
    done = affect_edge("session", "quality", session, "--json", "--data", tmp_path)
    assert done.code == 0, done.err
    assert json.loads(done.out) == found


def test_the_command_says_it_in_words(session: int, tmp_path: Path) -> None:
    done = affect_edge("session", "quality", session, "--data", tmp_path)
    assert done.code == 0
    first, *checks = done.out.splitlines()
    assert first == "This session is not fit for analysis because of the face and readings."
    assert any(line.startswith("good  conditions: 3 conditions are marked.") for line in checks)
    assert any(line.startswith("      → ") for line in checks)


def test_two_sensors_of_one_session_are_compared_over_all_sessions(
    ada: TestClient, tmp_path: Path
) -> None:
    numbers = [
        studies.add_session(
            tmp_path / "affect-edge.db",
            code,
            {state: {HEART: [level] * 3} for state in ("anger", "neutral")},
            second=("watch", {"anger": {HEART: [level - 2]}, "neutral": {HEART: [level - 4]}}),
        )
        for code, level in (("a", 60.0), ("b", 70.0))
    ]
    page = ada.get(f"/study/sessions/{numbers[0]}/quality")
    assert page.status_code == 200
    assert "Heart rate, strap minus watch, 4 minutes of 2 people: bias +3.00 /min" in page.text
    alone = studies.add_session(tmp_path / "affect-edge.db", "c", {"anger": {HEART: [60.0]}})
    assert "Sensors that measured" not in ada.get(f"/study/sessions/{alone}/quality").text


def test_camera_pulse_beside_a_strap_is_shown_by_page_and_command(
    ada: TestClient, tmp_path: Path
) -> None:
    database = tmp_path / "affect-edge.db"
    number = studies.add_session(database, "a", {"anger": {HEART: [60.0] * 120}})
    with write_transaction(database) as connection:
        connection.execute(
            "INSERT INTO vital (at, kind, source, value, flags) SELECT at, kind, 'camera_pulse', "
            "value + 3, 'estimated' FROM vital"
        )
    short = (
        "In your recordings (minutes: 3, in 1 session) the estimate camera_pulse was off by "
        "3.0 /min in the mean minute, measured against strap."
    )
    assert short in ada.get(f"/study/sessions/{number}").text
    page = ada.get(f"/study/sessions/{number}/quality").text
    assert short in page
    assert (
        "Estimates of heart rate by camera_pulse: 120, during 43 % of the condition time." in page
    )
    assert "camera_pulse and strap by session" in page
    (found,) = ada.get(f"/api/v1/sessions/{number}/sensors").json()
    assert found["in_short"].startswith(short)
    assert [one["session"] for one in found["by_session"]] == [number]
    assert ada.get("/api/v1/sessions/7/sensors").status_code == 404
    done = affect_edge("session", "quality", number, "--data", tmp_path)
    assert done.out.splitlines()[-1] == (
        "Estimates of heart rate by camera_pulse: 120, during 43 % of the time. `affect-edge "
        "compare-sensors` says how far off they were."
    )
