"""What is known of a picture without looking for anything in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from edge_agent.core.pictures import are_equal, is_of_one_colour

if TYPE_CHECKING:
    from edge_agent.core.expression import Image


def noisy(level: float, noise: float) -> Image:
    picture = np.random.default_rng(1).normal(level, noise, (240, 320, 3))
    return np.clip(picture, 0, 255).astype(np.uint8)


def test_pictures_differ_by_one_pixel_or_by_their_size() -> None:
    one = noisy(90, 5)
    other = one.copy()
    assert are_equal(one, other)
    other[101, 33, 1] ^= 1
    assert not are_equal(one, other)
    assert not are_equal(one, one[:-1])


@pytest.mark.parametrize(("level", "noise"), [(0, 0), (2, 4), (16, 8), (40, 12), (255, 0)])
def test_covered_lens_shows_one_colour_and_noise(level: float, noise: float) -> None:
    assert is_of_one_colour(noisy(level, noise))


def test_face_lit_by_a_screen_is_more_than_one_colour() -> None:
    picture = noisy(4, 4)
    picture[90:140, 150:190] += 60
    assert not is_of_one_colour(picture)
