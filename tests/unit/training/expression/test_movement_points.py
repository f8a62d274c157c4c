"""Movements that are measured on the teacher's points."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from training.expression.movement_points import POINTS, cheek_squint, frown, nose_sneer

RESTING = {
    "eye_outer": ((33, 263), (-50.0, 0.0)),
    "eye_inner": ((133, 362), (-20.0, 0.0)),
    "lower_lid": ((145, 374), (-35.0, -5.0)),
    "brow_inner": ((55, 285), (-15.0, 22.0)),
    "nose_wing": ((48, 278), (-14.0, -40.0)),
    "cheek": ((50, 280), (-55.0, -32.0)),
    "mouth_corner": ((61, 291), (-28.0, -75.0)),
    "lips": ((0, 17), (0.0, -75.0)),
}
"""Numbers of a point, left and right, and where the left one is; the eyes are 100 apart."""


def face(moved: Mapping[str, float]) -> np.ndarray:
    """Return the points of one symmetrical face; some of them are higher than at rest."""
    points = np.zeros((1, POINTS, 3))
    for name, (pair, (x, y)) in RESTING.items():
        points[0, pair, 0] = (x, -x)
        points[0, pair, 1] = y + moved.get(name, 0.0)
    points[0, 4, 1] = -37.0
    return points


@pytest.mark.parametrize(
    ("measure", "moved"),
    [
        (nose_sneer, {"nose_wing": 8.0}),
        (nose_sneer, {"nose_wing": 4.0, "brow_inner": -8.0}),
        (cheek_squint, {"cheek": 15.0}),
        (cheek_squint, {"cheek": 5.0, "lower_lid": 3.0}),
        (frown, {"mouth_corner": -2.5}),
    ],
)
def test_measure_face_that_moves_rises_whatever_its_size(
    measure: Callable[[np.ndarray], np.ndarray], moved: dict[str, float]
) -> None:
    (rest,), (strong,) = measure(face({})), measure(face(moved))
    assert rest < 0.2
    assert strong > rest + 0.3
    (large,) = measure(face(moved) * 2.5 + 7.0)
    assert large == pytest.approx(strong)


@pytest.mark.parametrize(
    ("measure", "point", "far"),
    [
        (cheek_squint, "cheek", 60.0),
        (nose_sneer, "nose_wing", 60.0),
        (frown, "mouth_corner", -60.0),
    ],
)
def test_measure_face_beyond_the_span_stays_in_0_to_1(
    measure: Callable[[np.ndarray], np.ndarray], point: str, far: float
) -> None:
    assert measure(face({point: far}))[0] == 1.0
    assert measure(face({point: -far}))[0] == 0.0
    assert np.isnan(measure(np.full((1, POINTS, 3), np.nan))).all(), "no face was found"
