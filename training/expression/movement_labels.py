"""Ask MediaPipe's face landmarker about the faces of ``movement_faces.py``.

    python training/expression/movement_labels.py face_landmarker.task FOLDER

It runs in an environment of its own, with ``mediapipe``, ``opencv-python-headless`` and ``numpy``;
nothing of the appliance is imported. FOLDER holds ``faces.npz`` and ``regions.npz`` and gets
``answers.npz``: ``movements`` (float32 N × 16, each the mean of left and right; five of them as
``movement_points.py`` says), ``pose`` (N × 3, degrees in the picture), ``look`` (N × 2); NaN where
the teacher found no face. ``half_rows`` and
``half_…`` are its answers for some of the photographs at half the size.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import mediapipe
import numpy as np
from mediapipe.tasks import python as tasks
from mediapipe.tasks.python import vision

from training.errors import write_arrays
from training.expression.movement_points import POINTS, STRONGEST, cheek_squint, frown, nose_sneer

# the order of edge_agent.core.movements.MOVEMENTS
BLENDSHAPES = {
    "brow_down": ("browDownLeft", "browDownRight"),
    "brow_inner_up": ("browInnerUp",),
    "brow_outer_up": ("browOuterUpLeft", "browOuterUpRight"),
    "eye_blink": ("eyeBlinkLeft", "eyeBlinkRight"),
    "eye_squint": ("eyeSquintLeft", "eyeSquintRight"),
    "eye_wide": ("eyeWideLeft", "eyeWideRight"),
    "cheek_squint": ("cheekSquintLeft", "cheekSquintRight"),
    "nose_sneer": ("noseSneerLeft", "noseSneerRight"),
    "upper_lip_up": ("mouthUpperUpLeft", "mouthUpperUpRight"),
    "lower_lip_down": ("mouthLowerDownLeft", "mouthLowerDownRight"),
    "smile": ("mouthSmileLeft", "mouthSmileRight"),
    "frown": ("mouthFrownLeft", "mouthFrownRight"),
    "lip_stretch": ("mouthStretchLeft", "mouthStretchRight"),
    "lip_press": ("mouthPressLeft", "mouthPressRight"),
    "pucker": ("mouthPucker",),
    "jaw_open": ("jawOpen",),
}
MEASURES = {"cheek_squint": cheek_squint, "nose_sneer": nose_sneer, "frown": frown}
"""Movement → what measures it on the points, in the place of the teacher's answer."""
HALF = 1500
"""Photographs that are asked once more at half the size."""
_LARGE = 160
"""Edge to which a picture of 48 × 48 is enlarged: about the size of a face in a region."""
_BORDER = 48
_LEAST = 0.3
"""Least score of a face: below the default, for the crops show little of the head."""

Array = Any
"""numpy's stubs are not in the teacher's environment."""


def open_teacher(path: Path) -> Any:
    """Return the face landmarker, for one face in a still picture."""
    options = vision.FaceLandmarkerOptions(
        base_options=tasks.BaseOptions(model_asset_path=str(path)),
        output_face_blendshapes=True,
        output_facial_transformation_matrixes=True,
        running_mode=vision.RunningMode.IMAGE,
        num_faces=1,
        min_face_detection_confidence=_LEAST,
        min_face_presence_confidence=_LEAST,
    )
    return vision.FaceLandmarker.create_from_options(options)


def answer(teacher: Any, picture: Array) -> tuple[list[float], Array] | None:
    """Return movements, pose and look of one picture (uint8 H × W × 3, RGB), and its points.

    Returns:
        the answers, and float32 478 × 3: the points as seen from straight ahead (x to the
        picture's right, y upward, z toward the camera), in pixels; None: no face was found.
    """
    image = mediapipe.Image(
        image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(picture)
    )
    result = teacher.detect(image)
    if not result.face_blendshapes:
        return None
    shapes = {shape.category_name: shape.score for shape in result.face_blendshapes[0]}
    movements = [float(np.mean([shapes[name] for name in names])) for names in BLENDSHAPES.values()]
    turn = result.facial_transformation_matrixes[0][:3, :3]
    turn = turn / np.linalg.norm(turn, axis=0)
    yaw = np.degrees(np.arctan2(turn[0, 2], turn[2, 2]))
    pitch = np.degrees(np.arcsin(np.clip(-turn[1, 2], -1, 1)))
    roll = np.degrees(np.arctan2(turn[1, 0], turn[1, 1]))
    left = shapes["eyeLookOutLeft"] - shapes["eyeLookInLeft"]
    right = shapes["eyeLookInRight"] - shapes["eyeLookOutRight"]
    up = shapes["eyeLookUpLeft"] + shapes["eyeLookUpRight"]
    down = shapes["eyeLookDownLeft"] + shapes["eyeLookDownRight"]
    height, width = picture.shape[:2]
    # The picture's y goes down and its z away from the camera; z is in units of the width.
    points = np.array(
        [(p.x * width, -p.y * height, -p.z * width) for p in result.face_landmarks[0]]
    )
    straight = (points @ turn).astype(np.float32)
    return [*movements, yaw, pitch, roll, (left + right) / 2, (up - down) / 2], straight


def answers(
    teacher: Any, pictures: Iterable[Array], show: Callable[[Array], Array]
) -> tuple[Array, Array]:
    """Return answers (float32 N × 21) and points (N × 478 × 3); NaN where no face was found."""
    rows = []
    points = []
    for picture in pictures:
        face = answer(teacher, show(picture))
        row, straight = face or ([np.nan] * 21, np.full((POINTS, 3), np.nan, np.float32))
        rows.append(row)
        points.append(straight)
        if len(rows) % 2000 == 0:
            print(f"{len(rows)} faces", flush=True)
    return np.array(rows, dtype=np.float32).reshape(-1, 21), np.stack(points)


def with_points(rows: Array, points: Array) -> Array:
    """Return answers with the movements that the points show and those that are stretched."""
    moved = rows.copy()
    names = list(BLENDSHAPES)
    for name, strongest in STRONGEST.items():
        moved[:, names.index(name)] = (moved[:, names.index(name)] / strongest).clip(max=1)
    for name, measure in MEASURES.items():
        moved[:, names.index(name)] = measure(points)
    return moved


def enlarge(crop: Array) -> Array:
    """Return a gray crop as the teacher sees it: larger, with a border, in three channels."""
    large = cv2.resize(crop, (_LARGE, _LARGE), interpolation=cv2.INTER_CUBIC)
    around = cv2.copyMakeBorder(large, _BORDER, _BORDER, _BORDER, _BORDER, cv2.BORDER_REPLICATE)
    return cv2.cvtColor(around, cv2.COLOR_GRAY2RGB)


def rgb(picture: Array) -> Array:
    """Return a picture (BGR) in the teacher's order of colours."""
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def halve(picture: Array) -> Array:
    """Return a region as it looks when the camera is twice as far away."""
    edge = picture.shape[0]
    small = cv2.resize(picture, (edge // 2, edge // 2), interpolation=cv2.INTER_AREA)
    return rgb(cv2.resize(small, (edge, edge), interpolation=cv2.INTER_CUBIC))


def main() -> None:
    """Ask about all faces of a folder and write the answers beside them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("teacher", type=Path, help="face_landmarker.task")
    parser.add_argument("folder", type=Path, help="folder that movement_faces.py wrote")
    arguments = parser.parse_args()
    teacher = open_teacher(arguments.teacher)
    with np.load(arguments.folder / "regions.npz") as regions:
        photographs = regions["regions"]
    with np.load(arguments.folder / "faces.npz") as faces:
        crops = faces["pixels"][len(photographs) :]
    every = np.concatenate(
        [
            with_points(*answers(teacher, photographs, rgb)),
            with_points(*answers(teacher, crops, enlarge)),
        ]
    )
    rows = np.random.default_rng(1).permutation(len(photographs))[:HALF]
    half = with_points(*answers(teacher, photographs[rows], halve))
    write_arrays(
        arguments.folder / "answers.npz",
        movements=every[:, :16],
        pose=every[:, 16:19],
        look=every[:, 19:],
        half_rows=rows,
        half_movements=half[:, :16],
        half_pose=half[:, 16:19],
        half_look=half[:, 19:],
    )
    print(f"{np.isfinite(every[:, 0]).sum()} of {len(every)} faces were found")


if __name__ == "__main__":
    main()
