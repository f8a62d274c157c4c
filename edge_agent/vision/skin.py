"""The mean colour of a face's skin: three numbers per frame, for the camera pulse."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from edge_agent.core.clock import Instant
from edge_agent.core.expression import Face, Frame, Recognition
from edge_agent.vision.align import Picture, box_matrix, landmark_matrix

Colour = tuple[float, float, float]

SIDE = 48
"""Side in pixels of the patch that is averaged: small enough to cost little, its 2,304 pixels
enough to average the camera's noise and rounding away."""
_PATCHES = ((0.50, 0.20, 0.20, 0.07), (0.27, 0.58, 0.08, 0.11), (0.73, 0.58, 0.08, 0.11))
"""Middle and standard deviations (x, y) of forehead, right and left cheek in the unit square of the
crop: skin that is well supplied with blood, away from eyes, mouth and hair. Soft edges: a landmark
that trembles changes little."""


def _weights() -> npt.NDArray[np.float32]:
    y, x = (np.mgrid[0:SIDE, 0:SIDE] + 0.5) / SIDE
    bumps = [np.exp(-(((x - a) / c) ** 2 + ((y - b) / d) ** 2) / 2) for a, b, c, d in _PATCHES]
    total = np.maximum.reduce(bumps)
    return np.asarray(total / total.sum(), dtype=np.float32)


WEIGHTS = _weights()
WEIGHTS.setflags(write=False)


def skin_colour(image: Picture, face: Face) -> Colour:
    """Return mean red, green and blue of forehead and cheeks, 0…255.

    Args:
        image: uint8, height × width × 3, BGR.
        face: in pixels of ``image``.
    """
    try:
        matrix = landmark_matrix(face.landmarks) * SIDE
    except ValueError:  # landmarks that coincide
        matrix = box_matrix(face.box) * SIDE
    # a pixel covers i − 0.5 … i + 0.5
    matrix[:, 2] += matrix[:, 0] * 0.5 + matrix[:, 1] * 0.5 - 0.5
    patch = cv2.warpAffine(
        image, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    blue, green, red = WEIGHTS.ravel() @ patch.reshape(-1, 3).astype(np.float32)
    return float(red), float(green), float(blue)


def watch_skin(
    see: Callable[[Instant, int | None, Colour | None], None],
) -> Callable[[Frame, Recognition], None]:
    """Return a callback that passes time, track and skin colour of each frame to ``see``.

    Track and colour are ``None`` where their face is not seen, or not well enough to be read.
    """

    def look(frame: Frame, seen: Recognition) -> None:
        face = seen.primary
        if face is None or face.reject_reason is not None:
            see(frame.at, None, None)
        else:
            see(frame.at, face.track, skin_colour(frame.image, face.face))

    return look
