"""Movements, pose and look: how they are read, smoothed over time, and left out."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from edge_agent.config.vision import VisionSettings
from edge_agent.core.clock import Instant
from edge_agent.core.errors import ModelError
from edge_agent.core.expression import Frame, RejectReason
from edge_agent.core.movements import (
    LOOK,
    MOVEMENTS,
    NAMES,
    POSE,
    WITHDRAWN,
    FaceMovements,
    movements_as_json,
)
from edge_agent.vision import quality
from edge_agent.vision.align import Picture, landmark_matrix
from edge_agent.vision.models.card import find_model, read_card
from edge_agent.vision.models.model import load_model
from edge_agent.vision.movements import (
    FORGET_S,
    MovementsReader,
    MovementsWatch,
    crop_angle,
    open_movements,
)
from edge_agent.vision.recognizer import open_recognizer
from edge_agent.vision.stills import describe
from tests.support.vision.portraits import serious, smiling

START = Instant(boot_ms=60_000, wall_ms=1_800_000_000_000)
CROP = np.zeros((48, 48), np.uint8)
FAST = VisionSettings(expression_model="expression-fast", confirm_frames=1)


class Said(MovementsReader):
    """A reader that answers what a test says: a smile and a roll."""

    def __init__(self) -> None:
        self.smile = 0.0
        self.roll = 0.0
        self.times = 0

    def read(self, crop: Picture, *, angle: float = 0.0) -> FaceMovements:
        self.times += 1
        values = dict.fromkeys(NAMES, 0.0) | {"smile": self.smile, "roll": self.roll}
        return FaceMovements(tuple(values.values()))


def test_values_move_towards_a_new_reading_by_the_time_that_passed() -> None:
    reader = Said()
    watch = MovementsWatch(reader, time_constant_s=0.5)
    watch.read(1, START, CROP, angle=0.0)
    reader.smile = 1.0
    raw, smoothed = watch.read(1, START.shift(0.5), CROP, angle=0.0)
    assert raw.movements["smile"] == 1.0
    assert smoothed.movements["smile"] == pytest.approx(1 - math.exp(-1))
    _, other = watch.read(2, START.shift(0.5), CROP, angle=0.0)
    assert other.movements["smile"] == 1.0, "another face has no past"
    _, later = watch.read(1, START.shift(0.6 + FORGET_S), CROP, angle=0.0)
    assert later.movements["smile"] == 1.0, "after a long gap a track starts again"


def test_a_face_is_read_about_five_times_a_second_however_many_frames_come() -> None:
    reader = Said()
    watch = MovementsWatch(reader, time_constant_s=0.5)
    for number in range(31):
        watch.read(1, START.shift(number / 30), CROP, angle=0.0)
    assert reader.times == 6
    for number in range(30):
        watch.read(2, START.shift(number / 30), CROP, angle=0.0, pause_s=0.0)
    assert reader.times == 36


def test_a_head_that_turns_away_has_a_pose_and_leaves_the_smile_as_it_was() -> None:
    reader = Said()
    watch = MovementsWatch(reader, time_constant_s=0.5)
    reader.smile = 0.4
    watch.read(1, START, CROP, angle=0.0)
    reader.smile, reader.roll = 1.0, 20.0
    for number in range(1, 31):
        away, smoothed = watch.read(1, START.shift(number / 30), CROP, angle=0.0, only_pose=True)
    assert reader.times == 6, "as often as a face that is read"
    for told in (away, smoothed):
        assert list(told.as_dict()) == [*POSE, *LOOK]
        assert movements_as_json(told)["movements"] is None
    assert smoothed.pose["roll"] == pytest.approx(20 * (1 - math.exp(-2)), abs=1.0)
    reader.smile = 0.4
    back, smoothed = watch.read(1, START.shift(1.01), CROP, angle=0.0)
    assert back.movements["smile"] == 0.4, "read again at once"
    assert smoothed.movements["smile"] == pytest.approx(0.4)


def test_a_face_first_seen_turned_away_begins_with_its_first_smile() -> None:
    reader = Said()
    watch = MovementsWatch(reader, time_constant_s=0.5)
    watch.read(1, START, CROP, angle=0.0, only_pose=True)
    reader.smile = 0.7
    _, smoothed = watch.read(1, START.shift(0.2), CROP, angle=0.0)
    assert smoothed.movements["smile"] == pytest.approx(0.7)


def test_the_roll_of_a_face_upside_down_goes_the_short_way() -> None:
    reader = Said()
    reader.roll = 178.0
    watch = MovementsWatch(reader, time_constant_s=0.5)
    watch.read(1, START, CROP, angle=0.0)
    reader.roll = -178.0
    _, smoothed = watch.read(1, START.shift(1.0), CROP, angle=0.0)
    assert abs(smoothed.pose["roll"]) > 178.0


def test_the_angle_of_a_crop_is_how_far_the_face_is_turned_clockwise() -> None:
    upright = np.array([[30, 40], [70, 40], [50, 60], [35, 75], [65, 75]], float)
    assert crop_angle(landmark_matrix(upright)) == pytest.approx(0.0, abs=1.0)
    turn = math.radians(30)  # y points down: this turns clockwise as it is seen
    matrix = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    assert crop_angle(landmark_matrix(upright @ matrix.T)) == pytest.approx(30.0, abs=1.0)


def test_a_smile_a_turned_picture_and_a_mirror_image_are_read_as_they_are() -> None:
    recognizer = open_recognizer(FAST)
    (smile,) = recognizer.read_picture(smiling())
    (earnest,) = recognizer.read_picture(serious())
    assert smile.movements is not None
    assert earnest.movements is not None
    assert smile.movements.movements["smile"] > 0.5
    assert earnest.movements.movements["smile"] < 0.2
    assert all(abs(degrees) < 15 for degrees in smile.movements.pose.values())
    (mirrored,) = recognizer.read_picture(np.ascontiguousarray(smiling()[:, ::-1]))
    assert mirrored.movements is not None
    for name in ("yaw", "roll"):
        there, back = smile.movements.pose[name], mirrored.movements.pose[name]
        assert there == pytest.approx(-back, abs=5), name
    # to turn the picture counterclockwise adds to the roll and nothing to the rest
    turn = cv2.getRotationMatrix2D((222.0, 128.0), 25.0, 1.0)
    picture = np.asarray(cv2.warpAffine(smiling(), turn, (512, 512)), np.uint8)
    (turned,) = recognizer.read_picture(picture)
    assert turned.movements is not None
    difference = turned.movements.pose["roll"] - smile.movements.pose["roll"]
    assert difference == pytest.approx(25, abs=4)
    assert turned.movements.movements["smile"] > 0.5


def test_card_each_movement_that_is_offered_moves_as_its_teachers() -> None:
    measured = read_card(find_model("face-movements")).metrics["test"]
    slopes = {name: measured[f"{name}, slope"] for name in MOVEMENTS}
    assert min(slopes.values()) >= 0.8, slopes
    assert measured["correlation, mean"] >= 0.85
    assert measured["correlation, least"] >= 0.65


def test_faces_that_are_rejected_have_no_movements() -> None:
    recognizer = open_recognizer(FAST)
    blurred = np.asarray(cv2.GaussianBlur(smiling(), (0, 0), 9), np.uint8)
    (rejected,) = recognizer.recognize(Frame(blurred, START, 0)).observations
    assert rejected.reject_reason is RejectReason.BLURRED
    assert rejected.movements is rejected.smoothed_movements is None
    assert [face.movements for face in recognizer.read_picture(blurred)] == [None]
    (read,) = recognizer.recognize(Frame(smiling(), START.shift(0.1), 1)).observations
    assert read.movements == read.smoothed_movements is not None
    without = open_recognizer(FAST.model_copy(update={"movements": False}))
    (reading,) = without.read_picture(smiling())
    assert reading.movements is None
    assert describe(reading)["movements"] is None
    assert len(without.models) == len(recognizer.models) - 1


def test_a_face_that_is_turned_away_is_described_with_pose_and_look_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(quality, "MOST_YAW", -1.0)
    recognizer = open_recognizer(FAST)
    (reading,) = recognizer.read_picture(smiling())
    assert reading.reject_reason is RejectReason.TURNED_AWAY
    told = describe(reading)
    assert list(told["pose"]) == [*POSE] and list(told["look"]) == [*LOOK]
    assert told["movements"] is None
    (seen,) = recognizer.recognize(Frame(smiling(), START, 0)).observations
    assert seen.movements is not None and seen.smoothed_movements is not None
    assert seen.movements.only_pose and seen.smoothed_movements.only_pose
    assert seen.turned_away


def test_a_face_is_described_with_pose_look_and_movements() -> None:
    (reading,) = open_recognizer(FAST).read_picture(smiling())
    told = describe(reading)
    assert list(told["pose"]) == ["yaw", "pitch", "roll"]
    assert list(told["movements"]) == [name for name in MOVEMENTS if name not in WITHDRAWN]
    assert all(0 <= value <= 1 for value in told["movements"].values())
    assert all(-1 <= value <= 1 for value in told["look"].values())


def test_the_reader_takes_no_other_model_and_no_other_crop() -> None:
    cover = load_model(find_model("face-cover"), kind="face-cover")
    with pytest.raises(ModelError, match="a face-movements model is needed"):
        MovementsReader(cover)
    model = open_movements(1)._model
    model.card = model.card.model_copy(update={"crop": "other"})
    with pytest.raises(ModelError, match="trained with the crop 'other'"):
        MovementsReader(model)
