"""Whether a model is as sure as it is right, and what it gains by not answering."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from training.data.datasets import Faces, split_held_back
from training.errors import DataError
from training.report.calibration import (
    ALLOWED_ERROR,
    BINS,
    CERTAINTY,
    Answered,
    best_temperature,
    bias_corrected_temperature,
    calibration,
    choose_threshold,
    error_bound,
    in_half_a,
    proven_threshold,
    risk_coverage,
)


def shares_of(confidences: list[float]) -> NDArray[np.float64]:
    """Two categories; the first has the given probability."""
    return np.array([[value, 1 - value] for value in confidences])


def truth(*right: bool) -> NDArray[np.int64]:
    """Index 0, which the first category is, where the answer is right."""
    return np.array([0 if one else 1 for one in right], dtype=np.int64)


def test_the_error_is_the_one_computed_by_hand() -> None:
    # bins of a fifteenth: 0.9 and 0.92 in (13/15, 14/15], 0.7 in (10/15, 11/15]
    found = calibration(shares_of([0.9, 0.92, 0.7]), truth(True, False, True))

    assert found.n == 3
    assert found.error == pytest.approx(2 / 3 * abs(0.5 - 0.91) + 1 / 3 * abs(1 - 0.7))
    assert len(found.bins) == BINS
    assert (found.bins[13].n, found.bins[13].accuracy) == (2, 0.5)
    assert found.bins[13].confidence == pytest.approx(0.91)


@pytest.mark.parametrize("figure", [calibration, risk_coverage])
def test_without_faces_there_is_an_error_and_no_number(figure: object) -> None:
    assert callable(figure)
    with pytest.raises(DataError, match="no face has a label"):
        figure(np.zeros((0, 8)), np.zeros(0, dtype=np.int64))


def test_copies_of_picture_lie_in_one_half_and_halves_are_of_held_back_cut() -> None:
    pictures = np.random.default_rng(1).integers(0, 256, (200, 48, 48), dtype=np.uint8)
    first = in_half_a(pictures)
    faces = Faces(pictures, np.arange(200), np.zeros((200, 10), np.uint8), np.zeros(200, np.int8))

    assert 70 < first.sum() < 130
    assert np.array_equal(first, in_half_a(pictures.copy()))
    assert np.array_equal(split_held_back(faces, 0.5)[1].fer2013, np.flatnonzero(first))


@given(st.lists(st.tuples(st.floats(0.5, 1), st.booleans()), min_size=1, max_size=40))
def test_a_higher_threshold_answers_fewer_faces(faces: list[tuple[float, bool]]) -> None:
    curve = risk_coverage(
        shares_of([one for one, _ in faces]), truth(*(right for _, right in faces))
    )

    assert [point.threshold for point in curve] == [i / 100 for i in range(100)]
    assert curve[0].coverage == 1
    assert all(before.coverage >= after.coverage for before, after in itertools.pairwise(curve))


def test_the_threshold_is_last_before_first_whose_errors_may_be_too_many() -> None:
    curve = [
        Answered(0.2, 1.0, 0.96, 0.049),
        Answered(0.3, 0.97, 0.95, 0.05),
        Answered(0.4, 0.95, 0.97, 0.04),
        Answered(0.9, 0.5, 0.99, 0.03),
        Answered(0.95, 0.1, 0.99, 0.2),
    ]

    assert choose_threshold(curve) == 0.4


@pytest.mark.parametrize(
    ("right", "wrong", "threshold"), [(44, 0, None), (45, 0, 0.0), (200, 20, None), (0, 0, None)]
)
def test_a_threshold_is_proven_by_45_right_answers_and_not_by_fewer_or_worse(
    right: int, wrong: int, threshold: float | None
) -> None:
    answers = truth(*[True] * right, *[False] * wrong)
    assert proven_threshold(shares_of([0.95] * len(answers)), answers) == threshold


@pytest.mark.parametrize(
    ("wrong", "answers", "bound"), [(0, 45, 0.04988), (50, 1000, 0.06002), (3, 3, 1.0)]
)
def test_the_bound_of_the_error_is_that_of_clopper_and_pearson(
    wrong: int, answers: int, bound: float
) -> None:
    # SciPy: binomtest(wrong, answers, alternative="less").proportion_ci(0.9).high
    assert error_bound(wrong, answers) == pytest.approx(bound, abs=1e-4)


def test_the_promise_is_broken_in_no_more_than_one_of_ten_samples() -> None:
    random = np.random.default_rng(5)
    broken = 0
    for _ in range(100):
        confidence = random.uniform(0.5, 1, 800)
        right = random.uniform(size=800) < confidence
        threshold = choose_threshold(risk_coverage(shares_of(list(confidence)), truth(*right)))
        # of all faces above a threshold, half of what is missing to 1 is wrong
        broken += (1 - threshold) / 2 > ALLOWED_ERROR

    assert broken <= 100 * (1 - CERTAINTY)


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
