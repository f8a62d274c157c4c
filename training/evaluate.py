"""How good is a model file? Measured through the runtime that the agent uses, on the protocols that papers use.

No torch is needed: whoever can run the agent can check its model.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_agent.vision.model import TFLiteModel, load_model
from training.datasets import EXPRESSIONS, FER2013, FER2013_AS_EXPRESSION, NO_LABEL, Faces, majority
from training.errors import DataError
from training.metrics import Figures, classification_figures

FERPLUS_PROTOCOL = "FER+ majority"
FER2013_PROTOCOL = "FER2013"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Figures by protocol; at least one is there.

    Attributes:
        fer2013: the seven classes on every picture that has one, or None.
        ferplus: the eight categories on the pictures with a clear majority of votes, or None without votes.
    """

    fer2013: Figures | None
    ferplus: Figures | None

    def as_json(self) -> dict[str, object]:
        """One object: the figures of the leading protocol (FER+ when there are votes), then each protocol's own."""
        named = {FERPLUS_PROTOCOL: self.ferplus, FER2013_PROTOCOL: self.fer2013}
        protocol, leading = next((name, figures) for name, figures in named.items() if figures is not None)
        each = {"ferplus": self.ferplus, "fer2013": self.fer2013}
        return {
            "protocol": protocol,
            **leading.as_json(),
            **{name: figures.as_json() for name, figures in each.items() if figures is not None},
        }


def evaluate_file(model: Path, faces: Faces, *, threads: int = 1) -> Evaluation:
    """Judge ``NAME.tflite`` (its card lies beside it) on ``faces``.

    Raises:
        ModelError: when the file or its card is not as the agent wants it.
        DataError: when no picture can be judged.
    """
    loaded = load_model(model.with_suffix(".json"), kind="expression", threads=threads)
    return judge(run_model(loaded, faces.pictures), faces)


def run_model(model: TFLiteModel, pictures: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    """Logits by output name (float32, N × its size) for uint8 N × 48 × 48 pictures."""
    outputs = [model.run(picture) for picture in pictures]
    return {name: np.concatenate([output[name].reshape(1, -1) for output in outputs]) for name in outputs[0]}


def judge(logits: Mapping[str, NDArray[np.float32]], faces: Faces) -> Evaluation:
    """Figures of a model's outputs for ``faces``; without a ``fer2013`` head those come from the first head.

    Raises:
        DataError: when no picture can be judged.
    """
    expression = logits["expression"]
    known = faces.fer2013 != NO_LABEL
    seven = logits["fer2013"] if "fer2013" in logits else _as_fer2013(expression)
    clear = majority(faces.votes)
    voted = clear != NO_LABEL
    if not known.any() and not voted.any():
        raise DataError("no picture has a label to judge the model by")
    return Evaluation(
        fer2013=_figures(faces.fer2013[known], seven[known], FER2013) if known.any() else None,
        ferplus=_figures(clear[voted], expression[voted], EXPRESSIONS) if voted.any() else None,
    )


def _figures(truth: NDArray[np.int64], logits: NDArray[np.float32], labels: tuple[str, ...]) -> Figures:
    return classification_figures(truth, logits.argmax(axis=1).astype(np.int64), labels)


def _as_fer2013(expression: NDArray[np.float32]) -> NDArray[np.float32]:
    """The columns of the eight categories in the order of the seven classes; contempt is left out."""
    return expression[:, [EXPRESSIONS.index(name) for name in FER2013_AS_EXPRESSION]]
