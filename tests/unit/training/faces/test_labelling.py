"""The folder of labelled photographs: written, read again, and every fault named."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch

from edge_agent.core.expression import Box
from training.errors import DataError
from training.faces import points as pt
from training.faces.labelling import (
    COLUMNS,
    MARKED,
    NAMES,
    LabelledFace,
    LabelledPicture,
    Shares,
    Teacher,
    agree,
    mirror_back,
    parse_archive,
    read_labels,
    read_marked,
    read_picture,
    with_heads,
    with_marked,
    without_copies,
    write_labels,
)
from training.faces.template import MIRROR

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
        ({"nose_y": "nan"}, "row 3, column nose_y: 'nan' is not a finite number"),
        ({"width": "0"}, "row 3, column width: a box needs a positive size"),
        ({"ignore": "yes"}, "row 3, column ignore: 'yes' is neither 0 nor 1"),
        ({"ceiling": "1.5"}, "row 3, column ceiling: '1.5' is not between 0 and 1"),
        ({"part": "valid"}, "row 3, column part: a.png is in train further up"),
    ],
)
def test_a_bad_value_is_named(tmp_path: Path, change: dict[str, str], words: str) -> None:
    with pytest.raises(DataError) as caught:
        read_labels(write_rows(tmp_path, {}, change))
    assert words in str(caught.value)


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


AT = np.array([(20.0, 20.0), (30.0, 20.0), (25.0, 26.0), (21.0, 31.0), (29.0, 31.0)])


HEADER = ",".join(["file", *(f"{name}_{axis}" for name in NAMES for axis in "xy")])


def face(points: np.ndarray | None, *, ignore: bool = False) -> LabelledFace:
    told = None if points is None else tuple((float(x), float(y)) for x, y in points)
    return LabelledFace(Box(10, 10, 30, 30), told, ignore)


def table(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / MARKED
    path.write_text("\n".join([header, *rows, ""]), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("header", "row", "said"),
    [
        ("file,nose_x", "a.jpg,1", "columns are missing: left_eye_x"),
        (
            HEADER,
            "a.jpg,1,2,3,4,5,6,7,8,9,nan",
            "row 2, column mouth_right_y: 'nan' is not a finite number",
        ),
        (HEADER, "a.jpg,1,2", "row 2, column right_eye_x: None is not a number"),
    ],
)
def test_a_table_that_is_wrong_is_refused(tmp_path: Path, header: str, row: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_marked(table(tmp_path, row, header=header))


def test_marked_points_replace_the_teachers_where_they_agree_roughly() -> None:
    (changed,) = with_marked([face(AT + 1)], AT)
    assert changed.points == tuple((x, y) for x, y in AT.tolist())
    assert changed.box == face(AT).box


@pytest.mark.parametrize("there", [face(AT + np.array([0, 15])), face(None), face(AT, ignore=True)])
def test_points_that_slipped_or_belong_to_nobody_change_nothing(there: LabelledFace) -> None:
    assert with_marked([there], AT) == [there]
    assert with_marked([there], None) == [there]


ANSWERED = (14.0, 18.0, 26.0, 18.0, 20.0, 25.0, 15.0, 32.0, 25.0, 32.0)


def answer(score: float, x: float = 10.0, shift: float = 0.0) -> npt.NDArray[np.float64]:
    """One answer of the teacher: a face of 20 × 30, its points moved by ``shift``."""
    return np.array([[x, 10, 20, 30, *(p + shift for p in ANSWERED), score]])


def test_answers_that_agree_become_one_face_with_mean_box_and_points() -> None:
    (face,) = agree([answer(0.9, 10), answer(0.9, 12), answer(0.4, 11)])
    assert not face.ignore
    assert face.box.x == pytest.approx(11)
    assert face.points is not None
    assert face.points[0] == pytest.approx((14, 18))


@pytest.mark.parametrize("scores", [(0.95,), (0.69, 0.69, 0.69), (0.95, 0.5)])
def test_a_face_that_only_one_asking_is_sure_of_is_a_doubt(scores: tuple[float, ...]) -> None:
    (face,) = agree([answer(score) for score in scores])
    assert face.ignore
    assert face.points is None
    assert face.ceiling == pytest.approx(sum(scores) / len(scores))


def test_heads_that_people_saw_take_the_place_of_doubts_but_not_of_faces() -> None:
    face = agree([answer(0.9), answer(0.9)])[0]
    doubt = agree([answer(0.5, 60)])[0]
    head = partial(LabelledFace, points=None, ignore=True, ceiling=0.5)
    on_face, on_doubt, alone = (head(Box(x, 10, 20, 30)) for x in (11, 61, 120))
    assert with_heads([face, doubt], [on_face, on_doubt, alone]) == [face, on_doubt, alone]
    assert with_heads([face, doubt], [alone]) == [face, doubt, alone]


def test_mirrored_answers_are_reported_in_the_picture_with_sides_swapped() -> None:
    (row,) = mirror_back(answer(0.9), 100)
    assert row[:4].tolist() == [70, 10, 20, 30]
    assert row[4:14].tolist() == [74, 18, 86, 18, 80, 25, 75, 32, 85, 32]
    assert (mirror_back(mirror_back(answer(0.9), 100), 100) == answer(0.9)).all()


def test_parts_follow_from_the_name_alone_in_the_shares_asked_for() -> None:
    shares = Shares(test=0.2, valid=0.1)
    parts = [shares.part(f"{number:05d}.jpg") for number in range(3000)]
    assert parts == [shares.part(f"{number:05d}.jpg") for number in range(3000)]
    assert parts.count("test") == pytest.approx(600, abs=80)
    assert parts.count("valid") == pytest.approx(300, abs=60)


@pytest.mark.parametrize(
    "text", ["b.zip:tests=0.2", "b.zip:test", "b.zip:test=many", "b.zip:test=0.9,valid=0.2"]
)
def test_shares_that_cannot_be_used_are_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"test=|leaves nothing"):
        parse_archive(text)


def test_copies_of_judged_pictures_are_left_out_of_the_training(tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    small = [random.integers(0, 256, (12, 12, 3), dtype=np.uint8) for _ in range(2)]
    first, other = (
        np.asarray(cv2.resize(p, (120, 120), interpolation=cv2.INTER_CUBIC)) for p in small
    )
    brighter = np.clip(first.astype(int) + 15, 0, 255).astype(np.uint8)
    for name, picture in (("a", first), ("b", brighter), ("c", other)):
        cv2.imwrite(str(tmp_path / f"{name}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 60])
    parts = {"a": "test", "b": "train", "c": "train"}
    pictures = [LabelledPicture(f"{name}.jpg", part, ()) for name, part in parts.items()]
    assert [p.file for p in without_copies(tmp_path, pictures)] == ["a.jpg", "c.jpg"]
    assert len(without_copies(tmp_path, pictures[1:])) == 2


def test_weights_that_are_no_onnx_file_are_an_error_that_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "yunet.onnx").write_text("no network")
    with pytest.raises(DataError, match=r"yunet\.onnx: is not YuNet's ONNX file"):
        Teacher(tmp_path / "yunet.onnx")


PLACED = np.array([(30.0, 40.0), (50.0, 40.0), (40.0, 50.0), (32.0, 60.0), (48.0, 60.0)])


BOX = Box(20, 20, 40, 50)


def told(points: npt.NDArray[np.float64]) -> tuple[tuple[float, float], ...]:
    return tuple((float(x), float(y)) for x, y in points)


def picture(dot: tuple[float, float] = (30.0, 40.0)) -> npt.NDArray[np.uint8]:
    """Black, with a soft red dot.

    Its middle is told in coordinates in which a pixel covers i…i + 1.
    """
    ys, xs = np.mgrid[0:100, 0:90] + 0.5
    red = 255 * np.exp(-((xs - dot[0]) ** 2 + (ys - dot[1]) ** 2) / 8)
    return np.dstack([np.zeros_like(red), np.zeros_like(red), red]).astype(np.uint8)


class FindRed(torch.nn.Module):
    """Says of all five points that they lie where the red is."""

    def forward(self, squares: torch.Tensor) -> torch.Tensor:
        red = squares[:, 0] + 1
        at = (torch.arange(pt.SIDE) + 0.5) / pt.SIDE - 0.5
        total = red.sum(dim=(1, 2))
        x = (red.sum(dim=1) * at).sum(dim=1) / total
        y = (red.sum(dim=2) * at).sum(dim=1) / total
        return torch.stack([x, y], dim=1).repeat(1, 5)


class Say(torch.nn.Module):
    """Place the points of a level face in `BOX` at the given places, mirrored in a mirror image."""

    def __init__(self, points: npt.NDArray[np.float64]) -> None:
        super().__init__()
        matrix = pt._to_square(BOX, 0.0)
        plain = (points @ matrix[:, :2].T + matrix[:, 2]) / pt.SIDE - 0.5
        self._answers = [plain, plain[MIRROR] * (-1.0, 1.0)]

    def forward(self, squares: torch.Tensor) -> torch.Tensor:
        self._answers.reverse()
        return torch.from_numpy(np.tile(self._answers[-1].ravel(), (len(squares), 1)))


@pytest.mark.parametrize("roll", [0.0, 0.4, -1.2])
@pytest.mark.parametrize("zoom", [1, 4])
def test_points_are_placed_whatever_the_roll_and_size(roll: float, zoom: int) -> None:
    large = cv2.resize(picture(), None, fx=zoom, fy=zoom, interpolation=cv2.INTER_LINEAR)
    box = Box(20 * zoom, 20 * zoom, 40 * zoom, 50 * zoom)
    (points,) = pt.place(FindRed(), [(np.asarray(large, dtype=np.uint8), box, roll)])
    assert points == pytest.approx(np.tile((30.0 * zoom, 40.0 * zoom), (5, 1)), abs=0.1 * zoom)


def test_points_near_the_first_teachers_take_their_place_and_others_do_not() -> None:
    near = PLACED + np.array((1.0, 0.5))
    far = PLACED + np.array((9.0, 0.0))
    faces = [
        LabelledFace(BOX, told(PLACED)),
        LabelledFace(Box(60, 60, 20, 20), None, ignore=True, ceiling=0.5),
        LabelledFace(Box(0, 0, 20, 20), None),
    ]
    changed = pt.relabel(Say(near), picture(), faces)
    assert np.array(changed[0].points) == pytest.approx(near)
    assert changed[0].box == BOX
    assert changed[1:] == faces[1:]
    assert pt.relabel(Say(far), picture(), faces) == faces
    assert pt.relabel(Say(near), picture(), faces[1:]) == faces[1:]


def labelled(folder: Path, count: int) -> list[LabelledPicture]:
    """Photographs of which the first ``count`` have marked points, and one of each part without."""
    (folder / "web").mkdir(parents=True)
    names = [f"{i}.png" for i in range(count + 3)]
    for name in names:
        cv2.imwrite(str(folder / "web" / name), picture())
    header = ",".join(["file", *(f"{name}_{axis}" for name in NAMES for axis in "xy")])
    rows = [",".join([name, *map(str, PLACED.ravel())]) for name in names[:count]]
    (folder / "web" / MARKED).write_text("\n".join([header, *rows, ""]), encoding="utf-8")
    faces = [LabelledFace(BOX, told(PLACED))] * count + [LabelledFace(BOX, told(PLACED + 1))] * 3
    parts = ["train"] * count + ["train", "valid", "test"]
    pictures = [
        LabelledPicture(f"web/{n}", p, (f,)) for n, p, f in zip(names, parts, faces, strict=True)
    ]
    write_labels(folder, pictures)
    return pictures


def test_only_unmarked_faces_get_new_points(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = labelled(tmp_path / "faces", 140)
    monkeypatch.setattr(pt, "SCHEDULE", pt.SCHEDULE.model_copy(update={"epochs": 1}))
    monkeypatch.setattr(pt, "BELIEVED", 9.0)
    monkeypatch.setattr(
        sys, "argv", ["points", str(tmp_path / "faces"), "--run", str(tmp_path / "run")]
    )
    pt.main()
    after = read_labels(tmp_path / "faces")
    changed = [q.file for p, q in zip(before, after, strict=True) if p != q]
    assert changed == ["web/140.png", "web/141.png"]
    assert [p.part for p in after] == [p.part for p in before]
