"""A change of the scene: told at a cut, not at what cameras and people do all the time."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
import pytest

from edge_agent.config.vision import VisionSettings
from edge_agent.core.clock import Instant
from edge_agent.core.expression import Frame
from edge_agent.vision.align import Picture
from edge_agent.vision.need import SceneWatch
from edge_agent.vision.recognizer import open_recognizer
from tests.support.vision.portraits import serious, smiling

START = Instant(boot_ms=60_000, wall_ms=1_800_000_000_000)


def frames(pictures: Iterable[Picture], fps: float = 15) -> list[Frame]:
    return [
        Frame(picture, START.shifted(number / fps), number)
        for number, picture in enumerate(pictures)
    ]


def changes(pictures: Iterable[Picture], fps: float = 15) -> list[int]:
    """The numbers of the frames at which the scene changed."""
    watch = SceneWatch()
    return [frame.number for frame in frames(pictures, fps) if watch.has_changed(frame)]


def view(picture: Picture, x: float, width: int = 360) -> Picture:
    """A part of a picture as a camera of 640 × 480 sees it."""
    left = round(x * (picture.shape[1] - width))
    part = picture[: width * 3 // 4, left : left + width]
    return np.asarray(cv2.resize(part, (640, 480)), np.uint8)


def brighter(picture: Picture, by: float) -> Picture:
    return np.asarray(np.clip(picture * by, 0, 255), dtype=np.uint8)


def test_a_cut_is_told_once_in_the_dark_too() -> None:
    one = view(smiling(), 0.2)
    other = view(serious(), 0.8)
    assert changes([one] * 3 + [other] * 3) == [3]
    assert changes([brighter(one, 0.2)] * 3 + [brighter(other, 0.2)] * 3) == [3]


def test_what_cameras_and_people_do_is_no_change() -> None:
    pans = [view(smiling(), 0.3 + 0.02 * step) for step in range(10)]
    assert changes(pans) == []
    assert changes([view(smiling(), 0.2, 360 - 8 * step) for step in range(10)]) == []
    assert changes([brighter(pans[0], 1 + 0.1 * step) for step in range(4)]) == []
    assert changes([pans[0], brighter(pans[0], 0.2), pans[0]]) == []  # a lamp goes out, and on
    hand = pans[0].copy()
    hand[150:, 300:520] = (120, 140, 190)
    assert changes([pans[0], hand, pans[0]]) == []


def test_a_frame_without_a_picture_between_two_is_passed_over() -> None:
    one = view(smiling(), 0.2)
    black = np.zeros_like(one)
    assert changes([one, black, one, black + 90, one]) == []
    assert changes([one, black, view(serious(), 0.8)]) == [2]


def test_frames_far_apart_are_not_compared() -> None:
    pictures = [view(smiling(), 0.2), view(serious(), 0.8)]
    assert changes(pictures, fps=0.5) == []


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (40, 30, 3), (480, 640)])
def test_a_frame_of_any_shape_is_taken(shape: tuple[int, ...]) -> None:
    dark = np.zeros(shape, np.uint8)
    assert changes([dark, np.full(shape, 250, np.uint8), dark]) == []


def test_after_a_cut_another_face_in_the_same_place_is_another_track() -> None:
    recognizer = open_recognizer(VisionSettings())
    (face,) = recognizer.read_picture(smiling())
    (other,) = recognizer.read_picture(serious())
    scale = face.face.box.width / other.face.box.width
    (x, y), (to_x, to_y) = other.face.box.center, face.face.box.center
    move = np.array([[scale, 0, to_x - scale * x], [0, scale, to_y - scale * y]])
    moved = np.asarray(cv2.warpAffine(serious(), move, (512, 512)), np.uint8)
    tracks = []
    for frame in frames([smiling()] * 8 + [moved] * 8):
        (seen,) = recognizer.recognize(frame).observations or (None,)
        tracks.append(seen and seen.track)
    assert tracks[2:8] == [1] * 6
    assert tracks[8] is None
    assert tracks[10:] == [2] * 6
