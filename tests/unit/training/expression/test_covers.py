"""Crops of photographs with and without masks: labels, parts, copies, faults."""

from __future__ import annotations

import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_agent.vision.align import crop_face
from tests.support.vision.portraits import detector, serious, smiling
from training.data.drawn import THINGS, Pixels, Thing
from training.errors import DataError
from training.expression import covers
from training.expression.covers import Crops, load_crops, portraits, scenes, without_copies
from training.faces.labelling import Shares

ALL_TEST = Shares(test=0.99, valid=0.0)


def archive(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return path


def jpeg(picture: np.ndarray) -> bytes:
    return cv2.imencode(".jpg", picture)[1].tobytes()


def test_the_folder_of_a_portrait_says_whether_it_wears_a_mask(tmp_path: Path) -> None:
    wall = np.full((100, 100, 3), 127, np.uint8)
    packed = archive(
        tmp_path / "portraits.zip",
        {
            "with_mask/a.jpg": jpeg(serious()),
            "without_mask/b.jpg": jpeg(smiling()),
            "without_mask/nobody.jpg": jpeg(wall),
            "other/c.jpg": jpeg(smiling()),
        },
    )
    cut = portraits(packed, ALL_TEST, detector())
    assert cut.masked.tolist() == [1, 0]
    assert cut.pixels.shape == (2, 48, 48)
    assert {covers.PARTS[part] for part in cut.part} == {"test"}


def test_a_face_of_a_scene_gets_the_label_of_the_box_it_lies_on(tmp_path: Path) -> None:
    (face,) = detector().detect(smiling())
    box = face.box
    corners = f"{box.x},{box.y},{box.x + box.width},{box.y + box.height}"
    table = (
        f"file,label,xmin,ymin,xmax,ymax\na.jpg,with_mask,{corners}\nb.jpg,With Helmet,1,1,9,9\n"
    )
    table += "c.jpg,without_mask,400,400,500,500\n"
    files = {name: jpeg(smiling()) for name in ("a.jpg", "b.jpg", "c.jpg")}
    cut = scenes(
        archive(tmp_path / "scenes.zip", files | {"boxes.csv": table.encode()}),
        ALL_TEST,
        detector(),
    )
    assert cut.masked.tolist() == [1], "a helmet is no label here, and the other box lies elsewhere"


def made(parts: list[int], pictures: list[np.ndarray]) -> Crops:
    count = len(parts)
    return Crops(
        np.stack(pictures).astype(np.uint8),
        np.zeros(count, np.int8),
        np.array(parts, np.int8),
        np.full(count, "portraits"),
    )


def test_a_copy_of_a_held_out_face_is_learned_from_nowhere() -> None:
    random = np.random.default_rng(1)
    one, two, three = random.integers(0, 255, (3, 48, 48))
    brighter = np.clip(one * 0.9 + 10, 0, 255)
    kept = without_copies(made([0, 0, 1, 2], [brighter, two, three, one]))
    assert kept.part.tolist() == [0, 1, 2]
    assert np.array_equal(kept.pixels[0], two)


def test_a_folder_without_crops_says_how_to_cut_them(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cut them with: python -m training.expression.covers"):
        load_crops(tmp_path)


MOUTH = np.s_[34:39, 17:31]


MOST = 0.65


EYES = np.s_[16:21, 12:36]


@pytest.fixture(scope="module")
def crop() -> Pixels:
    (face,) = detector().detect(smiling())
    return crop_face(smiling(), face, 48)


def changed(before: Pixels, after: Pixels, part: tuple[slice, ...]) -> float:
    return float((np.abs(before[part].astype(int) - after[part]) > 12).mean())


@pytest.mark.parametrize("thing", THINGS, ids=lambda thing: thing.name)
def test_a_thing_covers_what_it_says_and_nothing_else(thing: Thing, crop: Pixels) -> None:
    drawn = [thing.draw(crop, np.random.default_rng(seed)) for seed in range(40)]
    assert {(one.shape, one.dtype) for one in drawn} == {((48, 48), np.dtype(np.uint8))}
    mouth, eyes = (np.median([changed(crop, one, at) for one in drawn]) for at in (MOUTH, EYES))
    assert (mouth > MOST) == thing.mouth
    assert (eyes > MOST) == thing.eyes
