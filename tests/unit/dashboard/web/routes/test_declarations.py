"""Stretches whose faces are declared afterwards, on the page of a session and by programs."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from edge_agent.core.expression import Emotion
from edge_agent.timeline.database.connection import write_transaction
from tests.support.timeline import row, session_row, timeline


@pytest.fixture
def session(ada: TestClient, database: Path) -> int:
    """A session whose face is not known from 20 s to 40 s."""
    unknown = {"primary": False, "attribution": "unknown"}
    rows = [
        row(at, Emotion.ANGER, **(unknown if 20 < at <= 40 else {"attribution": "seat"}))
        for at in range(1, 60)
    ]
    timeline(database, session=[session_row(0, 100)], expression=rows)
    return 1


def test_a_stretch_that_is_not_known_is_declared_on_the_page_and_taken_back(
    ada: TestClient, session: int
) -> None:
    page = f"/study/sessions/{session}"
    shown = ada.get(page).text
    assert "0:20 – 0:40" in shown and "one face" in shown
    assert shown.count('class="timeline-not-known"') == 2  # of the wide and the narrow picture

    typed = {"start": "0:20", "end": "0:40", "reason": "she <turned>"}
    assert ada.post(f"{page}/declarations", data=typed).status_code == 303

    (made,) = ada.get(f"/api/v1/sessions/{session}/declarations").json()
    assert (made["end"] - made["start"], made["reason"]) == (20_000, "she <turned>")
    shown = ada.get(page).text
    assert "she &lt;turned&gt;" in shown and "timeline-not-known" not in shown

    assert ada.post(f"{page}/declarations/{made['number']}/take-back").status_code == 303
    assert "timeline-not-known" in ada.get(page).text


def test_declaration_that_cannot_be_taken_back_says_why(
    ada: TestClient, session: int, database: Path
) -> None:
    page = f"/study/sessions/{session}"
    ada.post(f"{page}/declarations", data={"start": "0:20", "end": "0:40", "reason": "x"})
    (made,) = ada.get(f"/api/v1/sessions/{session}/declarations").json()
    with write_transaction(database) as connection:
        connection.execute("UPDATE marker SET import = 1")

    refused = ada.post(f"{page}/declarations/{made['number']}/take-back")

    assert refused.status_code == 409
    assert f"Declaration {made['number']} came with an import" in refused.text
    assert len(ada.get(f"/api/v1/sessions/{session}/declarations").json()) == 1


@pytest.mark.parametrize("kind", ["declarations", "exclusions"])
def test_what_is_taken_back_twice_is_no_error_and_an_unknown_session_is(
    ada: TestClient, session: int, kind: str
) -> None:
    page = f"/study/sessions/{session}/{kind}"
    ada.post(page, data={"start": "0:20", "end": "0:40", "reason": "x"})
    (made,) = ada.get(f"/api/v1/sessions/{session}/{kind}").json()
    again = [ada.post(f"{page}/{made['number']}/take-back").status_code for _ in range(2)]
    assert again == [303, 303]
    assert ada.post(f"/study/sessions/99/{kind}/{made['number']}/take-back").status_code == 404


def test_a_wrong_declaration_is_shown_again_with_its_problem(ada: TestClient, session: int) -> None:
    page = f"/study/sessions/{session}/declarations"
    for typed, problem in (
        ({"start": "0:20", "reason": "x"}, "Give both ends of the stretch."),
        ({"start": "0:45", "end": "0:50", "reason": "x"}, "Between 0:45 and 0:50 there is no face"),
        ({"start": "0:20", "end": "0:40", "reason": " "}, "Give a reason of 1 to 68 characters"),
    ):
        answer = ada.post(page, data=typed)
        assert answer.status_code == 409 and problem in answer.text, typed
    assert ada.get(f"/api/v1/sessions/{session}/declarations").json() == []
    assert ada.get("/api/v1/sessions/99/declarations").status_code == 404


def test_programs_declare_a_stretch_and_take_it_back(ada: TestClient, session: int) -> None:
    address = f"/api/v1/sessions/{session}/declarations"
    start = ada.get("/api/v1/sessions").json()[0]["start"]
    made = ada.post(address, json={"start": start + 20_000, "end": start + 40_000, "reason": "x"})
    assert made.status_code == 201
    number = made.json()["number"]
    assert [ada.delete(f"{address}/{number}").status_code for _ in range(2)] == [204, 409]
