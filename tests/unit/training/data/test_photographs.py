"""Labelled photographs: what can be wrong with an archive, a folder or a table."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from edge_agent.core.errors import PictureError
from edge_agent.core.expression import Box
from edge_agent.vision.align import Picture, align_face
from edge_agent.vision.stills import load_picture
from tests.support.vision.portraits import detector, serious, smiling
from tests.support.vision.training_runs import training_here
from training.commands.main import app
from training.data.crops import Cut, FaceCutter, Tally, aligned_faces, cut_one, plan_cuts
from training.data.datasets import EXPRESSIONS, load_folder
from training.data.photographs import DetectionSet, LabelledPhotographs, box_line
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


def test_a_box_is_told_by_its_middle_and_what_lies_outside_is_cut_off() -> None:
    assert box_line(Box(40, 10, 20, 40), 200, 100) == "0 0.250000 0.300000 0.100000 0.400000"
    assert box_line(Box(-20, 90, 40, 20), 200, 100) == "0 0.050000 0.950000 0.100000 0.100000"


def test_each_photograph_is_in_one_part_with_its_labels_and_one_without_a_face_in_none(
    tmp_path: Path,
) -> None:
    written = DetectionSet(tmp_path)
    random = np.random.default_rng(4)
    for number in range(25):
        image = random.integers(0, 255, (24, 32, 3), dtype=np.uint8)
        written.add(f"p{number}", image, [Box(1, 1, 8, 8)] * (number % 3))

    said = written.finish()

    images = sorted(path.relative_to(tmp_path / "images") for path in tmp_path.rglob("*.jpg"))
    labels = sorted(path.relative_to(tmp_path / "labels") for path in tmp_path.rglob("*.txt"))
    assert [path.with_suffix("") for path in images] == [path.with_suffix("") for path in labels]
    assert {path.parts[0] for path in images} == {"train", "val"}
    assert said == f"{tmp_path}: 24 boxes in 16 photographs"
    assert len(images) == 16
    assert "val: images/val\nnames:\n  0: face" in (tmp_path / "data.yaml").read_text("utf-8")


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


def test_a_folder_of_faces_that_holds_something_is_not_written_into(
    photographs: Path, tmp_path: Path
) -> None:
    kept = write(tmp_path / "faces" / "happy" / "me.png", smiling())
    before = kept.read_bytes()
    assert f"--out {tmp_path / 'faces'}: already exists and is not an empty folder" in refusal(
        photographs, tmp_path / "faces"
    )
    assert kept.read_bytes() == before


def test_faces_do_not_go_among_the_photographs(photographs: Path) -> None:
    assert ("among the photographs; name a folder elsewhere") in refusal(
        photographs, photographs / "faces"
    )


def test_a_subfolder_that_names_no_category_is_named(photographs: Path, tmp_path: Path) -> None:
    write(photographs / "bored" / "me.png", smiling())
    said = refusal(photographs, tmp_path / "faces")
    assert "bored: no category has this name; use neutral, happiness" in said


def test_a_photograph_outside_the_subfolders_is_named_with_both_cures(
    photographs: Path, tmp_path: Path
) -> None:
    write(photographs / "loose.png", smiling())
    said = refusal(photographs, tmp_path / "faces")
    assert "loose.png: lies in no subfolder that says its category" in said
    assert "--by-label" in said


def test_two_photographs_that_would_become_one_face_are_both_named(
    photographs: Path, tmp_path: Path
) -> None:
    write(photographs / "happy" / "me.jpg", smiling())
    said = refusal(photographs, tmp_path / "faces")
    assert "me.png" in said and "me.jpg" in said and "rename one of them" in said


def test_no_folder_and_an_empty_one_are_refused(tmp_path: Path) -> None:
    assert "is no folder" in refusal(tmp_path / "absent", tmp_path / "faces")
    (tmp_path / "empty").mkdir()
    assert ("holds no photograph in a subfolder named neutral") in refusal(
        tmp_path / "empty", tmp_path / "faces"
    )


def test_a_table_with_an_unknown_category_names_row_and_value(
    photographs: Path, tmp_path: Path
) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("file,emotion\nhappy/me.png,joy\n", encoding="utf-8")
    assert "row 2, column emotion: 'joy'" in refusal(photographs, tmp_path / "faces", table)


def test_where_no_photograph_has_a_face_it_is_said_and_nothing_is_written(tmp_path: Path) -> None:
    sea = write(
        tmp_path / "photographs" / "neutral" / "sea.png", np.full((120, 160, 3), 127, np.uint8)
    )
    done = training_here("crop-faces", tmp_path / "photographs", "--out", tmp_path / "faces")
    assert done.returncode == 1, done.stderr
    assert f"no face: {sea}" in done.stdout
    assert "no face was found in any of 1 photographs; nothing was written" in done.stderr
    assert not (tmp_path / "faces").exists()


# What comes out
def test_faces_can_be_learnt_from_and_what_was_left_out_is_named(
    photographs: Path, tmp_path: Path
) -> None:
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
    alone = align_face(smiling(), detector().detect(smiling())[0].landmarks, 48)
    assert np.array_equal(faces.pictures[1], alone)  # as the agent cuts it
    other = align_face(serious(), detector().detect(serious())[0].landmarks, 48)
    like_me, like_other = (
        np.corrcoef(faces.pictures[0].ravel(), p.ravel())[0, 1] for p in (alone, other)
    )
    assert like_me > 0.7, "the larger of two"
    assert like_other < 0.6


def test_a_second_run_into_another_folder_writes_the_same_bytes(
    photographs: Path, tmp_path: Path
) -> None:
    cutter = FaceCutter(48)
    for out in (tmp_path / "first", tmp_path / "second"):
        for cut in plan_cuts(photographs, out):
            cut_one(cut, out, cutter, Tally())
    first, second = (sorted((tmp_path / name).rglob("*.png")) for name in ("first", "second"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert len(first) == 2


def test_a_table_of_labels_sorts_photographs_whatever_their_folders(
    photographs: Path, tmp_path: Path
) -> None:
    absolute = write(tmp_path / "elsewhere" / "her.png", serious())
    table = tmp_path / "labels.csv"
    table.write_text(f"file,emotion\nhappy/me.png,surprise\n{absolute},anger\n", encoding="utf-8")

    first, second = plan_cuts(photographs, tmp_path / "faces", table)

    assert first == Cut(photographs / "happy" / "me.png", Path("surprise/happy-me.png"))
    assert second.photograph == absolute
    assert second.face.parts[0] == "anger" and len(second.face.parts) == 2


def test_faces_are_cut_at_the_size_asked_for(photographs: Path, tmp_path: Path) -> None:
    tally = Tally()
    cut_one(
        plan_cuts(photographs, tmp_path / "faces")[1], tmp_path / "faces", FaceCutter(96), tally
    )
    assert tally.faces == {"happy": 1}
    (face,) = (tmp_path / "faces").rglob("*.png")
    assert load_picture(face).shape == (96, 96, 3)


def test_faces_that_were_cut_out_already_are_taken_whole_and_others_need_a_face(
    tmp_path: Path,
) -> None:
    face = np.tile(np.arange(48, dtype=np.uint8) * 5, (48, 1))
    path = write(tmp_path / "cut.png", face)

    whole, _ = aligned_faces([path, tmp_path / "absent.png"], aligned=True)
    assert np.array_equal(whole[0][1], face)
    none, left_out = aligned_faces([path, tmp_path / "absent.png"], aligned=False)
    assert none == []
    assert left_out == [
        f"{path}: no face; if it is one that was cut out already, add --aligned",
        f"{tmp_path / 'absent.png'}: no such file.",
    ]
