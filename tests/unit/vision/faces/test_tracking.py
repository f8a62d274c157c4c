"""Faces followed over frames, and the one of them that is the participant's."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from edge_agent.core.clock import Instant
from edge_agent.core.expression import Box, Face
from edge_agent.vision.faces.tracking import PrimaryFaceSelector, Tracker, assign, prominence

START = Instant(boot_ms=1_000_000, wall_ms=1_800_000_000_000)
RATES = pytest.mark.parametrize("fps", [2, 15, 30])


def face(x: float, y: float = 100, size: float = 100) -> Face:
    return Face(Box(x, y, size, size), 0.9, ((0.0, 0.0),) * 5)


def numbers(tracker: Tracker, faces: list[Face], seconds: float) -> list[int]:
    return [number for number, _ in tracker.update(faces, START.shift(seconds))]


def credulous(lost_after_s: float = 1.5) -> Tracker:
    """A tracker that believes every face at once."""
    return Tracker(lost_after_s, confirm_frames=1)


def played(
    tracker: Tracker, scene: Callable[[float], list[Face]], seconds: float, fps: float
) -> Iterator[list[int]]:
    """The numbers of the faces in each frame of a scene."""
    for frame in range(round(seconds * fps) + 1):
        yield numbers(tracker, scene(frame / fps), frame / fps)


def test_faces_keep_their_tracks_while_they_move_a_little() -> None:
    tracker = credulous()
    assert numbers(tracker, [face(100)], 0) == [1]
    assert numbers(tracker, [face(130)], 0.1) == [1]
    assert numbers(tracker, [face(400)], 0.2) == [2], "too far to be the same"
    assert numbers(tracker, [face(405), face(135)], 0.3) == [2, 1], "in another order"


def test_faces_are_assigned_together_so_that_a_row_of_them_can_shift() -> None:
    tracker = credulous()
    numbers(tracker, [face(100), face(160)], 0)
    assert numbers(tracker, [face(140), face(200)], 0.1) == [1, 2]


def test_a_face_of_another_size_in_the_same_place_is_another_face() -> None:
    tracker = credulous()
    numbers(tracker, [face(100, 100, 100)], 0)
    assert numbers(tracker, [face(50, 50, 200)], 0.1) == [2]


@pytest.mark.parametrize(("fps", "expected"), [(15, [[], [], [1], [1]]), (2, [[], [1], [1], [1]])])
def test_a_new_face_counts_from_its_third_frame_on_or_from_third_of_second(
    fps: float, expected: list[list[int]]
) -> None:
    tracker = Tracker()
    assert [numbers(tracker, [face(100)], i / fps) for i in range(4)] == expected


def test_false_faces_are_never_confirmed_use_up_no_numbers() -> None:
    flickering = Tracker()
    every_second = [numbers(flickering, [face(100)] if i % 2 else [], i / 15) for i in range(30)]
    assert every_second == [[]] * 30
    tracker = Tracker()
    scene: list[list[Face]] = [[face(100), face(60 * i, 300, 60)] for i in range(8)]
    seen = [numbers(tracker, faces, i / 15) for i, faces in enumerate(scene)]
    assert seen == [[], [], *[[1]] * 6]


@RATES
def test_hidden_face_comes_back_as_itself_moving_or_not(fps: float) -> None:
    for moves in (lambda _t: 0.0, lambda t: 60 * t, lambda t: 60 * min(t, 2.3)):

        def scene(t: float, moves: Callable[[float], float] = moves) -> list[Face]:
            return [] if 2 < t <= 3 else [face(100 + moves(t))]

        seen = list(played(Tracker(), scene, 5, fps))
        assert {tuple(n) for n in seen[round(fps) :]} <= {(1,), ()}
        assert seen[-1] == [1]


def test_face_half_hidden_before_it_vanishes_keeps_the_speed_of_its_track() -> None:
    def passing(t: float) -> list[Face]:
        if 1.5 < t <= 2.2:
            return []
        return [face(50 + 250 * t)] if not 1.4 < t <= 1.5 else [face(30 + 250 * t, 110, 60)]

    assert list(played(Tracker(), passing, 3, 15))[-1] == [1]


def test_a_face_that_was_gone_for_longer_is_a_new_track_even_at_same_place() -> None:
    tracker = credulous(lost_after_s=1.0)
    numbers(tracker, [face(100)], 0)
    assert numbers(tracker, [], 0.5) == []
    assert numbers(tracker, [face(100)], 1.0) == [1]
    assert numbers(tracker, [], 1.5) == []
    assert numbers(tracker, [face(100)], 2.001) == [2]


@pytest.mark.parametrize(("fps", "speed"), [(2, 100), (15, 100), (30, 250)])
def test_two_faces_that_cross_keep_their_tracks_though_one_hides_the_other(
    fps: float, speed: float
) -> None:
    """The walker passes behind, and is not found while much of it is hidden.

    It comes out with half of its face.
    """

    def crossing(t: float) -> list[Face]:
        sitter = face(280)
        x = 80 + speed * t
        walker = Face(Box(x, 110, 90, 90), 0.9, ())
        if 0 < x - sitter.box.x < 100:  # what looks out on the right
            walker = Face(Box(380, 115, x - sitter.box.x - 10, 80), 0.9, ())
        hidden = walker.box.overlap(sitter.box) > 0.3 or walker.box.width < 45
        return [sitter] if hidden else [sitter, walker] if int(t * 10) % 2 else [walker, sitter]

    tracker = Tracker()
    seconds = 380 / speed
    known = dict[str, int]()
    for frame in range(round(seconds * fps) + 1):
        at = frame / fps
        faces = crossing(at)
        tracked = {
            "sitter" if f.box.width == 100 else "walker": n
            for n, f in tracker.update(faces, START.shift(at))
        }
        known |= {name: n for name, n in tracked.items() if name not in known}
        assert tracked == {name: known[name] for name in tracked}
        assert len(tracked) == len(faces) or at < 1
    assert sorted(known.values()) == sorted(tracked.values()) == [1, 2]


def test_a_picture_every_ten_seconds_is_a_slow_camera() -> None:
    slow = Tracker()
    stalled = Tracker()
    assert [numbers(slow, [face(100)], 10 * i) for i in range(5)] == [[], [], [1], [1], [1]]
    seen = [numbers(stalled, [face(100)], s) for s in (0, 0.1, 0.2, 10, 10.1, 10.2)]
    assert seen == [[], [], [1], [], [], [2]]


def test_a_jump_of_the_wall_clock_does_not_end_a_track() -> None:
    tracker = credulous()
    tracker.update([face(100)], START)
    later = Instant(START.boot_ms + 100, START.wall_ms + 86_400_000)
    assert tracker.update([face(100)], later)[0][0] == 1


def test_two_frames_of_the_same_instant_are_no_motion() -> None:
    tracker = credulous()
    seen = [numbers(tracker, [face(x)], at) for x, at in ((100, 0), (110, 0), (110, 1))]
    assert seen == [[1]] * 3


boxes = st.builds(face, st.floats(0, 600), st.floats(0, 400), st.floats(10, 200))
scenes = st.lists(st.tuples(st.floats(0, 2), st.lists(boxes, max_size=6)), max_size=12)


@given(scenes, st.integers(1, 3))
def test_no_two_faces_share_a_track_in_a_frame(
    scene: list[tuple[float, list[Face]]], confirm_frames: int
) -> None:
    tracker = Tracker(1.5, confirm_frames)
    seconds = 0.0
    last_seen = dict[int, float]()
    most = 0
    pauses = [pause for pause, _ in scene]
    for index, (pause, faces) in enumerate(scene):
        seconds += pause
        tracked = tracker.update(faces, START.shift(seconds))
        found = [number for number, _ in tracked]
        assert len(set(found)) == len(found)
        assert [f for _, f in tracked] == [f for f in faces if any(f is g for _, g in tracked)]
        memory = max(1.5, 2 * min(pauses[max(index - 1, 0) : index + 1]))
        for number in found:
            assert seconds - last_seen.get(number, seconds) <= memory + 0.01
            assert number in last_seen or number > most
            last_seen[number] = seconds
        most = max(most, *found, 0)


# The assignment, which costs the least that there is: what SciPy finds


UNASSIGNED = 2.5
some_costs = st.integers(0, 7).flatmap(
    lambda columns: st.lists(
        st.lists(st.floats(0, 4) | st.just(math.inf), min_size=columns, max_size=columns),
        min_size=1,
        max_size=7,
    )
)


def total(costs: list[list[float]], columns: list[int | None]) -> float:
    return sum(
        UNASSIGNED if column is None else row[column]
        for row, column in zip(costs, columns, strict=True)
    )


def total_of_scipy(costs: list[list[float]]) -> float:
    alone = np.where(np.eye(len(costs)) == 1, UNASSIGNED, 1e6)
    wide = np.hstack([np.minimum(np.array(costs, float).reshape(len(costs), -1), 1e6), alone])
    rows, columns = linear_sum_assignment(wide)
    return float(wide[rows, columns].sum())


@given(some_costs)
def test_the_sum_is_the_least_there_is_and_no_column_is_given_twice(
    costs: list[list[float]],
) -> None:
    columns = assign(costs, UNASSIGNED)
    given_columns = [column for column in columns if column is not None]
    assert len(set(given_columns)) == len(given_columns)
    assert total(costs, columns) == pytest.approx(total_of_scipy(costs), abs=1e-9)


def test_a_pair_that_costs_more_than_being_alone_is_not_made() -> None:
    assert assign([[2.4], [math.inf]], UNASSIGNED) == [0, None]
    assert assign([[2.6]], UNASSIGNED) == [None]


# The participant: the largest and most central face, waited for, and not taken over in passing


WIDTH = 640
HEIGHT = 480
PARTICIPANT = Face(Box(270, 190, 200, 200), 0.9, ())
BYSTANDER = Face(Box(0, 0, 50, 50), 0.9, ())


class Choice:
    """A selector, and the seconds since it began."""

    def __init__(self) -> None:
        self.selector = PrimaryFaceSelector(lead=1.5, takeover_s=1.0, hold_s=1.5)

    def at(self, seconds: float, faces: dict[int, Face]) -> int | None:
        return self.selector.select(list(faces.items()), WIDTH, HEIGHT, START.shift(seconds))


def test_the_largest_face_is_participant_and_of_one_size_more_central_one() -> None:
    assert Choice().at(0, {1: face(270, 190, 80), 2: face(300, 190, 120)}) == 2
    assert Choice().at(0, {1: face(0, 0), 2: face(270, 190)}) == 2


def test_another_face_takes_over_only_with_a_clear_lead_that_lasts() -> None:
    choice = Choice()
    smaller, alike, larger = (
        {1: face(200, 190, 100), 2: face(340, 190, size)} for size in (90, 110, 150)
    )
    assert choice.at(0, smaller) == 1
    assert [choice.at(t, alike) for t in (0.5, 1, 1.5, 2)] == [1] * 4
    assert [choice.at(t, larger) for t in (2.5, 3, 3.5, 4)] == [1, 1, 2, 2]
    assert [
        choice.at(t, {1: face(200, 190, 120), 2: face(340, 190, 130)}) for t in (4.5, 5.5, 6.5)
    ] == [2] * 3


def test_a_lead_that_breaks_off_counts_from_the_start_again() -> None:
    choice = Choice()
    alike, larger = ({1: face(200, 190, 100), 2: face(340, 190, size)} for size in (90, 150))
    assert [
        choice.at(t, larger if t % 1 else alike) for t in (0, 0.25, 0.5, 1, 1.25, 1.5, 1.75, 2)
    ] == [1] * 8


def test_who_walks_past_close_to_the_camera_is_not_the_participant() -> None:
    choice = Choice()
    assert choice.at(0.0, {1: PARTICIPANT}) == 1
    for tenth in range(1, 10):
        assert choice.at(tenth / 10, {1: PARTICIPANT, 2: face(tenth * 60, 50, 380)}) == 1
    assert choice.at(1.0, {1: PARTICIPANT}) == 1
    assert choice.at(1.5, {1: PARTICIPANT, 2: face(100, 50, 380)}) == 1


def test_a_participant_who_is_gone_for_a_moment_is_waited_for_and_replaced() -> None:
    choice = Choice()
    assert choice.at(0.0, {1: PARTICIPANT, 2: BYSTANDER}) == 1
    assert choice.at(1.2, {2: BYSTANDER}) is None
    assert choice.at(1.3, {1: PARTICIPANT, 2: BYSTANDER}) == 1
    assert choice.at(2.8, {2: BYSTANDER}) is None
    assert choice.at(2.9, {2: BYSTANDER}) == 2


def test_two_larger_faces_that_change_places_do_not_keep_poor_participant() -> None:
    choice = Choice()
    assert choice.at(0, {1: face(0, 0, 60)}) == 1
    sizes = [(200, 202), (202, 200)] * 10
    rivals = [{1: face(0, 0, 60), 2: face(100, 190, a), 3: face(340, 190, b)} for a, b in sizes]
    chosen = [choice.at(0.1 + i / 10, faces) for i, faces in enumerate(rivals)]
    assert chosen[:10] == [1] * 10
    assert chosen[11:] == [3] * 9


def test_a_slow_camera_waits_for_participant_that_one_frame_does_not_show() -> None:
    choice = Choice()
    both = {1: PARTICIPANT, 2: BYSTANDER}
    shown = [both, both, both, {2: BYSTANDER}, both]
    assert [choice.at(2 * i, faces) for i, faces in enumerate(shown)] == [1, 1, 1, None, 1]


def test_without_faces_there_is_no_participant() -> None:
    choice = Choice()
    assert choice.at(0.0, {}) is None
    assert choice.at(0.1, {1: face(0, 0)}) == 1
    assert choice.at(5.0, {}) is None
    assert choice.at(5.1, {2: face(0, 0)}) == 2


def test_prominence_falls_from_area_in_middle_to_half_of_it_in_a_corner() -> None:
    # 160 of 400 pixels to the right, then 120 of 400 down: half a diagonal is √(320² + 240²).
    for x, y, expected in ((270, 190, 10_000), (-50, -50, 5_000), (430, 190, 8_000)):
        assert prominence(Box(x, y, 100, 100), WIDTH, HEIGHT) == pytest.approx(expected)
