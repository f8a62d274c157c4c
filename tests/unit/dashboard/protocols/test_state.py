"""What a protocol writes down while it runs, is interrupted, goes on, and ends."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.protocols.media import MediaKind
from dashboard.protocols.state import ProtocolState
from dashboard.protocols.steps import Screen, ScreenKind
from dashboard.protocols.texts import Scale
from edge_agent.core.errors import StudyError
from edge_agent.core.study import MarkerKind
from edge_agent.timeline.study.protocol_runs import RunState
from tests.support.timeline import instant

SCREENS = (
    Screen(ScreenKind.BASELINE, 10, "baseline", opens=True),
    Screen(ScreenKind.STIMULUS, 5, "anger", opens=True, text="Hm"),
    Screen(ScreenKind.PRESSURE, 5, "anger"),
    Screen(ScreenKind.SCALE, None, scale=Scale.VALENCE),
    Screen(ScreenKind.SCALE, None, scale=Scale.EMOTION),
    Screen(ScreenKind.REST, 3),
    Screen(ScreenKind.STIMULUS, None, "joy", opens=True, media=MediaKind.VIDEO, file="joy.mp4"),
)


def new_state() -> ProtocolState:
    """One that begins at second 0."""
    made = ProtocolState(SCREENS, instant(0))
    made.go(instant(0))
    made.set_ready(instant(0))
    return made


def told(made: ProtocolState) -> list[tuple[float, str, str]]:
    return [
        ((m.at.boot_ms - 1_000_000) / 1000, m.kind.value, m.label) for m in made.pending.markers
    ]


def run_to(made: ProtocolState, start: int, end: int) -> None:
    for second in range(start, end + 1):
        made.tick(instant(second))


def test_protocol_begins_when_both_screens_are_ready() -> None:
    made = ProtocolState(SCREENS, instant(0))
    assert made.reason == "waiting for the participant"
    made.set_ready(instant(1))
    assert (made.reason, made.is_running) == ("ready to begin", False)
    made.go(instant(3))
    assert made.is_running
    assert told(made) == [
        (3.0, "note", "protocol: begins"),
        (3.0, "stimulus_start", "baseline"),
        (3.001, "baseline", ""),
    ]


def test_a_condition_stays_open_while_the_pressure_is_taken_and_no_longer() -> None:
    made = new_state()
    made.pending.markers.clear()
    run_to(made, 1, 22)
    assert told(made) == [
        (10.0, "stimulus_end", "baseline"),
        (10.0, "stimulus_start", "anger"),
        (20.0, "stimulus_end", "anger"),
    ]
    assert made.screen is SCREENS[3]


def test_answers_are_kept_with_the_stimulus_before() -> None:
    made = new_state()
    run_to(made, 1, 21)
    made.answer(2, 5, instant(21))
    for bad in (0, 10, -1, "5", True):
        said = f"Answer '{bad}': choose a whole number from 1 to 9"
        with pytest.raises(StudyError, match=said):
            made.answer(3, bad, instant(22))
    made.answer(3, 9, instant(22))
    made.answer(3, 1, instant(22))
    with pytest.raises(StudyError, match=f"'{'joy' * 6}jo': choose one of neutral, .*, none"):
        made.answer(4, "joy" * 7, instant(23))
    made.answer(4, "none", instant(23))
    assert [(r.condition, r.scale, r.value) for r in made.pending.reports] == [
        ("anger", "valence", 9),
        ("anger", "emotion", "none"),
    ]
    assert made.screen is SCREENS[5]
    assert made.answers == 2


def test_a_break_closes_the_condition_and_the_rest_of_the_step_follows_it() -> None:
    made = new_state()
    run_to(made, 1, 12)
    made.pending.markers.clear()
    made.pause(instant(12))
    made.tick(instant(14))
    assert (made.state, made.reason) == (RunState.PAUSED, "paused by hand")
    made.go(instant(60))
    run_to(made, 61, 64)
    assert told(made) == [
        (12.0, "stimulus_end", "anger"),
        (12.0, "note", "protocol: paused by hand"),
        (60.0, "note", "protocol: goes on"),
        (60.0, "stimulus_start", "anger"),
    ]
    assert made.screen is SCREENS[2]


def test_a_closed_page_halts_it_and_participant_coming_back_lets_it_go_on() -> None:
    made = new_state()
    run_to(made, 1, 11)
    made.pending.markers.clear()
    made.set_absent(instant(11.5))
    assert made.reason == "the participant's page was closed"
    made.set_absent(instant(11.6))
    made.set_ready(instant(30))
    assert made.is_running
    assert told(made)[1] == (11.5, "note", "protocol: the participant's page was closed")
    assert told(made)[-1] == (30.0, "stimulus_start", "anger")


def test_a_machine_that_slept_has_shown_nothing_meanwhile() -> None:
    made = new_state()
    run_to(made, 1, 12)
    made.pending.markers.clear()
    made.tick(instant(500))
    assert (made.is_running, made.reason, made.wanted) == (False, "this machine stalled", False)
    assert told(made)[0] == (12.0, "stimulus_end", "anger")
    assert made.screen is SCREENS[1]


def test_skipping_and_repeating_are_written_down() -> None:
    made = new_state()
    run_to(made, 1, 12)
    made.pending.markers.clear()
    made.repeat(instant(12))
    made.skip(instant(13))
    made.skip(instant(13))
    made.pause(instant(14))
    made.skip(instant(15))
    made.repeat(instant(15))
    assert told(made) == [
        (12.0, "note", "protocol: again anger"),
        (12.0, "stimulus_end", "anger"),
        (12.0, "stimulus_start", "anger"),
        (13.0, "note", "protocol: skipped anger"),
        (13.0, "note", "protocol: skipped take the pressure"),
        (13.0, "stimulus_end", "anger"),
        (14.0, "note", "protocol: paused by hand"),
        (15.0, "note", "protocol: skipped asks for valence"),
        (15.0, "note", "protocol: again asks for emotion"),
    ]


def test_a_video_ends_its_step_and_one_that_cannot_be_shown_halts_it() -> None:
    made = ProtocolState(SCREENS, instant(0), step=6)
    made.go(instant(0))
    made.set_ready(instant(0))
    made.media_ended(5, instant(1))
    made.media_failed(5, instant(1))
    assert made.is_running
    made.media_failed(6, instant(2))
    assert made.reason == "joy.mp4: the participant's browser cannot show this file"
    made.media_ended(6, instant(2))
    made.go(instant(3))
    made.media_ended(6, instant(4))
    assert (made.state, made.reason, made.screen) == (RunState.FINISHED, "", None)
    assert told(made)[-2:] == [(4.0, "stimulus_end", "joy"), (4.0, "note", "protocol: finished")]
    made.skip(instant(5))
    made.repeat(instant(5))
    made.end(instant(5), "by hand")
    made.go(instant(5))
    assert made.state is RunState.FINISHED


def test_step_that_the_page_cannot_show_halts_and_is_skipped() -> None:
    screens = tuple(replace(one, media=None, file="") for one in SCREENS)
    made = ProtocolState(screens, instant(0), step=6)
    made.go(instant(0))
    made.set_ready(instant(0))
    made.media_failed(6, instant(1))
    assert made.reason == "stimulus: the participant's page cannot show this kind of step"
    made.skip(instant(2))
    made.go(instant(2))
    assert made.state is RunState.FINISHED


def test_ending_it_closes_what_is_open_and_says_why() -> None:
    made = new_state()
    run_to(made, 1, 11)
    made.pending.markers.clear()
    made.end(instant(11), "by hand")
    assert told(made) == [
        (11.0, "stimulus_end", "anger"),
        (11.0, "note", "protocol: ended, by hand"),
    ]
    assert (made.state, made.reason) == (RunState.ENDED, "by hand")


KEYS = st.sampled_from(
    ["go", "pause", "set_ready", "set_absent", "skip", "repeat", "answer", "video", "tick"]
)


@given(st.lists(st.tuples(KEYS, st.floats(0, 8)), max_size=40))
def test_whatever_happens_conditions_open_and_close_in_turn_and_in_order(
    events: list[tuple[str, float]],
) -> None:
    made = ProtocolState(SCREENS, instant(0))
    now = 0.0
    for key, wait in events:
        now += wait
        at = instant(now)
        match key:
            case "answer":
                made.answer(made.position.step, "none" if made.position.step == 4 else 5, at)
            case "video":
                made.media_ended(made.position.step, at)
            case _:
                getattr(made, key)(at)
    made.end(instant(now), "by hand")
    open_label = None
    for marker in made.pending.markers:
        if marker.kind is MarkerKind.STIMULUS_START:
            assert open_label is None
            open_label = marker.label
        elif marker.kind is MarkerKind.STIMULUS_END:
            assert marker.label == open_label
            open_label = None
    assert open_label is None
    times = [
        marker.at.boot_ms
        for marker in made.pending.markers
        if marker.kind is not MarkerKind.BASELINE
    ]
    assert times == sorted(times)


@pytest.mark.parametrize("act", ["pause", "skip", "repeat", "depart", "end"])
def test_whatever_is_done_late_is_done_to_the_screen_that_is_due(act: str) -> None:
    made = new_state()
    run_to(made, 1, 9)
    done = {
        "pause": lambda: made.pause(instant(12)),
        "skip": lambda: made.skip(instant(12)),
        "repeat": lambda: made.repeat(instant(12)),
        "depart": lambda: made.set_absent(instant(12)),
        "end": lambda: made.end(instant(12), "by hand"),
    }
    done[act]()
    assert made.position.step == (2 if act == "skip" else 1)
    assert (10.0, "stimulus_start", "anger") in told(made)
