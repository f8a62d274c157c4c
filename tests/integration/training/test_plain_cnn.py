"""A second architecture, from the command line to a model that the agent loads."""

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="the training extra is not installed")

import torch

from edge_agent.vision.models.model import load_model
from tests.support.vision.training_runs import NEEDS_TRAINING, ROOT, training_here, write_data
from training.data.datasets import Faces, load_faces
from training.expression.task import load_run, predict

pytestmark = [*NEEDS_TRAINING, pytest.mark.deep]

RECIPES = ROOT / "training" / "recipes"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data and, in ``run``, a small run of the plain network."""
    made = tmp_path_factory.mktemp("plain")
    done = training_here(*fit_command(made, "plain-cnn", *write_data(made)))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(made / "run" / "plain-cnn.json")
    return made


def fit_command(folder: Path, recipe: str, data: Path, votes: Path) -> tuple[str | Path, ...]:
    return (
        *("fit", "--recipe", RECIPES / f"{recipe}.toml", "--data", data, "--votes", votes),
        *("--limit", "small", "--out", folder / "run", "--cache", folder / "cache"),
        *("--threads", "1", "--device", "cpu"),
    )


def pictures(folder: Path) -> Faces:
    return load_faces(folder / "fer2013.csv").of_usage("PublicTest")


def test_its_int8_file_answers_as_the_network_does(folder: Path) -> None:
    network, recipe = load_run(folder / "run")
    model = load_model(folder / "run" / "plain-cnn.json", kind="expression")
    seen = pictures(folder).pictures

    wanted = predict(network, seen, recipe)[0]
    logits = np.concatenate([model.run(picture)["expression"] for picture in seen])

    assert np.corrcoef(logits.ravel(), wanted.ravel())[0, 1] > 0.99
    assert np.abs(logits - wanted).max() < 0.1 * np.ptp(wanted)


def test_its_card_names_its_costs_and_has_no_evidence(folder: Path) -> None:
    card = json.loads((folder / "run" / "plain-cnn.json").read_text(encoding="utf-8"))

    assert [output["name"] for output in card["outputs"]] == ["expression", "fer2013"]
    assert card["multiply_adds"] == 22_488_960
    assert card["parameters"] == 684_559


def test_it_cannot_be_explained_and_the_sentence_says_why(folder: Path, tmp_path: Path) -> None:
    done = training_here(
        "explain", folder / "run", "--aligned", "--run", folder / "run", "--out", tmp_path / "maps"
    )

    assert done.returncode == 2
    assert "a network of architecture plain-cnn joins all places" in done.stderr


def test_its_checkpoint_is_refused_by_a_recipe_of_another_architecture(folder: Path) -> None:
    recipe = folder / "residual.toml"
    text = (RECIPES / "plain-cnn.toml").read_text(encoding="utf-8")
    network = 'architecture = "small-resnet"\nblocks = [1]\nstrides = [2]\nwidths = [4, 8]\n'
    parts = text.split("[network]\n")
    rest = parts[1][parts[1].index("dropout") :]
    recipe.write_text(f"{parts[0]}[network]\n{network}{rest}", encoding="utf-8")
    command = fit_command(folder, "plain-cnn", folder / "fer2013.csv", folder / "fer2013new.csv")
    before = torch.load(folder / "run" / "checkpoint.pt", weights_only=True)

    done = training_here(*command[:2], recipe, *command[3:], "--resume")

    assert done.returncode == 2
    assert "is of a PlainCnn, and the recipe describes a SmallResNet" in done.stderr
    after = torch.load(folder / "run" / "checkpoint.pt", weights_only=True)
    assert after["rows"] == before["rows"]
    assert load_run(folder / "run")[1].network.architecture == "plain-cnn", "its recipe is kept"
