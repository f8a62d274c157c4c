"""How good a detector is: what it found, what it found that is not there, and how well it places
the landmarks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_agent.vision.faces.detector import Candidates
from training.faces.labelling.teacher import overlaps
from training.faces.photographs import Faces

FOUND = 0.5
"""A face is found by a detection with at least this intersection over union."""
TOUCHED = 0.3
"""A detection is false when its intersection over union with every face and ignored region is below
this.
"""
DOUBTED = 0.25
"""An ignored region with a lower ceiling is no excuse: the teacher hardly ever took it for a
face.
"""


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
class Judgement:
    """What a detector did, before a threshold is chosen.

    Attributes:
        found: for each face the score of the surest detection of it, 0 without one.
        errors: for each face the landmark error of that detection, NaN where there is none or the
            place is not known.
        scores: of each detection outside of ignored regions.
        false: whether it is false.
    """

    found: NDArray[np.float64]
    errors: NDArray[np.float64]
    scores: NDArray[np.float64]
    false: NDArray[np.bool_]

    def at(self, threshold: float) -> Result:
        """Figures when detections below ``threshold`` are dropped."""
        hits = self.found >= threshold
        heard = self.scores >= threshold
        errors = self.errors[hits & np.isfinite(self.errors)]
        return Result(
            threshold=threshold,
            faces=len(hits),
            recall=float(hits.mean()) if len(hits) else 0.0,
            detections=int(heard.sum()),
            false_share=float(self.false[heard].mean()) if heard.any() else 0.0,
            landmark_error=float(errors.mean()) if len(errors) else 0.0,
            median_landmark_error=float(np.median(errors)) if len(errors) else 0.0,
        )

    def threshold(self, false_share: float) -> float:
        """The lowest threshold from 0.20 to 0.95 above which the share of false detections stays
        below a bound.
        """
        candidates = [round(step / 100, 2) for step in range(20, 96)]
        fitting = [t for t in candidates if self.at(t).false_share <= false_share]
        if fitting:
            return fitting[0]
        return candidates[-1]


def judge(
    detections: Sequence[Candidates], faces: Sequence[Faces], smallest: float = 0.0
) -> Judgement:
    """Compare detections with labels, picture by picture, both in the same pixels.

    Args:
        detections: of each picture, at a low threshold.
        faces: of each picture.
        smallest: faces whose longer side is shorter need not be found, and finding them is not
            false.
    """
    found: list[float] = []
    errors: list[float] = []
    scores: list[float] = []
    false: list[bool] = []
    for seen, there in zip(detections, faces, strict=True):
        large = there.sides >= smallest
        for i in np.flatnonzero(~there.ignore & large):
            score, error = _best(seen, there, int(i))
            found.append(score)
            errors.append(error)
        for box, score in zip(seen.boxes, seen.scores, strict=True):
            state = _is_false(box, there, large)
            if state is not None:
                scores.append(float(score))
                false.append(state)
    return Judgement(
        np.array(found), np.array(errors), np.array(scores), np.array(false, dtype=np.bool_)
    )


def landmark_error(found: NDArray[np.float32], there: NDArray[np.float32]) -> float:
    """Mean distance of five points from their places, in distances of the eyes.

    NaN where those are not known.
    """
    eyes = float(np.linalg.norm(there[0] - there[1]))
    distance = float(np.linalg.norm(found - there, axis=1).mean())
    if eyes > 0:
        return distance / eyes
    return float("nan")


def _best(seen: Candidates, there: Faces, i: int) -> tuple[float, float]:
    """Score and landmark error of the surest detection of face ``i``."""
    overlap = overlaps(_sized(there.boxes[i : i + 1])[0], _sized(seen.boxes))
    hits = np.flatnonzero(overlap >= FOUND)
    if len(hits) == 0:
        return 0.0, float("nan")
    best = hits[seen.scores[hits].argmax()]
    return float(seen.scores[best]), landmark_error(seen.points[best], there.points[i])


def _is_false(box: NDArray[np.float32], there: Faces, large: NDArray[np.bool_]) -> bool | None:
    """Whether a detection is false; ``None`` when it concerns an ignored or too small face."""
    touched = overlaps(_sized(box[None])[0], _sized(there.boxes)) >= TOUCHED
    if (touched & large & ~there.ignore).any():
        return False
    excused = ~large | (there.ignore & (there.ceilings >= DOUBTED))
    return None if (touched & excused).any() else True


def _sized(boxes: NDArray[np.float32]) -> NDArray[np.float64]:
    """left, top, right, bottom → x, y, width, height."""
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1).astype(np.float64)
