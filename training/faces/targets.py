"""Which cell of the detector answers for which face, and what it should say."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from edge_agent.vision.faces.detector import STRIDES
from training.faces.photographs import FaceBoxes

SIZES = {8: (0.0, 36.0), 16: (26.0, 120.0), 32: (84.0, float("inf"))}
"""Sizes of face (square root of the area, pixels of the scene) that each stride answers for.

Neighbours overlap.
"""
NEARLY = 1.3
"""A size beyond the bounds by at most this factor is no background: the cell may say what it
likes.
"""
CORE = (0.75, 0.22)
"""A cell answers for a face when it is nearer to its middle, along both axes, than the larger of
these two: in strides, and in sizes of the face."""
RING = 1.7
"""Cells farther away by at most this factor may say what they like."""


@dataclass(frozen=True, slots=True)
class Targets:
    """What each of the n cells (all strides in order, row by row) should say.

    Attributes:
        answers: bool, n: whether the cell answers for a face.
        ceilings: float32, n: the most that the score of another cell should be: 0 for background, 1
            for any.
        boxes: float32, n × 4: left, top, right, bottom of the face, pixels of the scene.
        points: float32, n × 10: its points, NaN where not known.
    """

    answers: NDArray[np.bool_]
    ceilings: NDArray[np.float32]
    boxes: NDArray[np.float32]
    points: NDArray[np.float32]


@cache
def cell_middles(width: int, height: int) -> tuple[tuple[int, NDArray[np.float32]], ...]:
    """For each stride the middles of its cells in pixels of the scene, float32, n × 2."""
    cells = []
    for stride in STRIDES:
        ys, xs = np.mgrid[0 : height // stride, 0 : width // stride]
        cells.append(
            (
                stride,
                ((np.stack([xs.ravel(), ys.ravel()], axis=1) + 0.5) * stride).astype(np.float32),
            )
        )
    return tuple(cells)


def assign(faces: FaceBoxes, width: int, height: int) -> Targets:
    """Say for every cell of a scene of ``width`` × ``height`` pixels what it should answer."""
    sure = faces.take(~faces.ignore)
    doubtful = faces.take(faces.ignore)
    parts = [
        _assign_stride(sure, _ceilings(doubtful, stride, width, height), stride, middles)
        for stride, middles in cell_middles(width, height)
    ]
    return Targets(*(np.concatenate(values) for values in zip(*parts, strict=True)))


def _ceilings(doubtful: FaceBoxes, stride: int, width: int, height: int) -> NDArray[np.float32]:
    """Ceilings of the cells of one stride when there are only doubtful regions.

    Where they overlap, the higher.
    """
    ceilings = np.zeros((height // stride, width // stride), dtype=np.float32)
    corners = np.clip(doubtful.boxes / stride, 0, None).round().astype(int)
    for (left, top, right, bottom), ceiling in zip(corners, doubtful.ceilings, strict=True):
        region = ceilings[top : max(bottom, top + 1), left : max(right, left + 1)]
        np.maximum(region, ceiling, out=region)
    return ceilings.ravel()


def _assign_stride(
    faces: FaceBoxes, ceilings: NDArray[np.float32], stride: int, middles: NDArray[np.float32]
) -> tuple[NDArray[np.bool_], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    n = len(middles)
    if len(faces) == 0:
        none = np.zeros((n, 4), dtype=np.float32), np.full((n, 10), np.nan, dtype=np.float32)
        return np.zeros(n, dtype=np.bool_), ceilings, *none
    centers = (faces.boxes[:, :2] + faces.boxes[:, 2:]) / 2
    sizes = faces.sizes
    distance = np.abs(middles[:, None] - centers[None]).max(axis=2)
    core = np.maximum(CORE[0] * stride, CORE[1] * sizes)
    low, high = SIZES[stride]
    fits = (sizes >= low) & (sizes < high)
    nearly = (sizes >= low / NEARLY) & (sizes < high * NEARLY)
    ceilings[((distance <= core * RING) & nearly).any(axis=1)] = 1
    relative = np.where((distance <= core) & fits, distance / core, np.inf)
    nearest = relative.argmin(axis=1)
    answers = np.isfinite(relative.min(axis=1))
    return answers, ceilings, faces.boxes[nearest], faces.points[nearest].reshape(n, 10)
