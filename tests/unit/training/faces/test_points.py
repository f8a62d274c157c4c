"""The teacher of points: it replaces only the points that it nearly agrees with."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("torch", reason="the training extra is not installed")

import torch

from edge_agent.core.expression import Box
from training.errors import DataError
from training.faces import points as pt
from training.faces.labelling import (
    MARKED,
    NAMES,
    LabelledFace,
    LabelledPicture,
    read_labels,
    write_labels,
)
from training.faces.template import MIRROR

pytestmark = pytest.mark.training

POINTS = np.array([(30.0, 40.0), (50.0, 40.0), (40.0, 50.0), (32.0, 60.0), (48.0, 60.0)])
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
def test_points_are_placed_in_pixels_of_the_picture_whatever_the_roll_and_size(
    roll: float, zoom: int
) -> None:
    large = cv2.resize(picture(), None, fx=zoom, fy=zoom, interpolation=cv2.INTER_LINEAR)
    box = Box(20 * zoom, 20 * zoom, 40 * zoom, 50 * zoom)
    (points,) = pt.place(FindRed(), [(np.asarray(large, dtype=np.uint8), box, roll)])
    assert points == pytest.approx(np.tile((30.0 * zoom, 40.0 * zoom), (5, 1)), abs=0.1 * zoom)


def test_a_changed_example_keeps_its_points_where_they_were_in_the_face() -> None:
    face = pt.MarkedFace(picture(), BOX, POINTS)
    random = np.random.default_rng(1)
    mirrored = 0
    for _ in range(30):
        square, points = pt._changed(face, random)
        found = FindRed()(
            pt._as_input([np.clip(square.astype(int) - 40, 0, 255).astype(np.uint8)])
        )[0, :2].numpy()
        errors = [float(np.abs(found - point).max()) for point in points[:2]]
        mirrored += errors[1] < errors[0]
        assert min(errors) < 0.03
    assert 5 < mirrored < 25


def test_points_near_the_first_teachers_take_their_place_and_others_do_not() -> None:
    near = POINTS + np.array((1.0, 0.5))
    far = POINTS + np.array((9.0, 0.0))
    faces = [
        LabelledFace(BOX, told(POINTS)),
        LabelledFace(Box(60, 60, 20, 20), None, ignore=True, ceiling=0.5),
        LabelledFace(Box(0, 0, 20, 20), None),
    ]
    changed = pt.relabelled(Say(near), picture(), faces)
    assert np.array(changed[0].points) == pytest.approx(near)
    assert changed[0].box == BOX
    assert changed[1:] == faces[1:]
    assert pt.relabelled(Say(far), picture(), faces) == faces
    assert pt.relabelled(Say(near), picture(), faces[1:]) == faces[1:]


def labelled(folder: Path, count: int) -> list[LabelledPicture]:
    """Photographs of which the first ``count`` have marked points, and one of each part without."""
    (folder / "web").mkdir(parents=True)
    names = [f"{i}.png" for i in range(count + 3)]
    for name in names:
        cv2.imwrite(str(folder / "web" / name), picture())
    header = ",".join(["file", *(f"{name}_{axis}" for name in NAMES for axis in "xy")])
    rows = [",".join([name, *map(str, POINTS.ravel())]) for name in names[:count]]
    (folder / "web" / MARKED).write_text("\n".join([header, *rows, ""]), encoding="utf-8")
    faces = [LabelledFace(BOX, told(POINTS))] * count + [LabelledFace(BOX, told(POINTS + 1))] * 3
    parts = ["train"] * count + ["train", "valid", "test"]
    pictures = [
        LabelledPicture(f"web/{n}", p, (f,)) for n, p, f in zip(names, parts, faces, strict=True)
    ]
    write_labels(folder, pictures)
    return pictures


def test_the_table_is_written_anew_but_for_marked_faces_and_held_out_photographs(
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


def test_too_few_marked_faces_are_refused(tmp_path: Path) -> None:
    pictures = labelled(tmp_path, 20)
    with pytest.raises(DataError, match=r"only 20 faces .* leave this step out"):
        pt.examples(tmp_path, pictures, pt.marked_points(tmp_path))
