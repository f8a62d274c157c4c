"""The folder of labelled photographs: written, read again, and every fault named."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_agent.core.expression import Box
from training.errors import DataError
from training.faces.labelling import (
    COLUMNS,
    LabelledFace,
    LabelledPicture,
    read_labels,
    read_picture,
    write_labels,
)

POINTS = ((1.0, 2.0), (3.0, 2.0), (2.0, 3.0), (1.5, 4.0), (2.5, 4.0))
GOOD = dict(zip(COLUMNS, ["a.png", "train", "0", "", "1", "2", "3", "4", *["5"] * 10], strict=True))


def write_rows(folder: Path, *changes: dict[str, str]) -> Path:
    rows = [",".join((GOOD | change).values()) for change in changes]
    (folder / "labels.csv").write_text(
        "\n".join([",".join(COLUMNS), *rows]) + "\n", encoding="utf-8"
    )
    return folder


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    pictures = [
        LabelledPicture(
            "p/a.png",
            "train",
            (LabelledFace(Box(1, 2, 3, 4), POINTS), LabelledFace(Box(0, 0, 9, 9), None)),
        ),
        LabelledPicture("p/b.png", "test", ()),
        LabelledPicture(
            "p/c.png", "valid", (LabelledFace(Box(-1.5, 0, 3, 4), None, ignore=True, ceiling=0.25),)
        ),
    ]
    write_labels(tmp_path, pictures)
    assert read_labels(tmp_path) == pictures


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"part": "training"}, "row 3, column part: 'training' is not one of train, valid, test"),
        ({"x": "left"}, "row 3, column x: 'left' is not a number"),
        ({"nose_y": "nan"}, "row 3, column nose_y: 'nan' is not a finite number"),
        ({"left_eye_x": ""}, "row 3, column left_eye_x: '' is not a number"),
        ({"width": "0"}, "row 3, column width: a box needs a positive size"),
        ({"ignore": "yes"}, "row 3, column ignore: 'yes' is neither 0 nor 1"),
        ({"ceiling": "1.5"}, "row 3, column ceiling: '1.5' is not between 0 and 1"),
        ({"ceiling": "high"}, "row 3, column ceiling: 'high' is not a number"),
        ({"part": "valid"}, "row 3, column part: a.png is in train further up"),
    ],
)
def test_a_bad_value_is_named_with_row_and_column(
    tmp_path: Path, change: dict[str, str], words: str
) -> None:
    with pytest.raises(DataError) as caught:
        read_labels(write_rows(tmp_path, {}, change))
    assert words in str(caught.value)


def test_missing_columns_short_rows_and_no_rows_are_named(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("file,part\na.png,train\n", encoding="utf-8")
    with pytest.raises(DataError, match="columns are missing: ceiling, height, ignore"):
        read_labels(tmp_path)
    path.write_text(",".join(COLUMNS) + "\na.png,train\n", encoding="utf-8")
    with pytest.raises(DataError, match="row 2: has fewer values"):
        read_labels(tmp_path)
    with pytest.raises(DataError, match="has no rows"):
        read_labels(write_rows(tmp_path))


def test_a_folder_without_labels_and_a_file_that_is_no_table_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"labels\.csv: cannot be read: No such file"):
        read_labels(tmp_path)
    (tmp_path / "labels.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="is not a CSV file in UTF-8"):
        read_labels(tmp_path)


def test_pictures_that_are_missing_empty_or_broken_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.png: cannot be read"):
        read_picture(tmp_path / "a.png")
    for content in (b"", b"no picture"):
        (tmp_path / "a.png").write_bytes(content)
        with pytest.raises(DataError, match=r"a\.png: is not a picture"):
            read_picture(tmp_path / "a.png")


def test_a_gray_picture_is_read_with_three_channels(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "gray.png"), np.full((5, 7), 9, dtype=np.uint8))
    assert read_picture(tmp_path / "gray.png").shape == (5, 7, 3)
