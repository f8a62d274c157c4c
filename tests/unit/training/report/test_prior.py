"""A prior is fitted on what people say of photographs, rare categories on pictures besides."""

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
from training.report.prior import ReadFaces, fit_prior, fitted_prior, with_prior

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


def pictures(each: int = 40, of_rare: int = 20) -> ReadFaces:
    """Pictures of the data, read more surely, with faces of two rare categories."""
    rng = np.random.default_rng(4)
    truth = np.concatenate([np.repeat(np.arange(5), each), np.repeat([5, 6], of_rare)])
    logits = 2 * rng.normal(size=(len(truth), 8))
    logits[np.arange(len(truth)), truth] += 6
    logits += 0.5 * np.log(SHARES)
    return ReadFaces(logits, truth)


def fit(photographs: ReadFaces) -> tuple[NDArray[np.float64], float]:
    return fit_prior(photographs, pictures(), SHARES)


def test_prior_strongly_drawn_starts_from_the_shares_and_spares_the_rare(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(prior, "STRENGTH", 1e6)
    monkeypatch.setattr(prior, "RARE_STRENGTH", 1e6)

    biases, _ = fit(ReadFaces(*faces()))

    start = [-prior.EVENNESS * math.log(share / SHARES[0]) for share in SHARES[:5]]
    assert biases.tolist() == pytest.approx([*start, 0, 0, 0], abs=1e-4)


def test_prior_raises_the_category_that_drifts_to_neutral() -> None:
    logits, truth = faces()
    biases, temperature = fit(ReadFaces(logits, truth))

    start = [-prior.EVENNESS * math.log(share / SHARES[0]) for share in SHARES[:5]]
    own = biases[:5] - start
    assert own[SADNESS] > 0.1
    assert own.argmax() == SADNESS
    assert temperature > 0.2
    sad = [(logits + shift * np.eye(8)[SADNESS]).argmax(axis=1) for shift in (0, biases[SADNESS])]
    recalls = [(one[truth == SADNESS] == SADNESS).mean() for one in sad]
    assert recalls[1] > recalls[0]


def test_rare_categories_are_fitted_each_by_its_faces_and_stay_0_without() -> None:
    biases, _ = fit(ReadFaces(*faces()))
    assert biases[5] > biases[6] > 0.1, "the rarer among the data is raised more"
    assert biases[7] == 0, "no face shows it"
    few = fit_prior(ReadFaces(*faces()), pictures(of_rare=prior.FEWEST - 1), SHARES)[0]
    assert few[5:].tolist() == [0, 0, 0]


def test_rare_category_takes_no_angry_photograph() -> None:
    logits, truth = faces()
    angry = np.flatnonzero(truth == FIVE.index("anger"))[0]
    logits[angry] = 0
    logits[angry, 4] = 9
    read = ReadFaces(logits, truth)
    free = fit(read)[0]
    logits[angry, 5] = 9 + free[4] - free[5] / 2  # with half of its bias it would be disgust

    spared = fit(read)[0]

    assert 0 <= spared[5] < free[5] / 2 + 0.1
    assert spared[6] == pytest.approx(free[6], abs=0.1)
    assert (logits[angry] + spared).argmax() == 4


def test_prior_categories_count_alike_however_many_faces_they_have() -> None:
    logits, truth = faces()
    often = np.concatenate([np.arange(len(truth)), *[np.flatnonzero(truth == 1)] * 3])

    once, thrice = fit(ReadFaces(logits, truth)), fit(ReadFaces(logits[often], truth[often]))

    assert once[0][:5].tolist() == pytest.approx(thrice[0][:5].tolist(), abs=1e-3)
    assert once[1] == pytest.approx(thrice[1], abs=1e-2)


def test_prior_category_without_a_face_is_named() -> None:
    logits, truth = faces()
    kept = truth != SADNESS
    with pytest.raises(DataError, match="no photograph of half A that is read as sadness"):
        fit(ReadFaces(logits[kept], truth[kept]))


def test_fitted_prior_leaves_no_more_faces_uncertain_than_before(tmp_path: Path) -> None:
    read = answers(*faces(), 0.8)
    before = photograph_figures(read, 0.7)

    fitted = fitted_prior(card(tmp_path), read, pictures())

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
