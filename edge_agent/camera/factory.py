"""Opens the camera that the configuration names."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal, assert_never

from edge_agent.camera.base import Camera, Rotation
from edge_agent.core.errors import CameraError, CameraReason

log = logging.getLogger(__name__)

Source = Literal["auto", "picamera2", "opencv", "pictures", "demo"]


def open_camera(
    source: Source,
    *,
    device: str = "0",
    folder: Path = Path("pictures"),
    width: int = 640,
    height: int = 480,
    fps: float = 15.0,
    loop: bool = False,
    rotate: Rotation = 0,
    stall_seconds: float = 5.0,
) -> Camera:
    """Open a camera; each kind loads its libraries only when it is asked for.

    Args:
        source: kind of camera; ``auto`` takes the Pi's own camera, else the first USB camera that
            gives a frame.
        device: for ``opencv``: number or node, video file, or address.
        folder: for ``pictures``.
        width: asked of the camera, pixels; ``pictures`` and ``demo`` give exactly this.
        height: likewise.
        fps: frames per second asked of the camera; of files at the most.
        loop: whether video files and folders start again at their end.
        rotate: clockwise rotation of every frame, degrees.
        stall_seconds: without a frame for this long, live cameras raise ``stalled``.

    Raises:
        CameraError: it cannot be opened; the text says why and what to do.
    """
    match source:
        case "auto":
            return _open_auto(
                partial(_open_pi, width, height, fps, rotate, stall_seconds),
                partial(
                    _open_node,
                    width=width,
                    height=height,
                    fps=fps,
                    rotate=rotate,
                    stall_seconds=stall_seconds,
                ),
            )
        case "picamera2":
            return _open_pi(width, height, fps, rotate, stall_seconds)
        case "opencv":
            from edge_agent.camera.opencv import open_opencv

            return open_opencv(
                device,
                width=width,
                height=height,
                fps=fps,
                loop=loop,
                rotate=rotate,
                stall_seconds=stall_seconds,
            )
        case "pictures":
            from edge_agent.camera.pictures import PicturesCamera

            return PicturesCamera(
                folder.expanduser(), width=width, height=height, fps=fps, loop=loop, rotate=rotate
            )
        case "demo":
            from edge_agent.camera.demo import DemoCamera

            return DemoCamera(width=width, height=height, fps=fps, rotate=rotate)
        case _:
            assert_never(source)


def _open_pi(width: int, height: int, fps: float, rotate: Rotation, stall_seconds: float) -> Camera:
    from edge_agent.camera.picamera import PicameraCamera

    return PicameraCamera(
        width=width, height=height, fps=fps, rotate=rotate, stall_seconds=stall_seconds
    )


def _open_node(
    node: Path, *, width: int, height: int, fps: float, rotate: Rotation, stall_seconds: float
) -> Camera:
    from edge_agent.camera.device import DeviceCamera

    return DeviceCamera(
        node, width=width, height=height, fps=fps, rotate=rotate, stall_seconds=stall_seconds
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
        CameraReason.NOT_FOUND, f"there is no usable camera among {devices}/video….", "Plug one in."
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
