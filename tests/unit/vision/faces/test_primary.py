"""The participant's face is the largest and most central one.

It is waited for, and nobody takes over in passing.
"""

from __future__ import annotations

import pytest

from edge_agent.core.clock import Instant
from edge_agent.core.expression import Box, Face
from edge_agent.vision.faces.tracking import PrimaryFaceSelector, prominence

START = Instant(boot_ms=1_000_000, wall_ms=1_800_000_000_000)
WIDTH = 640
HEIGHT = 480
PARTICIPANT = Face(Box(270, 190, 200, 200), 0.9, ())
BYSTANDER = Face(Box(0, 0, 50, 50), 0.9, ())


def face(x: float, y: float, size: float = 100) -> Face:
    return Face(Box(x, y, size, size), 0.9, ())


class Choice:
    """A selector, and the seconds since it began."""

    def __init__(self) -> None:
        self.selector = PrimaryFaceSelector(lead=1.5, takeover_s=1.0, hold_s=1.5)

    def at(self, seconds: float, faces: dict[int, Face]) -> int | None:
        return self.selector.select(list(faces.items()), WIDTH, HEIGHT, START.shifted(seconds))


def test_the_largest_face_is_the_participant() -> None:
    assert Choice().at(0, {1: face(270, 190, 80), 2: face(300, 190, 120)}) == 2


def test_of_two_faces_of_one_size_the_more_central_one_is_the_participant() -> None:
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


def test_a_participant_who_is_gone_for_a_moment_is_waited_for_and_then_replaced() -> None:
    choice = Choice()
    assert choice.at(0.0, {1: PARTICIPANT, 2: BYSTANDER}) == 1
    assert choice.at(1.2, {2: BYSTANDER}) is None
    assert choice.at(1.3, {1: PARTICIPANT, 2: BYSTANDER}) == 1
    assert choice.at(2.8, {2: BYSTANDER}) is None
    assert choice.at(2.9, {2: BYSTANDER}) == 2


def test_two_larger_faces_that_change_places_do_not_keep_a_poor_participant() -> None:
    choice = Choice()
    assert choice.at(0, {1: face(0, 0, 60)}) == 1
    sizes = [(200, 202), (202, 200)] * 10
    rivals = [{1: face(0, 0, 60), 2: face(100, 190, a), 3: face(340, 190, b)} for a, b in sizes]
    chosen = [choice.at(0.1 + i / 10, faces) for i, faces in enumerate(rivals)]
    assert chosen[:10] == [1] * 10
    assert chosen[11:] == [3] * 9


def test_a_slow_camera_waits_for_a_participant_that_one_frame_does_not_show() -> None:
    choice = Choice()
    both = {1: PARTICIPANT, 2: BYSTANDER}
    shown = [both, both, both, {2: BYSTANDER}, both]
    assert [choice.at(2 * i, faces) for i, faces in enumerate(shown)] == [1, 1, 1, None, 1]


def test_without_faces_there_is_no_participant_and_the_next_face_becomes_it_at_once() -> None:
    choice = Choice()
    assert choice.at(0.0, {}) is None
    assert choice.at(0.1, {1: face(0, 0)}) == 1
    assert choice.at(5.0, {}) is None
    assert choice.at(5.1, {2: face(0, 0)}) == 2


def test_prominence_is_the_area_in_the_middle_and_half_of_it_in_a_corner() -> None:
    assert prominence(Box(270, 190, 100, 100), WIDTH, HEIGHT) == pytest.approx(10_000)
    assert prominence(Box(-50, -50, 100, 100), WIDTH, HEIGHT) == pytest.approx(5_000)


def test_prominence_falls_with_the_distance_from_the_middle_in_half_diagonals() -> None:
    # 160 of 400 pixels to the right, then 120 of 400 down: half a diagonal is √(320² + 240²).
    assert prominence(Box(430, 190, 100, 100), WIDTH, HEIGHT) == pytest.approx(8_000)
    assert prominence(Box(270, 310, 100, 100), WIDTH, HEIGHT) == pytest.approx(8_500)
