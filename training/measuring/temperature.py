"""How sure a model should say that it is, fitted on faces that it has not learnt from."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax

from training.errors import DataError

LEAST = 0.2
MOST = 5.0


def best_temperature(logits: NDArray[np.float32], shares: NDArray[np.float32]) -> float:
    """The temperature at which softmax(logits / temperature) fits people's votes best.

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

    def cross_entropy(log_temperature: float) -> float:
        return float(
            -(shares[voted] * log_softmax(logits[voted] / np.exp(log_temperature), axis=1)).sum()
        )

    fitted = minimize_scalar(cross_entropy, bounds=(np.log(LEAST), np.log(MOST)), method="bounded")
    return float(np.exp(fitted.x))


def bias_corrected_temperature(
    logits: NDArray[np.float32], known: NDArray[np.int64]
) -> tuple[float, NDArray[np.float64]]:
    """The temperature and a bias a category that fit the labels best.

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
        sharp = np.exp(-parameters[0])
        bias = parameters[1:]
        logs = log_softmax(logits * sharp + bias, axis=1)
        wrong = np.exp(logs) - labels
        slope = np.concatenate([[-(wrong * logits * sharp).sum()], wrong.sum(axis=0) + bias])
        return float(-(labels * logs).sum() + (bias**2).sum() / 2), slope

    bounds = [(np.log(LEAST), np.log(MOST)), *[(None, None)] * logits.shape[1]]
    fitted = minimize(
        cost, np.zeros(logits.shape[1] + 1), jac=True, method="L-BFGS-B", bounds=bounds
    )
    return float(np.exp(fitted.x[0])), np.asarray(fitted.x[1:] - fitted.x[1:].mean())
