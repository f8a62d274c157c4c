"""The command line of the training: what it says when something is missing or wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from tests.support.vision.stripes import stripe_faces, stripe_model
from tests.support.vision.training_runs import training_here
from training.commands import options
from training.commands.main import app
from training.data.datasets import FER2013, USAGES, VOTE_COLUMNS, Faces, split_tested

ROOT = Path(__file__).resolve().parents[4]


RECIPE = str(ROOT / "training" / "recipes" / "steps" / "fast-m.toml")


def without(monkeypatch: pytest.MonkeyPatch, absent: str) -> None:
    def find(name: str) -> ModuleSpec | None:
        return None if name == absent else find_spec(name)

    monkeypatch.setattr(options, "find_spec", find)


@pytest.mark.parametrize("command", ["fit", "quantize"])
def test_without_torch_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    without(monkeypatch, "torch")

    done = training_here(command, "--recipe", RECIPE, "--data", "fer2013.csv")

    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: this needs torch")
    assert "make .venv-training/.dev" in line


def test_quantize_before_any_training_says_how_to_train(tmp_path: Path) -> None:
    done = training_here(
        "quantize", "--recipe", RECIPE, "--data", "fer2013.csv", "--out", str(tmp_path)
    )

    assert done.returncode == 2
    assert ("holds no checkpoint.pt; train first with: python -m training fit") in done.stderr


def test_quantize_of_unfinished_run_says_how_to_go_on_and_trains_nothing(tmp_path: Path) -> None:
    import torch

    torch.save(
        {"schedule": {"epochs": 24, "batch": 8, "peak_lr": 0.1}, "rows": [{}] * 20},
        tmp_path / "checkpoint.pt",
    )

    done = training_here(
        "quantize", "--recipe", RECIPE, "--data", "fer2013.csv", "--out", str(tmp_path)
    )

    assert done.returncode == 2
    said = done.stderr
    assert "4 epochs are still to be done; continue with: python -m training fit" in said
    assert "--resume" in said


def test_a_run_is_never_written_over(tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    checkpoint.write_bytes(b"hours of learning")

    done = training_here("fit", "--recipe", RECIPE, "--data", "fer2013.csv", "--out", str(tmp_path))

    assert done.returncode == 2
    error = done.stderr
    assert f"{tmp_path}: holds a run already" in error
    assert "--resume" in error
    assert checkpoint.read_bytes() == b"hours of learning"
    assert list(tmp_path.iterdir()) == [checkpoint]


def test_a_small_run_has_a_folder_of_its_own_and_its_card_says_so() -> None:
    import torch

    from training.expression.recipe import ExpressionRecipe
    from training.learning.loop import Fitted
    from training.learning.recipe import load_recipe

    path = Path(RECIPE)
    whole = options.RunOptions(
        recipe=path, data=Path("x.csv"), votes=None, cache=Path("x"), out=None, limit=None
    )
    small = replace(whole, limit="small")
    assert (small.folder, whole.folder) == (Path("runs/fast-m-small"), Path("runs/fast-m"))
    assert replace(small, out=Path("mine")).folder == Path("mine")
    recipe = load_recipe(path, ExpressionRecipe)
    fitted = Fitted(torch.nn.Identity(), {}, 2, 1.0)
    assert whole.request().card(recipe, fitted, [])["limits"] == (*recipe.limits,)
    assert small.request().card(recipe, fitted, [], ["unseen"])["limits"] == (
        *(*recipe.limits, "unseen"),
        "Learned from at most 64 pictures to try the recipe out: do not use.",
    )


@pytest.mark.parametrize(
    ("saved", "words"), [(True, "--resume"), (False, "before the first epoch was saved")]
)
def test_ctrl_c_says_how_a_run_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, saved: bool, words: str
) -> None:
    def stopped(_: object) -> None:
        if saved:
            (tmp_path / "checkpoint.pt").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr("training.learning.run.train", stopped)

    done = training_here("fit", "--recipe", RECIPE, "--data", "fer2013.csv", "--out", str(tmp_path))

    assert done.returncode == 130
    assert words in done.stderr


@pytest.fixture
def data(tmp_path: Path) -> list[str]:
    """A FER2013 table and its votes on disk, as options."""
    faces = stripe_faces(42)
    rows = ["emotion,pixels,Usage"]
    votes = [",".join(("Usage", "Image name", *VOTE_COLUMNS))]
    for picture, label, counts, usage in zip(
        faces.pictures, faces.fer2013, faces.votes, faces.usage, strict=True
    ):
        rows.append(f"{label},{' '.join(map(str, picture.ravel()))},{USAGES[usage]}")
        votes.append(f"{USAGES[usage]},face.png,{','.join(map(str, counts))}")
    for name, lines in (("fer2013.csv", rows), ("votes.csv", votes)):
        (tmp_path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    options = {"--data": "fer2013.csv", "--votes": "votes.csv", "--cache": "cache"}
    return [text for option, name in options.items() for text in (option, str(tmp_path / name))]


@pytest.fixture
def model(tmp_path: Path) -> str:
    return str(stripe_model(tmp_path / "model"))


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def write_faces(folder: Path, faces: Faces) -> None:
    for number, (picture, label) in enumerate(zip(faces.pictures, faces.fer2013, strict=True)):
        category = folder / FER2013[label]
        category.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(category / f"{number}.png")


def test_evaluate_judges_a_folder_of_own_faces_whole(model: str, tmp_path: Path) -> None:
    write_faces(tmp_path / "faces", stripe_faces(14, wrong_every=0))

    found = json.loads(
        invoke("evaluate", model, "--data", str(tmp_path / "faces"), "--json").stdout
    )

    assert (found["usage"], found["n"], found["accuracy"]) == ("all", 14, 1)
    assert found["without_copies"] is None


@pytest.mark.parametrize("command", ["evaluate", "compare"])
def test_model_of_own_faces_is_measured_on_those_set_aside(
    command: str, model: str, tmp_path: Path
) -> None:
    faces = stripe_faces(42, wrong_every=0)
    write_faces(tmp_path / "faces", faces)
    given = [command, *[model] * (2 if command == "compare" else 1)]
    given += ["--data", str(tmp_path / "faces")]
    without_run = invoke(*given, "--usage", "tested")
    assert "whose recipe.toml sets a part of them aside" in str(without_run.exception)
    Path(model).with_name("recipe.toml").write_text("[data]\ntested = 0.4\n", encoding="utf-8")

    whole = invoke(*given, "--json")
    aside = invoke(*given, "--json", "--usage", "tested")

    assert "its figures are too good: --usage tested takes only those" in whole.stderr
    assert aside.stderr == ""
    _, tested = split_tested(faces, 0.4)
    told = json.loads(aside.stdout)
    counted = told["tests"]["fer2013"]["n"] if command == "compare" else told["n"]
    assert 0 < counted == len(tested) < 42


@pytest.mark.parametrize("command", ["evaluate", "compare"])
def test_a_shipped_model_is_known_by_its_name(command: str, data: list[str]) -> None:
    names = ["expression-fast"] * (2 if command == "compare" else 1)
    assert invoke(command, *names, *data, "--json").exit_code == 0
    wrong = invoke(command, *["expression-slow"] * len(names), *data)
    assert "there is no model 'expression-slow'. Shipped: " in str(wrong.exception)


def test_evaluate_writes_figures_and_tables(data: list[str], model: str, tmp_path: Path) -> None:
    result = invoke("evaluate", model, *data, "--robustness", "--out", str(tmp_path / "out"))

    assert result.exit_code == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "confusion-ferplus.png",
        "confusion-ferplus.csv",
        "confusion-fer2013.png",
        "confusion-fer2013.csv",
        "reliability.png",
        "reliability-ferplus.csv",
        "reliability-fer2013.csv",
        "risk-coverage.png",
        "risk-coverage.csv",
        "robustness.csv",
    }
    assert (
        (tmp_path / "out" / "confusion-ferplus.csv")
        .read_text(encoding="utf-8")
        .startswith("is / said,neutral,")
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["evaluate"], "give MODEL and --data, or --predictions and --truth"),
        (
            ["evaluate", "m.tflite", "--predictions", "p.csv", "--truth", "t.csv"],
            "neither MODEL nor --data",
        ),
        (
            ["evaluate", "--predictions", "p.csv", "--truth", "t.csv", "--robustness"],
            "need a MODEL; leave them out",
        ),
        (
            ["report", "m.tflite", "--data", "d.csv", "--labels", "l.csv"],
            "--labels belong to --photos",
        ),
        (
            ["report", "m.tflite", "--data", "d.csv", "--groups", "g.csv"],
            "--groups belongs to --readings",
        ),
        (["compare", "m.tflite", "--data", "d.csv"], "give FIRST and SECOND, or --recipes"),
        (
            ["compare", "--recipes", "r", "--data", "d.csv", "--json"],
            "--json belongs to FIRST and SECOND",
        ),
    ],
)
def test_wrong_use_says_what_belongs_together(arguments: list[str], said: str) -> None:
    result = invoke(*arguments)

    assert result.exit_code == 2
    assert said in result.stderr


@pytest.mark.usefixtures("undrawn")
def test_report_prints_the_page_that_it_wrote(data: list[str], model: str, tmp_path: Path) -> None:
    result = invoke("report", model, *data, "--out", str(tmp_path / "pages"))

    assert result.stdout.strip() == str(tmp_path / "pages" / "tiny.md")
    assert (tmp_path / "pages" / "tiny.md").read_text(encoding="utf-8").startswith("# tiny 1.0.0\n")
