"""``python -m training fit`` for movements and pose: from labelled faces to an int8 model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_agent.core.movements import MOVEMENTS, NAMES
from edge_agent.vision.models.model import load_model
from edge_agent.vision.movements import MovementsReader
from tests.support.vision.training_runs import LONG_RUN, training_here
from training.expression.movements import ANSWERS, FILE, PARTS, MovementRecipe
from training.learning.checkpoint import WEIGHTS
from training.learning.recipe import load_recipe

pytestmark = [LONG_RUN, pytest.mark.deep]

RECIPE = Path(__file__).resolve().parents[3] / "training" / "recipes" / "face-movements.toml"


def write_answers(folder: Path) -> None:
    """Write faces of noise from each source in each part, with a teacher's answers."""
    random = np.random.default_rng(5)
    sources = sorted(load_recipe(RECIPE, MovementRecipe).data.weights)
    count = 8 * len(sources) * len(PARTS)
    np.savez(
        folder / FILE,
        pixels=random.integers(0, 255, (count, 48, 48), dtype=np.uint8),
        part=np.arange(count, dtype=np.int8) % len(PARTS),
        source=np.repeat(sources, count // len(sources)),
        angle=np.zeros(count, np.float32),
    )
    np.savez(
        folder / ANSWERS,
        movements=random.random((count, len(MOVEMENTS)), np.float32),
        pose=random.normal(0, 10, (count, 3)).astype(np.float32),
        look=random.normal(0, 0.3, (count, 2)).astype(np.float32),
    )


def test_movements_recipe_in_few_steps_becomes_a_model_that_reads(tmp_path: Path) -> None:
    write_answers(tmp_path)
    out = tmp_path / "run"
    done = training_here(
        *("fit", "--recipe", RECIPE, "--data", tmp_path, "--limit", "small"),
        *("--out", out, "--threads", "1"),
    )
    assert done.returncode == 0, done.stderr
    model = load_model(out / "face-movements.json", kind="face-movements")
    assert model.card.multiply_adds == 23_503_512
    test = model.card.metrics["test"]
    assert all(f"{name}, slope" in test for name in MOVEMENTS)
    read = MovementsReader(model).read(np.zeros((48, 48), np.uint8))
    assert len(read.values) == len(NAMES)
    assert (out / WEIGHTS).exists()
