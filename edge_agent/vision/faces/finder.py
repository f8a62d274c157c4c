"""The configured face detector, and the search for followed faces near their expected places.

YuNet (Wu, Peng and Yu 2023, "YuNet: a tiny millisecond-level face detector") runs in OpenCV from a
file that the user provides. It is slower than the shipped detector, and is there for users who
trust it more.

A followed face is nearly where it was a moment ago. Searching a small piece of the frame around
that place costs a fraction, and shows the face in more pixels than the scaled-down frame does. New
faces are found when the whole frame is searched: at intervals, and at once when a face is not where
it is expected.
"""

from __future__ import annotations

import hashlib
import logging
import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

from edge_agent.config.vision import VisionSettings
from edge_agent.core.clock import Instant
from edge_agent.core.errors import ModelError
from edge_agent.core.expression import Box, Face, Frame
from edge_agent.core.owners import read_given
from edge_agent.vision.align import Picture
from edge_agent.vision.faces.detector import OVERLAP as DETECTOR_OVERLAP
from edge_agent.vision.faces.detector import FaceDetector, letterbox
from edge_agent.vision.models.card import LARGEST_MODEL, ModelCard, find_model, refuse_as_root
from edge_agent.vision.models.model import load_model

log = logging.getLogger(__name__)

SIZE = (320, 240)
"""Width and height of its input, pixels."""
SCORE = 0.7
OVERLAP = 0.3
"""Two boxes with a larger intersection over union are one face: what OpenCV's own examples take."""
_NUMBERS = 15
"""Of each face: box (x, y, width, height), five points, score."""
NEAR_SIZE = (96, 96)
"""Size in pixels to which the piece around a followed face is scaled; the face has 60 of a side."""
MOST_FACES = 1000
"""Most faces of a still picture, in effect no limit. Frames of a camera have their own limit,
``vision.max_faces``.
"""
MARGIN = 1.6
"""Side of the searched piece, in sides of the face. Of 475 faces in portraits and scenes (found by
YuNet, their places shifted by 8 % of their side), 92 % are found in the piece and 79 % in the whole
frame."""
SIZES_APART = 1.2
CELLS = 5
"""The sizes of pieces are this factor apart; pieces lie on a grid of so many cells in half of their
side. The detector's result varies a little with the exact start of a piece, and with it the crop
and the reading. On a grid, a frame gives the same piece, and so the same reading, no matter how the
face was followed to it."""
MOST_NEAR = 2
"""More faces than this are cheaper to find in the whole frame."""
LEAST_OVERLAP = 0.6
"""Least intersection over union of a face with its expected place. With less, the face has changed
its direction or is partly hidden; the whole frame shows which."""


@dataclass(frozen=True, slots=True)
class YuNetFile:
    """The file of a YuNet detector, described like the card of a model.

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
        refuse_as_root(file)
        self.card = YuNetFile(file.stem, hashlib.sha256(_content(file)).hexdigest())
        self._size = size
        self._min_face_px = min_face_px
        self._max_faces = max_faces
        self._lock = threading.Lock()  # of OpenCV's buffers
        try:
            self._network = cv2.FaceDetectorYN.create(str(file), "", size, score_threshold, OVERLAP)
            # OpenCV loads any ONNX network here, and looks for YuNet's outputs only when it runs.
            # Asked once now: another network would fail at the first frame only.
            self._ask(np.zeros((size[1], size[0], 3), np.uint8))
        except cv2.error as error:
            raise ModelError(
                f"{file}: is not YuNet's ONNX file, or is damaged. Fetch face_detection_yunet "
                'again from OpenCV\'s model zoo, or set detector = "tflite".'
            ) from error

    def detect(self, image: Picture) -> list[Face]:
        """Find the faces in a picture, as `edge_agent.vision.faces.finder.FaceFinder` promises."""
        pixels, scale = letterbox(image, *self._size)
        # `letterbox` gives RGB, as the shipped models take it; YuNet takes BGR.
        rows = self._ask(np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), dtype=np.uint8))
        rows = rows[np.argsort(-rows[:, 14], kind="stable")]
        # Back to pixels of the picture; the score in the last column stays.
        rows[:, :14] /= scale
        large = rows[rows[:, 2:4].max(axis=1, initial=0.0) >= self._min_face_px]
        return [_face(row) for row in large[: self._max_faces]]

    def _ask(self, picture: Picture) -> npt.NDArray[np.float64]:
        with self._lock:
            _, rows = self._network.detect(picture)
        # OpenCV returns None, not an empty array, for a picture without faces.
        if rows is None:
            return np.zeros((0, _NUMBERS))
        return np.asarray(rows, dtype=np.float64)


def _content(file: Path) -> bytes:
    try:
        return read_given(file, LARGEST_MODEL)
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


UsedModel = ModelCard | YuNetFile
"""The model file that is used."""


class FaceFinder(Protocol):
    """Finds faces in pictures of any size; remembers nothing from one picture to the next."""

    @property
    def card(self) -> UsedModel:
        """The model that finds them."""

    def detect(self, image: Picture) -> list[Face]:
        """Find the faces in a picture.

        Args:
            image: uint8, height × width × 3 (BGR) or height × width (gray).

        Returns:
            Faces in pixels of ``image``, surest first, with five landmarks in the order of
            ``core.expression.Face.landmarks``.

        Raises:
            ValueError: the picture has another type or shape, or no pixel.
        """


def open_finder(options: VisionSettings = VisionSettings()) -> FaceFinder:
    """Return the configured detector for whole pictures.

    Raises:
        ModelError: its model is missing, damaged or does not fit.
    """
    score = options.face_score
    min_face = options.min_face
    if options.detector == "yunet":
        file = Path(options.detector_model).expanduser()
        return YuNet(file, score or SCORE, min_face, MOST_FACES)
    card = find_model(options.detector_model)
    model = load_model(card, kind="face-detector", threads=options.threads)
    return FaceDetector(model, score, min_face, MOST_FACES)


def open_near_finder(options: VisionSettings = VisionSettings()) -> FaceFinder | None:
    """Return the configured detector for small pieces of frames.

    ``None`` if its model cannot be run at another size: then whole frames are searched.

    Raises:
        ModelError: its model is missing or damaged.
    """
    score = options.face_score
    min_face = options.min_face
    if options.detector == "yunet":
        file = Path(options.detector_model).expanduser()
        return YuNet(file, score or SCORE, min_face, size=NEAR_SIZE)
    card = find_model(options.detector_model)
    try:
        model = load_model(card, kind="face-detector", threads=options.threads, size=NEAR_SIZE)
    except ModelError as error:
        log.info("every frame is searched as a whole: %s", error)
        return None
    return FaceDetector(model, score, min_face)


def finder_for_stills(finder: FaceFinder, options: VisionSettings) -> FaceFinder:
    """Return the detector with the score for still pictures, unless the user chose a score."""
    if options.face_score is None and isinstance(finder, FaceDetector):
        return finder.for_stills()
    return finder


class FaceFollower:
    """Finds the faces of one frame after the other. Belongs to one thread.

    Args:
        finder: finds faces in whole frames.
        near: finds faces in pieces of frames, and is faster; ``None``: every frame is searched as
            a whole.
        max_faces: the most faces of a frame that are returned; the surest win.
        whole_s: seconds from one search of the whole frame to the next; may be set at any time.

    Attributes:
        searches: number of whole frames searched.
        pieces: number of pieces searched.

    Example::

        follower = FaceFollower(whole_frames, pieces)
        faces = follower.find(frame, expected=[])
        faces = follower.find(next_frame, expected=[face.box for face in faces])
    """

    def __init__(
        self, finder: FaceFinder, near: FaceFinder | None, max_faces: int = 8, whole_s: float = 0.5
    ) -> None:
        self._finder = finder
        self._near = near
        self._max_faces = max_faces
        self._searched: Instant | None = None
        self.searches = 0
        self.pieces = 0
        self.whole_s = whole_s

    def find(self, frame: Frame, expected: Sequence[Box]) -> list[Face]:
        """Find the faces of the next frame.

        Args:
            frame: later than the one of the last call.
            expected: the expected places of all faces; empty when they are not known.

        Returns:
            Faces in pixels of the frame, surest first.
        """
        if self._may_look_near(frame.at, len(expected)):
            faces = self._look_near(frame.image, expected)
            if faces is not None:
                return faces
        self._searched = frame.at
        self.searches += 1
        return self._finder.detect(frame.image)[: self._max_faces]

    def _may_look_near(self, at: Instant, faces: int) -> bool:
        if self._near is None or self._searched is None or not 1 <= faces <= MOST_NEAR:
            return False
        return at.seconds_since(self._searched) < self.whole_s

    def _look_near(self, image: Picture, expected: Sequence[Box]) -> list[Face] | None:
        """Return the faces near their expected places; ``None`` if one is missing or doubled."""
        faces: list[Face] = []
        for box in expected:
            face = self._face_near(image, box)
            if face is None:
                return None
            if any(face.box.overlap(other.box) > DETECTOR_OVERLAP for other in faces):
                return None
            faces.append(face)
        # As a whole search returns them.
        return sorted(faces, key=lambda face: -face.score)

    def _face_near(self, image: Picture, box: Box) -> Face | None:
        assert self._near is not None
        (x, y), reach = _on_grid(box.center, MARGIN * max(box.width, box.height) / 2)
        left = max(round(x - reach), 0)
        top = max(round(y - reach), 0)
        piece = image[top : max(round(y + reach), 0), left : max(round(x + reach), 0)]
        if piece.size == 0:  # it has left the frame
            return None
        self.pieces += 1
        faces = [_shift(face, left, top) for face in self._near.detect(piece)]
        # By place, not by score: a piece may show a second, clearer face.
        best = max(faces, key=lambda face: face.box.overlap(box), default=None)
        return best if best is not None and best.box.overlap(box) >= LEAST_OVERLAP else None


def _on_grid(center: tuple[float, float], reach: float) -> tuple[tuple[float, float], float]:
    """Return the middle and half the side of the nearest piece of the grid, in pixels."""
    # Sizes by factors, so that the grid is as fine for small faces as for large ones.
    reach = SIZES_APART ** round(math.log(max(reach, 1.0), SIZES_APART))
    cell = reach / CELLS
    x, y = center
    return (round(x / cell) * cell, round(y / cell) * cell), reach


def _shift(face: Face, x: int, y: int) -> Face:
    """Return a face of a piece in pixels of the frame that the piece was cut from."""
    box = Box(face.box.x + x, face.box.y + y, face.box.width, face.box.height)
    return replace(face, box=box, landmarks=tuple((px + x, py + y) for px, py in face.landmarks))
