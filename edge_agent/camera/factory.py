"""The camera that the configuration names; of OpenCV's, what ``camera.device`` names."""

from __future__ import annotations

import logging
import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import assert_never

from edge_agent.camera.base import Camera
from edge_agent.camera.device import DeviceCamera, no_camera, nodes
from edge_agent.camera.files import FileCamera, PicturesCamera, file_error
from edge_agent.camera.network import SnapshotCamera, StreamCamera
from edge_agent.camera.pixels import quiet_opencv
from edge_agent.config.camera import CameraSettings
from edge_agent.core.errors import CameraError, CameraReason

log = logging.getLogger(__name__)

_PICTURE = {"width", "height", "fps", "rotate"}
_DRIVER = _PICTURE | {"stall_seconds"}
"""Keys of ``[camera]`` that several kinds take by their names."""


def open_camera(options: CameraSettings) -> Camera:
    """Open a camera; each kind loads its libraries only when it is asked for.

    Raises:
        CameraError: it cannot be opened; the text says why and what to do.
    """
    match options.source:
        case "auto":
            return _open_auto(partial(_open_pi, options), partial(_open_node, options))
        case "picamera2":
            return _open_pi(options)
        case "opencv":
            return open_opencv(options)
        case "snapshot":
            return SnapshotCamera(
                options.device,
                interval_s=options.snapshot_seconds,
                rotate=options.rotate,
                stall_seconds=options.stall_seconds,
            )
        case "pictures":
            folder = options.folder.expanduser()
            return PicturesCamera(folder, loop=options.loop, **options.model_dump(include=_PICTURE))
        case "demo":
            from edge_agent.camera.demo import DemoCamera

            return DemoCamera(**options.model_dump(include=_PICTURE))
        case _:
            assert_never(options.source)


def _open_pi(options: CameraSettings) -> Camera:
    from edge_agent.camera.picamera import PicameraCamera

    return PicameraCamera(**options.model_dump(include=_DRIVER))


def _open_node(options: CameraSettings, node: Path) -> Camera:
    return DeviceCamera(node, **options.model_dump(include=_DRIVER))


def _open_auto(
    open_pi: Callable[[], Camera], open_node: Callable[[Path], Camera], devices: Path = Path("/dev")
) -> Camera:
    """Open the Pi's camera, else the first USB camera; raise with the reasons of both."""
    try:
        return open_pi()
    except CameraError as error:
        if error.reason in {CameraReason.BUSY, CameraReason.STALLED}:
            # it is there: take no other in its place
            raise
        pi_error = error
    log.debug("no camera through picamera2 (%s); looking for a USB camera", pi_error.reason)
    try:
        return _open_first(open_node, devices)
    except CameraError as usb_error:
        raise _nothing_found(pi_error, usb_error) from usb_error


def _open_first(open_node: Callable[[Path], Camera], devices: Path) -> Camera:
    telling: CameraError | None = None
    for node in nodes(devices):
        try:
            return open_node(node)
        except CameraError as error:
            # Nodes that are no cameras say nothing; one that is busy or not allowed says what to
            # do.
            if error.reason is not CameraReason.UNREADABLE:
                telling = telling or error
    raise telling or CameraError(
        CameraReason.NOT_FOUND, f"there is no usable camera among {devices}/video….", "Plug one in."
    )


def _nothing_found(pi_error: CameraError, usb_error: CameraError) -> CameraError:
    """Join why neither kind of camera could be opened.

    The more telling reason of the two is kept.
    """
    vague = {CameraReason.NOT_FOUND, CameraReason.LIBCAMERA_MISSING}
    told = (error.reason for error in (usb_error, pi_error) if error.reason not in vague)
    return CameraError(
        next(told, CameraReason.NOT_FOUND),
        f"No camera can be used.\n- Pi camera: {pi_error}\n- USB camera: {usb_error}\n",
        'To try without a camera: `affect-edge demo`, or camera.source = "demo".',
    )


def open_opencv(options: CameraSettings) -> Camera:
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
        return _open_node(options, path)
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
