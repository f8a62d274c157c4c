"""What a protocol records of each screen: how long it stood, the answer, and practice."""

from __future__ import annotations

import pytest

from dashboard.protocols.questions import ProtocolQuestion
from dashboard.protocols.state import FrameReport, ProtocolState
from dashboard.protocols.steps import Screen, ScreenKind
from dashboard.protocols.texts import Scale
from edge_agent.core.errors import StudyError
from edge_agent.core.study import MarkerKind, QuestionKind
from tests.support.timeline import instant

LIKING = ProtocolQuestion("liking", QuestionKind.LIKERT, "How much?", ("not", "", "very"))
NAMED = {
    QuestionKind.LIKERT: LIKING,
    QuestionKind.SLIDER: ProtocolQuestion("q", QuestionKind.SLIDER, "?", low="l", high="h"),
    QuestionKind.CHOICE: ProtocolQuestion(
        "q", QuestionKind.CHOICE, "?", ("yes", "no"), required=True
    ),
    QuestionKind.FREE_TEXT: ProtocolQuestion("q", QuestionKind.FREE_TEXT, "?"),
}
SCREENS = (
    Screen(ScreenKind.INSTRUCTION, None, text="Hello", step=1),
    Screen(ScreenKind.STIMULUS, 5, label="try", practice=True, step=2),
    Screen(ScreenKind.SCALE, None, scale=Scale.VALENCE, practice=True, step=3),
    Screen(ScreenKind.STIMULUS, 5, "anger", opens=True, label="anger", step=4),
    Screen(ScreenKind.QUESTION, None, question=LIKING, step=5),
)


def _running(screens: tuple[Screen, ...] = SCREENS, turns: int = 0) -> ProtocolState:
    state = ProtocolState(screens, instant(0), turns=turns)
    state.set_ready(instant(0))
    state.go(instant(0))
    return state


def _run_through(state: ProtocolState) -> None:
    state.answer(0, None, instant(2))
    state.tick(instant(7))
    state.answer(2, 9, instant(8))
    state.tick(instant(13))
    state.answer(4, 3, instant(14.5))


def test_each_screen_is_a_trial_with_its_step_condition_and_answer() -> None:
    state = _running()
    _run_through(state)
    trials = state.pending.trials
    shown = [(one.turn, one.step, one.kind, one.condition, one.stood_ms) for one in trials]
    assert shown == [
        (1, 1, "instruction", None, 2000),
        (2, 2, "stimulus", "try", 5000),
        (3, 3, "valence", "try", 1000),
        (4, 4, "stimulus", "anger", 5000),
        (5, 5, "likert", "anger", 1500),
    ]
    assert [one.planned_ms for one in trials] == [None, 5000, None, 5000, None]
    last = trials[-1]
    assert (last.question, last.wording, last.value) == ("liking", "How much?", 3)


def test_practice_sets_no_condition_and_no_report_and_is_left_out() -> None:
    state = _running()
    _run_through(state)
    starts = [one for one in state.pending.markers if one.kind is MarkerKind.STIMULUS_START]
    assert [one.label for one in starts] == ["anger"]
    assert state.pending.reports == []
    assert state.pending.practice == [(instant(2), instant(8))]
    assert [one.practice for one in state.pending.trials] == [False, True, True, False, False]


def test_practice_that_is_paused_is_left_out_in_two_parts() -> None:
    state = _running()
    state.answer(0, None, instant(2))
    state.pause(instant(3))
    state.go(instant(10))
    state.tick(instant(14))
    state.answer(2, 9, instant(15))
    assert state.pending.practice == [(instant(2), instant(3)), (instant(10), instant(15))]
    assert [one.turn for one in state.pending.trials] == [1, 2, 3, 4]


def test_turns_go_on_after_a_restart_of_the_dashboard() -> None:
    state = _running(turns=7)
    state.answer(0, None, instant(1))
    assert state.pending.trials[0].turn == 8


@pytest.mark.parametrize(
    ("kind", "value", "kept"),
    [
        (QuestionKind.LIKERT, 3, 3),
        (QuestionKind.LIKERT, None, None),
        (QuestionKind.SLIDER, 0, 0),
        (QuestionKind.SLIDER, 100, 100),
        (QuestionKind.CHOICE, "no", "no"),
        (QuestionKind.FREE_TEXT, "  two\r\nlines\0 ", "two lines"),
        (QuestionKind.FREE_TEXT, "  ", None),
    ],
)
def test_answer_to_a_question_is_kept(
    kind: QuestionKind, value: int | str | None, kept: int | str | None
) -> None:
    assert NAMED[kind].check(value) == kept


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (QuestionKind.LIKERT, 0),
        (QuestionKind.LIKERT, 4),
        (QuestionKind.LIKERT, True),
        (QuestionKind.LIKERT, "3"),
        (QuestionKind.SLIDER, 101),
        (QuestionKind.CHOICE, "perhaps"),
        (QuestionKind.CHOICE, None),
        (QuestionKind.FREE_TEXT, "a" * 2001),
    ],
)
def test_answer_that_does_not_fit_is_refused(kind: QuestionKind, value: int | str | None) -> None:
    with pytest.raises(StudyError):
        NAMED[kind].check(value)


def _frame(turn: int | None, seconds: float, page_s: float | None = None) -> FrameReport:
    at_ms = instant(0).boot_ms + 1000 * seconds
    page_ms = 1000 * (seconds + 90 if page_s is None else page_s)
    return FrameReport(turn, at_ms, within_ms=1.5, page_ms=page_ms, frame_ms=16.6)


def test_frames_tell_how_late_and_how_long_a_screen_was_shown() -> None:
    state = _running()
    state.note_frame(_frame(1, 0.0255))
    state.answer(0, None, instant(2))
    state.note_frame(_frame(2, 2.035))
    (time,) = state.pending.times
    assert (time.turn, time.late_within_ms, time.frame_ms) == (1, 1.5, 16.6)
    assert (time.late_ms, time.shown_ms) == pytest.approx((25.5, 2009.5))


def test_frames_of_one_page_lie_apart_as_its_own_clock_says() -> None:
    state = _running()
    state.note_frame(_frame(1, 0.0255, page_s=5))
    state.note_frame(_frame(2, 2.0375, page_s=7.0105))
    state.note_frame(_frame(None, 3.0375, page_s=0.2))
    assert [one.shown_ms for one in state.pending.times] == [pytest.approx(2010.5)]


def test_frames_that_cannot_be_are_passed_over() -> None:
    state = _running()
    state.note_frame(_frame(9, 1))
    state.note_frame(_frame(1, 400))
    state.note_frame(_frame(1, 1))
    state.note_frame(_frame(1, 2))
    state.note_frame(_frame(None, 0.5))
    state.note_frame(_frame(None, 3))
    assert state.pending.times == []


def test_last_screen_waits_for_the_page_that_shows_it() -> None:
    state = _running(SCREENS[:1])
    state.note_frame(_frame(1, 0.02))
    assert not state.awaits_last_frame
    state.answer(0, None, instant(2))
    assert state.awaits_last_frame
    state.note_frame(_frame(None, 2.03))
    assert not state.awaits_last_frame
    assert [one.turn for one in state.pending.times] == [1]
