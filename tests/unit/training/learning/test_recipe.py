"""Recipes: what is accepted, and how a fault is named before anything is read or trained."""

from __future__ import annotations

import tomllib
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
from torch import nn

from edge_agent.vision.models.card import read_card, shipped_models
from tests.support.vision.tiny_faces import faces, tiny_recipe
from training.errors import RecipeError
from training.expression.covers import CoverRecipe
from training.expression.movements import SIZES, MovementRecipe
from training.expression.recipe import ExpressionRecipe
from training.faces.detector import DetectorRecipe
from training.learning.kinds import FitRequest, plan
from training.learning.memory import memory_format
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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("epochs = 2", "epochs = 0"),
            r"tiny\.toml: schedule\.epochs: .*greater than or equal to 1",
        ),
        (("batch = 8", "batchsize = 8"), r"schedule\.batchsize: Extra inputs are not permitted"),
        (("schema = 1", "schema = 2"), r"schema: Input should be 1"),
        (("peak_lr = 0.1", "peak_lr = "), r"tiny\.toml: is not TOML"),
    ],
)
def test_a_wrong_recipe_names_the_key(
    tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe(written(tmp_path, GOOD.replace(*change)), Recipe)


def test_a_recipe_without_a_kind_says_which_there_are(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r'kind is missing; write kind = "expression"'):
        recipe_kind(written(tmp_path, "schema = 1\n"))


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
def test_the_classifiers_are_as_good_as_promised(name: str, ferplus: float, fer2013: float) -> None:
    figures = read_card(shipped_models()[name]).metrics["PublicTest"]

    assert (figures["fer2013_n"], figures["ferplus_n"]) == (3589, 3199)
    assert figures["fer2013_accuracy"] >= fer2013
    assert figures["ferplus_accuracy"] >= ferplus


ROOT = Path(__file__).resolve().parents[4]


RECIPE_FILES = sorted((ROOT / "training" / "recipes").glob("**/*.toml"))


def network_of(file: Path) -> nn.Module:
    if recipe_kind(file) == "expression":
        return load_recipe(file, ExpressionRecipe).build_network()
    if recipe_kind(file) == "face-cover":
        return load_recipe(file, CoverRecipe).network.build()
    if recipe_kind(file) == "face-movements":
        return load_recipe(file, MovementRecipe).network.build(SIZES)
    return load_recipe(file, DetectorRecipe).network.build()


@pytest.mark.parametrize("file", RECIPE_FILES, ids=lambda file: file.stem)
def test_the_networks_of_the_recipes_are_learnt_in_the_quick_layout(file: Path) -> None:
    assert memory_format(network_of(file)) == torch.channels_last


@pytest.mark.parametrize(
    ("convolution", "expected"),
    [
        (nn.Conv2d(4, 8, 1, stride=2), torch.contiguous_format),
        (nn.Conv2d(15, 8, 1, stride=(1, 2)), torch.contiguous_format),
        (nn.Conv2d(16, 8, 1, stride=2), torch.channels_last),
        (nn.Conv2d(4, 8, 1), torch.channels_last),
        (nn.Conv2d(4, 8, 3, stride=2), torch.channels_last),
    ],
)
def test_thin_layers_are_channels_first(
    convolution: nn.Module, expected: torch.memory_format
) -> None:
    assert memory_format(nn.Sequential(nn.ReLU(), nn.Sequential(convolution))) == expected


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("face-movements", "has no teachers that could label faces"),
        ("expression", "names no teachers, and nobody else labels"),
    ],
)
def test_faces_without_labels_need_teachers(kind: str, said: str, tmp_path: Path) -> None:
    file = RECIPES / "face-movements.toml"
    if kind == "expression":
        file = written(tmp_path, tiny_recipe())
    request = FitRequest(
        recipe=file,
        data=tmp_path / "none.csv",
        votes=None,
        out=tmp_path / "run",
        cache=tmp_path,
        unlabelled=(tmp_path,),
    )
    with (
        patch("training.expression.fit.load_without", return_value=faces(64)),
        pytest.raises(RecipeError, match=said),
    ):
        plan(request)
