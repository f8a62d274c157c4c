"""The interface of a face detector, and the functions that open the configured one."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from edge_agent.config.vision import VisionSettings
from edge_agent.core.errors import ModelError
from edge_agent.core.expression import Face
from edge_agent.vision.faces.detector import FaceDetector
from edge_agent.vision.faces.yunet import SCORE, YuNet
from edge_agent.vision.models.card import find_model
from edge_agent.vision.models.model import load_model

log = logging.getLogger(__name__)

NEAR_SIZE = (96, 96)
MOST_FACES = 1000
"""Most faces of a picture: as many as nobody will count. Frames of a camera have their own bound,
``vision.max_faces``.
"""
"""Pixels in which a followed face and what surrounds it are searched: the face has 60 of a side."""

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
            ``core.expression.Face.landmarks``.

        Raises:
            ValueError: the picture has another type or shape, or no pixel.
        """


def open_finder(options: VisionSettings = VisionSettings()) -> FaceFinder:
    """Return the configured detector for whole pictures, with no bound on the faces worth naming.

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

    ``None`` where its model cannot be run at another size: then whole frames are searched.

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
    """Return the detector with the score for still pictures, where the user chose none."""
    if options.face_score is None and isinstance(finder, FaceDetector):
        return finder.for_stills()
    return finder
