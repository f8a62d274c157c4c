"""What finds faces: the promise that every detector keeps, and the one place where the configured one is made."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from edge_agent.domain import Face
from edge_agent.vision.card import find_model
from edge_agent.vision.detector import FaceDetector
from edge_agent.vision.model import load_model

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
            Faces in pixels of ``image``, surest first, with five landmarks in the order of ``domain.Face.landmarks``.

        Raises:
            ValueError: the picture has another type or shape, or no pixel.
        """


def open_finder(
    detector_model: str = "face-detector",
    *,
    threads: int = 1,
    face_score: float | None = None,
    min_face: float = 24,
    max_faces: int = 8,
) -> FaceFinder:
    """Make the configured detector; `open_recognizer` describes the values.

    Raises:
        ModelError: its model is missing, damaged or does not fit.
    """
    model = load_model(find_model(detector_model), kind="face-detector", threads=threads)
    return FaceDetector(model, face_score, min_face, max_faces)
