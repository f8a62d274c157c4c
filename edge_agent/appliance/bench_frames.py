"""Frames without a camera's pace, for measuring: from a video, a picture or the demonstration."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from edge_agent.camera.demo import DemoCamera
from edge_agent.camera.file import VideoFile, file_error, is_picture
from edge_agent.camera.pixels import decoded, quiet_opencv
from edge_agent.core.errors import CameraError, CameraReason

if TYPE_CHECKING:
    from edge_agent.core.expression import Image

log = logging.getLogger(__name__)

_CURE = "Give a picture or a video; without one the demonstration is measured."


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
        CameraError: the file cannot be read, is broken, or is neither.
    """
    quiet_opencv()
    picture = _picture(path)
    if picture is None:
        yield from _video_frames(path)
        return
    while True:
        yield picture


def _picture(path: Path) -> Image | None:
    """Return the picture that a file holds.

    ``None`` if it does not begin like one: a video is not read into memory.
    """
    try:
        path.open("rb").close()
        if not path.is_file():
            raise CameraError(
                CameraReason.UNREADABLE, f"{path}: is a pipe or a device, not a file.", _CURE
            )
        if not is_picture(path):
            return None
        picture = decoded(path)
    except OSError as error:
        raise CameraError(
            file_error(path, error).reason, f"{path}: cannot be read ({error.strerror}).", _CURE
        ) from error
    if picture is None:
        raise CameraError(
            CameraReason.UNREADABLE, f"{path}: the picture is broken or cannot be read.", _CURE
        )
    return picture


def _video_frames(path: Path) -> Iterator[Image]:
    video = VideoFile(path)
    try:
        if not video.grab():
            raise CameraError(
                CameraReason.UNREADABLE,
                f"{path}: is neither a picture nor a video that can be read.",
                "JPEG, PNG, MP4, AVI, MKV and WebM are understood.",
            )
        while (image := video.image()) is not None:
            yield image
            if not video.grab():
                break
    finally:
        if video.damaged:
            log.warning("%s: damaged frames skipped in the video: %d", path, video.damaged)
        video.release()
