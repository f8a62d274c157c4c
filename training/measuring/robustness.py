"""What a classifier loses when the crop is changed: one change at a time.

Each change says exactly what it does. Pixels are 8 bits, geometry is bilinear, and what enters from
outside the picture repeats its border.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.vision.models.model import TFLiteModel
from training.data.datasets import Faces
from training.measuring.evaluate import answers_by_protocol, run_model

Picture = NDArray[np.uint8]
Group = Literal["main", "harsh", "covered"]

SHIFT = 0.10
SCALE = 0.15
ROLL = 15.0
COVER = 128
_FER2013_EDGE = 48


@dataclass(frozen=True, slots=True)
class Change:
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
class Row:
    """What one change costs.

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


def robustness(model: TFLiteModel, faces: Faces, unchanged: Mapping[str, float]) -> tuple[Row, ...]:
    """Judge the model on ``faces`` under each of CHANGES, one after the other.

    Args:
        model: an expression model.
        faces: with labels.
        unchanged: protocol → accuracy on the faces as they are.
    """
    rows = []
    for change in CHANGES:
        pictures = np.stack([change.apply(picture) for picture in faces.pictures])
        answers = answers_by_protocol(run_model(model, pictures), faces)
        accuracy = {
            name: float((one.predicted == one.truth).mean()) for name, one in answers.items()
        }
        loss = {name: 100 * (unchanged[name] - value) for name, value in accuracy.items()}
        rows.append(Row(change.name, change.does, change.group, accuracy, loss))
    return tuple(rows)


def worst(rows: Sequence[Row], protocol: str, groups: Sequence[Group] = ("main",)) -> Row:
    """The row of those groups that loses most by that protocol."""
    return max((row for row in rows if row.group in groups), key=lambda row: row.loss[protocol])


def _moved(
    right: float = 0.0, down: float = 0.0, scale: float = 1.0, roll: float = 0.0
) -> Callable[[Picture], Picture]:
    """Shift by shares of the edge, scale and turn (degrees, counter-clockwise) about the middle."""

    def apply(picture: Picture) -> Picture:
        height, width = picture.shape
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


def _blurred(picture: Picture) -> Picture:
    sigma = picture.shape[1] / _FER2013_EDGE
    return np.asarray(
        cv2.GaussianBlur(picture, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE), dtype=np.uint8
    )


def _covered(side: Literal["left", "right", "upper", "lower"]) -> Callable[[Picture], Picture]:
    def apply(picture: Picture) -> Picture:
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


CHANGES: tuple[Change, ...] = (
    Change(
        "shifted right 10 %",
        "the face moves right by a tenth of the edge",
        "main",
        _moved(right=SHIFT),
    ),
    Change(
        "shifted left 10 %",
        "the face moves left by a tenth of the edge",
        "main",
        _moved(right=-SHIFT),
    ),
    Change(
        "shifted down 10 %",
        "the face moves down by a tenth of the edge",
        "main",
        _moved(down=SHIFT),
    ),
    Change(
        "shifted up 10 %", "the face moves up by a tenth of the edge", "main", _moved(down=-SHIFT)
    ),
    Change(
        "scaled up 15 %",
        "the face is 1.15 times as large, about the middle",
        "main",
        _moved(scale=1 + SCALE),
    ),
    Change(
        "scaled down 15 %",
        "the face is 0.85 times as large, about the middle",
        "main",
        _moved(scale=1 - SCALE),
    ),
    Change(
        "rolled left 15°",
        "the face is turned counter-clockwise about the middle",
        "main",
        _moved(roll=ROLL),
    ),
    Change(
        "rolled right 15°",
        "the face is turned clockwise about the middle",
        "main",
        _moved(roll=-ROLL),
    ),
    Change(
        "light halved", "half of the linear light (sRGB transfer function)", "main", _light(0.5)
    ),
    Change("light doubled", "twice the linear light (sRGB), clipped at white", "main", _light(2.0)),
    Change(
        "blurred", "Gaussian blur with a standard deviation of 1 pixel at 48 × 48", "main", _blurred
    ),
    Change(
        "pixels halved",
        "pixel values × 0.5: about a fifth of the light",
        "harsh",
        _looked_up(np.arange(256) * 0.5),
    ),
    Change(
        "pixels doubled",
        "pixel values × 2, clipped: about four and a half times the light",
        "harsh",
        _looked_up(np.arange(256) * 2.0),
    ),
    Change(
        "left half covered", "the left half of the picture is grey 128", "covered", _covered("left")
    ),
    Change(
        "right half covered",
        "the right half of the picture is grey 128",
        "covered",
        _covered("right"),
    ),
    Change(
        "upper half covered",
        "the upper half of the picture is grey 128",
        "covered",
        _covered("upper"),
    ),
    Change(
        "lower half covered",
        "the lower half of the picture is grey 128",
        "covered",
        _covered("lower"),
    ),
)
