"""``compare --recipes`` on finished runs, from the command line to the report."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

pytest.importorskip("torch", reason="the training extra is not installed")

from tests.support.vision.stripes import stripe_model
from tests.support.vision.training_runs import ROOT, write_data
from training.commands.main import app

pytestmark = [pytest.mark.training, pytest.mark.usefixtures("undrawn")]

RECIPES = ROOT / "training" / "recipes" / "literature"


def test_it_writes_a_report_that_says_which_half_evaluated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
        done = CliRunner().invoke(app, [*command, *chosen, *options, "--out", str(tmp_path / half)])
        assert done.exit_code == 0, done.output
        text = (tmp_path / half / "systems.md").read_text(encoding="utf-8")
        titles.append(text.split("## Systems\n\n")[1].split(". ")[0])

    assert titles[0].endswith("of half A of PublicTest")
    assert titles[2] == "All 20 pictures of PublicTest"
    counts = [int(title.split()[1]) for title in titles]
    assert counts[0] + counts[1] == counts[2] == 20
