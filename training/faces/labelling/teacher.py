"""Label the faces of photographs with YuNet, a larger detector, as the teacher of ours.

YuNet runs at three sizes of each picture and of its mirror image. Where the answers agree there
is a face, with the mean box and points of the answers; where only one answer names a face, or
all are unsure, the region is doubtful: neither a face nor background, but the student should not be
surer of it than the teacher is on average.

    python -m training.faces.labelling.teacher --detector YUNET.onnx --out FOLDER \\
        ARCHIVE.zip:test=0.18,valid=0.07 …

Each archive is unpacked to a folder of its name in FOLDER, which gets a `labels.csv` (see
`training.faces.labelling.labels`). An archive may bring its own `boxes.csv` (file, label, xmin,
ymin, xmax, ymax): heads that the teacher does not confirm are doubtful regions, in which the
student may be half sure of a face. It may bring points that people marked
(`training.faces.labelling.marked`): they replace the teacher's where the two agree.
Pictures are divided into parts by a hash of their names, in the shares given behind the archive;
those that look nearly like one of the part `test` are left out of the others.
"""

from __future__ import annotations

import argparse
import csv
import io
import logging
import zipfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from edge_agent.core.expression import Box
from training.errors import DataError
from training.faces.labelling.copies import without_copies
from training.faces.labelling.labels import (
    LabelledFace,
    LabelledPicture,
    Picture,
    read_picture,
    write_labels,
)
from training.faces.labelling.marked import MARKED, read_marked, with_marked
from training.faces.labelling.measure_template import MIRROR
from training.faces.labelling.split import Shares

log = logging.getLogger(__name__)

SIZES = (160, 320, 640)
LARGEST_ENLARGEMENT = 4.0
LISTEN = 0.3
CONFIRM = 0.7
SAME_FACE = 0.45
POINTS_AGREE = 0.08
HEAD_CEILING = 0.5
"""How sure of a face the student may be where people saw a head and the teacher confirms none."""
SUFFIXES = {".jpg", ".jpeg", ".png"}

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
        """Faces in ``image`` scaled by ``scale``: n × 15 (box 4, points 10, score).

        Coordinates are pixels of ``image``.
        """
        height, width = image.shape[:2]
        size = (max(round(width * scale), 1), max(round(height * scale), 1))
        interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        self._detector.setInputSize(size)
        _, rows = self._detector.detect(cv2.resize(image, size, interpolation=interpolation))
        if rows is None:
            answers = np.zeros((0, 15))
        else:
            answers = np.asarray(rows, dtype=np.float64)
        answers[:, 0:14:2] *= width / size[0]
        answers[:, 1:14:2] *= height / size[1]
        return answers

    def ask_mirrored(self, image: Picture, scale: float) -> Answers:
        """The same of the mirrored picture, told back in pixels and sides of ``image``."""
        return mirrored(self.ask(np.ascontiguousarray(image[:, ::-1]), scale), image.shape[1])

    def label(self, image: Picture) -> list[LabelledFace]:
        """Faces and doubtful regions of ``image``."""
        longest = max(image.shape[:2])
        scales = sorted({min(size / longest, LARGEST_ENLARGEMENT) for size in SIZES})
        answers = [ask(image, scale) for scale in scales for ask in (self.ask, self.ask_mirrored)]
        return agree(answers)


def mirrored(answers: Answers, width: int) -> Answers:
    """Answers about a mirrored picture of ``width`` pixels as answers about the picture."""
    result = answers.copy()
    result[:, 0] = width - answers[:, 0] - answers[:, 2]
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
    rows = np.concatenate([np.column_stack([a, np.full(len(a), i)]) for i, a in enumerate(answers)])
    rows = rows[rows[:, 14].argsort()[::-1]]
    faces: list[LabelledFace] = []
    while len(rows):
        same = overlaps(rows[0], rows) > SAME_FACE
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
    sure = group[group[:, 14] >= CONFIRM]
    if len(set(sure[:, 15])) < 2:
        best = sum(group[group[:, 15] == asking, 14].max() for asking in set(group[:, 15]))
        return LabelledFace(
            _box(group[:, :4].mean(axis=0)), None, ignore=True, ceiling=float(best) / askings
        )
    weights = sure[:, 14]
    box = np.average(sure[:, :4], axis=0, weights=weights)
    points = np.average(sure[:, 4:14], axis=0, weights=weights)
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
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES):
        name = path.relative_to(folder).as_posix()
        faces = with_marked(teacher.label(read_picture(path)), marked.get(name))
        faces = with_heads(faces, heads.get(name, []))
        pictures.append(LabelledPicture(f"{archive.stem}/{name}", shares.part(name), tuple(faces)))
        if len(pictures) % 500 == 0:
            log.info("%s: %d pictures labelled", archive.name, len(pictures))
    return pictures


def with_heads(faces: Sequence[LabelledFace], heads: Sequence[LabelledFace]) -> list[LabelledFace]:
    """``faces``, and those heads that are none of the confirmed ones.

    They take the place of doubtful regions.
    """
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
