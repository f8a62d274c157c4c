"""The thread that reads faces in the newest frame, as often as they need and as is allowed."""

from __future__ import annotations

from collections.abc import Callable

from edge_agent.core import clock
from edge_agent.core.expression import Frame, Recognition
from edge_agent.core.latest_value import LatestValue
from edge_agent.core.worker import Worker
from edge_agent.vision.governor import Governor
from edge_agent.vision.need import Effort
from edge_agent.vision.recognizer import Recognizer

TAKE_S = 0.25


class VisionWorker(Worker):
    """Takes the newest frame, recognizes, and hands on what was seen.

    Args:
        latest_frame: where the camera's thread puts the newest frame.
        recognizer: reads it.
        governor: says how often.
        on_recognition: gets what was seen.
        on_frame: gets the frame, too; it must not keep it. Then every frame is read.
        threads: of one inference, for what a frame costs.

    Attributes:
        frames: how many were taken.
        readings: how many of them were read; faces did not need it in the others.
        last_sign_s: boot clock when the last of the frames was done, seconds.

    Example::

        worker = VisionWorker(latest_frame, recognizer, governor, recorder.submit)
        worker.start()
    """

    def __init__(
        self,
        latest_frame: LatestValue[Frame],
        recognizer: Recognizer,
        governor: Governor,
        on_recognition: Callable[[Recognition], None],
        on_frame: Callable[[Frame, Recognition], None] | None = None,
        threads: int = 1,
    ) -> None:
        super().__init__("vision")
        self._latest_frame = latest_frame
        self._recognizer = recognizer
        self._governor = governor
        self._on_recognition = on_recognition
        self._on_frame = on_frame
        if on_frame is not None:
            recognizer.effort = Effort.EVERY_FRAME
        self._threads = threads
        self.frames = 0
        self.readings = 0
        self.last_sign_s = clock.boot_seconds()

    @property
    def effort(self) -> Effort:
        """How carefully faces are read."""
        return self._recognizer.effort

    def work(self) -> None:
        """Recognize until stopped, the frame that still waits included."""
        while (frame := self._latest_frame.take(TAKE_S)) is not None or not self.stopping.is_set():
            if frame is not None:
                self._read(frame)

    def _read(self, frame: Frame) -> None:
        begun_s = clock.boot_seconds()
        spent_s = clock.thread_cpu_seconds()
        if self._on_frame is not None or self._recognizer.is_due(frame):
            self._recognize(frame)
        self.frames += 1
        self.last_sign_s = clock.boot_seconds()
        cpu_s = (clock.thread_cpu_seconds() - spent_s) * self._threads
        plan = self._governor.record_cost(cpu_s, self.last_sign_s)
        self._recognizer.whole_s = plan.whole_s
        if self._on_frame is None:
            self._recognizer.effort = plan.effort
        pause_s = begun_s + plan.frame_s - clock.boot_seconds()
        if pause_s > 0:
            # the newest frame waits meanwhile, and older ones are dropped
            self.stopping.wait(pause_s)

    def _recognize(self, frame: Frame) -> None:
        seen = self._recognizer.recognize(frame)
        self._on_recognition(seen)
        if self._on_frame is not None:
            self._on_frame(frame, seen)
        self.readings += 1
