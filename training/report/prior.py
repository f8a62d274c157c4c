"""A prior for faces as people show them, fitted on photographs that people read.

Where the pictures of a face differ from what a model learned from, its rarer answers give way to
neutral. A prior between that of the data and an even one takes back a part of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from edge_agent.vision.models.card import FittedPrior, ModelCard
from training.errors import DataError
from training.report.calibration import LEAST, MOST
from training.report.chain import ChainAnswers
from training.report.photographs import FIVE

STRENGTH = 1.0
"""How strongly the biases are drawn to where they start from.

Of strengths from 0.1 to no fit at all, compared by cross-validation on half A
(`training/RESULTS.md` has the table), it is the one with the best mean recall of
`expression-accurate` among those that cost 2.5 points of FER+ or less.
"""
_RARE = 3


def fit_prior(
    logits: NDArray[np.float64], truth: NDArray[np.int64], shares: Sequence[float]
) -> tuple[NDArray[np.float64], float]:
    """Return the biases of the categories and the temperature that fit what people say.

    With logits z the probabilities are softmax((z + b) / T), where

        b_k = −½ ln(share_k) + a_k.

    Half the logarithm lies in the middle between the prior of the data and an even one (Saerens,
    Latinne & Decaestecker 2002; logit adjustment with τ = ½, Menon et al. 2021). T and a minimise

        1/5 Σ_k mean over the faces of category k of −ln p_k  +  STRENGTH/2 Σ a²,

    so that each of the five common categories counts alike: bias-corrected temperature scaling
    (Alexandari et al. 2020) with weighted classes and a normal prior on a. The three rare
    categories share one a, for hardly any photograph shows them; a photograph of one is not fitted
    on.

    Args:
        logits: float64, N × 8.
        truth: int64, N: index into ``EXPRESSIONS``.
        shares: of each category among what the model learned from; 0 counts as the largest.

    Returns:
        the biases, float64 of 8, with that of neutral 0; and T, between `LEAST` and `MOST`.

    Raises:
        DataError: one of the five common categories has no face.
    """
    counts = np.bincount(truth, minlength=len(shares))[: len(FIVE)]
    if not counts.all():
        missing = FIVE[int(counts.argmin())]
        raise DataError(f"no photograph of half A that is read as {missing}; a prior needs some")
    fitted = truth < len(FIVE)
    logits, truth = logits[fitted], truth[fitted]
    weights = 1 / (len(FIVE) * counts[truth])
    start = -0.5 * np.log([share or max(shares) for share in shares])

    def biases(own: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(start + np.concatenate([own[:-1], np.repeat(own[-1], _RARE)]))

    def cost(parameters: NDArray[np.float64]) -> float:
        own = parameters[1:]
        logs = log_softmax((logits + biases(own)) / np.exp(parameters[0]), axis=1)
        lost = -(weights * logs[np.arange(len(truth)), truth]).sum()
        return float(lost + STRENGTH / 2 * (own**2).sum())

    bounds = [(np.log(LEAST), np.log(MOST)), *[(None, None)] * (len(FIVE) + 1)]
    best = minimize(cost, np.zeros(len(bounds)), method="L-BFGS-B", bounds=bounds)
    of_all = biases(best.x[1:])
    return of_all - of_all[0], float(np.exp(best.x[0]))


def logits_of(answers: ChainAnswers, temperature: float) -> NDArray[np.float64]:
    """Return logits of a chain's answers, up to a constant a face; float64, n × 8.

    Args:
        answers: with the prior of the data.
        temperature: of that prior. Rows without a face stay zero.
    """
    has_face = answers.has_face
    logits = np.zeros_like(answers.shares)
    # A share that is too small for a number would have no logarithm.
    shares = np.maximum(answers.shares[has_face], np.finfo(float).tiny)
    logits[has_face] = temperature * np.log(shares)
    return logits


def with_prior(
    answers: ChainAnswers, temperature: float, biases: Sequence[float], divided_by: float
) -> ChainAnswers:
    """Return what a chain with the prior of the data answers with another one.

    Args:
        answers: with the prior of the data.
        temperature: of that prior.
        biases: of the other one.
        divided_by: its temperature.
    """
    logits = (logits_of(answers, temperature) + np.asarray(biases)) / divided_by
    # Where no face was found nothing is answered with any prior.
    shares = np.where(answers.has_face[:, None], softmax(logits, axis=1), 0.0)
    return ChainAnswers(answers.truth, shares, answers.usable)


def fitted_prior(card: ModelCard, answers: ChainAnswers) -> FittedPrior:
    """Return the prior that fits the answers of a chain for photographs of half A.

    The threshold is the highest at which as many of them get a name as with the prior of the data:
    who sees the names shall not see fewer.

    Args:
        card: of the model; its temperature, threshold and shares count.
        answers: with the prior of the data and the card's temperature.

    Raises:
        DataError: the card has no shares, or a common category has no face.
    """
    if card.label_shares is None or card.temperature is None or card.uncertain_below is None:
        raise DataError(
            f"the card of {card.name!r} has no label_shares, from which a prior is fitted; train "
            "the model again, or leave --readings out"
        )
    has_face = answers.has_face
    logits = logits_of(answers, card.temperature)
    biases, temperature = fit_prior(logits[has_face], answers.truth[has_face], card.label_shares)
    rounded = tuple(round(float(bias), 4) for bias in biases)
    temperature = round(temperature, 4)
    after = with_prior(answers, card.temperature, rounded, temperature)
    named = int((answers.shares[answers.usable].max(axis=1) >= card.uncertain_below).sum())
    tops = after.shares[after.usable].max(axis=1)
    threshold = next(i for i in range(100, -1, -1) if int((tops >= i / 100).sum()) >= named)
    return FittedPrior(biases=rounded, temperature=temperature, uncertain_below=threshold / 100)
