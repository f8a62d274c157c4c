"""Cut the faces of photographs with and without masks as the agent does, for the cover network.

    python -m training.covers.crops ARCHIVES --fer2013 FILE --out FOLDER

ARCHIVES is the folder with ``portraits.zip`` (photographs in ``with_mask/`` and ``without_mask/``)
and ``scenes.zip`` (``boxes.csv`` with such labels). Each photograph belongs to one part by a hash
of its name, in the shares that the recipe of the face detector holds out: what that detector did
not see is not seen here either. FER2013's Training pictures are crops already; one in twenty is for
choices (``valid``), and PublicTest is for the last judgement (``test``).
"""

from __future__ import annotations

import argparse
import csv
import io
import logging
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.core.expression import Box, Face
from edge_agent.vision.align import crop_face
from edge_agent.vision.faces.detector import FaceDetector
from edge_agent.vision.models.card import find_model
from edge_agent.vision.models.model import load_model
from edge_agent.vision.stills.pictures import SUFFIXES, load_picture
from training.data.datasets import EDGE, checksum_fraction, load_faces
from training.errors import DataError
from training.faces.labelling.copies import NEARLY, difference_hash
from training.faces.labelling.split import Shares, read_shares

log = logging.getLogger(__name__)

RECIPE = Path(__file__).parents[1] / "recipes" / "face-detector.toml"
FILE = "crops.npz"
PARTS = ("train", "valid", "test")
MASKED = {"with_mask": 1, "without_mask": 0}
UNKNOWN = -1
SCORE = 0.4
"""Least score of a face: below what the agent asks for, for masked faces are often doubtful."""
LEAST_PIXELS = 20.0
SAME_FACE = 0.4
"""Least intersection over union of a face with a labelled box."""
VALID_SHARE = 0.05

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Crops:
    """Faces as the expression models see them.

    Attributes:
        pixels: uint8, N × 48 × 48, gray.
        masked: int8, N: 1 with a mask, 0 without.
        part: int8, N: index into ``PARTS``.
        source: text, N: ``portraits``, ``scenes`` or ``fer2013``.
    """

    pixels: Pixels
    masked: NDArray[np.int8]
    part: NDArray[np.int8]
    source: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.pixels)

    def take(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> Crops:
        """Return the faces at a mask or at indices."""
        return Crops(
            self.pixels[chosen], self.masked[chosen], self.part[chosen], self.source[chosen]
        )

    def of_part(self, part: str) -> Crops:
        """Return the faces of one part."""
        return self.take(self.part == PARTS.index(part))

    @classmethod
    def joined(cls, pieces: Sequence[Crops]) -> Crops:
        """Return all faces of several pieces."""
        return cls(
            np.concatenate([piece.pixels for piece in pieces]),
            np.concatenate([piece.masked for piece in pieces]),
            np.concatenate([piece.part for piece in pieces]),
            np.concatenate([piece.source for piece in pieces]),
        )


def load_crops(folder: Path) -> Crops:
    """Read what `main` wrote.

    Raises:
        DataError: the file is missing or is none of that form.
    """
    path = folder / FILE
    try:
        with np.load(path) as arrays:
            return Crops(arrays["pixels"], arrays["masked"], arrays["part"], arrays["source"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path}: holds no crops that can be read ({error}); cut them with: python -m "
            "training.covers.crops ARCHIVES --fer2013 FILE --out FOLDER"
        ) from error


def save_crops(folder: Path, crops: Crops) -> None:
    """Write crops where `load_crops` reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(
        folder / FILE,
        pixels=crops.pixels,
        masked=crops.masked,
        part=crops.part,
        source=crops.source,
    )


def portraits(archive: Path, shares: Shares, detector: FaceDetector) -> Crops:
    """Return the largest face of each photograph, labelled by its folder."""
    rows: list[tuple[Pixels, int, str]] = []
    with zipfile.ZipFile(archive) as packed:
        for name in sorted(packed.namelist()):
            label = name.partition("/")[0]
            if label not in MASKED or not name.lower().endswith(SUFFIXES):
                continue
            picture = load_picture(zipfile.Path(packed, name))
            faces = detector.detect(picture)
            if faces:
                face = max(faces, key=lambda face: face.box.area)
                rows.append((crop_face(picture, face, EDGE), MASKED[label], shares.part(name)))
    return _crops(rows, "portraits")


def scenes(archive: Path, shares: Shares, detector: FaceDetector) -> Crops:
    """Return the faces that lie on a labelled box, labelled by it."""
    rows: list[tuple[Pixels, int, str]] = []
    with zipfile.ZipFile(archive) as packed:
        boxes = _boxes(packed.read("boxes.csv").decode())
        for name, labelled in sorted(boxes.items()):
            picture = load_picture(zipfile.Path(packed, name))
            for face, masked in _matched(detector.detect(picture), labelled):
                rows.append((crop_face(picture, face, EDGE), masked, shares.part(name)))
    return _crops(rows, "scenes")


def fer2013(table: Path, cache: Path) -> Crops:
    """Return the pictures of FER2013: faces without a mask."""
    faces = load_faces(table, cache=cache).without_blank()
    part = np.full(len(faces), PARTS.index("test"), dtype=np.int8)
    training = faces.usage == 0
    part[training] = PARTS.index("train")
    part[training & (checksum_fraction(faces.pictures) < VALID_SHARE)] = PARTS.index("valid")
    none = np.zeros(len(faces), dtype=np.int8)
    return Crops(faces.pictures, none, part, np.full(len(faces), "fer2013"))


def without_copies(photographs: Crops) -> Crops:
    """Return the faces without those that look nearly like one of a part that is kept longer.

    Web collections hold many copies: nothing that is learned from, or chosen by, may be in the part
    ``test`` as well.
    """
    hashes = [
        difference_hash(np.asarray(cv2.cvtColor(crop, cv2.COLOR_GRAY2BGR), np.uint8))
        for crop in photographs.pixels
    ]
    kept: list[int] = []
    for part in reversed(range(len(PARTS))):
        apart = np.array([hashes[number] for number in kept], dtype=np.uint8).reshape(-1, 32)
        kept += [
            int(number)
            for number in np.flatnonzero(photographs.part == part)
            if _differences(apart, hashes[number]).min(initial=NEARLY + 1) > NEARLY
        ]
    return photographs.take(np.array(sorted(kept), dtype=np.intp))


def _differences(hashes: Pixels, of: Pixels) -> NDArray[np.intp]:
    """Return in how many bits each hash differs from one."""
    return np.asarray(np.unpackbits(hashes ^ of, axis=1).sum(axis=1), dtype=np.intp)


def _crops(rows: Sequence[tuple[Pixels, int, str]], source: str) -> Crops:
    if not rows:
        raise DataError(f"{source}: no face was found; are these the right photographs?")
    pixels, masked, parts = zip(*rows, strict=True)
    return Crops(
        np.stack(pixels),
        np.array(masked, dtype=np.int8),
        np.array([PARTS.index(part) for part in parts], dtype=np.int8),
        np.full(len(rows), source),
    )


def _boxes(table: str) -> dict[str, list[tuple[Box, int]]]:
    """Return the boxes of faces with a known label by photograph."""
    boxes: dict[str, list[tuple[Box, int]]] = {}
    for row in csv.DictReader(io.StringIO(table)):
        left, top, right, bottom = (float(row[key]) for key in ("xmin", "ymin", "xmax", "ymax"))
        if row["label"] in MASKED and right > left and bottom > top:
            box = Box(left, top, right - left, bottom - top)
            boxes.setdefault(row["file"], []).append((box, MASKED[row["label"]]))
    return boxes


def _matched(
    faces: Sequence[Face], labelled: Sequence[tuple[Box, int]]
) -> Iterator[tuple[Face, int]]:
    for face in faces:
        box, masked = max(labelled, key=lambda entry: face.box.overlap(entry[0]))
        if face.box.overlap(box) >= SAME_FACE:
            yield face, masked


def main() -> None:
    """Cut all faces and write them into a folder."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("archives", type=Path, help="folder with portraits.zip and scenes.zip")
    parser.add_argument("--fer2013", type=Path, required=True, help="table of FER2013")
    parser.add_argument("--out", type=Path, required=True, help="folder for the crops")
    parser.add_argument("--recipe", type=Path, default=RECIPE, help="says what is held out")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    cv2.setNumThreads(1)
    model = load_model(find_model("face-detector"), kind="face-detector")
    detector = FaceDetector(model, SCORE, LEAST_PIXELS, max_faces=1000)
    shares = read_shares(arguments.recipe)
    pieces = []
    for name, cutter in (("portraits", portraits), ("scenes", scenes)):
        pieces.append(cutter(arguments.archives / f"{name}.zip", shares[name], detector))
        log.info("%s: %d faces", name, len(pieces[-1]))
        save_crops(arguments.out, Crops.joined(pieces))
    apart = without_copies(Crops.joined(pieces))
    log.info("%d of them are copies", sum(map(len, pieces)) - len(apart))
    pieces = [apart]
    pieces.append(fer2013(arguments.fer2013, arguments.out))
    save_crops(arguments.out, Crops.joined(pieces))
    log.info("%d faces in %s", sum(map(len, pieces)), arguments.out / FILE)


if __name__ == "__main__":
    main()
