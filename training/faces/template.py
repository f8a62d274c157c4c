"""Measure where the eyes, nose and mouth lie in the FER2013 training faces.

`edge_agent.vision.align` crops a face so that its landmarks fall where they fall in the pictures
that the expression models learned from. This script finds that place: the agent's own detector
looks for the face in every FER2013 Training picture (enlarged four times, its edge repeated around
it), and the median of each point and of the box over all pictures in which it finds one is the
template: each detector has habits of its own. It is averaged with its mirror image, because
training mirrors half of the pictures.

    python -m training.faces.template --data fer2013.csv.xz [--detector
    face-detector]
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import lzma
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TextIO

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.config.vision import VisionSettings
from edge_agent.vision.faces.finder import FaceFinder, open_finder

SIDE = 48
ENLARGE = 4
BORDER = 48
"""Pixels around the enlarged picture: a face that fills all of a picture is unlike those that
detectors know.
"""
MIRROR = [1, 0, 2, 4, 3]
"""Landmark i of a mirrored face is landmark MIRROR[i] of the face itself."""


def open_text(path: Path) -> AbstractContextManager[TextIO]:
    """Open a plain, .gz or .xz text file for reading."""
    if path.suffix == ".xz":
        return lzma.open(path, "rt", newline="")
    if path.suffix == ".gz":
        return gzip.open(path, "rt", newline="")
    return path.open(newline="")


def training_faces(path: Path) -> Iterator[NDArray[np.uint8]]:
    """Yield the 48×48 gray Training pictures of a FER2013 CSV file (`emotion,pixels,Usage`)."""
    with open_text(path) as file:
        for row in csv.DictReader(file):
            if row["Usage"] == "Training":
                yield np.array(row["pixels"].split(), dtype=np.uint8).reshape(SIDE, SIDE)


def locate(detector: FaceFinder, face: NDArray[np.uint8]) -> NDArray[np.float64] | None:
    """Box and five points as seven rows of two numbers in the unit square, or None if unsure.

    The box is x, y, width, height.
    """
    side = SIDE * ENLARGE
    large = cv2.resize(face, (side, side), interpolation=cv2.INTER_CUBIC)
    framed = cv2.copyMakeBorder(large, BORDER, BORDER, BORDER, BORDER, cv2.BORDER_REPLICATE)
    faces = detector.detect(np.asarray(framed, dtype=np.uint8))
    if not faces:
        return None
    # The surest alone: a cut-out picture shows one face.
    box = faces[0].box
    points = np.array(faces[0].landmarks, dtype=np.float64)
    corner = (box.x - BORDER, box.y - BORDER), (box.width, box.height)
    return np.concatenate([np.array(corner), points - BORDER]) / side


def symmetric(
    points: NDArray[np.float64], box: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Average five points (5×2) and a box (x, y, w, h) with their mirror images."""
    # x is mirrored about the middle, 1 − x; points change places as the sides do.
    mirrored = points[MIRROR] * (-1.0, 1.0) + (1.0, 0.0)
    return (points + mirrored) / 2.0, np.array([0.5 - box[2] / 2.0, box[1], box[2], box[3]])


def measure(data: Path, detector: FaceFinder) -> dict[str, object]:
    """Medians over the faces that the detector finds."""
    places: list[NDArray[np.float64]] = []
    pictures = 0
    for face in training_faces(data):
        pictures += 1
        located = locate(detector, face)
        if located is not None:
            places.append(located)
    if not places:
        raise SystemExit(
            f"{data}: no face found in {pictures} Training pictures; is this the FER2013 CSV file?"
        )
    # The median: a few faces that are found wrongly must not move the template.
    median: NDArray[np.float64] = np.median(np.stack(places), axis=0)
    points, box = symmetric(median[2:], median[:2].reshape(4))
    return {
        "pictures": pictures,
        "found": len(places),
        "points": np.round(points, 4).tolist(),
        "box": np.round(box, 4).tolist(),
        "points_before_mirroring": np.round(median[2:], 4).tolist(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="FER2013 CSV file, plain, .gz or .xz"
    )
    parser.add_argument(
        "--detector", default="face-detector", help="shipped face detector, or its card"
    )
    arguments = parser.parse_args()
    finder = open_finder(VisionSettings(detector_model=arguments.detector))
    print(json.dumps(measure(arguments.data, finder), indent=2))


if __name__ == "__main__":
    main()
