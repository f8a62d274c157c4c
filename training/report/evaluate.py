"""Evaluate a model file through the agent's runtime, on the protocols of the literature.

It needs no PyTorch: a machine that runs the agent can also check its model.

Figures of a classifier on labelled pictures are computed by scikit-learn. The time of one inference
is measured as the agent does it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

from edge_agent.core import clock
from edge_agent.core.expression import Prior
from edge_agent.vision.models.card import ModelCard, scale_of
from edge_agent.vision.models.model import TFLiteModel
from training.data.datasets import EXPRESSIONS, FER2013, FER2013_AS_EXPRESSION, NO_LABEL, Faces
from training.data.lessons import majority
from training.errors import DataError

PROTOCOLS = {"ferplus": "FER+ majority", "fer2013": "FER2013"}
"""Key in ``--json`` and in cards → name for people; the leading one first."""
RUNS = 300
_WARM_UP = 30
_OUTPUTS = ("expression",)


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """One category: precision, recall and F1 (0…1, 0 if undefined), number of pictures."""

    precision: float
    recall: float
    f1: float
    n: int


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of a classifier: how often it is right, overall and by category.

    Attributes:
        n: pictures evaluated.
        accuracy: share of them classified right, 0…1.
        macro_f1: mean F1 of the categories that have pictures, 0…1.
        labels: the categories, in the order of the confusion matrix.
        per_class: figures by category.
        confusion_matrix: counts; row = what it is, column = what was predicted.
    """

    n: int
    accuracy: float
    macro_f1: float
    labels: tuple[str, ...]
    per_class: dict[str, ClassFigures]
    confusion_matrix: tuple[tuple[int, ...], ...]

    def as_json(self) -> dict[str, object]:
        """Return the same as plain values for ``json``."""
        return asdict(self)


def classification_figures(
    truth: NDArray[np.int64], predicted: NDArray[np.int64], labels: Sequence[str]
) -> Figures:
    """Compare the predictions with the truth; both are indices into ``labels``.

    Raises:
        DataError: when there is nothing to evaluate.
    """
    if len(truth) == 0:
        raise DataError("no picture has a label to evaluate the model by")
    known = list(range(len(labels)))
    # `labels=known` keeps categories without pictures in their rows.
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, predicted, labels=known, zero_division=0.0
    )
    per_class = {
        name: ClassFigures(float(precision[i]), float(recall[i]), float(f1[i]), int(support[i]))
        for i, name in enumerate(labels)
    }
    matrix = confusion_matrix(truth, predicted, labels=known)
    return Figures(
        n=len(truth),
        accuracy=float(accuracy_score(truth, predicted)),
        # A category without pictures has an F1 of 0 by definition, and would only lower the mean.
        macro_f1=float(np.mean([figures.f1 for figures in per_class.values() if figures.n > 0])),
        labels=tuple(labels),
        per_class=per_class,
        confusion_matrix=tuple(tuple(int(count) for count in row) for row in matrix),
    )


@dataclass(frozen=True, slots=True)
class ProtocolAnswers:
    """The answers of a model for the faces that one protocol counts.

    Attributes:
        labels: the categories.
        chosen: bool, N: which of the faces count.
        truth: int64, n: index of the right category of those that count.
        logits: float32, n × K: of the head that is evaluated.
    """

    labels: tuple[str, ...]
    chosen: NDArray[np.bool_]
    truth: NDArray[np.int64]
    logits: NDArray[np.float32]

    @property
    def predicted(self) -> NDArray[np.int64]:
        """Index of the category with the largest logit, int64, n."""
        return np.asarray(self.logits.argmax(axis=1), dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Figures by protocol; at least one is there.

    Attributes:
        fer2013: the seven classes on every picture that has one, or None.
        ferplus: the eight categories on the pictures with a clear majority of votes, or None
            without votes.
    """

    fer2013: Figures | None
    ferplus: Figures | None

    @property
    def by_protocol(self) -> dict[str, Figures]:
        """Key of the protocol → its figures, the leading one first (FER+ if there are votes)."""
        each = {"ferplus": self.ferplus, "fer2013": self.fer2013}
        return {name: figures for name, figures in each.items() if figures is not None}

    def headline(self) -> dict[str, float]:
        """Return the accuracy, macro F1 and n of each protocol, as a model card keeps them."""
        figures: dict[str, float] = {}
        for name, one in self.by_protocol.items():
            figures[f"{name}_accuracy"] = round(one.accuracy, 4)
            figures[f"{name}_macro_f1"] = round(one.macro_f1, 4)
            figures[f"{name}_n"] = one.n
        return figures

    def as_json(self) -> dict[str, object]:
        """Return one object: the figures of the leading protocol, then each protocol's own."""
        name, leading = next(iter(self.by_protocol.items()))
        each = {name: figures.as_json() for name, figures in self.by_protocol.items()}
        return {"protocol": PROTOCOLS[name], **leading.as_json(), **each}


def run_model(model: TFLiteModel, pictures: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    """Return logits by head (float32, N × its size) for uint8 N × 48 × 48 pictures.

    Outputs of other shapes are left out.
    """
    heads = [output.name for output in model.card.outputs if len(output.shape) == 2]
    outputs = [model.run(picture, heads) for picture in enlarge(pictures, model.card.input.width)]
    return {name: np.concatenate([output[name] for output in outputs]) for name in heads}


def read_with(
    logits: Mapping[str, NDArray[np.float32]], card: ModelCard, prior: Prior
) -> tuple[dict[str, NDArray[np.float32]], ModelCard]:
    """Return outputs as the agent reads them with a prior, and the card with its threshold.

    The prior changes the first head. Its logits are scaled so that the card's temperature still
    divides them.

    Args:
        logits: by head, as the model gave them.
        card: of the model.
        prior: as ``vision.prior``.

    Raises:
        ModelError: when the prior is to be balanced and the card has no shares.
    """
    scale = scale_of(card, prior)
    if scale.prior == "data":
        return dict(logits), card
    factor = np.float32((card.temperature or 1.0) / scale.temperature)
    scaled = factor * (logits["expression"] + np.array(scale.biases, dtype=np.float32))
    return {**logits, "expression": scaled}, card.model_copy(
        update={"uncertain_below": scale.uncertain_below}
    )


def enlarge(pictures: NDArray[np.uint8], edge: int) -> NDArray[np.uint8]:
    """Square pictures, uint8 N × H × H, at the size that a model takes, by linear interpolation.

    Many models take the size that the pictures have.
    """
    if pictures.shape[1:] == (edge, edge):
        return pictures
    return np.stack(
        [cv2.resize(picture, (edge, edge), interpolation=cv2.INTER_LINEAR) for picture in pictures]
    )


def answers_by_protocol(
    logits: Mapping[str, NDArray[np.float32]], faces: Faces
) -> dict[str, ProtocolAnswers]:
    """Return the answers for ``faces`` by protocol, FER+ first.

    A protocol that counts none of the faces is left out.

    Without a ``fer2013`` head the seven classes are read from the first head, whose contempt is
    left out.

    Raises:
        DataError: when no picture can be evaluated.
    """
    expression = logits["expression"]
    if "fer2013" in logits:
        seven = logits["fer2013"]
    else:
        seven = _as_fer2013(expression)
    every = {
        "ferplus": (majority(faces.votes), expression, EXPRESSIONS),
        "fer2013": (faces.fer2013, seven, FER2013),
    }
    answers: dict[str, ProtocolAnswers] = {}
    for name, (truth, head, labels) in every.items():
        chosen = truth != NO_LABEL
        if chosen.any():
            answers[name] = ProtocolAnswers(labels, chosen, truth[chosen], head[chosen])
    if not answers:
        raise DataError("no picture has a label to evaluate the model by")
    return answers


def right_by_protocol(
    logits: Mapping[str, NDArray[np.float32]], faces: Faces
) -> dict[str, NDArray[np.bool_]]:
    """Tell whether each answer is right, by protocol (see :func:`answers_by_protocol`)."""
    answers = answers_by_protocol(logits, faces)
    return {name: one.predicted == one.truth for name, one in answers.items()}


def evaluate_logits(logits: Mapping[str, NDArray[np.float32]], faces: Faces) -> Evaluation:
    """Return figures of a model's outputs for ``faces`` (see :func:`answers_by_protocol`).

    Raises:
        DataError: when no picture can be evaluated.
    """
    figures = {
        name: classification_figures(one.truth, one.predicted, one.labels)
        for name, one in answers_by_protocol(logits, faces).items()
    }
    return Evaluation(fer2013=figures.get("fer2013"), ferplus=figures.get("ferplus"))


def _as_fer2013(expression: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the columns of the eight categories in the order of the seven classes.

    Contempt is left out.
    """
    return expression[:, [EXPRESSIONS.index(name) for name in FER2013_AS_EXPRESSION]]


def median_milliseconds(models: Sequence[TFLiteModel], pictures: NDArray[np.uint8]) -> list[float]:
    """Return the median milliseconds of RUNS inferences of each model, from pixels to logits.

    The models take turns, so that a busy machine slows all alike; a warm-up does not count.

    Args:
        models: expression models.
        pictures: uint8, N × 48 × 48; brought to the size that a model takes beforehand.
    """
    shown = [enlarge(pictures[: RUNS + _WARM_UP], model.card.input.width) for model in models]
    durations: list[list[float]] = [[] for _ in models]
    # Runs below 0 are the warm-up.
    for run in range(-_WARM_UP, RUNS):
        for model, own, kept in zip(models, shown, durations, strict=True):
            picture = own[run % len(own)]
            start = clock.boot_seconds()
            model.run(picture, _OUTPUTS)
            if run >= 0:
                kept.append(clock.boot_seconds() - start)
    return [1000 * float(np.median(kept)) for kept in durations]
