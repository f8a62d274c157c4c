"""``python -m training fit`` for covered faces: from crops to a model that the agent loads."""

from __future__ import annotations

from pathlib import Path
from subprocess import CompletedProcess
from unittest.mock import patch

import numpy as np
import pytest

from edge_agent.vision.cover import CoverDetector
from edge_agent.vision.models.model import load_model
from tests.support.vision.training_runs import LONG_RUN, training_here
from training.data.drawn import THINGS
from training.errors import DataError
from training.expression.covers import CoverAnswers, Crops, face_weights, plan_cover, save_crops
from training.learning.kinds import FitRequest

pytestmark = [LONG_RUN, pytest.mark.deep]

RECIPE = Path(__file__).resolve().parents[3] / "training" / "recipes" / "face-cover.toml"


def made_faces(count: int = 96) -> Crops:
    """Gray crops with two dark eyes and a dark mouth; every other has a mask over it."""
    random = np.random.default_rng(5)
    pixels = random.integers(120, 180, (count, 48, 48)).astype(np.uint8)
    pixels[:, 16:21, 12:18] = pixels[:, 16:21, 30:36] = pixels[:, 34:38, 17:31] = 20
    masked = np.arange(count) % 2
    for number in np.flatnonzero(masked):
        pixels[number] = THINGS[0].draw(pixels[number], random)
    part = np.arange(count) // 2 % 3
    return Crops(pixels, masked.astype(np.int8), part.astype(np.int8), np.full(count, "portraits"))


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cover")
    save_crops(folder, made_faces())
    out = folder / "run"
    first = RECIPE.parent / "steps" / "face-cover-a.toml"

    def fit(recipe: Path, place: Path) -> CompletedProcess[str]:
        done = training_here(
            *("fit", "--recipe", recipe, "--data", folder, "--out", place),
            *("--limit", "small", "--threads", "1", "--cache", folder / "cache"),
        )
        assert done.returncode == 0, done.stderr
        return done

    # What is learnt on from is its checkpoint; to write its model takes longer than to learn.
    with (
        patch("training.expression.covers._write", return_value=folder),
        patch("training.expression.covers.finish_card", return_value=folder),
    ):
        fit(first, folder / "face-cover-a")
    done = fit(RECIPE, out)
    assert done.stdout.strip() == str(out / "face-cover.json")
    return out / "face-cover.json"


def test_the_agent_loads_the_model_and_it_is_small(card: Path) -> None:
    detector = CoverDetector(load_model(card, kind="face-cover"))
    assert 0 <= detector.probability(made_faces(2).pixels[0]) <= 1
    assert 0 < detector.covered_from < 1
    assert detector.card.multiply_adds < 3_000_000
    assert card.with_suffix(".tflite").stat().st_size < 50_000


def test_the_card_tells_what_is_refused_on_both_parts(card: Path) -> None:
    metrics = load_model(card, kind="face-cover").card.metrics
    for part in ("valid", "test"):
        assert {f"refused with drawn {thing.name}" for thing in THINGS} <= set(metrics[part])
        assert "refused of portraits without a mask" in metrics[part]


def test_faces_of_a_source_are_drawn_by_its_weight_and_both_kinds_alike() -> None:
    faces = made_faces(9)
    chance = face_weights(faces, {"portraits": 0.5, "nowhere": 0.5})
    assert chance.sum() == pytest.approx(1)
    assert chance[faces.masked == 1].sum() == pytest.approx(0.5)


def test_the_threshold_is_the_lowest_that_refuses_few_enough_bare_faces() -> None:
    faces = made_faces(20)
    sure = np.where(faces.masked == 1, 0.9, np.arange(20) / 40)
    asked = CoverAnswers(faces, sure, {})
    assert asked.threshold(0.1) == 0.41
    assert asked.figures(0.41)["refused of portraits without a mask"] == 0.1
    assert asked.figures(0.41)["refused of portraits with a mask"] == 1.0


def test_crops_without_a_masked_face_are_refused(tmp_path: Path) -> None:
    faces = made_faces()
    save_crops(tmp_path, faces.take(faces.masked == 0))
    request = FitRequest(RECIPE, tmp_path, None, tmp_path / "run", tmp_path)
    with pytest.raises(DataError, match="needs faces with and without a mask; it has 0 and 16"):
        plan_cover(request)
