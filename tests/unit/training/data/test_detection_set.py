"""A detection set: boxes as shares of the photograph, each photograph in one part."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from edge_agent.core.expression import Box
from tests.support.vision.portraits import smiling
from training.commands.main import app
from training.data.photographs import DetectionSet, box_line


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
