"""Tracks follow faces by overlap over real time; the participant's face is chosen without jumping."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.clock import Instant
from edge_agent.domain import Box, Face
from edge_agent.vision.tracker import PrimaryChooser, Tracker, prominence

START = Instant(boot_ms=1_000_000, wall_ms=1_800_000_000_000)
WIDTH, HEIGHT = 640, 480


def face(x: float, y: float, size: float = 100) -> Face:
    return Face(Box(x, y, size, size), 0.9, ((0.0, 0.0),) * 5)


def numbers(tracker: Tracker, faces: list[Face], seconds: float) -> list[int]:
    return [number for number, _ in tracker.update(faces, START.shifted(seconds))]


def test_a_face_that_moves_a_little_keeps_its_track_and_a_far_one_gets_a_new_one() -> None:
    tracker = Tracker()
    assert numbers(tracker, [face(100, 100)], 0) == [1]
    assert numbers(tracker, [face(130, 110)], 0.1) == [1]
    assert numbers(tracker, [face(400, 110)], 0.2) == [2]


def test_two_faces_that_change_their_order_keep_their_tracks() -> None:
    tracker = Tracker()
    assert numbers(tracker, [face(100, 100), face(300, 100)], 0) == [1, 2]
    assert numbers(tracker, [face(305, 100), face(105, 100)], 0.1) == [2, 1]


def test_of_two_faces_near_one_track_the_one_that_overlaps_more_continues_it() -> None:
    tracker = Tracker()
    numbers(tracker, [face(100, 100)], 0)
    assert numbers(tracker, [face(150, 100), face(110, 100)], 0.1) == [2, 1]


def test_a_face_that_is_lost_for_less_than_the_limit_comes_back_as_itself() -> None:
    tracker = Tracker(lost_after_s=1.0)
    numbers(tracker, [face(100, 100)], 0)
    assert numbers(tracker, [], 0.5) == []
    assert numbers(tracker, [face(100, 100)], 1.0) == [1]


def test_a_face_that_was_gone_for_longer_is_a_new_track_even_at_the_same_place() -> None:
    tracker = Tracker(lost_after_s=1.0)
    numbers(tracker, [face(100, 100)], 0)
    assert numbers(tracker, [face(100, 100)], 1.001) == [2]


def test_a_jump_of_the_wall_clock_does_not_end_a_track() -> None:
    tracker = Tracker()
    tracker.update([face(100, 100)], START)
    later = Instant(START.boot_ms + 100, START.wall_ms + 86_400_000)
    assert tracker.update([face(100, 100)], later)[0][0] == 1


boxes = st.builds(face, st.floats(0, 600), st.floats(0, 400), st.floats(10, 200))


@given(st.lists(st.lists(boxes, max_size=6), max_size=6))
def test_every_face_gets_exactly_one_number_and_no_number_is_given_twice_in_a_frame(frames: list[list[Face]]) -> None:
    tracker = Tracker()
    for i, faces in enumerate(frames):
        tracked = tracker.update(faces, START.shifted(i / 10))
        assert [f for _, f in tracked] == faces
        assert len({number for number, _ in tracked}) == len(faces)


class Choice:
    """A chooser, and the seconds since it began."""

    def __init__(self) -> None:
        self.chooser = PrimaryChooser(lead=1.5, hold_s=0.5)

    def at(self, seconds: float, faces: dict[int, Face]) -> int | None:
        return self.chooser.choose(list(faces.items()), WIDTH, HEIGHT, START.shifted(seconds))


def test_the_largest_face_is_the_participant() -> None:
    assert Choice().at(0, {1: face(270, 190, 80), 2: face(300, 190, 120)}) == 2


def test_of_two_faces_of_one_size_the_more_central_one_is_the_participant() -> None:
    assert Choice().at(0, {1: face(0, 0), 2: face(270, 190)}) == 2


def test_another_face_takes_over_only_with_a_clear_lead() -> None:
    choice = Choice()
    assert choice.at(0.0, {1: face(200, 190, 100), 2: face(340, 190, 90)}) == 1
    assert choice.at(0.1, {1: face(200, 190, 100), 2: face(340, 190, 110)}) == 1
    assert choice.at(0.2, {1: face(200, 190, 100), 2: face(340, 190, 150)}) == 2
    assert choice.at(0.3, {1: face(200, 190, 120), 2: face(340, 190, 130)}) == 2


def test_a_participant_who_is_gone_for_a_moment_is_waited_for_and_then_replaced() -> None:
    choice = Choice()
    participant, bystander = face(270, 190, 200), face(0, 0, 50)
    assert choice.at(0.0, {1: participant, 2: bystander}) == 1
    assert choice.at(0.4, {2: bystander}) is None
    assert choice.at(0.5, {1: participant, 2: bystander}) == 1
    assert choice.at(1.0, {2: bystander}) is None
    assert choice.at(1.1, {2: bystander}) == 2


def test_without_faces_there_is_no_participant_and_the_next_face_becomes_it_at_once() -> None:
    choice = Choice()
    assert choice.at(0.0, {}) is None
    assert choice.at(0.1, {1: face(0, 0)}) == 1
    assert choice.at(5.0, {}) is None
    assert choice.at(5.1, {2: face(0, 0)}) == 2


def test_prominence_is_the_area_in_the_middle_and_half_of_it_in_a_corner() -> None:
    assert prominence(Box(270, 190, 100, 100), WIDTH, HEIGHT) == pytest.approx(10_000)
    assert prominence(Box(-50, -50, 100, 100), WIDTH, HEIGHT) == pytest.approx(5_000)
