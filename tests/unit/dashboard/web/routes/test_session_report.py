"""The report of a session, and the page of a participant, as they are answered."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from edge_agent.core.clock import Instant, now
from edge_agent.core.movements import MovementRow
from edge_agent.core.study import MarkerKind, NewSession, Purpose
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.study.rows import insert_consent, insert_participant
from edge_agent.timeline.study.sessions import Study
from edge_agent.timeline.write.inserts import write_movements
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
    assert "Blood pressure (mmHg)" in page
    for label in ("neutral", "happiness", "anger"):
        assert f'<th scope="row">{label}</th>' in page
    assert "stimulus start" in page
    assert page.count('<th scope="row">happiness</th>') == 3  # its means, and two answers
    assert "10 min" in page
    assert "style=" not in page


def test_answers_to_own_questions_stand_on_the_page_of_their_session(
    ada: TestClient, database: Path
) -> None:
    number = add_session(database)
    assert "The participant answered no scale" in ada.get(f"/study/sessions/{number}").text
    start = query(database, f"SELECT started FROM session WHERE id = {number}")[0][0]
    with write_transaction(database) as connection:
        for turn, kind, practice, value in (
            (1, "slider", 1, 20), (2, "slider", 0, 71), (3, "slider", 0, None),
            (4, "experiment", 0, "rt-of-a-trial"), (5, "free_text", 0, "a <b>dog</b>"),
        ):  # fmt: skip
            connection.execute(
                "INSERT INTO trial (session, at, turn, step, kind, condition, practice, stood_ms, "
                "question, wording, value) VALUES (?, ?, ?, 1, ?, 'anger', ?, 9, 'q', ?, ?)",
                (number, start + turn, turn, kind, practice, f"How tense {turn}?", value),
            )
    page = ada.get(f"/study/sessions/{number}").text
    answers = page[page.index('id="answers-title"') : page.index('id="checks-title"')]
    answers = answers.replace(' translate="no"', "")
    assert "answered no scale" not in answers
    for cells in (
        "Practice</th><td>How tense 1?</td><td>20", "anger</th><td>How tense 2?</td><td>71",
        "anger</th><td>How tense 5?</td><td>a &lt;b&gt;dog&lt;/b&gt;",
    ):  # fmt: skip
        assert cells in answers
    assert "How tense 3?" not in answers, "not answered"
    assert "rt-of-a-trial" not in answers, "a value of an experiment"


@pytest.mark.parametrize("part", ["", "/quality", "/course"])
def test_pages_of_a_session_say_that_the_face_may_be_another(
    ada: TestClient, database: Path, session: int, part: str
) -> None:
    with write_transaction(database) as connection:
        (start,) = connection.execute(
            "SELECT started FROM session WHERE id = ?", (session,)
        ).fetchone()
        changed = start + 300_000
        connection.execute("UPDATE expression SET track = track + 1 WHERE at > ?", (changed,))

    page = ada.get(f"/study/sessions/{session}{part}").text

    assert (
        '<p id="faces">The face was out of view once, and a face came back. It is not known '
        "whether it was always the same person.</p>"
    ) in page


def test_a_session_that_is_open_or_empty_is_shown_too(ada: TestClient, session: int) -> None:
    new = {"participant": "P-01", "purpose": "research", "name": "now"}
    number = ada.post("/api/v1/session", json=new).json()["session"]["id"]
    page = ada.get(f"/study/sessions/{number}").text
    assert "Nothing recorded" in page or "timeline-wide" in page
    assert ">open</span>" in page
    assert '<p class="notice " id="verdict"><strong>No conditions: shown by day, not tested' in page
    assert "badge-bad" not in page and "not fit" not in page
    assert "ada</dd>" in page  # who started it


def test_second_session_lies_over_it_and_one_that_is_not_there_is_refused(
    ada: TestClient, database: Path, session: int
) -> None:
    study = Study(database)
    began = now().shift(-300)
    other = study.start_session(NewSession("P-01", Purpose.RESEARCH, "again"), began)
    study.add_marker(MarkerKind.STIMULUS_START, "stroop", began.shift(10))
    study.end_session(began.shift(200))
    page = ada.get(f"/study/sessions/{session}?with={other.id}").text
    assert "timeline-second" in page and "stroop" in page and "P-01, again" in page
    named = f'<option value="{other.id}" data-name="P-01 · again" data-at="{other.start_ms}"'
    assert f"{named} selected>" in page
    assert ada.get(f"/study/sessions/{session}?with=99").status_code == 404
    led = ada.get(f"/study/compare?first={session}&with={other.id}")
    assert led.headers["location"] == f"/study/sessions/{session}?with={other.id}"
    person = ada.get("/study/participants/P-01").text
    assert 'action="/study/compare"' in person
    offered = re.findall(
        r'<option value="\d+" data-name="[^"]*" data-at="\d+"[^>]*>([^<]*)', person
    )
    assert len(offered) == 2 * len(set(offered)) > 2, "each session once in both lists, by its time"
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


def test_sessions_are_shown_in_pages_and_by_participant_and_day(
    ada: TestClient, database: Path
) -> None:
    study = Study(database)
    first = add_session(database, minutes_ago=45 * 24 * 60)
    for number in range(22):
        began = now().shift(-60 * (220 - 10 * number))
        study.start_session(NewSession("P-01", Purpose.RESEARCH, f"round {number}"), began)
        study.end_session(began.shift(60))
    page = ada.get("/study?session_page=3").text
    assert "Page 3 of 3" in page and page.count('<th scope="row"><a href="/study/sessions/') == 3
    assert 'href="/study?session_page=2#sessions-title"' in page
    day = datetime.fromtimestamp(study.sessions()[-1].start_ms / 1000, UTC).astimezone().date()
    asked = ada.get(f"/study?who=p-0&day={day}&search=P").text
    assert "1 of 23" in asked and f'href="/study/sessions/{first}"' in asked
    assert 'name="who" value="p-0"' in asked  # the form of the participants keeps it
    assert "No session matches" in ada.get("/study?who=nobody").text
    person = ada.get("/study/participants/P-01?session_page=2").text
    assert "Page 2 of 2" in person and person.count('<a href="/study/sessions/') == 3
    assert person.count(f'<option value="{first}"') == 2  # any two can be laid over each other
    assert "Page 1 of 2" in ada.get("/study/participants/P-01?day=&session_page=1").text
    alone = ada.get(f"/study/participants/P-01?day={day}").text
    assert "1 of 23" in alone and alone.count('<a href="/study/sessions/') == 1


def test_responses_of_a_session_come_with_whole_page_and_are_those_of_api(
    ada: TestClient, session: int
) -> None:
    page = ada.get(f"/study/sessions/{session}").text
    assert f'href="/study/sessions/{session}?whole=yes" data-later' in page
    whole = ada.get(f"/study/sessions/{session}?whole=yes").text
    assert whole.count('<svg class="timeline curves') == 4, "two measures, for screen and phone"
    api = ada.get(f"/api/v1/responses?sample=selected&session={session}&vital=heart_rate").json()
    assert [one["event"] for one in api["curves"]] == ["neutral"], "too little of the others"
    assert api["curves"][0]["sentence"] in whole and "neutral, 1 event" in whole
    assert "Without a curve: happiness and anger." in whole and "style=" not in whole


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
    assert '<option value="smile">' in page and "Movements of the face (points)" not in page
    with write_transaction(database) as connection:
        for table in ("expression", "vital"):
            connection.execute(f"DELETE FROM {table}")
    assert "Nothing recorded" not in ada.get(f"/study/sessions/{session}").text
    page = ada.get(f"/study/sessions/{session}?movement=smile&movement=smile").text
    assert page.count("Movements of the face (points)") == 2, "wide and narrow"
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
