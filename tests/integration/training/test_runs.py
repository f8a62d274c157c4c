"""Runs that need more than one: find a learning rate, several processes, a teacher."""

import csv
import json
from pathlib import Path

import pytest

from tests.support.vision.training_runs import (
    NEEDS_TRAINING,
    small_recipe,
    training,
    training_together,
    write_data,
)

pytestmark = NEEDS_TRAINING

LEARNS_ON = (
    ("seed = 1", 'seed = 1\nstart = "teacher"'),
    ('optimizer = "muon"\npeak_lr = 0.015', 'optimizer = "sgd"\npeak_lr = 1e-9'),
)
"""From the run beside it, and so slowly that its weights are still those of that run."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run, ``teacher``; runs look for others beside themselves."""
    folder = tmp_path_factory.mktemp("runs")
    done = training("fit", *small(folder, recipe_in(folder), folder / "teacher"))
    assert done.returncode == 0, done.stderr
    return folder


def recipe_in(folder: Path, *changes: tuple[str, str], more: str = "") -> Path:
    """Write the small recipe with changes, and return its file."""
    text = small_recipe()
    for was, becomes in changes:
        assert was in text
        text = text.replace(was, becomes)
    recipe = folder / "recipe.toml"
    recipe.write_text(text + more, encoding="utf-8")
    return recipe


def small(folder: Path, recipe: Path, out: Path) -> tuple[str | Path, ...]:
    data, votes = write_data(folder)
    where = ("--data", data, "--votes", votes, "--cache", folder / "cache", "--out", out)
    return ("--recipe", recipe, *where, "--limit", "small", "--device", "cpu", "--threads", "1")


def test_find_lr_says_a_peak_and_leaves_table_and_picture(tmp_path: Path) -> None:
    done = training(
        "find-lr", *small(tmp_path, recipe_in(tmp_path), tmp_path / "run"), "--steps", "12"
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("suggested schedule.peak_lr: ")
    assert (tmp_path / "run" / "find-lr.png").stat().st_size > 10_000
    with (tmp_path / "run" / "find-lr.csv").open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) > 2


def test_two_processes_learn_one_model(tmp_path: Path) -> None:
    done = training_together(2, "fit", *small(tmp_path, recipe_in(tmp_path), tmp_path / "run"))

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "run" / "fast-m.json"), (
        "the first process alone publishes"
    )
    assert len((tmp_path / "run" / "curves.csv").read_text(encoding="utf-8").splitlines()) == 3


def test_a_student_learns_on_from_a_run_which_its_card_names_as_its_teacher(
    folder: Path, tmp_path: Path
) -> None:
    recipe = recipe_in(tmp_path, *LEARNS_ON, more='\n[distillation]\nteachers = ["teacher"]\n')

    done = training("fit", *small(folder, recipe, folder / "student"))

    assert done.returncode == 0, done.stderr
    card = json.loads((folder / "student" / "fast-m.json").read_text(encoding="utf-8"))
    assert card["training"]["teacher"] == "teacher"
    (version,) = (folder / "cache").glob("views-*/*.npz")
    assert version.name == "00.npz"
    with (folder / "student" / "curves.csv").open(encoding="utf-8") as file:
        assert all(float(row["train_teachers"]) > 0 for row in csv.DictReader(file))

    import torch

    from training.learning.checkpoint import averaged_weights

    first, second = (averaged_weights(folder / run) for run in ("teacher", "student"))
    # the rest are batch norm's statistics
    learnt = [name for name in first if name.endswith(("weight", "bias"))]
    assert len(learnt) > 20
    assert all(torch.allclose(first[name], second[name], atol=1e-6) for name in learnt)


def test_a_run_of_another_shape_is_refused_to_learn_on_from(folder: Path, tmp_path: Path) -> None:
    recipe = recipe_in(tmp_path, *LEARNS_ON, ("widths = [24", "widths = [20"))

    refused = training("fit", *small(folder, recipe, folder / "third"))

    assert refused.returncode == 2
    assert "start = 'teacher' is a run of another network than this recipe" in refused.stderr
    assert "widths = (20, " in refused.stderr and "here and (24, " in refused.stderr


def test_a_teacher_that_is_not_there_is_named_before_anything_is_learnt(tmp_path: Path) -> None:
    recipe = recipe_in(tmp_path, more='\n[distillation]\nteachers = ["absent"]\n')

    done = training("fit", *small(tmp_path, recipe, tmp_path / "student"))

    assert done.returncode == 2
    assert "absent/recipe.toml: cannot be read: No such file" in done.stderr
    assert not (tmp_path / "student" / "checkpoint.pt").exists()
