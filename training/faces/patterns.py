"""Drawn grounds without a face: stripes, checks, rings, discs, soft spots, lettering, wheels.

A detector stays calm.
"""

from __future__ import annotations

import cv2
import numpy as np

from training.faces.labelling.labels import Picture

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdeghmnopqsu0123456789&@?!"
FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
)


def draw_pattern(width: int, height: int, random: np.random.Generator) -> Picture:
    """A pattern of two colours or of soft spots, uint8, height × width × 3, BGR."""
    kind = int(random.integers(6))
    if kind == 0:
        return _soft_spots(width, height, random)
    if kind == 1:
        return _shapes(width, height, random)
    if kind == 4:
        return _lettering(width, height, random)
    if kind == 5:
        return _wheels(width, height, random)
    xs, ys = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    angle = random.uniform(0, np.pi)
    period = random.uniform(4, 60)
    along = xs * np.cos(angle) + ys * np.sin(angle)
    across = ys * np.cos(angle) - xs * np.sin(angle)
    wave = np.sin(2 * np.pi / period * along)
    if kind == 2 and random.random() < 0.5:  # checks
        wave = wave * np.sin(2 * np.pi / (period * random.uniform(0.5, 2)) * across)
    elif kind == 3:  # rings
        wave = np.sin(
            2
            * np.pi
            / period
            * np.hypot(xs - random.uniform(0, width), ys - random.uniform(0, height))
        )
    share = (np.clip(wave * random.uniform(0.5, 8), -1, 1)[:, :, None] + 1) / 2
    dark, light = random.uniform(0, 256, (2, 3))
    return np.asarray(dark + (light - dark) * share, dtype=np.uint8)


def _soft_spots(width: int, height: int, random: np.random.Generator) -> Picture:
    """Random colours, smoothly joined: clouds, skin, folds of cloth."""
    columns, rows = random.integers(2, 24, 2)
    small = random.integers(0, 256, (rows, columns, 3)).astype(np.float32)
    spread = random.uniform(0.1, 1.0)
    toned = small.mean(axis=(0, 1)) + (small - small.mean(axis=(0, 1))) * spread
    large = cv2.resize(toned, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(large, 0, 255), dtype=np.uint8)


def _plain(width: int, height: int, random: np.random.Generator) -> Picture:
    picture = np.empty((height, width, 3), dtype=np.uint8)
    picture[:] = random.integers(0, 256, 3)
    return picture


def _color(random: np.random.Generator) -> tuple[float, ...]:
    return tuple(float(value) for value in random.integers(0, 256, 3))


def _lettering(width: int, height: int, random: np.random.Generator) -> Picture:
    """Letters and figures of all sizes, upright or leaning: signs, badges, prints on shirts."""
    picture = _plain(width, height, random)
    for _ in range(int(random.integers(2, 10))):
        letters = "".join(random.choice(list(LETTERS), int(random.integers(1, 6))))
        font = int(random.choice(FONTS)) | (cv2.FONT_ITALIC if random.random() < 0.25 else 0)
        size = float(np.exp(random.uniform(np.log(0.4), np.log(3.5))))
        place = (int(random.integers(-20, width)), int(random.integers(0, height + 20)))
        thickness = max(round(size * float(random.uniform(0.8, 4))), 1)
        cv2.putText(picture, letters, place, font, size, _color(random), thickness, cv2.LINE_AA)
    return picture


def _wheels(width: int, height: int, random: np.random.Generator) -> Picture:
    """Discs in discs with spokes and a hub: wheels, lamps, clocks, plates."""
    picture = _plain(width, height, random)
    for _ in range(int(random.integers(1, 7))):
        middle = (int(random.integers(width)), int(random.integers(height)))
        radius = float(np.exp(random.uniform(np.log(8), np.log(80))))
        flat = float(random.uniform(0.5, 1))
        turn = float(random.uniform(0, 180))
        for share in (1.0, random.uniform(0.6, 0.95), random.uniform(0.1, 0.5)):
            axes = (max(round(radius * share), 1), max(round(radius * share * flat), 1))
            if random.random() < 0.6:
                filled = -1
            else:
                filled = max(round(radius * float(random.uniform(0.05, 0.2))), 1)
            cv2.ellipse(picture, middle, axes, turn, 0, 360, _color(random), filled, cv2.LINE_AA)
        spokes = int(random.integers(0, 13))
        color = _color(random)
        thickness = max(round(radius / 20), 1)
        for angle in np.linspace(0, 2 * np.pi, spokes, endpoint=False):
            end = (
                round(middle[0] + radius * float(np.cos(angle))),
                round(middle[1] + radius * float(np.sin(angle))),
            )
            cv2.line(picture, middle, end, color, thickness, cv2.LINE_AA)
    return picture


def _shapes(width: int, height: int, random: np.random.Generator) -> Picture:
    """Filled ellipses, boxes and bars on one colour: balls, plates, furniture, fingers."""
    picture = _plain(width, height, random)
    for _ in range(int(random.integers(1, 14))):
        middle = (int(random.integers(width)), int(random.integers(height)))
        size = (int(random.integers(4, 70)), int(random.integers(4, 70)))
        color = _color(random)
        turn = float(random.uniform(0, 180))
        if random.random() < 0.5:
            cv2.ellipse(picture, (middle, size, turn), color, -1)
        else:
            corners = cv2.boxPoints((middle, size, turn))
            cv2.fillConvexPoly(picture, np.rint(corners).astype(np.int32), color)
    return picture
