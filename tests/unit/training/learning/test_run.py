"""The learning-rate range test: what it suggests, and what it refuses."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from PIL import Image

from tests.support.vision.line_task import SCHEDULE, Line, line
from training.errors import DataError, RecipeError
from training.learning.curves import CURVES, PICTURE, write_curves
from training.learning.range_test import RangeTest, RateRange, find_lr, write_range_test


def test_the_loss_falls_and_then_diverges_and_the_peak_lies_between() -> None:
    found = find_lr(Line(line()), SCHEDULE, RateRange(1e-4, 100.0, 60), seed=1)

    assert found.rates[0] == pytest.approx(1e-4)
    assert found.rates[-1] < 100, "it should have stopped when the loss tripled"
    assert found.smoothed[-1] > 3 * min(found.smoothed)
    assert 1e-3 < found.suggested < 1.0


def test_a_fall_after_the_loss_has_jumped_suggests_no_peak() -> None:
    losses = (4.0, 3.5, 3.2, 3.4, 6.0, 3.9)

    found = RangeTest((1e-4, 1e-3, 1e-2, 1e-1, 1.0, 3.0), losses, losses)

    assert found.steepest == 1e-4
    assert found.suggested == pytest.approx(1e-2 / 3)


@pytest.mark.parametrize(
    ("least", "most", "steps"), [(0.1, 0.1, 50), (0.0, 1.0, 50), (1e-4, 1.0, 3)]
)
def test_wrong_bounds_and_few_steps_are_refused(least: float, most: float, steps: int) -> None:
    with pytest.raises(RecipeError, match="the rates must rise, in at least 10 steps"):
        find_lr(Line(line()), SCHEDULE, RateRange(least, most, steps), seed=1)


def test_a_loss_that_diverges_at_once_says_to_begin_lower() -> None:
    with pytest.raises(DataError, match="diverged at once"):
        find_lr(Line(line(), scale=float("inf")), SCHEDULE, seed=1)


def test_table_and_picture_are_written_and_a_folder_in_the_way_is_named(tmp_path: Path) -> None:
    found = find_lr(Line(line()), SCHEDULE, RateRange(steps=20), seed=1)

    table, picture = write_range_test(found, tmp_path / "run")

    assert table.read_text(encoding="utf-8").splitlines()[0] == "lr,loss,smoothed"
    assert len(table.read_text(encoding="utf-8").splitlines()) == 1 + len(found.rates)
    assert picture.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(DataError, match=r"find-lr\.csv: cannot be written"):
        write_range_test(found, table)


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
