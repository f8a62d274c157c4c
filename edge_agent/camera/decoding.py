"""Decoding and scaling of pictures by OpenCV.

Imports little: the process that decodes network pictures starts with this module.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from edge_agent.core.pictures import is_jpeg, jpeg_size

if TYPE_CHECKING:
    from edge_agent.core.expression import Image


def quiet_opencv() -> None:
    """Keep OpenCV and FFmpeg from writing to stderr, since our own errors report faults.

    The variables ``OPENCV_LOG_LEVEL`` and ``OPENCV_FFMPEG_LOGLEVEL`` override this.
    """
    if "OPENCV_LOG_LEVEL" not in os.environ:
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET


def decode_file(path: Path) -> Image | None:
    """Return a picture file as uint8 height × width × 3 BGR, turned as its EXIF says.

    ``None`` if it is broken.

    Raises:
        OSError: the file cannot be read.
    """
    return decoded_bytes(path.read_bytes())


def decoded_bytes(data: bytes) -> Image | None:
    """Return an encoded picture as uint8 height × width × 3 BGR, turned as its EXIF says.

    ``None`` if it is broken, or a JPEG without its end.
    """
    if is_jpeg(data) and jpeg_size(data) is None:
        return None  # cut off: libjpeg would fill the rest with grey
    if not data:
        return None
    try:
        image = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:  # more pixels than OpenCV takes
        return None
    if image is None:
        return None
    return np.asarray(image, dtype=np.uint8)


def fit_on_black(image: Image, width: int, height: int) -> Image:
    """Return the picture scaled to fit ``width`` × ``height``, in its proportions, on black."""
    scale = min(width / image.shape[1], height / image.shape[0])
    inner_width = max(1, min(width, round(image.shape[1] * scale)))
    inner_height = max(1, min(height, round(image.shape[0] * scale)))
    kernel = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    canvas = np.zeros((height, width, 3), dtype=np.uint8)
    top = (height - inner_height) // 2
    left = (width - inner_width) // 2
    canvas[top : top + inner_height, left : left + inner_width] = cv2.resize(
        image, (inner_width, inner_height), interpolation=kernel
    )
    return canvas


def as_bgr(image: object) -> Image:
    """Return what OpenCV gave as uint8 height × width × 3."""
    pixels = np.asarray(image, dtype=np.uint8)
    if pixels.ndim == 2:
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR), dtype=np.uint8)
    return pixels
