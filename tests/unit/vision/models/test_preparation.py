"""What is done to a picture before a model sees it: each step against what it is for."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from edge_agent.vision.models.card import InputCard
from edge_agent.vision.models.preparation import Step, prepare

Pixels = npt.NDArray[np.uint8]

ROWS, COLUMNS = np.mgrid[0:48, 0:48].astype(np.float64)


def face() -> Pixels:
    """A drawn face: an oval with eyes, brows and a mouth on a darker ground."""
    drawn = np.full((48, 48), 70, dtype=np.uint8)
    cv2.ellipse(drawn, (24, 24), (17, 22), 0, 0, 360, 160, -1)
    for x in (16, 32):
        cv2.ellipse(drawn, (x, 19), (4, 2), 0, 0, 360, 60, -1)
        cv2.line(drawn, (x - 5, 13), (x + 5, 13), 80, 2)
    cv2.ellipse(drawn, (24, 36), (8, 3), 0, 0, 360, 50, -1)
    return whole(cv2.GaussianBlur(drawn, (0, 0), 0.7))


def whole(values: Any) -> Pixels:
    grey: Pixels = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return grey


def salted(picture: Pixels) -> Pixels:
    dice = np.random.default_rng(1).random(picture.shape)
    return np.where(dice < 0.03, 0, np.where(dice > 0.97, 255, picture)).astype(np.uint8)


def speckled(picture: Pixels) -> Pixels:
    return whole(picture * (1 + np.random.default_rng(2).normal(0, 0.12, picture.shape)))


def grainy(picture: Pixels) -> Pixels:
    return whole(picture + np.random.default_rng(3).normal(0, 10, picture.shape))


def nodding(picture: Pixels) -> Pixels:
    return whole(cv2.filter2D(picture, -1, np.full((3, 1), 1 / 3)))


def lit_from_a_side(picture: Pixels) -> Pixels:
    return whole(picture * (0.4 + 1.1 * COLUMNS / 47))


@pytest.mark.parametrize(
    ("step", "spoil"),
    [
        ("salt-and-pepper", salted),
        ("speckle", speckled),
        ("gaussian", grainy),
        ("motion-blur", nodding),
        ("uneven-light", lit_from_a_side),
    ],
)
def test_a_step_brings_a_spoilt_picture_nearer_to_what_it_was(
    step: Step, spoil: Callable[[Pixels], Pixels]
) -> None:
    picture = face()
    spoilt = spoil(picture)

    made = prepare(spoilt, [step])

    assert made.dtype == np.uint8
    assert made.shape == picture.shape
    before, after = (np.corrcoef(picture.ravel(), one.ravel())[0, 1] for one in (spoilt, made))
    assert 1 - after < 0.8 * (1 - before)


def test_min_max_stretches_a_picture_and_leaves_one_single_grey() -> None:
    dark = (face() // 4).reshape(48, 48, 1)

    made = prepare(dark, ["min-max"])

    assert made.shape == dark.shape
    assert (int(made.min()), int(made.max())) == (0, 255)
    assert np.array_equal(np.argsort(made, axis=None), np.argsort(dark, axis=None))
    flat = np.full((48, 48), 9, dtype=np.uint8)
    assert np.array_equal(prepare(flat, ["min-max"]), flat)


def test_without_steps_a_picture_is_what_it_was_and_steps_have_an_order() -> None:
    picture = salted(face())

    assert np.array_equal(prepare(picture, []), picture)
    first = prepare(picture, ["salt-and-pepper", "min-max"])
    assert not np.array_equal(first, prepare(picture, ["min-max", "salt-and-pepper"]))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"prepare": ["min-max", "min-max"]}, "min-max, min-max: a step stands there twice"),
        ({"prepare": ["sharpen"]}, "sharpen|salt-and-pepper"),
        ({"prepare": []}, "at least 1"),
        ({"prepare": ["min-max"], "channels": 3, "color": "rgb"}, "only grey pictures"),
    ],
)
def test_a_card_names_steps_that_there_are_once_and_for_grey_pictures(
    changes: dict[str, object], fault: str
) -> None:
    card = {"width": 48, "height": 48, "channels": 1, "color": "gray", "scale": 1.0, "offset": 0.0}
    assert InputCard.model_validate(card).prepare is None

    with pytest.raises(ValueError, match=fault):
        InputCard.model_validate(card | changes)
