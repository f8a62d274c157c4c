"""A training does without the pictures of a list, and a list that it cannot use is refused."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import pytest

pytest.importorskip("torch", reason="the training extra is not installed")
pytest.importorskip("litert_torch", reason="the training extra is not installed")

from tests.support.vision.tiny_faces import faces, tiny_recipe
from training.commands import main
from training.data.datasets import EXPRESSIONS, checksum
from training.errors import RecipeError
from training.learning.kinds import FitRequest, plan

pytestmark = pytest.mark.training


def test_what_a_list_leaves_out_is_not_learnt(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "recipe.toml").write_text(tiny_recipe(), encoding="utf-8")
    lines = ["picture,leave_out,crc32"]
    for at, picture in enumerate(faces(70).pictures):
        place = tmp_path / "faces" / EXPRESSIONS[at % 7] / f"{at}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(place), picture)
        choice = "yes" if at % 10 == 0 else "no"
        lines.append(f"{place.relative_to(tmp_path / 'faces')},{choice},{checksum(picture)}")
    (tmp_path / "list.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    request = FitRequest(
        recipe=tmp_path / "recipe.toml",
        data=tmp_path / "faces",
        votes=None,
        out=tmp_path / "run",
        cache=tmp_path / "cache",
        without=tmp_path / "list.csv",
        small=True,
    )

    with caplog.at_level(logging.INFO):
        plan(request)

    assert "7 of 70 pictures are left out" in caplog.text


def test_a_recipe_of_another_kind_takes_no_list(tmp_path: Path) -> None:
    recipe = Path(main.__file__).parents[1] / "recipes" / "face-detector.toml"
    request = FitRequest(
        recipe=recipe,
        data=tmp_path,
        votes=None,
        out=tmp_path / "run",
        cache=tmp_path,
        without=tmp_path / "list.csv",
    )

    with pytest.raises(RecipeError, match="names labelled faces, which a recipe of kind face-d"):
        plan(request)
