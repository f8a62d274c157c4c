"""Find faces with five landmarks: one small int8 network on the whole picture, then NumPy on the few cells that fire.

The network divides its input into cells at strides 8, 16 and 32. For each cell it gives the logit that a face is
centred there (`score_<stride>`), the distances from the middle of the cell to the four sides (`box_<stride>`) and the
places of the five landmarks from there (`landmarks_<stride>`), both in strides.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edge_agent.domain import Box, Face
from edge_agent.errors import ModelError
from edge_agent.vision.model import RawOutput, TFLiteModel

Picture = npt.NDArray[np.uint8]
Values = npt.NDArray[np.float32]

STRIDES = (8, 16, 32)
ANSWERS = {"score": 1, "box": 4, "landmarks": 10}
"""What the network gives for each cell, and how many numbers that is."""

OVERLAP = 0.4
"""Two boxes with a larger intersection over union are one face."""

AGREEMENT = 0.6
"""Boxes with at least this intersection over union with the surest box of a face have a say in its place."""

SHRINK_AT_ONCE = 0.6
"""Down to this scale a picture is resized in one step; below, it is halved first, so that no pixel is passed over."""

_OUTWARDS = np.array([-1, -1, 1, 1], dtype=np.float32)  # left and top lie before the middle
_MOST_CELLS = 400  # A picture full of faces has a few hundred; more only cost time.


@dataclass(frozen=True, slots=True)
class Candidates:
    """Cells that fired, surest first, in pixels of the network's input.

    Attributes:
        scores: float32, n, 0…1.
        boxes: float32, n × 4: left, top, right, bottom.
        points: float32, n × 5 × 2.
    """

    scores: Values
    boxes: Values
    points: Values

    def __len__(self) -> int:
        return len(self.scores)


_NONE = Candidates(np.zeros(0, np.float32), np.zeros((0, 4), np.float32), np.zeros((0, 5, 2), np.float32))


class FaceDetector:
    """Finds faces in pictures of any size; may be called from several threads.

    Args:
        model: a loaded model of kind ``face-detector``.
        score_threshold: least score of a face, 0…1; by default the one in the model's card.
        min_face_px: faces whose longer side is smaller, in pixels of the picture, are left out.
        max_faces: at most so many are returned, the surest.

    Raises:
        ModelError: the model's outputs are not those that the decoder needs.
        ValueError: a threshold, size or number is out of range.
    """

    def __init__(
        self,
        model: TFLiteModel,
        score_threshold: float | None = None,
        min_face_px: float = 0.0,
        max_faces: int = 10,
    ) -> None:
        threshold = model.card.score_threshold if score_threshold is None else score_threshold
        if threshold is None or not 0 < threshold < 1:
            raise ValueError(f"the score threshold must lie between 0 and 1, got {threshold}")
        if not min_face_px >= 0 or max_faces < 1:
            raise ValueError(f"min_face_px {min_face_px} must be 0 or more, max_faces {max_faces} 1 or more")
        self.card = model.card
        self._model = model
        self._size = _checked_size(model)
        self._threshold = threshold
        self._min_face_px = min_face_px
        self._max_faces = max_faces
        self._lock = threading.Lock()  # of the buffer
        self._pixels = np.zeros(model.card.input.shape[1:], np.uint8)

    def detect(self, image: Picture) -> list[Face]:
        """Find the faces in a picture.

        Args:
            image: uint8, height × width × 3 (BGR) or height × width (gray).

        Returns:
            Faces in pixels of ``image``, surest first. Boxes may reach beyond the picture.

        Raises:
            ValueError: the picture has another type or shape, or no pixel.
        """
        with self._lock:
            scale = letterbox_into(image, self._pixels)
            with self._model.answering(self._pixels) as answer:
                candidates = decode_raw(answer, self._threshold)
        found = merge(candidates)
        faces = (_face(*values, scale) for values in zip(found.scores, found.boxes, found.points, strict=True))
        large = [face for face in faces if max(face.box.width, face.box.height) >= self._min_face_px]
        return large[: self._max_faces]


def letterbox(image: Picture, width: int, height: int) -> tuple[Picture, float]:
    """Scale a picture to fit the upper left of a new black RGB picture of ``width`` × ``height``.

    Returns:
        uint8, height × width × 3, RGB, and the scale: pixels of the result for one pixel of the picture.

    Raises:
        ValueError: the picture is not uint8, gray or BGR, or has no pixel.
    """
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    return pixels, letterbox_into(image, pixels)


def letterbox_into(image: Picture, pixels: Picture) -> float:
    """Do what `letterbox` does in a picture that is there already, whatever it holds; return the scale.

    A picture that shrinks much is halved first, once or more: each pixel counts, at a sixth of the cost of averaging
    them to the last size in one step.
    """
    if image.dtype != np.uint8 or image.ndim not in {2, 3} or (image.ndim == 3 and image.shape[2] != 3):
        raise ValueError(f"a picture is uint8, gray or BGR; got {image.dtype} of shape {image.shape}")
    if image.size == 0:
        raise ValueError(f"a picture needs at least one pixel, got shape {image.shape}")
    height, width = pixels.shape[:2]
    full_height, full_width = image.shape[:2]
    scale: float = min(width / full_width, height / full_height)
    columns, rows = max(round(full_width * scale), 1), max(round(full_height * scale), 1)
    small: npt.NDArray[Any] = image
    left = scale
    while left <= SHRINK_AT_ONCE and min(small.shape[:2]) > 1:
        half = small.shape[1] // 2, small.shape[0] // 2
        small = cv2.resize(small[: half[1] * 2, : half[0] * 2], half, interpolation=cv2.INTER_AREA)
        left *= 2
    small = cv2.resize(small, (columns, rows), interpolation=cv2.INTER_LINEAR)
    pixels[rows:], pixels[:rows, columns:] = 0, 0
    kind = cv2.COLOR_GRAY2RGB if image.ndim == 2 else cv2.COLOR_BGR2RGB
    cv2.cvtColor(small, kind, dst=pixels[:rows, :columns])
    return scale


def decode(outputs: Mapping[str, Values], threshold: float) -> Candidates:
    """Turn the network's answers into boxes and points.

    Args:
        outputs: ``score_8``, ``box_8``, ``landmarks_8``, … each 1 × rows × columns × numbers, as real numbers.
        threshold: cells with a lower score are left out.
    """
    return decode_raw(lambda name: RawOutput(outputs[name]), threshold)


def decode_raw(answer: Callable[[str], RawOutput], threshold: float) -> Candidates:
    """Do what `decode` does with numbers as the model gives them: only those of cells that fire become real.

    Args:
        answer: gives an output by its name.
        threshold: cells with a lower score are left out.
    """
    logit = math.log(threshold / (1 - threshold))
    scores: list[float] = []
    places: list[Values] = []
    for stride in STRIDES:
        score = answer(f"score_{stride}")
        (cells,) = (score.values.ravel() >= score.level(logit)).nonzero()
        if not len(cells):
            continue
        box, marks = answer(f"box_{stride}"), answer(f"landmarks_{stride}")
        sides, offsets = (raw.real(raw.values.reshape(-1, raw.values.shape[3])[cells]) for raw in (box, marks))
        place = np.concatenate([sides * _OUTWARDS, offsets], axis=1)
        place *= stride
        place += _middles(stride, score.values.shape[1], score.values.shape[2])[cells]
        places.append(place)
        scores += [1 / (1 + math.exp(-value)) for value in score.real(score.values.ravel()[cells]).tolist()]
    if not places:
        return _NONE
    return _surest_first(np.array(scores, dtype=np.float32), np.concatenate(places))


def _surest_first(scores: Values, places: Values) -> Candidates:
    """Order the cells that fired, without those whose box is turned inside out."""
    order = np.argsort(-scores, kind="stable")
    places = places[order]
    real = (places[:, 2] > places[:, 0]) & (places[:, 3] > places[:, 1])
    places = places[real][:_MOST_CELLS]
    return Candidates(scores[order][real][:_MOST_CELLS], places[:, :4], places[:, 4:].reshape(-1, 5, 2))


@cache
def _middles(stride: int, rows: int, columns: int) -> Values:
    """Middle of each cell in pixels of the input, x and y in turns, for two corners and five points: cells × 14."""
    y, x = np.mgrid[:rows, :columns].reshape(2, -1) * stride + stride / 2
    return np.tile(np.stack([x, y], axis=1), 7).astype(np.float32)


def merge(candidates: Candidates) -> Candidates:
    """Make one face of the candidates that overlap by more than `OVERLAP` with the surest of them.

    Box and points are the means over those that agree with the surest (`AGREEMENT`), weighted by the squares of their
    scores: neighbouring cells err independently, above all after quantization. The score is that of the surest.
    """
    if not len(candidates):
        return candidates
    boxes, areas = candidates.boxes, _areas(candidates.boxes)
    places = np.concatenate([boxes, candidates.points.reshape(-1, 10)], axis=1)
    weights = (candidates.scores**2)[:, None]
    left = np.arange(len(candidates))
    firsts: list[int] = []
    merged: list[Values] = []
    while len(left):
        first = left[0]
        overlaps = _overlaps(boxes[first], areas[first], boxes[left], areas[left])
        overlaps[0] = 1.0
        agreeing = left[overlaps >= AGREEMENT]
        merged.append((weights[agreeing] * places[agreeing]).sum(axis=0) / weights[agreeing].sum())
        firsts.append(int(first))
        left = left[overlaps <= OVERLAP]
    found = np.stack(merged)
    return Candidates(candidates.scores[firsts], found[:, :4], found[:, 4:].reshape(-1, 5, 2))


def _areas(boxes: Values) -> Values:
    return np.asarray((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]), dtype=np.float32)


def _overlaps(box: Values, area: np.float32, boxes: Values, areas: Values) -> Values:
    """Intersection over union of one box with n others."""
    sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    np.maximum(sides, 0, out=sides)
    shared = sides[:, 0] * sides[:, 1]
    return np.asarray(shared / (areas + area - shared), dtype=np.float32)


def _face(score: np.float32, box: Values, points: Values, scale: float) -> Face:
    """Return one of the candidates in pixels of the picture."""
    left, top, right, bottom = (side / scale for side in box.tolist())
    landmarks = tuple((x / scale, y / scale) for x, y in points.tolist())
    return Face(Box(left, top, right - left, bottom - top), float(score), landmarks)


def _checked_size(model: TFLiteModel) -> tuple[int, int]:
    """Width and height of the model's input, once its outputs are known to be those that `decode` needs."""
    card = model.card
    if card.input.channels != 3:
        raise ModelError(f"{model.path}: a face detector takes 3 channels (rgb), this one takes {card.input.channels}.")
    for stride in STRIDES:
        for answer, numbers in ANSWERS.items():
            output = card.output(f"{answer}_{stride}")
            shape = (1, card.input.height // stride, card.input.width // stride, numbers)
            if output is None or output.shape != shape:
                found = "missing" if output is None else f"of shape {output.shape}"
                raise ModelError(
                    f"{model.path}: output {answer}_{stride} of a face detector must have shape {shape}; "
                    f"it is {found}. Install a face detector made by this project's training."
                )
    return card.input.width, card.input.height
