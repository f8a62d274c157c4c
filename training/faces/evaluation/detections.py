"""Figures of a detector: faces found, false detections, and errors of the landmarks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_agent.vision.faces.detector import Candidates
from training.faces.labelling.teacher import overlaps
from training.faces.photographs import FaceBoxes

FOUND_OVERLAP = 0.5
"""A face is found by a detection with at least this intersection over union."""
TOUCHED_OVERLAP = 0.3
"""A detection is false when its intersection over union with every face and ignored region is below
this.
"""
DOUBTED_CEILING = 0.25
"""A detection in an ignored region with a lower ceiling is false: it hardly ever was a face."""


@dataclass(frozen=True, slots=True)
class Result:
    """Figures at one score threshold.

    Attributes:
        threshold: least score.
        faces: how many there are to be found.
        recall: share of them that is found.
        detections: how many there are, without those in ignored regions.
        false_share: share of the detections that is false.
        landmark_error: mean distance of the landmarks of the found faces from their places, in
            distances of the eyes (large for profiles, whose eyes lie close together).
        median_landmark_error: the median over the found faces.
    """

    threshold: float
    faces: int
    recall: float
    detections: int
    false_share: float
    landmark_error: float
    median_landmark_error: float

    def figures(self) -> dict[str, float]:
        """The shares by name, for curves and cards."""
        return {
            "recall": round(self.recall, 4),
            "false_share": round(self.false_share, 4),
            "landmark_error": round(self.landmark_error, 4),
            "median_landmark_error": round(self.median_landmark_error, 4),
        }


@dataclass(frozen=True, slots=True)
class DetectionEvaluation:
    """The detections of a detector beside the labels, before a threshold is chosen.

    Attributes:
        best_scores: for each face the score of the surest detection of it, 0 without one.
        errors: for each face the landmark error of that detection, NaN where there is none or the
            place is not known.
        scores: of each detection outside of ignored regions.
        false: whether it is false.
    """

    best_scores: NDArray[np.float64]
    errors: NDArray[np.float64]
    scores: NDArray[np.float64]
    false: NDArray[np.bool_]

    def at(self, threshold: float) -> Result:
        """Figures when detections below ``threshold`` are dropped."""
        hits = self.best_scores >= threshold
        kept = self.scores >= threshold
        errors = self.errors[hits & np.isfinite(self.errors)]
        return Result(
            threshold=threshold,
            faces=len(hits),
            recall=float(hits.mean()) if len(hits) else 0.0,
            detections=int(kept.sum()),
            false_share=float(self.false[kept].mean()) if kept.any() else 0.0,
            landmark_error=float(errors.mean()) if len(errors) else 0.0,
            median_landmark_error=float(np.median(errors)) if len(errors) else 0.0,
        )

    def threshold(self, false_share: float) -> float:
        """The lowest threshold above which the share of false detections stays below a bound.

        It is one of 0.20, 0.21 … 0.95.
        """
        candidates = [round(step / 100, 2) for step in range(20, 96)]
        fitting = [t for t in candidates if self.at(t).false_share <= false_share]
        if fitting:
            return fitting[0]
        return candidates[-1]


def evaluate_detections(
    detections: Sequence[Candidates], faces: Sequence[FaceBoxes], smallest: float = 0.0
) -> DetectionEvaluation:
    """Compare detections with labels, picture by picture, both in the same pixels.

    Args:
        detections: of each picture, at a low threshold.
        faces: of each picture.
        smallest: faces whose longer side is shorter need not be found, and finding them is not
            false.
    """
    best_scores: list[float] = []
    errors: list[float] = []
    scores: list[float] = []
    false: list[bool] = []
    for detected, labelled in zip(detections, faces, strict=True):
        large = labelled.sides >= smallest
        for i in np.flatnonzero(~labelled.ignore & large):
            score, error = _best(detected, labelled, int(i))
            best_scores.append(score)
            errors.append(error)
        for box, score in zip(detected.boxes, detected.scores, strict=True):
            state = _is_false(box, labelled, large)
            if state is not None:
                scores.append(float(score))
                false.append(state)
    return DetectionEvaluation(
        np.array(best_scores), np.array(errors), np.array(scores), np.array(false, dtype=np.bool_)
    )


def landmark_error(points: NDArray[np.float32], marked: NDArray[np.float32]) -> float:
    """Mean distance of five points from their places, in distances of the eyes.

    NaN where those are not known.
    """
    eyes = float(np.linalg.norm(marked[0] - marked[1]))
    distance = float(np.linalg.norm(points - marked, axis=1).mean())
    if eyes > 0:
        return distance / eyes
    return float("nan")


def _best(detected: Candidates, labelled: FaceBoxes, i: int) -> tuple[float, float]:
    """Score and landmark error of the surest detection of face ``i``."""
    overlap = overlaps(_sized(labelled.boxes[i : i + 1])[0], _sized(detected.boxes))
    hits = np.flatnonzero(overlap >= FOUND_OVERLAP)
    if len(hits) == 0:
        return 0.0, float("nan")
    best = hits[detected.scores[hits].argmax()]
    return float(detected.scores[best]), landmark_error(detected.points[best], labelled.points[i])


def _is_false(
    box: NDArray[np.float32], labelled: FaceBoxes, large: NDArray[np.bool_]
) -> bool | None:
    """Whether a detection is false; ``None`` when it concerns an ignored or too small face."""
    touched = overlaps(_sized(box[None])[0], _sized(labelled.boxes)) >= TOUCHED_OVERLAP
    if (touched & large & ~labelled.ignore).any():
        return False
    excused = ~large | (labelled.ignore & (labelled.ceilings >= DOUBTED_CEILING))
    return None if (touched & excused).any() else True


def _sized(boxes: NDArray[np.float32]) -> NDArray[np.float64]:
    """left, top, right, bottom → x, y, width, height."""
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1).astype(np.float64)
