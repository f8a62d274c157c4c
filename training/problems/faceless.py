"""Pictures that show no face: blank ones, and those in which the agent's detector sees none.

The detector alone is no judge: among the faces of FER2013 it scores 0.1 % below ``NOWHERE``, and
pictures without a face are rarer still. So it is asked only about pictures of which no network is
sure what they express.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.core.expression import Face
from edge_agent.vision.faces.detector import FaceDetector
from edge_agent.vision.models.card import find_model
from edge_agent.vision.models.model import load_model

ENLARGED = 160
"""Side of a picture as the detector is shown it, in pixels; a border is added."""
SURE = 0.7
"""A network that gives a category so much sees a face: of FER2013 six in seven pictures."""
NOWHERE = 0.1
"""A lower score says that there is no face. Together with networks that are unsure: 0.07 % of 1,500
faces of FER2013 and 10 % of the 148 pictures in which most of FER+'s ten people saw no face."""
HARDLY = 0.3
"""A lower score says that somebody should look: 0.3 % and 19 % of those."""
_BORDER = 40
_LEAST_SCORE = 0.05
_LEAST_WIDTH = 0.3  # of the picture


class FaceSearch:
    """Looks for faces in cut-out pictures.

    Args:
        score: least score of a face; None: the one of the detector's card.
        width: least width of a face, as a share of the picture's.

    Raises:
        ModelError: the detector cannot be loaded.
    """

    def __init__(self, score: float | None = None, width: float = 0.15) -> None:
        model = load_model(find_model("face-detector"), kind="face-detector")
        self._detector = FaceDetector(model, score, width * ENLARGED)

    def find(self, picture: NDArray[np.uint8]) -> Sequence[Face]:
        """The faces of a grey picture; their boxes are in pixels of an edge of ``ENLARGED``."""
        large = cv2.resize(picture, (ENLARGED, ENLARGED), interpolation=cv2.INTER_CUBIC)
        border = cv2.copyMakeBorder(large, *4 * (_BORDER,), cv2.BORDER_REPLICATE)
        return self._detector.detect(
            np.asarray(cv2.cvtColor(border, cv2.COLOR_GRAY2BGR), dtype=np.uint8)
        )


def blank_pictures(pictures: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which pictures are of one single grey: bool, N."""
    flat = pictures.reshape(len(pictures), -1)
    return np.asarray(flat.max(axis=1) == flat.min(axis=1))


def faceless(
    pictures: NDArray[np.uint8], answers: Sequence[NDArray[np.float64]]
) -> dict[int, float]:
    """Pictures in which hardly a face is seen → the detector's largest score, 0…1.

    Args:
        pictures: uint8, N × 48 × 48.
        answers: of each network, probabilities, N × K.
    """
    surest = np.maximum.reduce([each.max(axis=1) for each in answers])
    search = FaceSearch(_LEAST_SCORE, _LEAST_WIDTH)
    scores = {}
    for at in np.flatnonzero(surest < SURE).tolist():
        score = max((float(face.score) for face in search.find(pictures[at])), default=0.0)
        if score < HARDLY:
            scores[at] = score
    return scores
