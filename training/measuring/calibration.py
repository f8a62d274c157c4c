"""Calibration: is a model right as often as it says, and what does abstaining gain?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from training.data.datasets import checksum_fraction
from training.errors import DataError

BINS = 15
"""Bins of equal width in which confidence and accuracy are compared, as in Guo et al. 2017."""
WANTED_ACCURACY = 0.95
"""Answers are withheld until this share of the given ones is right: one wrong in twenty …"""
LEAST_COVERAGE = 0.90
"""… but never from more than one face in ten: the viewer must nearly always see a label."""
_STEP = 0.01


@dataclass(frozen=True, slots=True)
class Bin:
    """The faces whose largest probability lies in (lower, upper]; means are 0 where there is none.

    Attributes:
        lower: edge of the bin, 0…1.
        upper: edge of the bin, 0…1.
        n: faces in it.
        confidence: mean largest probability, 0…1.
        accuracy: share of them that are right, 0…1.
    """

    lower: float
    upper: float
    n: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """How far confidence and accuracy lie apart.

    Attributes:
        n: faces evaluated.
        error: expected calibration error, Σ (n of bin / n) · |accuracy − confidence|, 0…1.
        bins: what it is made of, BINS of them.
    """

    n: int
    error: float
    bins: tuple[Bin, ...]


@dataclass(frozen=True, slots=True)
class Answered:
    """What happens when only faces of at least some confidence get an answer.

    Attributes:
        threshold: least confidence.
        coverage: share of the faces that get an answer, 0…1.
        accuracy: share of the answers that are right, 0…1; 1 where nothing is answered.
    """

    threshold: float
    coverage: float
    accuracy: float


def probabilities(logits: NDArray[np.float32], temperature: float) -> NDArray[np.float64]:
    """softmax(logits / temperature), float64 N × K: what the agent computes face by face."""
    return np.asarray(softmax(logits.astype(np.float64) / temperature, axis=1))


def calibration(shares: NDArray[np.float64], truth: NDArray[np.int64]) -> Calibration:
    """Expected calibration error of the top label in BINS bins of equal width.

    Guo et al. 2017, equation 3.

    With n faces it cannot be smaller than chance lets it: a perfectly calibrated model still shows
    about 0.01 on 1,500.

    Args:
        shares: probabilities, float64, N × K.
        truth: index of the right category, int64, N.

    Raises:
        DataError: when there is no face.
    """
    if len(truth) == 0:
        raise DataError("no face has a label to evaluate the confidence by")
    confidence = shares.max(axis=1)
    right = shares.argmax(axis=1) == truth
    place = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    count = np.bincount(place, minlength=BINS)
    mean_confidence = np.bincount(place, weights=confidence, minlength=BINS) / np.maximum(count, 1)
    mean_right = np.bincount(place, weights=right, minlength=BINS) / np.maximum(count, 1)
    bins = tuple(
        Bin(
            i / BINS, (i + 1) / BINS, int(count[i]), float(mean_confidence[i]), float(mean_right[i])
        )
        for i in range(BINS)
    )
    return Calibration(
        len(truth), sum(b.n * abs(b.accuracy - b.confidence) for b in bins) / len(truth), bins
    )


def in_half_a(pictures: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which pictures (uint8, N × H × W) are of half A, on which things are fitted.

    The rest, half B, checks them.

    Decided by the picture itself, so that copies of one never lie in both halves.
    """
    return checksum_fraction(pictures) < 0.5


def answered(shares: NDArray[np.float64], truth: NDArray[np.int64], threshold: float) -> Answered:
    """Coverage and accuracy when faces below ``threshold`` get no answer.

    Arguments as for :func:`calibration`.
    """
    given = shares.max(axis=1) >= threshold
    right = shares.argmax(axis=1) == truth
    return Answered(
        threshold, float(given.mean()), float(right[given].mean()) if given.any() else 1.0
    )


def risk_coverage(shares: NDArray[np.float64], truth: NDArray[np.int64]) -> tuple[Answered, ...]:
    """The risk-coverage curve: each threshold from 0 to 0.99 in steps of 0.01.

    El-Yaniv and Wiener 2010.

    Raises:
        DataError: when there is no face.
    """
    if len(truth) == 0:
        raise DataError("no face has a label to draw the risk-coverage curve from")
    return tuple(answered(shares, truth, round(i * _STEP, 2)) for i in range(round(1 / _STEP)))


def choose_threshold(curve: Sequence[Answered]) -> float:
    """The threshold below which a face is called uncertain: one rule for every model.

    The lowest at which WANTED_ACCURACY of the answers are right; but where that would leave fewer
    than LEAST_COVERAGE of the faces with an answer, the highest that keeps so many.
    """
    kept = [point for point in curve if point.coverage >= LEAST_COVERAGE]
    good = [point for point in kept if point.accuracy >= WANTED_ACCURACY]
    if good:
        return good[0].threshold
    return kept[-1].threshold
