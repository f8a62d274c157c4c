"""Shares of faces by skin and by light."""

from __future__ import annotations

import math

import numpy as np
import pytest
from skimage.color import rgb2lab

from training.faces.groups import (
    ENOUGH,
    NOT_TOLD,
    Seen,
    figures_of,
    groups_text,
    skin_group,
    typology_angle,
)


@pytest.mark.parametrize(
    ("colour", "group"),
    [
        ((240, 208, 188), "light (above 41°)"),
        ((198, 150, 122), "between (10° to 41°)"),
        ((110, 74, 54), "dark (below 10°)"),
    ],
)
def test_the_angle_of_a_skin_is_that_of_another_implementation_of_cielab(
    colour: tuple[int, int, int], group: str
) -> None:
    lightness, _, b = rgb2lab(np.array([[colour]], dtype=np.uint8))[0, 0]
    angle = typology_angle(*colour)
    assert angle == pytest.approx(math.degrees(math.atan((lightness - 50) / b)), abs=0.5)
    assert skin_group(angle) == group


def test_bluish_light_says_nothing_about_a_skin() -> None:
    assert typology_angle(100, 110, 140) is None
    assert skin_group(None) == NOT_TOLD


def seen(label: str, right: int, wrong: int) -> list[Seen]:
    """Faces of one category."""
    hit = Seen(detected=True, named=True, flawed=False, right=True, label=label)
    miss = Seen(detected=False, named=False, flawed=False, right=False, label=label)
    return [hit] * right + [miss] * wrong


def test_categories_count_alike_where_each_group_has_enough_of_them() -> None:
    groups = {
        "dark": seen("anger", 10, ENOUGH - 10) + seen("happiness", 60, 0) + seen("fear", 0, 5),
        "light": seen("anger", ENOUGH, 0) + seen("happiness", 10, 10) + seen("fear", 30, 0),
    }
    figures = figures_of(groups)
    assert figures["dark"]["evenly"] == 0.75
    assert figures["light"]["evenly"] == 0.75
    assert figures["dark"]["right"] == round(70 / 85, 4)
    assert figures["dark"]["found"] == figures["dark"]["named"] == round(70 / 85, 4)
    assert "75.0%" in groups_text({"skin": groups})


def test_faces_without_labels_have_no_share_of_right_ones() -> None:
    faces = [Seen(detected=True, named=False, flawed=True)] * 3
    assert figures_of({"all": faces})["all"] == {
        "faces": 3,
        "found": 1.0,
        "refused": 1.0,
        "named": 0.0,
        "right": None,
        "evenly": None,
    }
