"""The temperature that makes a model as sure as it is right."""

import numpy as np
import pytest
from numpy.typing import NDArray

from training.errors import DataError
from training.report.calibration import LEAST, MOST, best_temperature, bias_corrected_temperature


def said_and_voted(true_temperature: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Logits, and vote shares that agree with softmax(logits / temperature)."""
    logits = np.random.default_rng(4).normal(0, 3, (400, 8)).astype(np.float32)
    powers = np.exp(logits / true_temperature)
    return logits, (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("true_temperature", [0.5, 1.0, 1.7, 3.0])
def test_the_temperature_that_made_the_votes_is_found_again(true_temperature: float) -> None:
    assert best_temperature(*said_and_voted(true_temperature)) == pytest.approx(
        true_temperature, rel=1e-3
    )


def test_a_temperature_stays_within_its_bounds() -> None:
    logits, shares = said_and_voted(1.0)

    assert (
        LEAST <= best_temperature(logits, np.eye(8, dtype=np.float32)[logits.argmax(axis=1)]) < 0.3
    )
    assert 4.5 < best_temperature(logits, np.full_like(shares, 1 / 8)) <= MOST


def test_faces_that_nobody_voted_on_do_not_count() -> None:
    logits, shares = said_and_voted(1.7)
    shares[:200] = 0

    assert best_temperature(logits, shares) == pytest.approx(1.7, rel=1e-3)


def test_without_any_vote_there_is_an_error_and_no_number() -> None:
    logits, shares = said_and_voted(1.0)

    with pytest.raises(DataError, match="no held-back face has a label"):
        best_temperature(logits, np.zeros_like(shares))


def test_biases_and_temperature_that_made_the_labels_are_found_again() -> None:
    random = np.random.default_rng(5)
    logits = random.normal(0, 2, (20_000, 4)).astype(np.float32)
    bias = np.array([0.6, -0.9, 0.1, 0.2])
    noise = random.gumbel(size=logits.shape)  # its largest sum with z is drawn as softmax(z) says

    temperature, found = bias_corrected_temperature(
        logits, (logits / 1.4 + bias + noise).argmax(axis=1)
    )

    assert temperature == pytest.approx(1.4, rel=0.05)
    assert found == pytest.approx(bias, abs=0.08)


def test_a_category_that_no_label_names_keeps_a_finite_bias() -> None:
    logits = np.random.default_rng(6).normal(0, 1, (500, 3)).astype(np.float32)

    _, bias = bias_corrected_temperature(logits, logits[:, :2].argmax(axis=1))

    assert -10 < bias[2] < bias[:2].min()


def test_without_any_label_there_is_an_error_and_no_bias() -> None:
    with pytest.raises(DataError, match="no held-back face has a label"):
        bias_corrected_temperature(np.zeros((0, 3), dtype=np.float32), np.zeros(0, dtype=np.int64))
