"""What can be known of a picture without looking for anything in it: bounds, size, sameness.

Whoever decodes such a picture looks here first: a file of some kilobytes can ask a decoder for
gigabytes.

>>> jpeg_size(b"no picture") is None
True
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_agent.core.expression import Image

MAX_BYTES = 16 * 1024 * 1024
"""Of a picture: a photograph of a telephone has 2 to 8 MB."""
MAX_PIXELS = 13_000_000
"""Of a picture: reading that many takes 130 MB of memory."""
_JPEG_START = b"\xff\xd8"
_END = 0xD9
_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])")
"""A marker that ends the image or has a length behind it.

Within a scan, 00 is data and D0 to D7 are restarts.
"""
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of a frame header, which has the size (ISO/IEC 10918-1, table B.1)."""

_FEW = 16
"""Every so many rows and columns, two pictures are compared first: those of a sensor differ there.
"""
_PARTS = (3, 4)
"""Rows and columns of the parts whose mean colours are compared: the noise of a dark picture
averages out in them."""
_COVERED_LEVELS = 4.0
_COVERED_SHARE = 0.05
"""Difference of the parts' mean levels up to which a picture has one colour, and what may be added
as a share of its mean."""


def is_jpeg(data: bytes) -> bool:
    """Return whether data begin as a JPEG file does."""
    return data.startswith(_JPEG_START)


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Return width and height of the first image of a JPEG file, without decoding it.

    Phones add thumbnails inside it and videos after it. ``None``: it is no JPEG, or not complete.
    Of several frame headers the largest counts.
    """
    if not is_jpeg(data):
        return None
    width = height = 0
    place = len(_JPEG_START)
    while marker := _MARKER.search(data, place):
        kind, start = marker[1][0], marker.end()
        if kind == _END:
            return (width, height) if width and height else None
        if kind in _FRAMES:
            # after length and precision
            height = max(height, int.from_bytes(data[start + 3 : start + 5]))
            width = max(width, int.from_bytes(data[start + 5 : start + 7]))
        # The two bytes after a marker are the segment's length, themselves included (B.1.1.4):
        # thumbnails inside a segment are skipped with it.
        place = start + int.from_bytes(data[start : start + 2])
    return None


def are_equal(one: Image, other: Image) -> bool:
    """Return whether two pictures have the same size and the same pixels."""
    import numpy as np

    return np.array_equal(one[::_FEW, ::_FEW], other[::_FEW, ::_FEW]) and np.array_equal(one, other)


def is_of_one_colour(image: Image) -> bool:
    """Return whether a picture shows nothing but one colour and noise, as behind a covered lens.

    Args:
        image: uint8, height × width × 3.
    """
    rows, columns = _PARTS
    step = max(min(image.shape[:2]) // 48, 1)
    few = image[::step, ::step]
    height, width = few.shape[0] // rows, few.shape[1] // columns
    if not height or not width:
        return False
    parts = few[: rows * height, : columns * width].reshape(rows, height, columns, width, -1)
    levels = parts.mean(axis=(1, 3)).reshape(rows * columns, -1)
    spread = levels.max(axis=0) - levels.min(axis=0)
    return bool((spread <= _COVERED_LEVELS + _COVERED_SHARE * levels.mean(axis=0)).all())
