"""Folds: each picture is evaluated once, finished ones are loaded, and what the table says."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("torch", reason="the training extra is not installed")

from tests.support.vision.stripes import stripe_faces, stripe_model
from tests.support.vision.tiny_faces import faces, tiny_recipe
from training.commands.main import app
from training.data.lessons import divide
from training.errors import DataError, RecipeError
from training.expression.systems import FoldFigures, fixed_split, fold_runs, folds_text
from training.learning.kinds import FitRequest, Fold

pytestmark = pytest.mark.training


def figures(share: float) -> dict[str, float]:
    return {"fer2013_accuracy": share, "fer2013_macro_f1": share / 2, "fer2013_n": 12}


def test_each_picture_is_in_one_fold_with_its_copies_and_never_learnt_there() -> None:
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


def test_a_fold_without_a_picture_is_refused() -> None:
    with pytest.raises(DataError, match=r"fold 1 of 3: holds \d of 1 pictures; choose fewer folds"):
        divide(faces(1), Fold(1, 3))


def test_finished_folds_are_loaded_others_learn_and_another_recipe_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_the_command_wants_an_expression_recipe_and_one_card(tmp_path: Path) -> None:
    recipes = Path(__file__).resolve().parents[4] / "training" / "recipes"
    given = ("--data", str(tmp_path), "--out", str(tmp_path / "out"), "--device", "cpu")

    cover = CliRunner().invoke(app, ["folds", "--recipe", str(recipes / "face-cover.toml"), *given])
    fixed = CliRunner().invoke(
        app,
        [
            *("folds", "--recipe", str(recipes / "literature" / "resnet34.toml"), *given),
            *("--fixed", str(tmp_path)),
        ],
    )

    starts = CliRunner().invoke(app, ["folds", "--recipe", str(recipes / "own-faces.toml"), *given])

    assert "the recipe learns on from expression-fast" in starts.stderr
    assert "only a recipe of kind expression has folds" in str(cover.exception)
    assert "holds 0 cards where a finished run holds one" in str(fixed.exception)
