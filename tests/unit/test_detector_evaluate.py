"""Judging a detector file against a teacher; here it is one that knows, as real weights are not ours to ship."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from edge_agent.vision.card import MODELS_FOLDER, read_card
from tests.support.portraits import serious, smiling
from training.faces.evaluate import evaluate_file, fitted, note, reference
from training.faces.teacher import Teacher

MODEL = MODELS_FOLDER / "face-detector.tflite"
SMILING = (180.7, 65.3, 88.7, 108.9, 204.0, 104.0, 245.0, 104.5, 222.9, 125.8, 205.4, 144.5, 240.7, 144.0)
SERIOUS = (179.7, 119.8, 173.3, 214.4, 225.1, 193.9, 308.2, 192.8, 270.0, 235.7, 233.8, 270.4, 307.0, 270.7)


class Knowing(Teacher):
    """Answers with the faces of the portrait that it recognises by its size, if it is as sure as is asked."""

    def __init__(self, score: float, mirrored_score: float) -> None:
        self._scores = (score, mirrored_score)

    def ask(self, image: npt.NDArray[np.uint8], scale: float) -> npt.NDArray[np.float64]:
        return self._answer(image, self._scores[0])

    def ask_mirrored(self, image: npt.NDArray[np.uint8], scale: float) -> npt.NDArray[np.float64]:
        return self._answer(image, self._scores[1])

    @staticmethod
    def _answer(image: npt.NDArray[np.uint8], score: float) -> npt.NDArray[np.float64]:
        narrow = not image[:, 230].any()
        height, face = (serious().shape[0], SERIOUS) if narrow else (512, SMILING)
        return np.array([[*(value * 240 / height for value in face), score]])


def test_pictures_are_scaled_to_fit_320_by_240() -> None:
    assert fitted(smiling()).shape == (240, 320, 3)
    assert not fitted(smiling())[:, 240:].any()


def test_a_detector_that_agrees_with_the_teacher_has_full_recall_and_nothing_false() -> None:
    figures = evaluate_file(MODEL, [smiling(), serious()], Knowing(0.9, 0.9))
    assert (figures["faces"], figures["recall"], figures["detections"]) == (2, 1.0, 2)
    assert figures["false_share"] == figures["false_share_by_first_asking"] == 0.0
    assert figures["landmark_error"] < 0.2


def test_what_the_teacher_finds_only_when_asked_again_is_excused_but_shown() -> None:
    figures = evaluate_file(MODEL, [smiling(), serious()], Knowing(0.3, 0.6))
    assert (figures["faces"], figures["false_share"], figures["false_share_by_first_asking"]) == (0, 0.0, 1.0)


def test_what_the_teacher_never_finds_is_false() -> None:
    assert evaluate_file(MODEL, [smiling()], Knowing(0.3, 0.3))["false_share"] == 1.0
    assert len(reference(Knowing(0.3, 0.3), fitted(smiling()), ask_again=True)) == 0


def test_figures_are_noted_in_the_card_beside_the_others(tmp_path: Path) -> None:
    card = tmp_path / "face-detector.json"
    shutil.copy(MODELS_FOLDER / card.name, card)
    note(card, "portraits", {"recall": 0.5})
    assert read_card(card).metrics["portraits"] == {"recall": pytest.approx(0.5)}
    assert "valid" in json.loads(card.read_text(encoding="utf-8"))["metrics"]
