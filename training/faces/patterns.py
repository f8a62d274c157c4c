"""Drawn grounds without a face: stripes, checks, rings, discs, soft spots. A detector must stay calm on them."""

from __future__ import annotations

import cv2
import numpy as np

from training.faces.labels import Picture


def draw_pattern(width: int, height: int, random: np.random.Generator) -> Picture:
    """A pattern of two colours or of soft spots, uint8, height × width × 3, BGR."""
    kind = int(random.integers(4))
    if kind == 0:
        return _soft_spots(width, height, random)
    if kind == 1:
        return _shapes(width, height, random)
    xs, ys = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    angle, period = random.uniform(0, np.pi), random.uniform(4, 60)
    along, across = xs * np.cos(angle) + ys * np.sin(angle), ys * np.cos(angle) - xs * np.sin(angle)
    wave = np.sin(2 * np.pi / period * along)
    if kind == 2 and random.random() < 0.5:  # checks
        wave = wave * np.sin(2 * np.pi / (period * random.uniform(0.5, 2)) * across)
    elif kind == 3:  # rings
        wave = np.sin(2 * np.pi / period * np.hypot(xs - random.uniform(0, width), ys - random.uniform(0, height)))
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


def _shapes(width: int, height: int, random: np.random.Generator) -> Picture:
    """Filled ellipses, boxes and bars on one colour: balls, plates, furniture, fingers."""
    picture = np.empty((height, width, 3), dtype=np.uint8)
    picture[:] = random.integers(0, 256, 3)
    for _ in range(int(random.integers(1, 14))):
        middle = (int(random.integers(width)), int(random.integers(height)))
        size = (int(random.integers(4, 70)), int(random.integers(4, 70)))
        color = tuple(float(value) for value in random.integers(0, 256, 3))
        turn = float(random.uniform(0, 180))
        if random.random() < 0.5:
            cv2.ellipse(picture, (middle, size, turn), color, -1)
        else:
            corners = cv2.boxPoints((middle, size, turn))
            cv2.fillConvexPoly(picture, np.rint(corners).astype(np.int32), color)
    return picture
