"""OpenCV captures on a thread, since drivers and networks hang."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

from edge_agent.camera.base import CLOSE_S, GRACE_S, Camera, Helper, closed_error, stuck_error
from edge_agent.camera.decoding import as_bgr
from edge_agent.config.camera import Rotation
from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.errors import CameraError

if TYPE_CHECKING:
    from edge_agent.core.expression import Image


log = logging.getLogger(__name__)

T = TypeVar("T")


class Capture(Protocol):
    """The source of live frames: ``cv2.VideoCapture``, or one in a process of its own."""

    def grab(self) -> bool:
        """Wait for the next frame; return whether there is one."""

    def retrieve(self) -> tuple[bool, object]:
        """Return whether the frame can be decoded, and the picture."""

    def release(self) -> None:
        """Let go of the source."""


class LiveCamera(Camera):
    """An OpenCV capture that is opened, read and released on a helper thread with a deadline.

    Args:
        name: see ``Camera``.
        open_capture: opens it; raises ``CameraError``.
        lost: returns the error of a read that failed after that many seconds.
        seconds: without a frame for this long it has stalled.
        rotate: clockwise rotation of every frame, degrees.
    """

    starts_within_s = 0.0
    """Time for what must be started before it can be opened, seconds."""

    def hung_error(self, seconds: float) -> CameraError:
        """Return the error of a call that has hung for that long; it still holds the device."""
        return stuck_error(self.name, seconds)

    def __init__(
        self,
        name: str,
        open_capture: Callable[[], Capture],
        lost: Callable[[float], CameraError],
        seconds: float,
        rotate: Rotation,
    ) -> None:
        super().__init__(name, rotate)
        self._lost = lost
        self._seconds = seconds
        self._helper = Helper(f"camera {name}")
        try:
            within_s = seconds + GRACE_S + self.starts_within_s
            self._capture = self._call_in_time(open_capture, within_s)
            self._first: tuple[Image, Instant] | None = self._call_in_time(
                self._grab, seconds + GRACE_S
            )
        except CameraError:
            self._helper.stop()
            raise
        log.info("camera %s opened", name)

    def _next_frame(self) -> tuple[Image, Instant]:
        first = self._first
        self._first = None
        if first is not None:
            return first
        return self._call_in_time(self._grab, self._seconds + GRACE_S)

    def _grab(self) -> tuple[Image, Instant]:
        begun = clock.boot_seconds()
        grabbed = self._capture.grab()
        # After grab(), which waits for the frame, and before retrieve(), which decodes it.
        at = clock.now()
        ok, image = self._capture.retrieve() if grabbed else (False, None)
        if self._closed.is_set():
            raise closed_error(self.name)
        if not ok or image is None:
            raise self._lost(clock.boot_seconds() - begun)
        return as_bgr(image), at

    def _call_in_time(self, function: Callable[[], T], seconds: float) -> T:
        try:
            return self._helper.call(function, seconds)
        except TimeoutError as error:
            raise self.hung_error(seconds) from error

    def _release(self) -> None:
        try:
            self._call_in_time(self._capture.release, CLOSE_S)
        finally:
            self._helper.stop()
