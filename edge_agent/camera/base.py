"""The interface of a camera, and the parts that all kinds share: pace, rotation, deadlines."""

from __future__ import annotations

import logging
import queue
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Self, TypeVar

from edge_agent.config.camera import Rotation
from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.errors import CameraError, CameraReason
from edge_agent.core.expression import Frame

if TYPE_CHECKING:
    from edge_agent.core.expression import Image

log = logging.getLogger(__name__)

T = TypeVar("T")
_Call = tuple[Callable[[], Any], Future[Any]]
GRACE_S = 2.0
"""Seconds a driver gets beyond its own timeout before it counts as stuck."""
CLOSE_S = 3.0
"""Seconds a driver gets to release its device: the agent has five to end."""
_LATE_S = 0.5


class DriverStuckError(CameraError):
    """The driver of a camera hangs in a call that cannot be interrupted.

    Only a new process helps: the supervisor should restart the process instead of opening the
    camera again. The reason is always ``stalled``.
    """


class Camera(ABC):
    """A source of frames: counts, stamps and turns those of its kind.

    ``read`` is called from one thread, ``close`` from any. The kind gives ``_next_frame`` and
    ``_release``.

    Args:
        name: kind and device.
        rotate: clockwise rotation of every frame in degrees.

    Attributes:
        name: as given, for logs and the health page; never contains a password.
        simulated: whether the pictures show no person who is present now; rows made of them are
            marked as simulated.
        repeats: whether equal pictures may follow each other, as those of a file; a sensor's noise
            makes each of its pictures another one.
        sets_pace: whether the camera decides how often frames come; otherwise they were asked for.
        view: the part of the sensor's field of view in the picture, in words; empty: not known.
    """

    simulated = False
    repeats = False
    sets_pace = False
    view = ""

    def __init__(self, name: str, rotate: Rotation) -> None:
        self.name = name
        self._rotate = rotate
        self._count = 0
        self._closed = threading.Event()

    def read(self) -> Frame:
        """Wait for the next frame at the camera's pace and return it.

        The picture is uint8, height × width × 3, BGR, contiguous.

        Raises:
            CameraError: with its reason. ``end_of_file`` is final; after any other reason the
                camera may be closed and opened again.
            DriverStuckError: reopening cannot help, only a new process can.
        """
        if self._closed.is_set():
            raise closed_error(self.name)
        image, at = self._next_frame()
        frame = Frame(image=turn_clockwise(image, self._rotate), at=at, number=self._count)
        self._count += 1
        return frame

    def close(self) -> None:
        """Release the device within three seconds.

        A ``read`` that waits ends with ``CameraError``. Closing twice does nothing.

        Raises:
            DriverStuckError: the driver does not release the device.
        """
        if self._closed.is_set():
            return
        self._closed.set()
        self._release()
        log.info("camera %s closed", self.name)

    def __enter__(self) -> Self:
        """Return the camera."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close the camera."""
        self.close()

    @abstractmethod
    def _next_frame(self) -> tuple[Image, Instant]:
        """Return the next picture (BGR) and when it was taken."""

    def _release(self) -> None:  # noqa: B027 - a kind that holds nothing has nothing to do
        """Release what the camera holds."""


def closed_error(name: str) -> CameraError:
    """Return the error of reading from a camera that was closed."""
    problem = f"{name}: the camera was closed."
    return CameraError(CameraReason.END_OF_FILE, problem, "Open it again.")


def stuck_error(name: str, seconds: float) -> DriverStuckError:
    """Return the error of a driver that has hung for that long."""
    return DriverStuckError(
        CameraReason.STALLED,
        f"{name}: the driver has not come back for {seconds:.1f} s and cannot be interrupted.",
        "Restart the agent; if that does not help, unplug the camera.",
    )


def turn_clockwise(image: Image, degrees: Rotation) -> Image:
    """Return the picture turned clockwise by ``degrees``, C-contiguous."""
    import cv2
    import numpy as np

    if degrees == 0:
        return np.ascontiguousarray(image)
    codes = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}
    return np.ascontiguousarray(cv2.rotate(image, codes[degrees]), dtype=np.uint8)


class Pace:
    """Lets one tick pass every 1/fps seconds, by the boot clock.

    A reader that comes late gets its tick at once; one that comes more than half a second late has
    lost that time, and the ticks go on from there, so that a pause is never followed by a burst.

    Args:
        fps: ticks per second, above 0.
        closed: ends a wait early when set.

    Example:
        >>> pace = Pace(10.0, threading.Event())
        >>> pace.wait()  # a tenth of a second later each time
        True
    """

    def __init__(self, fps: float, closed: threading.Event) -> None:
        self._period = 1.0 / fps
        self._closed = closed
        self._due: float | None = None

    def wait(self) -> bool:
        """Wait for the next tick; return ``False`` when the camera was closed meanwhile."""
        present = clock.boot_seconds()
        if self._due is None or present - self._due > _LATE_S:
            self._due = present
        if self._due > present and self._closed.wait(self._due - present):
            return False
        self._due += self._period
        return not self._closed.is_set()


class Helper:
    """Makes calls that may hang on a separate thread, so that the caller can give up on them.

    Calls are made one after the other. The thread is a daemon: a hung driver does not keep the
    process from ending.

    Example:
        >>> helper = Helper("camera")
        >>> helper.call(lambda: 1 + 1, seconds=2.0)  # raises ``TimeoutError`` after two seconds
        2
        >>> helper.stop()
    """

    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def call(self, function: Callable[[], T], seconds: float) -> T:
        """Return what ``function`` returns, or raise what it raises.

        Raises:
            TimeoutError: it did not end within ``seconds``; a later result is discarded.
        """
        future = self.submit(function)
        try:
            return future.result(seconds)
        except TimeoutError:
            future.cancel()  # a call that has not begun behind a hung one shall never begin
            raise

    def submit(self, function: Callable[[], T]) -> Future[T]:
        """Queue a call and return at once; the future gets its result or its error."""
        future: Future[T] = Future()
        self._calls.put((function, future))
        return future

    def stop(self) -> None:
        """End the thread after the present call; return at once."""
        self._calls.put(None)

    def _run(self) -> None:
        while (item := self._calls.get()) is not None:
            function, future = item
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(function())
            except Exception as error:  # noqa: BLE001 - the top of a thread: raised again in the caller's
                future.set_exception(error)
            del item, function, future  # free the result of a late call now
