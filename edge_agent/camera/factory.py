"""Opens the configured camera (with OpenCV what ``camera.device`` names); lists all cameras."""

from __future__ import annotations

import logging
import stat
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import assert_never

from edge_agent.camera.base import Camera
from edge_agent.camera.decoding import quiet_opencv
from edge_agent.camera.device import DeviceCamera, ask, no_camera, nodes
from edge_agent.camera.network import SnapshotCamera, StreamCamera
from edge_agent.camera.picture_files import PicturesCamera
from edge_agent.camera.video_files import FileCamera, file_error
from edge_agent.config.camera import CameraSettings
from edge_agent.core.errors import CameraError, CameraReason

log = logging.getLogger(__name__)

_PICTURE = {"width", "height", "fps", "rotate"}
_DRIVER = _PICTURE | {"stall_seconds"}
"""Keys of ``[camera]`` that several kinds take as arguments of the same names."""
_PI = _DRIVER | {"number", "buffers"}


def open_camera(options: CameraSettings) -> Camera:
    """Open the configured camera; each kind loads its libraries only when it is used.

    Raises:
        CameraError: it cannot be opened; the text has the reason and the cure.
    """
    match options.source:
        case "auto" if options.number == 0:
            return _open_auto(partial(_open_pi, options), partial(_open_node, options))
        case "auto" | "picamera2":  # who numbers a camera wants no other in its place
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

    return PicameraCamera(**options.model_dump(include=_PI))


def _open_node(options: CameraSettings, node: Path) -> Camera:
    return DeviceCamera(node, **options.model_dump(include=_DRIVER))


def _open_auto(
    open_pi: Callable[[], Camera], open_node: Callable[[Path], Camera], devices: Path = Path("/dev")
) -> Camera:
    """Open the Pi's camera, else the first USB camera; raise with the reasons of both."""
    try:
        return open_pi()
    except CameraError as error:
        if error.reason in {CameraReason.BUSY, CameraReason.STALLED, CameraReason.OUT_OF_MEMORY}:
            # there is a camera, so no other one may take its place
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
            # Ignore nodes that are no cameras; the error of a busy or forbidden one has a cure.
            if error.reason is not CameraReason.UNREADABLE:
                telling = telling or error
    raise telling or CameraError(
        CameraReason.NOT_FOUND, f"there is no usable camera among {devices}/video….", "Plug one in."
    )


def _nothing_found(pi_error: CameraError, usb_error: CameraError) -> CameraError:
    """Join the errors of both kinds of camera, with the more specific of the two reasons."""
    vague = {CameraReason.NOT_FOUND, CameraReason.LIBCAMERA_MISSING}
    told = (error.reason for error in (usb_error, pi_error) if error.reason not in vague)
    return CameraError(
        next(told, CameraReason.NOT_FOUND),
        f"No camera can be used.\n- Pi camera: {pi_error}\n- USB camera: {usb_error}\n",
        'To try without a camera: `affect-edge demo`, or camera.source = "demo".',
    )


def open_opencv(options: CameraSettings) -> Camera:
    """Open the device, file or stream of ``options.device``.

    It may be a number or node (``0``, ``/dev/video0``), a video file, or the address of a stream.
    Width and height apply to devices; files and streams have their own size.

    Raises:
        CameraError: it cannot be opened, with the reason.
    """
    quiet_opencv()
    address = options.device
    device = address.reveal()
    if not device.strip():
        raise CameraError(
            CameraReason.NOT_FOUND,
            "camera.device is empty.",
            "Name a camera, a video file or an address there.",
        )
    if "://" in device:
        return StreamCamera(address, rotate=options.rotate, stall_seconds=options.stall_seconds)
    if address.shown != device:  # a login, and nothing before it that says how to get there
        raise CameraError(
            CameraReason.UNREADABLE,
            f"{address}: is no address, for it does not begin like rtsp:// or http://.",
            "Write camera.device like rtsp://user:password@host:554/path.",
        )
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


def list_cameras(devices: Path = Path("/dev")) -> list[str]:
    """Return the cameras of this machine, each with the key that chooses it.

    The Pi's own are left out where its libraries are missing.

    Raises:
        CameraError: the Pi's cameras cannot be listed.
    """
    from edge_agent.camera.picamera import connected_cameras

    models: list[str] = []
    try:
        models = connected_cameras()
    except CameraError as error:
        if error.reason is not CameraReason.LIBCAMERA_MISSING:
            raise
    cameras = [f"camera.number = {number}: {model}" for number, model in enumerate(models)]
    for path in nodes(devices):
        with suppress(OSError):
            node = ask(path)
            if node.is_camera:
                cameras.append(f'camera.device = "{path}": {node.card}')
    return cameras


def _mode(path: Path) -> int:
    """Return the mode of a file; raise a ``CameraError`` if it cannot be read."""
    try:
        return path.stat().st_mode
    except FileNotFoundError as error:
        # Files in memory are files, though they lie there.
        if path.is_relative_to("/dev") and not path.is_relative_to("/dev/shm"):  # noqa: S108 - makes none
            raise no_camera(path) from error
        raise CameraError(
            CameraReason.NOT_FOUND,
            f"{path}: there is no such file.",
            "Check the path in camera.device.",
        ) from error
    except OSError as error:
        raise file_error(path, error) from error
