"""How strong movements are at rest, and how strong where people see an expression.

    python -m benchmarks.movements [--json] [--photographs ZIP] [--half A|B] [--faces london.zip]
        [--data fer2013.csv.xz] [--votes fer2013new.csv]

`movements_rest_SOURCE_NAME` is the strength that one in twenty neutral faces exceeds, on
photographs of the web (two of three people agree), on the Face Research Lab London Set, and on
FER2013's PublicTest (most of ten people agree). `movements_EXPRESSION_NAME` is the mean of
photographs and PublicTest. A source whose file is missing is left out.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from benchmarks._command import benchmark
from benchmarks._photographs import largest_face, read_photographs
from benchmarks._shared import FER2013, FERPLUS, LONDON, PHOTOGRAPHS
from edge_agent.config.vision import VisionSettings
from edge_agent.core.expression import EMOTIONS, Emotion
from edge_agent.core.movements import MOVEMENTS
from edge_agent.vision.align import Picture
from edge_agent.vision.movements import open_movements
from edge_agent.vision.recognizer import Recognizer, open_recognizer
from training.data.datasets import NO_LABEL, load_faces
from training.data.lessons import majority

OFTEN_ASKED = ("upper_lip_up", "brow_inner_up", "jaw_open", "lip_press", "nose_sneer", "smile")
"""Movements whose means are told by expression."""
WEB, LONDON_SET, PUBLIC_TEST = "web", "london", "public_test"
Strengths = tuple[float, ...]


def measure(photographs: Path, half: str, faces: Path, data: Path, votes: Path) -> dict[str, float]:
    """Return quantiles at rest, and means by expression."""
    recognizer = open_recognizer(VisionSettings())
    sources: dict[str, Iterator[tuple[Emotion, Strengths]]] = {}
    if photographs.is_file():
        pictures = (
            (EMOTIONS[label], image) for label, image in read_photographs(photographs, half)
        )
        sources[WEB] = _strengths(recognizer, pictures)
    if faces.is_file():
        sources[LONDON_SET] = _strengths(recognizer, _london(faces))
    if data.is_file() and votes.is_file():
        sources[PUBLIC_TEST] = _public_test(data, votes)
    figures: dict[str, float] = {}
    by_expression: dict[Emotion, list[Strengths]] = defaultdict(list)
    for source, answers in sources.items():
        at_rest = []
        for emotion, strengths in answers:
            if emotion is Emotion.NEUTRAL:
                at_rest.append(strengths)
            if source != LONDON_SET:
                by_expression[emotion].append(strengths)
        for name, value in zip(MOVEMENTS, np.quantile(at_rest, 0.95, axis=0), strict=True):
            figures[f"movements_rest_{source}_{name}"] = float(value)
    for emotion, every in by_expression.items():
        for name in OFTEN_ASKED:
            column = [strengths[MOVEMENTS.index(name)] for strengths in every]
            figures[f"movements_{emotion}_{name}"] = float(np.mean(column))
    return figures


def _strengths(
    recognizer: Recognizer, pictures: Iterator[tuple[Emotion, Picture]]
) -> Iterator[tuple[Emotion, Strengths]]:
    """Yield what can be read of pictures with one face."""
    for emotion, image in pictures:
        reading = largest_face(recognizer, image)
        if reading is not None and reading.reject_reason is None and reading.movements is not None:
            yield emotion, tuple(reading.movements.movements.values())


def _london(faces: Path) -> Iterator[tuple[Emotion, Picture]]:
    with zipfile.ZipFile(faces) as archive:
        for row in csv.DictReader(io.StringIO(archive.read("labels.csv").decode())):
            image = cv2.imdecode(
                np.frombuffer(archive.read(row["file"]), np.uint8), cv2.IMREAD_COLOR
            )
            yield Emotion(row["emotion"]), np.asarray(image, np.uint8)


def _public_test(data: Path, votes: Path) -> Iterator[tuple[Emotion, Strengths]]:
    reader = open_movements(threads=1)
    pictures = load_faces(data, votes).of_usage("PublicTest")
    for picture, label in zip(pictures.pictures, majority(pictures.votes), strict=True):
        if label != NO_LABEL:
            yield EMOTIONS[label], tuple(reader.read(picture).movements.values())


if __name__ == "__main__":
    benchmark(
        __doc__,
        measure,
        photographs=(PHOTOGRAPHS, "zip of the photographs, its tables beside it"),
        half=("B", "half of the photographs"),
        faces=(LONDON, "zip of the London set"),
        data=(FER2013, "table of FER2013"),
        votes=(FERPLUS, "votes of FER+"),
    )
