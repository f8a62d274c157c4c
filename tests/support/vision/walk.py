"""A made-up video: two real portraits before a wall, moved, hidden, turned and lit."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from edge_agent.vision.align import Picture

WIDTH = 640
HEIGHT = 480
WALL = (120, 130, 125)


@dataclass(frozen=True, slots=True)
class Head:
    """A head cut out of a portrait.

    Attributes:
        pixels: BGR, square, the head in its middle.
        mask: uint8, of one size with it: 255 where the head is.
    """

    pixels: Picture
    mask: Picture

    @property
    def side(self) -> int:
        """Width and height of the cut-out."""
        return len(self.pixels)


def head_of(
    portrait: Picture, center: tuple[float, float], face_height: float, wanted: float
) -> Head:
    """Cut a head out so that its face has a wanted height in pixels.

    The cut-out is twice as wide and high.
    """
    side = round(2 * wanted)
    scale = wanted / face_height
    matrix = np.array(
        [[scale, 0, side / 2 - scale * center[0]], [0, scale, side / 2 - scale * center[1]]]
    )
    pixels = cv2.warpAffine(
        portrait, matrix, (side, side), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE
    )
    mask = np.zeros((side, side), np.uint8)
    middle = side // 2
    cv2.ellipse(
        mask, (middle, middle), (round(side * 0.36), round(side * 0.47)), 0, 0, 360, 255, -1
    )
    return Head(np.asarray(pixels, np.uint8), mask)


def turned(head: Head, degrees: float) -> Head:
    """Turn a head about its upright axis, as half of an ellipsoid with a nose that stands out.

    A point at x with depth d comes to x·cos φ + d·sin φ (seen from far away); which x comes to a
    pixel is found by repetition.
    """
    unit = head.side / 2
    y, seen = (np.mgrid[0 : head.side, 0 : head.side].astype(np.float32) - unit) / unit
    sine = math.sin(math.radians(degrees))
    cosine = math.cos(math.radians(degrees))
    x = seen.copy()
    for _ in range(12):
        depth = 0.55 * np.sqrt(np.clip(1 - (x / 0.55) ** 2 - (y / 0.75) ** 2, 0, 1)) - 0.45
        depth += 0.16 * np.exp(-((x / 0.09) ** 2) - ((y - 0.08) / 0.16) ** 2)
        x = np.float32(0.5) * x + np.float32(0.5) * (seen - depth * np.float32(sine)) / np.float32(
            cosine
        )
    grid = (x * unit + unit).astype(np.float32), (y * unit + unit).astype(np.float32)
    return Head(
        *(
            np.asarray(cv2.remap(p, *grid, cv2.INTER_LINEAR), np.uint8)
            for p in (head.pixels, head.mask)
        )
    )


def wall() -> Picture:
    """Return an empty frame."""
    return np.full((HEIGHT, WIDTH, 3), WALL, np.uint8)


def paste(frame: Picture, head: Head, x: float, y: float = HEIGHT / 2) -> None:
    """Draw a head with its middle at a place; what lies outside the frame is cut off."""
    left = round(x - head.side / 2)
    top = round(y - head.side / 2)
    x0 = max(left, 0)
    y0 = max(top, 0)
    x1 = min(left + head.side, WIDTH)
    y1 = min(top + head.side, HEIGHT)
    if x0 >= x1 or y0 >= y1:
        return
    part = np.s_[y0 - top : y1 - top, x0 - left : x1 - left]
    belongs = head.mask[part][..., None] > 127
    frame[y0:y1, x0:x1] = np.where(belongs, head.pixels[part], frame[y0:y1, x0:x1])
