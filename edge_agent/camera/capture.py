"""The thread that reads the camera, reopens it after a failure, and records silence as a gap.

Silence is the time without a new picture. A sensor's noise makes each of its pictures another one,
so one with the same pixels as the last is the last one once more: whatever sends it is alive, and
knows nothing new.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from edge_agent.camera.base import Camera, DriverStuckError
from edge_agent.core import clock
from edge_agent.core.errors import CameraError, CameraReason
from edge_agent.core.expression import Frame
from edge_agent.core.pauses import Pauses, doubling, pause_after
from edge_agent.core.pictures import are_equal, is_of_one_colour
from edge_agent.core.readings import STARTING, STOPPED, Gap
from edge_agent.core.texts import N_, Message
from edge_agent.core.threads import LatestValue, Worker

if TYPE_CHECKING:
    from edge_agent.core.expression import Image

log = logging.getLogger(__name__)

PAUSES_S = doubling(1.0, 30.0)
"""Pauses before a failed camera is opened again; one unplugged for a night must not fill the log.
"""
CLOSED_POLL_S = 0.5
LATE_PERIODS = 3.0
LATE_S = 3.0
"""So many periods of the camera without a frame, and at least so many seconds, are a gap."""
_STILL = frozenset({CameraReason.STANDS_STILL, CameraReason.LENS_COVERED})
"""Failures of a camera that sends one picture again and again."""


class CaptureWorker(Worker):
    """Reads frames and keeps the latest, while capture is allowed.

    Args:
        open_camera: opens the camera anew; raises ``CameraError``.
        latest_frame: receives each frame; its reader gets only the newest.
        on_gap: called with each interval without frames, once it is over.
        on_end: called at the end of a file or folder.
        may_capture: returns whether the camera may be read now; otherwise it is closed.
        gap_reason: returns why nothing may be captured although it should be recorded, which makes
            a gap; ``None``: nothing should be recorded.
        period_s: seconds from one frame to the next; of a camera that sets its own pace, at least.
        still_s: seconds with one and the same picture after which the camera has failed.

    Attributes:
        frames: number of frames passed on; none shows the picture of the one before.
        begun_s: boot clock when the camera was last opened, seconds.
        failure: the reason why no frames come, until they come again or none are expected.
        ended: whether a file or folder has ended.

    Example::

        latest: LatestValue[Frame] = LatestValue()
        worker = CaptureWorker(open_it, latest, print, print, may_capture=lambda: True)
        worker.start()
        latest.take(timeout_s=1.0)  # the newest frame
    """

    def __init__(
        self,
        open_camera: Callable[[], Camera],
        latest_frame: LatestValue[Frame],
        on_gap: Callable[[Gap], None],
        on_end: Callable[[], None],
        may_capture: Callable[[], bool],
        gap_reason: Callable[[], str | None] = lambda: None,
        period_s: float = 0.0,
        still_s: float = 5.0,
    ) -> None:
        super().__init__("capture")
        self._open_camera = open_camera
        self._latest_frame = latest_frame
        self._on_gap = on_gap
        self._on_end = on_end
        self._may_capture = may_capture
        self._reason_to_pause = gap_reason
        self._period_s = self._usual_s = period_s
        self._still_s = still_s
        self._picture: Image | None = None
        self._is_starting = False
        self._camera: Camera | None = None
        self._gap_start: clock.Instant | None = None
        self._gap_reason: str | None = None
        self._pauses = Pauses(PAUSES_S)
        self.frames = 0
        self.failure: CameraError | None = None
        self.ended = False
        self.begun_s = clock.boot_seconds()
        self._silent_since = self._frame_came = clock.now()

    @property
    def silent_s(self) -> float:
        """Seconds without any frame, a repeated one included, though one may be captured."""
        return clock.now().seconds_since(self._frame_came)

    @property
    def is_idle(self) -> bool:
        """Tell whether no frame is expected: nothing may be captured, or the file has ended."""
        return self.ended or not self._may_capture()

    def stop(self) -> None:
        """Ask the thread to end; a read that waits for a frame ends at once."""
        super().stop()
        if self._camera is not None:
            with suppress(CameraError):  # a driver that hangs ends with the process
                self._camera.close()

    def work(self) -> None:
        """Open, read and reopen until stopped or until a file ends."""
        self._silent_since = self._frame_came = clock.now()
        while not self.stopping.is_set() and not self.ended:
            if not self._may_capture():
                self._pause()
                continue
            if self.failure is None:
                self._close_gap()  # one in which the camera was switched off
            try:
                self.begun_s = clock.boot_seconds()
                with self._open_camera() as camera:
                    log.info("camera %s is open", camera.name)
                    self._camera = camera
                    self._read(camera)
            except DriverStuckError:
                raise  # only a new process helps: the agent ends and is started again
            except CameraError as error:
                if not self.stopping.is_set():
                    self._handle_failure(error)
        self._close_gap()

    def _pause(self) -> None:
        """Wait while nothing may be captured; begin a gap if it should be recorded."""
        reason = self._reason_to_pause()
        self._end_silence()
        self._picture = None  # none is kept while none may be made
        if self.failure is not None or reason != self._gap_reason:
            self._forget_failure()
        if reason is not None and self._gap_start is None:
            log.info("the camera is closed (%s)", reason)
            self._begin_gap(reason)
        self.stopping.wait(CLOSED_POLL_S)

    def _read(self, camera: Camera) -> None:
        self._usual_s = self._period_s
        self._is_starting = True
        opened = clock.now()
        while not self.stopping.is_set() and self._may_capture():
            frame = camera.read()
            if not camera.repeats and not self._is_new(frame):
                self._bear_repetition(camera, frame, opened)
                continue
            waited_s = self._end_silence()
            self._is_starting = False
            if camera.sets_pace and frame.number > 0:  # its last interval tells of the next
                self._usual_s = max(self._period_s, waited_s)
            self._forget_failure()
            self.frames += 1
            self._latest_frame.put(frame)

    def _is_new(self, frame: Frame) -> bool:
        """Return whether a frame has another picture than the one before.

        The first one is not known to be new: it may be an hour old.
        """
        last = self._picture
        self._picture = frame.image
        return last is not None and not are_equal(last, frame.image)

    def _bear_repetition(self, camera: Camera, frame: Frame, opened: clock.Instant) -> None:
        """Go on while the picture stands still; raise once that has lasted too long.

        A camera that was opened again in vain stays open for longer each time, so that its first
        new picture is seen at once.
        """
        self._frame_came = at = clock.now()
        begun = max(opened, self._silent_since, key=lambda moment: moment.boot_ms)
        longest_s = max(self._still_s, LATE_PERIODS * self._usual_s)
        if self._stands_still:
            longest_s += pause_after(self._pauses.failures, PAUSES_S)
        if at.seconds_since(begun) >= longest_s:
            still_s = at.seconds_since(self._silent_since)
            raise still_error(camera.name, frame.image, still_s)

    @property
    def _stands_still(self) -> bool:
        return self.failure is not None and self.failure.reason in _STILL

    def _handle_failure(self, error: CameraError) -> None:
        if error.reason is CameraReason.END_OF_FILE:
            log.info("nothing more to show: %s", error)
            self.ended = True
            self._on_end()
            return
        if self.failure is None or self.failure.reason is not error.reason:
            log.error("no frames: %s", error)
        self.failure = error
        if self._gap_start is None:
            self._begin_gap(error.reason.value, self._silent_since)
        pause_s = self._pauses.after_failure()
        self._wait(PAUSES_S[0] if self._stands_still else pause_s)

    def _wait(self, seconds: float) -> None:
        """Wait, but end early when capture is no longer allowed."""
        until_s = clock.boot_seconds() + seconds
        while self._may_capture() and (left := until_s - clock.boot_seconds()) > 0:
            if self.stopping.wait(min(left, CLOSED_POLL_S)):
                return

    def _forget_failure(self) -> None:
        """End the gap and its failure: frames come again, or none are expected."""
        self._pauses.reset()
        self.failure = None
        self._close_gap()

    def _end_silence(self) -> float:
        """Begin the next silence; record one that was too long and that no other gap covers.

        It ends with a new picture, or where nothing may be captured. Whatever stands still (this
        process, the machine, a driver) is found afterwards by the boot clock, which counts on while
        the machine sleeps.

        Returns:
            Seconds that it lasted.
        """
        since, frame_came, at = self._silent_since, self._frame_came, clock.now()
        self._silent_since = self._frame_came = at
        waited_s = at.seconds_since(since)
        longest_s = max(LATE_PERIODS * self._usual_s, LATE_S)
        if self._gap_start is None and waited_s > longest_s:
            was_alive = frame_came != since and at.seconds_since(frame_came) <= longest_s
            stood = STARTING if self._is_starting else STOPPED
            reason = CameraReason.STANDS_STILL.value if was_alive else stood
            self._tell_gap(Gap("camera", since, at, reason))
        return waited_s

    def _begin_gap(self, reason: str, start: clock.Instant | None = None) -> None:
        self._gap_start = start or clock.now()
        self._gap_reason = reason

    def _close_gap(self) -> None:
        if self._gap_start is None or self._gap_reason is None:
            return
        gap = Gap("camera", self._gap_start, clock.now(), self._gap_reason)
        self._gap_start = self._gap_reason = None
        self._silent_since = self._frame_came = gap.end
        self._tell_gap(gap)

    def _tell_gap(self, gap: Gap) -> None:
        log.info("no frames came for %.1f s (%s)", gap.end.seconds_since(gap.start), gap.reason)
        self._on_gap(gap)


def still_error(name: str, image: Image, seconds: float) -> CameraError:
    """Return the error of a camera that has sent one and the same picture for that long."""
    if is_of_one_colour(image):
        return CameraError(
            CameraReason.LENS_COVERED,
            Message(
                N_("{name}: the picture has had nothing but one colour for {seconds:.0f} s."),
                name=name,
                seconds=seconds,
            ),
            N_("Uncover the lens, or switch on a light; else restart the camera."),
        )
    return CameraError(
        CameraReason.STANDS_STILL,
        Message(
            N_("{name}: the picture stands still, it has been the same for {seconds:.0f} s."),
            name=name,
            seconds=seconds,
        ),
        N_("Restart the camera, or what passes its pictures on; it is opened again."),
    )
