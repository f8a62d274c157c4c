"""``python -m training``: from a recipe and a table to an int8 model that the agent loads, and to
a run that learns on from it.
"""

import csv
import json
from dataclasses import dataclass, replace
from pathlib import Path
from zlib import compress

import numpy as np
import pytest

from edge_agent.vision.models.model import load_model
from tests.support.vision.training_runs import (
    NEEDS_TRAINING,
    RECIPE,
    small_recipe,
    training_here,
    write_data,
)
from training.data.datasets import EXPRESSIONS, FER2013

pytestmark = NEEDS_TRAINING

ON_CPU = ("--device", "cpu", "--threads", "1")
LEARNS_ON = (
    ("seed = 1", 'seed = 1\nstart = "run"'),
    ('optimizer = "muon"\npeak_lr = 0.015', 'optimizer = "sgd"\npeak_lr = 1e-9'),
)
"""From the run beside it, and so slowly that its weights are still those of that run."""


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

    def options(self, recipe: Path, out: Path) -> tuple[str | Path, ...]:
        """Those of another small run of the same data."""
        return (
            *("--recipe", recipe, "--data", self.data, "--votes", self.votes, "--limit", "small"),
            *("--out", out, "--cache", self.cache),
        )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("training")
    recipe = folder / RECIPE.name
    recipe.write_text(small_recipe(), encoding="utf-8")
    made = Run(folder / "run", recipe, *write_data(folder), folder / "cache", "")
    done = training_here("fit", *ON_CPU, *made.options(recipe, made.folder))
    assert done.returncode == 0, done.stderr
    return replace(made, printed=done.stdout)


def recipe_in(folder: Path, *changes: tuple[str, str], more: str = "") -> Path:
    """Write the small recipe with changes, and return its file."""
    text = small_recipe()
    for was, becomes in changes:
        assert was in text
        text = text.replace(was, becomes)
    recipe = folder / "recipe.toml"
    recipe.write_text(text + more, encoding="utf-8")
    return recipe


def test_a_small_run_prints_the_card_and_leaves_checkpoint_and_curves(run: Run) -> None:
    assert run.printed.strip() == str(run.folder / "fast-m.json")
    assert (run.folder / "checkpoint.pt").exists()
    assert len((run.folder / "curves.csv").read_text(encoding="utf-8").splitlines()) == 3


def test_the_agent_loads_and_runs_the_model(run: Run) -> None:
    model = load_model(run.model.with_suffix(".json"), kind="expression")

    outputs = model.run(np.zeros((48, 48), dtype=np.uint8))

    assert outputs["expression"].shape == (1, len(EXPRESSIONS))
    assert outputs["fer2013"].shape == (1, len(FER2013))
    assert outputs["evidence"].shape == (1, 6, 6, len(EXPRESSIONS))
    assert np.isfinite(outputs["expression"]).all()


def test_the_model_is_int8_inside_and_at_its_ends(run: Run) -> None:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(run.model))
    ends = [*interpreter.get_input_details(), *interpreter.get_output_details()]

    assert [end["dtype"] for end in ends] == [np.int8] * 4
    assert not any(tensor["dtype"] == np.float32 for tensor in interpreter.get_tensor_details())


def test_the_card_says_what_was_trained_on_what_and_how_well(run: Run) -> None:
    card = json.loads(run.model.with_suffix(".json").read_text(encoding="utf-8"))

    assert card["training"]["recipe"] == "fast-m.toml"
    assert card["training"]["epochs"] == 2
    assert card["training"]["data"] == ["FER2013 Training", "FER+ votes"]
    assert card["metrics"].keys() == {
        "held-back",
        "held-back, float",
        "PublicTest",
        "PublicTest, float",
    }
    assert card["metrics"]["PublicTest"]["fer2013_n"] == 20
    assert card["metrics"]["PublicTest"]["ferplus_n"] == 20
    assert 0.2 <= card["temperature"] <= 5
    assert card["multiply_adds"] == 10_548_432


def test_evaluate_prints_one_json_object_with_the_figures_of_the_card(run: Run) -> None:
    done = training_here(
        *("evaluate", run.model, "--data", run.data, "--votes", run.votes, "--usage", "PublicTest"),
        *("--json", "--cache", run.cache),
    )

    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    card = json.loads(run.model.with_suffix(".json").read_text(encoding="utf-8"))
    assert figures["protocol"] == "FER+ majority"
    assert figures["n"] == figures["ferplus"]["n"] == 20
    assert round(figures["accuracy"], 4) == card["metrics"]["PublicTest"]["ferplus_accuracy"]
    assert (
        round(figures["fer2013"]["macro_f1"], 4)
        == card["metrics"]["PublicTest"]["fer2013_macro_f1"]
    )
    assert figures["per_class"].keys() == set(EXPRESSIONS)
    assert sum(map(sum, figures["confusion_matrix"])) == 20


def test_quantize_writes_the_same_model_again_from_the_checkpoint(run: Run, tmp_path: Path) -> None:
    before = json.loads(run.model.with_suffix(".json").read_text(encoding="utf-8"))
    (tmp_path / "checkpoint.pt").write_bytes((run.folder / "checkpoint.pt").read_bytes())

    done = training_here("quantize", *run.options(run.recipe, tmp_path))

    assert done.returncode == 0, done.stderr
    after = json.loads((tmp_path / "fast-m.json").read_text(encoding="utf-8"))
    assert after["sha256"] == before["sha256"]
    assert after["metrics"] == before["metrics"]


@pytest.mark.deep
def test_quantize_writes_a_model_of_weights_alone_and_refuses_those_of_another_network(
    run: Run, tmp_path: Path
) -> None:
    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / "weights.pt").write_bytes((run.folder / "weights.pt").read_bytes())
    coarse = recipe_in(tmp_path, ("seed = 1", "seed = 1\nfilter_step = 0.7"))
    options = run.options(coarse, tmp_path / "again")

    done = training_here("quantize", *options, "--from", weights)

    assert done.returncode == 0, done.stderr
    written = tmp_path / "again" / "fast-m.tflite"
    load_model(written.with_suffix(".json"), kind="expression")
    assert len(compress(written.read_bytes())) < 0.8 * len(compress(run.model.read_bytes()))

    other = recipe_in(tmp_path, ("widths = [24", "widths = [20"))
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
def test_a_student_learns_on_from_a_run_which_its_card_names_as_its_teacher(
    run: Run, tmp_path: Path
) -> None:
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
    assert len(learnt) > 20
    assert all(torch.allclose(first[name], second[name], atol=1e-6) for name in learnt)


def test_a_run_of_another_shape_is_refused_to_learn_on_from(run: Run, tmp_path: Path) -> None:
    recipe = recipe_in(tmp_path, *LEARNS_ON, ("widths = [24", "widths = [20"))

    refused = training_here("fit", *ON_CPU, *run.options(recipe, run.folder.parent / "third"))

    assert refused.returncode == 2
    assert "start = 'run' is a run of another network than this recipe" in refused.stderr
    assert "widths = (20, " in refused.stderr
    assert "here and (24, " in refused.stderr


def test_a_teacher_that_is_not_there_is_named_before_anything_is_learnt(
    run: Run, tmp_path: Path
) -> None:
    recipe = recipe_in(tmp_path, more='\n[distillation]\nteachers = ["absent"]\n')

    done = training_here("fit", *ON_CPU, *run.options(recipe, tmp_path / "student"))

    assert done.returncode == 2
    assert "there is no run 'absent' in " in done.stderr
    assert not (tmp_path / "student" / "checkpoint.pt").exists()


def test_find_lr_says_a_peak_and_leaves_table_and_picture(run: Run, tmp_path: Path) -> None:
    done = training_here("find-lr", *ON_CPU, *run.options(run.recipe, tmp_path), "--steps", "12")

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("suggested schedule.peak_lr: ")
    assert (tmp_path / "find-lr.png").stat().st_size > 10_000
    with (tmp_path / "find-lr.csv").open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) > 2
