"""The quality of a crop falls with whatever makes a face harder to read, on a real face."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge_agent.domain import Box
from edge_agent.vision.align import Picture, align_box
from edge_agent.vision.quality import exposure, face_quality, sharpness
from tests.support.portraits import smiling

FACE = Box(172, 66, 100, 122)  # of the astronaut


@pytest.fixture(scope="module")
def crop() -> Picture:
    return align_box(smiling(), FACE, 48)


def test_a_large_sharp_well_lit_face_has_full_quality(crop: Picture) -> None:
    assert face_quality(crop, FACE.height) > 0.95


def test_a_small_face_has_the_share_of_the_pixels_it_would_need(crop: Picture) -> None:
    assert face_quality(crop, 24) == pytest.approx(0.5)


def test_the_more_a_face_is_blurred_the_less_sharp_it_is(crop: Picture) -> None:
    values = [sharpness(np.asarray(cv2.GaussianBlur(crop, (0, 0), s), np.uint8)) for s in (0.8, 1.0, 1.5, 2.0, 3.0)]
    assert values == sorted(values, reverse=True)
    assert values[1] > 0.3 and values[3] < 0.2
    assert face_quality(np.asarray(cv2.GaussianBlur(crop, (0, 0), 2), np.uint8), 200) == values[3]


def test_half_of_the_contrast_leaves_sharpness_as_it_is(crop: Picture) -> None:
    blurred = np.asarray(cv2.GaussianBlur(crop, (0, 0), 1), np.uint8)
    faint = np.asarray(100 + blurred / 2, np.uint8)
    assert sharpness(faint) == pytest.approx(sharpness(blurred), rel=0.2)


@pytest.mark.parametrize(("gain", "shift"), [(0.2, 0), (0.2, 200), (5, 0)], ids=["dark", "foggy", "burnt out"])
def test_bad_light_lowers_the_quality(crop: Picture, gain: float, shift: float) -> None:
    spoilt = np.clip(crop.astype(np.float64) * gain + shift, 0, 255).astype(np.uint8)
    assert exposure(spoilt) < 0.7 < exposure(crop)


@pytest.mark.parametrize("value", [0, 128, 255])
def test_a_plain_surface_has_no_quality(value: int) -> None:
    assert face_quality(np.full((48, 48), value, np.uint8), 200) == 0.0
