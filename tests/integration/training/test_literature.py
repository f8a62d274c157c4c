"""Every recipe of the literature, small: it learns a few steps, its export says what the network
says, and the agent loads it.
"""

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch

from edge_agent.vision.models.model import load_model
from tests.support.vision.training_runs import LONG_RUN, ROOT, training_here, write_data
from training.data.datasets import load_faces
from training.errors import RecipeError
from training.expression.pretrained import MobileFaceNet
from training.expression.recipe import ExpressionRecipe
from training.expression.task import load_run, predict
from training.learning.kinds import FitRequest
from training.learning.recipe import load_recipe
from training.learning.run import train

pytestmark = [LONG_RUN, pytest.mark.usefixtures("undrawn", "shallow")]

RECIPES = [
    pytest.param(path, id=path.stem)
    for path in (
        *sorted((ROOT / "training" / "recipes" / "literature").glob("*.toml")),
        ROOT / "training" / "recipes" / "plain-cnn.toml",
    )
    if path.stem != "cnn-transfer-cleaned"  # other data, the same network (test_cleaning.py)
]
_SMALL = {"convolutions": "[1, 1]", "blocks": "[1]", "strides": "[2]", "hidden": "16"}
"""What a small network has in the place of a recipe's. Converting takes most of the time here, and
as long as the network is deep.
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the table, its votes, and a base for the recipes that begin with one."""
    made = tmp_path_factory.mktemp("literature")
    write_data(made)
    return made


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the curves undrawn, which would take longer than to learn."""
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda *_, **__: None)


@pytest.fixture
def shallow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Build the networks whose depth no recipe says with fewer blocks."""
    one = {"resnet18": (1, 1, 1, 1), "resnet34": (1, 1, 1, 1)}
    monkeypatch.setattr("training.networks.published._BLOCKS", one)
    monkeypatch.setattr("training.networks.published.BLOCKS", ((64, 1), (128, 2)))


def small(recipe: Path, folder: Path) -> Path:
    """Write the recipe with a network of two narrow stages, and return it."""
    text = recipe.read_text(encoding="utf-8")
    for key, value in _SMALL.items():
        text = re.sub(rf"^{key} = .*$", f"{key} = {value}", text, flags=re.MULTILINE)
    text = re.sub(r"^widths = .*$", "widths = [4, 8]", text, flags=re.MULTILINE)
    text = re.sub(r"^width = (32|64)$", "width = 4", text, flags=re.MULTILINE)
    text = text.replace("freeze = 14", "freeze = 3").replace(
        "unfreeze_at = [4]", "unfreeze_at = [1]"
    )
    text = re.sub(
        r"^learning_rates = \[(.*, ){14}",
        "learning_rates = [0.1, 0.3, 0.3, ",
        text,
        flags=re.MULTILINE,
    )
    path = folder / recipe.name
    path.write_text(text, encoding="utf-8")
    return path


def base_of(recipe: Path, folder: Path) -> Path | None:
    """A base of the recipe's network, under the name that the recipe gives; None: it has none."""
    wanted = load_recipe(recipe, ExpressionRecipe).face_features
    if wanted is not None:
        torch.save({"net_state_dict": MobileFaceNet().state_dict()}, folder / wanted.network)
        return folder / wanted.network
    name = tomllib.loads(recipe.read_text(encoding="utf-8")).get("base")
    if name is None:
        return None
    network = load_recipe(recipe, ExpressionRecipe).build_network()
    path = folder / str(name).replace(".tflite", ".pt")
    recipe.write_text(
        recipe.read_text(encoding="utf-8").replace(str(name), path.name), encoding="utf-8"
    )
    torch.save(network.state_dict(), path)
    return path


@pytest.mark.deep
@pytest.mark.parametrize("recipe", RECIPES)
def test_published_network_learns_and_its_export_loads_in_the_agent(
    recipe: Path, folder: Path
) -> None:
    out = folder / recipe.stem
    chosen = small(recipe, folder)
    request = FitRequest(
        chosen,
        folder / "fer2013.csv",
        folder / "fer2013new.csv",
        out,
        folder / "cache",
        weights=base_of(chosen, folder),
        small=True,
    )

    card = train(request)

    model = load_model(card, kind="expression")
    network, written = load_run(out)
    seen = load_faces(folder / "fer2013.csv").of_usage("PublicTest").pictures
    wanted = predict(network, seen, written)[0]
    logits = np.concatenate([model.run(picture, ["expression"])["expression"] for picture in seen])
    assert np.corrcoef(logits.ravel(), wanted.ravel())[0, 1] > 0.99
    assert (logits.argmax(axis=1) == wanted.argmax(axis=1)).mean() > 0.8
    assert model.card.multiply_adds > 0
    assert (model.card.input.prepare or ()) == written.preparation.steps
    begins_with = "votes"
    if request.weights is not None:
        begins_with = request.weights.name
    assert model.card.training.data[-1].endswith(begins_with)


def test_a_base_is_asked_for_and_has_to_be_the_one_that_the_recipe_names(folder: Path) -> None:
    transfer = ROOT / "training" / "recipes" / "literature" / "cnn-transfer.toml"
    data = (folder / "fer2013.csv", None, folder / "none", folder / "cache")

    with pytest.raises(RecipeError, match="begins with mobilenet_v1_0.5.*say where it lies"):
        train(FitRequest(transfer, *data))
    with pytest.raises(RecipeError, match="the recipe names base = 'mobilenet_v1"):
        train(FitRequest(transfer, *data, weights=folder / "other.tflite"))
    with pytest.raises(RecipeError, match="does not exist"):
        train(FitRequest(transfer, *data, weights=folder / "mobilenet_v1_0.5_160_quant.tflite"))
    refused = training_here(
        *("fit", "--recipe", ROOT / "training" / "recipes" / "face-cover.toml"),
        *("--data", folder, "--weights", folder / "base.pt", "--device", "cpu"),
    )
    assert refused.returncode == 2
    assert "a recipe of kind face-cover takes no base" in refused.stderr
