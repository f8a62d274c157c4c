"""What an emulated processor runs while its instructions are counted.

    python _work.py FRAME.npy YUNET.onnx

The models and the whole chain on one frame; a system call that does not exist marks begin and end
of each stage for the counting plugin, and standard output names the stages. It imports the agent,
OpenCV and NumPy alone, for nothing else is there.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable

import cv2
import numpy as np

from edge_agent.core import clock
from edge_agent.core.expression import Frame
from edge_agent.vision.align import Picture, crop_face
from edge_agent.vision.classifier import ExpressionClassifier
from edge_agent.vision.faces.finder import open_finder
from edge_agent.vision.models.model import find_model, load_model
from edge_agent.vision.recognizer import open_recognizer

MARK = 4242
"""The system call, as `_count.c` knows it."""
FPS = 15
SETTLED_S = 4
BY_NEED_S = 12
EVERY_FRAME = 24
"""Frames of the chain that reads every one: three rounds of eight, of which one is searched as a
whole."""
YUNET_SIZE = 320, 240


class WorkMarks:
    """Marks places in the program, and notes what lies between them."""

    def __init__(self) -> None:
        self._call = ctypes.CDLL(None).syscall
        self._number = 0

    def around(self, name: str, times: int, work: Callable[[], object]) -> None:
        """Mark begin and end of some work.

        Args:
            name: of the stage.
            times: by how much its count is to be divided.
            work: it.
        """
        self._call(MARK, self._number)
        work()
        self._call(MARK, self._number + 1)
        print(f"stage {name} {self._number} {times}", flush=True)
        self._number += 2


def stages(frame: Picture) -> dict[str, Callable[[], object]]:
    """Return what each model does, ready to be run."""
    detector = open_finder()
    face = detector.detect(frame)[0]
    work: dict[str, Callable[[], object]] = {"detector": lambda: detector.detect(frame)}
    for name in ("expression-accurate", "expression-fast"):
        classifier = ExpressionClassifier(load_model(find_model(name), kind="expression"))
        crop = crop_face(frame, face, classifier.size, classifier.crop)
        work[name.partition("-")[2]] = lambda c=classifier, p=crop: c.classify(p)  # type: ignore[misc]
    return work


def follow(frame: Picture, marks: WorkMarks, *, by_need: bool, settled: int, counted: int) -> None:
    """Let the chain follow the face of a frame that does not change.

    Args:
        frame: it.
        marks: where the count begins and ends.
        by_need: whether it reads by need, as the agent does, or every frame.
        settled: frames before the count.
        counted: frames in it.
    """
    recognizer = open_recognizer(by_need=by_need)
    start = clock.now()

    def run(first: int, end: int) -> None:
        for number in range(first, end):
            taken = Frame(frame, start.shift(number / FPS), number)
            if recognizer.is_due(taken):
                recognizer.recognize(taken)

    run(0, settled)
    name = "chain_by_need" if by_need else "chain_every_frame"
    marks.around(name, counted, lambda: run(settled, settled + counted))


def main(frame_file: str, yunet_file: str) -> None:
    """Run everything, and say which marks are whose."""
    cv2.setNumThreads(1)
    frame = np.load(frame_file)
    marks = WorkMarks()
    marks.around("nothing", 1, lambda: None)
    small = cv2.resize(frame, YUNET_SIZE, interpolation=cv2.INTER_AREA)
    yunet = cv2.FaceDetectorYN.create(yunet_file, "", YUNET_SIZE)
    work = {"yunet": lambda: yunet.detect(small)} | stages(frame)
    for name, stage in work.items():
        stage()
        marks.around(name, 1, stage)
    follow(frame, marks, by_need=False, settled=EVERY_FRAME, counted=EVERY_FRAME)
    follow(frame, marks, by_need=True, settled=SETTLED_S * FPS, counted=BY_NEED_S * FPS)


if __name__ == "__main__":
    main(*sys.argv[1:])
