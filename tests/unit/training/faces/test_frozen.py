"""Parts of the detector that a recipe freezes stay as they are, batch norm included.

The others learn.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="the training extra is not installed")

import torch

from edge_agent.core.expression import Box
from training.faces.detector import DetectorRecipe, DetectorTask
from training.faces.labelling import LabelledFace
from training.faces.photographs import FaceBoxes, Photographs
from training.learning.recipe import load_recipe

pytestmark = pytest.mark.training

RECIPE = Path(__file__).resolve().parents[4] / "training" / "recipes" / "face-detector.toml"
POINTS = ((44.0, 40.0), (58.0, 40.0), (51.0, 47.0), (45.0, 54.0), (57.0, 54.0))


def test_what_is_frozen_stays_and_the_rest_learns() -> None:
    random = np.random.default_rng(2)
    pictures = [random.integers(0, 256, (96, 128, 3), dtype=np.uint8) for _ in range(4)]
    faces = [FaceBoxes.of([LabelledFace(Box(36, 28, 30, 34), POINTS)]) for _ in pictures]
    photographs = Photographs(pictures, faces, np.full(4, 0.25))
    recipe = load_recipe(RECIPE, DetectorRecipe)
    recipe = recipe.model_copy(
        update={
            "frozen": ("stem", "stage4", "stage8", "heads.1.shared"),
            "data": recipe.data.model_copy(update={"scenes": 16}),
            "schedule": recipe.schedule.model_copy(update={"batch": 8}),
        }
    )
    task = DetectorTask(recipe, photographs, photographs)
    before = {name: value.clone() for name, value in task.module.state_dict().items()}
    learnt = [p for p in task.module.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(learnt, 0.1)
    task.module.train()
    for batch in task.batches(0, torch.Generator().manual_seed(1)):
        optimizer.zero_grad()
        task.loss(task.module, batch)[0].backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    changed = {
        name
        for name, value in task.module.state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert not [name for name in changed if name.startswith(recipe.frozen)]
    assert {
        "stage16.0.0.weight",
        "stage16.0.1.running_mean",
        "heads.1.points.0.0.0.weight",
    } <= changed
