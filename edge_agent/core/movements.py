"""Movements of the face, the pose of the head and the direction of the eyes. No I/O.

They are estimates of a network that learned from another network's answers
(``training/expression/movements.py``). The names follow the words of the facial action coding
system, but no person coded them.
"""

from __future__ import annotations

from dataclasses import dataclass

MOVEMENTS = (
    "brow_down",
    "brow_inner_up",
    "brow_outer_up",
    "eye_blink",
    "eye_squint",
    "eye_wide",
    "cheek_squint",
    "nose_sneer",
    "upper_lip_up",
    "lower_lip_down",
    "smile",
    "frown",
    "lip_stretch",
    "lip_press",
    "pucker",
    "jaw_open",
)
"""Each 0 (at rest) … 1 (as strong as the teacher knows it), the mean of left and right."""

POSE = ("yaw", "pitch", "roll")
"""Degrees. Yaw is positive when the face turns to the picture's right, pitch when it turns down,
roll when the head tilts counterclockwise in the picture."""

LOOK = ("look_x", "look_y")
"""−1 … 1: where the eyes point in the face. ``look_x`` is positive toward the person's left,
``look_y`` upward."""


@dataclass(frozen=True, slots=True)
class FaceMovements:
    """What one face does.

    Attributes:
        movements: strengths in the order of ``MOVEMENTS``, each 0…1.
        pose: yaw, pitch and roll of the head in degrees, as ``POSE`` says.
        look: direction of the eyes, as ``LOOK`` says.
    """

    movements: tuple[float, ...]
    pose: tuple[float, float, float]
    look: tuple[float, float]
