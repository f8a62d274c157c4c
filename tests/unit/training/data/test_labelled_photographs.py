"""Labelled photographs: what can be wrong with an archive, a folder or a table."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_agent.core.errors import PictureError
from training.data.datasets import EXPRESSIONS
from training.data.photographs import LabelledPhotographs
from training.errors import DataError

TABLE = "file,emotion\na.png,anger\nb.png,happiness\n"


def png(brightness: int) -> bytes:
    return bytes(cv2.imencode(".png", np.full((6, 8, 3), brightness, np.uint8))[1])


def contents(labels: str = TABLE) -> dict[str, bytes]:
    return {"labels.csv": labels.encode(), "a.png": png(10), "b.png": png(200)}


def packed(path: Path, files: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def unpacked(path: Path, files: Mapping[str, bytes]) -> Path:
    path.mkdir()
    for name, content in files.items():
        (path / name).write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("", "row 1: column file is missing; expected file, emotion"),
        ("file;emotion\na.png;anger\n", "row 1: column file is missing"),
        ("file,emotion\n", "holds only a header; add a table"),
        (
            "file,emotion\na.png,angry!\n",
            r"row 2, column emotion: 'angry!' is not one of neutral, happiness",
        ),
        ("file,emotion\na.png\n", "row 2: holds 1 values where the header names 2"),
        (
            "file,emotion\na.png,anger\na.png,fear\n",
            r"row 3, column file: 'a.png' has a row further up",
        ),
        ("file,emotion\n,anger\n", r"row 2, column file: '' is empty; name the photograph"),
        (
            "file,emotion\na.png,anger\nc.png,fear\n",
            r"row 3, column file: 'c.png' is not in .*; add it or drop",
        ),
        ('file,emotion\n"a.png,anger\n', "is not a CSV table in UTF-8"),
    ],
)
def test_a_fault_in_the_table_is_told_with_its_place_and_the_cure(
    tmp_path: Path, table: str, said: str
) -> None:
    for source in (
        packed(tmp_path / "p.zip", contents(table)),
        unpacked(tmp_path / "p", contents(table)),
    ):
        with pytest.raises(DataError, match=rf"{source}, labels.csv: .*{said}"):
            LabelledPhotographs(source)


def test_a_table_that_is_no_text_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a CSV table in UTF-8"):
        LabelledPhotographs(
            packed(tmp_path / "p.zip", contents() | {"labels.csv": b"\xff\xfe\x00"})
        )


def test_photographs_without_a_table_are_told_how_to_get_one(tmp_path: Path) -> None:
    for source in (
        packed(tmp_path / "p.zip", {"a.png": png(1)}),
        unpacked(tmp_path / "p", {"a.png": png(1)}),
    ):
        with pytest.raises(
            DataError,
            match=r"holds no labels.csv; add a table with the columns file, emotion .*--labels",
        ):
            LabelledPhotographs(source)
        with pytest.raises(DataError, match=r"absent.csv: cannot be read"):
            LabelledPhotographs(source, tmp_path / "absent.csv")


def test_what_is_no_archive_is_told(tmp_path: Path) -> None:
    (tmp_path / "p.zip").write_bytes(b"PK, but no archive")
    with pytest.raises(
        DataError, match=r"p.zip: is not a zip archive that can be read .*; pack it again"
    ):
        LabelledPhotographs(tmp_path / "p.zip")
    with pytest.raises(
        DataError, match=r"absent.zip: does not exist; give a zip archive or a folder"
    ):
        LabelledPhotographs(tmp_path / "absent.zip")


def test_a_photograph_that_is_no_picture_is_named(tmp_path: Path) -> None:
    for source in (
        packed(tmp_path / "p.zip", contents() | {"b.png": b"no picture"}),
        unpacked(tmp_path / "p", contents() | {"b.png": b"no picture"}),
    ):
        with pytest.raises(PictureError, match=r"b.png: is not a picture that can be read"):
            list(LabelledPhotographs(source))


def test_a_photograph_that_is_damaged_in_the_archive_is_named(tmp_path: Path) -> None:
    source = packed(tmp_path / "p.zip", contents())
    place = source.read_bytes().index(png(200)) + 40
    damaged = bytearray(source.read_bytes())
    damaged[place] ^= 0xFF
    source.write_bytes(damaged)
    with pytest.raises(DataError, match=r"b.png: cannot be unpacked .*; pack the archive again"):
        list(LabelledPhotographs(source))


def test_an_archive_and_a_folder_give_the_same_photographs_again_and_again(tmp_path: Path) -> None:
    for source in (packed(tmp_path / "p.zip", contents()), unpacked(tmp_path / "p", contents())):
        photographs = LabelledPhotographs(source)
        assert (len(photographs), photographs.files) == (2, ("a.png", "b.png"))
        for _ in range(2):
            read = list(photographs)
            assert [EXPRESSIONS[one.label] for one in read] == ["anger", "happiness"]
            assert [one.image.shape for one in read] == [(6, 8, 3)] * 2
            assert [int(one.image.max()) for one in read] == [10, 200]


def test_a_table_of_ones_own_takes_the_place_of_the_one_inside(tmp_path: Path) -> None:
    own = tmp_path / "own.csv"
    own.write_text("who,emotion,file\nme,fear,b.png\n", encoding="utf-8-sig")
    photographs = LabelledPhotographs(packed(tmp_path / "p.zip", contents()), own)
    assert photographs.files == ("b.png",)
    assert EXPRESSIONS[photographs.labels[0]] == "fear"
