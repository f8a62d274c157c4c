"""``python -m training``: from a recipe and a table to an int8 model that the agent loads, and to
a run that learns on from it.
"""

import csv
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from edge_agent.vision.models.model import load_model
from tests.support.vision.training_runs import (
    LONG_RUN,
    RECIPE,
    small_recipe,
    training_here,
    write_data,
)
from training.data.datasets import EXPRESSIONS

pytestmark = LONG_RUN

ON_CPU = ("--device", "cpu", "--threads", "1")
LEARNS_ON = (
    ("seed = 1", 'seed = 1\nstart = "run"'),
    ('optimizer = "muon"\npeak_lr = 0.015', 'optimizer = "sgd"\npeak_lr = 1e-9'),
)
"""From the run beside it, and so slowly that its weights are still those of that run."""


TINY = {
    "widths = [24, 24, 32, 48]": "widths = [4, 8]",
    "blocks = [1, 1, 1]": "blocks = [1]",
    "strides = [2, 2, 2]": "strides = [2]",
}
"""A network of one block, which is learnt and written in a moment."""


def text_of_recipe() -> str:
    text = small_recipe()
    for was, becomes in TINY.items():
        assert was in text
        text = text.replace(was, becomes)
    return text


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run and the data it was made of."""

    folder: Path
    recipe: Path
    data: Path
    votes: Path
    cache: Path
    printed: str

    @property
    def model(self) -> Path:
        return self.folder / "fast-m.tflite"

    @property
    def card(self) -> Path:
        return self.folder / "fast-m.json"

    def options(self, recipe: Path, out: Path) -> tuple[str | Path, ...]:
        return (
            *("--recipe", recipe, "--data", self.data, "--votes", self.votes, "--limit", "small"),
            *("--out", out, "--cache", self.cache),
        )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("training")
    recipe = folder / RECIPE.name
    recipe.write_text(text_of_recipe(), encoding="utf-8")
    made = Run(folder / "run", recipe, *write_data(folder), folder / "cache", "")
    done = training_here("fit", *ON_CPU, *made.options(recipe, made.folder))
    assert done.returncode == 0, done.stderr
    return replace(made, printed=done.stdout)


def recipe_in(folder: Path, *changes: tuple[str, str], more: str = "") -> Path:
    text = text_of_recipe()
    for was, becomes in changes:
        assert was in text
        text = text.replace(was, becomes)
    recipe = folder / "recipe.toml"
    recipe.write_text(text + more, encoding="utf-8")
    return recipe


def test_a_small_run_leaves_an_int8_model_and_a_card_that_tells_how(run: Run) -> None:
    from ai_edge_litert.interpreter import Interpreter

    card = json.loads(run.card.read_text(encoding="utf-8"))
    assert run.printed.strip() == str(run.card)
    assert len((run.folder / "curves.csv").read_text(encoding="utf-8").splitlines()) == 3
    assert (card["training"]["recipe"], card["training"]["epochs"]) == ("fast-m.toml", 2)
    assert card["training"]["data"] == ["FER2013 Training", "FER+ votes"]
    splits = {"held-back", "held-back, float", "PublicTest", "PublicTest, float"}
    assert card["metrics"].keys() == splits
    assert card["metrics"]["PublicTest"]["fer2013_n"] == 20
    assert 0.2 <= card["temperature"] <= 5
    outputs = load_model(run.card, kind="expression").run(np.zeros((48, 48), dtype=np.uint8))
    assert outputs["evidence"].shape == (1, 24, 24, len(EXPRESSIONS))
    assert np.isfinite(outputs["expression"]).all()
    interpreter = Interpreter(model_path=str(run.model))
    ends = [*interpreter.get_input_details(), *interpreter.get_output_details()]
    assert [end["dtype"] for end in ends] == [np.int8] * 4
    assert not any(tensor["dtype"] == np.float32 for tensor in interpreter.get_tensor_details())


def test_evaluate_prints_the_figures_of_the_card(run: Run) -> None:
    done = training_here(
        *("evaluate", run.model, "--data", run.data, "--votes", run.votes, "--usage", "PublicTest"),
        *("--json", "--cache", run.cache),
    )

    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    known = json.loads(run.card.read_text(encoding="utf-8"))["metrics"]["PublicTest"]
    assert round(figures["accuracy"], 4) == known["ferplus_accuracy"]
    assert round(figures["fer2013"]["macro_f1"], 4) == known["fer2013_macro_f1"]


def test_quantize_writes_the_same_model_again_from_the_checkpoint(run: Run, tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes((run.folder / "checkpoint.pt").read_bytes())

    done = training_here("quantize", *run.options(run.recipe, tmp_path))

    assert done.returncode == 0, done.stderr
    before, after = (json.loads(file.read_bytes()) for file in (run.card, tmp_path / run.card.name))
    assert (after["sha256"], after["metrics"]) == (before["sha256"], before["metrics"])


@pytest.mark.deep
def test_quantize_takes_weights_alone_of_this_network_only(run: Run, tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / "weights.pt").write_bytes((run.folder / "weights.pt").read_bytes())
    coarse = recipe_in(tmp_path, ("seed = 1", "seed = 1\nfilter_step = 0.7"))
    options = run.options(coarse, tmp_path / "again")

    done = training_here("quantize", *options, "--from", weights)

    assert done.returncode == 0, done.stderr
    written = tmp_path / "again" / "fast-m.tflite"
    load_model(written.with_suffix(".json"), kind="expression")

    other = recipe_in(tmp_path, ("widths = [4", "widths = [6"))
    refused = training_here("quantize", *run.options(other, tmp_path / "other"), "--from", weights)
    assert refused.returncode == 2
    assert "its weights belong to another network" in refused.stderr
    missing = training_here(
        "quantize", *run.options(coarse, tmp_path / "other"), "--from", tmp_path / "nowhere"
    )
    assert missing.returncode == 2
    assert "nowhere: there is no weights.pt; name the folder" in missing.stderr
    assert not (tmp_path / "other" / "fast-m.tflite").exists()


@pytest.mark.deep
def test_a_student_learns_on_from_the_teacher_in_its_card(run: Run, tmp_path: Path) -> None:
    recipe = recipe_in(tmp_path, *LEARNS_ON, more='\n[distillation]\nteachers = ["run"]\n')
    out = run.folder.parent / "student"

    done = training_here("fit", *ON_CPU, *run.options(recipe, out))

    assert done.returncode == 0, done.stderr
    card = json.loads((out / "fast-m.json").read_text(encoding="utf-8"))
    assert card["training"]["teacher"] == "run"
    (version,) = run.cache.glob("views-*/*.npz")
    assert version.name == "00.npz"
    with (out / "curves.csv").open(encoding="utf-8") as file:
        assert all(float(row["train_teachers"]) > 0 for row in csv.DictReader(file))

    import torch

    from training.learning.checkpoint import averaged_weights

    first = averaged_weights(run.folder)
    second = averaged_weights(out)
    # the rest are batch norm's statistics
    learnt = [name for name in first if name.endswith(("weight", "bias"))]
    assert len(learnt) > 10
    assert all(torch.allclose(first[name], second[name], atol=1e-6) for name in learnt)


def test_a_run_of_another_shape_is_refused_to_learn_on_from(run: Run, tmp_path: Path) -> None:
    recipe = recipe_in(tmp_path, *LEARNS_ON, ("widths = [4", "widths = [6"))

    refused = training_here("fit", *ON_CPU, *run.options(recipe, run.folder.parent / "third"))

    assert refused.returncode == 2
    assert "start = 'run' is a run of another network than this recipe" in refused.stderr
    assert "widths = (6, " in refused.stderr
    assert "here and (4, " in refused.stderr


def test_find_lr_says_a_peak_and_leaves_table_and_picture(run: Run, tmp_path: Path) -> None:
    done = training_here("find-lr", *ON_CPU, *run.options(run.recipe, tmp_path), "--steps", "12")

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("suggested schedule.peak_lr: ")
    assert (tmp_path / "find-lr.png").stat().st_size > 10_000
    with (tmp_path / "find-lr.csv").open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) > 2
