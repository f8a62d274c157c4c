"""A prior for faces as people show them, fitted on photographs that people read.

Where the pictures of a face differ from what a model learned from, its rarer answers give way to
neutral. A prior between that of the data and an even one takes back a part of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from edge_agent.vision.models.card import FittedPrior, ModelCard
from training.data.datasets import EXPRESSIONS
from training.errors import DataError
from training.report.calibration import LEAST, MOST
from training.report.chain import ChainAnswers
from training.report.photographs import FIVE

EVENNESS = 0.4
"""How far a prior starts from that of the data towards an even one, 0…1."""
STRENGTH = 1.0
"""How strongly the biases of the common categories are drawn to where they start from.

Both were chosen by cross-validation on half A of the photographs, and by what they cost on half A
of PublicTest (`training/RESULTS.md` has the table).
"""
RARE_STRENGTH = 0.05
"""How strongly the biases of the rare categories are drawn to 0."""
FEWEST = 10
"""Faces of a rare category from which its bias is fitted; with fewer it stays 0."""
_RARE = range(len(FIVE), len(EXPRESSIONS))
_SPARED = ("neutral", "sadness", "anger")
"""Categories none of whose photographs a rare category may take away."""
_STEP = 0.1


@dataclass(frozen=True, slots=True)
class ReadFaces:
    """The logits of faces, and what people say of them.

    Attributes:
        logits: float64, N × 8, with the prior of the data.
        truth: int64, N: index into ``EXPRESSIONS``.
    """

    logits: NDArray[np.float64]
    truth: NDArray[np.int64]

    @property
    def counts(self) -> NDArray[np.int64]:
        """Number of faces of each category, int64 of 8."""
        return np.bincount(self.truth, minlength=len(EXPRESSIONS))

    def losses(self, biases: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
        """Return −ln of the probability of each face's category, N."""
        logs = log_softmax((self.logits + biases) / temperature, axis=1)
        return np.asarray(-logs[np.arange(len(self.truth)), self.truth])


def fit_prior(
    photographs: ReadFaces, pictures: ReadFaces, shares: Sequence[float]
) -> tuple[NDArray[np.float64], float]:
    """Return the biases of the categories and the temperature that fit what people say.

    With logits z the probabilities are softmax((z + b) / T), and b of neutral is 0.

    The four other common categories are fitted on photographs: b_k = −EVENNESS ln(share_k /
    share of neutral) + a_k, where T and a minimise

        1/5 Σ_k mean over the photographs of category k of −ln p_k  +  STRENGTH/2 Σ a²,

    so that each of the five counts alike: bias-corrected temperature scaling (Alexandari et al.
    2020) with weighted classes and a normal prior on a, which starts between the prior of the data
    and an even one (Saerens, Latinne & Decaestecker 2002; logit adjustment, Menon et al. 2021).

    The three rare categories, of which there are hardly any photographs, are then fitted on these
    and on pictures of the data together: the same sum over all categories, with RARE_STRENGTH and b
    in place of a. Photographs and pictures have a temperature each, for a model is surer of
    pictures like those that it learned from. No rare category may take a photograph that people
    call neutral, sad or angry and that is read so without it: its bias is lowered until it takes
    none. Last, T is fitted again.

    Args:
        photographs: through the whole chain.
        pictures: of the data, as they are, which were not learned from.
        shares: of each category among what the model learned from; 0 counts as the largest.

    Returns:
        the biases, float64 of 8; and T, between `LEAST` and `MOST`.

    Raises:
        DataError: one of the five common categories has no photograph.
    """
    counts = photographs.counts[: len(FIVE)]
    if not counts.all():
        missing = FIVE[int(counts.argmin())]
        raise DataError(f"no photograph of half A that is read as {missing}; a prior needs some")
    logs = np.log([share or max(shares) for share in shares])
    start = np.where(np.arange(len(shares)) < len(FIVE), EVENNESS * (logs[0] - logs), 0.0)
    common = [*range(1, len(FIVE))]
    biases, _ = _fit([photographs], start, common, STRENGTH, range(len(FIVE)))
    known = photographs.counts + pictures.counts
    rare = [k for k in _RARE if known[k] >= FEWEST]
    both = [photographs, pictures]
    biases, _ = _fit(both, biases, rare, RARE_STRENGTH, [*range(len(FIVE)), *rare])
    biases = _spare(photographs, biases, rare)
    _, temperature = _fit([photographs], biases, [], 0.0, range(len(FIVE)))
    return biases, temperature


def _fit(
    sources: Sequence[ReadFaces],
    start: NDArray[np.float64],
    fitted: Sequence[int],
    strength: float,
    counted: Sequence[int],
) -> tuple[NDArray[np.float64], float]:
    """Fit some biases and a temperature of each source; return all biases and the first one's.

    Args:
        sources: faces.
        start: biases of all categories.
        fitted: indices of those that are fitted.
        strength: with which these are drawn to where they start.
        counted: indices of the categories whose faces count, each alike.
    """
    counts = np.maximum(sum(source.counts for source in sources), 1)
    weights = np.where(np.isin(np.arange(len(counts)), counted), 1 / (len(counted) * counts), 0.0)

    def biases(own: NDArray[np.float64]) -> NDArray[np.float64]:
        moved = start.copy()
        moved[list(fitted)] += own
        return moved

    def cost(parameters: NDArray[np.float64]) -> float:
        own = parameters[len(sources) :]
        lost = sum(
            float(weights[source.truth] @ source.losses(biases(own), np.exp(logarithm)))
            for source, logarithm in zip(sources, parameters, strict=False)
        )
        return lost + strength / 2 * float(own @ own)

    limits = (np.log(LEAST), np.log(MOST))
    bounds = [limits] * len(sources) + [(None, None)] * len(fitted)
    best = minimize(cost, np.zeros(len(bounds)), method="L-BFGS-B", bounds=bounds)
    return biases(best.x[len(sources) :]), float(np.exp(best.x[0]))


def _spare(
    photographs: ReadFaces, biases: NDArray[np.float64], rare: Sequence[int]
) -> NDArray[np.float64]:
    """Lower the biases of rare categories until they take no photograph that must be spared."""
    spared = np.isin(photographs.truth, [FIVE.index(name) for name in _SPARED])
    logits, truth = photographs.logits[spared], photographs.truth[spared]

    def right(shifts: NDArray[np.float64]) -> int:
        return int(((logits + shifts).argmax(axis=1) == truth).sum())

    lowered = biases.copy()
    without = biases.copy()
    without[list(rare)] = np.minimum(biases[list(rare)], 0.0)
    for k in rare:
        # The last candidate is 0 itself, with which nothing is taken.
        for bias in [*np.arange(biases[k], without[k], -_STEP), without[k]]:
            lowered[k] = bias
            alone = np.where(np.arange(len(biases)) == k, bias, without)
            if right(alone) >= right(without):
                break
    return lowered


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


def fitted_prior(card: ModelCard, answers: ChainAnswers, pictures: ReadFaces) -> FittedPrior:
    """Return the prior that fits the answers of a chain for photographs of half A.

    The threshold is the highest at which as many of them get a name as with the prior of the data:
    who sees the names shall not see fewer.

    Args:
        card: of the model; its temperature, threshold and shares count.
        answers: with the prior of the data and the card's temperature.
        pictures: of half A of PublicTest.

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
    photographs = ReadFaces(logits[has_face], answers.truth[has_face])
    biases, temperature = fit_prior(photographs, pictures, card.label_shares)
    rounded = tuple(round(float(bias), 4) for bias in biases)
    temperature = round(temperature, 4)
    after = with_prior(answers, card.temperature, rounded, temperature)
    named = int((answers.shares[answers.usable].max(axis=1) >= card.uncertain_below).sum())
    tops = after.shares[after.usable].max(axis=1)
    threshold = next(i for i in range(100, -1, -1) if int((tops >= i / 100).sum()) >= named)
    return FittedPrior(biases=rounded, temperature=temperature, uncertain_below=threshold / 100)
