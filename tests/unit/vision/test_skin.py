"""The mean colour of a face's skin."""

from __future__ import annotations

import numpy as np
import pytest

from edge_agent.core.expression import Box, Face
from edge_agent.vision.worker import WEIGHTS, skin_colour
from tests.support.vision.portraits import detector, serious, smiling

COINCIDING = Face(Box(100, 100, 80, 100), 0.9, ((140.0, 150.0),) * 5)


def test_a_plain_picture_has_its_own_colour_in_the_order_red_green_blue() -> None:
    image = np.full((480, 640, 3), (90, 120, 170), np.uint8)
    assert skin_colour(image, COINCIDING) == pytest.approx((170, 120, 90), abs=0.01)
    assert WEIGHTS.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("portrait", [smiling, serious])
def test_skin_is_redder_than_green_and_greener_than_blue(portrait: object) -> None:
    image = portrait()  # type: ignore[operator]
    red, green, blue = skin_colour(image, detector().detect(image)[0])
    assert red > green + 15 > blue + 15


def test_a_change_of_a_tenth_of_a_level_is_seen_through_rounding() -> None:
    image = smiling()
    face = detector().detect(image)[0]
    chance = np.random.default_rng(1)
    noise = chance.normal(0, 2, (8, *image.shape))
    means = []
    for change in (0.0, 0.1):
        seen = [
            np.clip(np.rint(image + change + grain), 0, 255).astype(np.uint8) for grain in noise
        ]
        means.append(np.mean([skin_colour(frame, face) for frame in seen], axis=0))
    assert np.allclose(means[1] - means[0], 0.1, atol=0.06)


def test_a_face_at_the_edge_of_the_picture_has_a_colour() -> None:
    image = np.full((480, 640, 3), 100, np.uint8)
    face = Face(
        Box(-40, -40, 100, 120),
        0.9,
        ((-10.0, 10.0), (30.0, 10.0), (10.0, 30.0), (-5.0, 50.0), (25.0, 50.0)),
    )
    assert skin_colour(image, face) == pytest.approx((100, 100, 100), abs=0.01)
