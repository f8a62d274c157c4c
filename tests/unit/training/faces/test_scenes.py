"""Training scenes of the detector: labels follow the pictures; each cell has a target."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from edge_agent.core.expression import Box
from training.errors import DataError
from training.faces.detector import assign
from training.faces.labelling import LabelledFace, LabelledPicture
from training.faces.photographs import FaceBoxes, Photographs, join
from training.faces.scenes import Composer, Composition, change_light, draw_pattern

POINTS = ((24.0, 28.0), (36.0, 28.0), (30.0, 35.0), (25.0, 42.0), (35.0, 42.0))
QUIET = Composition(grid=0, over_photograph=0, faceless=0, gray=0, light=0, blur=0, noise=0, jpeg=0)


def face(x: float, y: float, width: float, height: float, *, ignore: bool = False) -> LabelledFace:
    return LabelledFace(Box(x, y, width, height), None if ignore else POINTS, ignore)


def photograph() -> npt.NDArray[np.uint8]:
    """A dark picture of 60 × 80 with a bright face and a red spot on its first eye.

    The face reaches from 18, 20 to 42, 48.
    """
    picture = np.full((80, 60, 3), 40, dtype=np.uint8)
    picture[20:48, 18:42] = 200
    picture[26:30, 22:26] = (0, 0, 255)
    return picture


def photographs(count: int = 1) -> Photographs:
    faces = FaceBoxes.of([face(18, 20, 24, 28)])
    return Photographs([photograph()] * count, [faces] * count, np.full(count, 1 / count))


def test_moving_faces_moves_boxes_and_points() -> None:
    moved = FaceBoxes.of([face(10, 20, 30, 40)]).moved(
        np.array([[2.0, 0.0, 5.0], [0.0, 2.0, -7.0]])
    )
    assert moved.boxes[0].tolist() == [25, 33, 85, 113]
    assert moved.points[0, 0].tolist() == [24 * 2 + 5, 28 * 2 - 7]


def test_mirroring_swaps_the_points_of_the_two_sides() -> None:
    mirrored = FaceBoxes.of([face(18, 20, 24, 28)]).moved(
        np.array([[-1.0, 0.0, 60.0], [0.0, 1.0, 0.0]])
    )
    assert mirrored.points[0].tolist() == [[24, 28], [36, 28], [30, 35], [25, 42], [35, 42]]
    assert mirrored.boxes[0].tolist() == [18, 20, 42, 48]


def test_a_face_cut_by_the_edge_is_kept_ignored_or_left_out_by_what_is_seen_of_it() -> None:
    faces = FaceBoxes.of([face(-2, 0, 10, 10), face(-6, 0, 10, 10), face(-9, 0, 10, 10)])
    within = faces.within(0, 0, 100, 100)
    assert within.ignore.tolist() == [False, True]
    assert within.boxes[0].tolist() == [-2, 0, 8, 10]
    assert within.boxes[1].tolist() == [0, 0, 4, 10]


def test_a_covered_face_is_ignored_or_left_out() -> None:
    mask = np.zeros((50, 50), dtype=np.uint8)
    mask[:, 20:] = 1
    faces = FaceBoxes.of(
        [face(5, 5, 10, 10), face(15, 5, 10, 10), face(30, 5, 10, 10), face(60, 5, 10, 10)]
    )
    behind = faces.behind(mask)
    assert behind.boxes[:, 0].tolist() == [5, 15, 60]
    assert behind.ignore.tolist() == [False, True, False]


def red_spot(
    scene: npt.NDArray[np.uint8], box: npt.NDArray[np.float32]
) -> npt.NDArray[np.float64] | None:
    """Middle of the red pixels within a box, or nothing where there are few."""
    left, top, right, bottom = np.clip(box, 0, (256, 192, 256, 192)).astype(int)
    part = scene[top:bottom, left:right].astype(int)
    spots = np.argwhere((part[:, :, 2] > 150) & (part[:, :, :2] < 80).all(axis=2))
    return None if len(spots) < 4 else np.asarray(spots.mean(axis=0)[::-1] + 0.5 + (left, top))


def test_the_label_of_a_scene_lies_on_the_face_whatever_was_drawn() -> None:
    composer = Composer(photographs(), 256, 192, QUIET)
    random = np.random.default_rng(5)
    checked = 0
    for _ in range(60):
        scene, faces = composer.scene(0, random)
        assert scene.shape == (192, 256, 3)
        for box, points in zip(
            faces.boxes[~faces.ignore], faces.points[~faces.ignore], strict=True
        ):
            place = red_spot(scene, box)
            if place is not None:
                nearest = min(math.dist(place, eye) for eye in points[:2])
                assert nearest < max(0.08 * (box[2] - box[0]), 1.0)
                checked += 1
    assert checked > 25


def test_grids_hold_several_photographs_with_their_faces() -> None:
    composer = Composer(photographs(3), 256, 192, QUIET.model_copy(update={"grid": 1.0}))
    counts = [len(composer.scene(0, np.random.default_rng(seed))[1]) for seed in range(10)]
    assert max(counts) >= 4


def test_the_same_random_numbers_make_the_same_scene() -> None:
    composer = Composer(photographs(2), 256, 192, Composition())
    first, second = (composer.scene(0, np.random.default_rng(9)) for _ in range(2))
    assert (first[0] == second[0]).all()
    assert (first[1].boxes == second[1].boxes).all()


def test_cells_near_the_middle_of_a_face_answer_for_it_at_the_stride_of_its_size() -> None:
    targets = assign(FaceBoxes.of([face(100, 100, 20, 20)]), 256, 192)
    cells = np.flatnonzero(targets.answers)
    assert cells.max() < 24 * 32
    assert 1 <= len(cells) <= 4
    assert targets.boxes[cells[0]].tolist() == [100, 100, 120, 120]
    assert targets.points[cells[0]].tolist() == [c for point in POINTS for c in point]
    assert (targets.ceilings[~targets.answers] == 1).any(), "cells beside it may say what they like"


def test_a_large_face_is_answered_for_by_the_coarse_cells() -> None:
    targets = assign(FaceBoxes.of([face(20, 0, 180, 180)]), 256, 192)
    assert not targets.answers[: 24 * 32 + 12 * 16].any()
    assert targets.answers[24 * 32 + 12 * 16 :].sum() >= 4


def test_every_size_and_place_has_a_cell_that_answers() -> None:
    random = np.random.default_rng(0)
    for _ in range(300):
        size = float(np.exp(random.uniform(np.log(9), np.log(180))))
        x, y = random.uniform((0, 0), (256 - size, 192 - size))
        targets = assign(FaceBoxes.of([face(float(x), float(y), size, size)]), 256, 192)
        assert targets.answers.any(), (x, y, size)


def test_doubtful_regions_have_a_ceiling_and_an_empty_scene_is_background() -> None:
    doubtful = LabelledFace(Box(96, 96, 64, 64), None, ignore=True, ceiling=0.25)
    targets = assign(FaceBoxes.of([face(64, 64, 64, 64, ignore=True), doubtful]), 256, 192)
    assert not targets.answers.any()
    fine = targets.ceilings[: 24 * 32].reshape(24, 32)
    assert (fine[8:16, 8:16] == 1).all(), "the higher one where two overlap"
    assert (fine == 1).sum() == 64
    assert (fine == 0.25).sum() == 64 - 16
    assert not assign(FaceBoxes.of([]), 256, 192).ceilings.any()


def test_a_ceiling_goes_with_its_region_when_the_photograph_is_moved() -> None:
    region = FaceBoxes.of(
        [LabelledFace(Box(10, 10, 20, 20), None, ignore=True, ceiling=0.25), face(100, 100, 20, 20)]
    )
    moved = join([region.mirrored(256).within(0, 0, 256, 192), region])
    assert moved.ceilings.tolist() == [0.25, 1, 0.25, 1]


def test_points_that_are_not_known_are_not_learnt() -> None:
    targets = assign(FaceBoxes.of([LabelledFace(Box(100, 100, 20, 20), None)]), 256, 192)
    assert np.isnan(targets.points[targets.answers]).all()


def test_a_part_without_pictures_and_weights_that_leave_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no pictures of a part"):
        Photographs.load(tmp_path, [], {})
    with pytest.raises(DataError, match=r"data\.weights"):
        Photographs.load(tmp_path, [LabelledPicture("p/a.png", "train", ())], {"p": 0.0})


def test_the_mirror_image_of_a_picture_has_its_faces_at_the_other_side() -> None:
    faces = FaceBoxes.of([face(18, 20, 24, 28)]).mirrored(100)
    assert faces.boxes[0].tolist() == [58, 20, 82, 48]
    assert faces.points[0, :2].tolist() == [[100 - 36, 28], [100 - 24, 28]]


def test_patterns_have_two_sides_and_more_than_one_brightness() -> None:
    random = np.random.default_rng(3)
    drawn = [draw_pattern(64, 48, random) for _ in range(40)]
    assert all(picture.shape == (48, 64, 3) and picture.dtype == np.uint8 for picture in drawn)
    assert np.median([picture.std() for picture in drawn]) > 10


def test_some_scenes_are_as_dark_as_the_recipe_allows() -> None:
    how = QUIET.model_copy(update={"dark": 1.0, "least_light": 0.1})
    white = np.full((8, 8, 3), 255, dtype=np.uint8)
    seen = [int(change_light(white, how, np.random.default_rng(seed)).max()) for seed in range(50)]
    assert 25 <= min(seen) < 50
    assert max(seen) > 150


def test_parts_are_joined_in_order() -> None:
    both = join(
        [
            FaceBoxes.of([face(0, 0, 1, 1)]),
            FaceBoxes.of([]),
            FaceBoxes.of([face(5, 0, 1, 1, ignore=True)]),
        ]
    )
    assert both.boxes[:, 0].tolist() == [0, 5]
    assert both.ignore.tolist() == [False, True]
