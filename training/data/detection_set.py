"""Photographs with the boxes of their faces, in the folders that trainers of YOLO read.

::

    images/train/ANNA.jpg     the photograph, without what a camera wrote beside its pixels
    labels/train/ANNA.txt     a line for each face: class, middle x, middle y, width, height
    images/val/ … labels/val/ …
    data.yaml                 where they lie, and the one class

Coordinates are shares of the photograph's width and height. One photograph in five is for
validation, as its own checksum decides. A photograph in which no face was found is left out: a face
that the detector missed would be learnt as background.
"""

import zlib
from collections.abc import Sequence
from pathlib import Path

import cv2

from edge_agent.core.expression import Box
from edge_agent.vision.align import Picture
from training.files import write_whole

FACE = 0
"""The one class."""
DATA = "data.yaml"

_VALIDATION = 5
_QUALITY = 95


def box_line(box: Box, width: int, height: int) -> str:
    """A face as YOLO takes it; what lies outside of the photograph is cut off."""
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
    """Writes such a folder, a photograph at a time.

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

    def add(self, name: str, image: Picture, boxes: Sequence[Box]) -> None:
        """Write a photograph, uint8 BGR or gray, and its boxes; without a box nothing.

        Raises:
            DataError: it cannot be written.
        """
        if not boxes:
            return
        height, width = image.shape[:2]
        part = "train"
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
        """Write ``data.yaml``, and say what there is.

        Raises:
            DataError: it cannot be written.
        """
        for part in ("train", "val"):
            (self._folder / "images" / part).mkdir(parents=True, exist_ok=True)
        text = "path: .\ntrain: images/train\nval: images/val\nnames:\n  0: face\n"
        write_whole(self._folder / DATA, text.encode())
        return f"{self._folder}: {self.faces} boxes in {self.photographs} photographs"
