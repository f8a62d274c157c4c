"""Estimates movements of the face, the pose of the head and where the eyes point.

A small network reads the crop that the classifier reads. The crop is upright (its eyes lie level),
so the roll of the head in the picture is the roll in the crop less the angle of the crop.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from edge_agent.core.clock import Instant
from edge_agent.core.errors import ModelError
from edge_agent.core.movements import MOVEMENTS, NAMES, FaceMovements
from edge_agent.vision.align import check_crop
from edge_agent.vision.classifier import check_input
from edge_agent.vision.models.card import find_model
from edge_agent.vision.models.model import TFLiteModel, load_model

OUTPUTS = ("movements", "pose", "look")
READ_S = 0.19
"""Least time between two readings of a followed face, as for its expression
(`edge_agent.vision.reading_by_need.FOLLOW_S`)."""
FORGET_S = 2.0
"""Time without a reading after which a track starts again."""

_ROLL = NAMES.index("roll")
_STRENGTHS = slice(len(MOVEMENTS))
Crop = npt.NDArray[np.uint8]
Values = npt.NDArray[np.float64]


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

    def read(self, crop: Crop, *, angle: float = 0.0) -> FaceMovements:
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
        yaw, pitch, roll = answers["pose"].ravel().tolist()
        return FaceMovements(
            (
                *np.clip(answers["movements"].ravel(), 0.0, 1.0).tolist(),
                yaw,
                pitch,
                _turn(roll - angle),
                *np.clip(answers["look"].ravel(), -1.0, 1.0).tolist(),
            )
        )


def _turn(degrees: float) -> float:
    """Return the same direction within −180 … 180 degrees."""
    return (degrees + 180.0) % 360.0 - 180.0


@dataclass(slots=True)
class _Followed:
    """The newest reading of a track and its smoothed values.

    Attributes:
        at: time of the reading.
        raw: the reading.
        smoothed: in the order of ``NAMES``; strengths that were never read are NaN.
    """

    at: Instant
    raw: FaceMovements
    smoothed: Values


class MovementsWatch:
    """Reads followed faces and smooths their values by the time that has passed.

    Belongs to one thread.

    Args:
        reader: reads one face.
        time_constant_s: of the exponential smoothing (`edge_agent.vision.smoother.Smoother`); 0 is
            none.

    Attributes:
        readings: how often a face was read.

    Example::

        watch = MovementsWatch(open_movements(threads=1), time_constant_s=0.6)
        raw, smoothed = watch.read(track, frame.at, crop, angle=crop_angle(to_crop))
    """

    def __init__(self, reader: MovementsReader, time_constant_s: float) -> None:
        self.readings = 0
        self._reader = reader
        self._time_constant_s = time_constant_s
        self._followed: dict[int, _Followed] = {}

    def read(
        self,
        track: int,
        at: Instant,
        crop: Crop,
        *,
        angle: float,
        pause_s: float = READ_S,
        only_pose: bool = False,
    ) -> tuple[FaceMovements, FaceMovements]:
        """Return the newest reading of a face, and the smoothed values.

        Args:
            track: number of the face.
            at: when the frame was taken.
            crop, angle: as for `MovementsReader.read`.
            pause_s: least time since its last reading; before, that one is given again.
            only_pose: whether to read pose and look alone; smoothed strengths stay as they are.
        """
        known = self._recall(track, at)
        if known is None or not self._may_repeat(known, at, pause_s, only_pose=only_pose):
            raw = replace(self._reader.read(crop, angle=angle), only_pose=only_pose)
            self.readings += 1
            values = np.array(raw.values)
            if only_pose:
                values[_STRENGTHS] = np.nan if known is None else known.smoothed[_STRENGTHS]
            if known is not None:
                values = self._blend(known.smoothed, values, at.seconds_since(known.at))
            known = self._followed[track] = _Followed(at, raw, values)
        smoothed = FaceMovements(tuple(known.smoothed.tolist()), only_pose)
        return replace(known.raw, only_pose=only_pose), smoothed

    def _may_repeat(
        self, known: _Followed, at: Instant, pause_s: float, *, only_pose: bool
    ) -> bool:
        # The strengths of a head that was turned away a moment ago mean nothing.
        is_told = only_pose or not known.raw.only_pose
        return is_told and at.seconds_since(known.at) < pause_s

    def _recall(self, track: int, at: Instant) -> _Followed | None:
        """Forget what was not read for long, and return the state of ``track``."""
        self._followed = {
            number: state
            for number, state in self._followed.items()
            if at.seconds_since(state.at) <= FORGET_S
        }
        return self._followed.get(track)

    def _blend(self, old: Values, new: Values, seconds: float) -> Values:
        """Move from ``old`` towards ``new`` by as much as ``seconds`` allow."""
        if self._time_constant_s == 0:
            return new
        change = new - old
        change[_ROLL] = _turn(change[_ROLL])  # an upside-down face goes from 179° to −179°
        values = old - math.expm1(-seconds / self._time_constant_s) * change
        values[_ROLL] = _turn(values[_ROLL])
        # Strengths that were never read begin with their first reading.
        return np.where(np.isnan(old), new, values)


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
