"""Photographs that cost the start network much are drawn more often."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="the training extra is not installed")

from edge_agent.core.expression import Box
from training.faces.detector import DetectorRecipe, costs, drawn_by_cost
from training.faces.labelling import LabelledFace
from training.faces.photographs import FaceBoxes, Photographs
from training.learning.recipe import load_recipe

pytestmark = pytest.mark.training

RECIPE = Path(__file__).resolve().parents[4] / "training" / "recipes" / "face-detector.toml"


def photographs(*faces: tuple[LabelledFace, ...]) -> Photographs:
    pictures = [np.full((96, 128, 3), 90, dtype=np.uint8)] * len(faces)
    return Photographs(
        pictures, [FaceBoxes.of(each) for each in faces], np.full(len(faces), 1 / len(faces))
    )


def test_missed_faces_cost_and_doubtful_regions_do_not() -> None:
    recipe = load_recipe(RECIPE, DetectorRecipe)
    face = LabelledFace(Box(40, 30, 30, 30), None)
    tiny = LabelledFace(Box(40, 30, 3, 3), None)
    doubtful = LabelledFace(Box(40, 30, 30, 30), None, ignore=True, ceiling=0.5)
    untrained = recipe.network.build()
    nothing, one, two, doubt, small = costs(
        untrained,
        photographs(
            (), (face,), (face, LabelledFace(Box(80, 10, 30, 30), None)), (doubtful,), (tiny,)
        ),
        recipe,
    )
    assert doubt < nothing
    assert small <= nothing < 0.1 * one < 0.1 * two
    assert untrained.training


def test_weights_follow_the_cost_within_bounds_and_the_hardness() -> None:
    learn = photographs(*[()] * 4)
    cost = np.array([0.0, 1.0, 1.0, 30.0])
    assert drawn_by_cost(learn, cost, 0.0).weights == pytest.approx([0.25] * 4)
    hard = drawn_by_cost(learn, cost, 1.0).weights
    assert hard.sum() == pytest.approx(1)
    assert hard[1] == pytest.approx(hard[0])  # both at the least
    assert hard[3] / hard[0] == pytest.approx(3.75 / 0.2)
    soft = drawn_by_cost(learn, cost, 0.5).weights
    assert soft[3] / soft[0] == pytest.approx((3.75 / 0.2) ** 0.5)


def test_photographs_that_cost_nothing_are_drawn_as_before() -> None:
    assert drawn_by_cost(photographs((), ()), np.zeros(2), 1.0).weights == pytest.approx([0.5, 0.5])
