"""Frames one after the other without a camera's pace, for measuring: of a video, a picture, or the demonstration."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import cv2

from edge_agent.camera.demo import DemoCamera
from edge_agent.camera.file import file_error
from edge_agent.camera.pixels import as_bgr, decoded, quiet_opencv
from edge_agent.errors import CameraError, CameraReason

if TYPE_CHECKING:
    from edge_agent.domain import Image


def demo_frames(width: int, height: int, fps: float) -> Iterator[Image]:
    """Give what the demonstration camera sees, for ever."""
    with DemoCamera(width=width, height=height, fps=fps) as camera:
        number = 0
        while True:
            yield camera.picture_at(number / fps)
            number += 1


def file_frames(path: Path) -> Iterator[Image]:
    """Give the frames of a video from its beginning to its end, or a picture again and again.

    Raises:
        CameraError: the file cannot be read, or is neither.
    """
    try:
        picture = decoded(path)
    except OSError as error:
        raise CameraError(
            file_error(path, error).reason,
            f"{path}: cannot be read ({error.strerror}).",
            "Give a picture or a video; without one the demonstration is measured.",
        ) from error
    if picture is not None:
        while True:
            yield picture
    yield from _video_frames(path)


def _video_frames(path: Path) -> Iterator[Image]:
    quiet_opencv()
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    try:
        ok, image = capture.read() if capture.isOpened() else (False, None)
        if not ok:
            raise CameraError(
                CameraReason.UNREADABLE,
                f"{path}: is neither a picture nor a video that can be read.",
                "JPEG, PNG, MP4, AVI, MKV and WebM are understood.",
            )
        while ok:
            yield as_bgr(image)
            ok, image = capture.read()
    finally:
        capture.release()
