"""A classifier on changed and on covered crops: what it loses.

Each change says exactly what it does. Pixels are 8 bits, geometry is bilinear, and what enters from
outside the picture repeats its border.

Covers hide mouth, eyes, a half, or draw a mask or glasses. Rectangles are grey 128 and lie where
the crop's template has eyes and mouth. Mask and glasses are drawn as for the network of covered
faces (:mod:`training.data.drawn`); what they look like follows from the picture's own checksum, so
that every model sees the same ones.

Example::

    rows = covered_rows(load_model(card, kind="expression"), faces)
    rows[1].name, rows[1].figures["fer2013"].accuracy   # ("mouth", 0.48)
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.vision.align import TEMPLATE
from edge_agent.vision.models.model import TFLiteModel
from training.data.datasets import EXPRESSIONS, FER2013_AS_EXPRESSION, NO_LABEL, Faces
from training.data.drawn import draw_dark_glasses, draw_mask
from training.data.lessons import majority
from training.errors import DataError, csv_bytes
from training.report.evaluate import (
    PROTOCOLS,
    Figures,
    evaluate_logits,
    right_by_protocol,
    run_model,
)

Picture = NDArray[np.uint8]
Group = Literal["main", "harsh", "covered"]

SHIFT = 0.10
SCALE = 0.15
ROLL = 15.0
COVER = 128
_FER2013_EDGE = 48
_PARTS = ("left", "right", "upper", "lower")
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
class Degradation:
    """One way in which a crop can be worse than it should be.

    Attributes:
        name: short, also the name in the card.
        does: exactly what is done to the picture.
        group: ``main``; ``harsh``: more than a camera does; ``covered``: a part of the face cannot
            be seen.
        apply: uint8 H × W → uint8 H × W.
    """

    name: str
    does: str
    group: Group
    apply: Callable[[Picture], Picture]


@dataclass(frozen=True, slots=True)
class DegradationCost:
    """The cost of one change.

    Attributes:
        name: of the change.
        does: what it does.
        group: of the change.
        accuracy: protocol → share right with the change, 0…1.
        loss: protocol → percentage points less than without it; below zero: more.
    """

    name: str
    does: str
    group: Group
    accuracy: dict[str, float]
    loss: dict[str, float]


def robustness(
    model: TFLiteModel, faces: Faces, unchanged: Mapping[str, float]
) -> tuple[DegradationCost, ...]:
    """Judge the model on ``faces`` under each of CHANGES, one after the other.

    Args:
        model: an expression model.
        faces: with labels.
        unchanged: protocol → accuracy on the faces as they are.
    """
    rows = []
    for change in CHANGES:
        pictures = np.stack([change.apply(picture) for picture in faces.pictures])
        right = right_by_protocol(run_model(model, pictures), faces)
        accuracy = {name: float(one.mean()) for name, one in right.items()}
        loss = {name: 100 * (unchanged[name] - value) for name, value in accuracy.items()}
        rows.append(DegradationCost(change.name, change.does, change.group, accuracy, loss))
    return tuple(rows)


def worst(
    rows: Sequence[DegradationCost], protocol: str, groups: Sequence[Group] = ("main",)
) -> DegradationCost:
    """Return the row that loses most by a protocol, among the rows of the given groups."""
    return max((row for row in rows if row.group in groups), key=lambda row: row.loss[protocol])


def _move(
    right: float = 0.0, down: float = 0.0, scale: float = 1.0, roll: float = 0.0
) -> Callable[[Picture], Picture]:
    """Shift by shares of the edge, scale and turn (degrees, counter-clockwise) about the middle."""

    def apply(picture: Picture) -> Picture:
        height, width = picture.shape
        # Of pixel centres: the middle of an even edge lies between two pixels.
        middle = ((width - 1) / 2, (height - 1) / 2)
        matrix = cv2.getRotationMatrix2D(middle, roll, scale)
        matrix[:, 2] += (right * width, down * height)
        moved = cv2.warpAffine(
            picture,
            matrix,
            (width, height),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return np.asarray(moved, dtype=np.uint8)

    return apply


def _looked_up(table: NDArray[np.floating]) -> Callable[[Picture], Picture]:
    # For uint8 there are 256 values; a table is exact and quicker than arithmetic.
    whole = np.rint(np.clip(table, 0, 255)).astype(np.uint8)
    return lambda picture: whole[picture]


def _light(factor: float) -> Callable[[Picture], Picture]:
    """So many times the light: pixel → linear light → times factor, at most white → pixel.

    The transfer function of sRGB, IEC 61966-2-1: linear below 0.04045, else ((v + 0.055) / 1.055) ^
    2.4.
    """
    value = np.arange(256) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    changed = np.minimum(linear * factor, 1.0)
    encoded = np.where(changed <= 0.0031308, changed * 12.92, 1.055 * changed ** (1 / 2.4) - 0.055)
    return _looked_up(encoded * 255)


def _blur(picture: Picture) -> Picture:
    # The blur grows with the picture, so that models of larger inputs see the same one.
    sigma = picture.shape[1] / _FER2013_EDGE
    return np.asarray(
        cv2.GaussianBlur(picture, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE), dtype=np.uint8
    )


def _cover(side: str) -> Callable[[Picture], Picture]:
    def apply(picture: Picture) -> Picture:
        # Rounded up: the middle row of an odd edge is covered from both sides.
        height, width = (math.ceil(edge / 2) for edge in picture.shape)
        parts = {
            "left": (slice(None), slice(width)),
            "right": (slice(None), slice(-width, None)),
            "upper": (slice(height), slice(None)),
            "lower": (slice(-height, None), slice(None)),
        }
        covered = picture.copy()
        covered[parts[side]] = COVER
        return covered

    return apply


_MAIN = {
    "shifted right 10 %": ("the face moves right by a tenth of the edge", _move(right=SHIFT)),
    "shifted left 10 %": ("the face moves left by a tenth of the edge", _move(right=-SHIFT)),
    "shifted down 10 %": ("the face moves down by a tenth of the edge", _move(down=SHIFT)),
    "shifted up 10 %": ("the face moves up by a tenth of the edge", _move(down=-SHIFT)),
    "scaled up 15 %": ("the face is 1.15 times as large, about the middle", _move(scale=1 + SCALE)),
    "scaled down 15 %": (
        "the face is 0.85 times as large, about the middle",
        _move(scale=1 - SCALE),
    ),
    "rolled left 15°": ("the face is turned counter-clockwise about the middle", _move(roll=ROLL)),
    "rolled right 15°": ("the face is turned clockwise about the middle", _move(roll=-ROLL)),
    "light halved": ("half of the linear light (sRGB transfer function)", _light(0.5)),
    "light doubled": ("twice the linear light (sRGB), clipped at white", _light(2.0)),
    "blurred": ("Gaussian blur with a standard deviation of 1 pixel at 48 × 48", _blur),
}
_HARSH = {
    "pixels halved": (
        "pixel values × 0.5: about a fifth of the light",
        _looked_up(np.arange(256) * 0.5),
    ),
    "pixels doubled": (
        "pixel values × 2, clipped: about four and a half times the light",
        _looked_up(np.arange(256) * 2.0),
    ),
}
CHANGES = (
    *(Degradation(name, does, "main", apply) for name, (does, apply) in _MAIN.items()),
    *(Degradation(name, does, "harsh", apply) for name, (does, apply) in _HARSH.items()),
    *(
        Degradation(
            f"{side} half covered",
            f"the {side} half of the picture is grey 128",
            "covered",
            _cover(side),
        )
        for side in _PARTS
    ),
)


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
    """Figures of a classifier under one occlusion.

    Attributes:
        name: name of the occlusion; ``nothing`` for faces without one.
        figures: protocol → figures.
        right: protocol → whether the classifier is right on each picture the protocol counts.
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
        right = right_by_protocol(logits, faces)
        rows.append(CoveredRow(name, evaluate_logits(logits, faces).by_protocol, right))
    return tuple(rows)


def covered_pictures(pictures: NDArray[np.uint8]) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Yield the name of what is covered, and the pictures, uint8 N × H × H; first as they are."""
    yield NOTHING, pictures
    for cover in COVERS:
        yield cover.name, np.stack([cover.apply(picture) for picture in pictures])


def covered_files(faces: Faces) -> Iterator[tuple[str, bytes]]:
    """Yield pictures for another program to answer, and their truth: file name → content.

    ``mouth/00001.png`` and so on, and last ``ground_truth.csv`` with the columns ``file``,
    ``label`` (the FER+ majority; the FER2013 class where nobody voted) and ``covered``. A picture
    without a label is left out.

    Raises:
        DataError: when none has a label.
    """
    labels = _labels(faces)
    if not any(labels):
        raise DataError("no picture has a label; give --votes, or data with labels")
    rows = [("file", "label", COLUMN)]
    for name, pictures in covered_pictures(faces.pictures):
        for number, (picture, label) in enumerate(zip(pictures, labels, strict=True), start=1):
            if label is None:
                continue
            file = f"{name}/{number:05}.png"
            rows.append((file, label, name))
            yield file, cv2.imencode(".png", picture)[1].tobytes()
    yield TRUTH, csv_bytes(rows, "\r\n")


def macro(figures: Figures) -> tuple[float, float, float]:
    """Precision, recall and F1, each the mean of the categories that have pictures, 0…1."""
    known = [one for one in figures.per_class.values() if one.n > 0]
    precision = float(np.mean([one.precision for one in known]))
    recall = float(np.mean([one.recall for one in known]))
    return precision, recall, figures.macro_f1


def covered_json(rows: Sequence[CoveredRow]) -> dict[str, dict[str, object]]:
    """Return what is covered → protocol → figures, as plain values for ``json``."""
    return {
        row.name: {protocol: one.as_json() for protocol, one in row.figures.items()} for row in rows
    }


def covered_text(rows: Sequence[CoveredRow]) -> str:
    """Return a table for each protocol: right, precision, recall, F1, and points lost."""
    return "\n\n".join(
        covered_table(PROTOCOLS[protocol], {row.name: row.figures[protocol] for row in rows})
        for protocol in rows[0].figures
    )


def covered_table(title: str, by_cover: Mapping[str, Figures]) -> str:
    """Return one line for each thing that is covered; the points are lost against ``nothing``."""
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
            # The class of FER2013 counts only where no picture has votes: else a missing majority
            # is an answer.
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


def _draw_by_checksum(
    draw: Callable[[Picture, np.random.Generator], Picture],
) -> Callable[[Picture], Picture]:
    """Draw something as the picture's checksum decides."""
    # By the picture itself: every model sees the same mask on the same face, in every run.
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
    Cover(
        "mask", "a drawn mask from the bridge of the nose to the chin", _draw_by_checksum(draw_mask)
    ),
    Cover("glasses", "drawn dark glasses", _draw_by_checksum(draw_dark_glasses)),
)
