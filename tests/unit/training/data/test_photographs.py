"""Labelled photographs: what can be wrong with an archive, a folder or a table."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from edge_agent.vision.align import EXPRESSION_CROP, Picture, align_face
from tests.support.vision.portraits import detector, serious, smiling
from tests.support.vision.training_runs import training_here
from training.commands.main import app
from training.data.crops import Cut, plan_cuts
from training.data.datasets import EXPRESSIONS, load_folder
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
        (
            "file,emotion\na.png,angry!\n",
            r"row 2, column emotion: 'angry!' is not one of neutral, happiness",
        ),
        ("file,emotion\na.png\n", "row 2: holds 1 values where the header names 2"),
        (
            "file,emotion\na.png,anger\na.png,fear\n",
            r"row 3, column file: 'a.png' has a row further up",
        ),
        (
            "file,emotion\na.png,anger\nc.png,fear\n",
            r"row 3, column file: 'c.png' is not in .*; add it or drop",
        ),
    ],
)
def test_a_fault_in_a_table_is_reported_with_the_cure(
    tmp_path: Path, table: str, said: str
) -> None:
    for source in (
        packed(tmp_path / "p.zip", contents(table)),
        unpacked(tmp_path / "p", contents(table)),
    ):
        with pytest.raises(DataError, match=rf"{source}, labels.csv: .*{said}"):
            LabelledPhotographs(source)


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
        with pytest.raises(DataError, match=r"absent.csv: is not there; give the path"):
            LabelledPhotographs(source, tmp_path / "absent.csv")


def test_what_is_no_archive_is_reported(tmp_path: Path) -> None:
    (tmp_path / "p.zip").write_bytes(b"PK, but no archive")
    with pytest.raises(
        DataError, match=r"p.zip: is not a zip archive that can be read .*; pack it again"
    ):
        LabelledPhotographs(tmp_path / "p.zip")
    with pytest.raises(
        DataError, match=r"absent.zip: does not exist; give a zip archive or a folder"
    ):
        LabelledPhotographs(tmp_path / "absent.zip")


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


def test_the_command_writes_both_and_refuses_one_folder_in_the_other(tmp_path: Path) -> None:
    photograph = tmp_path / "photographs" / "happy" / "me.png"
    photograph.parent.mkdir(parents=True)
    assert cv2.imwrite(str(photograph), smiling())
    command = ["crop-faces", str(photograph.parents[1]), "--out", str(tmp_path / "faces")]

    inside = CliRunner().invoke(app, [*command, "--yolo", str(tmp_path / "faces" / "yolo")])
    done = CliRunner().invoke(app, [*command, "--yolo", str(tmp_path / "yolo")])

    assert "must lie apart from --out" in str(inside.exception)
    assert not (tmp_path / "faces" / "yolo").exists()
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[-1].endswith("yolo: 1 boxes in 1 photographs")
    (label,) = (tmp_path / "yolo" / "labels").rglob("happy-me.txt")
    kind, x, y, width, height = map(float, label.read_text("utf-8").split())
    assert kind == 0
    assert x == pytest.approx(0.43, abs=0.1)
    assert 0.1 < width < 0.5
    assert 0.1 < height < 0.5
    assert 0.05 < y < 0.5


def write(path: Path, image: Picture) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)
    return path


def two_people() -> Picture:
    """The smiling portrait, and the serious one much smaller beside it."""
    small = cv2.resize(serious(), None, fx=0.4, fy=0.4)
    canvas = np.full((512, 512 + small.shape[1], 3), 90, np.uint8)
    canvas[:, :512] = smiling()
    canvas[: small.shape[0], 512:] = small
    return canvas


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    folder = tmp_path / "photographs"
    write(folder / "happy" / "me.png", smiling())
    write(folder / "happy" / "holiday" / "me.png", two_people())
    write(folder / "neutral" / "sea.png", np.full((120, 160, 3), 127, np.uint8))
    (folder / "neutral" / "torn.jpg").write_bytes(b"\xff\xd8\xff\xe0 and no more")
    return folder


# What is refused, before anything is written
def refusal(photographs: Path, out: Path, labels: Path | None = None) -> str:
    with pytest.raises(DataError) as refused:
        plan_cuts(photographs, out, labels)
    return str(refused.value)


def test_a_folder_that_holds_faces_stays_as_it_is(photographs: Path, tmp_path: Path) -> None:
    kept = write(tmp_path / "faces" / "happy" / "me.png", smiling())
    before = kept.read_bytes()
    assert f"--out {tmp_path / 'faces'}: already exists and is not an empty folder" in refusal(
        photographs, tmp_path / "faces"
    )
    assert kept.read_bytes() == before


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("bored/me.png", ["bored: no category has this name; use neutral, happiness"]),
        ("loose.png", ["loose.png: lies in no subfolder that says its category", "--by-label"]),
        ("happy/me.jpg", ["me.png", "me.jpg", "rename one of them"]),
    ],
)
def test_a_photograph_in_a_wrong_place_is_refused(
    photographs: Path, tmp_path: Path, place: str, words: list[str]
) -> None:
    write(photographs / place, smiling())
    said = refusal(photographs, tmp_path / "faces")
    assert all(one in said for one in words), said


# What comes out
def test_faces_are_cut_and_what_was_left_out_is_named(photographs: Path, tmp_path: Path) -> None:
    out = tmp_path / "faces"
    done = training_here("crop-faces", photographs, "--out", out)
    assert done.returncode == 0, done.stderr

    said = done.stdout
    assert f"{out}: 2 faces (happy 2)" in said
    assert "several faces, of which the largest was taken: 1 photographs" in said
    assert "left out: 1 without a face, 1 unreadable" in said
    assert f"no face: {photographs / 'neutral' / 'sea.png'}" in said
    assert f"unreadable: {photographs / 'neutral' / 'torn.jpg'}" in said
    assert sorted(path.relative_to(out) for path in out.rglob("*.png")) == [
        Path("happy/holiday-me.png"),
        Path("happy/me.png"),
    ]
    faces = load_folder(out)
    assert faces.votes[:, EXPRESSIONS.index("happiness")].tolist() == [10, 10]
    alone = align_face(smiling(), detector().detect(smiling())[0].landmarks, 48, EXPRESSION_CROP)
    assert np.array_equal(faces.pictures[1], alone)  # as the agent cuts it
    other = align_face(serious(), detector().detect(serious())[0].landmarks, 48, EXPRESSION_CROP)
    like_me, like_other = (
        np.corrcoef(faces.pictures[0].ravel(), p.ravel())[0, 1] for p in (alone, other)
    )
    assert like_me > 0.7, "the larger of two"
    assert like_other < 0.6


def test_a_table_of_labels_sorts_photographs(photographs: Path, tmp_path: Path) -> None:
    absolute = write(tmp_path / "elsewhere" / "her.png", serious())
    table = tmp_path / "labels.csv"
    table.write_text(f"file,emotion\nhappy/me.png,surprise\n{absolute},angry\n", encoding="utf-8")

    first, second = plan_cuts(photographs, tmp_path / "faces", table)

    assert first == Cut(photographs / "happy" / "me.png", Path("surprise/happy-me.png"))
    assert second.photograph == absolute
    assert second.face.parts[0] == "anger" and len(second.face.parts) == 2
