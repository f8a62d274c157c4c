"""The classifier turns logits into calibrated probabilities, and refuses models that cannot read a
face crop.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_agent.config.vision import VisionSettings
from edge_agent.core.errors import ModelError
from edge_agent.core.expression import Emotion
from edge_agent.vision.classifier import ExpressionClassifier, softmax
from edge_agent.vision.models.model import load_model
from edge_agent.vision.recognizer import open_recognizer
from tests.support.vision.portraits import serious
from tests.support.vision.tiny_model import SIDE, expression_card, tiny_tflite, write_model

WHITE = np.full((SIDE, SIDE), 255, np.uint8)


def classifier(folder: Path, content: bytes = b"", **changes: Any) -> ExpressionClassifier:
    content = content or tiny_tflite()
    return ExpressionClassifier(
        load_model(
            write_model(folder, content, expression_card(content, **changes)), kind="expression"
        )
    )


def test_probabilities_are_the_softmax_of_logits_at_temperature_of_card(tmp_path: Path) -> None:
    # the tiny model's logits are 0, 1, … 7
    expression = classifier(tmp_path, temperature=2.0).classify(WHITE)
    powers = [math.exp(i / 2) for i in range(8)]
    assert expression.probabilities == pytest.approx([p / sum(powers) for p in powers], abs=1e-12)
    assert expression.dominant is Emotion.CONTEMPT


def test_a_balanced_prior_takes_all_categories_as_equally_common(tmp_path: Path) -> None:
    shares = [0.4, 0.25, 0.15, 0.1, 0.06, 0.03, 0.01, 0.0]
    content = tiny_tflite()
    card = expression_card(content, temperature=2.0, label_shares=shares)
    model = load_model(write_model(tmp_path, content, card), kind="expression")
    learnt = ExpressionClassifier(model).classify(WHITE).probabilities
    balanced = ExpressionClassifier(model, "balanced").classify(WHITE).probabilities
    # Bayes' rule; a category that the data did not have is raised as the commonest one
    raised = [p / (share or 0.4) for p, share in zip(learnt, shares, strict=True)]
    assert balanced == pytest.approx([p / sum(raised) for p in raised], abs=1e-9)


def test_a_card_without_shares_has_one_prior(tmp_path: Path) -> None:
    content = tiny_tflite()
    model = load_model(write_model(tmp_path, content, expression_card(content)), kind="expression")
    with pytest.raises(ModelError, match='"balanced" needs label_shares in the card'):
        ExpressionClassifier(model, "balanced")


def test_classifier_fitted_prior_is_that_of_the_card(tmp_path: Path) -> None:
    biases = [0.0, 0.1, 0.6, 0.6, 0.8, 1.7, 1.2, 1.7]
    fitted = {"biases": biases, "temperature": 1.5, "uncertain_below": 0.3}
    content = tiny_tflite()
    card = expression_card(content, temperature=2.0, uncertain_below=0.5, fitted_prior=fitted)
    model = load_model(write_model(tmp_path, content, card), kind="expression")

    read = ExpressionClassifier(model, "fitted")

    # the tiny model's logits are 0, 1, … 7
    powers = [math.exp((i + bias) / 1.5) for i, bias in enumerate(biases)]
    expected = [p / sum(powers) for p in powers]
    assert read.classify(WHITE).probabilities == pytest.approx(expected, abs=1e-12)
    assert (read.prior, read.uncertain_below) == ("fitted", 0.3)
    assert ExpressionClassifier(model).uncertain_below == 0.5


def test_classifier_card_without_a_fitted_prior_reads_with_that_of_data(tmp_path: Path) -> None:
    content = tiny_tflite()
    model = load_model(write_model(tmp_path, content, expression_card(content)), kind="expression")

    read = ExpressionClassifier(model, "fitted")

    assert read.prior == "data"
    assert read.classify(WHITE) == ExpressionClassifier(model, "data").classify(WHITE)


def test_both_classifiers_by_need_have_the_prior_of_the_settings() -> None:
    def disgust(**changes: str) -> float:
        settings = VisionSettings().model_copy(update=changes)
        (reading,) = open_recognizer(settings).read_picture(serious())
        return reading.expression.as_dict()["disgust"]

    for model in ("expression-accurate", "expression-fast"):
        learnt = disgust(expression_model=model, prior="data")
        assert disgust(expression_model=model, prior="balanced") > 5 * learnt > 0


def test_probabilities_sum_to_one_and_stay_finite_for_huge_logits() -> None:
    probabilities = softmax([1e4, -1e4, 0.0, 9_999.0], 0.5)
    assert math.fsum(probabilities) == pytest.approx(1.0, abs=1e-15)
    assert probabilities[0] == pytest.approx(1 / (1 + math.exp(-2)), abs=1e-12)


@pytest.mark.parametrize(
    ("shape", "changes", "said"),
    [
        ((1, SIDE, SIDE * 2, 1), {"width": SIDE * 2}, "its input is 8 × 4 gray"),
        ((1, SIDE, SIDE, 3), {"channels": 3, "color": "rgb"}, "its input is 4 × 4 rgb"),
    ],
    ids=["not square", "colour"],
)
def test_a_model_without_a_square_gray_input_is_refused(
    shape: tuple[int, ...], changes: dict[str, Any], said: str, tmp_path: Path
) -> None:
    weights = np.ones((8, math.prod(shape)), np.float32)
    entry = expression_card(b"")["input"] | changes
    with pytest.raises(ModelError, match=said):
        classifier(tmp_path, tiny_tflite(weights=weights, shape=shape), input=entry)


def test_a_face_detector_is_no_classifier(tmp_path: Path) -> None:
    content = tiny_tflite()
    card = expression_card(content, kind="face-detector", score_threshold=0.5)
    for key in ("temperature", "uncertain_below", "crop"):
        del card[key]
    detector = load_model(write_model(tmp_path, content, card), kind="face-detector")
    with pytest.raises(ModelError, match="is a face-detector model; an expression model is needed"):
        ExpressionClassifier(detector)
