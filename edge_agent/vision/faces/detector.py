"""Detection of faces with five landmarks: one small int8 network, then a decoder of its cells.

The network divides its input into cells at strides 8, 16 and 32. For each cell it returns the logit
of a face centred there (`score_<stride>`), the distances from the middle of the cell to the four
sides (`box_<stride>`) and the offsets of the five landmarks (`landmarks_<stride>`), both in
strides.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import mul
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edge_agent.core.errors import ModelError
from edge_agent.core.expression import Box, Face
from edge_agent.vision.align import Picture, check_picture
from edge_agent.vision.models.model import RawOutput, TFLiteModel

Values = npt.NDArray[np.float32]
Place = list[float]
"""Left, top, right and bottom of a box, then x and y of the five points, in pixels of the network's
input.
"""
Cell = tuple[float, Place]
"""Score 0…1 and place of a face."""

STRIDES = (8, 16, 32)
ANSWERS = {"score": 1, "box": 4, "landmarks": 10}
"""The outputs of the network, and the number of values for each cell."""

OVERLAP = 0.4
"""Two boxes with a larger intersection over union are one face."""

AGREEMENT = 0.6
"""Boxes with at least this intersection over union with the surest box of a face are averaged with
it.
"""

SHRINK_AT_ONCE = 0.39
"""Above this scale a picture is resized in one step; below, it is halved first.

Halving uses pixels that bilinear scaling would skip. The usual frame is 640 pixels wide and is
scaled by 0.4. Halving it would cost a fourteenth of a search, and the network was trained on
pictures that were scaled in one step.
"""

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

    @classmethod
    def of(cls, cells: Iterable[Cell]) -> Candidates:
        """Return cells as arrays."""
        pairs = list(cells)
        scores = np.array([score for score, _ in pairs], dtype=np.float32)
        places = np.array([place for _, place in pairs], dtype=np.float32).reshape(-1, 14)
        return cls(scores, places[:, :4], places[:, 4:].reshape(-1, 5, 2))

    def cells(self) -> list[Cell]:
        """Return them as plain numbers."""
        places = np.concatenate([self.boxes, self.points.reshape(-1, 10)], axis=1)
        return list(zip(self.scores.tolist(), places.tolist(), strict=True))


class FaceDetector:
    """Finds faces in pictures of any size; may be called from several threads.

    Args:
        model: a loaded model of kind ``face-detector``.
        score_threshold: least score of a face, 0…1; by default the one in the model's card.
        min_face_px: faces whose longer side is smaller, in pixels of the picture, are left out.
        max_faces: the most faces that are returned; the surest win.

    Raises:
        ModelError: the model's outputs are not those that the decoder needs.
        ValueError: a threshold, size or number is out of range.

    Example::

        detector = FaceDetector(load_model(path, kind="face-detector"), min_face_px=30)
        [face.box for face in detector.detect(image)]
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
            raise ValueError(
                f"min_face_px {min_face_px} must be 0 or more, max_faces {max_faces} 1 or more"
            )
        self.card = model.card
        self._model = model
        self._size = _checked_size(model)
        self._threshold = threshold
        self._min_face_px = min_face_px
        self._max_faces = max_faces
        self._lock = threading.Lock()  # of the buffer
        self._pixels = np.zeros(model.card.input.shape[1:], np.uint8)

    def for_stills(self) -> FaceDetector:
        """Return a detector with the score threshold for still pictures, if the card has one.

        A face in front of a camera appears in many frames, so a high threshold loses few; a still
        picture has one chance. Both detectors share one model.
        """
        score = self._model.card.still_score_threshold
        if score is None:
            return self
        return FaceDetector(self._model, score, self._min_face_px, self._max_faces)

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
                cells = cells_that_fire(answer, self._threshold)
        faces = (_face(cell, scale) for cell in merge_cells(cells))
        least = self._min_face_px
        large = (face for face in faces if max(face.box.width, face.box.height) >= least)
        return list(islice(large, self._max_faces))


def letterbox(image: Picture, width: int, height: int) -> tuple[Picture, float]:
    """Scale a picture to fit the upper left of a new black RGB picture of ``width`` × ``height``.

    Returns:
        uint8, height × width × 3, RGB, and the scale: pixels of the result for one pixel of the
        picture.

    Raises:
        ValueError: the picture is not uint8, gray or BGR, or has no pixel.
    """
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    return pixels, letterbox_into(image, pixels)


def letterbox_into(image: Picture, pixels: Picture) -> float:
    """Do what `letterbox` does, in an existing picture that is overwritten, and return the scale.

    A picture that shrinks much is halved first, once or more: each pixel counts, at a sixth of the
    cost of averaging to the final size in one step.
    """
    check_picture(image)
    if image.size == 0:
        raise ValueError(f"a picture needs at least one pixel, got shape {image.shape}")
    height, width = pixels.shape[:2]
    full_height, full_width = image.shape[:2]
    scale: float = min(width / full_width, height / full_height)
    columns = max(round(full_width * scale), 1)
    rows = max(round(full_height * scale), 1)
    small: npt.NDArray[Any] = image
    left = scale
    while left <= SHRINK_AT_ONCE and min(small.shape[:2]) > 1:
        half = small.shape[1] // 2, small.shape[0] // 2
        # Even sizes only: OpenCV averages 2 × 2 blocks much faster than it does any other ratio.
        small = cv2.resize(small[: half[1] * 2, : half[0] * 2], half, interpolation=cv2.INTER_AREA)
        left *= 2
    # The picture goes to the upper left, not to the middle: coordinates need a scale only, no
    # shift.
    small = cv2.resize(small, (columns, rows), interpolation=cv2.INTER_LINEAR)
    pixels[rows:] = 0
    pixels[:rows, columns:] = 0
    kind = cv2.COLOR_GRAY2RGB if image.ndim == 2 else cv2.COLOR_BGR2RGB
    cv2.cvtColor(small, kind, dst=pixels[:rows, :columns])
    return scale


def decode(outputs: Mapping[str, Values], threshold: float) -> Candidates:
    """Turn the network's outputs into boxes and points.

    Args:
        outputs: ``score_8``, ``box_8``, ``landmarks_8``, … each 1 × rows × columns × numbers, as
            real numbers.
        threshold: cells with a lower score are left out.
    """
    return Candidates.of(cells_that_fire(lambda name: RawOutput(outputs[name]), threshold))


def merge(candidates: Candidates) -> Candidates:
    """Merge the candidates that overlap by more than `OVERLAP` with the surest one into one face.

    Box and points are the means over those that agree with the surest (`AGREEMENT`), weighted by
    the squares of their scores: neighbouring cells err independently, above all after quantization.
    The score is that of the surest.
    """
    return Candidates.of(merge_cells(candidates.cells()))


def cells_that_fire(answer: Callable[[str], RawOutput], threshold: float) -> list[Cell]:
    """Return the cells that fire, surest first.

    A face fires a handful of cells. For so few, plain numbers are faster than arrays, above all
    right after the network has filled the processor's caches: this takes a sixth of the time of a
    whole frame.

    Args:
        answer: returns an output by its name; it is called only for strides where a cell fires.
        threshold: cells with a lower score, or with a box of negative size, are left out.
    """
    # The threshold becomes a logit, and below a whole number of the quantized output: whole maps
    # are compared without a sigmoid or a conversion.
    logit = math.log(threshold / (1 - threshold))
    cells_found: list[Cell] = []
    for stride in STRIDES:
        score = answer(f"score_{stride}")
        (cells,) = (score.values.ravel() >= score.level(logit)).nonzero()
        if len(cells):
            cells_found += _cells(answer, score, cells, stride)
    cells_found.sort(key=lambda cell: cell[0], reverse=True)
    return cells_found[:_MOST_CELLS]


def _cells(
    answer: Callable[[str], RawOutput], score: RawOutput, cells: npt.NDArray[np.intp], stride: int
) -> Iterator[Cell]:
    """Yield the cells of one stride as plain numbers."""
    columns = score.values.shape[2]
    outputs = (score, answer(f"box_{stride}"), answer(f"landmarks_{stride}"))
    rows = (output.rows(cells) for output in outputs)
    for cell, (value,), sides, offsets in zip(cells.tolist(), *rows, strict=True):
        x = (cell % columns + 0.5) * stride
        y = (cell // columns + 0.5) * stride
        left, top, right, bottom = (side * stride for side in sides)
        # Quantized distances may come out negative.
        if left + right > 0 and top + bottom > 0:
            origins = zip((x, y) * 5, offsets, strict=True)
            points = [origin + offset * stride for origin, offset in origins]
            yield 1 / (1 + math.exp(-value)), [x - left, y - top, x + right, y + bottom, *points]


def merge_cells(cells: Sequence[Cell]) -> Iterator[Cell]:
    """Yield the faces that `merge` makes of cells, surest first."""
    while cells:
        score, first = cells[0]
        agreeing = [cells[0]]
        left = []
        for cell in cells[1:]:
            overlap = _overlap(first, cell[1])
            if overlap >= AGREEMENT:
                agreeing.append(cell)
            elif overlap <= OVERLAP:
                left.append(cell)
        total = math.fsum(weight * weight for weight, _ in agreeing)
        weights = [weight * weight / total for weight, _ in agreeing]
        columns = zip(*(place for _, place in agreeing), strict=True)
        yield score, [sum(map(mul, weights, values)) for values in columns]
        cells = left


def _overlap(one: Place, other: Place) -> float:
    """Return the intersection over union of two boxes."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    areas = (one[2] - one[0]) * (one[3] - one[1]) + (other[2] - other[0]) * (other[3] - other[1])
    return shared / (areas - shared)


def _face(cell: Cell, scale: float) -> Face:
    """Return a face in pixels of the picture."""
    score, place = cell
    left, top, right, bottom, *points = (value / scale for value in place)
    box = Box(left, top, right - left, bottom - top)
    return Face(box, score, tuple(zip(points[::2], points[1::2], strict=True)))


def _checked_size(model: TFLiteModel) -> tuple[int, int]:
    """Return the model's input size, after checking that `decode` can read its outputs."""
    card = model.card
    if card.input.channels != 3:
        raise ModelError(
            f"{model.path}: a face detector takes 3 channels (rgb), this one takes "
            f"{card.input.channels}."
        )
    for stride in STRIDES:
        for answer, numbers in ANSWERS.items():
            output = card.output(f"{answer}_{stride}")
            shape = (1, card.input.height // stride, card.input.width // stride, numbers)
            if output is None or output.shape != shape:
                problem = "missing" if output is None else f"of shape {output.shape}"
                raise ModelError(
                    f"{model.path}: output {answer}_{stride} of a face detector must have shape "
                    f"{shape}; it is {problem}. Install a face detector made by this project's "
                    "training."
                )
    return card.input.width, card.input.height
