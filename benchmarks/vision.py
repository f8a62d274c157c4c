"""Speed of each stage of the vision chain on one real face, on this machine and one thread.

    python benchmarks/vision.py [--json] [--rounds N] [--yunet MODEL.onnx]

Prints median and 95th percentile in milliseconds for a frame of 640 × 480 (and the whole chain also for 320 × 240 and
1280 × 720). With the path of a YuNet model it runs in turns with ours, so that both meet the same machine.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import skimage.data

from edge_agent import clock
from edge_agent.domain import Face, Frame, Recognition
from edge_agent.vision.align import Picture
from edge_agent.vision.classifier import ExpressionClassifier
from edge_agent.vision.detector import FaceDetector
from edge_agent.vision.model import find_model, load_model
from edge_agent.vision.quality import face_quality
from edge_agent.vision.recognizer import Recognizer, crop_face, open_recognizer

Stages = dict[str, Callable[[], object]]
SIZES = {"320x240": (320, 240), "640x480": (640, 480), "1280x720": (1280, 720)}


def portrait(width: int, height: int) -> Picture:
    """Return a frame of the given size with a person in the middle: the head is about a third of its height."""
    rgb: Picture = skimage.data.astronaut()  # type: ignore[no-untyped-call]
    frame = np.full((height, width, 3), 96, np.uint8)
    left = (width - height) // 2
    person = rgb[:384, 32:416, ::-1]
    frame[:, left : left + height] = cv2.resize(person, (height, height), interpolation=cv2.INTER_AREA)
    return frame


def stages_of(frame: Picture) -> Stages:
    """Return the parts of the chain, each ready to be run on ``frame``."""
    detector = FaceDetector(load_model(find_model("face-detector"), kind="face-detector"))
    classifier = ExpressionClassifier(load_model(find_model("expression-accurate"), kind="expression"))
    face = first_face(detector, frame)
    crop = crop_face(frame, face, classifier.size)
    return {
        "detect": lambda: detector.detect(frame),
        "align": lambda: crop_face(frame, face, classifier.size),
        "classify": lambda: classifier.classify(crop),
        "quality": lambda: face_quality(crop, face),
    }


def first_face(detector: FaceDetector, frame: Picture) -> Face:
    """Return the face of the portrait."""
    faces = detector.detect(frame)
    if not faces:
        raise SystemExit("the detector does not find the face of the portrait")
    return faces[0]


def whole_chain() -> Stages:
    """Return the recognizer on frames of several sizes, each of which it follows as a camera's."""
    stages: Stages = {}
    for name, (width, height) in SIZES.items():
        recognizer, frame = open_recognizer(confirm_frames=1), portrait(width, height)
        if len(next_frame(recognizer, frame).observations) != 1:
            raise SystemExit(f"the face is not found at {name}, so that a time for it would say nothing")
        stages[f"frame_{name}"] = partial(next_frame, recognizer, frame)
    return stages


def next_frame(recognizer: Recognizer, image: Picture) -> Recognition:
    """Recognize ``image`` as the frame that a camera takes now."""
    return recognizer.recognize(Frame(image, clock.now(), 0))


def yunet(path: Path, frame: Picture) -> Stages:
    """Return YuNet on the same frame, and on it scaled to the width that ours works at."""
    card = load_model(find_model("face-detector"), kind="face-detector").card
    small = cv2.resize(frame, (card.input.width, card.input.width * frame.shape[0] // frame.shape[1]))
    stages: Stages = {}
    for name, picture in (("yunet", frame), ("yunet_small", small)):
        net = cv2.FaceDetectorYN.create(str(path), "", (picture.shape[1], picture.shape[0]))
        stages[name] = partial(net.detect, picture)
    return stages


def measure(stages: Stages, rounds: int) -> dict[str, list[float]]:
    """Run all stages in turns; return stage → milliseconds of each round, after some to warm up."""
    times: dict[str, list[float]] = {name: [] for name in stages}
    for i in range(rounds + 5):
        for name, stage in stages.items():
            begin = time.perf_counter()
            stage()
            if i >= 5:
                times[name].append((time.perf_counter() - begin) * 1e3)
    return times


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--rounds", type=int, default=200, help="times that each stage is run")
    parser.add_argument("--yunet", type=Path, help="a YuNet model to compare the detector with")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    frame = portrait(640, 480)
    stages = stages_of(frame) | whole_chain() | (yunet(options.yunet, frame) if options.yunet else {})
    figures: dict[str, float] = {}
    for name, times in measure(stages, options.rounds).items():
        median, p95 = np.percentile(times, [50, 95])
        figures |= {f"vision_{name}_ms": round(float(median), 3), f"vision_{name}_p95_ms": round(float(p95), 3)}
        if not options.json:
            print(f"{name:16} {median:8.3f} ms   p95 {p95:8.3f} ms")
    if options.yunet:
        for name, figure in (("yunet", "speedup"), ("yunet_small", "speedup_at_one_size")):
            ratio = figures[f"vision_{name}_ms"] / figures["vision_detect_ms"]
            figures[f"vision_detector_{figure}"] = round(ratio, 2)
    if options.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
