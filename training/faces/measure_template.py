"""Measure where the eyes, nose and mouth lie in the FER2013 training faces.

`edge_agent.vision.align` crops a face so that its landmarks fall where they fall in the pictures that the
expression models learned from. This script finds that place: YuNet looks for the face in every FER2013 Training
picture (enlarged four times), and the median of each point and of the box over all pictures in which it is sure
is the template. It is averaged with its mirror image, because training mirrors half of the pictures.

    python -m training.faces.measure_template --data fer2013.csv.xz --detector face_detection_yunet.onnx
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

SIDE = 48
ENLARGE = 4
SURE = 0.8
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


def locate(detector: cv2.FaceDetectorYN, face: NDArray[np.uint8]) -> NDArray[np.float64] | None:
    """Box (x, y, width, height) and five points as seven rows of two numbers in the unit square, or None if unsure."""
    side = SIDE * ENLARGE
    large = cv2.resize(face, (side, side), interpolation=cv2.INTER_CUBIC)
    _, found = detector.detect(cv2.cvtColor(large, cv2.COLOR_GRAY2BGR))
    if found is None:
        return None
    best = found[found[:, 14].argmax()]
    return np.asarray(best[:14], dtype=np.float64).reshape(7, 2) / side


def symmetric(points: NDArray[np.float64], box: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Average five points (5×2) and a box (x, y, w, h) with their mirror images in the unit square."""
    mirrored = points[MIRROR] * (-1.0, 1.0) + (1.0, 0.0)
    return (points + mirrored) / 2.0, np.array([0.5 - box[2] / 2.0, box[1], box[2], box[3]])


def measure(data: Path, detector_file: Path) -> dict[str, object]:
    """Medians over the faces that YuNet finds with a score of at least `SURE`."""
    side = SIDE * ENLARGE
    detector = cv2.FaceDetectorYN.create(str(detector_file), "", (side, side), SURE)
    found: list[NDArray[np.float64]] = []
    pictures = 0
    for face in training_faces(data):
        pictures += 1
        located = locate(detector, face)
        if located is not None:
            found.append(located)
    if not found:
        raise SystemExit(f"{data}: no face found in {pictures} Training pictures; is this the FER2013 CSV file?")
    median: NDArray[np.float64] = np.median(np.stack(found), axis=0)
    points, box = symmetric(median[2:], median[:2].reshape(4))
    return {
        "pictures": pictures,
        "found": len(found),
        "points": np.round(points, 4).tolist(),
        "box": np.round(box, 4).tolist(),
        "points_before_mirroring": np.round(median[2:], 4).tolist(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="FER2013 CSV file, plain, .gz or .xz")
    parser.add_argument("--detector", type=Path, required=True, help="YuNet ONNX file")
    arguments = parser.parse_args()
    print(json.dumps(measure(arguments.data, arguments.detector), indent=2))


if __name__ == "__main__":
    main()
