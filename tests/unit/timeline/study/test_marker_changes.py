"""Markers that are corrected or left out: conditions, what is kept, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.core import clock
from edge_agent.core.errors import StudyError
from edge_agent.core.study import MarkerKind, NewSession, Purpose
from edge_agent.timeline.database.connection import insert, write_transaction
from edge_agent.timeline.read.reader import Reader
from edge_agent.timeline.study.marker_changes import correct_marker, marker_changes, remove_marker
from edge_agent.timeline.study.past import PastMarker
from edge_agent.timeline.study.sessions import Study
from edge_agent.timeline.upkeep.erasure import erase_participant
from tests.support.timeline import START_MS, instant, query, second_of, session_row, timeline

START, END, NOTE = MarkerKind.STIMULUS_START, MarkerKind.STIMULUS_END, MarkerKind.NOTE


@pytest.fixture
def session(path: Path) -> int:
    """A session of two films; the first one was named wrongly."""
    timeline(path, session=[session_row(0, 100, (10, 50, "angr"), (60, 90, "joy"))])
    return 1


def numbers(path: Path, session: int) -> list[int]:
    return [marker.id or 0 for marker in Study(path).markers(session)]


def conditions(path: Path) -> list[tuple[str, float, float]]:
    shown = Reader(path).conditions(START_MS, START_MS + 1_000_000)
    return [(one.label, second_of(one.start_ms), second_of(one.end_ms or 0)) for one in shown]


def new(session: int, second: float, kind: MarkerKind, label: str) -> PastMarker:
    return PastMarker(instant(second).wall_ms, kind, label, session)


def test_a_condition_gets_another_time_and_name_and_its_old_ones_are_kept(
    path: Path, session: int
) -> None:
    first, last, *_ = numbers(path, session)
    correct_marker(path, first, new(session, 12.5, START, "anger"), reason="slip", actor="ada")
    correct_marker(path, last, new(session, 48, END, "anger"), actor="ada")
    assert conditions(path) == [("anger", 12.5, 48), ("joy", 60, 90)]
    kept = [
        (one.marker, second_of(one.at_ms), one.label, one.reason, one.actor)
        for one in marker_changes(path, session)
    ]
    assert kept == [
        (first, 10, "angr", "slip", "ada"),
        (last, 50, "angr", "slip", "ada"),  # the end is renamed with its start
        (last, 50, "anger", "", "ada"),
    ]
    assert query(path, "SELECT action, detail FROM audit WHERE action = 'marker_correct'") == [
        ("marker_correct", f"session {session}: stimulus_start"),
        ("marker_correct", f"session {session}: stimulus_end"),
    ]
    assert query(path, "SELECT boot_ms FROM marker WHERE id = ?", first) == [
        (instant(12.5).boot_ms,)
    ]


def test_the_same_values_change_nothing(path: Path, session: int) -> None:
    first, *_ = numbers(path, session)
    correct_marker(path, first, new(session, 10, START, "angr"), actor="ada")
    assert marker_changes(path, session) == []


def test_self_reports_of_a_condition_follow_its_name(path: Path, session: int) -> None:
    with write_transaction(path) as connection:
        for second, condition in [(70, "angr"), (55, "angr"), (56, "other")]:
            values = {"at": instant(second).wall_ms, "condition": condition}
            insert(connection, "self_report", session=session, scale="valence", value=5, **values)
    correct_marker(path, numbers(path, session)[0], new(session, 10, START, "anger"), actor="ada")
    found = query(path, "SELECT condition FROM self_report ORDER BY id")
    assert found == [("angr",), ("anger",), ("other",)]


def test_a_marker_is_left_out_with_reason_and_erased_with_its_participant(
    path: Path, session: int
) -> None:
    *_, start, end = numbers(path, session)
    with pytest.raises(StudyError, match="The stimulus_end joy at .* would end nothing"):
        remove_marker(path, session, start, reason="wrong film", actor="ada")
    with pytest.raises(StudyError, match="Give a reason"):
        remove_marker(path, session, end, reason=" ", actor="ada")
    remove_marker(path, session, end, reason="pressed by Mr Smith", actor="ada")
    remove_marker(path, session, start, reason="wrong film", actor="ada")
    assert [label for label, *_ in conditions(path)] == ["angr"]
    kept = [(one.removed, one.label, one.reason) for one in marker_changes(path, session)]
    assert kept == [(True, "joy", "pressed by Mr Smith"), (True, "joy", "wrong film")]

    erase_participant(path, "P01", actor="ada")

    assert query(path, "SELECT count(*) FROM marker_change") == [(0,)]
    assert b"Smith" not in path.read_bytes()


@pytest.mark.parametrize(
    ("second", "kind", "label", "problem"),
    [
        (101, START, "anger", "lies outside session 1, which lasts from"),
        (10, START, "", "give a label"),
        (55, START, "anger", "stimulus_end anger .* would end nothing"),
        (10, NOTE, "cough", "stimulus_end angr .* would end nothing"),
    ],
)
def test_a_correction_that_breaks_the_session_changes_nothing(
    path: Path, session: int, second: float, kind: MarkerKind, label: str, problem: str
) -> None:
    with pytest.raises(StudyError, match=problem):
        correct_marker(
            path, numbers(path, session)[0], new(session, second, kind, label), actor="ada"
        )
    assert conditions(path) == [("angr", 10, 50), ("joy", 60, 90)]
    assert marker_changes(path, session) == []


def test_a_marker_of_another_session_is_not_found(path: Path, session: int) -> None:
    with pytest.raises(StudyError, match="There is no marker 99 in session 1"):
        correct_marker(path, 99, new(session, 10, START, "anger"), actor="ada")
    with pytest.raises(StudyError, match="There is no session 7"):
        remove_marker(path, 7, numbers(path, session)[0], reason="x", actor="ada")


# Markers that arrive after their press, more than once, or after the end of their session


START = MarkerKind.STIMULUS_START
END = MarkerKind.STIMULUS_END


@pytest.fixture
def study(study: Study) -> Study:
    """A study with a session that is open for a minute."""
    study.start_session(NewSession("P01", Purpose.RESEARCH, "films"), clock.now().shift(-60))
    return study


def labels(study: Study) -> list[tuple[str, str]]:
    return [(marker.kind.value, marker.label) for marker in study.markers(1)]


def test_a_marker_keeps_the_time_of_its_press_and_is_added_and_sent_once(
    path: Path, study: Study
) -> None:
    at = clock.now().shift(-30)
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


def test_a_press_a_moment_beyond_the_edge_is_moved_to_it(study: Study) -> None:
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
    study.end_session(clock.now().shift(-20))
    study.start_session(NewSession("P01", Purpose.RESEARCH, "more"), clock.now().shift(-10))
    study.add_pressed_marker(PastMarker(now_ms - 30_000, START, "anger", 1))
    assert labels(study) == [("stimulus_start", "anger")]
    assert study.markers(2) == []
    with pytest.raises(StudyError, match="lies outside session 1"):
        study.add_pressed_marker(PastMarker(now_ms - 5_000, START, "fear", 1))
    assert study.markers(2) == []
