"""Standing sessions, by page and by program."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dashboard.web.routes.study import CONSENT_VERSION
from edge_agent.config.vision import VisionSettings
from edge_agent.core import clock
from edge_agent.core.expression import Whose
from edge_agent.timeline.study.sessions import Study
from tests.support.dashboard import client_of, set_up
from tests.support.timeline import query

PERSON = "/study/participants/P-01"
PAGE = f"{PERSON}/standing"
API = "/api/v1/participants/P-01/standing"
HOURS = {"start": "00:00", "end": "00:00", "purpose": "personal", "setting": "home"}
AGREED = {**HOURS, "days": ["1", "2", "3", "4", "5", "6", "7"]}
TICKED = {"agreed": "yes", "text_version": "standing 1"}


def consented(client: TestClient) -> None:
    client.post("/study/participants", data={"code": "P-01"})
    agreed = {"agreed": "yes", "text_version": CONSENT_VERSION}
    assert client.post(f"{PERSON}/consent", data=agreed).status_code == 303


def test_standing_session_is_agreed_to_shown_and_taken_back_by_one_button(
    ada: TestClient, database: Path
) -> None:
    consented(ada)
    assert PAGE in ada.get(PERSON).text
    for data, why in (
        (AGREED, "Tick the box"),
        ({**HOURS, **TICKED}, "Choose at least one day"),
        ({**AGREED, **TICKED, "start": "8", "days": ["2"]}, "is no time of day"),
        ({**AGREED, **TICKED, "setting": "workplace"}, "at work"),
    ):
        answer = ada.post(PAGE, data=data)
        assert answer.status_code == 409, data
        assert why in answer.text
    assert ada.get(API).json() is None
    assert "It records by itself" not in ada.get(f"{PAGE}/sign").text
    weekdays = {**AGREED, **TICKED, "days": ["1", "2", "3", "5"], "start": "08:00", "end": "21:00"}
    assert ada.post(PAGE, data=weekdays).headers["location"] == f"{PERSON}#standing-title"
    assert "Mon–Wed, Fri 08:00–21:00" in ada.get(PERSON).text
    assert "Mon–Wed, Fri 08:00–21:00" in ada.get(f"{PERSON}/days").text
    assert "Mon–Wed, Fri 08:00–21:00" in ada.get(f"{PAGE}/sign").text
    assert 'value="3" checked' in ada.get(PAGE).text
    assert 'value="4" checked' not in ada.get(PAGE).text
    assert ada.get("/api/v1/session").json()["standing"]["participant"] == "P-01"
    assert ada.post(f"{PAGE}/take-back").headers["location"] == f"{PERSON}#standing-title"
    assert ada.get(API).json() is None
    actions = query(database, "SELECT action, detail FROM audit WHERE action LIKE 'standing%'")
    assert actions == [("standing_give", "P-01"), ("standing_take_back", "P-01")]


def test_standing_session_is_named_and_interrupted_by_one_started_by_hand(
    ada: TestClient, database: Path
) -> None:
    consented(ada)
    given = {**HOURS, "days": [1, 2, 3, 4, 5, 6, 7], "text_version": "of our own"}
    told = ada.put(API, json=given).json()
    assert (told["hours"][6], told["text_version"]) == (
        {"weekday": 7, "start": "00:00", "end": "00:00"},
        "of our own",
    )
    Study(database).keep_standing(clock.now(), camera_on=True)
    state = ada.get("/api/v1/session").json()
    assert state["session"]["id"] == state["standing"]["session"] == 1
    assert state["standing"]["start"] <= clock.now().wall_ms < state["standing"]["end"]
    page = ada.get("/study").text
    assert "This session began by itself" in page
    form = {"participant": "P-01", "purpose": "personal", "setting": "home", "once": "1"}
    assert ada.post("/study/sessions", data=form).headers["location"] == "/live"
    state = ada.get("/api/v1/session").json()
    assert (state["session"]["id"], state["standing"]["session"]) == (2, None)
    assert "This session began by itself" not in ada.get("/study").text
    ada.post("/api/v1/session/end")
    Study(database).keep_standing(clock.now(), camera_on=True)
    assert ada.delete(API).status_code == 204
    assert ada.get("/api/v1/session").json()["session"] is None


@pytest.mark.parametrize(
    ("whose", "proposed", "drawn"), [("leading", True, False), ("seat", False, True)]
)
def test_seat_is_proposed_for_a_standing_session_and_drawn_on_live(
    tmp_path: Path, whose: Whose, proposed: bool, drawn: bool
) -> None:
    seat = (0.3, 0.2, 0.4, 0.6)
    client = client_of(tmp_path, vision=VisionSettings(whose=whose, seat=seat))
    consented(set_up(client, tmp_path))

    page = client.get(PAGE).text

    assert ("Proposal: count only a face in the seat." in page) is proposed
    rectangle = '<rect class="face-seat" x="192.0" y="96.0" width="256.0" height="288.0"/>'
    assert (rectangle in page) is drawn
    assert ("/js/seat.js" in page) is proposed, "it draws the seat around the face"
    assert ('data-seat="0.3 0.2 0.4 0.6"' in client.get("/live").text) is drawn
