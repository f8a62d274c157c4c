"""Covered faces: what the network's answer becomes, and when a followed face is looked at again."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge_agent.config.vision import VisionSettings
from edge_agent.core.clock import Instant
from edge_agent.core.errors import ModelError
from edge_agent.core.expression import Frame, RejectReason
from edge_agent.vision.align import Picture
from edge_agent.vision.cover import CoverDetector, CoverWatch
from edge_agent.vision.models.model import load_model
from edge_agent.vision.recognizer import Recognizer, open_recognizer
from tests.support.vision.portraits import serious, smiling
from tests.support.vision.tiny_model import SIDE, expression_card, tiny_tflite, write_model

START = Instant(boot_ms=60_000, wall_ms=1_800_000_000_000)
BARE = np.zeros((SIDE, SIDE), np.uint8)
COVERED = np.full((SIDE, SIDE), 255, np.uint8)


def cover_card(content: bytes, **changes: Any) -> dict[str, Any]:
    card = expression_card(content, kind="face-cover", covered_from=0.7)
    del card["temperature"]
    del card["uncertain_below"]
    output = {"name": "cover", "shape": [1, 2], "tensor": "logits", "labels": ["mouth", "eyes"]}
    return card | {"outputs": [output]} | changes


def by_brightness(folder: Path, **changes: Any) -> CoverDetector:
    """The brighter a crop, the more its mouth is covered: logits of −4 + 8 × brightness."""
    weights = np.zeros((2, SIDE * SIDE), np.float32)
    weights[0] = 4 / (SIDE * SIDE)
    content = tiny_tflite(weights=weights)
    card = write_model(folder, content, cover_card(content, **changes))
    return CoverDetector(load_model(card, kind="face-cover"))


class Asked(CoverDetector):
    """A detector that counts how often it is asked."""

    times = 0

    def probability(self, crop: Picture) -> float:
        self.times += 1
        return super().probability(crop)


def test_the_probability_is_that_of_the_surer_of_mouth_and_eyes(tmp_path: Path) -> None:
    detector = by_brightness(tmp_path)
    assert detector.probability(BARE) == pytest.approx(0.5)
    for side in (SIDE, 48):  # a crop of another size is scaled
        large = np.full((side, side), 255, np.uint8)
        assert detector.probability(large) == pytest.approx(1 / (1 + math.exp(-4.0)))
    assert detector.covered_from == 0.7


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"crop": "somebody-elses"}, "trained with the crop 'somebody-elses'"),
        ({"covered_from": None}, "needs 'covered_from'"),
        ({"score_threshold": 0.5}, "has no 'score_threshold'"),
        (
            {"outputs": [{"name": "cover", "shape": [1, 2], "tensor": "logits"}]},
            "in this order, mouth, eyes; found none",
        ),
    ],
)
def test_a_card_that_does_not_fit_is_refused(
    changes: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=said):
        by_brightness(tmp_path, **changes)


@pytest.fixture
def asked(tmp_path: Path) -> Asked:
    return Asked(by_brightness(tmp_path)._model)


def watched(asked: Asked, watch: CoverWatch, crop: Picture, seconds: float, track: int = 1) -> bool:
    """Whether a track counts as covered at a time."""
    return watch.probability(track, START.shift(seconds), crop) >= asked.covered_from


def test_a_followed_face_is_looked_at_once_a_second_each_for_itself(asked: Asked) -> None:
    watch = CoverWatch(asked)
    assert not any(watched(asked, watch, BARE, number / 15) for number in range(46))
    assert asked.times == 4
    assert watched(asked, watch, COVERED, 3.1, track=2), "a new one at once"
    assert asked.times == 5


def test_a_mask_that_is_put_on_or_off_counts_within_second_and_two_frames(asked: Asked) -> None:
    watch = CoverWatch(asked)
    watched(asked, watch, BARE, 0.0)
    on = [watched(asked, watch, COVERED, number / 10) for number in range(1, 16)]
    assert on == [False] * 10 + [True] * 5
    off = [watched(asked, watch, BARE, number / 10) for number in range(16, 31)]
    assert off == [True] * 6 + [False] * 9


def test_a_hand_that_passes_in_one_frame_is_no_cover(asked: Asked) -> None:
    watch = CoverWatch(asked)
    watched(asked, watch, BARE, 0.0)
    assert not watched(asked, watch, COVERED, 1.0)
    assert not any(watched(asked, watch, BARE, 1.1 + number / 10) for number in range(9))
    assert asked.times == 3


def test_tracks_that_are_gone_are_forgotten(asked: Asked) -> None:
    watch = CoverWatch(asked)
    for track in range(100):
        watched(asked, watch, BARE, track * 10.0, track)
    assert len(watch._looks) == 1


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return open_recognizer(VisionSettings(expression_model="expression-fast", confirm_frames=1))


def masked(person: Picture, recognizer: Recognizer, shade: int) -> Picture:
    """Return a portrait with a cloth over mouth and nose."""
    (reading,) = recognizer.read_picture(person)
    right, left, _, *lips = (np.array(point) for point in reading.face.landmarks)
    apart = np.linalg.norm(left - right)
    down = (lips[0] + lips[1]) / 2 - (right + left) / 2
    down /= np.linalg.norm(down)
    across = (left - right) / apart
    corners = [(-1.0, 0.35), (0.0, 0.2), (1.0, 0.35), (0.9, 1.3), (0.35, 1.75), (-0.35, 1.75)]
    corners.append((-0.9, 1.3))
    middle = (right + left) / 2
    cloth = np.array([middle + (x * across + y * down) * apart for x, y in corners])
    shown = person.copy()
    cv2.fillPoly(shown, [np.round(cloth).astype(np.int32)], (shade, shade, shade), cv2.LINE_AA)
    return shown


@pytest.mark.parametrize("person", [smiling, serious])
@pytest.mark.parametrize("shade", [40, 235])
def test_a_masked_portrait_is_covered_and_the_bare_one_is_not(
    recognizer: Recognizer, person: Any, shade: int
) -> None:
    (bare,) = recognizer.read_picture(person())
    assert bare.reject_reason is None
    (reading,) = recognizer.read_picture(masked(person(), recognizer, shade))
    assert reading.reject_reason is RejectReason.COVERED
    assert reading.quality < 0.5


def test_without_a_model_for_it_or_without_the_filter_nobody_looks() -> None:
    blind = open_recognizer(VisionSettings(expression_model="expression-fast"), covers=False)
    covered = masked(smiling(), blind, 200)
    assert [reading.reject_reason for reading in blind.read_picture(covered)] == [None]
    careless = open_recognizer(
        VisionSettings(expression_model="expression-fast", confirm_frames=1, gate=False)
    )
    (observation,) = careless.recognize(Frame(covered, START, 0)).observations
    assert observation.reject_reason is None
