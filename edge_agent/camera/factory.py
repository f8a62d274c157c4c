"""Opens the camera that the configuration names."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import assert_never

from edge_agent.camera.base import Camera
from edge_agent.config.camera import CameraSettings
from edge_agent.core.errors import CameraError, CameraReason

log = logging.getLogger(__name__)


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
            return _open_opencv(options)
        case "snapshot":
            return _open_snapshot(options)
        case "pictures":
            return _open_pictures(options)
        case "demo":
            return _open_demo(options)
        case _:
            assert_never(options.source)


def _open_pi(options: CameraSettings) -> Camera:
    from edge_agent.camera.picamera import PicameraCamera

    return PicameraCamera(
        width=options.width,
        height=options.height,
        fps=options.fps,
        rotate=options.rotate,
        stall_seconds=options.stall_seconds,
    )


def _open_node(options: CameraSettings, node: Path) -> Camera:
    from edge_agent.camera.device import DeviceCamera

    return DeviceCamera(
        node,
        width=options.width,
        height=options.height,
        fps=options.fps,
        rotate=options.rotate,
        stall_seconds=options.stall_seconds,
    )


def _open_opencv(options: CameraSettings) -> Camera:
    from edge_agent.camera.opencv import open_opencv

    return open_opencv(options)


def _open_snapshot(options: CameraSettings) -> Camera:
    from edge_agent.camera.snapshot import SnapshotCamera

    return SnapshotCamera(
        options.device,
        interval_s=options.snapshot_seconds,
        rotate=options.rotate,
        stall_seconds=options.stall_seconds,
    )


def _open_pictures(options: CameraSettings) -> Camera:
    from edge_agent.camera.pictures import PicturesCamera

    return PicturesCamera(
        options.folder.expanduser(),
        width=options.width,
        height=options.height,
        fps=options.fps,
        loop=options.loop,
        rotate=options.rotate,
    )


def _open_demo(options: CameraSettings) -> Camera:
    from edge_agent.camera.demo import DemoCamera

    return DemoCamera(
        width=options.width, height=options.height, fps=options.fps, rotate=options.rotate
    )


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
    from edge_agent.camera.v4l2 import nodes

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
        CameraReason.NOT_FOUND,
        f"there is no usable camera among {devices}/video….",
        "Plug one in.",
    )


def _nothing_found(pi_error: CameraError, usb_error: CameraError) -> CameraError:
    """Join why neither kind of camera could be opened.

    The more telling reason of the two is kept.
    """
    vague = {CameraReason.NOT_FOUND, CameraReason.LIBCAMERA_MISSING}
    reason = next(
        (e.reason for e in (usb_error, pi_error) if e.reason not in vague), CameraReason.NOT_FOUND
    )
    return CameraError(
        reason,
        f"No camera can be used.\n- Pi camera: {pi_error}\n- USB camera: {usb_error}\n",
        'To try without a camera: `affect-edge demo`, or camera.source = "demo".',
    )
