"""Markers that are corrected on their page and by programs, as they are answered."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from edge_agent.core.study import exact_since_start
from tests.support.dashboard import add_session, fill


@pytest.fixture
def session(ada: TestClient, database: Path) -> int:
    """A session with the conditions neutral, happiness and anger."""
    fill(database)
    return add_session(database)


def shown(client: TestClient, session: int) -> list[dict[str, object]]:
    answer = client.get(f"/api/v1/sessions/{session}/markers").json()
    return [one for one in answer["markers"] if one["kind"].startswith("stimulus")]


def test_a_condition_that_was_marked_late_is_corrected(ada: TestClient, session: int) -> None:
    assert f'href="/study/sessions/{session}/markers"' in ada.get(f"/study/sessions/{session}").text
    first = shown(ada, session)[0]
    address = f"/study/sessions/{session}/markers/{first['number']}"
    typed = {"after": "0:07,5", "kind": "stimulus_start", "label": "calm", "reason": "pressed late"}

    assert ada.post(address, data=typed).status_code == 303

    start, end, *_ = shown(ada, session)
    assert (start["label"], end["label"]) == ("calm", "calm")
    page = ada.get(f"/study/sessions/{session}/markers").text
    assert "0:07.500" in page and "pressed late" in page
    assert '<th scope="row">calm</th>' in ada.get(f"/study/sessions/{session}").text


def test_a_wrong_entry_is_shown_again_with_its_problem(ada: TestClient, session: int) -> None:
    before = shown(ada, session)
    address = f"/study/sessions/{session}/markers/{before[0]['number']}"
    for typed, problem in (
        ({"after": "soon", "kind": "note", "label": "x"}, "&#39;soon&#39; is no time since"),
        ({"after": "1:00", "kind": "smile", "label": "x"}, "&#39;smile&#39; is no kind of marker"),
        (
            {"after": "59:00", "kind": "note", "label": "x"},
            "59:00 lies outside session 1, which lasts from 0:00 to",
        ),
        ({"reason": " ", "remove": "yes"}, "Give a reason for leaving the marker out."),
    ):
        answer = ada.post(address, data=typed)
        assert answer.status_code == 409 and problem in answer.text, typed
        assert str(typed.get("after", "")) in answer.text
    assert shown(ada, session) == before


def test_an_end_that_was_forgotten_is_added_and_one_too_many_left_out(
    ada: TestClient, session: int
) -> None:
    last = shown(ada, session)[-1]
    page = f"/study/sessions/{session}/markers"

    removed = ada.post(f"{page}/{last['number']}", data={"remove": "yes", "reason": "too late"})
    assert removed.status_code == 303
    added = ada.post(page, data={"after": "9:00", "kind": "stimulus_end"})

    assert added.status_code == 303
    assert shown(ada, session)[-1]["label"] == last["label"]
    assert shown(ada, session)[-1]["number"] != last["number"]
    refused = ada.post(page, data={"after": "9:30", "kind": "stimulus_end"})
    assert refused.status_code == 409 and "no stimulus was going on" in refused.text


def test_a_program_corrects_a_marker_and_leaves_one_out(ada: TestClient, session: int) -> None:
    first = shown(ada, session)[0]
    address = f"/api/v1/sessions/{session}/markers/{first['number']}"
    new = {"at": first["at"], "kind": "stimulus_start", "label": "calm", "reason": "slip"}

    assert ada.put(address, json=new).json() == first | {"label": "calm"}
    refused = ada.delete(address, params={"reason": "slip"})
    assert refused.status_code == 409 and "would end nothing" in refused.json()["detail"]
    end = shown(ada, session)[1]
    assert ada.delete(f"{address[: address.rindex('/')]}/{end['number']}").status_code == 422
    for number in (end["number"], first["number"]):
        gone = f"/api/v1/sessions/{session}/markers/{number}"
        assert ada.delete(gone, params={"reason": "slip"}).status_code == 204

    changes = ada.get(f"/api/v1/sessions/{session}/markers").json()["changes"]
    assert [one["removed"] for one in changes] == [False, False, True, True]
    assert ada.put(address, json=new).status_code == 409
    assert ada.get("/api/v1/sessions/99/markers").status_code == 404


@pytest.mark.parametrize(
    ("ms", "text"), [(0, "0:00"), (245_250, "4:05.250"), (3_845_000, "1:04:05")]
)
def test_a_time_since_the_start_is_written_exactly(ms: int, text: str) -> None:
    assert exact_since_start(ms) == text
