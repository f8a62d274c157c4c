"""Photographs with one label each, and photographs with the boxes of their faces.

Labelled ones lie in a zip archive that is read in place, or in a folder. Among them lies
`labels.csv`, one row a photograph::

    file,emotion
    00000.jpg,anger

`file` is the place in the archive or folder; `emotion` is one of the eight categories, also by
its name in FER2013 (`happy`). Further
columns are ignored. Everything but the pixels is checked before the first photograph is read; a
fault names file, row, value and cure.

Those with boxes are written into the folders that trainers of YOLO read::

    images/train/ANNA.jpg     the photograph, without what a camera wrote beside its pixels
    labels/train/ANNA.txt     a line for each face: class, middle x, middle y, width, height
    images/val/ … labels/val/ …
    data.yaml                 where they lie, and the one class

Coordinates are shares of the photograph's width and height. One photograph in five is for
validation, as its own checksum decides. A photograph in which no face was found is left out: a face
that the detector missed would be learnt as background.
"""

from __future__ import annotations

import csv
import io
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path

import cv2

from edge_agent.core.expression import Box
from edge_agent.vision.align import Picture as Pixels
from edge_agent.vision.stills import Picture, load_picture
from training.data.datasets import EXPRESSIONS, category_named
from training.data.readings import AgreedPhotographs
from training.errors import DataError, write_whole

LABELS = "labels.csv"
COLUMNS = ("file", "emotion")
_CURE = (
    f"add a table with the columns {', '.join(COLUMNS)} and a row for each photograph, or "
    "name one with --labels"
)
FACE = 0
"""The one class."""
DATA = "data.yaml"
_VALIDATION = 5
_QUALITY = 95


@dataclass(frozen=True, slots=True)
class LabelledPhotograph:
    """One photograph in memory.

    Attributes:
        file: its name in the archive or folder.
        label: index into ``EXPRESSIONS``.
        image: uint8, height × width × 3, BGR.
    """

    file: str
    label: int
    image: Picture


class LabelledPhotographs:
    """Reads photographs one by one, in the order of their labels.

    May be read through again and again.

    Args:
        source: a zip archive, or a folder.
        labels: the table, if it is not the `labels.csv` in ``source``.
        agreement: the labels themselves, which then come from no table.

    Attributes:
        source: as given.
        files: names of the photographs.
        labels: index of each one's category in ``EXPRESSIONS``.

    Raises:
        DataError: ``source`` or the table cannot be used, or the table names a photograph that is
            not there.
    """

    def __init__(
        self, source: Path, labels: Path | None = None, agreement: AgreedPhotographs | None = None
    ) -> None:
        self.source = source
        with _open_place(source) as place:
            if agreement is None:
                name, label_of = _read_labels(source, place, labels)
            else:
                name, label_of = "the readings", dict(agreement.labels)
            # Before anything is learnt or measured, so that a name is not missed after an hour.
            for row, file in enumerate(label_of, start=2):
                if not place.joinpath(file).is_file():
                    raise DataError(
                        f"{name}: row {row}, column file: {file!r} is not in {source}; add it or "
                        "drop the row"
                    )
        self.files = tuple(label_of)
        self.labels = tuple(label_of.values())

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[LabelledPhotograph]:
        """Read the photographs.

        Raises:
            DataError: one of them is damaged or no picture.
        """
        with _open_place(self.source) as place:
            for file, label in zip(self.files, self.labels, strict=True):
                yield LabelledPhotograph(file, label, _picture(place.joinpath(file)))


@contextmanager
def _open_place(source: Path) -> Iterator[Traversable]:
    """Yield the place in which the names of the table are looked up."""
    if source.is_dir():
        yield source
        return
    if not source.exists():
        raise DataError(
            f"{source}: does not exist; give a zip archive or a folder of photographs with {LABELS}"
        )
    try:
        archive = zipfile.ZipFile(source)
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{source}: is not a zip archive that can be read ({error}); pack it again, or give "
            "the folder"
        ) from error
    with archive:
        yield zipfile.Path(archive)


def _read_labels(
    source: Path, place: Traversable, labels: Path | None
) -> tuple[str, dict[str, int]]:
    """Return the name of the table, and file → index of its category."""
    table = place.joinpath(LABELS) if labels is None else labels
    if labels is None and not table.is_file():
        raise DataError(f"{source}: holds no {LABELS}; {_CURE}")
    name = f"{source}, {LABELS}" if labels is None else str(labels)
    return name, _labels(_content(table, name), name)


def _content(file: Traversable, name: str) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError as error:
        raise DataError(
            f"{name}: is not there; give the path of the table from the folder in which you are "
            f"({Path.cwd()})"
        ) from error
    except (OSError, zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError) as error:
        # as zipfile fails
        raise DataError(
            f"{name}: cannot be read ({error}); put it there again, without a password"
        ) from error


def _labels(content: bytes, name: str) -> dict[str, int]:
    """File → index of its category, in the order of the rows."""
    try:
        # With or without the mark that spreadsheets write at the beginning.
        rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{name}: is not a CSV table in UTF-8 ({error}); save it as one") from error
    header = [column.strip() for column in rows[0]] if rows else []
    missing = [column for column in COLUMNS if column not in header]
    if missing:
        raise DataError(
            f"{name}: row 1: column {missing[0]} is missing; expected {', '.join(COLUMNS)}"
        )
    label_of: dict[str, int] = {}
    for row, cells in enumerate(rows[1:], start=2):
        if len(cells) != len(header):
            raise DataError(
                f"{name}: row {row}: holds {len(cells)} values where the header names {len(header)}"
            )
        file, emotion = (cells[header.index(column)].strip() for column in COLUMNS)
        if file in label_of or not file:
            if file:
                why = "has a row further up; keep one of them"
            else:
                why = "is empty; name the photograph"
            raise DataError(f"{name}: row {row}, column file: {file!r} {why}")
        category = category_named(emotion)
        if category is None:
            known = ", ".join(EXPRESSIONS)
            raise DataError(
                f"{name}: row {row}, column emotion: {emotion[:40]!r} is not one of {known}"
            )
        label_of[file] = EXPRESSIONS.index(category)
    if not label_of:
        raise DataError(f"{name}: holds only a header; {_CURE}")
    return label_of


def _picture(file: Traversable) -> Picture:
    try:
        return load_picture(file)
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError) as error:
        # as zipfile fails
        raise DataError(
            f"{file}: cannot be unpacked ({error}); pack the archive again, without a password"
        ) from error


def box_line(box: Box, width: int, height: int) -> str:
    """Return a face as YOLO takes it; what lies outside of the photograph is cut off."""
    left = min(max(box.x, 0.0), width)
    top = min(max(box.y, 0.0), height)
    right = min(max(box.x + box.width, 0.0), width)
    bottom = min(max(box.y + box.height, 0.0), height)
    values = (
        (left + right) / 2 / width,
        (top + bottom) / 2 / height,
        (right - left) / width,
        (bottom - top) / height,
    )
    return " ".join([str(FACE), *(f"{value:.6f}" for value in values)])


class DetectionSet:
    """Writes a folder for YOLO, a photograph at a time.

    Args:
        folder: new or empty.

    Example::

        written = DetectionSet(Path("faces-yolo"))
        written.add("happiness-anna", image, [face.box for face in faces])
        written.finish()
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.photographs = 0
        self.faces = 0

    def add(self, name: str, image: Pixels, boxes: Sequence[Box]) -> None:
        """Write a photograph, uint8 BGR or gray, and its boxes; without a box nothing.

        Raises:
            DataError: it cannot be written.
        """
        if not boxes:
            return
        height, width = image.shape[:2]
        part = "train"
        # By the picture itself: the same one always lies in the same part.
        if zlib.crc32(image.tobytes()) % _VALIDATION == 0:
            part = "val"
        lines = [box_line(box, width, height) for box in boxes]
        encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1]
        write_whole(self._folder / "images" / part / f"{name}.jpg", encoded.tobytes())
        label = ("\n".join(lines) + "\n").encode()
        write_whole(self._folder / "labels" / part / f"{name}.txt", label)
        self.photographs += 1
        self.faces += len(boxes)

    def finish(self) -> str:
        """Write ``data.yaml``, and return a sentence about what the folder holds.

        Raises:
            DataError: it cannot be written.
        """
        # A folder must be there, though few photographs may all fall to the other.
        for part in ("train", "val"):
            (self._folder / "images" / part).mkdir(parents=True, exist_ok=True)
        text = "path: .\ntrain: images/train\nval: images/val\nnames:\n  0: face\n"
        write_whole(self._folder / DATA, text.encode())
        return f"{self._folder}: {self.faces} boxes in {self.photographs} photographs"
