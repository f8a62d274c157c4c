"""A face detector beside YuNet on held-out photographs, as the agent sees frames.

Each picture is scaled to fit a frame of 640 × 480, the rest black. To be found are the faces whose
longer side is 32 pixels or more that YuNet finds in the frame at 320 × 240 with a score of 0.7;
found means an intersection over union of at least a half. The same faces are to be found when the
frame is turned and when its light is quartered. A detection is false when YuNet sees nothing there,
neither so nor at 640 × 480 with a score of 0.5; YuNet's own are called false when it does not see
them at 640 × 480. Landmarks are compared with points that people marked.

The whole chain is asked whether it leaves masked faces unread and reads bare ones. The largest face
of each photograph counts; its folder says whether it wears a mask.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import PurePosixPath

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.core.expression import Face, RejectReason
from edge_agent.vision.faces.detector import Candidates, letterbox
from edge_agent.vision.faces.finder import FaceFinder
from edge_agent.vision.recognizer import FaceReading, Recognizer
from training.faces.labelling import LabelledFace, Picture, Points, deviation, overlaps
from training.faces.photographs import FaceBoxes
from training.faces.scenes import for_opencv, turn_about

FOUND_OVERLAP = 0.5
"""A face is found by a detection with at least this intersection over union."""
TOUCHED_OVERLAP = 0.3
"""A detection is false when its intersection over union with every face and ignored region is below
this.
"""
DOUBTED_CEILING = 0.25
"""A detection in an ignored region with a lower ceiling is false: it hardly ever was a face."""
WIDTH = 640
HEIGHT = 480
SMALLEST = 32.0
SIZES = (32, 48, 64, 96, 160, math.inf)
"""Bounds of the sizes that are distinguished: longer side, pixels of the frame."""
ALL = "all"
QUARTERED = "light quartered"
GREY = "grey, as infrared"
MASK = "with a mask"
NO_MASK = "without a mask"
ROLLED = {-30: "rolled -30°", -15: "rolled -15°", 15: "rolled +15°", 30: "rolled +30°"}
OURS = "ours"
YUNET = "yunet"
ROWS = {"with_mask": MASK, "without_mask": NO_MASK}


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
        """Return the shares by name, for curves and cards."""
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
        """Return figures when detections below ``threshold`` are dropped."""
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
        """Return the lowest threshold from which the share of false detections stays below a bound.

        It is one of 0.20, 0.21 … 0.95.
        """
        candidates = [round(step / 100, 2) for step in range(20, 96)]
        # Every threshold is tried: the false share need not fall with each step.
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
    """Return the mean distance of five points from their places, in distances of the eyes.

    NaN where the places are not known.
    """
    eyes = float(np.linalg.norm(marked[0] - marked[1]))
    distance = float(np.linalg.norm(points - marked, axis=1).mean())
    if eyes > 0:
        return distance / eyes
    return float("nan")


def _best(detected: Candidates, labelled: FaceBoxes, i: int) -> tuple[float, float]:
    """Return score and landmark error of the surest detection of face ``i``."""
    overlap = overlaps(_as_sizes(labelled.boxes[i : i + 1])[0], _as_sizes(detected.boxes))
    hits = np.flatnonzero(overlap >= FOUND_OVERLAP)
    if len(hits) == 0:
        return 0.0, float("nan")
    # The surest of those that fit, as it survives the highest threshold.
    best = hits[detected.scores[hits].argmax()]
    return float(detected.scores[best]), landmark_error(detected.points[best], labelled.points[i])


def _is_false(
    box: NDArray[np.float32], labelled: FaceBoxes, large: NDArray[np.bool_]
) -> bool | None:
    """Tell whether a detection is false; ``None`` when it concerns an ignored or too small face."""
    touched = overlaps(_as_sizes(box[None])[0], _as_sizes(labelled.boxes)) >= TOUCHED_OVERLAP
    # A face that counts makes it right; one too small or in doubt only excuses it.
    if (touched & large & ~labelled.ignore).any():
        return False
    excused = ~large | (labelled.ignore & (labelled.ceilings >= DOUBTED_CEILING))
    return None if (touched & excused).any() else True


def _as_sizes(boxes: NDArray[np.float32]) -> NDArray[np.float64]:
    """left, top, right, bottom → x, y, width, height."""
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1).astype(np.float64)


@dataclass(slots=True)
class Count:
    """The number of faces, and how many of them each detector found."""

    faces: int = 0
    hits: Counter[str] = field(default_factory=Counter)

    def share(self, detector: str) -> float | None:
        """Return the share of the faces that a detector found; ``None`` without faces."""
        if self.faces:
            return self.hits[detector] / self.faces
        return None


@dataclass(slots=True)
class PicturesFinding:
    """The findings in the pictures of one archive.

    Attributes:
        pictures: how many there were.
        counts: by row of the table.
        detections: of each detector, in upright frames in full light.
        false: how many of them are false.
        named: false ones of ours that the whole chain gives a category.
    """

    pictures: int = 0
    counts: dict[str, Count] = field(default_factory=lambda: defaultdict(Count))
    detections: Counter[str] = field(default_factory=Counter)
    false: Counter[str] = field(default_factory=Counter)
    named: int = 0

    def count(self, row: str, hits: Mapping[str, NDArray[np.bool_]]) -> None:
        """Count the faces of a picture: for each detector which of them it found."""
        count = self.counts[row]
        count.faces += len(hits[OURS])
        for detector, mask in hits.items():
            count.hits[detector] += int(mask.sum())


@dataclass(slots=True)
class Placing:
    """Landmark errors in distances of the eyes, one for each face that was found.

    They are kept by detector and by turn of the frame.
    """

    pictures: int = 0
    errors: dict[str, dict[str, list[float]]] = field(
        default_factory=lambda: {OURS: defaultdict(list), YUNET: defaultdict(list)}
    )


class DetectorTrial:
    """Compares a detector with YuNet.

    Args:
        ours: the detector, at the threshold that it is used with.
        yunet: YuNet at 320 × 240 and a score of 0.7.
        confirming: YuNet at 640 × 480 and a score of 0.5; what it does not see is no face.
        recognizer: the whole chain, which is asked about false faces; ``None``: it is not.
    """

    def __init__(
        self,
        ours: FaceFinder,
        yunet: FaceFinder,
        confirming: FaceFinder,
        recognizer: Recognizer | None = None,
    ) -> None:
        self._detectors = {OURS: ours, YUNET: yunet}
        self._confirming = confirming
        self._recognizer = recognizer

    def find(self, pictures: Iterable[tuple[str, Picture]]) -> PicturesFinding:
        """Return what both detectors find in pictures, each with its name."""
        finding = PicturesFinding()
        for name, picture in pictures:
            finding.pictures += 1
            self._find(name, frame_of(picture)[0], finding)
        return finding

    def place(
        self, pictures: Iterable[tuple[str, Picture]], marked: Mapping[str, Points]
    ) -> Placing:
        """Measure the landmarks of both detectors against marked ones.

        In upright frames, and in frames turned by 30 degrees.
        """
        placed = Placing()
        for name, picture in pictures:
            frame, scale = frame_of(picture)
            placed.pictures += 1
            for row, degrees in ((ALL, 0.0), (ROLLED[-30], -30.0), (ROLLED[30], 30.0)):
                matrix = turn_of(degrees)
                shown = turn(frame, matrix) if degrees else frame
                # Marked points are of the photograph: scaled as it was, then turned with the frame.
                points = marked[name] * scale @ matrix[:, :2].T + matrix[:, 2]
                for name_of, detector in self._detectors.items():
                    if (face := _face_around(detector.detect(shown), points)) is not None:
                        placed.errors[name_of][row].append(
                            deviation(np.array(face.landmarks), points)
                        )
        return placed

    def _find(self, name: str, frame: Picture, finding: PicturesFinding) -> None:
        detected = self._detect(frame)
        expected = expected_faces(detected[YUNET])
        hits = {detector: hit(each, expected) for detector, each in detected.items()}
        for row, chosen in _rows(name, expected):
            finding.count(row, {detector: those[chosen] for detector, those in hits.items()})
        # Confirmed by a closer look: what neither sees is false.
        confirmed = candidates(self._confirming.detect(frame))
        true = {name: touch_others(each, confirmed) for name, each in detected.items()}
        true[OURS] |= touch_others(detected[OURS], detected[YUNET])
        for detector, each in detected.items():
            finding.detections[detector] += len(each)
            finding.false[detector] += int((~true[detector]).sum())
        finding.named += self._count_named(frame, detected[OURS].boxes[~true[OURS]])
        for row, (shown, still) in _change_frame(frame, expected).items():
            finding.count(
                row, {detector: hit(each, still) for detector, each in self._detect(shown).items()}
            )

    def _count_named(self, frame: Picture, false: NDArray[np.float32]) -> int:
        """Return how many false faces get a category."""
        if self._recognizer is None or not len(false):
            return 0
        readings = self._recognizer.read_picture(frame)
        named = candidates([one.face for one in readings if _is_named(one)])
        return int((_overlap(false, named.boxes) >= FOUND_OVERLAP).sum())

    def _detect(self, frame: Picture) -> dict[str, Candidates]:
        return {
            name: candidates(detector.detect(frame)) for name, detector in self._detectors.items()
        }


def frame_of(picture: Picture) -> tuple[Picture, float]:
    """Return a picture (BGR) scaled to fit 640 × 480, the rest black, and the scale."""
    pixels, scale = letterbox(picture, WIDTH, HEIGHT)
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), dtype=np.uint8), scale


def turn_of(degrees: float) -> NDArray[np.float64]:
    """Return the clockwise turn of a frame about its middle, 2 × 3."""
    return turn_about(np.eye(2, 3), math.radians(degrees), (WIDTH / 2, HEIGHT / 2))


def turn(frame: Picture, matrix: NDArray[np.float64]) -> Picture:
    """Return a turned frame; what comes into sight is black."""
    return np.asarray(cv2.warpAffine(frame, for_opencv(matrix), (WIDTH, HEIGHT)), dtype=np.uint8)


def candidates(faces: Sequence[Face]) -> Candidates:
    """Return faces of the agent as the training's arrays."""
    labels = FaceBoxes.of([LabelledFace(face.box, face.landmarks) for face in faces])
    return Candidates(
        np.array([face.score for face in faces], dtype=np.float32), labels.boxes, labels.points
    )


def hit(seen: Candidates, there: FaceBoxes) -> NDArray[np.bool_]:
    """Tell for each face whether a detection finds it."""
    return _overlap(there.boxes, seen.boxes) >= FOUND_OVERLAP


def touch_others(seen: Candidates, by: Candidates) -> NDArray[np.bool_]:
    """Tell for each detection of ``seen`` whether one of ``by`` touches it."""
    return _overlap(seen.boxes, by.boxes) >= TOUCHED_OVERLAP


def _overlap(boxes: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return for each box the largest intersection over union with one of the others.

    A box is left, top, right, bottom.
    """
    second = _as_sizes(others)
    return np.array(
        [overlaps(box, second).max(initial=0.0) for box in _as_sizes(boxes)], np.float64
    )


def expected_faces(yunet: Candidates) -> FaceBoxes:
    """Return the faces of YuNet that are at least ``SMALLEST`` large, as faces to be found."""
    none = np.zeros(len(yunet), dtype=np.bool_)
    sure = np.ones(len(yunet), dtype=np.float32)
    faces = FaceBoxes(yunet.boxes, yunet.points, none, sure)
    return faces.take(faces.sides >= SMALLEST)


def _rows(name: str, there: FaceBoxes) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Yield rows by size, and by mask where the folders of the archive tell.

    Each with the faces that belong to it.
    """
    everything = np.ones(len(there), dtype=np.bool_)
    yield ALL, everything
    for low, high in pairwise(SIZES):
        yield size_row(low, high), (there.sides >= low) & (there.sides < high)
    folders = PurePosixPath(name).parts[:-1]
    if "with_mask" in folders:
        yield MASK, everything
    if "without_mask" in folders:
        yield NO_MASK, everything


def size_row(low: float, high: float) -> str:
    """Return the name of the row of a range of sizes."""
    if math.isinf(high):
        return f"{low:.0f} px and more"
    return f"{low:.0f} to {high:.0f} px"


def _change_frame(frame: Picture, there: FaceBoxes) -> dict[str, tuple[Picture, FaceBoxes]]:
    """Return the frame turned, darkened and without colours, each with the faces in sight."""
    changed: dict[str, tuple[Picture, FaceBoxes]] = {}
    for degrees, row in ROLLED.items():
        matrix = turn_of(degrees)
        inside = there.move(matrix).within(0, 0, WIDTH, HEIGHT)
        changed[row] = turn(frame, matrix), inside.take(~inside.ignore)
    changed[QUARTERED] = np.asarray(frame // 4, dtype=np.uint8), there
    grey = cv2.cvtColor(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    changed[GREY] = np.asarray(grey, dtype=np.uint8), there
    return changed


def _face_around(faces: Sequence[Face], points: Points) -> Face | None:
    """Return the surest face whose box holds the middle of the marked points."""
    x, y = points.mean(axis=0)
    for face in faces:
        if 0 <= x - face.box.x <= face.box.width and 0 <= y - face.box.y <= face.box.height:
            return face
    return None


@dataclass(slots=True)
class Reading:
    """The outcome for the photographs of one kind.

    Attributes:
        pictures: how many there were.
        faces: in how many a face was found.
        covered: how many of these faces were refused as covered.
        named: how many were given a category: no flaw, and sure enough.
    """

    pictures: int = 0
    faces: int = 0
    covered: int = 0
    named: int = 0

    @property
    def covered_share(self) -> float | None:
        """Share of the faces refused as covered; ``None`` without faces."""
        return self.covered / self.faces if self.faces else None

    @property
    def named_share(self) -> float | None:
        """Share of the faces given a category; ``None`` without faces."""
        return self.named / self.faces if self.faces else None


def read_covered(
    recognizer: Recognizer, pictures: Iterable[tuple[str, Picture]]
) -> dict[str, Reading]:
    """Read photographs, each with its name; return their outcomes by row.

    Photographs in other folders are passed over.
    """
    readings: dict[str, Reading] = defaultdict(Reading)
    for name, picture in pictures:
        row = next((ROWS[part] for part in PurePosixPath(name).parts[:-1] if part in ROWS), None)
        if row is None:
            continue
        one = readings[row]
        one.pictures += 1
        faces = recognizer.read_picture(picture)
        if faces:
            face = max(faces, key=lambda face: face.face.box.area)
            one.faces += 1
            one.covered += face.reject_reason is RejectReason.COVERED
            one.named += _is_named(face)
    return dict(readings)


def _is_named(face: FaceReading) -> bool:
    return face.reject_reason is None and face.emotion is not None


def covered_text(readings: Mapping[str, Reading], width: int) -> str:
    """Return the table: a line for each row."""
    title = "portraits as the agent reads them"
    lines = [f"{title:<{width}} {'faces':>6} {'covered':>8} {'named':>8}"]
    for row, one in readings.items():
        shares = "".join(
            f" {'' if share is None else format(share, '.1%'):>8}"
            for share in (one.covered_share, one.named_share)
        )
        lines.append(f"{'  ' + row:<{width}} {one.faces:>6}{shares}")
    return "\n".join(lines)
