"""Everything that is measured of one model: figures, confidence, copies, cost."""

import json
from pathlib import Path

import pytest

pytest.importorskip("sklearn", reason="the training extra is not installed")

from edge_agent.vision.models.model import TFLiteModel, load_model
from tests.support.vision.stripes import joined, stripe_faces, stripe_model, unlabelled
from tests.support.vision.tiny_model import expression_card, tiny_tflite, write_model
from training.errors import DataError
from training.report.figures import measured_text
from training.report.measure import measure


def model(folder: Path, **changes: object) -> TFLiteModel:
    return load_model(stripe_model(folder, **changes).with_suffix(".json"), kind="expression")


def test_the_figures_of_both_protocols_lead_and_the_rest_stands_beside_them(tmp_path: Path) -> None:
    measured = measure(model(tmp_path), stripe_faces(70), "PublicTest")

    found = measured.as_json()
    assert (found["protocol"], found["n"], found["accuracy"]) == (
        "FER+ majority",
        70,
        pytest.approx(0.8),
    )
    assert {
        "ferplus",
        "fer2013",
        "calibration_error",
        "confidence",
        "file_bytes",
        "speed",
    } <= found.keys()
    assert found["file_bytes"] == (tmp_path / "tiny.tflite").stat().st_size
    assert "robustness" not in found
    json.dumps(found)


def test_the_temperature_and_the_threshold_are_those_of_the_card(tmp_path: Path) -> None:
    sure = measure(
        model(tmp_path / "a", temperature=0.1, uncertain_below=0.0), stripe_faces(70), "PublicTest"
    )
    unsure = measure(
        model(tmp_path / "b", temperature=5.0, uncertain_below=0.99), stripe_faces(70), "PublicTest"
    )

    # always sure, right in 80 %
    assert sure.calibration["ferplus"].error == pytest.approx(0.2, abs=0.02)
    assert unsure.calibration["ferplus"].error > 0.3
    assert sure.confidence is not None
    assert unsure.confidence is not None
    assert (sure.confidence.answered.coverage, unsure.confidence.answered.coverage) == (1, 0)
    halves = sure.confidence.halves.values()
    assert sum(half.n for half in halves) == 70
    assert sum(
        half.n * half.fer2013_accuracy for half in halves if half.fer2013_accuracy is not None
    ) == pytest.approx(70 * sure.evaluation.headline()["fer2013_accuracy"], abs=0.01)


def test_pictures_that_lie_in_training_too_are_left_out_of_the_second_figures(
    tmp_path: Path,
) -> None:
    judged = stripe_faces(40, wrong_every=4)
    training = stripe_faces(
        8, usage="Training", wrong_every=4
    )  # the same first eight pictures, two of them mislabelled

    measured = measure(model(tmp_path), joined(training, judged), "PublicTest")

    assert measured.without_copies is not None
    assert measured.without_copies.headline()["ferplus_n"] == 40 - 8
    assert measured.evaluation.headline()["ferplus_n"] == 40


def test_without_training_pictures_nothing_is_said_of_copies(tmp_path: Path) -> None:
    assert measure(model(tmp_path), stripe_faces(14), "PublicTest").without_copies is None


def test_without_votes_the_confidence_is_judged_by_the_classes_alone(tmp_path: Path) -> None:
    measured = measure(model(tmp_path), stripe_faces(14, voted=False), "PublicTest")

    assert measured.confidence is None
    assert list(measured.calibration) == ["fer2013"]
    assert "uncertain below" not in measured_text(measured)


def test_what_int8_lost_is_told_where_the_card_has_the_figures_of_the_network(
    tmp_path: Path,
) -> None:
    figures = {"PublicTest, float": {"ferplus_accuracy": 0.85, "ferplus_n": 70}}

    measured = measure(model(tmp_path, metrics=figures), stripe_faces(70), "PublicTest")

    assert measured.as_json()["int8_loss"] == {"ferplus": pytest.approx(5.0)}
    assert "int8 loses (points)" in measured_text(measured)


def test_the_robustness_is_measured_only_when_asked(tmp_path: Path) -> None:
    measured = measure(model(tmp_path), stripe_faces(14), "PublicTest", robust=True, speed=False)

    found = measured.as_json()
    assert found["speed"] is None
    assert isinstance(found["robustness"], list)
    assert len(found["robustness"]) == 17
    assert {"robustness_worst", "robustness_worst_with_harsh"} <= found.keys()
    text = measured_text(measured)
    assert "half of the face covered:" in text
    assert "worst for FER+ majority, cover and harsher light aside: shifted" in text


def test_faces_without_labels_or_of_no_such_split_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no picture has a label"):
        measure(model(tmp_path), unlabelled(stripe_faces(7)), "PublicTest")
    with pytest.raises(DataError, match="hold no picture of usage PrivateTest"):
        measure(model(tmp_path), stripe_faces(7), "PrivateTest")


def test_pictures_are_brought_to_the_size_that_a_model_takes(tmp_path: Path) -> None:
    content = tiny_tflite()
    small = load_model(write_model(tmp_path, content, expression_card(content)), kind="expression")

    assert measure(small, stripe_faces(7), "PublicTest").evaluation.headline()["ferplus_n"] == 7
