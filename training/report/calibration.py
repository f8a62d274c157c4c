"""Calibrate a model: is it right as often as it says, and what does abstaining gain?

The temperature, with which it says how sure it is, is fitted on faces that it has not learnt from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax, softmax
from scipy.stats import beta

from training.data.datasets import checksum_fraction
from training.errors import DataError

BINS = 15
"""Bins of equal width in which confidence and accuracy are compared, as in Guo et al. 2017."""
ALLOWED_ERROR = 0.05
"""Answers are withheld until less than this share of the given ones is wrong, one in twenty …"""
CERTAINTY = 0.90
"""… with this confidence, and not only on the faces that the threshold was chosen on."""
FIRST_THRESHOLD = 0.90
"""The highest threshold that is tested. It was settled before any model was looked at: above it few
faces get an answer, and few answers prove little."""
_STEP = 0.01
LEAST = 0.2
MOST = 5.0


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
class ModelCalibration:
    """The calibration of a model: how far confidence and accuracy lie apart.

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
    """The coverage and accuracy when only faces of at least some confidence get an answer.

    Attributes:
        threshold: least confidence.
        coverage: share of the faces that get an answer, 0…1.
        accuracy: share of the answers that are right, 0…1; 1 where nothing is answered.
        error_bound: upper bound of the share of wrong answers among all faces of this kind, with
            the confidence `CERTAINTY` (Clopper and Pearson 1934); 1 where nothing is answered.
    """

    threshold: float
    coverage: float
    accuracy: float
    error_bound: float


def probabilities(logits: NDArray[np.float32], temperature: float) -> NDArray[np.float64]:
    """softmax(logits / temperature), float64 N × K: what the agent computes face by face."""
    return np.asarray(softmax(logits.astype(np.float64) / temperature, axis=1))


def calibration(shares: NDArray[np.float64], truth: NDArray[np.int64]) -> ModelCalibration:
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
    # Edges belong to the bin below, (lower, upper]: hence up and minus one. Only 0 falls out and is
    # clipped.
    place = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    count = np.bincount(place, minlength=BINS)
    # Empty bins divide by 1 instead of 0, and weigh nothing below.
    mean_confidence = np.bincount(place, weights=confidence, minlength=BINS) / np.maximum(count, 1)
    mean_right = np.bincount(place, weights=right, minlength=BINS) / np.maximum(count, 1)
    bins = tuple(
        Bin(
            i / BINS, (i + 1) / BINS, int(count[i]), float(mean_confidence[i]), float(mean_right[i])
        )
        for i in range(BINS)
    )
    return ModelCalibration(
        len(truth), sum(b.n * abs(b.accuracy - b.confidence) for b in bins) / len(truth), bins
    )


def in_half_a(pictures: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Tell which pictures (uint8, N × H × W) are of half A, on which things are fitted.

    The rest, half B, checks them.

    Decided by the picture itself, so that copies of one never lie in both halves.
    """
    return checksum_fraction(pictures) < 0.5


def count_answered(
    shares: NDArray[np.float64], truth: NDArray[np.int64], threshold: float
) -> Answered:
    """Coverage and accuracy when faces below ``threshold`` get no answer.

    Arguments as for :func:`calibration`.
    """
    given = shares.max(axis=1) >= threshold
    right = shares.argmax(axis=1) == truth
    if not given.any():
        return Answered(threshold, 0.0, 1.0, 1.0)
    wrong = int((~right[given]).sum())
    return Answered(
        threshold,
        float(given.mean()),
        float(right[given].mean()),
        error_bound(wrong, int(given.sum())),
    )


def error_bound(wrong: int, answers: int) -> float:
    """Return the upper bound of an error rate, with the confidence `CERTAINTY`.

    It is the largest rate at which so few wrong answers still come by chance often enough
    (Clopper and Pearson 1934, one-sided).

    Args:
        wrong: how many answers were wrong.
        answers: how many there were, 1 or more.

    Example:
        >>> round(error_bound(0, 45), 3), round(error_bound(50, 1000), 3)
        (0.05, 0.06)
    """
    # Without a right answer the beta distribution has no second parameter: any rate is possible.
    if wrong == answers:
        return 1.0
    return float(beta.ppf(CERTAINTY, wrong + 1, answers - wrong))


def risk_coverage(shares: NDArray[np.float64], truth: NDArray[np.int64]) -> tuple[Answered, ...]:
    """Return the risk-coverage curve: each threshold from 0 to 0.99 in steps of 0.01.

    El-Yaniv and Wiener 2010.

    Raises:
        DataError: when there is no face.
    """
    if len(truth) == 0:
        raise DataError("no face has a label to draw the risk-coverage curve from")
    # Whole numbers over 100, for sums of 0.01 would not meet 0.9 exactly.
    return tuple(
        count_answered(shares, truth, round(i * _STEP, 2)) for i in range(round(1 / _STEP))
    )


def choose_threshold(curve: Sequence[Answered]) -> float:
    """Return the threshold below which a face is called uncertain: one rule for every model.

    From `FIRST_THRESHOLD` on downwards each threshold is tested: could more than one in twenty of
    its answers be wrong? The last one before the first for which that cannot be ruled out is
    taken. So the promise holds with the confidence `CERTAINTY` though many thresholds were looked
    at (Learn then Test with fixed-sequence testing, Angelopoulos et al. 2021).

    Where it cannot be ruled out for `FIRST_THRESHOLD` itself, as with few faces or a weak model,
    this is the threshold, and its bound tells that nothing is promised.

    Args:
        curve: from `risk_coverage`, on faces that the model did not learn from.
    """
    tested = [point for point in curve if point.threshold <= FIRST_THRESHOLD]
    chosen = tested[-1].threshold
    # The first doubtful threshold ends it, even if lower ones would pass: testing on would break
    # the promise.
    for point in reversed(tested):
        if point.error_bound >= ALLOWED_ERROR:
            break
        chosen = point.threshold
    return chosen


def proven_threshold(shares: NDArray[np.float64], truth: NDArray[np.int64]) -> float | None:
    """Return the threshold of :func:`choose_threshold`, or None where its promise is not shown.

    That needs 45 answers at least, all of them right.

    Arguments as for :func:`calibration`; they may be empty.
    """
    if len(truth) == 0:
        return None
    curve = risk_coverage(shares, truth)
    threshold = choose_threshold(curve)
    chosen = next(point for point in curve if point.threshold == threshold)
    return threshold if chosen.error_bound < ALLOWED_ERROR else None


def best_temperature(logits: NDArray[np.float32], shares: NDArray[np.float32]) -> float:
    """Return the temperature at which softmax(logits / temperature) fits people's votes best.

    The measure is cross-entropy.

    Guo et al. 2017, "On calibration of modern neural networks"; between LEAST and MOST. With one
    label a face the largest probability comes to say how often the label is right; with vote
    shares, how many people would say so.

    Args:
        logits: float32, N × K.
        shares: float32, N × K, rows that sum to one (a single label: a one among zeros), or to zero
            where nobody voted.

    Raises:
        DataError: when no row has votes.
    """
    voted = shares.sum(axis=1) > 0
    if not voted.any():
        raise DataError("no held-back face has a label to fit the temperature on")

    # Searched on a logarithmic scale: half and twice the temperature are as far.
    def cross_entropy(log_temperature: float) -> float:
        return float(
            -(shares[voted] * log_softmax(logits[voted] / np.exp(log_temperature), axis=1)).sum()
        )

    fitted = minimize_scalar(cross_entropy, bounds=(np.log(LEAST), np.log(MOST)), method="bounded")
    return float(np.exp(fitted.x))


def bias_corrected_temperature(
    logits: NDArray[np.float32], known: NDArray[np.int64]
) -> tuple[float, NDArray[np.float64]]:
    """Return the temperature and a bias a category that fit the labels best.

    The model is softmax(logits / temperature + bias).

    Alexandari et al. 2020, "Maximum likelihood with bias-corrected calibration is hard-to-beat at
    label shift adaptation". A head that learnt with weighted categories says the rare ones too
    often; the biases take that back. A normal prior of deviation 1 keeps the bias of a category
    finite that no label names.

    Args:
        logits: float32, N × K.
        known: int64, N: index of each label.

    Returns:
        the temperature, between LEAST and MOST, and the biases, float64 of K, whose mean is 0.

    Raises:
        DataError: when there is no label.
    """
    if len(known) == 0:
        raise DataError("no held-back face has a label to fit the biases on")
    labels = np.eye(logits.shape[1])[known]

    def cost(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        # Inverse temperature as an exponential, so that it stays positive whatever the search
        # tries.
        sharp = np.exp(-parameters[0])
        bias = parameters[1:]
        logs = log_softmax(logits * sharp + bias, axis=1)
        # The slope of cross-entropy by the logits, from which both slopes below follow.
        wrong = np.exp(logs) - labels
        slope = np.concatenate([[-(wrong * logits * sharp).sum()], wrong.sum(axis=0) + bias])
        return float(-(labels * logs).sum() + (bias**2).sum() / 2), slope

    bounds = [(np.log(LEAST), np.log(MOST)), *[(None, None)] * logits.shape[1]]
    fitted = minimize(
        cost, np.zeros(logits.shape[1] + 1), jac=True, method="L-BFGS-B", bounds=bounds
    )
    # A constant added to all biases changes nothing; a mean of 0 makes the answer unique.
    return float(np.exp(fitted.x[0])), np.asarray(fitted.x[1:] - fitted.x[1:].mean())
