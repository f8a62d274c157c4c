"""Evaluate a face detector beside YuNet on held-out photographs, as the agent sees frames.

Each picture is scaled to fit a frame of 640 × 480, the rest black. To be found are the faces whose
longer side is 32 pixels or more that YuNet finds in the frame at 320 × 240 with a score of 0.7;
found means an intersection over union of at least a half. The same faces are to be found when the
frame is turned and when its light is quartered. A detection is false when YuNet sees nothing there,
neither so nor at 640 × 480 with a score of 0.5; YuNet's own are called false when it does not see
them at 640 × 480. Landmarks are compared with points that people marked.
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

from edge_agent.core.expression import Face
from edge_agent.vision.faces.detector import Candidates, letterbox
from edge_agent.vision.faces.finder import FaceFinder
from training.faces.compose import for_opencv, turned
from training.faces.evaluation.detections import FOUND_OVERLAP, TOUCHED_OVERLAP
from training.faces.labelling.labels import LabelledFace, Picture
from training.faces.labelling.marked import Points, deviation
from training.faces.labelling.teacher import overlaps
from training.faces.photographs import FaceBoxes

WIDTH = 640
HEIGHT = 480
SMALLEST = 32.0
SIZES = (32, 48, 64, 96, 160, math.inf)
"""Bounds of the sizes that are told apart: longer side, pixels of the frame."""
ALL = "all"
QUARTERED = "light quartered"
MASK = "with a mask"
NO_MASK = "without a mask"
ROLLED = {-30: "rolled -30°", -15: "rolled -15°", 15: "rolled +15°", 30: "rolled +30°"}


OURS = "ours"
YUNET = "yunet"


@dataclass(slots=True)
class Count:
    """How many faces there were, and how many of them each detector found."""

    faces: int = 0
    hits: Counter[str] = field(default_factory=Counter)

    def share(self, detector: str) -> float | None:
        """Share of the faces that a detector found; ``None`` without faces."""
        if self.faces:
            return self.hits[detector] / self.faces
        return None


@dataclass(slots=True)
class Finding:
    """What was found in the pictures of one archive.

    Attributes:
        pictures: how many there were.
        counts: by row of the table.
        detections: of each detector, in upright frames in full light.
        false: how many of them are false.
    """

    pictures: int = 0
    counts: dict[str, Count] = field(default_factory=lambda: defaultdict(Count))
    detections: Counter[str] = field(default_factory=Counter)
    false: Counter[str] = field(default_factory=Counter)

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


class Trial:
    """Compares a detector with YuNet.

    Args:
        ours: the detector, at the threshold that it is used with.
        yunet: YuNet at 320 × 240 and a score of 0.7.
        confirming: YuNet at 640 × 480 and a score of 0.5; what it does not see is no face.
    """

    def __init__(self, ours: FaceFinder, yunet: FaceFinder, confirming: FaceFinder) -> None:
        self._detectors = {OURS: ours, YUNET: yunet}
        self._confirming = confirming

    def find(self, pictures: Iterable[tuple[str, Picture]]) -> Finding:
        """What both find in pictures, each with its name."""
        finding = Finding()
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
                points = marked[name] * scale @ matrix[:, :2].T + matrix[:, 2]
                for name_of, detector in self._detectors.items():
                    if (face := _around(detector.detect(shown), points)) is not None:
                        placed.errors[name_of][row].append(
                            deviation(np.array(face.landmarks), points)
                        )
        return placed

    def _find(self, name: str, frame: Picture, finding: Finding) -> None:
        detected = self._seen(frame)
        expected = expected_faces(detected[YUNET])
        hits = {detector: hit(each, expected) for detector, each in detected.items()}
        for row, chosen in _rows(name, expected):
            finding.count(row, {detector: those[chosen] for detector, those in hits.items()})
        confirmed = candidates(self._confirming.detect(frame))
        true = {name: touched(each, confirmed) for name, each in detected.items()}
        true[OURS] |= touched(detected[OURS], detected[YUNET])
        for detector, each in detected.items():
            finding.detections[detector] += len(each)
            finding.false[detector] += int((~true[detector]).sum())
        for row, (shown, still) in _changed(frame, expected).items():
            finding.count(
                row, {detector: hit(each, still) for detector, each in self._seen(shown).items()}
            )

    def _seen(self, frame: Picture) -> dict[str, Candidates]:
        return {
            name: candidates(detector.detect(frame)) for name, detector in self._detectors.items()
        }


def frame_of(picture: Picture) -> tuple[Picture, float]:
    """A picture (BGR) scaled to fit 640 × 480, the rest black, and the scale."""
    pixels, scale = letterbox(picture, WIDTH, HEIGHT)
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), dtype=np.uint8), scale


def turn_of(degrees: float) -> NDArray[np.float64]:
    """The clockwise turn of a frame about its middle, 2 × 3."""
    return turned(np.eye(2, 3), math.radians(degrees), (WIDTH / 2, HEIGHT / 2))


def turn(frame: Picture, matrix: NDArray[np.float64]) -> Picture:
    """A turned frame; what comes into sight is black."""
    return np.asarray(cv2.warpAffine(frame, for_opencv(matrix), (WIDTH, HEIGHT)), dtype=np.uint8)


def candidates(faces: Sequence[Face]) -> Candidates:
    """Faces of the agent as the training's arrays."""
    labels = FaceBoxes.of([LabelledFace(face.box, face.landmarks) for face in faces])
    return Candidates(
        np.array([face.score for face in faces], dtype=np.float32), labels.boxes, labels.points
    )


def hit(seen: Candidates, there: FaceBoxes) -> NDArray[np.bool_]:
    """For each face whether a detection finds it."""
    return _overlap(there.boxes, seen.boxes) >= FOUND_OVERLAP


def touched(seen: Candidates, by: Candidates) -> NDArray[np.bool_]:
    """For each detection whether one of the others touches it."""
    return _overlap(seen.boxes, by.boxes) >= TOUCHED_OVERLAP


def _overlap(boxes: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float64]:
    """For each box the largest intersection over union with one of the others.

    A box is left, top, right, bottom.
    """
    first, second = (
        np.concatenate([b[:, :2], b[:, 2:] - b[:, :2]], axis=1).astype(np.float64)
        for b in (boxes, others)
    )
    return np.array([overlaps(box, second).max(initial=0.0) for box in first], dtype=np.float64)


def expected_faces(yunet: Candidates) -> FaceBoxes:
    """The faces that are to be found."""
    none = np.zeros(len(yunet), dtype=np.bool_)
    sure = np.ones(len(yunet), dtype=np.float32)
    faces = FaceBoxes(yunet.boxes, yunet.points, none, sure)
    return faces.take(faces.sides >= SMALLEST)


def _rows(name: str, there: FaceBoxes) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Rows by size, and by mask where the folders of the archive tell.

    Which faces belong to each.
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
    """Name of the row of a range of sizes."""
    if math.isinf(high):
        return f"{low:.0f} px and more"
    return f"{low:.0f} to {high:.0f} px"


def _changed(frame: Picture, there: FaceBoxes) -> dict[str, tuple[Picture, FaceBoxes]]:
    """The frame turned and darkened, each with the faces that are still in sight."""
    changed: dict[str, tuple[Picture, FaceBoxes]] = {}
    for degrees, row in ROLLED.items():
        matrix = turn_of(degrees)
        inside = there.moved(matrix).within(0, 0, WIDTH, HEIGHT)
        changed[row] = turn(frame, matrix), inside.take(~inside.ignore)
    changed[QUARTERED] = np.asarray(frame // 4, dtype=np.uint8), there
    return changed


def _around(faces: Sequence[Face], points: Points) -> Face | None:
    """The surest face whose box holds the middle of the marked points."""
    x, y = points.mean(axis=0)
    for face in faces:
        if 0 <= x - face.box.x <= face.box.width and 0 <= y - face.box.y <= face.box.height:
            return face
    return None
