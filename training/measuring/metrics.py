"""Figures of a classifier on labelled pictures, computed by scikit-learn."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

from training.errors import DataError


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """One category: precision, recall and F1 (0…1, 0 if undefined), number of pictures."""

    precision: float
    recall: float
    f1: float
    n: int


@dataclass(frozen=True, slots=True)
class Figures:
    """How often a classifier is right, overall and by category.

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
        """The same as plain values for ``json``."""
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
        macro_f1=float(np.mean([figures.f1 for figures in per_class.values() if figures.n > 0])),
        labels=tuple(labels),
        per_class=per_class,
        confusion_matrix=tuple(tuple(int(count) for count in row) for row in matrix),
    )
