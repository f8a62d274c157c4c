"""Sessions and stretches that are left out of the analysis on the page of a session and by
programs.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.support.dashboard import add_session, fill


@pytest.fixture
def session(ada: TestClient, database: Path) -> int:
    """A session of the dashboard's study."""
    fill(database)
    return add_session(database)


def test_a_stretch_is_left_out_on_the_page_named_everywhere_and_taken_back(
    ada: TestClient, session: int
) -> None:
    page = f"/study/sessions/{session}"
    typed = {"start": "0:01", "end": "0:02,5", "reason": "phone <rang>"}
    assert ada.post(f"{page}/exclusions", data=typed).status_code == 303
    again = ada.post(f"{page}/exclusions", data={"start": "0:02", "end": "0:03", "reason": "x"})
    assert "Of session 1, 0:01 to 0:02.500 is left out already" in again.text

    (made,) = ada.get(f"/api/v1{page.removeprefix('/study')}/exclusions").json()
    assert (made["end"] - made["start"], made["actor"]) == (1_500, "ada")
    shown = ada.get(page).text
    assert "0:01 – 0:02.500" in shown and "phone &lt;rang&gt;" in shown
    assert "Stretches left out are included here." in ada.get(page).text
    assert "0:01 to 0:02.500 is left out" in ada.get(f"{page}/quality").text
    assert ">2 s left out<" in ada.get("/study").text

    assert ada.post(f"{page}/exclusions/{made['number']}/take-back").status_code == 303

    assert "taken back by ada" in ada.get(page).text
    assert "left out" not in ada.get("/study").text
    ada.post(f"{page}/exclusions", data={"start": "", "end": "", "reason": "not <tested>"})
    assert "left out: not &lt;tested&gt;" in ada.get("/study").text


def test_a_wrong_entry_is_shown_again_with_its_problem(ada: TestClient, session: int) -> None:
    page = f"/study/sessions/{session}"
    for typed, problem in (
        ({"start": "soon", "end": "1:00", "reason": "x"}, "&#39;soon&#39; is no time since"),
        ({"start": "0:05", "reason": "x"}, "Give both ends of the stretch"),
        (
            {"start": "59:00", "end": "59:30", "reason": "x"},
            "59:00 lies outside session 1, which lasts from 0:00 to",
        ),
        ({"start": "0:02", "end": "0:01", "reason": "x"}, "ends at 0:01, which does not follow"),
        ({"reason": " "}, "Give a reason for leaving it out"),
    ):
        answer = ada.post(f"{page}/exclusions", data=typed)
        assert answer.status_code == 409 and problem in answer.text, typed
    assert ada.get(f"/api/v1/sessions/{session}/exclusions").json() == []
    assert ada.post("/study/sessions/99/exclusions", data={"reason": "x"}).status_code == 404


def test_programs_leave_out_a_session_and_take_it_back(ada: TestClient, session: int) -> None:
    address = f"/api/v1/sessions/{session}/exclusions"
    made = ada.post(address, json={"reason": "camera fell"})
    assert (made.status_code, made.json()["start"], made.json()["end"]) == (201, None, None)
    assert ada.get("/api/v1/sessions").json()[0]["left_out"] == "whole"
    assert ada.post(address, json={"reason": "again"}).status_code == 409
    assert ada.post(address, json={"start": 5, "reason": "half"}).status_code == 409
    number = made.json()["number"]
    assert [ada.delete(f"{address}/{number}").status_code for _ in range(2)] == [204, 409]
    (kept,) = ada.get(address).json()
    assert (kept["reason"], kept["taken_back_by"]) == ("camera fell", "ada")
