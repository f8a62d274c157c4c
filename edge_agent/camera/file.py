"""A video file as a camera."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import cv2

from edge_agent import clock
from edge_agent.camera.base import CameraBase, Pace, Rotation, closed_error
from edge_agent.camera.pixels import as_bgr, quiet_opencv
from edge_agent.clock import Instant
from edge_agent.errors import CameraError, CameraReason

if TYPE_CHECKING:
    from edge_agent.domain import Image

log = logging.getLogger(__name__)

_SLOWEST_FPS, _FASTEST_FPS = 0.1, 1000.0


class FileCamera(CameraBase):
    """Plays a video file at its own pace, at most ``fps`` frames a second: frames beyond that are passed over.

    A machine too slow for the file plays it slower. At the end it starts again with ``loop``, else ``read`` raises
    ``end_of_file``. A file that says no rate is played at ``fps``.

    Raises:
        CameraError: the file is missing, may not be read, or is no video.
    """

    def __init__(self, path: Path, *, fps: float, loop: bool = False, rotate: Rotation = 0) -> None:
        super().__init__(f"opencv:{path}", rotate)
        quiet_opencv()
        self._path = path
        self._loop = loop
        self._lock = threading.Lock()  # OpenCV crashes when one thread releases what another reads
        self._capture = _opened(path)
        self._grabbed = 1
        self._due = 0.0
        own = self._capture.get(cv2.CAP_PROP_FPS)
        own = own if _SLOWEST_FPS <= own <= _FASTEST_FPS else fps
        self._step = max(1.0, own / fps)
        self._pace = Pace(min(own, fps), self._closed)
        log.info("camera %s: %.3g frames/s, shown at %.3g/s", self.name, own, min(own, fps))

    def _take(self) -> tuple[Image, Instant]:
        with self._lock:
            if self._closed.is_set():
                raise closed_error(self.name)
            image = self._frame()
            if image is None and self._loop:
                self._capture = _opened(self._path)
                self._grabbed, self._due = 1, 0.0
                image = self._frame()
        if image is None:
            raise CameraError(
                CameraReason.END_OF_FILE,
                f"{self._path}: the video has ended.",
                "Set camera.loop = true to start again at the end.",
            )
        if not self._pace.wait():
            raise closed_error(self.name)
        return image, clock.now()

    def _frame(self) -> Image | None:
        """Return the frame that is due next, ``None`` when the file ends before it."""
        while self._grabbed <= int(self._due):
            if not self._capture.grab():
                return None
            self._grabbed += 1
        self._due += self._step
        ok, image = self._capture.retrieve()
        return as_bgr(image) if ok else None

    def _release(self) -> None:
        with self._lock:
            self._capture.release()


def _opened(path: Path) -> cv2.VideoCapture:
    """Return the file opened, its first frame grabbed."""
    _check_file(path)
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    if capture.isOpened() and capture.grab():
        return capture
    raise CameraError(
        CameraReason.UNREADABLE,
        f"{path}: is no video, or is broken.",
        "Try it with `ffprobe`; MP4, AVI, MKV and WebM are understood.",
    )


def _check_file(path: Path) -> None:
    """Raise unless the file can be opened and holds something."""
    try:
        with path.open("rb") as file:
            if not file.read(1):
                raise CameraError(
                    CameraReason.UNREADABLE, f"{path}: the file is empty.", "Give a video file that holds something."
                )
    except OSError as error:
        raise file_error(path, error) from error


def file_error(path: Path, error: OSError) -> CameraError:
    """Translate what the system says when a file is looked up or opened."""
    if isinstance(error, FileNotFoundError):
        return CameraError(CameraReason.NOT_FOUND, f"{path}: the file is gone.", "Check the path in camera.device.")
    if isinstance(error, PermissionError):
        return CameraError(
            CameraReason.NO_PERMISSION,
            f"{path}: this user may not read the file.",
            f"Allow it, for example: chmod a+r '{path}'.",
        )
    return CameraError(
        CameraReason.UNREADABLE,
        f"{path}: cannot be read ({error.strerror}).",
        "Check the file and the disk it lies on.",
    )
