"""A run in several processes."""

from pathlib import Path

import pytest

from tests.support.vision.training_runs import (
    LONG_RUN,
    RECIPE,
    small_recipe,
    training_together,
    write_data,
)

pytestmark = [LONG_RUN, pytest.mark.deep]


def test_two_processes_learn_one_model(tmp_path: Path) -> None:
    recipe = tmp_path / RECIPE.name
    recipe.write_text(small_recipe(), encoding="utf-8")
    data, votes = write_data(tmp_path)

    done = training_together(
        2,
        *("fit", "--recipe", recipe, "--data", data, "--votes", votes, "--limit", "small"),
        *("--out", tmp_path / "run", "--cache", tmp_path / "cache"),
        *("--device", "cpu", "--threads", "1"),
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "run" / "fast-m.json"), (
        "the first process alone publishes"
    )
    assert len((tmp_path / "run" / "curves.csv").read_text(encoding="utf-8").splitlines()) == 3
