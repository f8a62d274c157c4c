"""Marked points replace the teacher's where the two agree; a broken table is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_agent.core.expression import Box
from training.errors import DataError
from training.faces.labelling import (
    MARKED,
    NAMES,
    LabelledFace,
    deviation,
    read_marked,
    with_marked,
)

POINTS = np.array([(20.0, 20.0), (30.0, 20.0), (25.0, 26.0), (21.0, 31.0), (29.0, 31.0)])
HEADER = ",".join(["file", *(f"{name}_{axis}" for name in NAMES for axis in "xy")])


def face(points: np.ndarray | None, *, ignore: bool = False) -> LabelledFace:
    told = None if points is None else tuple((float(x), float(y)) for x, y in points)
    return LabelledFace(Box(10, 10, 30, 30), told, ignore)


def table(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / MARKED
    path.write_text("\n".join([header, *rows, ""]), encoding="utf-8")
    return path


def test_points_are_read_in_the_order_of_the_agent_by_name_of_the_picture(tmp_path: Path) -> None:
    row = ",".join(["p/a.jpg", *(str(value) for value in POINTS.ravel())])
    assert read_marked(table(tmp_path, row))["p/a.jpg"].tolist() == POINTS.tolist()


def test_an_archive_without_marked_points_has_none(tmp_path: Path) -> None:
    assert read_marked(tmp_path / MARKED) == {}


@pytest.mark.parametrize(
    ("header", "row", "said"),
    [
        ("file,nose_x", "a.jpg,1", "columns are missing: left_eye_x"),
        (
            HEADER,
            "a.jpg,1,2,3,4,5,6,7,8,9,wide",
            "row 2, column mouth_right_y: 'wide' is not a number",
        ),
        (
            HEADER,
            "a.jpg,1,2,3,4,5,6,7,8,9,nan",
            "row 2, column mouth_right_y: 'nan' is not a finite number",
        ),
        (HEADER, "a.jpg,1,2", "row 2, column right_eye_x: None is not a number"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_by_row_and_column(
    tmp_path: Path, header: str, row: str, said: str
) -> None:
    with pytest.raises(DataError, match=said):
        read_marked(table(tmp_path, row, header=header))


def test_marked_points_replace_the_teachers_where_they_agree_roughly() -> None:
    (changed,) = with_marked([face(POINTS + 1)], POINTS)
    assert changed.points == tuple((x, y) for x, y in POINTS.tolist())
    assert changed.box == face(POINTS).box


@pytest.mark.parametrize(
    "there", [face(POINTS + np.array([0, 15])), face(None), face(POINTS, ignore=True)]
)
def test_points_that_slipped_or_belong_to_nobody_change_nothing(there: LabelledFace) -> None:
    assert with_marked([there], POINTS) == [there]
    assert with_marked([there], None) == [there]


def test_the_deviation_is_told_in_distances_of_the_eyes() -> None:
    assert deviation(POINTS + np.array([1, 0]), POINTS) == pytest.approx(0.1)
    assert deviation(POINTS, np.zeros((5, 2))) == float("inf")
