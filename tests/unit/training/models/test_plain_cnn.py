"""The plain network: what it gives, what it costs, and which shapes its recipe refuses."""

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the training extra is not installed")

import torch

from training.errors import RecipeError
from training.expression.recipe import ExpressionRecipe
from training.learning.recipe import load_recipe
from training.networks.architectures import SmallResNetSection
from training.networks.base import RegionNetwork, multiply_adds, parameters
from training.networks.published import PlainCnn, PlainCnnSection

pytestmark = pytest.mark.training

RECIPE = Path(__file__).resolve().parents[4] / "training" / "recipes" / "plain-cnn.toml"
HEADS = {"expression": 8, "fer2013": 7}


def test_each_head_gives_its_logits_and_only_in_training_they_vary() -> None:
    network = PlainCnn(48, (4, 8), 16, HEADS, dropout=0.5)
    pictures = torch.randn(3, 1, 48, 48)

    assert not torch.equal(network(pictures)[0], network(pictures)[0])
    network.eval()
    expression, fer2013 = network(pictures)
    assert expression.shape == (3, 8) and fer2013.shape == (3, 7)
    assert torch.equal(network(pictures)[0], expression)


def test_it_costs_what_its_layers_add_up_to() -> None:
    network = PlainCnn(48, (4, 8), 16, HEADS)

    convolutions = 48 * 48 * 9 * 4 + 24 * 24 * 4 * 9 * 8
    connections = 8 * 12 * 12 * 16 + 16 * 15
    biases = 4 + 8 + 16 + 15
    assert multiply_adds(network, torch.zeros(1, 1, 48, 48)) == convolutions + connections
    assert parameters(network) == 9 * 4 + 4 * 9 * 8 + connections + biases


def test_it_is_built_by_its_recipe_and_has_no_sum_over_regions() -> None:
    network = load_recipe(RECIPE, ExpressionRecipe).build_network()

    assert isinstance(network, PlainCnn)
    assert not isinstance(network, RegionNetwork)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("widths = [32, 64, 128]", "widths = [8, 8, 8, 8, 8]"),
            "edge 48 cannot be halved 5 times",
        ),
        (("hidden = 128", "blocks = [1]"), "blocks: Extra inputs are not permitted"),
        (('"plain-cnn"\nwidths', '"alexnet"\nwidths'), "'alexnet'.*'small-resnet', 'plain-cnn'"),
    ],
)
def test_a_wrong_shape_or_name_is_refused(
    tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    recipe = tmp_path / "wrong.toml"
    recipe.write_text(RECIPE.read_text(encoding="utf-8").replace(*change), encoding="utf-8")

    with pytest.raises(RecipeError, match=message):
        load_recipe(recipe, ExpressionRecipe)


def test_it_starts_only_with_weights_of_its_own_shape() -> None:
    section = PlainCnnSection(architecture="plain-cnn", widths=(4, 8), hidden=16)
    residual = SmallResNetSection(
        architecture="small-resnet", widths=(4, 8), blocks=(1,), strides=(2,)
    )

    assert section.can_learn_on(section.model_copy(update={"dropout": 0.5}))
    assert not section.can_learn_on(section.model_copy(update={"edge": 56}))
    assert not section.can_learn_on(residual) and not residual.can_learn_on(section)
