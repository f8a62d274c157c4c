"""How strong movements are at rest, and how strong where people see an expression.

    python -m benchmarks.movements [--json] [--photographs ZIP] [--half A|B] [--mouths CSV]
        [--faces london.zip] [--data fer2013.csv.xz] [--votes fer2013new.csv]

`movements_rest_SOURCE_NAME` is the strength that one in twenty neutral faces exceeds, on
photographs of the web (two of three people agree), on the Face Research Lab London Set, and on
FER2013's PublicTest (most of ten people agree). `movements_EXPRESSION_NAME` is the mean of
photographs and PublicTest. `movements_lip_press_angry_area` says whether closed mouths of angry
faces are more pressed than those of neutral ones there: the area under the curve, 0.5 by chance;
`movements_lip_press_…` are what the network answers, though nobody is told it.

Mouths of 474 photographs were coded by eye as open (the jaw is lowered), closed or unclear
(`training/data/mouths_photos.csv`; one coder, contact sheets of mouths without answers).
`movements_open_mouths_below` is the share of open ones with a `jaw_open` below 0.15,
`movements_closed_mouths_above` that of closed ones above it, in percent.

A source whose file is missing is left out.
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
from benchmarks._photographs import largest_face, read_named_photographs, read_photographs
from benchmarks._shared import FER2013, FERPLUS, LONDON, PHOTOGRAPHS
from edge_agent.config.vision import VisionSettings
from edge_agent.core.expression import EMOTIONS, Emotion
from edge_agent.core.movements import MOVEMENTS
from edge_agent.vision.align import Picture
from edge_agent.vision.movements import open_movements
from edge_agent.vision.recognizer import Recognizer, open_recognizer
from training.data import readings
from training.data.datasets import NO_LABEL, load_faces, table_rows
from training.data.lessons import majority

OFTEN_ASKED = ("upper_lip_up", "brow_inner_up", "jaw_open", "lip_press", "nose_sneer", "smile")
"""Movements whose means are told by expression."""
MOUTHS = Path(readings.__file__).with_name("mouths_photos.csv")
LOW_JAW = 0.15
"""Strength of `jaw_open` below which a mouth looks closed."""
SHUT = 0.1
"""Strength of `jaw_open` up to which a mouth counts as closed where nobody coded it."""
_JAW, _LIPS = MOVEMENTS.index("jaw_open"), MOVEMENTS.index("lip_press")
WEB, LONDON_SET, PUBLIC_TEST = "web", "london", "public_test"
Strengths = tuple[float, ...]


def measure(
    photographs: Path, half: str, mouths: Path, faces: Path, data: Path, votes: Path
) -> dict[str, float]:
    """Return quantiles at rest, means by expression, and what jaws and lips tell."""
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
    shut = {
        emotion: [strengths[_LIPS] for strengths in every if strengths[_JAW] < SHUT]
        for emotion, every in by_expression.items()
    }
    if shut.keys() >= {Emotion.ANGER, Emotion.NEUTRAL}:
        figures["movements_lip_press_angry_area"] = _area(
            shut[Emotion.ANGER], shut[Emotion.NEUTRAL]
        )
    if photographs.is_file() and mouths.is_file():
        figures |= _jaws(recognizer, photographs, half, mouths)
    return figures


def _area(above: list[float], below: list[float]) -> float:
    """Return how often a value of the one is above one of the other; equal ones count half."""
    differences = np.subtract.outer(above, below)
    return float(((differences > 0) + 0.5 * (differences == 0)).mean())


def _jaws(recognizer: Recognizer, photographs: Path, half: str, mouths: Path) -> dict[str, float]:
    """Return how `jaw_open` tells open mouths from closed ones."""
    codes = {cells["file"]: cells["mouth"] for _, cells in table_rows(mouths, ("file", "mouth"))}
    jaws: dict[str, list[float]] = defaultdict(list)
    for file, _, image in read_named_photographs(photographs, half):
        if file in codes and (strengths := _read(recognizer, image)) is not None:
            jaws[codes[file]].append(strengths[_JAW])
    opened, closed = np.array(jaws["open"]), np.array(jaws["closed"])
    return {
        "movements_open_mouths": len(opened),
        "movements_open_mouths_below": 100 * float((opened < LOW_JAW).mean()),
        "movements_open_mouths_jaw_median": float(np.median(opened)),
        "movements_closed_mouths": len(closed),
        "movements_closed_mouths_above": 100 * float((closed >= LOW_JAW).mean()),
        "movements_jaw_area": _area(jaws["open"], jaws["closed"]),
    }


def _strengths(
    recognizer: Recognizer, pictures: Iterator[tuple[Emotion, Picture]]
) -> Iterator[tuple[Emotion, Strengths]]:
    """Yield what can be read of pictures with one face."""
    for emotion, image in pictures:
        strengths = _read(recognizer, image)
        if strengths is not None:
            yield emotion, strengths


def _read(recognizer: Recognizer, image: Picture) -> Strengths | None:
    """Return what the network answers, also of what is withdrawn; ``None``: nothing."""
    reading = largest_face(recognizer, image)
    if reading is None or reading.reject_reason is not None or reading.movements is None:
        return None
    return reading.movements.values[: len(MOVEMENTS)]


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
            yield EMOTIONS[label], reader.read(picture).values[: len(MOVEMENTS)]


if __name__ == "__main__":
    benchmark(
        __doc__,
        measure,
        photographs=(PHOTOGRAPHS, "zip of the photographs, its tables beside it"),
        half=("B", "half of the photographs"),
        mouths=(MOUTHS, "table of mouths, coded by eye"),
        faces=(LONDON, "zip of the London set"),
        data=(FER2013, "table of FER2013"),
        votes=(FERPLUS, "votes of FER+"),
    )
