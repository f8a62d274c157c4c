"""Two models side by side: the test between them and what is printed."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("sklearn", reason="the training extra is not installed")

from edge_agent.core.errors import ModelError
from tests.support.vision.stripes import stripe_faces, stripe_model
from training.report.compare import compare_files, comparison_text, mcnemar


def right(*counts: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Answers of two models: so many both right, only the first, only the second, neither."""
    pairs = [(True, True), (True, False), (False, True), (False, False)]
    rows = np.array([pair for pair, count in zip(pairs, counts, strict=True) for _ in range(count)])
    return rows[:, 0], rows[:, 1]


def test_mcnemar_is_the_exact_binomial_test_of_the_pictures_on_which_they_differ() -> None:
    found = mcnemar(*right(50, 1, 9, 40))

    assert (found.n, found.only_first, found.only_second) == (100, 1, 9)
    assert found.p == pytest.approx(2 * (1 + 10) / 2**10)  # 0.0215, by hand


def test_models_that_never_differ_are_not_found_to() -> None:
    assert mcnemar(*right(3, 0, 0, 2)).p == 1
    assert mcnemar(*right(3, 5, 5, 2)).p == 1


def test_two_files_are_judged_on_the_same_pictures_and_timed_in_turns(tmp_path: Path) -> None:
    first = stripe_model(tmp_path / "a")
    second = stripe_model(tmp_path / "b", temperature=2.0, version="2.0.0")

    found = compare_files(first, second, stripe_faces(70))

    assert found.tests["ferplus"].p == 1
    assert found.first.accuracy == found.second.accuracy
    assert found.first.calibration_error != found.second.calibration_error
    assert found.first.milliseconds > 0
    assert (found.first.model, found.second.model) == ("tiny 1.0.0", "tiny 2.0.0")
    ratio = found.as_json()["time_ratio"]
    assert isinstance(ratio, float)
    assert ratio == pytest.approx(found.second.milliseconds / found.first.milliseconds)


def test_the_table_names_both_models_and_says_how_they_differ(tmp_path: Path) -> None:
    model = stripe_model(tmp_path)

    text = comparison_text(compare_files(model, model, stripe_faces(70)))

    assert "+0.00 points" in text
    assert "× 1.00" in text
    assert "McNemar's exact test on 70 pictures" in text


def test_a_model_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"absent\.json"):
        compare_files(stripe_model(tmp_path), tmp_path / "absent.tflite", stripe_faces(7))
