"""What finds faces: the promise that every detector keeps, and the one place where the configured
one is made.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from edge_agent.core.errors import ModelError
from edge_agent.core.expression import Face
from edge_agent.vision.faces.detector import FaceDetector
from edge_agent.vision.faces.yunet import SCORE, YuNet
from edge_agent.vision.models.card import find_model
from edge_agent.vision.models.model import load_model

log = logging.getLogger(__name__)

NEAR_SIZE = (96, 96)
"""Pixels in which a followed face and what surrounds it are searched: the face has 60 of a side."""

DetectorKind = Literal["tflite", "yunet"]
"""What runs the detector: LiteRT, with a card beside the file, or OpenCV, with YuNet's ONNX
file.
"""

Picture = npt.NDArray[np.uint8]


class UsedModel(Protocol):
    """Which model file is used; the card of a model is one."""

    @property
    def kind(self) -> str:
        """What it does: ``face-detector``."""

    @property
    def name(self) -> str:
        """Name that people know it by."""

    @property
    def version(self) -> str:
        """Version of the weights."""

    @property
    def sha256(self) -> str:
        """SHA-256 of the file, 64 hexadecimal digits."""


class FaceFinder(Protocol):
    """Finds faces in pictures of any size; remembers nothing from one picture to the next."""

    @property
    def card(self) -> UsedModel:
        """Which model finds them."""

    def detect(self, image: Picture) -> list[Face]:
        """Find the faces in a picture.

        Args:
            image: uint8, height × width × 3 (BGR) or height × width (gray).

        Returns:
            Faces in pixels of ``image``, surest first, with five landmarks in the order of
            ``domain.Face.landmarks``.

        Raises:
            ValueError: the picture has another type or shape, or no pixel.
        """


def open_finder(
    detector_model: str = "face-detector",
    *,
    detector: DetectorKind = "tflite",
    threads: int = 1,
    face_score: float | None = None,
    min_face: float = 24,
    max_faces: int = 8,
) -> FaceFinder:
    """Make the configured detector; `open_recognizer` describes the values.

    Raises:
        ModelError: its model is missing, damaged or does not fit.
    """
    if detector == "yunet":
        return YuNet(Path(detector_model).expanduser(), face_score or SCORE, min_face, max_faces)
    model = load_model(find_model(detector_model), kind="face-detector", threads=threads)
    return FaceDetector(model, face_score, min_face, max_faces)


def open_near_finder(
    detector_model: str = "face-detector",
    *,
    detector: DetectorKind = "tflite",
    threads: int = 1,
    face_score: float | None = None,
    min_face: float = 24,
) -> FaceFinder | None:
    """Make the configured detector for small pieces of frames.

    ``None`` if its model takes one size only.

    Raises:
        ModelError: its model is missing or damaged.
    """
    if detector == "yunet":
        return YuNet(
            Path(detector_model).expanduser(), face_score or SCORE, min_face, size=NEAR_SIZE
        )
    path = find_model(detector_model)
    try:
        model = load_model(path, kind="face-detector", threads=threads, size=NEAR_SIZE)
    except ModelError as error:
        log.info("every frame is searched as a whole: %s", error)
        return None
    return FaceDetector(model, face_score, min_face)
