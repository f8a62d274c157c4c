"""Recipes: what is accepted, and how a fault is named before anything is read or trained."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch
from torch import nn

from edge_agent.vision.models.card import read_card, shipped_models
from training.errors import RecipeError
from training.expression.covers import CoverRecipe
from training.expression.recipe import ExpressionRecipe
from training.faces.detector import DetectorRecipe
from training.learning.kinds import PLANNERS, FitRequest, plan
from training.learning.rates import memory_format
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


ROOT = Path(__file__).resolve().parents[4]


RECIPE_FILES = sorted((ROOT / "training" / "recipes").glob("**/*.toml"))


THIN = """
import torch
from torch import nn
from tests.support.vision.line_task import SCHEDULE
from training.learning.loop import begin, step

class Thin:
    steps_per_epoch = 1
    module = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 8, 1, stride=2), nn.BatchNorm2d(8)
    )

    def loss(self, module, batch):
        return module(batch[0]).square().mean(), {}

task = Thin()
state = begin(task, SCHEDULE)
for number in range(20):
    step(task, state, state.module, SCHEDULE, [torch.rand(8, 1, 48, 48)])
print("learnt")
"""


def network_of(file: Path) -> nn.Module:
    """The untrained network of a recipe."""
    if recipe_kind(file) == "expression":
        return load_recipe(file, ExpressionRecipe).build_network()
    if recipe_kind(file) == "face-cover":
        return load_recipe(file, CoverRecipe).network.build()
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
def test_a_thin_point_convolution_with_a_stride_is_learnt_channels_first(
    convolution: nn.Module, expected: torch.memory_format
) -> None:
    assert memory_format(nn.Sequential(nn.ReLU(), nn.Sequential(convolution))) == expected


@pytest.mark.deep
@pytest.mark.parametrize("threads", ["1", "2"])
def test_a_thin_network_learns_without_a_crash(threads: str) -> None:
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": threads}
    command = [sys.executable, "-c", THIN]

    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=100, check=False
    )

    assert (done.returncode, done.stdout) == (0, "learnt\n"), done.stderr[-2000:]
