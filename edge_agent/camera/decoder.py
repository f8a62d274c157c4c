"""Decodes pictures of the network in a process of its own, which has no rights but its pipes.

FFmpeg and libjpeg have had many holes, and whoever stands in the network can send them anything. So
they work on it in a process that can open neither files nor other processes; one that reads a
stream may also open connections. It sends plain pixels back, in bounds that are checked here.
"""

from __future__ import annotations

import fcntl
import json
import logging
import select
from contextlib import suppress
from io import BufferedReader
from typing import IO, TYPE_CHECKING, cast

import numpy as np

from edge_agent.camera.base import closed_error
from edge_agent.camera.decoder_worker import (
    DECODE,
    GRAB,
    NETWORK,
    OPEN,
    QUESTION,
    RETRIEVE,
    SIZE,
    YES,
)
from edge_agent.core.errors import CameraError, CameraReason
from edge_agent.core.helper.process import end_apart, start_apart
from edge_agent.core.pictures import MAX_PIXELS

if TYPE_CHECKING:
    from edge_agent.core.expression import Image

log = logging.getLogger(__name__)

START_S = 20.0
"""Longest start of the process: half a second on a desktop computer, some on a Raspberry Pi."""
_WORKER = "edge_agent.camera.decoder_worker"
_PIPE_BYTES = 1024 * 1024  # as much as an unprivileged process may ask for


class Decoder:
    """A process that decodes, with the methods of ``cv2.VideoCapture`` that a live camera needs.

    It is there when this returns, and ends with ``release``. Questions come from one thread at a
    time; ``release`` from any, and then whoever waits for an answer gets an error.

    It is started as a ``HelperProcess`` is, but asked in its own way: pixels are read from the pipe
    into the array where they stay. Messages would copy each picture twice, and take 1.2 MB of the
    25 that it has.

    Args:
        shown: the camera, for errors.
        network: whether it opens a stream itself.

    Raises:
        CameraError: it cannot be started, or not in time.

    Example::

        decoder = Decoder("http://192.0.2.7/image.jpg", network=False)
        image = decoder.decode(content)
        decoder.release()
    """

    def __init__(self, shown: str, *, network: bool) -> None:
        self._shown = shown
        self._is_released = False
        try:
            self._process = start_apart(_WORKER, *[NETWORK] * network)
        except OSError as error:
            raise CameraError(
                CameraReason.UNREADABLE,
                f"{shown}: the process that decodes its pictures cannot be started "
                f"({error.strerror}).",
                "Free some memory; the camera is opened again.",
            ) from error
        self._answers = cast("BufferedReader", self._process.stdout)
        with suppress(OSError):
            fcntl.fcntl(self._answers, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._wait_until_ready()

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def open(self, address: str, host: str, open_ms: int, read_ms: int) -> bool:
        """Open a stream; return whether it is one.

        Args:
            address: with a number for its host, since the process cannot ask for names.
            host: name by which a web server is asked; empty: as in the address.
            open_ms: longest wait for it.
            read_ms: longest wait for each frame.
        """
        wanted = {"address": address, "host": host, "open_ms": open_ms, "read_ms": read_ms}
        return self._is_given(OPEN, json.dumps(wanted).encode())

    def grab(self) -> bool:
        """Wait for the next frame of the stream; return whether there is one."""
        return self._is_given(GRAB)

    def retrieve(self) -> tuple[bool, Image | None]:
        """Return the frame that was grabbed, uint8 height × width × 3 BGR, if it can be decoded."""
        image = self._picture() if self._is_given(RETRIEVE) else None
        return image is not None, image

    def decode(self, content: bytes) -> Image | None:
        """Return the picture of a file as ``decoded_bytes`` does; ``None`` if it is broken."""
        return self._picture() if self._is_given(DECODE, content) else None

    def release(self) -> None:
        """End the process."""
        self._is_released = True
        end_apart(self._process)

    def _wait_until_ready(self) -> None:
        waiting = select.poll()
        waiting.register(self._answers, select.POLLIN)
        if not waiting.poll(START_S * 1000):
            self.release()
            raise CameraError(
                CameraReason.STALLED,
                f"{self._shown}: the process that decodes its pictures did not start in "
                f"{START_S:.0f} s.",
                "End other programs; the camera is opened again.",
            )
        if self._read(1) != YES:
            log.warning("this system does not let the process that decodes give up its rights")

    def _is_given(self, question: bytes, content: bytes = b"") -> bool:
        """Ask; return whether the answer says that there is something.

        Raises:
            CameraError: the process has ended.
        """
        questions = cast("IO[bytes]", self._process.stdin)
        try:
            questions.write(QUESTION.pack(question, len(content)))
            questions.write(content)
            questions.flush()
        except (OSError, ValueError):  # ValueError: released meanwhile
            raise self._end_error() from None
        return self._read(1) == YES

    def _picture(self) -> Image:
        height, width = SIZE.unpack(self._read(SIZE.size))
        if not 0 < height * width <= MAX_PIXELS:
            self.release()
            raise CameraError(
                CameraReason.UNREADABLE,
                f"{self._shown}: a picture has {width} × {height} pixels; up to "
                f"{MAX_PIXELS // 1_000_000} million are read.",
                "Set a smaller picture in the camera's own settings.",
            )
        image = np.empty((height, width, 3), np.uint8)
        try:
            read = self._answers.readinto(image.data.cast("B"))
        except (OSError, ValueError):
            read = 0
        if read < image.nbytes:
            raise self._end_error()
        return image

    def _read(self, length: int) -> bytes:
        try:
            content = self._answers.read(length)
        except (OSError, ValueError):
            content = b""
        if len(content) < length:
            raise self._end_error()
        return content

    def _end_error(self) -> CameraError:
        if self._is_released:
            return closed_error(self._shown)
        code = end_apart(self._process)
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        return CameraError(
            CameraReason.UNREADABLE,
            f"{self._shown}: the process that decodes its pictures ended {how}.",
            "The camera is opened again. If this comes back, set a smaller picture or another "
            "format in the camera's own settings.",
        )
