"""Cut the faces from which the network for movements learns, and what its teacher sees of them.

    python -m training.expression.movement_faces ARCHIVES --fer2013 FILE --out FOLDER

ARCHIVES is the folder with ``photos_80px.zip`` (``lfw_5590/`` and ``net_7876/``) and
``portraits.zip`` (``without_mask/``). The largest face of each photograph is cut as the agent cuts
it; around it lies the region for the teacher, in colour. FER2013's pictures are crops already. Each
person of LFW, and each other photograph, belongs to one part by a hash of the name; FER2013's
PublicTest is for the last judgement (``test``), and no picture of it is also learnt.

FOLDER gets ``faces.npz`` and ``regions.npz`` (1.4 GB). Then let the teacher answer
(``training/expression/movement_labels.py``).
"""

from __future__ import annotations

import argparse
import logging
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.core.expression import Box
from edge_agent.vision.align import crop_face, landmark_matrix
from edge_agent.vision.faces.detector import FaceDetector
from edge_agent.vision.models.card import find_model
from edge_agent.vision.models.model import load_model
from edge_agent.vision.movements import crop_angle
from edge_agent.vision.stills import SUFFIXES, load_picture
from training.data.datasets import EDGE, checksum_fraction, load_faces
from training.errors import DataError, write_arrays
from training.expression.movements import FILE, PARTS

log = logging.getLogger(__name__)

REGIONS = "regions.npz"
SOURCES = {
    "lfw": ("photos_80px.zip", "lfw_5590/"),
    "net": ("photos_80px.zip", "net_7876/"),
    "portraits": ("portraits.zip", "without_mask/"),
}
LEAST_PIXELS = 24.0
REGION = 192
"""Edge of what the teacher sees, pixels."""
_AROUND = 1.8
"""Edge of the region, in edges of the detector's box: the teacher finds a face with its head."""
VALID_SHARE = 0.05
TEST_SHARE = 0.15

Pixels = NDArray[np.uint8]


def part_of(name: str) -> int:
    """Return the part of a photograph, by a hash of its name without the number of the picture."""
    person = re.sub(r"_\d{4}(?=\.\w+$)", "", name)
    share = zlib.crc32(person.encode()) / 2**32
    if share < VALID_SHARE:
        return PARTS.index("valid")
    return PARTS.index("test" if share >= 1 - TEST_SHARE else "train")


def region(picture: Pixels, box: Box) -> Pixels:
    """Return the square around a face, uint8 192 × 192 × 3 (BGR); outside, the border repeats."""
    center_x, center_y = box.center
    half = max(box.width, box.height) * _AROUND / 2
    left, top = round(center_x - half), round(center_y - half)
    right, bottom = round(center_x + half), round(center_y + half)
    height, width = picture.shape[:2]
    border = max(0, -left, -top, right - width, bottom - height)
    padded = cv2.copyMakeBorder(picture, border, border, border, border, cv2.BORDER_REPLICATE)
    cut = padded[top + border : bottom + border, left + border : right + border]
    how = cv2.INTER_CUBIC if bottom - top < REGION else cv2.INTER_AREA
    return np.asarray(cv2.resize(cut, (REGION, REGION), interpolation=how), np.uint8)


def photographs(
    archive: Path, prefix: str, detector: FaceDetector
) -> Iterator[tuple[str, Pixels, Pixels, float]]:
    """Give name, crop, region and angle (degrees) of the largest face of each photograph."""
    with zipfile.ZipFile(archive) as packed:
        for name in sorted(packed.namelist()):
            if not name.startswith(prefix) or not name.lower().endswith(SUFFIXES):
                continue
            picture = load_picture(zipfile.Path(packed, name))
            faces = detector.detect(picture)
            if not faces:
                continue
            face = max(faces, key=lambda face: face.box.area)
            angle = crop_angle(landmark_matrix(face.landmarks))
            yield name, crop_face(picture, face, EDGE), region(picture, face.box), angle


def fer2013(table: Path, cache: Path) -> tuple[Pixels, NDArray[np.int8]]:
    """Return the pictures of FER2013 and their parts.

    A picture of Training that is also in PublicTest is left out.
    """
    faces = load_faces(table, cache=cache).without_blank()
    fraction = checksum_fraction(faces.pictures)
    training = faces.usage == 0
    part = np.where(training, PARTS.index("train"), PARTS.index("test")).astype(np.int8)
    part[training & (fraction < VALID_SHARE)] = PARTS.index("valid")
    kept = ~(training & np.isin(fraction, fraction[~training]))
    return faces.pictures[kept], part[kept]


def main() -> None:
    """Cut all faces and write them into a folder."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("archives", type=Path, help="folder with the archives")
    parser.add_argument("--fer2013", type=Path, required=True, help="table of FER2013")
    parser.add_argument("--out", type=Path, required=True, help="folder for the faces")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    cv2.setNumThreads(1)
    model = load_model(find_model("face-detector"), kind="face-detector")
    detector = FaceDetector(model, None, LEAST_PIXELS)
    crops: list[Pixels] = []
    regions: list[Pixels] = []
    names: list[str] = []
    angles: list[float] = []
    sources: list[str] = []
    for source, (archive, prefix) in SOURCES.items():
        for name, crop, around, angle in photographs(
            arguments.archives / archive, prefix, detector
        ):
            crops.append(crop)
            regions.append(around)
            names.append(name)
            angles.append(angle)
            sources.append(source)
        if source not in sources:
            raise DataError(f"{archive}: no face was found in {prefix}; is it the right archive?")
        log.info("%s: %d faces", source, sources.count(source))
    arguments.out.mkdir(parents=True, exist_ok=True)
    pictures, parts = fer2013(arguments.fer2013, arguments.out)
    none = np.zeros(len(pictures), np.float32)
    write_arrays(
        arguments.out / FILE,
        pixels=np.concatenate([np.stack(crops), pictures]),
        part=np.concatenate([np.array([part_of(name) for name in names], np.int8), parts]),
        source=np.array([*sources, *["fer2013"] * len(pictures)]),
        angle=np.concatenate([np.array(angles, np.float32), none]),
    )
    write_arrays(arguments.out / REGIONS, regions=np.stack(regions))
    log.info("%d faces in %s", len(crops) + len(pictures), arguments.out / FILE)


if __name__ == "__main__":
    main()
