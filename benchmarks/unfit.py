"""Shares of blurred and badly lit faces that are refused, and names of the rest.

    python -m benchmarks.unfit [--json] [--photographs ZIP] [--half A|B] [--prior NAME]

The photographs are those of the web on which two of three people agree (see
`training/data/readings.py`). Each is scaled until its face is 64 pixels high and spoilt in one way
after another: moved by some pixels in four directions, blurred, darkened (linear light, with a
noise of two gray values, as cameras have it in darkness), or veiled by fog. Half A served to choose
the limits of `edge_agent/vision/quality.py`, half B judges.

Of each way are told, in percent: faces that are refused for blur or light, faces that get a name,
and names that are right; `…_unfiltered`: names that would be right without the filter. Sharp faces
of several sizes tell how many are refused wrongly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks._command import benchmark
from benchmarks._photographs import largest_face, read_photographs
from benchmarks._shared import PHOTOGRAPHS
from edge_agent.config.vision import VisionSettings
from edge_agent.core.expression import EMOTIONS, Prior, RejectReason
from edge_agent.vision.align import Picture
from edge_agent.vision.recognizer import FaceReading, open_recognizer

SIZES = (24, 32, 48, 64)
"""Heights of sharp faces, pixels."""
HEIGHT = 64
"""Height of the faces that are spoilt."""
MOVED = (5, 9, 13)
DEGREES = (0, 45, 90, 135)
BLURS = (1.5, 2.0, 2.5, 3.0)
"""Standard deviations, pixels."""
LIGHTS = (0.03, 0.01)
"""Shares of the linear light."""
FOGS = (0.2,)
"""Shares of the contrast that fog leaves."""
_NOISE = 2.0
_GAMMA = 2.2
_PALE = 230
_REFUSED = (RejectReason.BLURRED, RejectReason.TOO_DARK, RejectReason.TOO_BRIGHT)
Spoil = Callable[[Picture, np.random.Generator], Picture]


def measure(photographs: Path, half: str, prior: Prior) -> dict[str, float]:
    """Return the figures of every way to spoil a photograph."""
    if prior not in get_args(Prior):
        raise SystemExit(f"--prior: {prior!r} is none of {', '.join(get_args(Prior))}")
    recognizer = open_recognizer(VisionSettings(movements=False, prior=prior))
    readings: dict[str, list[tuple[int, FaceReading | None]]] = {}
    for label, image in read_photographs(photographs, half):
        face = largest_face(recognizer, image)
        if face is None:
            continue
        for name, picture in _spoilt(_scale_by(image, face.face.box.height)):
            readings.setdefault(name, []).append((label, largest_face(recognizer, picture)))
    figures: dict[str, float] = {}
    for name, every in readings.items():
        figures |= {f"unfit_{name}_{end}": value for end, value in _shares(every).items()}
    return figures


def _scale_by(image: Picture, face_height: float) -> Callable[[float], Picture]:
    def scaled(height: float) -> Picture:
        factor = height / face_height
        how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
        resized = cv2.resize(image, None, fx=factor, fy=factor, interpolation=how)
        return np.asarray(resized, np.uint8)

    return scaled


def _spoilt(scaled: Callable[[float], Picture]) -> Iterator[tuple[str, Picture]]:
    """Yield the name of each way, and the picture; a way may have several."""
    for height in SIZES:
        yield f"sharp_{height}", scaled(height)
    image = scaled(HEIGHT)
    for pixels in MOVED:
        for degrees in DEGREES:
            yield f"moved_{pixels}", _filtered(image, _line(pixels, degrees))
    for deviation in BLURS:
        blurred = cv2.GaussianBlur(image, (0, 0), deviation)
        yield f"blurred_{deviation}".replace(".", "_"), np.asarray(blurred, np.uint8)
    random = np.random.default_rng(len(image))
    for light in LIGHTS:
        linear = (image / 255.0) ** _GAMMA * light
        yield f"light_{light}".replace(".", "_"), _noisy(255.0 * linear ** (1 / _GAMMA), random)
    for share in FOGS:
        yield f"fog_{share}".replace(".", "_"), _noisy(image * share + (1 - share) * _PALE, random)


def _noisy(pixels: npt.NDArray[np.floating], random: np.random.Generator) -> Picture:
    noise = random.normal(0.0, _NOISE, pixels.shape)
    return np.clip(np.rint(pixels + noise), 0, 255).astype(np.uint8)


def _filtered(image: Picture, kernel: npt.NDArray[np.float32]) -> Picture:
    return np.asarray(cv2.filter2D(image, -1, kernel), np.uint8)


def _line(pixels: int, degrees: int) -> npt.NDArray[np.float32]:
    """Return the kernel of a movement: a line of this length through the middle."""
    side = 2 * pixels + 1
    kernel = np.zeros((side, side), np.float32)
    angle = np.radians(degrees)
    for along in np.linspace(-pixels / 2, pixels / 2, 16 * pixels + 1):
        across, down = pixels + along * np.cos(angle), pixels + along * np.sin(angle)
        left, top = int(across), int(down)
        right_share, lower_share = across - left, down - top
        weights = np.outer((1 - lower_share, lower_share), (1 - right_share, right_share))
        kernel[top : top + 2, left : left + 2] += weights.astype(np.float32)
    return np.asarray(kernel / kernel.sum(), np.float32)


def _shares(every: list[tuple[int, FaceReading | None]]) -> dict[str, float]:
    """Return what became of the faces of one way, in percent."""
    readings = [(label, one) for label, one in every if one is not None]
    refused = [one.reject_reason in _REFUSED for _, one in readings]
    unfiltered = [
        EMOTIONS.index(one.emotion) == label
        for label, one in readings
        if one.emotion is not None and (one.reject_reason in (None, *_REFUSED))
    ]
    named = [
        EMOTIONS.index(one.emotion) == label
        for label, one in readings
        if one.emotion is not None and one.reject_reason is None
    ]
    return {
        "refused": _percent(refused),
        "named": 100 * len(named) / len(every),
        "names_right": _percent(named),
        "names_right_unfiltered": _percent(unfiltered),
    }


def _percent(of: list[bool]) -> float:
    return 100 * sum(of) / len(of) if of else float("nan")


if __name__ == "__main__":
    benchmark(
        __doc__,
        measure,
        photographs=(PHOTOGRAPHS, "zip of the photographs, its tables beside it"),
        half=("B", "half of the photographs: A chose the limits, B judges"),
        prior=("fitted", "as vision.prior"),
    )
