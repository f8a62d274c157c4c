"""Things drawn in front of aligned faces: what covers mouth or eyes, and what only looks so.

Photographs of masks are many, of hands, microphones and dark glasses few, so these are drawn. A
thing that leaves the face readable (clear glasses, single strands of hair) is drawn as well, so
that the network learns the difference and not the presence of a thing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.vision.align import TEMPLATE

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]
Random = np.random.Generator
Points = NDArray[np.float64]

_SHIFT = 4  # OpenCV draws to a sixteenth of a pixel
_RIGHT_EYE, _LEFT_EYE, _NOSE, _RIGHT_LIP, _LEFT_LIP = TEMPLATE.astype(np.float64)
_MOUTH = (_RIGHT_LIP + _LEFT_LIP) / 2
_EYES = (_RIGHT_EYE + _LEFT_EYE) / 2


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that can be drawn in front of a face.

    Attributes:
        name: name of the thing.
        draw: draws it into a copy of a crop (uint8, n × n, gray).
        mouth: whether it covers the mouth.
        eyes: whether it covers the eyes.
    """

    name: str
    draw: Callable[[Pixels, Random], Pixels]
    mouth: bool = False
    eyes: bool = False

    @property
    def covers(self) -> bool:
        """Tell whether the thing hides mouth or eyes, so that the face cannot be read."""
        return self.mouth or self.eyes


def draw_mask(crop: Pixels, random: Random) -> Pixels:
    """Draw a mask from the bridge of the nose to the chin, with folds and straps."""
    top = random.uniform(0.47, 0.64)
    side = random.uniform(0.30, 0.42)
    chin = random.uniform(0.93, 1.1)
    outline = np.array(
        [
            (0.5 - side, top + random.uniform(0.0, 0.1)),
            (0.5 - side * 0.4, top + 0.02),
            (0.5, top - random.uniform(0.0, 0.06)),
            (0.5 + side * 0.4, top + 0.02),
            (0.5 + side, top + random.uniform(0.0, 0.1)),
            (0.5 + side * 0.9, (top + chin) / 2 + 0.08),
            (0.5 + side * random.uniform(0.3, 0.6), chin),
            (0.5 - side * random.uniform(0.3, 0.6), chin),
            (0.5 - side * 0.9, (top + chin) / 2 + 0.08),
        ]
    )
    cloth = _cloth(crop, random)
    strength = _polygon(crop, _jitter(outline, random, 0.02))
    for y in np.linspace(top + 0.12, chin - 0.12, int(random.integers(0, 5))):
        fold = np.array([(0.5 - side * 0.8, y), (0.5, y + 0.03), (0.5 + side * 0.8, y)])
        cloth -= _line(crop, fold, 0.02) * random.uniform(0.0, 0.2) * 255
    return _laid_over(crop, cloth, strength)


def draw_hand(crop: Pixels, random: Random) -> Pixels:
    """Draw a hand of the face's own skin tone over the mouth."""
    return _hand(crop, random, _MOUTH + random.normal(0, 0.04, 2))


def draw_hand_on_eyes(crop: Pixels, random: Random) -> Pixels:
    """Draw a hand of the face's own skin tone over the eyes."""
    return _hand(crop, random, _EYES + random.normal(0, 0.04, 2))


def draw_microphone(crop: Pixels, random: Random) -> Pixels:
    """Draw a microphone, or a cup, in front of the mouth."""
    middle = _MOUTH + random.normal(0, 0.03, 2)
    radius = random.uniform(0.14, 0.24)
    angle = random.uniform(-0.9, 0.9)
    end = middle + 0.9 * np.array([np.sin(angle), np.cos(angle)])
    shade = random.uniform(5, 110) if random.random() < 0.8 else random.uniform(150, 250)
    paint = np.full(crop.shape, shade, np.float32) + _grain(crop, random, 14)
    paint += _slope(crop, random, 40)
    strength = np.maximum(_line(crop, np.array([middle, end]), radius * 1.2), 0)
    strength = np.maximum(strength, _ellipse(crop, middle, (radius, radius * 1.1), 0.0))
    return _laid_over(crop, paint, strength)


def draw_dark_glasses(crop: Pixels, random: Random) -> Pixels:
    """Draw glasses that the eyes cannot be seen through."""
    wide = random.uniform(0.14, 0.19)
    high = random.uniform(0.09, 0.16)
    drop = random.uniform(-0.01, 0.04)
    strength = _frame(crop, wide, high, drop, -1.0)
    shade = random.uniform(0, 60)
    paint = np.full(crop.shape, shade, np.float32) + _slope(crop, random, 50)
    if random.random() < 0.4:  # the sky, or a window
        place = _EYES + random.normal(0, 0.15, 2)
        glare = _ellipse(crop, place, (0.1, 0.03), random.uniform(0, 180))
        paint += glare * random.uniform(30, 160)
    return _laid_over(crop, paint, strength * random.uniform(0.85, 1.0))


def draw_clear_glasses(crop: Pixels, random: Random) -> Pixels:
    """Draw glasses that the eyes are seen through."""
    wide = random.uniform(0.13, 0.18)
    high = random.uniform(0.08, 0.14)
    drop = random.uniform(-0.01, 0.04)
    thick = random.uniform(0.012, 0.04)
    shade = random.uniform(0, 80) if random.random() < 0.75 else random.uniform(170, 250)
    rims = _frame(crop, wide, high, drop, thick)
    glass = _frame(crop, wide, high, drop, -1.0) * random.uniform(0.0, 0.2)
    tinted = _laid_over(crop, np.full(crop.shape, random.choice([20, 235]), np.float32), glass)
    return _laid_over(tinted, np.full(crop.shape, shade, np.float32), rims * random.uniform(0.5, 1))


def draw_strands(crop: Pixels, random: Random) -> Pixels:
    """Draw a few thin strands of hair across the face."""
    return _hair(crop, random, int(random.integers(1, 5)), 0.015)


def draw_fringe(crop: Pixels, random: Random) -> Pixels:
    """Draw hair that hangs over the eyes."""
    shade = random.uniform(10, 200)
    paint = np.full(crop.shape, shade, np.float32) + _grain(crop, random, 25)
    low = random.uniform(0.46, 0.6)
    outline = np.array(
        [(-0.1, -0.1), (1.1, -0.1), (1.1, low), (0.75, low), (0.5, low), (-0.1, low)]
    )
    strength = _polygon(crop, _jitter(outline, random, 0.03))
    return _hair(_laid_over(crop, paint, strength * random.uniform(0.9, 1)), random, 8, 0.03)


def draw_patch(crop: Pixels, random: Random) -> Pixels:
    """Draw a small spot beside mouth and eyes: a plaster, a shadow, a leaf."""
    corners = np.array([(0.1, 0.1), (0.9, 0.1), (0.12, 0.85), (0.88, 0.85), (0.2, 0.6), (0.8, 0.6)])
    place = corners[int(random.integers(len(corners)))] + random.normal(0, 0.03, 2)
    size = random.uniform(0.04, 0.11, 2)
    paint = np.full(crop.shape, random.uniform(0, 255), np.float32) + _grain(crop, random, 15)
    return _laid_over(crop, paint, _ellipse(crop, place, (size[0], size[1]), 30.0))


THINGS = (
    Thing("mask", draw_mask, mouth=True),
    Thing("hand on the mouth", draw_hand, mouth=True),
    Thing("microphone", draw_microphone, mouth=True),
    Thing("dark glasses", draw_dark_glasses, eyes=True),
    Thing("hand on the eyes", draw_hand_on_eyes, eyes=True),
    Thing("hair over the eyes", draw_fringe, eyes=True),
    Thing("clear glasses", draw_clear_glasses),
    Thing("strands of hair", draw_strands),
    Thing("spot beside", draw_patch),
)
"""All that can be drawn, each with what it covers."""


def _hand(crop: Pixels, random: Random, middle: Points) -> Pixels:
    """Draw a palm and fingers around a place."""
    # From the face's own brightness, or a hand would stand out by its shade alone.
    skin = float(np.percentile(crop, random.uniform(45, 85))) * random.uniform(0.85, 1.15)
    paint = np.full(crop.shape, skin, np.float32) + _grain(crop, random, 6)
    paint += _slope(crop, random, 40)
    angle = random.uniform(0, 360)
    palm = (random.uniform(0.17, 0.26), random.uniform(0.12, 0.18))
    strength = _ellipse(crop, middle, palm, angle)
    along = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
    across = np.array([-along[1], along[0]])
    for finger in np.linspace(-1, 1, int(random.integers(3, 5))):
        root = middle + across * finger * palm[1] * 0.8
        tip = root + along * random.uniform(0.22, 0.4) + across * finger * 0.04
        bone = np.array([root, tip])
        paint -= _line(crop, bone + across * 0.035, 0.02) * random.uniform(15, 60)
        strength = np.maximum(strength, _line(crop, bone, random.uniform(0.06, 0.09)))
    return _laid_over(crop, paint, strength)


def _hair(crop: Pixels, random: Random, count: int, thick: float) -> Pixels:
    """Draw strands from the upper edge downwards."""
    shade = random.uniform(10, 200)
    strength = np.zeros(crop.shape, np.float32)
    for _ in range(count):
        start = np.array([random.uniform(0, 1), -0.05])
        end = start + np.array([random.normal(0, 0.2), random.uniform(0.3, 1.0)])
        bend = (start + end) / 2 + random.normal(0, 0.06, 2)
        line = _line(crop, np.array([start, bend, end]), random.uniform(0.6, 1.6) * thick)
        strength = np.maximum(strength, line * random.uniform(0.5, 1))
    return _laid_over(crop, np.full(crop.shape, shade, np.float32), strength)


def _frame(crop: Pixels, wide: float, high: float, drop: float, thick: float) -> Floats:
    """Return two glasses with bridge and arms; ``thick`` below 0 fills the glasses."""
    strength = np.zeros(crop.shape, np.float32)
    # Small glasses are round, wide ones have corners.
    round_ones = wide < 0.16
    for eye, side in ((_RIGHT_EYE, -1.0), (_LEFT_EYE, 1.0)):
        middle = _move(eye, side * 0.01, drop)
        if round_ones:
            glass = _ellipse(crop, middle, (wide, high), 0.0, thick)
        else:
            glass = _polygon(crop, _box_around(middle, wide, high), thick)
        arm = np.array(
            [_move(middle, side * wide, -high / 3), _move(middle, side * 0.5, -high / 2)]
        )
        strength = np.maximum(strength, np.maximum(glass, _line(crop, arm, 0.02)))
    bridge = np.array([_move(_RIGHT_EYE, wide, drop), _move(_LEFT_EYE, -wide, drop)])
    return np.maximum(strength, _line(crop, bridge, max(thick, 0.02)))


def _move(point: Points, across: float, down: float) -> Points:
    return np.asarray(point + np.array([across, down]), dtype=np.float64)


def _box_around(middle: Points, wide: float, high: float) -> Points:
    """Return a rectangle with cut corners."""
    cut = 0.35
    x = np.array([-1, -1 + cut, 1 - cut, 1, 1, 1 - cut, -1 + cut, -1]) * wide
    y = np.array([-1 + cut, -1, -1, -1 + cut, 1 - cut, 1, 1, 1 - cut]) * high
    return np.stack([middle[0] + x, middle[1] + y], axis=1)


def _cloth(crop: Pixels, random: Random) -> Floats:
    """Return the shades of a cloth: plain, shaded, sometimes with a pattern."""
    paint = np.full(crop.shape, random.uniform(15, 250), np.float32)
    paint += _slope(crop, random, 60) + _grain(crop, random, 5)
    if random.random() < 0.25:
        side = int(random.integers(3, 9))
        pattern = random.uniform(-1, 1, (side, side)).astype(np.float32)
        paint += 50 * cv2.resize(pattern, crop.shape[::-1], interpolation=cv2.INTER_CUBIC)
    return paint


def _slope(crop: Pixels, random: Random, most: float) -> Floats:
    """Return light that falls from one side."""
    rows, columns = np.mgrid[-1 : 1 : 1j * crop.shape[0], -1 : 1 : 1j * crop.shape[1]]
    across, down = random.uniform(-most, most, 2)
    return np.asarray(rows * down + columns * across, dtype=np.float32)


def _grain(crop: Pixels, random: Random, deviation: float) -> Floats:
    return np.asarray(random.normal(0, deviation, crop.shape), dtype=np.float32)


def _jitter(points: Points, random: Random, deviation: float) -> Points:
    return np.asarray(points + random.normal(0, deviation, points.shape), dtype=np.float64)


def _as_sixteenths(crop: Pixels, points: Points) -> NDArray[np.int32]:
    """Return points of the unit square as OpenCV takes them, in sixteenths of a pixel."""
    # OpenCV counts from the middle of a pixel, and takes fractions as whole sixteenths.
    return np.asarray(np.round((points * crop.shape[0] - 0.5) * 2**_SHIFT), dtype=np.int32)


def _canvas(crop: Pixels) -> Pixels:
    return np.zeros(crop.shape, np.uint8)


def _share(canvas: Pixels) -> Floats:
    return np.asarray(canvas / 255, dtype=np.float32)


def _width(crop: Pixels, width: float) -> int:
    return max(round(width * float(crop.shape[0])), 1)


def _polygon(crop: Pixels, outline: Points, thick: float = -1.0) -> Floats:
    """Return how much of each pixel a polygon covers, or its outline."""
    canvas = _canvas(crop)
    corners = [_as_sixteenths(crop, outline)]
    if thick < 0:
        cv2.fillPoly(canvas, corners, 255, cv2.LINE_AA, _SHIFT)
    else:
        cv2.polylines(canvas, corners, True, 255, _width(crop, thick), cv2.LINE_AA, _SHIFT)
    return _share(canvas)


def _line(crop: Pixels, points: Points, width: float) -> Floats:
    """Return how much of each pixel a thick line covers."""
    canvas = _canvas(crop)
    path = [_as_sixteenths(crop, points)]
    cv2.polylines(canvas, path, False, 255, _width(crop, width), cv2.LINE_AA, _SHIFT)
    return _share(canvas)


def _ellipse(
    crop: Pixels, middle: Points, axes: tuple[float, float], angle: float, thick: float = -1.0
) -> Floats:
    """Return how much of each pixel an ellipse covers, or its outline."""
    canvas = _canvas(crop)
    x, y = _as_sixteenths(crop, middle).tolist()
    half = tuple(round(axis * crop.shape[0] * 2**_SHIFT) for axis in axes)
    width = -1 if thick < 0 else _width(crop, thick)
    cv2.ellipse(canvas, (x, y), half, angle, 0, 360, 255, width, cv2.LINE_AA, _SHIFT)
    return _share(canvas)


def _laid_over(crop: Pixels, paint: Floats, strength: Floats) -> Pixels:
    """Return a crop with paint over it, where ``strength`` (0…1) says how much."""
    mixed = crop * (1 - strength) + np.clip(paint, 0, 255) * strength
    return np.asarray(np.clip(np.rint(mixed), 0, 255), dtype=np.uint8)
