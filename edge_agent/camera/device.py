"""A camera behind a Video4Linux node, such as a USB camera.

OpenCV does not report whether a node is a camera, its name, or whether it is busy, so the node is
queried directly. Numbers and layouts are those of ``linux/videodev2.h``, part of the kernel's
stable interface.
"""

from __future__ import annotations

import errno
import fcntl
import math
import os
import re
import struct
from dataclasses import dataclass
from pathlib import Path

import cv2

from edge_agent.camera.decoding import quiet_opencv
from edge_agent.camera.pixels import LiveCamera
from edge_agent.config.camera import Rotation
from edge_agent.core.errors import CameraError, CameraReason
from edge_agent.core.texts import N_, Message

_QUERYCAP = 0x80685600  # _IOR('V', 0, struct v4l2_capability)
_REQBUFS = 0xC0145608  # _IOWR('V', 8, struct v4l2_requestbuffers)
# driver, card, bus, version, capabilities, device_caps, reserved × 3
_CAPABILITY = struct.Struct("16s32s32s6I")
_REQUEST = struct.Struct("5I")  # count, type, memory, capabilities, flags and reserved
_CAPTURE = 0x0000_0001 | 0x0000_1000  # V4L2_CAP_VIDEO_CAPTURE, …_MPLANE
_DEVICE_CAPS = 0x8000_0000
_BUFFER_CAPTURE = 1
_MEMORY_MMAP = 1

LIBCAMERA_DRIVERS = frozenset(
    {"unicam", "rp1-cfe", "bcm2835-isp", "bcm2835-codec", "pispbe", "rpi-hevc-dec"}
)
"""Drivers of the Pi's own camera pipeline, whose nodes need libcamera for usable pictures."""


@dataclass(frozen=True, slots=True)
class VideoNode:
    """A Video4Linux node that could be opened."""

    path: Path
    driver: str
    card: str
    captures: bool

    @property
    def is_camera(self) -> bool:
        """Tell whether OpenCV can take pictures from it."""
        return self.captures and self.driver not in LIBCAMERA_DRIVERS


def parse_capability(path: Path, data: bytes) -> VideoNode:
    """Parse a ``struct v4l2_capability`` (104 bytes) of a node."""
    driver, card, _bus, _version, capabilities, device_caps, *_reserved = _CAPABILITY.unpack(data)
    # A USB camera has a second node for metadata; only device_caps are those of this node
    # (VIDIOC_QUERYCAP).
    flags = device_caps if capabilities & _DEVICE_CAPS else capabilities
    return VideoNode(path, _text(driver), _text(card), captures=bool(flags & _CAPTURE))


def ask(path: Path) -> VideoNode:
    """Open a node and query its capabilities.

    Raises:
        OSError: it cannot be opened (``ENOENT``, ``EACCES``, ``EBUSY``) or is no Video4Linux node
            (``ENOTTY``).
    """
    # Opening takes nothing away: a node may be opened many times, and only streaming is exclusive.
    handle = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        data = bytearray(_CAPABILITY.size)
        fcntl.ioctl(handle, _QUERYCAP, data)
    finally:
        os.close(handle)
    return parse_capability(path, bytes(data))


def is_busy(path: Path) -> bool:
    """Return whether another program streams from a node.

    Only then does a request for a buffer fail with ``EBUSY``.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        return error.errno == errno.EBUSY
    try:
        for count in (1, 0):  # 0 gives the buffer back
            request = _REQUEST.pack(count, _BUFFER_CAPTURE, _MEMORY_MMAP, 0, 0)
            fcntl.ioctl(handle, _REQBUFS, bytearray(request))
    except OSError as error:
        return error.errno == errno.EBUSY
    finally:
        os.close(handle)
    return False


def nodes(folder: Path) -> list[Path]:
    """Return the ``videoN`` nodes in ``folder`` by number."""
    numbered = ((re.fullmatch(r"video(\d+)", path.name), path) for path in folder.glob("video*"))
    return [
        path for _number, path in sorted((int(match[1]), path) for match, path in numbered if match)
    ]


def _text(raw: bytes) -> str:
    return raw.split(b"\0")[0].decode("ascii", errors="replace")


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

        def lost_error(waited: float) -> CameraError:
            if not path.exists():
                return CameraError(
                    CameraReason.NOT_FOUND,
                    Message(N_("{path}: the camera was unplugged."), path=path),
                    N_("Plug it in again and check its cable."),
                )
            return CameraError(
                CameraReason.STALLED,
                Message(N_("{path}: no frame for {seconds:.1f} s."), path=path, seconds=waited),
                N_("Check cable and power of the camera; it is opened again."),
            )

        super().__init__(f"opencv:{path} ({node.card})", open_capture, lost_error, seconds, rotate)


def _camera_node(path: Path) -> VideoNode:
    """Return the node of a camera; raise if it cannot be used."""
    try:
        node = ask(path)
    except OSError as error:
        raise device_error(path, error) from error
    if node.is_camera:
        return node
    cure = N_("Choose another /dev/video… in camera.device.")
    if node.driver in LIBCAMERA_DRIVERS:
        cure = N_('It belongs to the Raspberry Pi\'s own camera: set camera.source = "picamera2".')
    told = Message(
        N_("{path}: {device} gives no pictures."), path=path, device=node.card or node.driver
    )
    raise CameraError(CameraReason.UNREADABLE, told, cure)


def _open_device(path: Path, width: int, height: int, fps: float) -> cv2.VideoCapture:
    capture = cv2.VideoCapture(str(path), cv2.CAP_V4L2)
    if not capture.isOpened():
        capture.release()
        if is_busy(path):
            raise _busy(path)
        raise CameraError(
            CameraReason.UNREADABLE,
            Message(N_("{path}: OpenCV cannot take pictures from it."), path=path),
            N_("Check with `v4l2-ctl --list-formats-ext` that it gives MJPEG or YUYV."),
        )
    if width * height > 640 * 480:
        # uncompressed, larger pictures do not fit through USB 2 at a useful rate
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
    capture.set(cv2.CAP_PROP_FRAME_WIDTH, width)
    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, height)
    capture.set(cv2.CAP_PROP_FPS, fps)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # the newest frame, not a stored one
    return capture


def device_error(path: Path, error: OSError) -> CameraError:
    """Translate an error of opening or querying a camera node."""
    if error.errno in {errno.ENOENT, errno.ENODEV, errno.ENXIO}:
        return no_camera(path)
    if error.errno in {errno.EACCES, errno.EPERM}:
        return CameraError(
            CameraReason.NO_PERMISSION,
            Message(N_("{path}: this user may not use the camera."), path=path),
            N_("Put the user into its group: sudo usermod -aG video $USER, then log in again."),
        )
    if error.errno == errno.EBUSY:
        return _busy(path)
    return CameraError(
        CameraReason.UNREADABLE,
        Message(N_("{path}: is no camera ({error})."), path=path, error=error.strerror),
        N_("Choose a camera in camera.device; `v4l2-ctl --list-devices` lists them."),
    )


def no_camera(path: Path) -> CameraError:
    """Return the error of a node that does not exist."""
    return CameraError(
        CameraReason.NOT_FOUND,
        Message(N_("{path}: there is no such camera."), path=path),
        N_("Plug it in; `v4l2-ctl --list-devices` lists what is there."),
    )


def _busy(path: Path) -> CameraError:
    return CameraError(
        CameraReason.BUSY,
        Message(N_("{path}: another program uses the camera."), path=path),
        Message(N_("End that program; `fuser -v {path}` names it."), path=path),
    )
