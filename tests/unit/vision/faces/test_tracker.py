"""Tracks follow faces by overlap and motion over real time, and say nothing of a face that was seen
only once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.core.clock import Instant
from edge_agent.core.expression import Box, Face
from edge_agent.vision.faces.tracking import Tracker

START = Instant(boot_ms=1_000_000, wall_ms=1_800_000_000_000)
RATES = pytest.mark.parametrize("fps", [2, 5, 15, 30])


def face(x: float, y: float = 100, size: float = 100) -> Face:
    return Face(Box(x, y, size, size), 0.9, ((0.0, 0.0),) * 5)


def numbers(tracker: Tracker, faces: list[Face], seconds: float) -> list[int]:
    return [number for number, _ in tracker.update(faces, START.shifted(seconds))]


def credulous(lost_after_s: float = 1.5) -> Tracker:
    """A tracker that believes every face at once."""
    return Tracker(lost_after_s, confirm_frames=1)


def played(
    tracker: Tracker, scene: Callable[[float], list[Face]], seconds: float, fps: float
) -> Iterator[list[int]]:
    """The numbers of the faces in each frame of a scene."""
    for frame in range(round(seconds * fps) + 1):
        yield numbers(tracker, scene(frame / fps), frame / fps)


def test_a_face_that_moves_a_little_keeps_its_track_and_a_far_one_gets_a_new_one() -> None:
    tracker = credulous()
    assert numbers(tracker, [face(100)], 0) == [1]
    assert numbers(tracker, [face(130)], 0.1) == [1]
    assert numbers(tracker, [face(400)], 0.2) == [2]


def test_two_faces_that_change_their_order_keep_their_tracks() -> None:
    tracker = credulous()
    assert numbers(tracker, [face(100), face(300)], 0) == [1, 2]
    assert numbers(tracker, [face(305), face(105)], 0.1) == [2, 1]


def test_of_two_faces_near_one_track_the_nearer_one_continues_it() -> None:
    tracker = credulous()
    numbers(tracker, [face(100)], 0)
    assert numbers(tracker, [face(150), face(110)], 0.1) == [2, 1]


def test_faces_are_assigned_together_so_that_a_row_of_them_can_shift() -> None:
    tracker = credulous()
    numbers(tracker, [face(100), face(160)], 0)
    assert numbers(tracker, [face(140), face(200)], 0.1) == [1, 2]


def test_a_face_of_another_size_in_the_same_place_is_another_face() -> None:
    tracker = credulous()
    numbers(tracker, [face(100, 100, 100)], 0)
    assert numbers(tracker, [face(50, 50, 200)], 0.1) == [2]


def test_a_new_face_counts_from_its_third_frame_on() -> None:
    tracker = Tracker()
    assert [numbers(tracker, [face(100)], i / 15) for i in range(4)] == [[], [], [1], [1]]


def test_a_slow_camera_confirms_a_face_in_its_second_frame() -> None:
    tracker = Tracker()
    assert [numbers(tracker, [face(100)], i / 2) for i in range(3)] == [[], [1], [1]]


def test_what_is_seen_in_every_second_frame_only_is_never_a_face() -> None:
    tracker = Tracker()
    assert all(numbers(tracker, [face(100)] if i % 2 else [], i / 15) == [] for i in range(30))


def test_false_faces_of_single_frames_use_up_no_numbers_and_take_no_track() -> None:
    tracker = Tracker()
    scene: list[list[Face]] = [[face(100), face(60 * i, 300, 60)] for i in range(8)]
    assert [numbers(tracker, faces, i / 15) for i, faces in enumerate(scene)] == [
        [],
        [],
        *[[1]] * 6,
    ]


@RATES
def test_a_face_that_is_hidden_for_a_second_comes_back_as_itself(fps: float) -> None:
    seen = list(played(Tracker(), lambda t: [] if 2 < t <= 3 else [face(100)], 5, fps))
    assert {tuple(n) for n in seen[round(fps) :]} == {(1,), ()}
    assert seen[-1] == [1]


@RATES
def test_a_moving_face_that_is_hidden_comes_back_as_itself_whether_it_went_on_or_stopped(
    fps: float,
) -> None:
    def going(t: float) -> list[Face]:
        return [] if 2 < t <= 3 else [face(100 + 60 * t)]

    def stopping(t: float) -> list[Face]:
        return [] if 2 < t <= 3 else [face(100 + 60 * min(t, 2.3))]

    for scene in (going, stopping):
        assert list(played(Tracker(), scene, 5, fps))[-1] == [1]


def test_half_of_a_face_at_the_edge_of_what_hides_it_does_not_slow_it_down() -> None:
    def passing(t: float) -> list[Face]:
        if 1.5 < t <= 2.2:
            return []
        return [face(50 + 250 * t)] if not 1.4 < t <= 1.5 else [face(30 + 250 * t, 110, 60)]

    assert list(played(Tracker(), passing, 3, 15))[-1] == [1]


def test_a_face_that_was_gone_for_longer_is_a_new_track_even_at_the_same_place() -> None:
    tracker = credulous(lost_after_s=1.0)
    numbers(tracker, [face(100)], 0)
    assert numbers(tracker, [], 0.5) == []
    assert numbers(tracker, [face(100)], 1.0) == [1]
    assert numbers(tracker, [], 1.5) == []
    assert numbers(tracker, [face(100)], 2.001) == [2]


@pytest.mark.parametrize(
    ("fps", "speed"), [(2, 100), (5, 100), (15, 100), (15, 250), (30, 100), (30, 250)]
)
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
            for n, f in tracker.update(faces, START.shifted(at))
        }
        known |= {name: n for name, n in tracked.items() if name not in known}
        assert tracked == {name: known[name] for name in tracked}
        assert len(tracked) == len(faces) or at < 1
    assert sorted(known.values()) == sorted(tracked.values()) == [1, 2]


def test_frames_that_come_unevenly_change_nothing() -> None:
    tracker = Tracker()
    seconds = 0.0
    for pause in (0.03, 0.4, 0.03, 0.03, 0.25, 0.5, 0.03, 0.1, 0.7, 0.03):
        seconds += pause
        seen = numbers(tracker, [face(100 + 80 * seconds), face(500 - 80 * seconds, 250)], seconds)
    assert seen == [1, 2]


def test_a_picture_every_ten_seconds_is_a_slow_camera_and_a_camera_that_stalled_is_not() -> None:
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
    assert (
        numbers(tracker, [face(100)], 0)
        == numbers(tracker, [face(110)], 0)
        == numbers(tracker, [face(110)], 1)
    )


boxes = st.builds(face, st.floats(0, 600), st.floats(0, 400), st.floats(10, 200))
scenes = st.lists(st.tuples(st.floats(0, 2), st.lists(boxes, max_size=6)), max_size=12)


@given(scenes, st.integers(1, 3))
def test_no_two_faces_share_a_track_in_a_frame_and_no_number_comes_back_after_the_memory(
    scene: list[tuple[float, list[Face]]], confirm_frames: int
) -> None:
    tracker = Tracker(1.5, confirm_frames)
    seconds = 0.0
    last_seen = dict[int, float]()
    most = 0
    pauses = [pause for pause, _ in scene]
    for index, (pause, faces) in enumerate(scene):
        seconds += pause
        tracked = tracker.update(faces, START.shifted(seconds))
        found = [number for number, _ in tracked]
        assert len(set(found)) == len(found)
        assert [f for _, f in tracked] == [f for f in faces if any(f is g for _, g in tracked)]
        memory = max(1.5, 2 * min(pauses[max(index - 1, 0) : index + 1]))
        for number in found:
            assert seconds - last_seen.get(number, seconds) <= memory + 0.01
            assert number in last_seen or number > most
            last_seen[number] = seconds
        most = max(most, *found, 0)


@given(scenes)
def test_who_believes_at_once_reports_every_face(scene: list[tuple[float, list[Face]]]) -> None:
    tracker = credulous()
    seconds = 0.0
    for pause, faces in scene:
        seconds += pause
        assert [f for _, f in tracker.update(faces, START.shifted(seconds))] == faces
