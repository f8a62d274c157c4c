"""The values that the vision chain is built from: models, thresholds and waiting times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

DetectorKind = Literal["tflite", "yunet"]
"""What runs the detector: LiteRT (with a card beside the model), or OpenCV (YuNet's ONNX file)."""


@dataclass(frozen=True, slots=True)
class VisionOptions:
    """Options of the vision chain, with the defaults of the ``[vision]`` table.

    Attributes:
        expression_model: name of a shipped model, or path of a card.
        detector_model: likewise; for ``yunet`` the path of its ONNX file.
        detector: what runs the detector.
        threads: threads of one inference; OpenCV uses as many, in the whole process.
        face_score: lowest score of a face, 0…1; ``None``: the value in the detector's card.
        min_face: smallest face that is read: its longer side, pixels of the frame.
        max_faces: most faces that are read in a frame of a camera.
        uncertain_below: lowest probability of a label, 0…1; ``None``: the value in the
            classifier's card.
        smoothing_seconds: time constant of the smoothing; 0 does not smooth.
        hysteresis: lead in probability that a new label needs over the present one.
        dwell_seconds: shortest time between two changes of a label.
        confirm_frames: frames in which a new face must be seen before it counts.
        memory_seconds: how long a hidden face keeps its track, and the participant is waited for.
        quality_filter: whether faces that cannot be read well are rejected: only counted.
        by_need: whether the faces of a camera are read as often and as carefully as they need
            (`edge_agent.vision.need`), instead of all in each frame; still pictures never are.
        cover_model: name of a shipped model that tells covered faces, or path of a card; ``None``:
            nobody looks for covers.

    Example:
        >>> options = VisionOptions(expression_model="expression-fast", max_faces=1)
        >>> options.threads, options.face_score
        (1, None)
    """

    expression_model: str = "expression-accurate"
    detector_model: str = "face-detector"
    detector: DetectorKind = "tflite"
    threads: int = 1
    face_score: float | None = None
    min_face: float = 24
    max_faces: int = 8
    uncertain_below: float | None = None
    smoothing_seconds: float = 0.6
    hysteresis: float = 0.08
    dwell_seconds: float = 0.5
    confirm_frames: int = 3
    memory_seconds: float = 1.5
    quality_filter: bool = True
    by_need: bool = False
    cover_model: str | None = "face-cover"


DEFAULT_OPTIONS = VisionOptions()
