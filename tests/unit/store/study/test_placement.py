"""In which sessions times lie, and what is said of those that lie in none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge_agent.cli import cli
from edge_agent.core.clock import iso_utc
from edge_agent.core.study import Purpose, Session
from edge_agent.store.study.past import Placement
from edge_agent.store.study.study import Study
from tests.support.timeline import START_MS, instant


def session(number: int, start_s: float, end_s: float | None) -> Session:
    end_ms = None if end_s is None else START_MS + round(1000 * end_s)
    start_ms = START_MS + round(1000 * start_s)
    return Session(number, f"P{number:02d}", Purpose.RESEARCH, "", start_ms, end_ms)


def said_of(sessions: list[Session], *seconds: float) -> str:
    placement = Placement(sessions)
    for second in seconds:
        placement.look(START_MS + round(1000 * second))
    return placement.sentence


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (99.0, "1 of 1 lies in no session; the nearest is session 1 (P01), 1 s later."),
        (100.0, ""),
        (199.9, ""),
        (200.0, "1 of 1 lies in no session; the nearest is session 1 (P01), 0 s earlier."),
        (240.0, "1 of 1 lies in no session; the nearest is session 1 (P01), 40 s earlier."),
        (270.0, "1 of 1 lies in no session; the nearest is session 2 (P02), 30 s later."),
        (-7_700.0, "1 of 1 lies in no session; the nearest is session 1 (P01), 2 h 10 min later."),
        (
            -183_500.0,
            "1 of 1 lies in no session; the nearest is session 1 (P01), 2 days 3 h later.",
        ),
        (5_000.0, ""),
    ],
)
def test_a_time_outside_sessions_is_told_with_the_nearest(second: float, words: str) -> None:
    sessions = [session(2, 300, 400), session(1, 100, 200), session(3, 4_000, None)]
    assert said_of(sessions, second) == words


def test_a_file_of_another_hour_is_taken_and_the_answer_says_that_nothing_meets(
    study: Study, tmp_path: Path
) -> None:
    study.start_session("P01", Purpose.RESEARCH, "", instant(0))
    study.end_session(instant(600))
    file = tmp_path / "cuff.csv"
    rows = [f"{iso_utc(START_MS - 7_859_000 + 1000 * n)},heart_rate,72" for n in range(60)]
    file.write_text("\n".join(["at,kind,value", *rows]) + "\n")
    words = ["import-vitals", str(file), "--data", str(tmp_path), "--json"]
    told = json.loads(CliRunner().invoke(cli, words).stdout)
    assert told["outside_sessions"] == told["imported"] == 60
    assert told["nearest_session"] == {"session": 1, "participant": "P01", "later_s": 7800.0}
    said = "60 of 60 lie in no session; the nearest is session 1 (P01), 2 h 10 min later."
    assert told["message"] == said
