"""How a classifier does when a part of the face is covered: mouth, eyes, a half, mask, glasses.

Rectangles are grey 128 and lie where the crop's template has eyes and mouth. Mask and glasses are
drawn as for the network of covered faces (:mod:`training.data.drawn`); what they look like
follows from the picture's own checksum, so that every model sees the same ones.

Example::

    rows = covered_rows(load_model(card, kind="expression"), faces)
    rows[1].name, rows[1].figures["fer2013"].accuracy   # ("mouth", 0.48)
"""

import csv
import io
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.vision.align import TEMPLATE
from edge_agent.vision.models.model import TFLiteModel
from training.data.datasets import EXPRESSIONS, FER2013_AS_EXPRESSION, NO_LABEL, Faces
from training.data.drawn import draw_dark_glasses, draw_mask
from training.data.lessons import majority
from training.errors import DataError
from training.measuring.evaluate import PROTOCOLS, answers_by_protocol, evaluate_logits, run_model
from training.measuring.metrics import Figures

Picture = NDArray[np.uint8]

COLUMN = "covered"
"""Of ``ground_truth.csv``: what is covered in that picture."""
NOTHING = "nothing"
TRUTH = "ground_truth.csv"

_GREY = 128
_EYES_Y = float(TEMPLATE[:2, 1].mean())
_MOUTH_Y = float(TEMPLATE[3:, 1].mean())
_HALF_HEIGHT = 0.13
_WIDTH = 14


@dataclass(frozen=True, slots=True)
class Cover:
    """Something that hides a part of an aligned face.

    Attributes:
        name: short.
        does: exactly what is done.
        apply: uint8 H × H → uint8 H × H, a new array.
    """

    name: str
    does: str
    apply: Callable[[Picture], Picture]


@dataclass(frozen=True, slots=True)
class CoveredRow:
    """Figures of a classifier while one thing is covered.

    Attributes:
        name: of the cover; ``nothing`` for the faces as they are.
        figures: protocol → figures.
        right: protocol → bool, one for each picture that the protocol counts.
    """

    name: str
    figures: dict[str, Figures]
    right: dict[str, NDArray[np.bool_]]


def covered_rows(model: TFLiteModel, faces: Faces) -> tuple[CoveredRow, ...]:
    """Evaluate a model on faces as they are, then under each of COVERS.

    Raises:
        DataError: when no picture can be evaluated.
    """
    rows = []
    for name, pictures in covered_pictures(faces.pictures):
        logits = run_model(model, pictures)
        answers = answers_by_protocol(logits, faces)
        right = {protocol: one.predicted == one.truth for protocol, one in answers.items()}
        rows.append(CoveredRow(name, evaluate_logits(logits, faces).by_protocol, right))
    return tuple(rows)


def covered_pictures(pictures: NDArray[np.uint8]) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Name of what is covered, and the pictures, uint8 N × H × H; first as they are."""
    yield NOTHING, pictures
    for cover in COVERS:
        yield cover.name, np.stack([cover.apply(picture) for picture in pictures])


def covered_files(faces: Faces) -> Iterator[tuple[str, bytes]]:
    """Pictures for another program to answer, and their truth: file name → content.

    ``mouth/00001.png`` and so on, and last ``ground_truth.csv`` with the columns ``file``,
    ``label`` (the FER+ majority; the FER2013 class where nobody voted) and ``covered``. A picture
    without a label is left out.

    Raises:
        DataError: when none has a label.
    """
    labels = _labels(faces)
    if not any(labels):
        raise DataError("no picture has a label; give --votes, or data with labels")
    table = io.StringIO(newline="")
    writer = csv.writer(table)
    writer.writerow(("file", "label", COLUMN))
    for name, pictures in covered_pictures(faces.pictures):
        for number, (picture, label) in enumerate(zip(pictures, labels, strict=True), start=1):
            if label is None:
                continue
            file = f"{name}/{number:05}.png"
            writer.writerow((file, label, name))
            yield file, cv2.imencode(".png", picture)[1].tobytes()
    yield TRUTH, table.getvalue().encode()


def macro(figures: Figures) -> tuple[float, float, float]:
    """Precision, recall and F1, each the mean of the categories that have pictures, 0…1."""
    known = [one for one in figures.per_class.values() if one.n > 0]
    precision = float(np.mean([one.precision for one in known]))
    recall = float(np.mean([one.recall for one in known]))
    return precision, recall, figures.macro_f1


def covered_json(rows: Sequence[CoveredRow]) -> dict[str, dict[str, object]]:
    """What is covered → protocol → figures, as plain values for ``json``."""
    return {
        row.name: {protocol: one.as_json() for protocol, one in row.figures.items()} for row in rows
    }


def covered_text(rows: Sequence[CoveredRow]) -> str:
    """A table for each protocol: right, precision, recall, F1, and points lost."""
    return "\n\n".join(
        covered_table(PROTOCOLS[protocol], {row.name: row.figures[protocol] for row in rows})
        for protocol in rows[0].figures
    )


def covered_table(title: str, by_cover: Mapping[str, Figures]) -> str:
    """One line for each thing that is covered; the points are lost against ``nothing``."""
    bare = by_cover.get(NOTHING)
    lines = [
        f"{title}, covered",
        f"{'':<{_WIDTH}} {'right':>7} {'precision':>10} {'recall':>7} {'F1':>7} {'loses':>7}",
    ]
    for name, figures in by_cover.items():
        precision, recall, f1 = macro(figures)
        loses = ""
        if bare is not None and name != NOTHING:
            loses = f"{100 * (bare.accuracy - figures.accuracy):.1f}"
        lines.append(
            f"{name:<{_WIDTH}} {figures.accuracy:>7.1%} {precision:>10.3f} {recall:>7.3f} "
            f"{f1:>7.3f} {loses:>7}"
        )
    return "\n".join(lines)


def _labels(faces: Faces) -> list[str | None]:
    labels: list[str | None] = []
    for voted, known in zip(majority(faces.votes), faces.fer2013, strict=True):
        if voted != NO_LABEL:
            labels.append(EXPRESSIONS[voted])
        elif known != NO_LABEL and not faces.votes.any():
            labels.append(FER2013_AS_EXPRESSION[known])
        else:
            labels.append(None)
    return labels


def _rectangle(
    top: float, bottom: float, left: float = 0.0, right: float = 1.0
) -> Callable[[Picture], Picture]:
    """Cover a rectangle with grey; its edges are shares of the picture's."""

    def apply(picture: Picture) -> Picture:
        edge = len(picture)
        covered = picture.copy()
        rows = slice(round(max(top, 0) * edge), round(bottom * edge))
        columns = slice(round(left * edge), round(right * edge))
        covered[rows, columns] = _GREY
        return covered

    return apply


def _drawn(
    draw: Callable[[Picture, np.random.Generator], Picture],
) -> Callable[[Picture], Picture]:
    """Draw something as the picture's checksum decides."""
    return lambda picture: draw(picture, np.random.default_rng(zlib.crc32(picture.tobytes())))


COVERS = (
    Cover(
        "mouth",
        "a grey bar over the mouth, a quarter of the edge high, three quarters wide",
        _rectangle(_MOUTH_Y - _HALF_HEIGHT, _MOUTH_Y + _HALF_HEIGHT, 0.125, 0.875),
    ),
    Cover(
        "eyes",
        "a grey bar over both eyes, a quarter of the edge high",
        _rectangle(_EYES_Y - _HALF_HEIGHT, _EYES_Y + _HALF_HEIGHT),
    ),
    Cover("left", "the left half of the picture is grey", _rectangle(0, 1, 0, 0.5)),
    Cover("right", "the right half of the picture is grey", _rectangle(0, 1, 0.5, 1)),
    Cover("mask", "a drawn mask from the bridge of the nose to the chin", _drawn(draw_mask)),
    Cover("glasses", "drawn dark glasses", _drawn(draw_dark_glasses)),
)
