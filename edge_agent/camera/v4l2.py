"""Asks a Video4Linux node whether it is a camera, its name, and whether it is busy.

OpenCV does not tell.

Numbers and layouts are those of ``linux/videodev2.h``, part of the kernel's stable interface.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import struct
from dataclasses import dataclass
from pathlib import Path

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
"""Nodes of the Pi's own camera pipeline: they give raw or no pictures without libcamera."""


@dataclass(frozen=True, slots=True)
class Node:
    """A Video4Linux node that could be opened."""

    path: Path
    driver: str
    card: str
    captures: bool

    @property
    def is_camera(self) -> bool:
        """Whether OpenCV can take pictures from it."""
        return self.captures and self.driver not in LIBCAMERA_DRIVERS


def parse_capability(path: Path, data: bytes) -> Node:
    """Return what a ``struct v4l2_capability`` (104 bytes) says about a node."""
    driver, card, _bus, _version, capabilities, device_caps, *_reserved = _CAPABILITY.unpack(data)
    flags = device_caps if capabilities & _DEVICE_CAPS else capabilities
    return Node(path, _text(driver), _text(card), captures=bool(flags & _CAPTURE))


def ask(path: Path) -> Node:
    """Open a node and ask what it is.

    Raises:
        OSError: it cannot be opened (``ENOENT``, ``EACCES``, ``EBUSY``) or is no Video4Linux node
            (``ENOTTY``).
    """
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
            fcntl.ioctl(
                handle,
                _REQBUFS,
                bytearray(_REQUEST.pack(count, _BUFFER_CAPTURE, _MEMORY_MMAP, 0, 0)),
            )
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
