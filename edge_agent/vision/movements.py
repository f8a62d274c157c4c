"""Estimates movements of the face, the pose of the head and where the eyes point.

A small network reads the crop that the classifier reads. The crop is upright (its eyes lie level),
so the roll of the head in the picture is the roll in the crop less the angle of the crop.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from edge_agent.core.errors import ModelError
from edge_agent.core.movements import FaceMovements
from edge_agent.vision.align import check_crop
from edge_agent.vision.classifier import check_input
from edge_agent.vision.models.card import find_model
from edge_agent.vision.models.model import TFLiteModel, load_model

OUTPUTS = ("movements", "pose", "look")


class MovementsReader:
    """Reads movements, pose and look of an aligned face.

    Args:
        model: of kind ``face-movements``.

    Attributes:
        card: what the model is.

    Raises:
        ModelError: the model is of another kind, takes no square gray crop, or was trained with
            another crop than the one cut here.

    Example::

        reader = MovementsReader(load_model(find_model("face-movements"), kind="face-movements"))
        read = reader.read(crop, angle=crop_angle(face))
        read.pose  # (-12.5, 3.0, 1.2): yaw, pitch and roll in degrees
    """

    def __init__(self, model: TFLiteModel) -> None:
        card = model.card
        if card.kind != "face-movements":
            raise ModelError(
                f"{model.path}: {card.name!r} is a {card.kind} model; a face-movements model is "
                "needed here."
            )
        check_input(model)
        check_crop(card.name, card.crop)
        self.card = card
        self._size = card.input.width
        self._model = model

    def read(self, crop: npt.NDArray[np.uint8], *, angle: float = 0.0) -> FaceMovements:
        """Return what a face does.

        Args:
            crop: uint8, n × n, gray, cut out by `edge_agent.vision.align`; another size than the
                model's is scaled.
            angle: how far the crop was turned to be upright, in degrees, positive clockwise in the
                picture (:func:`crop_angle`); it is taken off the roll.
        """
        if crop.shape[0] != self._size:
            size = (self._size, self._size)
            crop = np.asarray(cv2.resize(crop, size, interpolation=cv2.INTER_AREA), np.uint8)
        answers = self._model.run(crop, OUTPUTS)
        movements = np.clip(answers["movements"].ravel(), 0.0, 1.0)
        yaw, pitch, roll = answers["pose"].ravel()
        look = np.clip(answers["look"].ravel(), -1.0, 1.0)
        return FaceMovements(
            tuple(float(strength) for strength in movements),
            (float(yaw), float(pitch), float(roll) - angle),
            (float(look[0]), float(look[1])),
        )


def crop_angle(matrix: npt.NDArray[np.float64]) -> float:
    """Return how far a face was turned clockwise in the picture before the crop set it upright.

    Args:
        matrix: 2 × 3, from the picture to the crop (:func:`edge_agent.vision.align.landmark_matrix`
            or :func:`edge_agent.vision.align.box_matrix`).

    Returns:
        degrees, −180 … 180.
    """
    # The crop's x axis lies, in the picture, at the angle that the matrix turns back; y is down,
    # so a positive angle is clockwise.
    return math.degrees(math.atan2(matrix[0, 1], matrix[0, 0]))


def open_movements(threads: int) -> MovementsReader:
    """Load the model that reads movements.

    Raises:
        ModelError: it is missing, damaged or does not fit.
    """
    card = find_model("face-movements")
    return MovementsReader(load_model(card, kind="face-movements", threads=threads))
