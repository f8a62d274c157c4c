"""Leave out photographs that look like one that is kept for evaluation.

Web collections hold many copies.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from training.faces.labelling.labels import LabelledPicture, Picture, read_picture

SIDE = 16
NEARLY = 40
"""Pictures whose hashes differ in at most this number of the 256 bits look alike."""


def difference_hash(picture: Picture) -> NDArray[np.uint8]:
    """256 bits (as 32 bytes): whether a pixel is brighter than its left neighbour.

    The picture is first made gray and scaled to 17 × 16.
    """
    gray = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    small = np.asarray(cv2.resize(gray, (SIDE + 1, SIDE), interpolation=cv2.INTER_AREA))
    return np.packbits((small[:, 1:] > small[:, :-1]).ravel())


def without_copies(folder: Path, pictures: Sequence[LabelledPicture]) -> list[LabelledPicture]:
    """The pictures without those of other parts that look nearly like one of the part ``test``."""
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
        or int(np.unpackbits(kept_apart ^ h, axis=1).sum(axis=1).min()) > NEARLY
    ]
