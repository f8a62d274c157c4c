"""Evidence: from the model's cells to a drawing over the photograph, and what `classify --explain`
refuses.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from edge_agent.config.vision import VisionSettings
from edge_agent.core.errors import ModelError, PictureError
from edge_agent.core.expression import EMOTIONS, Box, Emotion, Expression, Face, RejectReason
from edge_agent.vision.align import TEMPLATE, crop_matrix
from edge_agent.vision.classifier import ExpressionClassifier
from edge_agent.vision.drawing import (
    AGAINST,
    SUPPORTS,
    cells_of,
    check_place,
    corners,
    draw_explanations,
    headline,
    over_crop,
    over_picture,
    save_png,
    tint,
)
from edge_agent.vision.models.card import ModelCard, find_model, read_card
from edge_agent.vision.models.model import load_model
from edge_agent.vision.recognizer import Explanation, Recognizer, open_recognizer
from tests.support.commands import affect_edge
from tests.support.vision.portraits import SERIOUS_FILE, smiling
from tests.support.vision.tiny_model import (
    SIDE,
    explained_card,
    explained_tflite,
    expression_card,
    tiny_tflite,
    write_model,
)

ROOT = Path(__file__).resolve().parents[3]
MODEL = "AFFECT_EDGE_VISION__EXPRESSION_MODEL"
GRAY_PNG = cv2.imencode(".png", np.full((120, 160, 3), 127, np.uint8))[1].tobytes()


@pytest.fixture(scope="module")
def explained_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    content = explained_tflite()
    return write_model(tmp_path_factory.mktemp("models"), content, explained_card(content))


@pytest.fixture(scope="module")
def recognizer(explained_model: Path) -> Recognizer:
    return open_recognizer(VisionSettings(expression_model=str(explained_model)))


@pytest.fixture(scope="module")
def portrait(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pictures") / "smiling.png"
    assert cv2.imwrite(str(path), smiling())
    return path


def classify(*words: object, model: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge_agent", "classify", *map(str, words)]
    variables = {name: value for name, value in os.environ.items() if name.startswith("COV")}
    variables |= {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}
    if model is not None:
        variables[MODEL] = str(model)
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=ROOT, env=variables, timeout=60
    )


# What is refused


def test_a_model_without_evidence_says_so_only_when_it_is_asked_to_explain(tmp_path: Path) -> None:
    content = tiny_tflite()
    card = write_model(tmp_path, content, expression_card(content))
    plain = ExpressionClassifier(load_model(card, kind="expression"))
    crop = np.zeros((SIDE, SIDE), np.uint8)
    plain.classify(crop)
    said = r"'tiny' 1.0.0 was exported without the evidence.*Choose another"
    with pytest.raises(ModelError, match=said):
        plain.explain(crop)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"labels": ["neutral"] * 8}, "labels of output 'evidence' must be, in this order, neut"),
        ({"labels": None}, "labels of output 'evidence' must be"),
        ({"shape": [16, 8]}, r"needs a shape 1 × height × width × categories; found \(16, 8\)"),
    ],
    ids=["other labels", "no labels", "no places"],
)
def test_card_whose_evidence_is_not_eight_categories_at_places_is_refused(
    change: dict[str, Any], said: str
) -> None:
    card = explained_card(b"")
    card["outputs"][1] |= change
    with pytest.raises(ValidationError, match=said):
        ModelCard.model_validate(card)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("out.jpg", "a drawing is a PNG; give it a name that ends in .png"),
        ("missing/out.png", "there is no folder"),
        ("folder.png", "is a folder; name a file in it"),
        ("picture.png", "is the picture itself and would be overwritten"),
        ("link.png", "is the picture itself and would be overwritten"),
        ("x" * 300 + ".png", "cannot be written (File name too long)"),
    ],
)
def test_a_drawing_without_a_place_of_its_own_is_refused(
    tmp_path: Path, name: str, said: str
) -> None:
    picture = tmp_path / "picture.png"
    picture.write_bytes(b"the picture")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "link.png").symlink_to(picture)

    with pytest.raises(PictureError) as refused:
        check_place(tmp_path / name, picture)

    assert said in str(refused.value)
    assert picture.read_bytes() == b"the picture"


def test_a_drawing_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    occupied = tmp_path / "out.png"
    occupied.mkdir()
    with pytest.raises(
        PictureError, match=r"out.png: the drawing cannot be written \(Is a directory\)"
    ):
        save_png(Image.new("RGB", (4, 4)), occupied)
    assert list(tmp_path.iterdir()) == [occupied]


def test_wrong_use_is_reported_before_anything_is_read(tmp_path: Path) -> None:
    two = affect_edge("classify", SERIOUS_FILE, SERIOUS_FILE, "--explain", tmp_path / "out.png")
    assert (two.code, two.out) == (2, "")
    assert "--explain draws one picture, and these are 2. Draw them one by one" in two.err

    jpeg = affect_edge("classify", SERIOUS_FILE, "--explain", tmp_path / "out.jpg")
    assert (jpeg.code, jpeg.out) == (2, "")
    assert "out.jpg: a drawing is a PNG" in jpeg.err
    assert list(tmp_path.iterdir()) == []


# What is drawn


def test_the_command_draws_prints_json_alone_on_stdout(
    tmp_path: Path, portrait: Path, explained_model: Path
) -> None:
    out = tmp_path / "out.png"
    done = classify(portrait, "--json", "--explain", out, model=explained_model)
    assert done.returncode == 0, done.stderr
    assert str(out) in done.stderr.splitlines()
    plain = classify(portrait, "--json", model=explained_model)
    assert json.loads(done.stdout) == json.loads(plain.stdout)
    with Image.open(out) as drawing:
        assert drawing.format == "PNG"
        assert drawing.width > drawing.height > 700


@pytest.mark.parametrize("content", [None, b"no picture", GRAY_PNG])
def test_a_picture_without_a_face_or_that_cannot_be_read_is_not_drawn(
    tmp_path: Path, explained_model: Path, content: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MODEL, str(explained_model))
    picture = tmp_path / "picture.png"
    if content is not None:
        picture.write_bytes(content)
    done = affect_edge("classify", picture, "--explain", tmp_path / "out.png")
    assert done.code == 1
    assert str(picture) in done.out
    said = "out.png is not drawn: there is no face to explain."
    assert (said in done.err) == (content == GRAY_PNG)
    assert not (tmp_path / "out.png").exists()


def test_evidence_of_face_sums_to_logits_that_its_probabilities_come_from(
    explained_model: Path,
) -> None:
    classifier = ExpressionClassifier(load_model(explained_model, kind="expression"))
    crop = np.arange(SIDE * SIDE, dtype=np.uint8).reshape(SIDE, SIDE) * 16

    expression, parts = classifier.explain(crop)

    assert expression == classifier.classify(crop)
    assert parts.shape == (SIDE, SIDE, 8) and parts.dtype == np.float32
    assert parts[:, :, 4] == pytest.approx(crop / 255 * 4 / 16, abs=0.004)
    assert parts.sum(axis=(0, 1)) == pytest.approx(np.arange(8) * crop.mean() / 255, abs=0.13)


def test_the_map_of_a_category_is_its_own_and_its_peak_stays_in_its_place() -> None:
    parts = np.zeros((6, 6, 8), np.float32)
    parts[4, 1, EMOTIONS.index(Emotion.HAPPINESS)] = 1.0

    assert not cells_of(parts, Emotion.ANGER).any()
    values = over_crop(cells_of(parts, Emotion.HAPPINESS), 240)

    y, x = np.unravel_index(values.argmax(), values.shape)
    assert (float(x), float(y)) == pytest.approx((1.5 * 40, 4.5 * 40), abs=1)


def turned_face(angle: float, side: float, x: float, y: float) -> Face:
    """A face whose crop is a square of ``side`` pixels, turned about its upper left corner at (x,
    y).
    """
    c = np.cos(angle)
    s = np.sin(angle)
    points = TEMPLATE * side @ np.array([[c, s], [-s, c]]) + (x, y)
    return Face(Box(x, y, side, side), 0.9, tuple((float(a), float(b)) for a, b in points))


def test_a_map_lies_over_the_photograph_where_its_crop_was_cut() -> None:
    to_crop = crop_matrix(turned_face(np.pi / 6, 100, 150, 40))
    values = np.zeros((50, 50), np.float32)
    values[40:, :10] = 1  # the lower left of the crop

    seen = over_picture(values, to_crop, 400, 300)

    low_left = corners(to_crop)[3]
    assert low_left == pytest.approx((150 - 50, 40 + 100 * np.cos(np.pi / 6)), abs=1e-3)
    ys, xs = np.nonzero(seen > 0.5)
    middle = np.array((0.1, 0.9)) * 100 @ np.array(
        [[np.cos(np.pi / 6), np.sin(np.pi / 6)], [-np.sin(np.pi / 6), np.cos(np.pi / 6)]]
    ) + (150, 40)
    assert (xs.mean() + 0.5, ys.mean() + 0.5) == pytest.approx(tuple(middle), abs=0.5)
    assert seen.sum() == pytest.approx(400, rel=0.05)  # a fifth by a fifth of 100 × 100 pixels


def test_evidence_for_and_against_is_coloured_and_nothing_else() -> None:
    gray = np.full((1, 3), 128, np.uint8)
    supports, nothing, against = tint(gray, np.array([[1.0, 0.0, -1.0]], np.float32))[0].astype(int)

    assert tuple(nothing) == (128, 128, 128)
    assert np.abs(supports - SUPPORTS).max() < np.abs(supports - 128).max()
    assert np.abs(against - AGAINST).max() < np.abs(against - 128).max()


@pytest.mark.parametrize(
    ("emotion", "said"), [(Emotion.ANGER, "anger 40.0 %"), (None, "uncertain: anger 40.0 %")]
)
def test_the_headline_of_a_face_says_when_it_is_uncertain(
    emotion: Emotion | None, said: str, recognizer: Recognizer
) -> None:
    expression = Expression((0.1, 0.1, 0.1, 0.1, 0.4, 0.1, 0.05, 0.05))
    (reading,) = recognizer.read_picture(smiling())
    reading = replace(reading, expression=expression, emotion=emotion)
    assert headline(reading) == said
    cut_off = replace(reading, reject_reason=RejectReason.CUT_OFF)
    assert headline(cut_off) == "cut off: anger 40.0 %"


@pytest.mark.parametrize("size", [(1, 1), (3000, 40), (500, 500)])
def test_pictures_of_any_shape_with_many_faces_partly_outside_can_be_drawn(
    size: tuple[int, int], recognizer: Recognizer
) -> None:
    (reading,) = recognizer.read_picture(smiling())
    parts = np.random.default_rng(1).normal(size=(6, 6, 8)).astype(np.float32)
    crop = np.full((48, 48), 90, np.uint8)
    faces = [turned_face(0.3 * i, 60, 80 * i - 100, -20) for i in range(8)]
    explanations = [
        Explanation(replace(reading, face=face), crop, crop_matrix(face), parts) for face in faces
    ]
    drawing = draw_explanations(np.full((*size, 3), 60, np.uint8), explanations)
    assert max(drawing.size) < 6000


def test_shipped_model_explains_smile_by_face_and_not_by_its_surroundings() -> None:
    shipped = open_recognizer()
    card = read_card(find_model(shipped.models[1].name))
    if card.output("evidence") is None:
        pytest.skip(f"{card.name} was exported without the evidence of regions")

    (explanation,) = shipped.explain_picture(smiling())

    values = over_crop(cells_of(explanation.parts, Emotion.HAPPINESS), 48)
    outside = np.ones(values.shape, bool)
    outside[8:40, 8:40] = False
    assert explanation.reading.emotion is Emotion.HAPPINESS
    assert explanation.parts.sum(axis=(0, 1)).argmax() == EMOTIONS.index(Emotion.HAPPINESS)
    assert values[8:40, 8:40].mean() > 2 * values[outside].mean()
