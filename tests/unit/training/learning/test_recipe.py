"""Recipes: what is accepted, and how a fault is named before anything is read or trained."""

import tomllib
from pathlib import Path

import pytest

from edge_agent.vision.models.card import read_card, shipped_models
from training.errors import RecipeError
from training.learning.kinds import PLANNERS, FitRequest, plan
from training.learning.recipe import Recipe, load_recipe, recipe_kind

RECIPES = Path(__file__).resolve().parents[4] / "training" / "recipes"
GOOD = """
schema = 1
kind = "expression"
name = "tiny"
version = "1.0.0"
license = "Apache-2.0"
description = "A test."
limits = []
seed = 1
[schedule]
epochs = 2
batch = 8
peak_lr = 0.1
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "tiny.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_good_recipe_is_read(tmp_path: Path) -> None:
    recipe = load_recipe(written(tmp_path, GOOD), Recipe)

    assert (recipe.name, recipe.schedule.epochs, recipe.schedule.optimizer) == ("tiny", 2, "sgd")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("epochs = 2", "epochs = 0"),
            r"tiny\.toml: schedule\.epochs: .*greater than or equal to 1",
        ),
        (("batch = 8", "batchsize = 8"), r"schedule\.batchsize: Extra inputs are not permitted"),
        (("seed = 1", ""), r"seed: Field required"),
        (
            ('kind = "expression"', 'kind = "mood"'),
            r"kind: Input should be 'expression', 'face-detector' or 'face-cover'",
        ),
        (("schema = 1", "schema = 2"), r"schema: Input should be 1"),
        (('name = "tiny"', 'name = "../tiny"'), r"name: String should match pattern"),
        (("peak_lr = 0.1", "peak_lr = "), r"tiny\.toml: is not TOML"),
    ],
)
def test_a_wrong_recipe_names_the_key_and_what_is_allowed(
    tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe(written(tmp_path, GOOD.replace(*change)), Recipe)


def test_a_missing_recipe_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"absent\.toml: cannot be read: No such file"):
        recipe_kind(tmp_path / "absent.toml")


def test_a_recipe_without_a_kind_says_which_there_are(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r'kind is missing; write kind = "expression"'):
        recipe_kind(written(tmp_path, "schema = 1\n"))


def test_an_unknown_kind_cannot_be_planned(tmp_path: Path) -> None:
    path = written(tmp_path, 'kind = "mood"\n')

    with pytest.raises(RecipeError, match="kind 'mood' is not one of expression, face-detector"):
        plan(FitRequest(path, tmp_path, None, tmp_path, tmp_path))


@pytest.mark.parametrize("path", sorted(RECIPES.rglob("*.toml")), ids=lambda path: path.stem)
def test_each_published_recipe_names_a_kind_that_can_be_trained_and_the_file_it_becomes(
    path: Path,
) -> None:
    recipe_text = path.read_text(encoding="utf-8")

    assert recipe_kind(path) in PLANNERS
    assert f'name = "{path.stem}"' in recipe_text


@pytest.mark.parametrize("path", shipped_models().values(), ids=lambda path: path.stem)
def test_each_shipped_model_came_from_its_recipe_as_it_stands(path: Path) -> None:
    card = read_card(path)
    recipe = tomllib.loads((RECIPES / card.training.recipe).read_text(encoding="utf-8"))

    assert (card.name, card.version, card.kind) == (
        recipe["name"],
        recipe["version"],
        recipe["kind"],
    )
    assert (card.training.seed, card.training.epochs) == (
        recipe["seed"],
        recipe["schedule"]["epochs"],
    )
    assert list(card.limits) == recipe["limits"]


@pytest.mark.parametrize(
    ("name", "ferplus", "fer2013"),
    [("expression-accurate", 0.89, 0.715), ("expression-fast", 0.87, 0.695)],
)
def test_the_shipped_classifiers_are_as_good_as_was_promised(
    name: str, ferplus: float, fer2013: float
) -> None:
    figures = read_card(shipped_models()[name]).metrics["PublicTest"]

    assert (figures["fer2013_n"], figures["ferplus_n"]) == (3589, 3199)
    assert figures["fer2013_accuracy"] >= fer2013
    assert figures["ferplus_accuracy"] >= ferplus
