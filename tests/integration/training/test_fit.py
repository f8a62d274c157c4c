"""``python -m training``: from a recipe and a table to an int8 model that the agent loads."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_agent.vision.models.model import load_model
from tests.support.vision.training_runs import NEEDS_TRAINING, RECIPE, training, write_data
from training.data.datasets import EXPRESSIONS, FER2013

pytestmark = NEEDS_TRAINING


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run and the data it was made of."""

    folder: Path
    data: Path
    votes: Path
    cache: Path
    printed: str

    @property
    def model(self) -> Path:
        return self.folder / "fast-m.tflite"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("training")
    data, votes = write_data(folder)
    out = folder / "run"
    cache = folder / "cache"
    done = training(
        *("fit", "--recipe", RECIPE, "--data", data, "--votes", votes),
        *("--limit", "small", "--out", out, "--cache", cache, "--threads", "1"),
    )
    assert done.returncode == 0, done.stderr
    return Run(out, data, votes, cache, done.stdout)


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
    assert 30e6 < card["multiply_adds"] <= 45e6


def test_evaluate_prints_one_json_object_with_the_figures_of_the_card(run: Run) -> None:
    done = training(
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


def test_evaluate_without_votes_prints_the_fer2013_figures_as_a_table(run: Run) -> None:
    done = training("evaluate", run.model, "--data", run.data, "--cache", run.cache)

    assert done.returncode == 0, done.stderr
    assert re.match(r"fast-m \d+\.\d+\.\d+ on PublicTest\n", done.stdout)
    assert "FER2013" in done.stdout
    assert "FER+" not in done.stdout


def test_a_folder_of_pictures_is_evaluated_whole(run: Run, tmp_path: Path) -> None:
    for category in ("happiness", "contempt"):
        (tmp_path / category).mkdir()
        assert cv2.imwrite(
            str(tmp_path / category / "face.png"), np.full((48, 48), 120, dtype=np.uint8)
        )

    done = training("evaluate", run.model, "--data", tmp_path, "--json")

    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert (figures["ferplus"]["n"], figures["fer2013"]["n"]) == (2, 1)


def test_quantize_writes_the_same_model_again_from_the_checkpoint(run: Run, tmp_path: Path) -> None:
    before = json.loads(run.model.with_suffix(".json").read_text(encoding="utf-8"))
    (tmp_path / "checkpoint.pt").write_bytes((run.folder / "checkpoint.pt").read_bytes())

    done = training(
        *("quantize", "--recipe", RECIPE, "--data", run.data, "--votes", run.votes),
        *("--limit", "small", "--out", tmp_path, "--cache", run.cache),
    )

    assert done.returncode == 0, done.stderr
    after = json.loads((tmp_path / "fast-m.json").read_text(encoding="utf-8"))
    assert after["sha256"] == before["sha256"]
    assert after["metrics"] == before["metrics"]
