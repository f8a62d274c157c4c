"""The face detector: letterboxing, decoding, merging, and the shipped model on real pictures."""

from __future__ import annotations

import math
from copy import copy
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from edge_agent.core.errors import ModelError
from edge_agent.core.expression import Box, Face
from edge_agent.vision.faces.detector import (
    STRIDES,
    Candidates,
    FaceDetector,
    decode,
    letterbox,
    merge,
)
from edge_agent.vision.models.model import TFLiteModel, find_model, load_model
from tests.support.vision import tiny_model
from tests.support.vision.portraits import serious, smiling

Picture = npt.NDArray[np.uint8]

# Box and points as YuNet (2026 May) finds them, the mean of four picture sizes and their mirror
# images.
SMILING = Face(
    Box(180.7, 65.3, 88.7, 108.9),
    1.0,
    ((204.0, 104.0), (245.0, 104.5), (222.9, 125.8), (205.4, 144.5), (240.7, 144.0)),
)
SERIOUS = Face(
    Box(179.7, 119.8, 173.3, 214.4),
    1.0,
    ((225.1, 193.9), (308.2, 192.8), (270.0, 235.7), (233.8, 270.4), (307.0, 270.7)),
)
PORTRAITS = {"smiling": (smiling, SMILING), "serious": (serious, SERIOUS)}


@cache
def model() -> TFLiteModel:
    return load_model(find_model("face-detector"), kind="face-detector")


def framed(name: str, face_height: float, x: float, y: float) -> tuple[Picture, Face]:
    """A frame of 640 × 480 with a portrait's face of this height around (x, y), and that face."""
    read, face = PORTRAITS[name]
    scale = face_height / face.box.height
    shift = np.array((x, y)) - np.array(face.box.center) * scale
    small = cv2.resize(read(), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    matrix = np.column_stack([np.eye(2), shift])
    frame = cv2.warpAffine(small, matrix, (640, 480), borderMode=cv2.BORDER_REPLICATE)
    points = tuple((px * scale + shift[0], py * scale + shift[1]) for px, py in face.landmarks)
    width = face.box.width * scale
    box = Box(x - width / 2, y - face_height / 2, width, face_height)
    return np.asarray(frame, dtype=np.uint8), Face(box, 1.0, points)


def landmark_error(found: Face, known: Face) -> float:
    """Mean distance of the points in distances of the eyes."""
    places = np.array(known.landmarks)
    distances = np.linalg.norm(np.array(found.landmarks) - places, axis=1)
    return float(distances.mean() / np.linalg.norm(places[0] - places[1]))


def answers(
    **cells: tuple[int, int, float, tuple[float, ...]],
) -> dict[str, npt.NDArray[np.float32]]:
    """Outputs of a network for 256 × 192 in which only the named strides' cells fire: row, column,
    logit, sides.
    """
    outputs = {}
    for stride in STRIDES:
        rows = 192 // stride
        columns = 256 // stride
        outputs[f"score_{stride}"] = np.full((1, rows, columns, 1), -9.0, dtype=np.float32)
        outputs[f"box_{stride}"] = np.ones((1, rows, columns, 4), dtype=np.float32)
        outputs[f"landmarks_{stride}"] = np.zeros((1, rows, columns, 10), dtype=np.float32)
    for name, (row, column, logit, sides) in cells.items():
        at = name.removeprefix("at_")
        outputs[f"score_{at}"][0, row, column] = logit
        outputs[f"box_{at}"][0, row, column] = sides
        outputs[f"landmarks_{at}"][0, row, column] = np.arange(10)
    return outputs


def test_a_cell_becomes_a_box_and_points_in_pixels_of_input_surest_first() -> None:
    small, large = (1.0, 1.5, 2.0, 0.5), (2.0, 2.0, 2.0, 2.0)
    found = decode(answers(at_16=(2, 3, 2.0, small), at_32=(4, 6, 3.0, large)), 0.5)
    assert found.scores.tolist() == pytest.approx([1 / (1 + math.exp(-x)) for x in (3.0, 2.0)])
    assert found.boxes[1] == pytest.approx([56 - 16, 40 - 24, 56 + 32, 40 + 8])
    assert found.points[1, 4] == pytest.approx([56 + 8 * 16, 40 + 9 * 16])


def test_cells_below_the_threshold_and_boxes_turned_inside_out_are_dropped() -> None:
    weak = decode(answers(at_8=(0, 0, -0.1, (1, 1, 1, 1))), 0.5)
    inside_out = decode(answers(at_8=(0, 0, 3.0, (1, 1, -2, 1))), 0.5)
    assert len(weak) == len(inside_out) == 0
    assert weak.boxes.shape == (0, 4)
    assert weak.points.shape == (0, 5, 2)


def test_overlapping_candidates_become_one_face_placed_by_those_that_agree() -> None:
    boxes = np.array(
        [[0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10], [4, 0, 14, 10], [6, 0, 16, 10]],
        dtype=np.float32,
    )
    scores = np.array([0.8, 0.4, 0.7, 0.6, 0.5], dtype=np.float32)
    points = np.repeat(boxes[:, None, :2], 5, axis=1)
    merged = merge(Candidates(scores, boxes, points))
    assert merged.scores.tolist() == pytest.approx([0.8, 0.7, 0.5])
    assert merged.boxes[:, 0].tolist() == pytest.approx([0.2, 20, 6])
    assert merged.points[:, 4, 0].tolist() == pytest.approx([0.2, 20, 6])


@pytest.mark.parametrize(
    ("width", "height", "scale"),
    [(640, 480, 0.4), (1920, 1080, 256 / 1920), (100, 400, 0.48), (5, 5, 38.4)],
)
def test_letterboxing_fits_the_picture_into_the_upper_left(
    width: int, height: int, scale: float
) -> None:
    pixels, found = letterbox(np.full((height, width, 3), (10, 20, 30), dtype=np.uint8), 256, 192)
    assert pixels.shape == (192, 256, 3)
    assert found == pytest.approx(scale)
    assert (pixels[: round(height * scale), : round(width * scale)] == (30, 20, 10)).all()
    assert pixels.sum() == round(height * scale) * round(width * scale) * 60


@pytest.mark.parametrize("name", PORTRAITS)
def test_the_one_face_of_each_portrait_is_found_with_its_landmarks(name: str) -> None:
    picture = PORTRAITS[name][0]()
    known = PORTRAITS[name][1]
    (found,) = FaceDetector(model()).detect(picture)
    assert found.box.overlap(known.box) > 0.6
    assert landmark_error(found, known) < 0.12
    assert 0.5 < found.score < 1


@pytest.mark.parametrize("name", PORTRAITS)
@pytest.mark.parametrize(
    ("height", "x", "y"),
    [(60, 90, 300), (160, 200, 300), (300, 320, 240), (520, 320, 280)],  # the last is cut off
)
def test_the_face_is_found_wherever_the_camera_has_it(
    name: str, height: float, x: float, y: float
) -> None:
    frame, known = framed(name, height, x, y)
    (found,) = FaceDetector(model()).detect(frame)
    assert found.box.overlap(known.box) > 0.5
    # In a face of 60 pixels the eyes are 8 pixels apart for the network: no promise about its
    # points yet.
    assert height < 100 or landmark_error(found, known) < 0.2


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 2000, 3), (2000, 3), (480, 640, 3)])
def test_pictures_without_a_face_have_none_however_small_or_narrow(shape: tuple[int, ...]) -> None:
    assert FaceDetector(model()).detect(np.full(shape, 128, dtype=np.uint8)) == []


def test_smaller_and_surplus_faces_are_left_out() -> None:
    both = np.zeros((606, 1024, 3), dtype=np.uint8)
    both[:512, :512], both[: serious().shape[0], 512:] = smiling(), serious()
    sizes = sorted(max(f.box.width, f.box.height) for f in FaceDetector(model()).detect(both))
    assert len(sizes) == 2
    assert len(FaceDetector(model(), min_face_px=(sizes[0] + sizes[1]) / 2).detect(both)) == 1
    assert len(FaceDetector(model(), max_faces=1).detect(both)) == 1


def test_a_model_with_other_outputs_is_refused_by_name(tmp_path: Path) -> None:
    content = tiny_model.tiny_tflite()
    card = tiny_model.expression_card(content, kind="face-detector", score_threshold=0.5)
    for key in ("temperature", "uncertain_below", "crop"):
        del card[key]
    path = tiny_model.write_model(tmp_path, content, card)
    with pytest.raises(ModelError, match=r"tiny\.tflite: a face detector takes 3 channels"):
        FaceDetector(load_model(path, kind="face-detector"))


def test_a_model_that_lacks_an_answer_is_refused_by_its_name() -> None:
    wrong = copy(model())
    wrong.card = model().card.model_copy(update={"outputs": model().card.outputs[1:]})
    said = r"output score_8 of a face detector must have shape \(1, 24, 32, 1\); it is missing"
    with pytest.raises(ModelError, match=said):
        FaceDetector(wrong)


def test_still_pictures_are_searched_at_score_of_card_and_frames_at_own() -> None:
    strict = FaceDetector(model(), score_threshold=0.99)
    assert strict.detect(smiling()) == []
    assert len(strict.for_stills().detect(smiling())) == 1
