"""The values that a camera is opened with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Source = Literal["auto", "picamera2", "opencv", "snapshot", "pictures", "demo"]
Rotation = Literal[0, 90, 180, 270]


@dataclass(frozen=True, slots=True)
class CameraOptions:
    """Options of a camera, with the defaults of the ``[camera]`` table; each kind uses its own.

    Attributes:
        source: kind of camera; ``auto`` takes the Pi's own camera, else the first USB camera that
            gives a frame.
        device: for ``opencv``: number or node, video file, or address of a stream; for
            ``snapshot``: address of a still picture.
        folder: for ``pictures``.
        width: asked of the camera, pixels; ``pictures`` and ``demo`` give exactly this.
        height: likewise.
        fps: frames per second asked of the camera; for files the upper limit.
        loop: whether video files and folders start again at their end.
        rotate: clockwise rotation of every frame, degrees.
        stall_seconds: without a frame for this long, live cameras raise ``stalled``.
        snapshot_seconds: for ``snapshot``: seconds from one picture to the next.

    Example:
        >>> options = CameraOptions(source="opencv", device="/dev/video2", rotate=180)
        >>> options.width, options.height
        (640, 480)
    """

    source: Source = "auto"
    device: str = "0"
    folder: Path = Path("pictures")
    width: int = 640
    height: int = 480
    fps: float = 15.0
    loop: bool = False
    rotate: Rotation = 0
    stall_seconds: float = 5.0
    snapshot_seconds: float = 1.0
