"""Markers that arrive after their press, more than once, or after the end of their session."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.core import clock
from edge_agent.core.errors import StudyError
from edge_agent.core.study import MarkerKind, Purpose
from edge_agent.store.study.past import PastMarker
from edge_agent.store.study.study import Study
from tests.support.timeline import query

START = MarkerKind.STIMULUS_START
END = MarkerKind.STIMULUS_END


@pytest.fixture
def study(study: Study) -> Study:
    """A study with a session that is open for a minute."""
    study.start_session("P01", Purpose.RESEARCH, "films", clock.now().shifted(-60))
    return study


def labels(study: Study) -> list[tuple[str, str]]:
    return [(marker.kind.value, marker.label) for marker in study.markers(1)]


def test_a_marker_keeps_the_time_of_its_press_and_is_added_and_sent_once(
    path: Path, study: Study
) -> None:
    at = clock.now().shifted(-30)
    pressed = PastMarker(at.wall_ms, START, "anger", 1)
    study.add_pressed_marker(pressed)
    study.add_pressed_marker(pressed)
    assert [marker.at.wall_ms for marker in study.markers(1)] == [pressed.at_ms]
    assert study.markers(1)[0].at.boot_ms == pytest.approx(at.boot_ms, abs=1000)
    sent = query(path, "SELECT payload FROM outbox WHERE payload LIKE '%anger%'")
    assert len(sent) == 1


def test_an_end_or_baseline_without_label_is_added_once_too(study: Study) -> None:
    now_ms = clock.now().wall_ms
    study.add_pressed_marker(PastMarker(now_ms - 9_000, START, "anger", 1))
    for _ in range(2):
        study.add_pressed_marker(PastMarker(now_ms - 8_000, END, "", 1))
        study.add_pressed_marker(PastMarker(now_ms - 7_000, MarkerKind.BASELINE, "", 1))
    assert labels(study) == [
        ("stimulus_start", "anger"),
        ("stimulus_end", "anger"),
        ("baseline", "neutral"),
    ]


def test_a_press_a_moment_beyond_the_edge_is_moved_to_it_and_one_far_beyond_is_refused(
    study: Study,
) -> None:
    now_ms = clock.now().wall_ms
    study.add_pressed_marker(PastMarker(now_ms + 1_500, START, "anger", 1))
    assert study.markers(1)[0].at.wall_ms <= clock.now().wall_ms
    with pytest.raises(StudyError, match="lies in the future"):
        study.add_pressed_marker(PastMarker(now_ms + 60_000, START, "fear", 1))
    with pytest.raises(StudyError, match="before the start of session 1"):
        study.add_pressed_marker(PastMarker(now_ms - 600_000, START, "fear", 1))
    study.add_pressed_marker(PastMarker(study.sessions()[0].start_ms - 500, START, "fear", 1))
    assert study.markers(1)[0].at.wall_ms == study.sessions()[0].start_ms


def test_a_marker_never_goes_to_another_session_than_it_was_pressed_in(study: Study) -> None:
    now_ms = clock.now().wall_ms
    study.end_session(clock.now().shifted(-20))
    study.start_session("P01", Purpose.RESEARCH, "more", clock.now().shifted(-10))
    study.add_pressed_marker(PastMarker(now_ms - 30_000, START, "anger", 1))
    assert labels(study) == [("stimulus_start", "anger")]
    assert study.markers(2) == []
    with pytest.raises(StudyError, match="lies outside session 1"):
        study.add_pressed_marker(PastMarker(now_ms - 5_000, START, "fear", 1))
    assert study.markers(2) == []
