"""The changed crops, and what a model loses against the unchanged picture."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("sklearn", reason="the training extra is not installed")

from edge_agent.vision.models.model import load_model
from tests.support.vision.stripes import stripe_faces, stripe_model
from training.report.evaluate import evaluate_logits, run_model
from training.report.robustness import CHANGES, COVER, Row, robustness, worst

EDGE = 48
BY_NAME = {change.name: change for change in CHANGES}


def changed(name: str, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return BY_NAME[name].apply(picture)


def dot(row: int, column: int) -> NDArray[np.uint8]:
    """A bright square of six pixels around a point, on black."""
    picture = np.zeros((EDGE, EDGE), dtype=np.uint8)
    picture[row - 3 : row + 3, column - 3 : column + 3] = 200
    return picture


def middle(picture: NDArray[np.uint8]) -> tuple[float, float]:
    """Centre of brightness: row, column."""
    weight = picture.astype(float) / picture.sum()
    return float((weight.sum(axis=1) * np.arange(EDGE)).sum()), float(
        (weight.sum(axis=0) * np.arange(EDGE)).sum()
    )


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_every_change_gives_another_picture_of_the_same_form_and_leaves_the_first_alone(
    change: object,
) -> None:
    picture = np.random.default_rng(2).integers(0, 256, (EDGE, EDGE), dtype=np.uint8)
    before = picture.copy()
    assert isinstance(change, type(CHANGES[0]))

    after = change.apply(picture)

    assert (after.shape, after.dtype) == (picture.shape, picture.dtype)
    assert np.array_equal(picture, before)
    assert not np.array_equal(after, before)


@pytest.mark.parametrize(
    ("name", "row", "column"),
    [
        ("shifted right 10 %", 24, 24 + 4.8),
        ("shifted left 10 %", 24, 24 - 4.8),
        ("shifted down 10 %", 24 + 4.8, 24),
        ("shifted up 10 %", 24 - 4.8, 24),
    ],
)
def test_a_shift_moves_the_face_by_a_tenth_of_the_edge(
    name: str, row: float, column: float
) -> None:
    assert middle(changed(name, dot(24, 24))) == pytest.approx((row - 0.5, column - 0.5), abs=0.05)


@pytest.mark.parametrize(("name", "factor"), [("scaled up 15 %", 1.15), ("scaled down 15 %", 0.85)])
def test_a_scale_keeps_the_middle_and_stretches_the_rest(name: str, factor: float) -> None:
    after = middle(changed(name, dot(24, 34)))

    assert after == pytest.approx((23.5, 23.5 + 10 * factor), abs=0.05)


@pytest.mark.parametrize(("name", "degrees"), [("rolled left 15°", 15), ("rolled right 15°", -15)])
def test_a_roll_turns_about_the_middle(name: str, degrees: float) -> None:
    angle = np.radians(degrees)

    row, column = middle(changed(name, dot(24, 36)))

    assert (row, column) == pytest.approx(
        (23.5 - 12 * np.sin(angle), 23.5 + 12 * np.cos(angle)), abs=0.1
    )


def test_what_enters_from_outside_repeats_the_border() -> None:
    ramp = np.tile(np.arange(100, 100 + EDGE, dtype=np.uint8), (EDGE, 1))

    assert (changed("shifted right 10 %", ramp)[:, :4] == 100).all()


def test_half_the_light_is_that_of_the_transfer_function_of_srgb() -> None:
    # Half of white is 188 in sRGB: 1.055 · 0.5^(1/2.4) − 0.055 = 0.7354.
    white = np.full((EDGE, EDGE), 255, dtype=np.uint8)
    half = changed("light halved", white)

    assert np.unique(half).tolist() == [188]
    assert np.unique(changed("light doubled", half)).tolist() == [255]


def test_the_harsher_light_takes_the_pixel_values_themselves() -> None:
    grey = np.full((EDGE, EDGE), 100, dtype=np.uint8)

    assert np.unique(changed("pixels halved", grey)).tolist() == [50]
    assert np.unique(changed("pixels doubled", grey)).tolist() == [200]
    assert np.unique(changed("pixels doubled", grey + np.uint8(50))).tolist() == [255]


def test_a_blur_spreads_a_point_with_a_standard_deviation_of_one_pixel() -> None:
    point = np.zeros((EDGE, EDGE), dtype=np.uint8)
    point[24, 24] = 255

    after = changed("blurred", point).astype(float)

    rows = np.arange(EDGE) - 24
    assert (after.sum(axis=1) * rows**2).sum() / after.sum() == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize(
    ("name", "covered"),
    [
        ("left half covered", np.s_[:, :24]),
        ("right half covered", np.s_[:, 24:]),
        ("upper half covered", np.s_[:24]),
        ("lower half covered", np.s_[24:]),
    ],
)
def test_a_cover_hides_one_half_and_shows_the_other(name: str, covered: tuple[slice, ...]) -> None:
    after = changed(name, np.full((EDGE, EDGE), 10, dtype=np.uint8))

    assert (after[covered] == COVER).all()
    assert np.count_nonzero(after == 10) == EDGE * EDGE // 2


def test_what_a_model_loses_is_counted_against_the_unchanged_pictures(tmp_path: Path) -> None:
    model = load_model(stripe_model(tmp_path).with_suffix(".json"), kind="expression")
    faces = stripe_faces(35, wrong_every=0)
    before = evaluate_logits(run_model(model, faces.pictures), faces)

    rows = robustness(
        model, faces, {name: one.accuracy for name, one in before.by_protocol.items()}
    )

    found = {row.name: row for row in rows}
    assert [row.name for row in rows] == [change.name for change in CHANGES]
    assert before.ferplus is not None
    assert before.ferplus.accuracy == 1
    assert found["shifted right 10 %"].loss["ferplus"] == 0  # a stripe goes from edge to edge
    # and now lies where the next category looks
    assert found["shifted down 10 %"].loss["ferplus"] > 50
    assert found["shifted down 10 %"].accuracy["ferplus"] == pytest.approx(
        1 - found["shifted down 10 %"].loss["ferplus"] / 100
    )
    assert found["light halved"].loss == {"ferplus": 0, "fer2013": 0}


def test_the_worst_row_leaves_covered_faces_and_harsher_light_aside_unless_asked() -> None:
    rows = [
        Row("small", "", "main", {}, {"ferplus": 1.0}),
        Row("large", "", "main", {}, {"ferplus": 4.0}),
        Row("light", "", "harsh", {}, {"ferplus": 9.0}),
        Row("cover", "", "covered", {}, {"ferplus": 40.0}),
    ]

    assert worst(rows, "ferplus").name == "large"
    assert worst(rows, "ferplus", ("main", "harsh")).name == "light"
