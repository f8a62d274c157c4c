"""Labels from a teacher: answers become a face or a doubt; copies and parts."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from edge_agent.core.expression import Box
from training.errors import DataError
from training.faces.labelling import (
    LabelledFace,
    LabelledPicture,
    Shares,
    Teacher,
    agree,
    mirrored,
    parse_archive,
    with_heads,
    without_copies,
)

POINTS = (14.0, 18.0, 26.0, 18.0, 20.0, 25.0, 15.0, 32.0, 25.0, 32.0)


def answer(score: float, x: float = 10.0, shift: float = 0.0) -> npt.NDArray[np.float64]:
    """One answer of the teacher: a face of 20 × 30, its points moved by ``shift``."""
    return np.array([[x, 10, 20, 30, *(p + shift for p in POINTS), score]])


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


def test_the_ceiling_of_a_doubt_is_the_mean_over_all_askings_even_those_that_said_nothing() -> None:
    (face,) = agree(
        [
            np.concatenate([answer(0.6), answer(0.4, 11)]),
            np.zeros((0, 15)),
            answer(0.3),
            np.zeros((0, 15)),
        ]
    )
    assert face.ignore
    assert face.ceiling == pytest.approx((0.6 + 0.3) / 4)


def test_heads_that_people_saw_take_the_place_of_doubts_but_not_of_faces() -> None:
    face = agree([answer(0.9), answer(0.9)])[0]
    doubt = agree([answer(0.5, 60)])[0]
    head = partial(LabelledFace, points=None, ignore=True, ceiling=0.5)
    on_face, on_doubt, alone = (head(Box(x, 10, 20, 30)) for x in (11, 61, 120))
    assert with_heads([face, doubt], [on_face, on_doubt, alone]) == [face, on_doubt, alone]
    assert with_heads([face, doubt], [alone]) == [face, doubt, alone]


def test_points_on_which_the_answers_disagree_are_not_told() -> None:
    (face,) = agree([answer(0.9), answer(0.9, shift=12.0)])
    assert not face.ignore
    assert face.points is None


def test_faces_side_by_side_stay_apart_and_no_answer_is_no_face() -> None:
    assert len(agree([np.concatenate([answer(0.9), answer(0.8, 60)]), answer(0.9)])) == 2
    assert agree([np.zeros((0, 15)), np.zeros((0, 15))]) == []


def test_mirrored_answers_are_told_in_the_picture_with_sides_swapped() -> None:
    (row,) = mirrored(answer(0.9), 100)
    assert row[:4].tolist() == [70, 10, 20, 30]
    assert row[4:14].tolist() == [74, 18, 86, 18, 80, 25, 75, 32, 85, 32]
    assert (mirrored(mirrored(answer(0.9), 100), 100) == answer(0.9)).all()


def test_parts_follow_from_the_name_alone_in_the_shares_asked_for() -> None:
    shares = Shares(test=0.2, valid=0.1)
    parts = [shares.part(f"{number:05d}.jpg") for number in range(3000)]
    assert parts == [shares.part(f"{number:05d}.jpg") for number in range(3000)]
    assert parts.count("test") == pytest.approx(600, abs=80)
    assert parts.count("valid") == pytest.approx(300, abs=60)


def test_an_archive_is_given_with_or_without_shares() -> None:
    assert parse_archive("a/b.zip") == (Path("a/b.zip"), Shares())
    assert parse_archive("a/b.zip:test=0.2,valid=0.1") == (
        Path("a/b.zip"),
        Shares(test=0.2, valid=0.1),
    )


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


def test_a_teacher_without_its_weights_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"yunet\.onnx: does not exist"):
        Teacher(tmp_path / "yunet.onnx")


def test_weights_that_are_no_onnx_file_are_an_error_that_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "yunet.onnx").write_text("no network")
    with pytest.raises(DataError, match=r"yunet\.onnx: is not YuNet's ONNX file"):
        Teacher(tmp_path / "yunet.onnx")
