"""The folder form in which faces are given to the training of the detector.

A table `labels.csv` lies in the folder beside the pictures and has one row for each face::

    file,part,ignore,ceiling,x,y,width,height,right_eye_x,right_eye_y,left_eye_x,left_eye_y,
    nose_x,nose_y,right_mouth_x,right_mouth_y,left_mouth_x,left_mouth_y

`file` is relative to the folder; `part` is train, valid or test (the same in all rows of a
picture). Coordinates are pixels of the picture with 0, 0 at the outer corner of its first pixel;
eyes and mouth corners are the person's own right and left. Points may be left empty where they are
not known. `ignore` 1 marks a doubtful region: it need not be found, and it is no mistake to find
it, but a detector should not be surer of it than `ceiling` (0 to 1; left empty, there is no
limit). A picture without any face has one row whose box is empty.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.core.expression import Box
from training.errors import DataError

LABELS = "labels.csv"
PARTS = ("train", "valid", "test")
BOX_COLUMNS = ("x", "y", "width", "height")
POINT_COLUMNS = tuple(
    f"{point}_{axis}"
    for point in ("right_eye", "left_eye", "nose", "right_mouth", "left_mouth")
    for axis in "xy"
)
COLUMNS = ("file", "part", "ignore", "ceiling", *BOX_COLUMNS, *POINT_COLUMNS)

Picture = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class LabelledFace:
    """A face, or with ``ignore`` a doubtful region.

    Attributes:
        box: in pixels of the picture; it may reach beyond it.
        points: five points (x, y) in pixels in the order of ``domain.Face.landmarks``, or ``None``
            if not known.
        ceiling: the most that a detector should score where it is ignored, 0…1.
    """

    box: Box
    points: tuple[tuple[float, float], ...] | None
    ignore: bool = False
    ceiling: float = 1.0


@dataclass(frozen=True, slots=True)
class LabelledPicture:
    """One picture of the folder; `file` is its path relative to the folder."""

    file: str
    part: str
    faces: tuple[LabelledFace, ...]


def read_picture(path: Path) -> Picture:
    """Read a picture as uint8, height × width × 3, BGR.

    Raises:
        DataError: the file is missing or no picture.
    """
    try:
        data = np.frombuffer(path.read_bytes(), dtype=np.uint8)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if image is None:
        raise DataError(
            f"{path}: is not a picture that can be read; remove its rows from {LABELS} or repair it"
        )
    return np.asarray(image, dtype=np.uint8)


def write_labels(folder: Path, pictures: Iterable[LabelledPicture]) -> None:
    """Write `labels.csv` into ``folder``."""
    with (folder / LABELS).open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for picture in pictures:
            for face in picture.faces:
                table.writerow(
                    [picture.file, picture.part, int(face.ignore), _ceiling(face), *_numbers(face)]
                )
            if not picture.faces:
                table.writerow([picture.file, picture.part, 0, *[""] * (len(COLUMNS) - 3)])


def read_labels(folder: Path) -> list[LabelledPicture]:
    """Read and check `labels.csv` of ``folder``.

    The pictures come in the order of their first rows.

    Raises:
        DataError: the file is missing, has other columns, or a bad value (row and column are
            named).
    """
    path = folder / LABELS
    pictures: dict[str, LabelledPicture] = {}
    for number, row in _rows(path):
        place = f"{path}, row {number}"
        if row["part"] not in PARTS:
            raise DataError(
                f"{place}, column part: {row['part']!r} is not one of {', '.join(PARTS)}"
            )
        face = _face(row, place)
        known = pictures.get(row["file"], LabelledPicture(row["file"], row["part"], ()))
        if known.part != row["part"]:
            raise DataError(f"{place}, column part: {row['file']} is in {known.part} further up")
        pictures[row["file"]] = replace(known, faces=(*known.faces, *([face] if face else [])))
    if not pictures:
        raise DataError(f"{path}: has no rows; give at least one picture")
    return list(pictures.values())


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Rows with their line numbers, after a check of the header and of the number of values."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            table = csv.DictReader(file)
            missing = set(COLUMNS) - set(table.fieldnames or ())
            if missing:
                raise DataError(f"{path}: columns are missing: {', '.join(sorted(missing))}")
            for row in table:
                if any(row[name] is None for name in COLUMNS):
                    raise DataError(
                        f"{path}, row {table.line_num}: has fewer values than the header"
                    )
                yield table.line_num, row
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: is not a CSV file in UTF-8: {error}") from error


def _face(row: Mapping[str, str], place: str) -> LabelledFace | None:
    if not any(row[name] for name in BOX_COLUMNS):
        return None
    x, y, width, height = (_number(row, name, place) for name in BOX_COLUMNS)
    if width <= 0 or height <= 0:
        raise DataError(
            f"{place}, column width: a box needs a positive size, got {width} × {height}"
        )
    if row["ignore"] not in {"0", "1"}:
        raise DataError(f"{place}, column ignore: {row['ignore']!r} is neither 0 nor 1")
    points = None
    if any(row[name] for name in POINT_COLUMNS):
        flat = [_number(row, name, place) for name in POINT_COLUMNS]
        points = tuple(zip(flat[::2], flat[1::2], strict=True))
    ceiling = _number(row, "ceiling", place) if row["ceiling"] else 1.0
    if not 0 <= ceiling <= 1:
        raise DataError(f"{place}, column ceiling: {row['ceiling']!r} is not between 0 and 1")
    return LabelledFace(Box(x, y, width, height), points, row["ignore"] == "1", ceiling)


def _number(row: Mapping[str, str], name: str, place: str) -> float:
    try:
        value = float(row[name])
    except ValueError as error:
        raise DataError(f"{place}, column {name}: {row[name]!r} is not a number") from error
    if not math.isfinite(value):
        raise DataError(f"{place}, column {name}: {row[name]!r} is not a finite number")
    return value


def _ceiling(face: LabelledFace) -> str:
    if face.ignore and face.ceiling < 1:
        return f"{face.ceiling:.3f}"
    return ""


def _numbers(face: LabelledFace) -> list[str]:
    box = [f"{value:.2f}" for value in (face.box.x, face.box.y, face.box.width, face.box.height)]
    if face.points is None:
        return [*box, *[""] * len(POINT_COLUMNS)]
    return [*box, *(f"{value:.2f}" for point in face.points for value in point)]
