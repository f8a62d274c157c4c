"""Find faces with YuNet, OpenCV's detector, from a file that the user brings.

Wu, Peng and Yu 2023, "YuNet: a tiny millisecond-level face detector".

OpenCV runs it. It is slower than the shipped detector, and is there for those who have reasons to
trust it more.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from edge_agent.core.errors import ModelError
from edge_agent.core.expression import Box, Face
from edge_agent.vision.faces.detector import letterbox

SIZE = (320, 240)
"""Width and height of what it sees, pixels."""
SCORE = 0.7
OVERLAP = 0.3
"""Two boxes with a larger intersection over union are one face: what OpenCV's own examples take."""
_NUMBERS = 15
"""Of each face: box (x, y, width, height), five points, score."""

Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class YuNetFile:
    """Which file is used (`edge_agent.vision.faces.finder.UsedModel`).

    Attributes:
        name: of the file, without its ending.
        sha256: of the file, 64 hexadecimal digits.
    """

    name: str
    sha256: str
    kind: str = "face-detector"
    version: str = "own file"


class YuNet:
    """Finds faces in pictures of any size; may be called from several threads.

    Args:
        file: ONNX file of YuNet, such as ``face_detection_yunet_2023mar.onnx`` of OpenCV's model
            zoo.
        score_threshold: least score of a face, 0…1.
        min_face_px: faces whose longer side is smaller, in pixels of the picture, are left out.
        max_faces: at most so many are returned, the surest.
        size: width and height into which pictures are scaled, pixels.

    Attributes:
        card: which file is used.

    Raises:
        ModelError: the file is missing, cannot be read, or is not YuNet.

    Example::

        yunet = YuNet(Path("face_detection_yunet_2023mar.onnx"))
        [face.score for face in yunet.detect(image)]
    """

    def __init__(
        self,
        file: Path,
        score_threshold: float = SCORE,
        min_face_px: float = 0.0,
        max_faces: int = 10,
        size: tuple[int, int] = SIZE,
    ) -> None:
        self.card = YuNetFile(file.stem, hashlib.sha256(_content(file)).hexdigest())
        self._size = size
        self._min_face_px = min_face_px
        self._max_faces = max_faces
        self._lock = threading.Lock()  # of OpenCV's buffers
        try:
            self._network = cv2.FaceDetectorYN.create(str(file), "", size, score_threshold, OVERLAP)
            self._ask(np.zeros((size[1], size[0], 3), np.uint8))
        except cv2.error as error:
            raise ModelError(
                f"{file}: is not YuNet's ONNX file, or is damaged. Fetch face_detection_yunet "
                'again from OpenCV\'s model zoo, or set detector = "tflite".'
            ) from error

    def detect(self, image: Picture) -> list[Face]:
        """Find the faces in a picture, as `edge_agent.vision.faces.finder.FaceFinder` promises."""
        pixels, scale = letterbox(image, *self._size)
        rows = self._ask(np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), dtype=np.uint8))
        rows = rows[np.argsort(-rows[:, 14], kind="stable")]
        rows[:, :14] /= scale
        large = rows[rows[:, 2:4].max(axis=1, initial=0.0) >= self._min_face_px]
        return [_face(row) for row in large[: self._max_faces]]

    def _ask(self, picture: Picture) -> npt.NDArray[np.float64]:
        with self._lock:
            _, rows = self._network.detect(picture)
        if rows is None:
            return np.zeros((0, _NUMBERS))
        return np.asarray(rows, dtype=np.float64)


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError as error:
        raise ModelError(
            f"{file}: does not exist. YuNet is not shipped: fetch its ONNX file from OpenCV's "
            "model zoo (face_detection_yunet) and name it with detector_model, or set "
            'detector = "tflite".'
        ) from error
    except OSError as error:
        raise ModelError(
            f"{file}: cannot be read: {error.strerror}. Give the path of YuNet's ONNX file."
        ) from error


def _face(row: npt.NDArray[np.float64]) -> Face:
    x, y, width, height = (float(value) for value in row[:4])
    points = tuple((float(px), float(py)) for px, py in row[4:14].reshape(5, 2))
    return Face(Box(x, y, width, height), float(row[14]), points)
