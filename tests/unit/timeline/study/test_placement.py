"""In which sessions times lie, and what is said of those that lie in none."""

from __future__ import annotations

import pytest

from edge_agent.core.study import Purpose, Session
from edge_agent.timeline.study.past import Placement
from tests.support.timeline import START_MS


def session(number: int, start_s: float, end_s: float | None) -> Session:
    end_ms = None if end_s is None else START_MS + round(1000 * end_s)
    start_ms = START_MS + round(1000 * start_s)
    return Session(number, f"P{number:02d}", Purpose.RESEARCH, "", start_ms, end_ms)


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (99.0, "1 of 1 lies in no session; the nearest is session 1 (P01), 1 s later."),
        (100.0, ""),
        (200.0, "1 of 1 lies in no session; the nearest is session 1 (P01), 0 s earlier."),
        (270.0, "1 of 1 lies in no session; the nearest is session 2 (P02), 30 s later."),
        (-7_700.0, "1 of 1 lies in no session; the nearest is session 1 (P01), 2 h 10 min later."),
        (
            -183_500.0,
            "1 of 1 lies in no session; the nearest is session 1 (P01), 2 days 3 h later.",
        ),
        (5_000.0, ""),
    ],
)
def test_a_time_outside_sessions_is_reported_with_the_nearest(second: float, words: str) -> None:
    sessions = [session(2, 300, 400), session(1, 100, 200), session(3, 4_000, None)]
    placement = Placement(sessions)
    placement.look(START_MS + round(1000 * second))
    assert placement.sentence == words
