"""Find faces with five landmarks: one small int8 network on the whole picture, then NumPy on the few cells that fire.

The network divides its input into cells at strides 8, 16 and 32. For each cell it gives the logit that a face is
centred there (`score_<stride>`), the distances from the middle of the cell to the four sides (`box_<stride>`) and the
places of the five landmarks from there (`landmarks_<stride>`), both in strides.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edge_agent.domain import Box, Face
from edge_agent.errors import ModelError
from edge_agent.vision.model import TFLiteModel

Picture = npt.NDArray[np.uint8]
Values = npt.NDArray[np.float32]

STRIDES = (8, 16, 32)
ANSWERS = {"score": 1, "box": 4, "landmarks": 10}
"""What the network gives for each cell, and how many numbers that is."""

OVERLAP = 0.4
"""Two boxes with a larger intersection over union are one face."""

AGREEMENT = 0.6
"""Boxes with at least this intersection over union with the surest box of a face have a say in its place."""

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


class FaceDetector:
    """Finds faces in pictures of any size.

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

    def detect(self, image: Picture) -> list[Face]:
        """Find the faces in a picture.

        Args:
            image: uint8, height × width × 3 (BGR) or height × width (gray).

        Returns:
            Faces in pixels of ``image``, surest first. Boxes may reach beyond the picture.

        Raises:
            ValueError: the picture has another type or shape, or no pixel.
        """
        pixels, scale = letterbox(image, *self._size)
        found = merge(decode(self._model.run(pixels), self._threshold))
        sides = (found.boxes[:, 2:] - found.boxes[:, :2]).max(axis=1, initial=0.0) / scale
        chosen = np.flatnonzero(sides >= self._min_face_px)[: self._max_faces]
        return [_face(found, int(i), scale) for i in chosen]


def letterbox(image: Picture, width: int, height: int) -> tuple[Picture, float]:
    """Scale a picture to fit the upper left of a black RGB picture of ``width`` × ``height``.

    A picture that shrinks to less than two thirds goes through twice the size, where each output pixel averages
    four samples: small faces keep their shape at a third of the cost of averaging every pixel.

    Returns:
        uint8, height × width × 3, RGB, and the scale: pixels of the result for one pixel of the picture.

    Raises:
        ValueError: the picture is not uint8, gray or BGR, or has no pixel.
    """
    if image.dtype != np.uint8 or image.ndim not in {2, 3} or (image.ndim == 3 and image.shape[2] != 3):
        raise ValueError(f"a picture is uint8, gray or BGR; got {image.dtype} of shape {image.shape}")
    if image.size == 0:
        raise ValueError(f"a picture needs at least one pixel, got shape {image.shape}")
    full_height, full_width = image.shape[:2]
    scale = min(width / full_width, height / full_height)
    size = (max(round(full_width * scale), 1), max(round(full_height * scale), 1))
    if scale < 2 / 3:
        twice = cv2.resize(image, (size[0] * 2, size[1] * 2), interpolation=cv2.INTER_LINEAR)
        small = cv2.resize(twice, size, interpolation=cv2.INTER_AREA)
    else:
        small = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    kind = cv2.COLOR_GRAY2RGB if image.ndim == 2 else cv2.COLOR_BGR2RGB
    pixels[: size[1], : size[0]] = cv2.cvtColor(small, kind)
    return pixels, scale


def decode(outputs: Mapping[str, Values], threshold: float) -> Candidates:
    """Turn the network's answers into boxes and points.

    Args:
        outputs: ``score_8``, ``box_8``, ``landmarks_8``, … each 1 × rows × columns × numbers, raw.
        threshold: cells with a lower score are left out.
    """
    logit = math.log(threshold / (1 - threshold))
    scores, boxes, points = [], [], []
    for stride in STRIDES:
        logits = outputs[f"score_{stride}"][0, :, :, 0]
        rows, columns = np.nonzero(logits >= logit)
        middle = (np.stack([columns, rows], axis=1) + np.float32(0.5)) * np.float32(stride)
        sides = outputs[f"box_{stride}"][0, rows, columns] * stride
        offsets = outputs[f"landmarks_{stride}"][0, rows, columns].reshape(-1, 5, 2) * stride
        scores.append(1 / (1 + np.exp(-logits[rows, columns])))
        boxes.append(np.concatenate([middle - sides[:, :2], middle + sides[:, 2:]], axis=1))
        points.append(middle[:, None] + offsets)
    all_scores, all_boxes = np.concatenate(scores), np.concatenate(boxes)
    real = (all_boxes[:, 2:] > all_boxes[:, :2]).all(axis=1)
    order = np.flatnonzero(real)[np.argsort(-all_scores[real], kind="stable")][:_MOST_CELLS]
    return Candidates(
        all_scores[order].astype(np.float32),
        all_boxes[order].astype(np.float32),
        np.concatenate(points)[order].astype(np.float32),
    )


def merge(candidates: Candidates) -> Candidates:
    """Make one face of the candidates that overlap by more than `OVERLAP` with the surest of them.

    Box and points are the means over those that agree with the surest (`AGREEMENT`), weighted by the squares of their
    scores: neighbouring cells err independently, above all after quantization. The score is that of the surest.
    """
    left = np.arange(len(candidates))
    firsts: list[int] = []
    boxes, points = np.zeros_like(candidates.boxes), np.zeros_like(candidates.points)
    while len(left):
        overlaps = _overlaps(candidates.boxes[left[0]], candidates.boxes[left])
        overlaps[0] = 1.0
        agreeing = left[overlaps >= AGREEMENT]
        weights = candidates.scores[agreeing] ** 2 / (candidates.scores[agreeing] ** 2).sum()
        boxes[len(firsts)] = np.tensordot(weights, candidates.boxes[agreeing], 1)
        points[len(firsts)] = np.tensordot(weights, candidates.points[agreeing], 1)
        firsts.append(int(left[0]))
        left = left[overlaps <= OVERLAP]
    return Candidates(candidates.scores[firsts], boxes[: len(firsts)], points[: len(firsts)])


def _overlaps(box: Values, boxes: Values) -> Values:
    """Intersection over union of one box with n others."""
    shared = np.clip(np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2]), 0, None).prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return np.asarray(shared / (areas + (box[2:] - box[:2]).prod() - shared), dtype=np.float32)


def _face(found: Candidates, i: int, scale: float) -> Face:
    left, top, right, bottom = (float(side) / scale for side in found.boxes[i])
    landmarks = tuple((float(x) / scale, float(y) / scale) for x, y in found.points[i])
    return Face(Box(left, top, right - left, bottom - top), float(found.scores[i]), landmarks)


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
