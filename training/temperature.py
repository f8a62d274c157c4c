"""How sure a model should say that it is: one number fitted on faces that it has not learnt from."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from training.errors import DataError

LEAST, MOST = 0.2, 5.0


def best_temperature(logits: NDArray[np.float32], shares: NDArray[np.float32]) -> float:
    """The temperature at which softmax(logits / temperature) has the least cross-entropy with what people said.

    Guo et al. 2017, "On calibration of modern neural networks"; between LEAST and MOST. With one label a face the
    largest probability comes to say how often the label is right; with vote shares, how many people would say so.

    Args:
        logits: float32, N × K.
        shares: float32, N × K, rows that sum to one (a single label: a one among zeros), or to zero where nobody
            voted.

    Raises:
        DataError: when no row has votes.
    """
    voted = shares.sum(axis=1) > 0
    if not voted.any():
        raise DataError("no held-back face has a label to fit the temperature on")

    def cross_entropy(log_temperature: float) -> float:
        return float(-(shares[voted] * log_softmax(logits[voted] / np.exp(log_temperature), axis=1)).sum())

    found = minimize_scalar(cross_entropy, bounds=(np.log(LEAST), np.log(MOST)), method="bounded")
    return float(np.exp(found.x))
