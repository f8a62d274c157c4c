"""Figures of a classifier: the numbers, the protocols, and what is printed."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("sklearn", reason="the training extra is not installed")

from training.data.datasets import EXPRESSIONS, FER2013, NO_LABEL, VOTE_COLUMNS, Faces
from training.errors import DataError
from training.report.evaluate import classification_figures, evaluate_logits
from training.report.figures import evaluation_text

LABELS = ("a", "b", "c")


def indices(*values: int) -> NDArray[np.int64]:
    return np.array(values, dtype=np.int64)


def one_hot(names: Sequence[str], categories: Sequence[str]) -> NDArray[np.float32]:
    return np.array(
        [[float(name == category) for category in categories] for name in names], dtype=np.float32
    )


def faces(fer2013: Sequence[str | None], voted: Sequence[str | None]) -> Faces:
    """Faces with a class each, and ten votes for one category each."""
    return Faces(
        pictures=np.zeros((len(fer2013), 48, 48), dtype=np.uint8),
        fer2013=indices(*(NO_LABEL if name is None else FER2013.index(name) for name in fer2013)),
        votes=np.array(
            [[10 * (name == column) for column in VOTE_COLUMNS] for name in voted], dtype=np.uint8
        ),
        usage=np.ones(len(fer2013), dtype=np.int8),
    )


def test_the_figures_are_those_computed_by_hand() -> None:
    figures = classification_figures(indices(0, 0, 0, 1, 1, 2), indices(0, 0, 1, 1, 2, 2), LABELS)

    assert figures.n == 6
    assert figures.accuracy == pytest.approx(4 / 6)
    assert figures.confusion_matrix == ((2, 1, 0), (0, 1, 1), (0, 0, 1))
    assert figures.per_class["a"].precision == 1
    assert figures.per_class["a"].recall == pytest.approx(2 / 3)
    assert figures.per_class["b"].f1 == pytest.approx(1 / 2)
    assert figures.macro_f1 == pytest.approx((4 / 5 + 1 / 2 + 2 / 3) / 3)


def test_a_category_without_pictures_has_zeros_and_does_not_lower_the_mean() -> None:
    figures = classification_figures(indices(0, 1), indices(0, 1), LABELS)

    assert (figures.per_class["c"].f1, figures.per_class["c"].n) == (0, 0)
    assert figures.macro_f1 == 1


def test_nothing_to_evaluate_is_an_error_and_no_number() -> None:
    with pytest.raises(DataError, match="no picture has a label"):
        classification_figures(indices(), indices(), LABELS)


def test_each_head_is_judged_by_its_own_protocol() -> None:
    logits = {
        "expression": one_hot(["anger", "happiness", "fear"], EXPRESSIONS),
        "fer2013": one_hot(["sad", "happy", "happy"], FER2013),
    }

    evaluation = evaluate_logits(
        logits, faces(["angry", "happy", "fear"], ["anger", "neutral", None])
    )

    assert evaluation.ferplus is not None
    assert evaluation.fer2013 is not None
    assert (evaluation.ferplus.n, evaluation.ferplus.accuracy) == (2, 0.5)
    assert evaluation.fer2013.n == 3
    assert evaluation.fer2013.accuracy == pytest.approx(1 / 3)


def test_a_model_without_the_second_head_is_judged_by_its_first() -> None:
    logits = {"expression": one_hot(["anger", "contempt", "surprise"], EXPRESSIONS)}
    logits["expression"][1, EXPRESSIONS.index("sadness")] = 0.5

    evaluation = evaluate_logits(logits, faces(["angry", "sad", "surprise"], [None, None, None]))

    assert evaluation.ferplus is None
    assert evaluation.fer2013 is not None
    assert evaluation.fer2013.accuracy == 1


def test_faces_without_any_label_are_an_error() -> None:
    with pytest.raises(DataError, match="no picture has a label"):
        evaluate_logits({"expression": one_hot(["anger"], EXPRESSIONS)}, faces([None], [None]))


def test_json_leads_with_the_votes_where_there_are_some() -> None:
    logits = {"expression": one_hot(["anger"], EXPRESSIONS), "fer2013": one_hot(["sad"], FER2013)}

    with_votes = evaluate_logits(logits, faces(["angry"], ["anger"])).as_json()
    without = evaluate_logits(logits, faces(["angry"], [None])).as_json()

    assert (with_votes["protocol"], with_votes["accuracy"]) == ("FER+ majority", 1)
    assert {
        "ferplus",
        "fer2013",
        "macro_f1",
        "per_class",
        "confusion_matrix",
        "n",
    } <= with_votes.keys()
    assert (without["protocol"], without["accuracy"]) == ("FER2013", 0)
    assert "ferplus" not in without


def test_the_table_shows_each_protocol_with_its_categories_and_counts() -> None:
    logits = {"expression": one_hot(["anger"], EXPRESSIONS), "fer2013": one_hot(["sad"], FER2013)}

    text = evaluation_text(evaluate_logits(logits, faces(["angry"], ["anger"])))

    assert "FER+ majority: 100.0% of 1 pictures right" in text
    assert "FER2013: 0.0% of 1 pictures right" in text
    assert text.count("is / said") == 2
