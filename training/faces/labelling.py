"""Labels by people and teacher.

The folder form in which faces are given to the training of the detector.

A table `labels.csv` lies in the folder beside the pictures and has one row for each face::

    file,part,ignore,ceiling,x,y,width,height,right_eye_x,right_eye_y,left_eye_x,left_eye_y,
    nose_x,nose_y,right_mouth_x,right_mouth_y,left_mouth_x,left_mouth_y

`file` is relative to the folder; `part` is train, valid or test (the same in all rows of a
picture). Coordinates are pixels of the picture with 0, 0 at the outer corner of its first pixel;
eyes and mouth corners are the person's own right and left. Points may be left empty where they are
not known. `ignore` 1 marks a doubtful region: it need not be found, and it is no mistake to find
it, but a detector should not be surer of it than `ceiling` (0 to 1; left empty, there is no
limit). A picture without any face has one row whose box is empty.

Label the faces of photographs with YuNet, a larger detector, as the teacher of ours.

YuNet runs at three sizes of each picture and of its mirror image. Where the answers agree there
is a face, with the mean box and points of the answers; where only one answer names a face, or
all are unsure, the region is doubtful: neither a face nor background, but the student should not be
surer of it than the teacher is on average.

    python -m training.faces.labelling --detector YUNET.onnx --out FOLDER \
        ARCHIVE.zip:test=0.18,valid=0.07 …

Each archive is unpacked to a folder of its name in FOLDER, which gets a `labels.csv` (see
`training.faces.labelling`). An archive may bring its own `boxes.csv` (file, label, xmin,
ymin, xmax, ymax): heads that the teacher does not confirm are doubtful regions, in which the
student may be half sure of a face. It may bring points that people marked
(`training.faces.labelling`): they replace the teacher's where the two agree.
Pictures are divided into parts by a hash of their names, in the shares given behind the archive;
those that look nearly like one of the part `test` are left out of the others.

Points that people marked: if they roughly agree with the teacher's, they replace them.

On small photographs the teacher's five points deviate from people's by about a tenth of the eye
distance.

Leave out photographs that look like one that is kept for evaluation.

Web collections hold many copies.

Which photographs are kept from training: by a hash of their names, in given shares.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import logging
import math
import tomllib
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter, ValidationError, model_validator

from edge_agent.core.expression import Box
from training.errors import DataError, RecipeError
from training.faces.template import MIRROR
from training.learning.recipe import RecipeSection

log = logging.getLogger(__name__)

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
SIDE = 16
NEARLY = 40
"""Pictures whose hashes differ in at most this number of the 256 bits look alike."""
MARKED = "landmarks.csv"
"""Table of an archive: ``file``, and ``left_eye_x`` … for the points below, in pixels.

Left is the viewer's left.
"""
NAMES = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
AGREES = 0.25
"""Marked points are accepted if their mean distance from the teacher's is less, in eye
distances: some tables hold points that slipped by more than a whole one."""
SIZES = (160, 320, 640)
LARGEST_ENLARGEMENT = 4.0
LISTEN = 0.3
CONFIRM = 0.7
SAME_FACE = 0.45
POINTS_AGREE = 0.08
HEAD_CEILING = 0.5
"""Largest score of the student where people saw a head and the teacher confirms no face."""
SUFFIXES = {".jpg", ".jpeg", ".png"}


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
            # A picture without faces keeps a row, for it is learnt from too: nothing in it is a
            # face.
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
    """Yield rows with their line numbers, after a check of header and number of values."""
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
        # A row without a box stands for a picture without faces.
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
    # `_ceiling` leaves the cell empty where any score is allowed.
    ceiling = _number(row, "ceiling", place) if row["ceiling"] else 1.0
    if not 0 <= ceiling <= 1:
        raise DataError(f"{place}, column ceiling: {row['ceiling']!r} is not between 0 and 1")
    return LabelledFace(Box(x, y, width, height), points, row["ignore"] == "1", ceiling)


def _number(row: Mapping[str, str], name: str, place: str) -> float:
    try:
        value = float(row[name])
    except (TypeError, ValueError) as error:
        raise DataError(f"{place}, column {name}: {row[name]!r} is not a number") from error
    if not math.isfinite(value):
        raise DataError(f"{place}, column {name}: {row[name]!r} is not a finite number")
    return value


def _ceiling(face: LabelledFace) -> str:
    # The number says something of doubtful regions alone; a face's own row stays shorter without
    # it.
    if face.ignore and face.ceiling < 1:
        return f"{face.ceiling:.3f}"
    return ""


def _numbers(face: LabelledFace) -> list[str]:
    box = [f"{value:.2f}" for value in (face.box.x, face.box.y, face.box.width, face.box.height)]
    if face.points is None:
        return [*box, *[""] * len(POINT_COLUMNS)]
    return [*box, *(f"{value:.2f}" for point in face.points for value in point)]


def difference_hash(picture: Picture) -> NDArray[np.uint8]:
    """256 bits (as 32 bytes): whether a pixel is brighter than its left neighbour.

    The picture is first made gray and scaled to 17 × 16.
    """
    gray = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    small = np.asarray(cv2.resize(gray, (SIDE + 1, SIDE), interpolation=cv2.INTER_AREA))
    return np.packbits((small[:, 1:] > small[:, :-1]).ravel())


def without_copies(folder: Path, pictures: Sequence[LabelledPicture]) -> list[LabelledPicture]:
    """Return the pictures without those of other parts that look nearly like one of ``test``."""
    hashes = [difference_hash(read_picture(folder / picture.file)) for picture in pictures]
    kept_apart = np.array(
        [h for h, picture in zip(hashes, pictures, strict=True) if picture.part == "test"]
    )
    if len(kept_apart) == 0:
        return list(pictures)
    return [
        picture
        for h, picture in zip(hashes, pictures, strict=True)
        if picture.part == "test"
        # The set bits of the exclusive or are those that differ, here from each test picture.
        or int(np.unpackbits(kept_apart ^ h, axis=1).sum(axis=1).min()) > NEARLY
    ]


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
    """Return the mean distance of five points from marked ones in distances of the marked eyes.

    Infinite when the marked eyes coincide.
    """
    eyes = float(np.linalg.norm(marked[0] - marked[1]))
    if eyes > 0:
        return float(np.linalg.norm(points - marked, axis=1).mean()) / eyes
    return math.inf


def with_marked(faces: Sequence[LabelledFace], marked: Points | None) -> list[LabelledFace]:
    """Replace the points of the marked face by those marked by hand, if both agree."""
    if marked is None:
        return list(faces)
    return [_with_marked(face, marked) for face in faces]


def _with_marked(face: LabelledFace, marked: Points) -> LabelledFace:
    # A marked table names one face of a picture: it is the one whose points lie near.
    if face.points is None or face.ignore or deviation(np.array(face.points), marked) >= AGREES:
        return face
    return replace(face, points=tuple((float(x), float(y)) for x, y in marked))


def _points(row: Mapping[str, str], place: str) -> Points:
    names = (f"{name}_{axis}" for name in NAMES for axis in "xy")
    return np.array([_number(row, name, place) for name in names]).reshape(5, 2)


Share = Annotated[float, Field(ge=0, lt=1)]


class Shares(RecipeSection):
    """Shares of an archive that are kept from training: ``test`` and ``valid``.

    The part ``test`` is for the evaluation, ``valid`` for choices.
    """

    test: Share = 0.0
    valid: Share = 0.05

    @model_validator(mode="after")
    def _leaves_some(self) -> Shares:
        if self.test + self.valid >= 1:
            raise ValueError("leaves nothing to learn from; the shares must sum to less than 1")
        return self

    def part(self, name: str) -> str:
        """Return the part of a picture by the hash of its name, the same on every machine."""
        # Not the hash of Python, which another process would draw anew.
        place = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") / 2**32
        if place < self.test:
            return "test"
        if place < self.test + self.valid:
            return "valid"
        return "train"


def read_shares(recipe: Path) -> dict[str, Shares]:
    """``data.shares`` of a recipe: shares by name of the archive, without its ending.

    Raises:
        RecipeError: the file is missing, is not TOML, or has no usable ``data.shares``.
    """
    try:
        data = tomllib.loads(recipe.read_text(encoding="utf-8")).get("data", {})
        return TypeAdapter(dict[str, Shares]).validate_python(data["shares"])
    except OSError as error:
        raise RecipeError(f"{recipe}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{recipe}: is not a TOML file: {error}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise RecipeError(
            f"{recipe}: has no [data.shares], so it is unknown what was held out; add it"
        ) from error
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"]))
        raise RecipeError(f"{recipe}: data.shares.{place}: {fault['msg']}") from error


Answers = NDArray[np.float64]


class Teacher:
    """YuNet asked at one picture size after another.

    Args:
        weights: ONNX file of YuNet.
        listen: answers with a lower score are dropped.
    """

    def __init__(self, weights: Path, listen: float = LISTEN) -> None:
        if not weights.is_file():
            raise DataError(
                f"{weights}: does not exist; give the ONNX file of YuNet with --detector"
            )
        try:
            self._detector = cv2.FaceDetectorYN.create(str(weights), "", (320, 320), listen)
        except cv2.error as error:
            raise DataError(
                f"{weights}: is not YuNet's ONNX file, or is damaged; fetch it again"
            ) from error

    def ask(self, image: Picture, scale: float) -> Answers:
        """Return faces in ``image`` scaled by ``scale``: n × 15 (box 4, points 10, score).

        Coordinates are pixels of ``image``.
        """
        height, width = image.shape[:2]
        # OpenCV takes no picture without pixels.
        size = (max(round(width * scale), 1), max(round(height * scale), 1))
        interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        self._detector.setInputSize(size)
        _, rows = self._detector.detect(cv2.resize(image, size, interpolation=interpolation))
        if rows is None:
            answers = np.zeros((0, 15))
        else:
            answers = np.asarray(rows, dtype=np.float64)
        # Back by the true ratio of the sizes, which rounding makes a little different across and
        # down.
        answers[:, 0:14:2] *= width / size[0]
        answers[:, 1:14:2] *= height / size[1]
        return answers

    def ask_mirrored(self, image: Picture, scale: float) -> Answers:
        """Ask about the mirrored picture; return answers in pixels and sides of ``image``."""
        # OpenCV needs one block of memory, and a mirrored view is none.
        return mirror_back(self.ask(np.ascontiguousarray(image[:, ::-1]), scale), image.shape[1])

    def label(self, image: Picture) -> list[LabelledFace]:
        """Return faces and doubtful regions of ``image``."""
        longest = max(image.shape[:2])
        # A set: small pictures reach the largest enlargement at several of the sizes.
        scales = sorted({min(size / longest, LARGEST_ENLARGEMENT) for size in SIZES})
        answers = [ask(image, scale) for scale in scales for ask in (self.ask, self.ask_mirrored)]
        return agree(answers)


def mirror_back(answers: Answers, width: int) -> Answers:
    """Answers about a mirrored picture of ``width`` pixels as answers about the picture."""
    result = answers.copy()
    result[:, 0] = width - answers[:, 0] - answers[:, 2]
    # The left eye of a mirrored face is the right one of the face: the points change places too.
    points = answers[:, 4:14].reshape(-1, 5, 2)[:, MIRROR]
    points[:, :, 0] = width - points[:, :, 0]
    result[:, 4:14] = points.reshape(-1, 10)
    return result


def agree(answers: Sequence[Answers]) -> list[LabelledFace]:
    """Join the answers of several askings into faces and doubtful regions.

    Answers that overlap are one group, the surest answer first. A group is a face when at least two
    askings name it with a score of `CONFIRM` or more; otherwise it is a doubtful region, and its
    ceiling is the mean score over all askings, 0 where it was not named.
    """
    # The last column says which asking an answer came from.
    rows = np.concatenate([np.column_stack([a, np.full(len(a), i)]) for i, a in enumerate(answers)])
    rows = rows[rows[:, 14].argsort()[::-1]]
    faces: list[LabelledFace] = []
    while len(rows):
        same = overlaps(rows[0], rows) > SAME_FACE
        # A box without area does not even overlap itself and would be compared for ever.
        same[0] = True
        faces.append(_join(rows[same], len(answers)))
        rows = rows[~same]
    return faces


def overlaps(box: NDArray[np.float64], boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of one box with n boxes, rows that begin with x, y, width, height."""
    low = np.maximum(box[:2], boxes[:, :2])
    high = np.minimum(box[:2] + box[2:4], boxes[:, :2] + boxes[:, 2:4])
    shared = np.clip(high - low, 0, None).prod(axis=1)
    union = box[2] * box[3] + boxes[:, 2] * boxes[:, 3] - shared
    return np.asarray(shared / np.maximum(union, 1e-9))


def _join(group: NDArray[np.float64], askings: int) -> LabelledFace:
    # Two sure answers of one asking are one witness: the askings are counted, not the answers.
    sure = group[group[:, 14] >= CONFIRM]
    if len(set(sure[:, 15])) < 2:
        best = sum(group[group[:, 15] == asking, 14].max() for asking in set(group[:, 15]))
        return LabelledFace(
            _box(group[:, :4].mean(axis=0)), None, ignore=True, ceiling=float(best) / askings
        )
    weights = sure[:, 14]
    box = np.average(sure[:, :4], axis=0, weights=weights)
    points = np.average(sure[:, 4:14], axis=0, weights=weights)
    # Where the askings place the points differently, no points are better than wrong ones.
    spread = np.abs(sure[:, 4:14] - points).mean() / np.sqrt(box[2] * box[3])
    known = (
        None
        if spread > POINTS_AGREE
        else tuple((float(x), float(y)) for x, y in points.reshape(5, 2))
    )
    return LabelledFace(_box(box), known)


def _box(values: NDArray[np.float64]) -> Box:
    x, y, width, height = (float(value) for value in values)
    return Box(x, y, width, height)


def parse_archive(text: str) -> tuple[Path, Shares]:
    """``ARCHIVE.zip:test=0.18,valid=0.07``; a share that is not named keeps its default.

    Raises:
        argparse.ArgumentTypeError: something else stands behind the colon.
    """
    path, _, rest = text.partition(".zip:")
    if not rest:
        return Path(text), Shares()
    pairs = [part.partition("=") for part in rest.split(",")]
    try:
        # `Path` would take the colon as part of the name.
        return Path(f"{path}.zip"), Shares.model_validate(
            {name: float(share) for name, _, share in pairs}
        )
    except ValidationError as error:
        raise argparse.ArgumentTypeError(
            f"{rest!r}: {error.errors()[0]['msg']}; say such as test=0.18,valid=0.07"
        ) from error
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{rest!r} is not such as test=0.18,valid=0.07") from error


def label_archive(
    teacher: Teacher, archive: Path, out: Path, shares: Shares
) -> list[LabelledPicture]:
    """Unpack the pictures of ``archive`` into ``out`` and label them."""
    folder = out / archive.stem
    try:
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(folder)
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{archive}: is not a zip archive that can be read: {error}") from error
    heads = _heads(folder / "boxes.csv")
    marked = read_marked(folder / MARKED)
    pictures = []
    # Sorted, so that the table is the same on every machine: file systems list in their own order.
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES):
        name = path.relative_to(folder).as_posix()
        faces = with_marked(teacher.label(read_picture(path)), marked.get(name))
        faces = with_heads(faces, heads.get(name, []))
        pictures.append(LabelledPicture(f"{archive.stem}/{name}", shares.part(name), tuple(faces)))
        if len(pictures) % 500 == 0:
            log.info("%s: %d pictures labelled", archive.name, len(pictures))
    return pictures


def with_heads(faces: Sequence[LabelledFace], heads: Sequence[LabelledFace]) -> list[LabelledFace]:
    """Return ``faces``, and the heads that lie on no confirmed face.

    These heads take the place of doubtful regions.
    """
    # A head that people saw and the teacher confirmed is a face already.
    new = [h for h in heads if all(f.ignore or h.box.overlap(f.box) < SAME_FACE for f in faces)]
    return [
        f for f in faces if not f.ignore or all(h.box.overlap(f.box) < SAME_FACE for h in new)
    ] + new


def _heads(path: Path) -> dict[str, list[LabelledFace]]:
    """Doubtful regions from an archive's own boxes."""
    heads: dict[str, list[LabelledFace]] = {}
    if not path.exists():
        return heads
    for row in csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))):
        left, top, right, bottom = (float(row[name]) for name in ("xmin", "ymin", "xmax", "ymax"))
        if right > left and bottom > top:
            box = Box(left, top, right - left, bottom - top)
            head = LabelledFace(box, None, ignore=True, ceiling=HEAD_CEILING)
            heads.setdefault(row["file"], []).append(head)
    return heads


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "archives",
        type=parse_archive,
        nargs="+",
        help="zip archives, each with the shares kept back",
    )
    parser.add_argument("--detector", type=Path, required=True, help="YuNet ONNX file")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder to unpack into and to label"
    )
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    teacher = Teacher(arguments.detector)
    pictures = [
        picture
        for archive, shares in arguments.archives
        for picture in label_archive(teacher, archive, arguments.out, shares)
    ]
    pictures = without_copies(arguments.out, pictures)
    write_labels(arguments.out, pictures)
    log.info(
        "%d pictures, %d faces", len(pictures), sum(not f.ignore for p in pictures for f in p.faces)
    )


if __name__ == "__main__":
    main()
