"""The curves of a run, as a table and as a picture."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="the training extra is not installed")

from PIL import Image

from training.errors import RecipeError
from training.learning.checkpoint import CURVES, PICTURE, write_curves

ROWS = (
    {"epoch": 1.0, "lr": 0.1, "train_loss": 4.0, "valid_accuracy": 0.25, "seconds": 1.5},
    {"epoch": 2.0, "lr": 0.05, "train_loss": 2.0, "valid_accuracy": 0.5, "seconds": 1.25},
)


def test_the_table_has_a_row_for_each_epoch_and_the_picture_is_drawn(tmp_path: Path) -> None:
    write_curves(tmp_path, ROWS)

    with (tmp_path / CURVES).open(encoding="utf-8") as file:
        read = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    assert read == list(ROWS)
    with Image.open(tmp_path / PICTURE) as picture:
        assert (picture.format, picture.size) == ("PNG", (1200, 400))
        drawn = picture.convert("RGB").getcolors(1 << 24)
    assert drawn is not None and len(drawn) > 50
    assert {path.name for path in tmp_path.iterdir()} == {CURVES, PICTURE}


def test_a_picture_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / PICTURE).mkdir()

    with pytest.raises(RecipeError, match="the curves cannot be written .*make room or permission"):
        write_curves(tmp_path, ROWS)
