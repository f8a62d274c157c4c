"""Data that benchmarks and tests read, and that are no part of the project.

They lie in the folder that the environment variable ``SHARED_DATA`` names; without it in
``shared/data`` beside the project, or beside one of the folders that hold it, the nearest first.
A file that is missing there is left out of a measurement, or given as an option.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

VARIABLE = "SHARED_DATA"
ROOT = Path(__file__).resolve().parents[1]


def shared_data(root: Path = ROOT, environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of the data, whether it exists or not.

    Args:
        root: the checkout of the project; it may lie in a folder of checkouts.
        environment: variables.
    """
    if named := environment.get(VARIABLE):
        return Path(named).expanduser()
    places = [folder / "shared" / "data" for folder in root.parents]
    return next((place for place in places if place.is_dir()), places[0])


DATA = shared_data()
PHOTOGRAPHS = DATA / "expressions" / "photos_labelled.zip"
"""Photographs that people read; the tables of their readings and sources lie beside it."""
LONDON = DATA / "faces" / "london.zip"
"""The Face Research Lab London Set (DeBruine and Jones 2017)."""
FER2013 = DATA / "fer2013" / "fer2013.csv.xz"
FERPLUS = DATA / "fer2013" / "fer2013new.csv"
YUNET = DATA / "weights" / "face_detection_yunet_2026may.onnx"
"""OpenCV's face detector, with which ours is compared."""
