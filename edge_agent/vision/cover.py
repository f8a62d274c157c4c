"""Is something in front of the face: a mask, a hand, a microphone, dark glasses?

Then the classifier is sure of what it cannot see: masked faces are nearly all neutral to it. A
network of its own, a hundredth of the classifier, looks at the same crop.
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
"""Seconds after which a followed face is looked at again while nothing has changed."""
FORGET_S = 5.0
"""Seconds after which a track that was not seen is forgotten."""


class CoverDetector:
    """Says how probable it is that the mouth or the eyes of an aligned face are covered.

    Args:
        model: of kind ``face-cover``.

    Attributes:
        card: what the model is.
        covered_from: probability from which its own card calls a face covered.

    Raises:
        ModelError: the model is of another kind, takes no square gray crop, or learned from another
            crop than the one cut here.

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
        """Return the probability that mouth or eyes are covered: of the surer of both, 0…1.

        Args:
            crop: uint8, n × n, gray, cut out by `edge_agent.vision.align`; another size than the
                model's is scaled.
        """
        if crop.shape[0] != self._size:
            size = (self._size, self._size)
            crop = np.asarray(cv2.resize(crop, size, interpolation=cv2.INTER_AREA), np.uint8)
        logits = self._model.run(crop, ("cover",))["cover"]
        return 1.0 / (1.0 + math.exp(-float(logits.max())))


@dataclass(slots=True)
class _Look:
    """The newest look at a track, and the probability that is believed.

    Attributes:
        at: when it was looked at last.
        believed: the probability that is believed.
        doubted: whether the last look said otherwise.
    """

    at: Instant
    believed: float
    doubted: bool = False


class CoverWatch:
    """Watches followed faces for covers, and asks seldom while nothing changes.

    A face is looked at when it is new, and once a second from then on. Where that says something
    else than before, the next frame is asked too, and only when both agree it is believed: a hand
    that passes is no cover.

    Belongs to one thread.

    Args:
        detector: is asked.

    Example::

        watch = CoverWatch(detector)
        watch.probability(track, frame.at, crop)
    """

    def __init__(self, detector: CoverDetector) -> None:
        self._detector = detector
        self._looks: dict[int, _Look] = {}

    def probability(self, track: int, at: Instant, crop: Crop) -> float:
        """Return how probable it is that the face of a track is covered, 0…1."""
        look = self._looks.get(track)
        if look is None:
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
            look.doubted = not look.doubted and (seen >= limit) != (look.believed >= limit)
            if not look.doubted:
                look.believed = seen
        return look.believed


def open_cover(threads: int) -> CoverDetector:
    """Load the model that tells covered faces.

    Raises:
        ModelError: it is missing, damaged or does not fit.
    """
    card = find_model("face-cover")
    return CoverDetector(load_model(card, kind="face-cover", threads=threads))
