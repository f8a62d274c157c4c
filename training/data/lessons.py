"""Turn people's labels into what a network learns, and divide faces into folds.

Lessons are the labels that people gave, as shares of the categories.

Example::

    faces = load_faces(Path("fer2013.csv.xz"), Path("fer2013new.csv"))
    learn, held_back = split_held_back(faces.of_usage("Training").without_blank(), 0.02)
    learned = lessons(learn)
    learned.expression.sum(axis=1)  # 1 for each picture with a label, 0 for the others

Folds divide the learnt split: each picture is evaluated once, by a network that did not learn it.

Example::

    learnt, others = divide(faces, Fold(2, 5))
    others["fold 2 of 5"]   # a fifth of Training
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from training.data.datasets import (
    EXPRESSIONS,
    FER2013,
    FER2013_AS_EXPRESSION,
    NO_LABEL,
    USAGES,
    Faces,
)
from training.errors import DataError
from training.learning.kinds import Fold

_AS_EXPRESSION = np.array([EXPRESSIONS.index(name) for name in FER2013_AS_EXPRESSION])
_LEARNT = "Training"
_SALT = b"fold"
"""Before a picture's bytes, so that folds and the held-back share are drawn apart."""


def own_labels(faces: Faces) -> NDArray[np.int64]:
    """Return the category that each picture's FER2013 class is, or ``NO_LABEL``: int64, N."""
    known = faces.fer2013 != NO_LABEL
    return np.asarray(np.where(known, _AS_EXPRESSION[faces.fer2013], NO_LABEL), dtype=np.int64)


def labels_of(faces: Faces) -> NDArray[np.int64]:
    """Return the category of each picture that people gave, or ``NO_LABEL``: int64, N.

    The majority of the votes; where nobody voted, the FER2013 class.
    """
    voted = faces.votes.any(axis=1)
    return np.where(voted, majority(faces.votes), own_labels(faces))


def majority(votes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the FER+ majority category of each picture, -1 if there is none.

    Barsoum et al. 2016, "majority voting".

    Single votes are dropped as noise; the top category must then hold more than half of the rest
    and be one of the eight.
    """
    kept = np.where(votes > 1, votes, 0).astype(np.int64)
    top = kept.argmax(axis=1)
    clear = 2 * kept.max(axis=1) > kept.sum(axis=1)
    return np.where(clear & (top < len(EXPRESSIONS)), top, NO_LABEL)


def soft_targets(faces: Faces) -> NDArray[np.float32]:
    """Return probabilities of the eight categories to learn: float32, N × 8.

    A row of zeros where nothing can be learnt.

    The votes of more than one person, as shares (Barsoum et al. 2016, "probabilistic label drawing"
    without the drawing). Where nobody voted at all the FER2013 class counts; where most saw no face
    or an unknown expression nothing does.
    """
    kept = np.where(faces.votes > 1, faces.votes, 0)
    shares = kept[:, : len(EXPRESSIONS)].astype(np.float32)
    shares[kept.argmax(axis=1) >= len(EXPRESSIONS)] = 0
    unvoted = ~faces.votes.any(axis=1) & (faces.fer2013 != NO_LABEL)
    shares[unvoted, own_labels(faces)[unvoted]] = 1
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1)
    return shares


@dataclass(frozen=True, slots=True)
class Lessons:
    """The lessons of a network: each picture once, with all its labels.

    ``pictures``
        uint8, N × 48 × 48, grey.
    ``expression``
        float32, N × 8: shares of the eight categories (:func:`soft_targets`); zeros where there is
        nothing to learn.
    ``fer2013``
        float32, N × 7: shares of the FER2013 classes; zeros where there is none.
    """

    pictures: NDArray[np.uint8]
    expression: NDArray[np.float32]
    fer2013: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.pictures)

    def with_unlabelled(self, pictures: NDArray[np.uint8]) -> Lessons:
        """These lessons, and faces that nobody labelled, uint8, N × 48 × 48, behind them.

        Only teachers can say something about the latter.
        """
        none = len(pictures)
        return Lessons(
            np.concatenate([self.pictures, pictures]),
            *(np.pad(shares, ((0, none), (0, 0))) for shares in (self.expression, self.fer2013)),
        )


def lessons(faces: Faces) -> Lessons:
    """Make each picture a lesson.

    Copies of a picture, byte for byte, become one with the mean of their labels.

    FER2013 holds more than a thousand such copies, some with different labels. Learnt one by one
    they would be learnt more often than others, and against each other.
    """
    _, first, group = np.unique(
        faces.pictures.reshape(len(faces), -1), axis=0, return_index=True, return_inverse=True
    )
    order = np.argsort(first)  # keep the order of the table, whatever the bytes of its pictures
    place = np.argsort(order)[group]
    classes = (
        np.eye(len(FER2013), dtype=np.float32)[faces.fer2013] * (faces.fer2013 != NO_LABEL)[:, None]
    )
    return Lessons(
        pictures=faces.pictures[first[order]],
        expression=_mean_of_groups(soft_targets(faces), place, len(first)),
        fer2013=_mean_of_groups(classes, place, len(first)),
    )


def _mean_of_groups(
    shares: NDArray[np.float32], group: NDArray[np.intp], groups: int
) -> NDArray[np.float32]:
    """Return the mean of the rows of each group; a row of zeros has no label and does not count."""
    total = np.zeros((groups, shares.shape[1]), dtype=np.float32)
    np.add.at(total, group, shares)
    total /= np.maximum(total.sum(axis=1, keepdims=True), np.float32(1e-9))
    return total


def divide(faces: Faces, fold: Fold) -> tuple[Faces, dict[str, Faces]]:
    """Return what is learnt, and by its name what is evaluated: both of Training alone.

    A picture's own checksum decides its fold, so that copies lie in one fold.

    Raises:
        DataError: when the fold holds no picture, or all of them.
    """
    training = faces.of_usage(_LEARNT)
    checksums = [zlib.crc32(_SALT + picture.tobytes()) for picture in training.pictures]
    inside = np.array([value % fold.count + 1 == fold.number for value in checksums])
    if not inside.any() or inside.all():
        raise DataError(
            f"{fold.name}: holds {int(inside.sum())} of {len(training)} pictures; choose fewer "
            "folds, or give more pictures"
        )
    chosen = training.take(inside)
    # not the split that biases and temperature are fitted on
    usage = np.full(len(chosen), USAGES.index("PrivateTest"), dtype=np.int8)
    return training.take(~inside), {fold.name: replace(chosen, usage=usage)}
