"""CK+: its table, its folders, folds that keep people apart, and the warning where they cannot."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.support.vision.training_runs import training_here
from training.data.ck_plus import (
    CATEGORIES,
    folds,
    own_split,
    read_ck_plus,
    warnings_of,
    write_parts,
)
from training.data.datasets import load_faces
from training.errors import DataError, write_whole


def pixels(grey: int) -> str:
    return " ".join([str(grey)] * 48 * 48)


def table(folder: Path, rows: Sequence[tuple[object, str, str]]) -> Path:
    path = folder / "ck.csv"
    lines = ["emotion,pixels,Usage", *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def picture(path: Path, grey: int, shape: tuple[int, int] = (48, 48)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full(shape, grey, dtype=np.uint8))


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    """Six people, each happy, angry and with contempt."""
    for person in range(6):
        for number, category in enumerate(("happy", "anger", "contempt")):
            name = f"S{person + 10:03}_00{number}_00000017.png"
            picture(tmp_path / "CK" / category / name, 10 * person + number)
    return tmp_path / "CK"


def test_a_table_has_eight_categories_and_its_own_split_with_a_warning(tmp_path: Path) -> None:
    rows = [(number, pixels(number), "Training") for number in range(8)]
    rows += [(7, pixels(7), "PublicTest"), (3, pixels(99), "PrivateTest")]

    portraits = read_ck_plus(table(tmp_path, rows))
    parts = own_split(portraits)

    assert [one.category for one in portraits[:8]] == list(CATEGORIES)
    assert portraits[0].name == "row-00002"
    assert {name: len(part) for name, part in parts.items()} == {
        "Training": 8,
        "PublicTest": 1,
        "PrivateTest": 1,
    }
    who, copies = warnings_of(portraits, parts)
    assert "10 of 10 pictures do not say whom they show (the first: row-00002)" in who
    assert copies == "1 of 1 pictures of PublicTest lie in Training, too"


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ((8, pixels(1), "Training"), "row 3, column emotion: '8' is not one of 0, 1"),
        ((1, "0 0 256" + pixels(1)[5:], "Training"), "row 3, column pixels: '256' is not a number"),
        ((1, "1 2 3", "Training"), "row 3, column pixels: 3 values where 2304"),
        ((1, pixels(1), "Training,Training"), "row 3: holds 4 columns"),
    ],
)
def test_a_fault_is_named_with_row(
    tmp_path: Path, row: tuple[object, str, str], fault: str
) -> None:
    path = table(tmp_path, [(0, pixels(5), "Training"), row])

    with pytest.raises(DataError, match=rf"ck\.csv: {fault}"):
        read_ck_plus(path)


def test_files_that_are_no_such_table_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no picture"):
        read_ck_plus(table(tmp_path, []))
    with pytest.raises(DataError, match=r"gone\.csv: cannot be read"):
        read_ck_plus(tmp_path / "gone.csv")
    noise = tmp_path / "noise.csv"
    noise.write_bytes(bytes(range(256)))
    with pytest.raises(DataError, match=r"noise\.csv: is not a table in text form"):
        read_ck_plus(noise)
    with pytest.raises(DataError, match="only Training stands there; a split needs"):
        own_split(read_ck_plus(table(tmp_path, [(0, pixels(5), "Training")])))


def test_folds_test_each_picture_once_and_keep_people_apart(collection: Path) -> None:
    portraits = read_ck_plus(collection)

    parts = folds(portraits, 4)

    assert warnings_of(portraits, parts) == []
    tested = [one for name, part in parts.items() if name.endswith("test") for one in part]
    assert len(tested) == len(portraits) == 18
    assert len({(one.category, one.name) for one in tested}) == 18
    for number in range(1, 5):
        learn, test = (parts[f"fold-{number:02}/{part}"] for part in ("learn", "test"))
        assert not {one.subject for one in learn} & {one.subject for one in test}
        assert len(learn) + len(test) == 18


def test_too_many_folds_are_refused(collection: Path) -> None:
    with pytest.raises(DataError, match="--folds 7: only 6 people are named"):
        folds(read_ck_plus(collection), 7)


@pytest.mark.parametrize(
    ("name", "shape", "fault"),
    [
        ("anger/S010_wide.png", (48, 64), r"wide\.png: is 64 × 48 pixels.*crop-faces"),
        ("bored/S010_a.png", (48, 48), "bored: no category has this name"),
        ("anger/S010_001_00000017.jpg", (48, 48), r"another picture of anger has the name 'S010_"),
    ],
)
def test_a_folder_that_cannot_be_used_is_refused(
    collection: Path, name: str, shape: tuple[int, int], fault: str
) -> None:
    picture(collection / name, 9, shape)

    with pytest.raises(DataError, match=fault):
        read_ck_plus(collection)


def test_the_command_writes_what_the_others_read(collection: Path, tmp_path: Path) -> None:
    out = tmp_path / "folds"

    done = training_here("ck-plus", collection, "--out", out, "--folds", "3")

    assert (done.returncode, done.stderr) == (0, "")
    assert (
        "fold-01/learn: 12 pictures of 4 people (4 anger, 4 contempt, 4 happiness)" in done.stdout
    )
    assert len(load_faces(out / "fold-01" / "learn")) == 12
    assert len(load_faces(out / "fold-03" / "test")) == 6
    again = training_here("ck-plus", collection, "--out", out)
    assert again.returncode == 1
    assert "already exists and is not an empty folder" in again.stderr


def test_the_command_warns_of_a_table_and_makes_no_folds_of_it(tmp_path: Path) -> None:
    data = table(tmp_path, [(0, pixels(1), "Training"), (7, pixels(2), "PublicTest")])

    refused = training_here("ck-plus", data, "--out", tmp_path / "out", "--folds", "5")
    done = training_here("ck-plus", data, "--out", tmp_path / "out")

    assert "--folds 5: a table does not say whom a picture shows" in refused.stderr
    assert done.returncode == 0
    assert done.stderr.startswith("warning: 2 of 2 pictures do not say whom they show")
    assert (tmp_path / "out" / "PublicTest" / "contempt" / "row-00003.png").exists()


def test_nothing_is_left_when_a_part_cannot_be_written(
    collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes) -> None:
        if list((tmp_path / ".folds.part").rglob("*.png")):
            raise DataError("no room")
        write_whole(path, content)

    parts = folds(read_ck_plus(collection), 2)
    monkeypatch.setattr("training.data.ck_plus.write_whole", full)

    with pytest.raises(DataError, match="no room"):
        write_parts(parts, tmp_path / "folds")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["CK"]
