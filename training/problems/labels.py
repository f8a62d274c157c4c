"""Labels that the shipped networks doubt, by the rule of confident learning.

Northcutt, Jiang and Chuang 2021, "Confident learning: estimating uncertainty in dataset labels",
Journal of Artificial Intelligence Research 70, doi 10.1613/jair.1.12125: a category's threshold is
the mean probability that a network gives it where people labelled it so. A picture counts for a
category whose threshold it reaches, for the most probable one if there are several; its label is
doubted when that is another. The thresholds make up for a network that is surer of some categories
than of others. Here the network must also find the other category more probable than the label,
which matters where few pictures make a threshold.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge_agent.vision.models.card import find_model
from edge_agent.vision.models.model import load_model
from training.data.datasets import NO_LABEL
from training.measuring.calibration import probabilities
from training.measuring.evaluate import run_model

JUDGES = ("expression-fast", "expression-accurate")
"""The networks that have to doubt a label together."""


def answers_of(pictures: NDArray[np.uint8]) -> list[NDArray[np.float64]]:
    """What each of the networks says: probabilities of the eight categories, N × 8."""
    answers = []
    for name in JUDGES:
        model = load_model(find_model(name), kind="expression")
        logits = run_model(model, pictures)["expression"]
        answers.append(probabilities(logits, model.card.temperature or 1.0))
    return answers


def confident_answers(answers: NDArray[np.float64], labels: NDArray[np.intp]) -> NDArray[np.intp]:
    """The category that a network is confident of, or ``NO_LABEL``: intp, N.

    Args:
        answers: probabilities, N × K.
        labels: index of the category that people gave; ``NO_LABEL`` where there is none.
    """
    thresholds = np.full(answers.shape[1], np.inf)  # nobody was labelled so: nothing reaches it
    for category in np.unique(labels[labels != NO_LABEL]):
        thresholds[category] = answers[labels == category, category].mean()
    reached = np.where(answers >= thresholds, answers, -1.0)
    best = reached.argmax(axis=1)
    return np.where(reached.max(axis=1) > 0, best, NO_LABEL)


def doubted_labels(
    answers: Sequence[NDArray[np.float64]], labels: NDArray[np.intp]
) -> dict[int, int]:
    """The pictures whose label all networks doubt, saying the same → what they say."""
    everyone = np.arange(len(labels))
    confident = [confident_answers(each, labels) for each in answers]
    doubted = (labels != NO_LABEL) & (confident[0] != NO_LABEL) & (confident[0] != labels)
    for each, own in zip(answers, confident, strict=True):
        doubted &= own == confident[0]
        doubted &= each[everyone, own] > each[everyone, labels]
    return {int(at): int(confident[0][at]) for at in np.flatnonzero(doubted)}
