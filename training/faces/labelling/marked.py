"""Points that people marked: if they roughly agree with the teacher's, they replace them.

On small photographs the teacher's five points deviate from people's by about a tenth of the eye
distance.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.resources.abc import Traversable

import numpy as np
from numpy.typing import NDArray

from training.errors import DataError
from training.faces.labelling.labels import LabelledFace

MARKED = "landmarks.csv"
"""Table of an archive: ``file``, and ``left_eye_x`` … for the points below, in pixels.

Left is the viewer's left.
"""
NAMES = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
AGREES = 0.25
"""Marked points are accepted if their mean distance from the teacher's is less, in eye
distances: some tables hold points that slipped by more than a whole one."""

Points = NDArray[np.float64]


def read_marked(path: Traversable) -> dict[str, Points]:
    """Five points (5 × 2, in the order of ``domain.Face.landmarks``) by name of the picture.

    Empty without a file.

    Args:
        path: a ``Path``, or a place in an archive.

    Raises:
        DataError: a column is missing, or a value is no finite number (row and column are named).
    """
    if not path.is_file():
        return {}
    try:
        table = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"), newline=""))
        missing = {"file", *(f"{name}_{axis}" for name in NAMES for axis in "xy")} - set(
            table.fieldnames or ()
        )
        if missing:
            raise DataError(f"{path}: columns are missing: {', '.join(sorted(missing))}")
        return {row["file"]: _points(row, f"{path}, row {table.line_num}") for row in table}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as a CSV file in UTF-8: {error}") from error


def deviation(points: Points, marked: Points) -> float:
    """Mean distance of five points from marked ones in distances of the marked eyes.

    Infinite when those coincide.
    """
    eyes = float(np.linalg.norm(marked[0] - marked[1]))
    if eyes > 0:
        return float(np.linalg.norm(points - marked, axis=1).mean()) / eyes
    return math.inf


def with_marked(faces: Sequence[LabelledFace], marked: Points | None) -> list[LabelledFace]:
    """Give the face that was marked the marked points, if they agree with its own."""
    if marked is None:
        return list(faces)
    return [_with_marked(face, marked) for face in faces]


def _with_marked(face: LabelledFace, marked: Points) -> LabelledFace:
    if face.points is None or face.ignore or deviation(np.array(face.points), marked) >= AGREES:
        return face
    return replace(face, points=tuple((float(x), float(y)) for x, y in marked))


def _points(row: Mapping[str, str], place: str) -> Points:
    numbers = []
    for name in (f"{name}_{axis}" for name in NAMES for axis in "xy"):
        try:
            numbers.append(float(row[name]))
        except (TypeError, ValueError) as error:
            raise DataError(f"{place}, column {name}: {row[name]!r} is not a number") from error
        if not math.isfinite(numbers[-1]):
            raise DataError(f"{place}, column {name}: {row[name]!r} is not a finite number")
    return np.array(numbers).reshape(5, 2)
