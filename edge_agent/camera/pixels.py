"""Decoding of pictures by OpenCV, and captures on a thread, since drivers and networks hang."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import cv2
import numpy as np

from edge_agent.camera.base import CLOSE_S, GRACE_S, Camera, Helper, closed_error, stuck_error
from edge_agent.config.camera import Rotation
from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.errors import CameraError
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


def decoded(path: Path) -> Image | None:
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


def letterboxed(image: Image, width: int, height: int) -> Image:
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


log = logging.getLogger(__name__)

T = TypeVar("T")


class LiveCamera(Camera):
    """An OpenCV capture that is opened, read and released on a helper thread with a deadline.

    Args:
        name: see ``Camera``.
        open_capture: opens it; raises ``CameraError``.
        lost: returns the error of a read that failed after that many seconds.
        seconds: without a frame for this long it has stalled.
        rotate: clockwise rotation of every frame, degrees.
    """

    def hung(self, seconds: float) -> CameraError:
        """Return the error of a call that has hung for that long; it still holds the device."""
        return stuck_error(self.name, seconds)

    def __init__(
        self,
        name: str,
        open_capture: Callable[[], cv2.VideoCapture],
        lost: Callable[[float], CameraError],
        seconds: float,
        rotate: Rotation,
    ) -> None:
        super().__init__(name, rotate)
        self._lost = lost
        self._seconds = seconds
        self._helper = Helper(f"camera {name}")
        try:
            self._capture = self._bounded(open_capture, seconds + GRACE_S)
            self._first: tuple[Image, Instant] | None = self._bounded(self._grab, seconds + GRACE_S)
        except CameraError:
            self._helper.stop()
            raise
        log.info("camera %s opened", name)

    def _take(self) -> tuple[Image, Instant]:
        first = self._first
        self._first = None
        if first is not None:
            return first
        return self._bounded(self._grab, self._seconds + GRACE_S)

    def _grab(self) -> tuple[Image, Instant]:
        begun = clock.boot_seconds()
        grabbed = self._capture.grab()
        # After grab(), which waits for the frame, and before retrieve(), which decodes it.
        at = clock.now()
        ok, image = self._capture.retrieve() if grabbed else (False, None)
        if self._closed.is_set():
            raise closed_error(self.name)
        if not ok or image is None:
            raise self._lost(clock.boot_seconds() - begun)
        return as_bgr(image), at

    def _bounded(self, function: Callable[[], T], seconds: float) -> T:
        try:
            return self._helper.call(function, seconds)
        except TimeoutError as error:
            raise self.hung(seconds) from error

    def _release(self) -> None:
        try:
            self._bounded(self._capture.release, CLOSE_S)
        finally:
            self._helper.stop()
