"""Judge a face detector file on photographs against YuNet, through the runtime that the agent uses.

    python -m training.faces.evaluate face-detector.tflite --data FACES --teacher YUNET.onnx [--folder portraits]

Each picture is scaled to fit 320 × 240 (the rest is black), and both detectors are given that. To be found are the
faces of at least 32 pixels (longer side) that YuNet finds there with a score of at least 0.7. Found means an
intersection over union of at least 0.5. A detection of ours is false when none of YuNet's faces touches it
(intersection over union 0.3), although YuNet is asked at half, one and a half and double that size and in the mirror
too, where a score of 0.5 is enough; the share of false ones by the first asking alone is given beside it.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np

from edge_agent.domain import Box, Face
from edge_agent.vision.detector import Candidates, FaceDetector, letterbox
from edge_agent.vision.model import load_model, read_card
from training.faces.judge import Judgement, judge
from training.faces.labels import LabelledFace, LabelledPicture, Picture, read_labels, read_picture
from training.faces.photographs import Faces
from training.faces.teacher import Answers, Teacher, overlaps

log = logging.getLogger(__name__)

WIDTH, HEIGHT = 320, 240
SMALLEST = 32.0
SURE = 0.7
PERHAPS = 0.5
OTHER_SCALES = (0.5, 1.5, 2.0)
SAME_FACE = 0.3


def fitted(picture: Picture) -> Picture:
    """A picture (BGR) scaled to fit 320 × 240, the rest black."""
    pixels, _ = letterbox(picture, WIDTH, HEIGHT)
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))


def reference(teacher: Teacher, picture: Picture, *, ask_again: bool) -> Faces:
    """YuNet's faces in a picture; what it only finds when asked again is an ignored region."""
    sure = teacher.ask(picture, 1.0)
    sure = sure[sure[:, 14] >= SURE]
    labels = [_label(answer, ignore=False) for answer in sure]
    if ask_again:
        askings = [teacher.ask(picture, 1.0), teacher.ask_mirrored(picture, 1.0)]
        askings += [ask(picture, scale) for scale in OTHER_SCALES for ask in (teacher.ask, teacher.ask_mirrored)]
        perhaps = np.concatenate(askings)
        labels += [
            _label(answer, ignore=True)
            for answer in perhaps[perhaps[:, 14] >= PERHAPS]
            if not (overlaps(answer[:4], sure) >= SAME_FACE).any()
        ]
    return Faces.of(labels)


def evaluate_file(model: Path, pictures: Sequence[Picture], teacher: Teacher) -> dict[str, float]:
    """Figures of ``NAME.tflite`` (its card lies beside it) on ``pictures`` at the threshold of its card.

    Raises:
        ModelError: the file or its card is not as the agent wants it.
    """
    detector = FaceDetector(load_model(model.with_suffix(".json"), kind="face-detector"), max_faces=100)
    shown = [fitted(picture) for picture in pictures]
    seen = [_candidates(detector.detect(picture)) for picture in shown]
    again = [reference(teacher, picture, ask_again=True) for picture in shown]
    once = [Faces.take(faces, ~faces.ignore) for faces in again]
    result = _judged(seen, again).at(0.0)
    figures = {name: round(value, 4) for name, value in asdict(result).items() if name != "threshold"}
    return {
        "pictures": len(pictures),
        **figures,
        "false_share_by_first_asking": round(_judged(seen, once).at(0.0).false_share, 4),
    }


def note(card_file: Path, name: str, figures: Mapping[str, float]) -> None:
    """Write figures into a model's card, under a name of their own."""
    card = read_card(card_file)
    changed = card.model_copy(update={"metrics": {**card.metrics, name: dict(figures)}})
    card_file.write_text(changed.to_json(), encoding="utf-8")


def _judged(seen: Sequence[Candidates], there: Sequence[Faces]) -> Judgement:
    judged = judge(seen, there, SMALLEST)
    # The detector has applied its threshold already: a face that it did not report has score 0 and must stay missed.
    found = np.where(judged.found > 0, judged.found, -1.0)
    return Judgement(found, judged.errors, judged.scores, judged.false)


def _label(answer: Answers, *, ignore: bool) -> LabelledFace:
    x, y, width, height = (float(value) for value in answer[:4])
    points = tuple((float(px), float(py)) for px, py in answer[4:14].reshape(5, 2))
    return LabelledFace(Box(x, y, width, height), points, ignore)


def _candidates(faces: Sequence[Face]) -> Candidates:
    boxes = [(f.box.x, f.box.y, f.box.x + f.box.width, f.box.y + f.box.height) for f in faces]
    return Candidates(
        np.array([f.score for f in faces], dtype=np.float32),
        np.array(boxes, dtype=np.float32).reshape(-1, 4),
        np.array([f.landmarks for f in faces], dtype=np.float32).reshape(-1, 5, 2),
    )


def _chosen(labelled: Sequence[LabelledPicture], folder: str, part: str) -> list[LabelledPicture]:
    return [p for p in labelled if p.file.startswith(f"{folder}/") and part in {p.part, "all"}]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="NAME.tflite, with NAME.json beside it")
    parser.add_argument("--data", type=Path, required=True, help="folder with labels.csv")
    parser.add_argument("--teacher", type=Path, required=True, help="YuNet ONNX file")
    parser.add_argument("--folder", default="portraits", help="only pictures of this folder in --data")
    parser.add_argument("--part", default="test", choices=["train", "valid", "test", "all"])
    parser.add_argument("--note", metavar="NAME", help="also write the figures into the model's card, under this name")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    chosen = _chosen(read_labels(arguments.data), arguments.folder, arguments.part)
    pictures = [read_picture(arguments.data / picture.file) for picture in chosen]
    figures = evaluate_file(arguments.model, pictures, Teacher(arguments.teacher))
    if arguments.note:
        note(arguments.model.with_suffix(".json"), arguments.note, figures)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
