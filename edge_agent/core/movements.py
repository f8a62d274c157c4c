"""Movements of the face, the pose of the head and the direction of the eyes. No I/O.

They are estimates of a network that learned from another network's answers
(``training/expression/movements.py``). The names follow the words of the facial action coding
system, but no person coded them.
"""

from __future__ import annotations

from dataclasses import dataclass

from edge_agent.core.clock import Instant

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

WITHDRAWN = frozenset({"lip_press", "upper_lip_up"})
"""Movements that our network answers and nobody is told: they are not what they are called.

One in twenty neutral faces has pressed lips of 0.55 to 1.00, and among closed mouths those of angry
faces have no more than those of neutral ones; a raised upper lip is a second smile, four times as
strong in happy as in disgusted faces (``python -m benchmarks movements``). The columns stay, for
tables of other programs and for rows of before.
"""

POSE = ("yaw", "pitch", "roll")
"""Degrees. Yaw is positive when the face turns to the picture's right, pitch when it turns down,
roll when the head tilts counterclockwise in the picture."""

LOOK = ("look_x", "look_y")
"""−1 … 1: where the eyes point in the face. ``look_x`` is positive toward the person's left,
``look_y`` upward."""


NAMES = (*MOVEMENTS, *POSE, *LOOK)
"""All that is read of a face, in the order of the values of :class:`FaceMovements`."""


TURNED_AWAY_DEGREES = 30.0
"""Yaw or pitch beyond which a head counts as turned away from the camera.

A person who faces what they look at is seen at an angle when the camera stands beside it: 25 cm
beside the middle of a screen, at 60 cm distance, are 23°. With the mean error of the estimate (2°)
that stays below the bound. From about 50° on the quality filter refuses the face, and only pose and
look are read. We chose the value by judgement; the recorded angles allow any other.
"""

PROGRAMS = ("OpenFace", "py-feat", "FaceReader")
"""Other programs whose movements can be recorded, as in ``MovementRow.source``."""


@dataclass(frozen=True, slots=True)
class FaceMovements:
    """What one face does.

    Attributes:
        values: strengths, angles and look in the order of ``NAMES``.
        only_pose: whether pose and look alone are told, as of a head that is turned away; the
            strengths then mean nothing.
    """

    values: tuple[float, ...]
    only_pose: bool = False

    def __post_init__(self) -> None:
        if len(self.values) != len(NAMES):
            raise ValueError(f"a face has {len(NAMES)} values, not {len(self.values)}")

    @property
    def movements(self) -> dict[str, float]:
        """Name → strength, 0…1, in the order of ``MOVEMENTS``, without those that are withdrawn;
        empty with ``only_pose``.
        """
        if self.only_pose:
            return {}
        pairs = zip(MOVEMENTS, self.values, strict=False)
        return {name: strength for name, strength in pairs if name not in WITHDRAWN}

    @property
    def pose(self) -> dict[str, float]:
        """Yaw, pitch and roll of the head in degrees."""
        begin = len(MOVEMENTS)
        return dict(zip(POSE, self.values[begin : begin + len(POSE)], strict=True))

    @property
    def look(self) -> dict[str, float]:
        """Direction of the eyes, −1…1."""
        return dict(zip(LOOK, self.values[-len(LOOK) :], strict=True))

    @property
    def turned_away(self) -> bool:
        """Return whether the head is turned away, by ``TURNED_AWAY_DEGREES``."""
        pose = self.pose
        return max(abs(pose["yaw"]), abs(pose["pitch"])) > TURNED_AWAY_DEGREES

    def as_dict(self) -> dict[str, float]:
        """Return name → value of what is reported, in the order of ``NAMES``."""
        return {**self.movements, **self.pose, **self.look}


@dataclass(frozen=True, slots=True)
class MovementRow:
    """Movements of one track over one recording interval, as they are recorded.

    Attributes:
        at: end of the interval.
        track: as in ``Observation``.
        frames: readings that the means are taken over, at least 1; of strengths fewer, where the
            head was turned away for a part of the interval.
        mean: means of the readings, in the order of ``NAMES``; ``None``: not read.
        primary: whether it was the participant's face in most of these frames.
        source: program that read the face, one of ``PROGRAMS``; empty: ours.
        attribution: an ``Attribution``, as in ``Observation``, of most of these frames.
    """

    at: Instant
    track: int
    frames: int
    mean: tuple[float | None, ...]
    primary: bool
    source: str = ""
    attribution: str | None = None


def movements_as_json(face: FaceMovements | None) -> dict[str, dict[str, float] | None]:
    """Return pose (degrees), look (−1…1) and movements (0…1) as JSON values; ``None``: not read.

    Of a head that is turned away movements are not told.
    """
    if face is None:
        return {"pose": None, "look": None, "movements": None}
    return {
        "pose": {name: round(value, 1) for name, value in face.pose.items()},
        "look": {name: round(value, 3) for name, value in face.look.items()},
        "movements": {name: round(value, 3) for name, value in face.movements.items()} or None,
    }
