"""Texts of programs that run an experiment, and what they ask for."""

from __future__ import annotations

import pytest

from edge_agent.core.errors import StudyError
from edge_agent.core.study import (
    EndOrder,
    MarkerKind,
    NewMarker,
    NewSession,
    Order,
    Purpose,
    SessionSetting,
    read_order,
)


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("stimulus_start/anger", NewMarker(MarkerKind.STIMULUS_START, "anger")),
        (" Stimulus_Start / anger/high ", NewMarker(MarkerKind.STIMULUS_START, "anger/high")),
        ("stimulus_end", NewMarker(MarkerKind.STIMULUS_END)),
        ("baseline", NewMarker(MarkerKind.BASELINE)),
        ("cough", NewMarker(MarkerKind.NOTE, "cough")),
        ("session_end", EndOrder()),
        ("session_start/P01/research", NewSession("P01", Purpose.RESEARCH)),
        (
            "session_start/P01/Research/laboratory/films/1",
            NewSession("P01", Purpose.RESEARCH, "films/1", SessionSetting.LABORATORY),
        ),
    ],
)
def test_a_text_asks_for(text: str, order: Order) -> None:
    assert read_order(text) == order


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("  ", "An empty text is no marker"),
        ("session_start/P01", "needs participant and purpose"),
        ("session_start//research", "needs participant and purpose"),
        ("session_start/P01/fun", "Unknown purpose 'fun'. Choose one of: research"),
        ("session_start/P01/research/moon", "Unknown setting 'moon'. Choose one of: home"),
        ("x" * 81, "has 81 characters"),
    ],
)
def test_a_text_that_says_too_little_is_refused(text: str, reason: str) -> None:
    with pytest.raises(StudyError, match=reason):
        read_order(text)
