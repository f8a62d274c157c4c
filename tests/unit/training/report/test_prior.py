"""A prior is fitted on what people say of photographs, and drawn to half of the data's."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_agent.vision.models.card import ModelCard, read_card
from tests.support.vision.stripes import stripe_model
from training.errors import DataError
from training.report import prior
from training.report.chain import ChainAnswers
from training.report.photographs import FIVE, photograph_figures
from training.report.prior import fit_prior, fitted_prior, with_prior

SHARES = (0.4, 0.25, 0.1, 0.1, 0.1, 0.01, 0.03, 0.01)
SADNESS = FIVE.index("sadness")


def faces(each: int = 40) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Logits of faces with the prior of `SHARES`, of which sad ones drift to neutral besides."""
    rng = np.random.default_rng(3)
    truth = np.repeat(np.arange(5), each)
    logits = rng.normal(size=(len(truth), 8))
    logits[np.arange(len(truth)), truth] += 3
    logits[truth == SADNESS, 0] += 2
    logits += 0.5 * np.log(SHARES)
    return logits, truth


def answers(
    logits: NDArray[np.float64], truth: NDArray[np.int64], temperature: float
) -> ChainAnswers:
    powers = np.exp(logits / temperature)
    shares = powers / powers.sum(axis=1, keepdims=True)
    return ChainAnswers(truth, shares, np.ones(len(truth), np.bool_))


def card(folder: Path) -> ModelCard:
    path = stripe_model(folder, label_shares=SHARES, temperature=0.8, uncertain_below=0.7)
    return read_card(path.with_suffix(".json"))


def test_prior_strongly_drawn_is_half_the_logarithm_of_the_shares(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(prior, "STRENGTH", 1e6)

    biases, _ = fit_prior(*faces(), SHARES)

    half = [-0.5 * math.log(share / SHARES[0]) for share in SHARES]
    assert biases.tolist() == pytest.approx(half, abs=1e-4)


def test_prior_raises_the_category_that_drifts_to_neutral() -> None:
    logits, truth = faces()
    biases, temperature = fit_prior(logits, truth, SHARES)

    start = [-0.5 * math.log(share / SHARES[0]) for share in SHARES]
    own = biases - start
    assert own[SADNESS] > 0.1
    assert own.argmax() == SADNESS
    assert own[5] == pytest.approx(own[6]) == pytest.approx(own[7]), "the rare share one"
    assert temperature > 0.2
    sad = [(logits + shift * np.eye(8)[SADNESS]).argmax(axis=1) for shift in (0, biases[SADNESS])]
    recalls = [(one[truth == SADNESS] == SADNESS).mean() for one in sad]
    assert recalls[1] > recalls[0]


def test_prior_categories_count_alike_however_many_faces_they_have() -> None:
    logits, truth = faces()
    often = np.concatenate([np.arange(len(truth)), *[np.flatnonzero(truth == 1)] * 3])

    once, thrice = fit_prior(logits, truth, SHARES), fit_prior(logits[often], truth[often], SHARES)

    assert once[0].tolist() == pytest.approx(thrice[0].tolist(), abs=1e-3)
    assert once[1] == pytest.approx(thrice[1], abs=1e-3)


def test_prior_category_without_a_face_is_named() -> None:
    logits, truth = faces()
    kept = truth != SADNESS
    with pytest.raises(DataError, match="no photograph of half A that is read as sadness"):
        fit_prior(logits[kept], truth[kept], SHARES)


def test_fitted_prior_names_as_many_faces_as_before(tmp_path: Path) -> None:
    read = answers(*faces(), 0.8)
    before = photograph_figures(read, 0.7)

    fitted = fitted_prior(card(tmp_path), read)

    after = with_prior(read, 0.8, fitted.biases, fitted.temperature)
    now = photograph_figures(after, fitted.uncertain_below)
    assert now.named >= before.named
    assert photograph_figures(after, fitted.uncertain_below + 0.01).named < before.named
    assert now.recall["sadness"] > before.recall["sadness"]
    assert now.mean_recall > before.mean_recall


def test_photograph_without_a_face_stays_without_an_answer() -> None:
    read = answers(*faces(), 0.8)
    read.shares[0] = 0
    read.usable[0] = False

    after = with_prior(read, 0.8, (0.0,) * 8, 0.8)

    assert not after.has_face[0]
    assert after.shares[1:] == pytest.approx(read.shares[1:])
    assert photograph_figures(after, 0.0).named == pytest.approx(1 - 1 / len(read.truth))
