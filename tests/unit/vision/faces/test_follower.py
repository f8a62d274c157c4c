"""Faces of a camera's frames are looked for near where they are expected, and in the whole frame at
intervals.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from edge_agent.core.clock import Instant
from edge_agent.core.expression import Box, Face, Frame
from edge_agent.vision.align import Picture
from edge_agent.vision.faces.finder import (
    MARGIN,
    FaceFinder,
    FaceFollower,
    UsedModel,
    open_finder,
    open_near_finder,
)
from tests.support.vision.portraits import serious, smiling

START = Instant(boot_ms=60_000, wall_ms=1_800_000_000_000)


@dataclass
class Watched:
    """A detector that remembers which pictures it was given."""

    finder: FaceFinder
    shapes: list[tuple[int, ...]] = field(default_factory=list)

    @property
    def card(self) -> UsedModel:
        return self.finder.card

    def detect(self, image: Picture) -> list[Face]:
        self.shapes.append(image.shape[:2])
        return self.finder.detect(image)


@pytest.fixture
def whole() -> Watched:
    return Watched(open_finder())


@pytest.fixture
def near() -> Watched:
    finder = open_near_finder()
    assert finder is not None
    return Watched(finder)


@pytest.fixture
def follower(whole: Watched, near: Watched) -> FaceFollower:
    return FaceFollower(whole, near, whole_s=0.5)


def frame(image: Picture, seconds: float = 0.0) -> Frame:
    return Frame(image, START.shifted(seconds), round(seconds * 15))


def eyes_apart(one: Face, other: Face) -> float:
    """Largest distance between the same landmark in two findings, in distances of the eyes."""
    a = np.array(one.landmarks)
    b = np.array(other.landmarks)
    return float(np.linalg.norm(a - b, axis=1).max() / np.linalg.norm(b[0] - b[1]))


def test_the_first_frame_is_searched_as_a_whole(
    follower: FaceFollower, whole: Watched, near: Watched
) -> None:
    follower.find(frame(smiling()), [Box(180, 65, 90, 110)])
    assert (whole.shapes, near.shapes) == ([(512, 512)], [])


def test_a_face_that_is_expected_is_found_in_a_piece_around_it(
    follower: FaceFollower, whole: Watched, near: Watched
) -> None:
    (first,) = follower.find(frame(smiling()), [])
    (again,) = follower.find(frame(smiling(), 0.1), [first.box])
    assert len(whole.shapes) == 1
    assert near.shapes[0] == pytest.approx((MARGIN * first.box.height,) * 2, rel=0.13)
    assert again.box.overlap(first.box) > 0.8
    assert eyes_apart(again, first) < 0.25


def test_expected_a_little_elsewhere_a_face_is_found_in_the_same_place(
    follower: FaceFollower,
) -> None:
    (first,) = follower.find(frame(smiling()), [])
    box = first.box
    found = [
        follower.find(frame(smiling(), 0.1 + shift / 100), [replace(box, x=box.x + shift)])
        for shift in (0.0, 0.5, 1.0)
    ]
    assert found[0] in found[1:]


def test_the_whole_frame_is_searched_again_after_the_interval(
    follower: FaceFollower, whole: Watched
) -> None:
    (face,) = follower.find(frame(smiling()), [])
    for seconds in (0.1, 0.4, 0.51, 0.6):
        follower.find(frame(smiling(), seconds), [face.box])
    assert len(whole.shapes) == 2
    follower.whole_s = 0.05
    follower.find(frame(smiling(), 0.7), [face.box])
    assert len(whole.shapes) == 3


def test_where_nothing_is_expected_every_frame_is_searched(
    follower: FaceFollower, whole: Watched
) -> None:
    for seconds in (0.0, 0.1, 0.2):
        follower.find(frame(smiling(), seconds), [])
    assert len(whole.shapes) == 3


@pytest.mark.parametrize(
    "elsewhere",
    [Box(350, 350, 90, 110), Box(-400, -400, 90, 110), Box(600, 10, 90, 110)],
    ids=["empty place", "beyond the upper left", "beyond the right"],
)
def test_a_face_that_is_not_where_it_should_be_is_found_in_the_whole_frame_at_once(
    elsewhere: Box, follower: FaceFollower, whole: Watched
) -> None:
    follower.find(frame(smiling()), [])
    (face,) = follower.find(frame(smiling(), 0.1), [elsewhere])
    assert len(whole.shapes) == 2
    assert face.box.overlap(Box(180.7, 65.3, 88.7, 108.9)) > 0.5


def test_two_faces_are_each_found_near_their_place_surest_first(
    follower: FaceFollower, whole: Watched
) -> None:
    both = np.ascontiguousarray(np.hstack([smiling()[:400, 60:380], serious()[:400, 90:410]]))
    first = follower.find(frame(both), [])
    again = follower.find(frame(both, 0.1), [face.box for face in reversed(first)])
    assert len(whole.shapes) == 1
    assert len(again) == 2
    assert again[0].score >= again[1].score
    for face in again:
        assert max(face.box.overlap(other.box) for other in first) > 0.7


def test_two_expectations_that_lead_to_one_face_are_sorted_out_in_the_whole_frame(
    follower: FaceFollower, whole: Watched
) -> None:
    (face,) = follower.find(frame(smiling()), [])
    beside = Box(face.box.x + 20, face.box.y, face.box.width, face.box.height)
    assert len(follower.find(frame(smiling(), 0.1), [face.box, beside])) == 1
    assert len(whole.shapes) == 2


def test_a_crowd_is_searched_as_a_whole(
    follower: FaceFollower, whole: Watched, near: Watched
) -> None:
    (face,) = follower.find(frame(smiling()), [])
    follower.find(frame(smiling(), 0.1), [face.box] * 3)
    assert (len(whole.shapes), near.shapes) == (2, [])


def test_a_face_at_the_edge_of_the_frame_is_followed(
    follower: FaceFollower, whole: Watched
) -> None:
    edge = np.ascontiguousarray(smiling()[50:, 170:])
    (face,) = follower.find(frame(edge), [])
    (again,) = follower.find(frame(edge, 0.1), [face.box])
    assert len(whole.shapes) == 1
    assert again.box.overlap(face.box) > 0.7


def test_a_detector_of_one_size_searches_every_frame_as_a_whole(whole: Watched) -> None:
    follower = FaceFollower(whole, None)
    (face,) = follower.find(frame(smiling()), [])
    follower.find(frame(smiling(), 0.1), [face.box])
    assert len(whole.shapes) == 2
