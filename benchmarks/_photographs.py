"""Photographs of the web on which people agree, one face each."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from edge_agent.vision.align import Picture
from edge_agent.vision.faces.tracking import prominence
from edge_agent.vision.recognizer import FaceReading, Recognizer
from training.data.readings import read_agreement


def read_photographs(photographs: Path, half: str) -> Iterator[tuple[int, Picture]]:
    """Yield the label of each photograph on which two of three readers agree, and its gray pixels.

    Args:
        photographs, half: as for :func:`read_named_photographs`.
    """
    for _, label, image in read_named_photographs(photographs, half):
        yield label, image


def read_named_photographs(photographs: Path, half: str) -> Iterator[tuple[str, int, Picture]]:
    """Yield file, label and gray pixels of each photograph on which two of three readers agree.

    Args:
        photographs: the archive; the tables of its readings and sources lie beside it.
        half: ``A`` or ``B``.
    """
    folder = photographs.parent
    agreement = read_agreement(
        folder / "photos_readings.csv", folder / "photos_labelled_source.csv"
    )
    with zipfile.ZipFile(photographs) as archive:
        for file, label in agreement.of_half(half).of_web().labels.items():
            pixels = np.frombuffer(archive.read(file), np.uint8)
            image = cv2.imdecode(pixels, cv2.IMREAD_GRAYSCALE)
            if image is None:
                raise SystemExit(f"{photographs}: {file!r} is no picture; copy the archive again")
            yield file, label, np.asarray(image, np.uint8)


def largest_face(recognizer: Recognizer, image: Picture) -> FaceReading | None:
    """Return the reading of the most prominent face; ``None``: there is none."""
    height, width = image.shape[:2]
    readings = recognizer.read_picture(image)
    return max(readings, key=lambda one: prominence(one.face.box, width, height), default=None)
