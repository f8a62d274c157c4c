"""Which runs a comparison takes, which it trains, and what it refuses."""

import shutil
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the training extra is not installed")

from tests.support.vision.stripes import stripe_model
from training.errors import RecipeError
from training.expression.systems import gather, recipe_files
from training.learning.kinds import FitRequest

pytestmark = pytest.mark.training

RECIPES = Path(__file__).resolve().parents[4] / "training" / "recipes" / "literature"
NAMES = ("cnn-scratch", "cnn-transfer")


def finished(runs: Path, name: str) -> Path:
    """A run as ``fit`` leaves it: model, card, recipe and curves."""
    card = stripe_model(runs / name, name=name).with_suffix(".json")
    shutil.copy(RECIPES / f"{name}.toml", card.parent / "recipe.toml")
    (card.parent / "curves.csv").write_text("epoch,train_loss\n1,2.5\n2,1.5\n", encoding="utf-8")
    return card.parent / f"{name}.json"


def request(folder: Path) -> FitRequest:
    return FitRequest(
        Path("none"), folder / "data.csv", None, folder, folder / "cache", weights=folder / "bases"
    )


def test_finished_runs_are_loaded_and_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[FitRequest] = []

    def train(wanted: FitRequest) -> Path:
        asked.append(wanted)
        return finished(tmp_path, wanted.out.name)

    monkeypatch.setattr("training.expression.systems.train", train)
    finished(tmp_path, NAMES[0])
    recipes = [RECIPES / f"{name}.toml" for name in NAMES]

    base = tmp_path / "bases" / "mobilenet_v1_0.5_160_quant.tflite"
    base.parent.mkdir()
    base.touch()

    systems = gather(recipes, tmp_path, request(tmp_path))

    assert [system.recipe.name for system in systems] == list(NAMES)
    assert [system.base for system in systems] == [None, "mobilenet_v1_0.5_160_quant.tflite"]
    assert systems[0].curves[1] == {"epoch": 2.0, "train_loss": 1.5}
    (one,) = asked
    assert (one.recipe, one.out) == (recipes[1], tmp_path / NAMES[1])
    assert one.resume, "it goes on after its last epoch"
    assert one.weights == base, "of a folder each takes the file that it names"


def test_a_run_of_another_recipe_is_not_taken_for_this_one(tmp_path: Path) -> None:
    finished(tmp_path, NAMES[0])
    changed = tmp_path / "cnn-scratch.toml"
    text = (RECIPES / "cnn-scratch.toml").read_text(encoding="utf-8")
    changed.write_text(text.replace("seed = 1", "seed = 2"), encoding="utf-8")

    with pytest.raises(RecipeError, match="was made by another recipe than"):
        gather([changed], tmp_path, request(tmp_path))


def test_a_folder_gives_its_recipes_by_name_and_none_twice(tmp_path: Path) -> None:
    found = recipe_files([RECIPES / "resnet34.toml", RECIPES])

    assert found[0].stem == "resnet34"
    assert [path.stem for path in found].count("resnet34") == 1
    assert len(found) == len(list(RECIPES.glob("*.toml")))
    with pytest.raises(RecipeError, match="1 recipes cannot be compared"):
        recipe_files([RECIPES / "resnet34.toml"])
    other = tmp_path / "resnet34.toml"
    with pytest.raises(RecipeError, match=r"two files are called resnet34\.toml"):
        recipe_files([RECIPES / "resnet34.toml", other])
