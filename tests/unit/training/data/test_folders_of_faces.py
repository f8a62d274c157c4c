"""Reading a folder of faces: what is accepted, and how a fault is named."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from training.data.datasets import EXPRESSIONS, FER2013, NO_LABEL, load_faces, read_folder
from training.data.lessons import majority
from training.errors import DataError


def picture(folder: Path, name: str, size: int = 60) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(folder / name), np.full((size, size, 3), 90, dtype=np.uint8))


def test_a_folder_of_pictures_has_one_subfolder_a_category(tmp_path: Path) -> None:
    picture(tmp_path / "contempt", "a.png")
    picture(tmp_path / "happy", "b.jpg")
    (tmp_path / "happy" / "notes.txt").write_text("not a picture", encoding="utf-8")
    (tmp_path / ".hidden").mkdir()

    faces = load_faces(tmp_path)

    assert faces.pictures.shape == (2, 48, 48)
    assert faces.fer2013.tolist() == [NO_LABEL, FER2013.index("happy")]
    assert [EXPRESSIONS[index] for index in majority(faces.votes)] == ["contempt", "happiness"]


def test_a_folder_with_an_unknown_category_is_named(tmp_path: Path) -> None:
    picture(tmp_path / "bored", "a.png")

    with pytest.raises(
        DataError, match=r"bored: no category has this name; use neutral, happiness"
    ):
        load_faces(tmp_path)


def test_a_picture_that_cannot_be_read_is_named_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    picture(tmp_path / "anger", "a.png")
    (tmp_path / "anger" / "b.png").write_bytes(b"no picture")
    (tmp_path / "fear").mkdir()

    read = read_folder(tmp_path)

    assert len(load_faces(tmp_path)) == 1
    assert "b.png: is not a picture that can be read; it is left out" in caplog.text
    assert read.files == (tmp_path / "anger" / "a.png",)
    assert read.unreadable == (tmp_path / "anger" / "b.png",)
    assert read.empty == ("fear",)


def test_an_empty_folder_and_votes_for_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no picture in a subfolder named neutral"):
        load_faces(tmp_path)
    with pytest.raises(DataError, match="leave --votes out"):
        load_faces(tmp_path, tmp_path / "votes.csv")
