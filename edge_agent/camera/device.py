"""A camera behind a Video4Linux node, such as a USB camera."""

from __future__ import annotations

import errno
import math
import os
from pathlib import Path

import cv2

from edge_agent.camera import v4l2
from edge_agent.camera.live import LiveCamera
from edge_agent.camera.pixels import quiet_opencv
from edge_agent.config.camera import Rotation
from edge_agent.core.errors import CameraError, CameraReason


class DeviceCamera(LiveCamera):
    """A camera behind a Video4Linux node, such as a USB camera.

    Raises:
        CameraError: there is no such node, it is busy, not allowed, no camera, or gives no frame.

    Example::

        with DeviceCamera(Path("/dev/video0"), width=640, height=480, fps=15) as camera:
            frame = camera.read()
    """

    def __init__(
        self,
        path: Path,
        *,
        width: int,
        height: int,
        fps: float,
        rotate: Rotation = 0,
        stall_seconds: float = 5.0,
    ) -> None:
        quiet_opencv()
        node = _camera_node(path)

        seconds = max(stall_seconds, 2 / fps)
        # OpenCV reads this at the first frame of the first device, in whole seconds.
        os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", str(math.ceil(seconds)))

        def open_capture() -> cv2.VideoCapture:
            return _open_device(path, width, height, fps)

        def lost(waited: float) -> CameraError:
            if not path.exists():
                return CameraError(
                    CameraReason.NOT_FOUND,
                    f"{path}: the camera was unplugged.",
                    "Plug it in again and check its cable.",
                )
            return CameraError(
                CameraReason.STALLED,
                f"{path}: no frame for {waited:.1f} s.",
                "Check cable and power of the camera; it is opened again.",
            )

        super().__init__(f"opencv:{path} ({node.card})", open_capture, lost, seconds, rotate)


def _camera_node(path: Path) -> v4l2.Node:
    """Return what the node says it is, or raise why it cannot be used."""
    try:
        node = v4l2.ask(path)
    except OSError as error:
        raise device_error(path, error) from error
    if node.is_camera:
        return node
    cure = "Choose another /dev/video… in camera.device."
    if node.driver in v4l2.LIBCAMERA_DRIVERS:
        cure = 'It belongs to the Raspberry Pi\'s own camera: set camera.source = "picamera2".'
    raise CameraError(
        CameraReason.UNREADABLE,
        f"{path}: {node.card or node.driver} gives no pictures.",
        cure,
    )


def _open_device(path: Path, width: int, height: int, fps: float) -> cv2.VideoCapture:
    capture = cv2.VideoCapture(str(path), cv2.CAP_V4L2)
    if not capture.isOpened():
        capture.release()
        if v4l2.is_busy(path):
            raise _busy(path)
        raise CameraError(
            CameraReason.UNREADABLE,
            f"{path}: OpenCV cannot take pictures from it.",
            "Check with `v4l2-ctl --list-formats-ext` that it gives MJPEG or YUYV.",
        )
    if width * height > 640 * 480:
        # uncompressed, larger pictures do not fit through USB 2 at a useful rate
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
    wishes = (
        (cv2.CAP_PROP_FRAME_WIDTH, width),
        (cv2.CAP_PROP_FRAME_HEIGHT, height),
        (cv2.CAP_PROP_FPS, fps),
    )
    for key, value in (*wishes, (cv2.CAP_PROP_BUFFERSIZE, 1)):
        # one buffer: the newest frame, not a stored one
        capture.set(key, value)
    return capture


def device_error(path: Path, error: OSError) -> CameraError:
    """Translate what the system says when a camera node is opened or asked."""
    if error.errno in {errno.ENOENT, errno.ENODEV, errno.ENXIO}:
        return no_camera(path)
    if error.errno in {errno.EACCES, errno.EPERM}:
        return CameraError(
            CameraReason.NO_PERMISSION,
            f"{path}: this user may not use the camera.",
            "Put the user into its group: sudo usermod -aG video $USER, then log in again.",
        )
    if error.errno == errno.EBUSY:
        return _busy(path)
    return CameraError(
        CameraReason.UNREADABLE,
        f"{path}: is no camera ({error.strerror}).",
        "Choose a camera in camera.device; `v4l2-ctl --list-devices` lists them.",
    )


def no_camera(path: Path) -> CameraError:
    """Return the error of a node that does not exist."""
    return CameraError(
        CameraReason.NOT_FOUND,
        f"{path}: there is no such camera.",
        "Plug it in; `v4l2-ctl --list-devices` lists what is there.",
    )


def _busy(path: Path) -> CameraError:
    return CameraError(
        CameraReason.BUSY,
        f"{path}: another program uses the camera.",
        f"End that program; `fuser -v {path}` names it.",
    )
