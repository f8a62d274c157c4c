"""Systems side by side: one protocol, and a report in which every figure stands."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from edge_agent.vision.models.model import load_model
from tests.support.vision.stripes import stripe_faces, stripe_model
from tests.support.vision.tiny_faces import faces, tiny_recipe
from tests.support.vision.training_runs import write_data
from training.commands.main import app
from training.data.lessons import divide
from training.errors import RecipeError
from training.expression.recipe import ExpressionRecipe
from training.expression.systems import (
    FoldFigures,
    System,
    SystemsComparison,
    compare_systems,
    fixed_split,
    fold_runs,
    folds_text,
    gather,
    recipe_files,
    report_files,
)
from training.learning.kinds import FitRequest, Fold
from training.learning.recipe import load_recipe

pytestmark = pytest.mark.usefixtures("undrawn")


RECIPES = Path(__file__).resolve().parents[4] / "training" / "recipes" / "literature"


CURVES = ({"epoch": 1.0, "train_loss": 2.0, "valid_fer2013_accuracy": 0.3},)


def system(folder: Path, name: str) -> System:
    stripe_model(folder / name, name=name)
    recipe = load_recipe(RECIPES / f"{name}.toml", ExpressionRecipe)
    return System(
        recipe, load_model(folder / name / f"{name}.json", kind="expression"), CURVES, recipe.base
    )


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> SystemsComparison:
    folder = tmp_path_factory.mktemp("systems")
    systems = [system(folder, "cnn-scratch"), system(folder, "cnn-transfer")]
    faces = stripe_faces(70)
    faces.fer2013[:3] = (faces.fer2013[:3] + 1) % 7  # so that all get some wrong
    return compare_systems(systems, faces, "Seventy stripes")


def test_each_pair_is_tested_and_what_all_get_wrong_is_named(comparison: SystemsComparison) -> None:
    assert [one.name for one in comparison.evaluated] == ["cnn-scratch", "cnn-transfer"]
    for protocol, tests in comparison.tests.items():
        ((first, second, test),) = tests
        assert (first, second) == ("cnn-scratch", "cnn-transfer")
        assert test.p == 1, protocol
    wrong = [
        index for index, right in enumerate(comparison.evaluated[0].right["fer2013"]) if not right
    ]
    assert [one.index for one in comparison.missed] == wrong
    assert set(range(3)) <= set(wrong)
    assert all(one.label not in one.answers for one in comparison.missed)


def test_the_report_has_every_figure(
    comparison: SystemsComparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.expression.systems.confusion_png", lambda *_: b"matrix")
    monkeypatch.setattr("training.expression.systems._report_curves", lambda _: b"curves")
    pictures = np.full((70, 48, 48), 99, dtype=np.uint8)

    files = report_files(comparison, pictures)

    assert sorted(files) == [
        *("all-wrong.png", "confusion-cnn-scratch.png", "confusion-cnn-transfer.png"),
        *("curves.png", "systems.html", "systems.md"),
    ]
    text = files["systems.md"].decode()
    accuracy = comparison.evaluated[0].figures["fer2013"].accuracy
    assert "Seventy stripes." in text
    assert comparison.processor in text
    assert "| cnn-transfer | mobilenet_v1_0.5_160_quant.tflite |" in text
    assert f"{accuracy:.2%}" in text
    assert "## Covered faces, FER2013" in text
    row = comparison.evaluated[1].covered[-1]
    assert f"| cnn-transfer | glasses | {row.figures['fer2013'].accuracy:.2%} |" in text
    assert f"| cnn-scratch | nothing | {accuracy:.2%} |" in text
    page = files["systems.html"].decode()
    assert f"<td>{accuracy:.2%}</td>" in page
    assert "all-wrong.png" not in text, "a committed report shows nobody's face"


NAMES = ("cnn-scratch", "cnn-transfer")


def finished(runs: Path, name: str) -> Path:
    """A run as ``fit`` leaves it: model, card, recipe and curves."""
    card = stripe_model(runs / name, name=name).with_suffix(".json")
    shutil.copy(RECIPES / f"{name}.toml", card.parent / "recipe.toml")
    (card.parent / "curves.csv").write_text("epoch,train_loss\n1,2.5\n2,1.5\n", encoding="utf-8")
    return card.parent / f"{name}.json"


def request(folder: Path) -> FitRequest:
    return FitRequest(
        Path("none"), folder / "data.csv", None, folder, folder / "cache", weights=folder / "bases"
    )


def test_finished_runs_are_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[FitRequest] = []

    def train(wanted: FitRequest) -> Path:
        asked.append(wanted)
        return finished(tmp_path, wanted.out.name)

    monkeypatch.setattr("training.expression.systems.train", train)
    finished(tmp_path, NAMES[0])
    recipes = [RECIPES / f"{name}.toml" for name in NAMES]

    base = tmp_path / "bases" / "mobilenet_v1_0.5_160_quant.tflite"
    base.parent.mkdir()
    base.touch()

    systems = gather(recipes, tmp_path, request(tmp_path))

    assert [system.recipe.name for system in systems] == list(NAMES)
    assert [system.base for system in systems] == [None, "mobilenet_v1_0.5_160_quant.tflite"]
    assert systems[0].curves[1] == {"epoch": 2.0, "train_loss": 1.5}
    (one,) = asked
    assert (one.recipe, one.out) == (recipes[1], tmp_path / NAMES[1])
    assert one.resume, "it goes on after its last epoch"
    assert one.weights == base, "of a folder each takes the file that it names"


def test_a_folder_gives_its_recipes_by_name_and_none_twice(tmp_path: Path) -> None:
    found = recipe_files([RECIPES / "resnet34.toml", RECIPES])

    assert found[0].stem == "resnet34"
    assert [path.stem for path in found].count("resnet34") == 1
    assert len(found) == len(list(RECIPES.glob("*.toml")))
    with pytest.raises(RecipeError, match="1 recipes cannot be compared"):
        recipe_files([RECIPES / "resnet34.toml"])
    other = tmp_path / "resnet34.toml"
    with pytest.raises(RecipeError, match=r"two files are called resnet34\.toml"):
        recipe_files([RECIPES / "resnet34.toml", other])


def figures(share: float) -> dict[str, float]:
    return {"fer2013_accuracy": share, "fer2013_macro_f1": share / 2, "fer2013_n": 12}


def test_each_picture_is_in_one_fold_with_copies_and_never_learnt_there() -> None:
    everything = faces(60)
    everything.pictures[1] = everything.pictures[0]
    seen = []
    for number in range(1, 5):
        learnt, others = divide(everything, Fold(number, 4))
        fold = others[f"fold {number} of 4"]
        inside = {picture.tobytes() for picture in fold.pictures}
        assert inside.isdisjoint(picture.tobytes() for picture in learnt.pictures)
        assert len(learnt) + len(fold) == 60
        seen += [picture.tobytes() for picture in fold.pictures]
    assert sorted(seen) == sorted(picture.tobytes() for picture in everything.pictures)


def test_finished_folds_are_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(tiny_recipe(), encoding="utf-8")
    learnt: list[FitRequest] = []

    def train(wanted: FitRequest) -> Path:
        learnt.append(wanted)
        assert wanted.fold is not None
        metrics = {wanted.fold.name: figures(0.5 + wanted.fold.number / 10)}
        card = stripe_model(wanted.out, name="fast-m", metrics=metrics).with_suffix(".json")
        (wanted.out / "recipe.toml").write_text(recipe.read_text("utf-8"), encoding="utf-8")
        return card

    monkeypatch.setattr("training.expression.systems.train", train)
    request = FitRequest(recipe, tmp_path / "x.csv", None, tmp_path / "runs", tmp_path)

    first = fold_runs(recipe, request, 2)
    again = fold_runs(recipe, request, 2)

    assert [one.figures["fer2013_accuracy"] for one in first] == [0.6, 0.7]
    assert again == first
    assert [one.out.name for one in learnt] == ["fold-1-of-2", "fold-2-of-2"]
    assert all(one.resume for one in learnt)
    recipe.write_text(tiny_recipe().replace("seed = ", "seed = 9"), encoding="utf-8")
    with pytest.raises(RecipeError, match="was made by another recipe"):
        fold_runs(recipe, request, 2)


def test_the_table_has_mean_deviation_and_the_fixed_split(tmp_path: Path) -> None:
    card = stripe_model(tmp_path, name="stripes").with_suffix(".json")
    fixed = fixed_split(card, stripe_faces(70))
    folds = [FoldFigures("fold 1 of 2", figures(0.6)), FoldFigures("fold 2 of 2", figures(0.7))]

    text = folds_text(folds, FoldFigures(fixed.name, figures(0.65)))

    lines = text.splitlines()
    assert lines[3].split() == ["mean", "65.00%", "0.325"]
    assert lines[4].split() == ["standard", "deviation", "7.07%", "0.035"]
    assert lines[5].startswith("fixed split, half A")
    assert 0 < fixed.figures["fer2013_n"] < 70
    assert np.isfinite(fixed.figures["ferplus_accuracy"])


STEPS = "[preparation]\nspeckle = true\nmin_max = true\n"


VARIANTS = ["emo-all-steps", "emo-without-speckle", "emo-without-min-max", "emo-no-step"]


def prepared_run(folder: Path, extra: str = STEPS) -> Path:
    folder.mkdir(parents=True)
    text = tiny_recipe().replace("epochs = 1\n", "epochs = 8\nfreeze = 1\nunfreeze_at = [2]\n")
    (folder / "recipe.toml").write_text(text + extra, encoding="utf-8")
    return folder


def test_ablate_learns_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = prepared_run(tmp_path / "runs" / "emo")
    learnt: list[str] = []

    def train(wanted: FitRequest) -> Path:
        learnt.append(wanted.out.name)
        return stripe_model(wanted.out, name=wanted.out.name).with_suffix(".json")

    monkeypatch.setattr("training.expression.systems.train", train)
    monkeypatch.setattr("training.commands.options.load_faces", lambda *_, **__: stripe_faces(80))
    asked = ["ablate", str(run), "--data", str(tmp_path / "x.csv"), "--device", "cpu"]

    first = CliRunner().invoke(app, asked)
    again = CliRunner().invoke(app, asked)

    assert (first.exit_code, again.exit_code) == (0, 0), (first.output, first.exception)
    assert learnt == VARIANTS, "finished ones are loaded"
    table = tmp_path / "runs" / "emo-ablation" / "ablation.md"
    assert first.stdout == f"{table}\n"
    written = table.read_text(encoding="utf-8")
    assert "half A of PublicTest; each network learnt 3 epochs on from emo" in written
    assert written.count("| emo-without-speckle |") == 2


def test_the_report_says_which_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.expression.systems._report_curves", lambda _: b"curves")
    monkeypatch.setattr("training.expression.systems.confusion_png", lambda *_: b"matrix")
    for name in ("cnn-scratch", "depthwise"):
        stripe_model(tmp_path / name, name=name)
        shutil.copy(RECIPES / f"{name}.toml", tmp_path / name / "recipe.toml")
    data, votes = write_data(tmp_path)
    command = ["compare", "--data", str(data), "--votes", str(votes), "--runs", str(tmp_path)]
    recipes = [RECIPES / "cnn-scratch.toml", RECIPES / "depthwise.toml"]
    chosen = [part for recipe in recipes for part in ("--recipes", str(recipe))]
    titles = []

    for half in ("A", "B", "both"):
        options = [
            "--half",
            half,
            "--cache",
            str(tmp_path / "cache"),
            "--out",
            str(tmp_path / half),
        ]
        done = CliRunner().invoke(app, [*command, *chosen, *options])
        assert done.exit_code == 0, done.output
        text = (tmp_path / half / "systems.md").read_text(encoding="utf-8")
        titles.append(text.split("## Systems\n\n")[1].split(". ")[0])

    assert titles[0].endswith("of half A of PublicTest")
    assert titles[2] == "All 20 pictures of PublicTest"
    counts = [int(title.split()[1]) for title in titles]
    assert counts[0] + counts[1] == counts[2] == 20
