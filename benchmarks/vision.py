"""Speed of each stage of the vision chain on one real face, beside YuNet in OpenCV, on one thread.

    python -m benchmarks.vision [--json] [--rounds N] [--yunet MODEL.onnx]

All run in turns in one process, a few times each, so that they meet the same machine. What is given
is processor time in milliseconds, median and 95th percentile, of the runs in which the system did
not give the processor to somebody else (of all where these are few): who comes back finds the
caches empty. Frames are 640 × 480, for the whole chain also 320 × 240 and 1280 × 720, and count as
taken 15 times a second, so that the chain searches one in eight as a whole, and the others near the
face. `by_need` is the chain as the agent runs it, which passes over most frames: the mean over all
of them, and the multiply-adds of a frame, counted from the models' cards and from how often each
was asked, a number that no machine changes; `first_reading` is how long a new face waits at most,
until the frame that is read was taken. YuNet is given 320 × 240 pixels. Its model is looked
for in the shared data (`benchmarks/_shared.py`); where it is missing, nothing is compared.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import cv2
import numpy as np
import skimage.data

from benchmarks._command import command, show
from benchmarks._shared import YUNET
from edge_agent.config.vision import VisionSettings
from edge_agent.core import clock
from edge_agent.core.expression import Face, Frame, Recognition
from edge_agent.vision.align import Picture, crop_face, crop_matrix, share_outside
from edge_agent.vision.classifier import ExpressionClassifier
from edge_agent.vision.faces.finder import NEAR_SIZE, FaceFinder, open_finder, open_near_finder
from edge_agent.vision.models.model import find_model, load_model, read_card
from edge_agent.vision.quality import READ_PART, face_quality
from edge_agent.vision.recognizer import Recognizer, open_recognizer

Stages = dict[str, Callable[[], object]]
SIZES = {"320x240": (320, 240), "640x480": (640, 480), "1280x720": (1280, 720)}
YUNET_SIZE = 320, 240
FPS = 15
BLOCK = 8
SETTLED_S = 4
BY_NEED_S = 18
ENOUGH = 20
"""Undisturbed runs that give a median."""


def portrait(width: int, height: int) -> Picture:
    """Return a frame with a person in the middle, whose head is about a third of its height."""
    rgb: Picture = skimage.data.astronaut()
    frame = np.full((height, width, 3), 96, np.uint8)
    left = (width - height) // 2
    person = rgb[:384, 32:416, ::-1]
    frame[:, left : left + height] = cv2.resize(
        person, (height, height), interpolation=cv2.INTER_AREA
    )
    return frame


def stages_of(frame: Picture) -> Stages:
    """Return the parts of the chain, each ready to be run on ``frame``."""
    detector = open_finder()
    near = open_near_finder()
    classifier = ExpressionClassifier(
        load_model(find_model("expression-accurate"), kind="expression")
    )
    face = first_face(detector, frame)
    crop = crop_face(frame, face, classifier.size)
    seen = crop_face(frame, face, classifier.size, classifier.crop)
    stages: Stages = {
        "detect": lambda: detector.detect(frame),
        "align": lambda: crop_face(frame, face, classifier.size),
        "align_close": lambda: crop_face(frame, face, classifier.size, classifier.crop),
        "classify": lambda: classifier.classify(seen),
        "quality": lambda: face_quality(
            crop, face, share_outside(frame, crop_matrix(face), READ_PART)
        ),
    }
    if near is not None:
        (x, y) = face.box.center
        reach = max(face.box.width, face.box.height)
        piece = frame[
            max(int(y - reach), 0) : int(y + reach), max(int(x - reach), 0) : int(x + reach)
        ]
        stages["detect_near"] = lambda: near.detect(piece)
    return stages


def first_face(detector: FaceFinder, frame: Picture) -> Face:
    """Return the face of the portrait."""
    faces = detector.detect(frame)
    if not faces:
        raise SystemExit("the detector does not find the face of the portrait")
    return faces[0]


def whole_chain() -> Stages:
    """Return the recognizer on frames of several sizes, each of which it follows as a camera's."""
    stages: Stages = {}
    for name, (width, height) in SIZES.items():
        step = stepping(open_recognizer(VisionSettings(confirm_frames=1)), portrait(width, height))
        if len(step().observations) != 1:
            raise SystemExit(
                f"the face is not found at {name}, so that a time for it would say nothing"
            )
        stages[f"frame_{name}"] = step
    return stages


def stepping(recognizer: Recognizer, image: Picture) -> Callable[[], Recognition]:
    """Return what recognizes ``image`` as the next frame of a camera."""
    start = clock.now()
    numbers = count()

    def step() -> Recognition:
        number = next(numbers)
        return recognizer.recognize(Frame(image, start.shift(number / FPS), number))

    return step


def by_need(image: Picture, seconds: int) -> dict[str, float]:
    """Return what a frame costs on the mean where one face is followed as the agent does it."""
    recognizer = open_recognizer(by_need=True)
    spent_s = 0.0
    start = clock.now()
    for number in range((SETTLED_S + seconds) * FPS):
        if number == SETTLED_S * FPS:
            spent_s = 0.0
            before = counts_of(recognizer)
        began = time.process_time()
        frame = Frame(image, start.shift(number / FPS), number)
        if recognizer.is_due(frame):
            recognizer.recognize(frame)
        spent_s += time.process_time() - began
    now = counts_of(recognizer)
    frames = seconds * FPS
    million = [
        (after - earlier) * each
        for after, earlier, each in zip(now, before, costs_of_models(), strict=True)
    ]
    return {
        "vision_by_need_ms": round(1000 * spent_s / frames, 3),
        "vision_by_need_million_multiply_adds": round(sum(million) / frames, 1),
    }


def first_reading_s(image: Picture) -> float:
    """Return how long a new face may wait for its first reading, seconds.

    It is the longest of a second's moments at which it comes before an agent's camera that has seen
    nobody for a while.
    """
    empty = np.full_like(image, 96)
    return max(_first_reading_s(image, empty, SETTLED_S * FPS + late) for late in range(FPS))


def _first_reading_s(image: Picture, empty: Picture, comes: int) -> float:
    recognizer = open_recognizer(by_need=True)
    start = clock.now()
    for number in range(comes + BY_NEED_S * FPS):
        frame = Frame(image if number >= comes else empty, start.shift(number / FPS), number)
        if not recognizer.is_due(frame):
            continue
        if recognizer.recognize(frame).observations:
            return round((number - comes) / FPS, 3)
    raise SystemExit("the face that comes is not read")


def counts_of(recognizer: Recognizer) -> tuple[int, ...]:
    """Return how often each model ran, in the order of ``costs_of_models``."""
    return (
        *recognizer.readings,
        recognizer.movement_readings,
        recognizer.searches,
        recognizer.pieces,
    )


def costs_of_models() -> tuple[float, ...]:
    """Return million multiply-adds of a careful and a quick reading of an expression, of a reading
    of movements, of a search and a piece.
    """
    careful, quick, movements, search = (
        read_card(find_model(name)).multiply_adds / 1e6
        for name in ("expression-accurate", "expression-fast", "face-movements", "face-detector")
    )
    width, height = NEAR_SIZE
    card = read_card(find_model("face-detector")).input
    return careful, quick, movements, search, search * width * height / (card.width * card.height)


def yunet(path: Path, frame: Picture) -> Stages:
    """Return YuNet on the frame scaled to 320 × 240; the scaling is not counted."""
    net = cv2.FaceDetectorYN.create(str(path), "", YUNET_SIZE)
    small = cv2.resize(frame, YUNET_SIZE, interpolation=cv2.INTER_AREA)
    return {"yunet_320x240": lambda: net.detect(small)}


def measure(stages: Stages, rounds: int) -> dict[str, list[float]]:
    """Run all stages in turns.

    Return stage → milliseconds of the undisturbed runs, without each turn's first.
    """
    times: dict[str, list[tuple[float, bool]]] = {name: [] for name in stages}
    for _ in range(rounds):
        for name, stage in stages.items():
            stage()
            times[name] += [run_once(stage) for _ in range(BLOCK)]
    return {name: undisturbed(runs) for name, runs in times.items()}


def run_once(stage: Callable[[], object]) -> tuple[float, bool]:
    """Return milliseconds of processor time, and whether another process interrupted the run."""
    switches = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
    begin = time.process_time()
    stage()
    spent = (time.process_time() - begin) * 1e3
    return spent, resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw > switches


def undisturbed(runs: list[tuple[float, bool]]) -> list[float]:
    """Return the times of the runs that were not disturbed.

    Of all where these are too few for a median.
    """
    quiet = [spent for spent, disturbed in runs if not disturbed]
    if len(quiet) >= ENOUGH:
        return quiet
    return [spent for spent, _ in runs]


def compared(figures: dict[str, float]) -> dict[str, float]:
    """Return how detector and whole chain stand to YuNet."""
    other = figures["vision_yunet_320x240_ms"]
    pairs = {"detector": "detect", "chain": "frame_640x480", "by_need": "by_need"}
    return {
        f"vision_{name}_to_yunet": round(figures[f"vision_{stage}_ms"] / other, 3)
        for name, stage in pairs.items()
    }


def main() -> None:
    """Measure and print."""
    parser = command(__doc__)
    parser.add_argument("--rounds", type=int, default=25, help=f"turns of {BLOCK} for each stage")
    parser.add_argument("--yunet", type=Path, default=YUNET, help="a YuNet model to compare with")
    options = parser.parse_args()
    frame = portrait(640, 480)
    stages = stages_of(frame) | whole_chain()
    if options.yunet.exists():
        stages |= yunet(options.yunet, frame)
    else:
        print(
            f"benchmarks.vision: no {options.yunet}, so nothing is compared with YuNet",
            file=sys.stderr,
        )
    cv2.setNumThreads(1)
    figures: dict[str, float] = {}
    for name, times in measure(stages, options.rounds).items():
        median, p95 = np.percentile(times, [50, 95])
        figures |= {
            f"vision_{name}_ms": round(float(median), 3),
            f"vision_{name}_p95_ms": round(float(p95), 3),
        }
    figures |= by_need(frame, BY_NEED_S)
    figures["vision_first_reading_s"] = first_reading_s(frame)
    if "yunet_320x240" in stages:
        figures |= compared(figures)
    show(figures, as_json=options.json)


if __name__ == "__main__":
    main()
