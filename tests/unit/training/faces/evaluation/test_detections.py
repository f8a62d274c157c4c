"""How a detector is judged."""

from __future__ import annotations

import numpy as np
import pytest

from edge_agent.core.expression import Box
from edge_agent.vision.faces.detector import Candidates
from training.faces.labelling import LabelledFace
from training.faces.photographs import FaceBoxes
from training.faces.trial import evaluate_detections, landmark_error

POINTS = ((14.0, 18.0), (26.0, 18.0), (20.0, 25.0), (15.0, 32.0), (25.0, 32.0))


def seen(*boxes: tuple[float, float, float, float, float]) -> Candidates:
    """Detections: left, top, right, bottom, score.

    All with the points of `POINTS` moved by 1.2 to the right.
    """
    values = np.array(boxes, dtype=np.float32).reshape(-1, 5)
    points = np.array([POINTS] * len(values), dtype=np.float32).reshape(-1, 5, 2)
    points[:, :, 0] += 1.2
    return Candidates(values[:, 4], values[:, :4], points)


def faces(*boxes: tuple[float, float, float, float], ignored: int = 0) -> FaceBoxes:
    """Faces: x, y, width, height; the last ones are ignored regions."""
    labels = [
        LabelledFace(Box(*box), POINTS, i >= len(boxes) - ignored) for i, box in enumerate(boxes)
    ]
    return FaceBoxes.of(labels)


def test_recall_counts_faces_and_false_share_counts_detections() -> None:
    judged = evaluate_detections(
        [seen((10, 10, 30, 40, 0.9), (60, 60, 80, 90, 0.6)), seen((11, 10, 30, 40, 0.4))],
        [faces((10, 10, 20, 30)), faces((10, 10, 20, 30), (100, 100, 20, 20))],
    )
    low, middle, high = (judged.at(t) for t in (0.3, 0.5, 0.7))
    assert [low.recall, low.false_share] == pytest.approx([2 / 3, 1 / 3])
    assert [middle.recall, middle.false_share] == pytest.approx([1 / 3, 1 / 2])
    assert [high.recall, high.false_share, high.detections] == pytest.approx([1 / 3, 0, 1])
    assert low.landmark_error == pytest.approx(0.1)


def test_detections_in_ignored_regions_and_of_small_faces_are_neither_right_nor_false() -> None:
    judged = evaluate_detections(
        [seen((10, 10, 30, 40, 0.9), (60, 60, 68, 70, 0.8))],
        [faces((60, 60, 8, 10), (10, 10, 20, 30), ignored=1)],
        12.0,
    )
    result = judged.at(0.5)
    assert (result.faces, result.detections, result.false_share) == (0, 0, 0.0)


def test_the_threshold_is_the_lowest_that_keeps_false_detections_rare() -> None:
    judged = evaluate_detections(
        [seen((10, 10, 30, 40, 0.9), (60, 60, 80, 90, 0.614))], [faces((10, 10, 20, 30))]
    )
    assert judged.threshold(0.05) == 0.62
    assert judged.threshold(0.5) == 0.2


def test_landmark_error_is_told_in_distances_of_the_eyes() -> None:
    places = np.array(POINTS, dtype=np.float32)
    assert landmark_error(places + np.float32(1.2), places) == pytest.approx(1.2 * 2**0.5 / 12)
    assert np.isnan(landmark_error(places, np.full((5, 2), np.nan, dtype=np.float32)))


def test_what_the_teacher_hardly_ever_took_for_a_face_is_no_excuse() -> None:
    regions = [
        LabelledFace(Box(60, 60, 20, 30), None, ignore=True, ceiling=ceiling)
        for ceiling in (0.1, 0.5)
    ]
    judged = [
        evaluate_detections([seen((60, 60, 80, 90, 0.9))], [FaceBoxes.of([region])]).at(0.5)
        for region in regions
    ]
    assert [(result.detections, result.false_share) for result in judged] == [(1, 1.0), (0, 0.0)]
