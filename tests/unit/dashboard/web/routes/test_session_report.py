"""The report of a session, and the page of a participant, as they are answered."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from edge_agent.core.clock import Instant, now
from edge_agent.core.movements import MovementRow
from edge_agent.core.study import MarkerKind, Purpose
from edge_agent.store.database.schema import write_transaction
from edge_agent.store.study.rows import insert_consent, insert_participant
from edge_agent.store.study.sessions import Study
from edge_agent.store.write.timeline import write_movements
from tests.support.dashboard import add_session, fill
from tests.support.timeline import movements, query

PEOPLE = 1000


@pytest.fixture
def session(ada: TestClient, database: Path) -> int:
    """A session in the middle of half an hour that was recorded, with answers and a note."""
    fill(database)
    number = add_session(database)
    start = query(database, f"SELECT started FROM session WHERE id = {number}")[0][0]
    with write_transaction(database) as connection:
        for at, condition, scale, value in (
            (160_000, "neutral", "valence", 5),
            (161_000, "neutral", "emotion", "neutral"),
            (340_000, "happiness", "valence", 8),
            (350_000, "happiness", "valence", 7),
        ):
            connection.execute(
                "INSERT INTO self_report (session, at, condition, scale, value) VALUES "
                "(?, ?, ?, ?, ?)",
                (number, start + at, condition, scale, value),
            )
    return number


def test_the_report_holds_verdict_facts_picture_means_answers_and_markers(
    ada: TestClient, session: int
) -> None:
    page = ada.get(f"/study/sessions/{session}").text
    assert "fit for analysis" in page
    assert 'href="/study/participants/P-01"' in page
    assert page.count('<svg class="timeline ') == 2
    assert "Blood pressure, mmHg" in page
    for label in ("neutral", "happiness", "anger"):
        assert f'<th scope="row">{label}</th>' in page
    assert "stimulus start" in page
    assert page.count('<th scope="row">happiness</th>') == 3  # its means, and two answers
    assert "10 min" in page
    assert "style=" not in page


def test_a_session_that_is_open_or_empty_is_shown_too(ada: TestClient, session: int) -> None:
    new = {"participant": "P-01", "purpose": "research", "name": "now"}
    number = ada.post("/api/v1/session", json=new).json()["session"]["id"]
    page = ada.get(f"/study/sessions/{number}").text
    assert "Nothing recorded" in page or "timeline-wide" in page
    assert ">open</span>" in page
    assert '<p class="notice " id="verdict"><strong>No conditions: shown by day, not tested' in page
    assert "badge-bad" not in page and "not fit" not in page
    assert "ada</dd>" in page  # who started it


def test_a_second_session_lies_over_it_and_one_that_is_not_there_is_refused(
    ada: TestClient, database: Path, session: int
) -> None:
    study = Study(database)
    began = now().shift(-300)
    other = study.start_session("P-01", Purpose.RESEARCH, "again", began)
    study.add_marker(MarkerKind.STIMULUS_START, "stroop", began.shift(10))
    study.end_session(began.shift(200))
    page = ada.get(f"/study/sessions/{session}?with={other.id}").text
    assert "timeline-second" in page and "stroop" in page and "P-01, again" in page
    assert f'<option value="{other.id}" selected>' in page
    assert ada.get(f"/study/sessions/{session}?with=99").status_code == 404
    led = ada.get(f"/study/compare?first={session}&with={other.id}")
    assert led.headers["location"] == f"/study/sessions/{session}?with={other.id}"
    person = ada.get("/study/participants/P-01").text
    assert 'action="/study/compare"' in person
    alone = ada.get(f"/study/sessions/{session}?with={session}")
    assert alone.status_code == 200 and "timeline-second" not in alone.text


def test_a_participant_has_a_page_with_consents_attributes_and_sessions(
    ada: TestClient, session: int
) -> None:
    ada.put(
        "/api/v1/participants/P-01/attributes",
        json={"consent": "here", "attributes": {"handedness": "left"}},
    )
    page = ada.get("/study/participants/p-01").text
    assert "Participant P-01" in page and "Text 1" in page
    assert "<dt>Handedness</dt><dd>left</dd>" in page
    assert f'href="/study/sessions/{session}"' in page
    assert 'data-label="heart rate">7' in page
    assert ada.get("/study/participants/P-0").status_code == 404


def test_a_list_of_a_thousand_people_is_shown_in_pages(ada: TestClient, database: Path) -> None:
    at = now()
    with write_transaction(database) as connection:
        for number in range(PEOPLE):
            insert_participant(connection, f"P-{number:04d}", at)
            insert_consent(connection, f"P-{number:04d}", "3", at)
    page = ada.get("/study?order=added&page=2")
    assert page.text.count('href="/study/participants/P-0') == 25
    assert "Page 2 of 40" in page.text and "order=added&amp;page=3" in page.text
    assert "Nobody matches" in ada.get("/study?search=nobody").text
    started = ada.post("/study/sessions", data={"participant": "P-0007", "purpose": "research"})
    assert started.headers["location"] == "/live"  # typed, for the list is too long to choose from


def test_chosen_movements_lie_below_the_vitals_of_a_session(
    ada: TestClient, database: Path, session: int
) -> None:
    assert "Movements of the face" not in ada.get(f"/study/sessions/{session}").text
    ((start,),) = query(database, f"SELECT started FROM session WHERE id = {session}")
    rows = [
        MovementRow(Instant(0, start + 1000 * s), 1, 5, movements(smile=s / 60).values, True)
        for s in range(60)
    ]
    with write_transaction(database) as connection:
        write_movements(connection, [(row, None) for row in rows], 1000, simulated=False)
    page = ada.get(f"/study/sessions/{session}").text
    assert 'name="movement" value="smile">' in page and "Movements of the face, points" not in page
    with write_transaction(database) as connection:
        for table in ("expression", "vital"):
            connection.execute(f"DELETE FROM {table}")
    assert "Nothing recorded" not in ada.get(f"/study/sessions/{session}").text
    page = ada.get(f"/study/sessions/{session}?movement=smile&movement=smile").text
    assert page.count("Movements of the face, points") == 2, "wide and narrow"
    assert "</span>Mouth corners up</li>" in page


def test_every_page_with_a_session_of_made_up_times_says_so(
    ada: TestClient, database: Path, session: int
) -> None:
    start = query(database, f"SELECT started FROM session WHERE id = {session}")[0][0]
    pages = (
        f"/study/sessions/{session}",
        f"/study/sessions/{session}/quality",
        "/study",
        "/study/participants/P-01",
        "/export",
        "/api/v1/analysis",
        f"/trends?start={start}&end={start + 60_000}",
    )
    for page in pages:
        assert "made up" not in ada.get(page).text, page
    with write_transaction(database) as connection:
        connection.execute("UPDATE session SET origin = 'import: t.csv (times made up)'")
    for page in pages:
        assert "made up" in ada.get(page).text, page
