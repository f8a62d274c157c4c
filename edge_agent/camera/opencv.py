"""Opens what OpenCV reads: the device, video file or stream that ``camera.device`` names."""

from __future__ import annotations

import stat
from pathlib import Path

from edge_agent.camera.base import CameraBase
from edge_agent.camera.device import DeviceCamera, no_camera
from edge_agent.camera.file import FileCamera, file_error
from edge_agent.camera.pixels import quiet_opencv
from edge_agent.camera.stream import StreamCamera
from edge_agent.config.camera import CameraSettings
from edge_agent.core.errors import CameraError, CameraReason


def open_opencv(options: CameraSettings) -> CameraBase:
    """Open what ``options.device`` names.

    It may be a number or node (``0``, ``/dev/video0``), a video file, or the address of a stream.
    Width and height are asked of devices; files and streams come in their own size.

    Raises:
        CameraError: it cannot be opened, with the reason.
    """
    quiet_opencv()
    device = options.device
    if not device.strip():
        raise CameraError(
            CameraReason.NOT_FOUND,
            "camera.device is empty.",
            "Set it to a camera, a video file or an address.",
        )
    if "://" in device:
        return StreamCamera(device, rotate=options.rotate, stall_seconds=options.stall_seconds)
    path = Path(device).expanduser()
    if device.isdecimal():
        path = Path(f"/dev/video{device}")
    mode = _mode(path)
    if stat.S_ISCHR(mode):
        return DeviceCamera(
            path,
            width=options.width,
            height=options.height,
            fps=options.fps,
            rotate=options.rotate,
            stall_seconds=options.stall_seconds,
        )
    if stat.S_ISREG(mode):
        return FileCamera(path, fps=options.fps, loop=options.loop, rotate=options.rotate)
    if stat.S_ISDIR(mode):
        raise CameraError(
            CameraReason.UNREADABLE,
            f"{path}: is a folder.",
            'For a folder of pictures set camera.source = "pictures" and camera.folder.',
        )
    raise CameraError(
        CameraReason.UNREADABLE,
        f"{path}: is neither a camera nor a file.",
        "Set camera.device to a camera, a video file or an address.",
    )


def _mode(path: Path) -> int:
    """Return the kind of file that ``path`` is, or raise why that cannot be told."""
    try:
        return path.stat().st_mode
    except FileNotFoundError as error:
        if path.is_relative_to("/dev"):
            raise no_camera(path) from error
        raise CameraError(
            CameraReason.NOT_FOUND,
            f"{path}: there is no such file.",
            "Check the path in camera.device.",
        ) from error
    except OSError as error:
        raise file_error(path, error) from error
