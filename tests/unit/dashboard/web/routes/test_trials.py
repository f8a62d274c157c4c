"""The page and the API of a session's screens."""

from __future__ import annotations

from pathlib import Path

from tests.support.dashboard import client_of, set_up
from tests.support.timeline import timeline

ROW = {"session": 1, "at": 1, "turn": 1, "step": 2, "kind": "slider", "stood_ms": 1000}


def test_timing_page_shows_planned_and_shown_times_and_answers(tmp_path: Path) -> None:
    question = {"question": "tension", "wording": "How tense?", "value": 42}
    shown = {"late_ms": 21.25, "late_within_ms": 0.5, "shown_ms": 1033.5, "frame_ms": 16.7}
    timeline(
        tmp_path,
        session=[{"started": 0, "ended": 9}],
        trial=[ROW | question, ROW | shown | {"turn": 2, "planned_ms": 1000, "kind": "blank"}],
    )
    with client_of(tmp_path) as client:
        ada = set_up(client, tmp_path)
        page = ada.get("/study/sessions/1/timing").text
        assert "0 of 1 screens stood as long as planned" in page
        assert "How tense?" in page and "42" in page and "+2.0 frames" in page
        first, second = ada.get("/api/v1/sessions/1/trials").json()
        assert (first["question"], first["value"], first["late_ms"]) == ("tension", 42, None)
        assert (second["planned_ms"], second["shown_ms"]) == (1000, 1033.5)
        assert ada.get("/api/v1/sessions/2/trials").status_code == 404
        assert ada.get("/study/sessions/2/timing").status_code == 404


def test_timing_page_of_a_session_without_a_protocol_says_so(tmp_path: Path) -> None:
    timeline(tmp_path, session=[{"started": 0, "ended": 9}])
    with client_of(tmp_path) as client:
        page = set_up(client, tmp_path).get("/study/sessions/1/timing").text
    assert "No protocol showed a screen in this session." in page
