"""Movements measured on the teacher's points, where its own answers hardly move.

MediaPipe's face landmarker answers ``noseSneer`` and ``cheekSquint`` with less than 0.001 for any
face, and ``mouthFrown``, ``eyeWide`` and ``mouthPress`` with a few tenths for the strongest. Its
478 points do move. Three movements are measured on them, by what the facial action coding system
(Ekman and Friesen 1978) describes: action unit 6 lifts the cheeks and the lower lids, 9 draws the
wings of the nose up and the brows down, 15 pulls the corners of the mouth down. The other two are
the teacher's answers, stretched so that its strongest faces are 1.

A measure is a distance over the distance of the outer corners of the eyes, in the points as seen
from straight ahead. Rest is the neutral face in the middle (median of FER2013's pictures that most
of ten people called neutral), 1 the strongest of 200 faces. Faces differ in shape, and a short nose
or high cheeks are measured like a movement: compare a person with themselves.

Only numpy is needed: the teacher's environment runs it, too.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any
"""numpy's stubs are not in the teacher's environment."""

POINTS = 478
STRONGEST = {"eye_wide": 0.4, "lip_press": 0.4}
"""Answer of the teacher that counts as 1: it gives as much to one of 200 faces."""

# Numbers of the points: those of the picture's left, then those of its right.
_EYE_OUTER = (33, 263)
_EYE_INNER = (133, 362)
_LOWER_LID = (145, 374)
_BROW_INNER = (55, 285)
_NOSE_WING = (48, 278)
_NOSE_TIP = (4, 4)
_CHEEK = (50, 280)
_MOUTH_CORNER = (61, 291)
_LIPS_MIDDLE = (0, 17)
"""Upper edge of the upper lip, lower edge of the lower one."""

_NOSE_SPAN = (-0.697, -0.493)
_CHEEK_SPAN = (-0.490, -0.290)
_FROWN_SPAN = (-0.0065, 0.0369)
"""What the measure is at rest and at 1."""
_NOSE_WEIGHT = 2.2
_LID_WEIGHT = 3.7
"""How much a height counts beside the other, by the spread of both in neutral faces."""


def nose_sneer(points: Array) -> Array:
    """Return how far the nose is wrinkled: wings up over the tip, and near the inner brows.

    Args:
        points: N × 478 × 3, as seen from straight ahead, y upward.

    Returns:
        N values of 0…1.
    """
    near = _distance(points, _NOSE_WING, _BROW_INNER)
    up = _height(points, _NOSE_WING) - _height(points, _NOSE_TIP)
    return _strength((_NOSE_WEIGHT * up - near) / _size(points), _NOSE_SPAN)


def cheek_squint(points: Array) -> Array:
    """Return how far the cheeks are raised: cheeks and lower lids up to the corners of the eyes.

    Args:
        points: as for :func:`nose_sneer`.

    Returns:
        N values of 0…1.
    """
    outer, inner = _height(points, _EYE_OUTER), _height(points, _EYE_INNER)
    cheek = _height(points, _CHEEK) - outer
    lid = _height(points, _LOWER_LID) - (outer + inner) / 2
    return _strength((cheek + _LID_WEIGHT * lid) / _size(points), _CHEEK_SPAN)


def frown(points: Array) -> Array:
    """Return how far the corners of the mouth are below its middle.

    Args:
        points: as for :func:`nose_sneer`.

    Returns:
        N values of 0…1.
    """
    below = _height(points, _LIPS_MIDDLE) - _height(points, _MOUTH_CORNER)
    return _strength(below / _size(points), _FROWN_SPAN)


def _size(points: Array) -> Array:
    """Return the distance between the outer corners of the eyes."""
    left, right = _EYE_OUTER
    return np.linalg.norm(points[:, left] - points[:, right], axis=1)


def _distance(points: Array, begin: tuple[int, int], end: tuple[int, int]) -> Array:
    """Return the distance of two points, the mean of left and right."""
    return np.linalg.norm(points[:, begin] - points[:, end], axis=2).mean(axis=1)


def _height(points: Array, pair: tuple[int, int]) -> Array:
    """Return the height of two points, their mean."""
    return points[:, pair, 1].mean(axis=1)


def _strength(measure: Array, span: tuple[float, float]) -> Array:
    rest, strong = span
    return np.clip((measure - rest) / (strong - rest), 0, 1)
