"""Faces of a camera looked for near where they are expected; YuNet from one's own file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_agent.config.vision import VisionSettings
from edge_agent.core.clock import Instant
from edge_agent.core.errors import ModelError
from edge_agent.core.expression import Box, Face, Frame
from edge_agent.vision.align import Picture
from edge_agent.vision.faces.finder import (
    MARGIN,
    NEAR_SIZE,
    SIZE,
    FaceFinder,
    FaceFollower,
    UsedModel,
    YuNet,
    open_finder,
    open_near_finder,
)
from tests.support.vision.portraits import smiling

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
    return Frame(image, START.shift(seconds), round(seconds * 15))


def eyes_apart(one: Face, other: Face) -> float:
    """Largest distance between the same landmark in two findings, in distances of the eyes."""
    a = np.array(one.landmarks)
    b = np.array(other.landmarks)
    return float(np.linalg.norm(a - b, axis=1).max() / np.linalg.norm(b[0] - b[1]))


def test_a_face_that_is_expected_is_found_in_a_piece_around_it(
    follower: FaceFollower, whole: Watched, near: Watched
) -> None:
    (first,) = follower.find(frame(smiling()), [Box(180, 65, 90, 110)])
    assert (whole.shapes, near.shapes) == ([(512, 512)], []), "the first frame, as a whole"
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


def test_the_whole_frame_is_searched_after_the_interval(
    follower: FaceFollower, whole: Watched
) -> None:
    (face,) = follower.find(frame(smiling()), [])
    for seconds in (0.1, 0.4, 0.51, 0.6):
        follower.find(frame(smiling(), seconds), [face.box])
    assert len(whole.shapes) == 2
    follower.whole_s = 0.05
    follower.find(frame(smiling(), 0.7), [face.box])
    follower.find(frame(smiling(), 0.71), [])
    assert len(whole.shapes) == 4
    of_one_size = FaceFollower(whole, None)
    for seconds in (0.0, 0.1):
        of_one_size.find(frame(smiling(), seconds), [face.box])
    assert len(whole.shapes) == 6


@pytest.mark.parametrize(
    "elsewhere",
    [Box(350, 350, 90, 110), Box(-400, -400, 90, 110), Box(600, 10, 90, 110)],
    ids=["empty place", "beyond the upper left", "beyond the right"],
)
def test_face_lost_from_its_place_is_found_in_the_whole_frame_at_once(
    elsewhere: Box, follower: FaceFollower, whole: Watched
) -> None:
    follower.find(frame(smiling()), [])
    (face,) = follower.find(frame(smiling(), 0.1), [elsewhere])
    assert len(whole.shapes) == 2
    assert face.box.overlap(Box(180.7, 65.3, 88.7, 108.9)) > 0.5


def test_two_expectations_of_one_face_or_a_crowd_need_the_whole_frame(
    follower: FaceFollower, whole: Watched, near: Watched
) -> None:
    (face,) = follower.find(frame(smiling()), [])
    follower.find(frame(smiling(), 0.1), [face.box] * 3)
    assert (len(whole.shapes), near.shapes) == (2, [])
    beside = Box(face.box.x + 20, face.box.y, face.box.width, face.box.height)
    assert len(follower.find(frame(smiling(), 0.2), [face.box, beside])) == 1
    assert len(whole.shapes) == 3


# YuNet: its answers become faces, and a file that is none is refused with the cure


SMALL = (10, 20, 30, 40, 15, 30, 35, 30, 25, 40, 17, 50, 33, 50, 0.75)
LARGE = (100, 60, 80, 100, 120, 90, 160, 90, 140, 110, 122, 130, 158, 130, 0.9)


class Network:
    """OpenCV's detector with made-up answers; the weights are not ours to ship."""

    def __init__(self, rows: tuple[tuple[float, ...], ...]) -> None:
        self.seen: list[tuple[int, ...]] = []
        self._rows = rows

    def detect(self, picture: NDArray[np.uint8]) -> tuple[int, NDArray[np.float32] | None]:
        self.seen.append(picture.shape)
        return 1, np.array(self._rows, dtype=np.float32) if self._rows and picture.any() else None


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    made = Network((SMALL, LARGE))
    monkeypatch.setattr(cv2.FaceDetectorYN, "create", lambda *_: made)
    return made


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "my_yunet.onnx"
    path.write_bytes(b"weights")
    return path


def picture(width: int = 640, height: int = 480) -> NDArray[np.uint8]:
    return np.full((height, width, 3), 90, dtype=np.uint8)


def test_faces_are_reported_in_pixels_of_the_picture_surest_first(
    network: Network, file: Path
) -> None:
    large, small = YuNet(file).detect(picture())
    assert (large.box.x, large.box.width, small.box.height) == (200, 160, 80)
    assert large.landmarks[0] == (240, 180)
    assert large.score == pytest.approx(0.9)
    assert set(network.seen) == {(240, 320, 3)}
    assert len(YuNet(file).detect(picture()[:, :, 0])) == 2, "a gray one"
    assert YuNet(file).detect(np.zeros((48, 64, 3), np.uint8)) == []


def test_small_faces_and_faces_beyond_the_number_are_left_out(network: Network, file: Path) -> None:
    assert [face.box.x for face in YuNet(file, min_face_px=100).detect(picture())] == [200]
    assert [face.box.x for face in YuNet(file, max_faces=1).detect(picture())] == [200]


def test_the_card_names_the_file_and_its_hash(network: Network, file: Path) -> None:
    card = open_finder(VisionSettings(detector_model=str(file), detector="yunet")).card
    assert (card.kind, card.name) == ("face-detector", "my_yunet")
    assert card.sha256 == hashlib.sha256(b"weights").hexdigest()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("missing.onnx", r"missing\.onnx: does not exist. .*model zoo"),
        ("", "cannot be read: Is a directory"),
        ("my_yunet.onnx", r"my_yunet\.onnx: is not YuNet's ONNX file, or is damaged. Fetch"),
    ],
)
def test_what_is_no_file_of_yunet_is_refused(file: Path, name: str, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        YuNet(file.parent / name)


def test_a_followed_face_is_searched_in_a_small_piece(network: Network, file: Path) -> None:
    near = open_near_finder(VisionSettings(detector_model=str(file), detector="yunet"))
    assert near is not None
    near.detect(picture(200, 200))
    assert network.seen[-1] == (*NEAR_SIZE, 3)
    assert SIZE != NEAR_SIZE
