"""The face crop: where landmarks land, how it is sampled, and what is refused."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from edge_agent.core.expression import Box, Face
from edge_agent.vision.align import (
    TEMPLATE,
    TEMPLATE_BOX,
    ZOOMS,
    CropCutter,
    align_box,
    align_face,
    closer,
    crop_face,
    crop_matrix,
    cut,
    share_outside,
    similarity,
)

GRAY = np.zeros((20, 20), dtype=np.uint8)


def placed(scale: float, degrees: float, x: float, y: float) -> npt.NDArray[np.float64]:
    """Template points turned, scaled and shifted into a picture."""
    angle = math.radians(degrees)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return np.asarray(TEMPLATE * scale @ turn.T + (x, y), dtype=np.float64)


def dots(points: npt.NDArray[np.float64], height: int, width: int) -> npt.NDArray[np.uint8]:
    """A black picture with a white spot on each point."""
    ys, xs = np.mgrid[0:height, 0:width] + 0.5
    picture = np.zeros((height, width))
    for x, y in points:
        picture += np.exp(-((xs - x) ** 2 + (ys - y) ** 2) / 18.0)
    return np.asarray(np.clip(picture, 0, 1) * 255, dtype=np.uint8)


def test_similarity_agrees_with_umeyama_by_singular_values() -> None:
    generator = np.random.default_rng(3)
    source = generator.normal(size=(5, 2)) * 30 + 100
    target = generator.normal(size=(5, 2))
    a = source - source.mean(0)
    b = target - target.mean(0)
    u, s, vt = np.linalg.svd(b.T @ a)
    sign = np.diag([1.0, np.sign(np.linalg.det(u @ vt))])
    turn = u @ sign @ vt
    scale = float(np.trace(np.diag(s) @ sign) / (a**2).sum())
    shift = target.mean(0) - scale * turn @ source.mean(0)
    assert np.allclose(similarity(source, target), np.column_stack([scale * turn, shift]))


def test_similarity_never_mirrors_a_face() -> None:
    mirrored = placed(100, 0, 0, 0) * (-1, 1)
    assert np.linalg.det(similarity(mirrored, TEMPLATE)[:, :2]) > 0


@pytest.mark.parametrize(("scale", "degrees"), [(60.0, 0.0), (150.0, -40.0)])
def test_landmarks_land_on_the_template(scale: float, degrees: float) -> None:
    points = placed(scale, degrees, 120, 80)
    crop = align_face(dots(points, 400, 400), points, 96)
    for x, y in TEMPLATE * 96:
        window = crop[round(y) - 6 : round(y) + 7, round(x) - 6 : round(x) + 7].astype(float)
        rows, columns = np.mgrid[round(y) - 6 : round(y) + 7, round(x) - 6 : round(x) + 7] + 0.5
        window[window < window.max() / 2] = 0
        assert abs((rows * window).sum() / window.sum() - y) < 0.7
        assert abs((columns * window).sum() / window.sum() - x) < 0.7


@pytest.mark.parametrize("crop", ZOOMS)
def test_crop_by_name_is_enlarged_about_its_middle(crop: str) -> None:
    points = placed(150, 20, 120, 80)
    face = Face(Box(100, 60, 120, 150), 0.9, tuple((float(x), float(y)) for x, y in points))
    whole, near = crop_matrix(face), crop_matrix(face, crop)
    middle = np.linalg.solve(whole[:, :2], 0.5 - whole[:, 2])
    assert near[:, :2] @ middle + near[:, 2] == pytest.approx([0.5, 0.5])
    assert near[:, :2] == pytest.approx(ZOOMS[crop] * whole[:, :2])
    picture = dots(points, 400, 400)
    cut_out = crop_face(picture, face, 48, crop)
    assert np.array_equal(cut_out, align_face(picture, points, 48, crop))
    assert np.array_equal(cut_out, cut(picture, near, 48))


def test_a_picture_that_is_already_the_crop_comes_back_unchanged() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (48, 48), dtype=np.uint8)
    difference = align_face(picture, TEMPLATE * 48, 48).astype(int) - picture
    assert abs(difference).max() <= 1


def test_colour_and_gray_pictures_give_the_same_gray_crop() -> None:
    gray = np.random.default_rng(2).integers(0, 256, (120, 160), dtype=np.uint8)
    gray = np.asarray(cv2.GaussianBlur(gray, (0, 0), 2), dtype=np.uint8)
    points = placed(70, 10, 40, 30)
    of_gray = align_face(gray, points, 48)
    of_colour = align_face(np.repeat(gray[:, :, None], 3, axis=2), points, 48)
    assert of_gray.shape == (48, 48)
    assert of_gray.dtype == np.uint8
    assert abs(of_gray.astype(int) - of_colour).max() <= 1


def test_a_large_face_is_averaged_rather_than_subsampled() -> None:
    checkerboard = np.indices((800, 800)).sum(axis=0) % 2 * 255
    crop = align_face(checkerboard.astype(np.uint8), placed(700, 0, 50, 50), 48)
    assert abs(crop.astype(int) - 127).max() < 12


@pytest.mark.parametrize(
    ("x", "y", "share"),
    [(30, 20, 0.0), (64, 0, 0.0), (70, 0, 0.125), (0, 40, 1 / 3), (-12, -12, 7 / 16), (200, 9, 1)],
)
@pytest.mark.parametrize("quarters", range(4))
def test_the_share_outside_is_exact(x: float, y: float, share: float, quarters: int) -> None:
    """The crop has 48 × 48 pixels, upright or not, its corner at (x, y) of 112 × 72 pixels."""
    a = 1j**quarters / 48
    b = 0.5 + 0.5j - a * complex(x + 24, y + 24)
    to_unit = np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])
    outside = share_outside(np.zeros((72, 112, 3), np.uint8), to_unit)
    assert outside == pytest.approx(share, abs=1e-5)


def test_share_outside_of_a_part_counts_that_part_alone() -> None:
    """The crop has 100 × 100 pixels; its upper 30 and its right 20 lie outside."""
    to_unit = np.array([[0.01, 0.0, 0.2], [0.0, 0.01, 0.3]])
    picture = np.zeros((200, 60, 3), np.uint8)
    assert share_outside(picture, to_unit) == pytest.approx(1 - 0.6 * 0.7)
    assert share_outside(picture, to_unit, Box(0.3, 0.4, 0.4, 0.6)) == 0
    part = share_outside(picture, to_unit, Box(0.1, 0.2, 0.4, 0.8))
    assert part == pytest.approx(1 - 0.75 * 0.875)


@pytest.mark.parametrize(("scale", "x"), [(30, 90.3), (150, 40.7), (400, -20.0), (60, 500.0)])
def test_crops_cut_together_equal_those_cut_alone(scale: float, x: float) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (300, 320, 3), dtype=np.uint8)
    loose = similarity(placed(scale, 12, x, 31.5), TEMPLATE)
    cutter = CropCutter(picture, loose)
    for to_unit in (loose, *(closer(loose, crop) for crop in ZOOMS)):
        assert np.array_equal(cutter.cut(to_unit, 48), cut(picture, to_unit, 48))


def test_align_box_puts_the_box_where_the_template_has_it() -> None:
    picture = np.zeros((300, 300), dtype=np.uint8)
    box = Box(100, 60, TEMPLATE_BOX.width * 120, TEMPLATE_BOX.height * 120)
    picture[60 : 60 + round(box.height), 100 : 100 + round(box.width)] = 255
    crop = align_box(picture, box, 100)
    rows, columns = np.nonzero(crop > 127)
    assert abs(columns.min() - TEMPLATE_BOX.x * 100) <= 1
    assert abs(rows.min() - max(TEMPLATE_BOX.y, 0) * 100) <= 1
    assert abs(columns.max() + 1 - (TEMPLATE_BOX.x + TEMPLATE_BOX.width) * 100) <= 1


@pytest.mark.parametrize(
    ("image", "landmarks", "size", "words"),
    [
        (GRAY, np.zeros((5, 2)), 48, "coincide"),
        (GRAY, np.full((5, 2), np.nan), 48, "not finite"),
        (GRAY, np.zeros((4, 2)), 48, "five points"),
        (np.zeros((20, 20), dtype=np.float32), TEMPLATE * 20, 48, "float32"),
        (np.zeros((20, 20, 4), dtype=np.uint8), TEMPLATE * 20, 48, "shape"),
        (np.zeros((0, 20), dtype=np.uint8), TEMPLATE * 20, 48, "0, 20"),
        (GRAY, TEMPLATE * 20, 0, "crop of 0"),
        (np.zeros((1, 40000), dtype=np.uint8), TEMPLATE * 20, 48, "32766"),
    ],
)
def test_face_that_cannot_be_cropped_is_refused(
    image: npt.NDArray[np.uint8], landmarks: npt.ArrayLike, size: int, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        align_face(image, landmarks, size)
    for box in (Box(0, 0, 5, -1), Box(math.nan, 0, 5, 5)):
        with pytest.raises(ValueError, match="positive size"):
            align_box(GRAY, box, 48)
