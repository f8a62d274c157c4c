"""The whole vision chain with the committed models on the two public-domain portraits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_agent.config.vision import VisionSettings
from edge_agent.core.clock import Instant
from edge_agent.core.errors import ModelError
from edge_agent.core.expression import Box, Emotion, Face, Frame, Recognition, RejectReason
from edge_agent.core.own_neutral import NeutralShift
from edge_agent.vision.align import (
    EXPRESSION_CROP,
    ZOOMS,
    Picture,
    align_box,
    align_face,
    crop_face,
    crop_matrix,
)
from edge_agent.vision.classifier import ExpressionClassifier
from edge_agent.vision.models.model import load_model
from edge_agent.vision.recognizer import Recognizer, open_recognizer
from tests.support.vision.portraits import detector, serious, smiling
from tests.support.vision.tiny_model import expression_card, tiny_tflite, write_model

START = Instant(boot_ms=60_000, wall_ms=1_800_000_000_000)
SMILING_EYES = (200.0, 102.0), (247.0, 103.0)  # as another detector (YuNet) finds them


@pytest.fixture
def recognizer() -> Recognizer:
    return open_recognizer(VisionSettings(confirm_frames=1))


def frame(image: Picture, number: int = 0, fps: float = 10) -> Frame:
    return Frame(image, START.shift(number / fps), number)


def shifted(image: Picture, x: int, y: int) -> Picture:
    return np.asarray(
        cv2.warpAffine(image, np.array([[1.0, 0, x], [0, 1.0, y]]), image.shape[1::-1]), np.uint8
    )


def two_people() -> Picture:
    """Both portraits beside each other, each cut to its head: 640 × 400."""
    return np.ascontiguousarray(np.hstack([smiling()[:400, 60:380], serious()[:400, 90:410]]))


def test_each_portrait_is_one_face_with_its_expression_and_eyes_in_place(
    recognizer: Recognizer,
) -> None:
    (reading,) = recognizer.read_picture(smiling())
    assert reading.emotion is reading.expression.dominant is Emotion.HAPPINESS
    for found, true in zip(reading.face.landmarks[:2], SMILING_EYES, strict=True):
        assert np.hypot(found[0] - true[0], found[1] - true[1]) < 10
    assert reading.quality > 0.8
    (reading,) = recognizer.read_picture(serious())
    assert reading.expression.dominant in {Emotion.NEUTRAL, Emotion.SADNESS, Emotion.ANGER}
    (followed,) = recognizer.recognize(frame(smiling())).observations
    assert followed.track == 1, "still pictures are no tracks"


def test_a_picture_without_face_has_no_readings_and_frame_no_observations(
    recognizer: Recognizer,
) -> None:
    plain = np.full((240, 320, 3), 127, np.uint8)
    assert recognizer.read_picture(plain) == []
    recognition = recognizer.recognize(frame(plain, 7))
    assert recognition == Recognition(START.shift(0.7), 7, 320, 240, (), "no_face", True)
    assert recognition.primary is None


def test_a_moving_face_keeps_one_track_and_is_participant_in_every_frame(
    recognizer: Recognizer,
) -> None:
    for number in range(8):
        image = shifted(smiling(), 4 * number, 2 * number)
        seen = recognizer.recognize(frame(image, number))
        assert (seen.frame_number, seen.frame_width, seen.frame_height) == (number, 512, 512)
        assert seen.primary is seen.observations[0]
        (face,) = seen.observations
        assert (face.track, face.emotion) == (1, Emotion.HAPPINESS)


def test_a_frame_that_cannot_be_read_keeps_last_expression_and_says_why(
    recognizer: Recognizer,
) -> None:
    first = recognizer.recognize(frame(smiling())).observations[0]
    moved = np.asarray(cv2.blur(smiling(), (17, 1)), np.uint8)
    second = recognizer.recognize(frame(moved, 1)).observations[0]
    assert (first.reject_reason, second.reject_reason) == (None, RejectReason.BLURRED)
    assert (second.track, second.smoothed, second.emotion) == (
        first.track,
        first.smoothed,
        first.emotion,
    )
    assert second.raw != first.raw
    assert second.quality < 0.5 < first.quality


def test_two_people_are_two_tracks_and_the_larger_face_is_the_participant(
    recognizer: Recognizer,
) -> None:
    recognition = recognizer.recognize(frame(two_people()))
    assert sorted(o.track for o in recognition.observations) == [1, 2]
    assert recognition.primary is not None
    largest = max(o.face.box.area for o in recognition.observations)
    assert recognition.primary.face.box.area == largest
    few = open_recognizer(VisionSettings(max_faces=1, confirm_frames=1))
    assert len(few.recognize(frame(two_people())).observations) == 1
    assert len(few.read_picture(two_people())) == 2, "of a still picture all"


def test_who_leaves_the_picture_and_comes_back_later_is_a_new_track(recognizer: Recognizer) -> None:
    plain = np.full((512, 512, 3), 127, np.uint8)
    tracks = [
        [o.track for o in recognizer.recognize(frame(image, number)).observations]
        for number, image in enumerate([smiling(), plain, smiling(), *[plain] * 15, smiling()])
    ]
    assert [numbers for numbers in tracks if numbers] == [[1], [1], [2]]


def test_below_threshold_a_face_is_uncertain_and_small_faces_are_not_read() -> None:
    strict = open_recognizer(VisionSettings(uncertain_below=1.0, confirm_frames=1))
    (reading,) = strict.read_picture(smiling())
    assert reading.emotion is None
    assert reading.expression.dominant is Emotion.HAPPINESS
    assert strict.recognize(frame(smiling())).observations[0].emotion is None
    assert open_recognizer(VisionSettings(min_face=400)).read_picture(smiling()) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            VisionSettings(expression_model="face-detector"),
            "of kind 'face-detector'; 'expression' is needed",
        ),
        (
            VisionSettings(expression_model="expression-fast", detector_model="expression-fast"),
            "of kind 'expression'; 'face-detector' is needed",
        ),
        (VisionSettings(expression_model="psychic"), "there is no model 'psychic'"),
    ],
)
def test_a_model_in_the_wrong_place_is_refused(options: VisionSettings, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        open_recognizer(options)


def test_a_classifier_that_learned_from_another_crop_is_refused(tmp_path: Path) -> None:
    content = tiny_tflite()
    card = write_model(tmp_path, content, expression_card(content, crop="somebody-elses"))
    said = (
        "was trained with the crop 'somebody-elses', this program cuts 'fer2013-v1' or "
        "'fer2013-v1-close' for it"
    )
    with pytest.raises(ModelError, match=said):
        open_recognizer(VisionSettings(expression_model=str(card)))


@pytest.mark.parametrize(
    ("person", "part", "reason"),
    [
        (smiling, np.s_[:160], None),
        (smiling, np.s_[:133], RejectReason.CUT_OFF),
        (smiling, np.s_[90:], None),
        (smiling, np.s_[:140], RejectReason.CUT_OFF),
        (serious, np.s_[205:], RejectReason.CUT_OFF),
        (serious, np.s_[:, 215:], None),
        (serious, np.s_[:, 250:], RejectReason.CUT_OFF),
        (serious, np.s_[:, :290], RejectReason.CUT_OFF),
    ],
)
def test_a_face_that_the_edge_of_picture_cuts_off_is_not_fit_for_reading(
    recognizer: Recognizer,
    person: Callable[[], Picture],
    part: tuple[slice, ...],
    reason: RejectReason | None,
) -> None:
    (reading,) = recognizer.read_picture(np.ascontiguousarray(person()[part]))
    assert reading.reject_reason is reason
    assert (reading.quality < 0.5) == (reason is RejectReason.CUT_OFF)
    (explained,) = recognizer.explain_picture(np.ascontiguousarray(person()[part]))
    assert explained.reading.reject_reason is reason


@pytest.mark.parametrize("crop", ZOOMS)
def test_classifier_reads_the_crop_of_its_card_and_shows_that(crop: str, tmp_path: Path) -> None:
    content = tiny_tflite()
    model = write_model(tmp_path, content, expression_card(content, crop=crop))
    recognizer = open_recognizer(VisionSettings(expression_model=str(model)))
    classifier = ExpressionClassifier(load_model(model, kind="expression"))

    (reading,) = recognizer.read_picture(smiling())

    seen = crop_face(smiling(), reading.face, classifier.size, crop)
    assert reading.expression == classifier.classify(seen)
    shipped = open_recognizer()
    (explained,) = shipped.explain_picture(smiling())
    assert explained.to_crop == pytest.approx(crop_matrix(explained.reading.face, EXPRESSION_CROP))
    near = crop_face(smiling(), explained.reading.face, 48, EXPRESSION_CROP)
    assert np.array_equal(explained.crop, near)


def test_a_face_whose_landmarks_coincide_is_cropped_by_its_box() -> None:
    image = smiling()
    box = Box(172, 66, 100, 122)
    broken = Face(box, 0.9, ((200.0, 120.0),) * 5)
    assert np.array_equal(crop_face(image, broken, 48), align_box(image, box, 48))
    good = detector().detect(image)[0]
    assert np.array_equal(crop_face(image, good, 48), align_face(image, good.landmarks, 48))


def test_own_neutral_shifts_what_is_smoothed_and_leaves_what_was_read() -> None:
    options = VisionSettings(confirm_frames=1, prior="data")  # which names the portrait
    plain = open_recognizer(options).recognize(frame(serious())).primary
    other = open_recognizer(options)
    other.neutral_shift = NeutralShift(-3.0, other.temperature)
    shifted_by = other.recognize(frame(serious())).primary
    assert plain is not None and shifted_by is not None
    assert shifted_by.raw == plain.raw == plain.smoothed
    assert shifted_by.smoothed == other.neutral_shift.applied(plain.raw)
    assert plain.emotion is Emotion.NEUTRAL is not shifted_by.emotion
    (still,) = other.read_picture(serious())
    assert still.emotion is Emotion.NEUTRAL, "pictures belong to no session"


def test_own_neutral_is_that_of_the_participant_alone() -> None:
    seen = []
    for shift in (None, -3.0):
        recognizer = open_recognizer(VisionSettings(confirm_frames=1))
        if shift is not None:
            recognizer.neutral_shift = NeutralShift(shift, recognizer.temperature)
        seen.append(recognizer.recognize(frame(two_people())).observations)
    for plain, shown in zip(*seen, strict=True):
        assert (plain.smoothed == shown.smoothed) is not shown.primary
