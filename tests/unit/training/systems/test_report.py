"""Systems side by side: one protocol, and a report in which every figure stands."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="the training extra is not installed")

from edge_agent.vision.models.model import load_model
from tests.support.vision.stripes import stripe_faces, stripe_model
from training.expression.recipe import ExpressionRecipe
from training.expression.systems import (
    Comparison,
    System,
    backbone_pairs,
    compare_systems,
    report_files,
)
from training.learning.recipe import load_recipe

pytestmark = pytest.mark.training

RECIPES = Path(__file__).resolve().parents[4] / "training" / "recipes" / "literature"
CURVES = ({"epoch": 1.0, "train_loss": 2.0, "valid_fer2013_accuracy": 0.3},)


def system(folder: Path, name: str) -> System:
    stripe_model(folder / name, name=name)
    recipe = load_recipe(RECIPES / f"{name}.toml", ExpressionRecipe)
    return System(
        recipe, load_model(folder / name / f"{name}.json", kind="expression"), CURVES, recipe.base
    )


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    folder = tmp_path_factory.mktemp("systems")
    systems = [system(folder, "cnn-scratch"), system(folder, "cnn-transfer")]
    faces = stripe_faces(70)
    faces.fer2013[:3] = (faces.fer2013[:3] + 1) % 7  # so that all get some wrong
    return compare_systems(systems, faces, "Seventy stripes")


def test_each_pair_is_tested_and_what_all_get_wrong_is_named(comparison: Comparison) -> None:
    assert [one.name for one in comparison.evaluated] == ["cnn-scratch", "cnn-transfer"]
    for protocol, tests in comparison.tests.items():
        ((first, second, test),) = tests
        assert (first, second) == ("cnn-scratch", "cnn-transfer")
        assert test.p == 1, protocol
    wrong = [
        index for index, right in enumerate(comparison.evaluated[0].right["fer2013"]) if not right
    ]
    assert [one.index for one in comparison.missed] == wrong
    assert set(range(3)) <= set(wrong)
    assert all(one.label not in one.answers for one in comparison.missed)


def test_region_attention_stands_beside_its_own_backbone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.expression.systems.confusion_png", lambda *_: b"matrix")
    monkeypatch.setattr("training.expression.systems._report_curves", lambda _: b"curves")
    names = ("region-attention", "region-attention-none", "depthwise")
    systems = [system(tmp_path, name) for name in names]
    faces = stripe_faces(28)

    compared = compare_systems(systems, faces, "Stripes")

    assert [(one.name, other.name) for one, other in backbone_pairs(compared.evaluated)] == [
        ("region-attention", "region-attention-none")
    ]
    text = report_files(compared, faces.pictures)["systems.md"].decode()
    assert "## Region attention beside its backbone, FER+ majority" in text
    assert "| region-attention | region-attention-none | eyes |" in text
    assert text.count("| +0.0 | 1 |") == 14, "the same file gives the same answers"


def test_the_report_holds_every_figure_and_only_one_file_holds_pictures(
    comparison: Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.expression.systems.confusion_png", lambda *_: b"matrix")
    monkeypatch.setattr("training.expression.systems._report_curves", lambda _: b"curves")
    pictures = np.full((70, 48, 48), 99, dtype=np.uint8)

    files = report_files(comparison, pictures)

    assert sorted(files) == [
        *("all-wrong.png", "confusion-cnn-scratch.png", "confusion-cnn-transfer.png"),
        *("curves.png", "systems.html", "systems.md"),
    ]
    text = files["systems.md"].decode()
    accuracy = comparison.evaluated[0].figures["fer2013"].accuracy
    assert "Seventy stripes." in text
    assert comparison.processor in text
    assert "| cnn-transfer | mobilenet_v1_0.5_160_quant.tflite |" in text
    assert f"{accuracy:.2%}" in text
    assert "## Covered faces, FER2013" in text
    row = comparison.evaluated[1].covered[-1]
    assert f"| cnn-transfer | glasses | {row.figures['fer2013'].accuracy:.2%} |" in text
    assert f"| cnn-scratch | nothing | {accuracy:.2%} |" in text
    page = files["systems.html"].decode()
    assert f"<td>{accuracy:.2%}</td>" in page
    assert "all-wrong.png" not in text, "a committed report shows nobody's face"
