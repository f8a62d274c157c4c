"""Things drawn over faces: each changes what it says it covers, and leaves the rest."""

from __future__ import annotations

import numpy as np
import pytest

from edge_agent.vision.align import crop_face
from tests.support.vision.portraits import detector, smiling
from training.data.drawn import THINGS, Pixels, Thing

MOUTH = np.s_[34:39, 17:31]
MOST = 0.65
EYES = np.s_[16:21, 12:36]


@pytest.fixture(scope="module")
def crop() -> Pixels:
    (face,) = detector().detect(smiling())
    return crop_face(smiling(), face, 48)


def changed(before: Pixels, after: Pixels, part: tuple[slice, ...]) -> float:
    """Share of the pixels of a part that differ clearly."""
    return float((np.abs(before[part].astype(int) - after[part]) > 12).mean())


@pytest.mark.parametrize("thing", THINGS, ids=lambda thing: thing.name)
def test_a_thing_lies_over_what_it_covers_and_stays_off_the_rest(
    thing: Thing, crop: Pixels
) -> None:
    drawn = [thing.draw(crop, np.random.default_rng(seed)) for seed in range(40)]
    assert {(one.shape, one.dtype) for one in drawn} == {((48, 48), np.dtype(np.uint8))}
    mouth, eyes = (np.median([changed(crop, one, at) for one in drawn]) for at in (MOUTH, EYES))
    assert (mouth > MOST) == thing.mouth
    assert (eyes > MOST) == thing.eyes


def test_the_same_seed_draws_the_same_and_another_something_else(crop: Pixels) -> None:
    mask = THINGS[0]
    first, again, other = (mask.draw(crop, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_what_leaves_a_face_readable_is_among_the_things() -> None:
    assert {thing.name for thing in THINGS if not thing.covers} == {
        "clear glasses",
        "strands of hair",
        "spot beside",
    }
