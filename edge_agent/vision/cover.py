"""Detection of covered faces: a mask, a hand, a microphone or dark glasses in front of the face.

The classifier does not notice a cover: it calls nearly all masked faces neutral, and is sure of it.
A separate network, a hundredth of the classifier's size, reads the same crop and reports covers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edge_agent.core.clock import Instant
from edge_agent.core.errors import ModelError
from edge_agent.vision.align import check_crop
from edge_agent.vision.classifier import check_input
from edge_agent.vision.models.card import find_model
from edge_agent.vision.models.model import TFLiteModel, load_model

Crop = npt.NDArray[np.uint8]

AGAIN_S = 1.0
"""Seconds between two checks of a followed face while its state does not change."""
FORGET_S = 5.0
"""Seconds after which a track that was not seen is forgotten."""


class CoverDetector:
    """Estimates the probability that the mouth or the eyes of an aligned face are covered.

    Args:
        model: of kind ``face-cover``.

    Attributes:
        card: what the model is.
        covered_from: probability from which its own card calls a face covered.

    Raises:
        ModelError: the model is of another kind, takes no square gray crop, or was trained with
            another crop than the one cut here.

    Example::

        cover = CoverDetector(load_model(find_model("face-cover"), kind="face-cover"))
        cover.probability(crop) >= cover.covered_from  # True: the face cannot be read
    """

    def __init__(self, model: TFLiteModel) -> None:
        card = model.card
        if card.kind != "face-cover" or card.covered_from is None:
            raise ModelError(
                f"{model.path}: {card.name!r} is a {card.kind} model; a face-cover model is needed "
                "here."
            )
        check_input(model)
        check_crop(card.name, card.crop)
        self.card = card
        self.covered_from = card.covered_from
        self._size = card.input.width
        self._model = model

    def probability(self, crop: Crop) -> float:
        """Return the larger of the probabilities that the mouth or the eyes are covered, 0…1.

        Args:
            crop: uint8, n × n, gray, cut out by `edge_agent.vision.align`; another size than the
                model's is scaled.
        """
        if crop.shape[0] != self._size:
            size = (self._size, self._size)
            crop = np.asarray(cv2.resize(crop, size, interpolation=cv2.INTER_AREA), np.uint8)
        # One sigmoid for each label, not a softmax: mouth and eyes can both be covered.
        logits = self._model.run(crop, ("cover",))["cover"]
        return 1.0 / (1.0 + math.exp(-float(logits.max())))


@dataclass(slots=True)
class _Look:
    """The newest check of a track and its accepted probability.

    Attributes:
        at: time of the last check.
        believed: the accepted probability.
        doubted: whether the last check disagreed with it.
    """

    at: Instant
    believed: float
    doubted: bool = False


class CoverWatch:
    """Checks followed faces for covers, and saves processor time while nothing changes.

    A face is checked when it is new, and then once a second. A check that disagrees with the state
    is repeated in the next frame, and the state changes only when both agree: a hand that passes
    is no cover.

    Belongs to one thread.

    Args:
        detector: estimates the probability.

    Example::

        watch = CoverWatch(detector)
        watch.probability(track, frame.at, crop)
    """

    def __init__(self, detector: CoverDetector) -> None:
        self._detector = detector
        self._looks: dict[int, _Look] = {}

    def probability(self, track: int, at: Instant, crop: Crop) -> float:
        """Return the probability that the face of a track is covered, 0…1."""
        look = self._looks.get(track)
        if look is None:
            # Old tracks are forgotten when a new one comes.
            self._looks = {
                number: known
                for number, known in self._looks.items()
                if at.seconds_since(known.at) <= FORGET_S
            }
            look = self._looks[track] = _Look(at, self._detector.probability(crop))
        elif look.doubted or at.seconds_since(look.at) >= AGAIN_S:
            seen = self._detector.probability(crop)
            limit = self._detector.covered_from
            look.at = at
            # The second disagreeing check is believed; an agreeing one clears the doubt.
            look.doubted = not look.doubted and (seen >= limit) != (look.believed >= limit)
            if not look.doubted:
                look.believed = seen
        return look.believed


def open_cover(threads: int) -> CoverDetector:
    """Load the model that detects covered faces.

    Raises:
        ModelError: it is missing, damaged or does not fit.
    """
    card = find_model("face-cover")
    return CoverDetector(load_model(card, kind="face-cover", threads=threads))
