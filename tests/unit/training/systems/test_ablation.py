"""An ablation: a recipe for each step that is missing, spoilt pictures, the table, the command."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("torch", reason="the training extra is not installed")

from edge_agent.vision.models.model import load_model
from tests.support.vision.stripes import stripe_faces, stripe_model
from tests.support.vision.tiny_faces import tiny_recipe
from training.commands.main import app
from training.errors import RecipeError
from training.expression.recipe import ExpressionRecipe
from training.expression.systems import (
    NOISES,
    UNSPOILT,
    System,
    ablation_rows,
    ablation_text,
    spoilt,
    write_variants,
)
from training.learning.kinds import FitRequest
from training.learning.recipe import load_recipe

pytestmark = pytest.mark.training

STEPS = "[preparation]\nspeckle = true\nmin_max = true\n"
NAMES = ["emo-all-steps", "emo-without-speckle", "emo-without-min-max", "emo-no-step"]


def finished(folder: Path, extra: str = STEPS) -> Path:
    """A run folder with nothing but its recipe."""
    folder.mkdir(parents=True)
    text = tiny_recipe().replace("epochs = 1\n", "epochs = 8\nfreeze = 1\nunfreeze_at = [2]\n")
    (folder / "recipe.toml").write_text(text + extra, encoding="utf-8")
    return folder


def test_each_step_is_missing_once_and_each_network_learns_on_alike(tmp_path: Path) -> None:
    run = finished(tmp_path / "emo")

    files = write_variants(run, 3, tmp_path / "recipes")

    assert [file.stem for file in files] == NAMES
    forms = [load_recipe(file, ExpressionRecipe) for file in files]
    assert [form.name for form in forms] == NAMES
    assert [form.preparation.steps for form in forms] == [
        ("speckle", "min-max"),
        ("min-max",),
        ("speckle",),
        (),
    ]
    for form in forms:
        assert (form.start, form.schedule.epochs, form.schedule.freeze) == ("emo", 3, 0)
        assert form.schedule == forms[0].schedule
        assert form.network == load_recipe(run / "recipe.toml", ExpressionRecipe).network


def test_a_run_that_prepares_nothing_is_refused(tmp_path: Path) -> None:
    run = finished(tmp_path / "plain", "")
    with pytest.raises(RecipeError, match=r"plain: its recipe has no step of \[preparation\]"):
        write_variants(run, 3, tmp_path / "recipes")


@pytest.mark.parametrize("kind", NOISES)
def test_pictures_are_spoilt_alike_each_time_and_stay_pictures(kind: str) -> None:
    pictures = stripe_faces(5).pictures
    bad = spoilt(pictures, kind)
    assert bad.shape == pictures.shape
    assert bad.dtype == np.uint8
    assert np.array_equal(bad, spoilt(pictures, kind))
    changed = np.abs(bad.astype(int) - pictures).mean()
    assert 0.5 < changed < 80, f"{kind} changes a pixel by {changed:.1f} grey levels"


def test_the_table_has_a_row_for_each_network_and_a_column_for_each_noise(tmp_path: Path) -> None:
    form = load_recipe(finished(tmp_path / "emo") / "recipe.toml", ExpressionRecipe)
    systems = []
    for name in ("all", "none"):
        card = stripe_model(tmp_path / name, name=name).with_suffix(".json")
        renamed = form.model_copy(update={"name": name})
        systems.append(System(renamed, load_model(card, kind="expression"), (), None))

    rows = ablation_rows(systems, stripe_faces(70))

    assert [row.name for row in rows] == ["all", "none"]
    assert set(rows[0].accuracy) == {UNSPOILT, *NOISES}
    assert rows[0].accuracy[UNSPOILT]["fer2013"] == pytest.approx(0.8)
    assert rows[0].p == {"ferplus": 1.0, "fer2013": 1.0}
    text = ablation_text(rows, "70 pictures", "a processor")
    table = [line for line in text.splitlines() if line.startswith("| all")]
    assert len(table) == 2
    assert table[1].split("|")[2].strip() == "80.0"
    assert all(line.count("|") == 10 for line in text.splitlines() if line.startswith("|"))


def test_the_command_learns_what_is_missing_and_writes_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finished(tmp_path / "runs" / "emo")
    learnt: list[str] = []

    def train(wanted: FitRequest) -> Path:
        learnt.append(wanted.out.name)
        return stripe_model(wanted.out, name=wanted.out.name).with_suffix(".json")

    monkeypatch.setattr("training.expression.systems.train", train)
    monkeypatch.setattr("training.data.datasets.load_faces", lambda *_, **__: stripe_faces(80))
    asked = ["ablate", str(run), "--data", str(tmp_path / "x.csv"), "--device", "cpu"]

    first = CliRunner().invoke(app, asked)
    again = CliRunner().invoke(app, asked)

    assert (first.exit_code, again.exit_code) == (0, 0), (first.output, first.exception)
    assert learnt == NAMES, "finished ones are loaded"
    table = tmp_path / "runs" / "emo-ablation" / "ablation.md"
    assert first.stdout == f"{table}\n"
    written = table.read_text(encoding="utf-8")
    assert "half A of PublicTest; each network learnt 3 epochs on from emo" in written
    assert written.count("| emo-without-speckle |") == 2
