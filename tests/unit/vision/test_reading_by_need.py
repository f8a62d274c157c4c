"""Faces that a camera follows are read as often and as carefully as they need; cuts are noticed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import cv2
import numpy as np
import pytest

from edge_agent.config.vision import VisionSettings
from edge_agent.core.clock import Instant
from edge_agent.core.expression import Box, Emotion, Expression, Face, Frame, Recognition
from edge_agent.core.own_neutral import NeutralShift
from edge_agent.vision.align import Picture, crop_face
from edge_agent.vision.classifier import ExpressionClassifier
from edge_agent.vision.reading_by_need import (
    SPARING_S,
    Border,
    Effort,
    NeedReader,
    SceneWatch,
    open_need_reader,
)
from edge_agent.vision.recognizer import Recognizer, open_recognizer
from tests.support.vision.portraits import detector, serious, smiling

START = Instant(boot_ms=60_000, wall_ms=1_800_000_000_000)
FPS = 15
PLAIN = np.full((512, 512, 3), 127, np.uint8)
FACE = Face(Box(100, 100, 80, 80), 0.9, ())
FAR = Border(comes=0.5, goes=0.4)
"""Far from what the models say of the portraits."""


def crop_of(image: Picture) -> Picture:
    return crop_face(image, detector().detect(image)[0], 48)


@pytest.fixture(scope="module")
def chain() -> Recognizer:
    """The models, loaded once."""
    return open_recognizer(VisionSettings())


@pytest.fixture
def reader(chain: Recognizer) -> NeedReader:
    return open_need_reader(chain._classifier, VisionSettings())


def shown(recognizer: Recognizer, images: list[Picture]) -> list[Recognition | None]:
    """What is said of each frame; nothing of those that are passed over."""
    spoken: list[Recognition | None] = []
    for number, image in enumerate(images):
        frame = Frame(image, START.shift(number / FPS), number)
        spoken.append(recognizer.recognize(frame) if recognizer.is_due(frame) else None)
    return spoken


def test_a_face_that_does_not_change_is_read_five_times_a_second() -> None:
    recognizer = open_recognizer(by_need=True)
    # of this size, the whole frame and a piece of it show the face in the same place
    picture = np.asarray(cv2.resize(smiling(), (400, 400)), np.uint8)
    spoken = shown(recognizer, [picture] * (8 * FPS))
    last = [one for one in spoken[4 * FPS :] if one is not None]
    assert 4.5 <= len(last) / 4 <= 5.5
    assert {one.observations[0].emotion for one in last} == {Emotion.HAPPINESS}
    careful, quick = recognizer.readings
    assert 2 <= careful <= 4
    assert careful < quick == sum(len(one.observations) for one in spoken if one is not None)


@pytest.mark.parametrize("late", [0, 2])
def test_a_new_face_is_first_read_within_a_third_of_a_second(late: int) -> None:
    before = FPS + late
    spoken = shown(open_recognizer(by_need=True), [PLAIN] * before + [smiling()] * FPS)
    assert sum(one is not None for one in spoken[:before]) <= 0.6 * before
    first = next(n for n, one in enumerate(spoken) if one is not None and one.observations)
    assert (first - before) / FPS <= 0.3


def test_another_face_in_the_place_of_the_first_is_read_carefully_at_once(
    reader: NeedReader, chain: Recognizer
) -> None:
    crop = crop_of(smiling())
    careful = reader.read(1, FACE, crop, START)
    assert careful == chain._classifier.classify(crop)
    again = reader.read(1, FACE, crop, START.shift(0.2))
    assert again.probabilities == pytest.approx(careful.probabilities, abs=1e-3)
    assert reader.careful_readings == 1
    reader.read(1, FACE, crop_of(serious()), START.shift(0.4))
    assert (reader.careful_readings, reader.quick_readings) == (2, 3)
    reader.plan([1], START.shift(0.4), is_new=False)
    assert reader.is_due(START.shift(0.4 + 2 / FPS))


@pytest.mark.parametrize(("off", "careful"), [(0.0, 4), (0.07, 3), (0.15, 2), (0.3, 1)])
def test_near_border_of_label_careful_model_is_asked_several_times_second(
    chain: Recognizer, reader: NeedReader, off: float, careful: int
) -> None:
    crop = crop_of(serious())
    confidence = chain._classifier.classify(crop).confidence
    border = Border(comes=1.0, goes=confidence - off)
    if off == 0.0:
        border = Border(comes=confidence, goes=confidence)
    near = NeedReader(chain._classifier, reader._quick, border)
    near.read(1, FACE, crop, START)
    near._known[1].is_labelled = True
    for seconds in (0.1, 0.25, 1.1):
        near.read(1, FACE, crop, START.shift(seconds))
    assert (near.careful_readings, near.quick_readings) == (careful, 4)


@pytest.mark.parametrize(("off", "at_once"), [(0.03, True), (0.05, False)])
def test_at_the_border_of_a_label_every_frame_is_read(
    chain: Recognizer, reader: NeedReader, off: float, at_once: bool
) -> None:
    crop = crop_of(serious())
    comes = chain._classifier.classify(crop).confidence + off
    near = NeedReader(chain._classifier, reader._quick, Border(comes, goes=comes - 0.1))
    near.read(1, FACE, crop, START)
    near.plan([1], START, is_new=False)
    assert near.is_due(START.shift(1 / FPS)) is at_once
    near.effort = Effort.SPARING
    near.plan([1], START, is_new=False)
    assert not near.is_due(START.shift(1 / FPS))


def test_a_face_that_cannot_be_read_is_looked_at_in_the_next_frame(reader: NeedReader) -> None:
    before = reader.read(1, FACE, crop_of(smiling()), START, is_fit=False)
    assert (reader.careful_readings, reader.quick_readings) == (0, 1)
    again = reader.read(1, FACE, crop_of(serious()), START.shift(0.2), is_fit=False)
    reader.plan([1], START.shift(0.2), is_new=False)
    assert reader.is_due(START.shift(0.2 + 1 / FPS))
    assert again == before
    assert (reader.careful_readings, reader.quick_readings) == (0, 1)


def test_changed_face_is_read_carefully_whatever_the_quick_model_says(
    chain: Recognizer, reader: NeedReader
) -> None:
    class Deaf:
        def classify(self, _crop: object) -> Expression:
            return Expression((0.125,) * 8)

    near = NeedReader(chain._classifier, cast("ExpressionClassifier", Deaf()), FAR)
    crop = crop_of(smiling())
    mirrored = np.ascontiguousarray(crop[:, ::-1])
    for number, shown in enumerate((crop, crop, mirrored, mirrored)):
        near.read(1, FACE, shown, START.shift(0.1 * number))
    assert near.careful_readings == 2


def test_a_face_that_moves_is_looked_at_sooner(reader: NeedReader) -> None:
    crop = crop_of(smiling())
    away = Face(Box(150, 100, 80, 80), 0.9, ())
    for seconds, face in ((0.0, FACE), (0.2, FACE), (0.4, away)):
        at = START.shift(seconds)
        reader.read(1, face, crop, at)
        reader.plan([1], at, is_new=False)
        assert reader.is_due(at.shift(2 / FPS)) is (seconds != 0.2)


def test_sparingly_only_the_first_reading_is_careful(reader: NeedReader) -> None:
    reader.effort = Effort.SPARING
    for seconds, image in ((0.0, smiling()), (1.0, serious()), (9.0, smiling())):
        at = START.shift(seconds)
        reader.read(1, FACE, crop_of(image), at)
        reader.plan([1], at, is_new=False)
        assert not reader.is_due(at.shift(SPARING_S - 0.05))
        assert reader.is_due(at.shift(SPARING_S))
    assert (reader.careful_readings, reader.quick_readings) == (1, 3)


def test_in_every_frame_is_reported_what_is_reported_without_need() -> None:
    images = [
        np.asarray(cv2.convertScaleAbs(smiling(), alpha=1 - number / 40), np.uint8)
        for number in range(12)
    ]
    by_need = open_recognizer(by_need=True)
    by_need.effort = Effort.EVERY_FRAME
    assert shown(by_need, images) == shown(open_recognizer(VisionSettings()), images)


def test_still_pictures_are_always_read_carefully(chain: Recognizer) -> None:
    assert open_recognizer(by_need=True).read_picture(serious()) == chain.read_picture(serious())


def test_single_model_reads_by_need_without_a_second_one() -> None:
    recognizer = open_recognizer(VisionSettings(expression_model="expression-fast"), by_need=True)
    spoken = shown(recognizer, [smiling()] * (4 * FPS))
    assert sum(one is not None for one in spoken) < 2 * FPS
    careful, quick = recognizer.readings
    assert (careful > 0, quick) == (True, 0)


# A change of the scene: told at a cut, not at what cameras and people do all the time


def frames(pictures: Iterable[Picture], fps: float = 15) -> list[Frame]:
    return [
        Frame(picture, START.shift(number / fps), number) for number, picture in enumerate(pictures)
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


def test_a_cut_is_reported_once_in_the_dark_too_and_not_after_a_pause() -> None:
    one = view(smiling(), 0.2)
    other = view(serious(), 0.8)
    assert changes([one] * 3 + [other] * 3) == [3]
    assert changes([brighter(one, 0.2)] * 3 + [brighter(other, 0.2)] * 3) == [3]
    assert changes([one, other], fps=0.5) == []


def test_usual_movement_of_a_scene_is_no_change() -> None:
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


def test_own_neutral_decides_where_the_border_of_a_label_is(chain: Recognizer) -> None:
    crop = crop_of(serious())
    plain = chain._classifier.classify(crop)
    shift = NeutralShift(-2.0, chain.temperature)
    confidence = shift.applied(plain).confidence
    counts = []
    for used in (None, shift):
        border = Border(comes=confidence, goes=confidence)
        reader = NeedReader(chain._classifier, chain._classifier, border, 0.0)
        for number in range(10):
            read = reader.read(1, FACE, crop, START.shift(number / FPS), shift=used)
            assert read == plain or read.probabilities == pytest.approx(plain.probabilities)
        counts.append(reader.careful_readings)
    assert counts == [1, 10]
