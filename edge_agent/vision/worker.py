"""The thread that reads the faces of the newest frame, as often as needed and allowed.

For the camera pulse it also measures the mean colour of a face's skin: three numbers per frame.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.expression import Face, Frame, Recognition
from edge_agent.core.threads import LatestValue, Worker
from edge_agent.vision.align import Picture, crop_matrix
from edge_agent.vision.governor import Governor
from edge_agent.vision.reading_by_need import Effort
from edge_agent.vision.recognizer import Recognizer

TAKE_S = 0.25
SIDE = 48
"""Side of the averaged patch in pixels: small enough to cost little, and its 2,304 pixels are
enough to average out the camera's noise and rounding."""
_PATCHES = ((0.50, 0.20, 0.20, 0.07), (0.27, 0.58, 0.08, 0.11), (0.73, 0.58, 0.08, 0.11))
"""Middle and standard deviations (x, y) of forehead, right and left cheek in the unit square of the
crop: skin with a good blood supply, away from eyes, mouth and hair. The edges are soft, so that an
unsteady landmark changes little."""


def _nobody(_frame: Frame, _seen: Recognition | None) -> None:
    """Watch nothing."""


class VisionWorker(Worker):
    """Takes the newest frame, reads its faces, and passes the result on.

    Args:
        latest_frame: where the camera's thread puts the newest frame.
        recognizer: reads the faces.
        governor: limits how often.
        on_recognition: receives the result.
        watch: receives each frame with its faces, where they were read; it may not keep them.
        reads_every: whether every frame is read; otherwise by need.
        threads: threads of one inference, for the cost of a frame.

    Attributes:
        frames: number of frames taken.
        readings: number of frames read; the others did not need it.
        last_sign_s: boot clock when the last frame was done, seconds.

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
        watch: Callable[[Frame, Recognition | None], None] = _nobody,
        *,
        reads_every: bool = False,
        threads: int = 1,
    ) -> None:
        super().__init__("vision")
        self._latest_frame = latest_frame
        self._recognizer = recognizer
        self._governor = governor
        self._on_recognition = on_recognition
        self._watch = watch
        self._reads_every = reads_every
        if reads_every:
            recognizer.effort = Effort.EVERY_FRAME
        self._threads = threads
        self.frames = 0
        self.readings = 0
        self.last_sign_s = clock.boot_seconds()

    @property
    def effort(self) -> Effort:
        """The effort in reading faces."""
        return self._recognizer.effort

    def work(self) -> None:
        """Recognize until stopped, the frame that still waits included."""
        while (frame := self._latest_frame.take(TAKE_S)) is not None or not self.stopping.is_set():
            if frame is not None:
                self._read(frame)

    def _read(self, frame: Frame) -> None:
        begun_s = clock.boot_seconds()
        spent_s = clock.thread_cpu_seconds()
        seen: Recognition | None = None
        if self._reads_every or self._recognizer.is_due(frame):
            seen = self._recognizer.recognize(frame)
            self._on_recognition(seen)
            self.readings += 1
        self._watch(frame, seen)
        self.frames += 1
        # A frame that was skipped counts as well: the watchdog asks whether the thread is alive.
        self.last_sign_s = clock.boot_seconds()
        # The clock of this thread does not see the runtime's other threads; each is taken to be as
        # busy.
        cpu_s = (clock.thread_cpu_seconds() - spent_s) * self._threads
        plan = self._governor.record_cost(cpu_s, self.last_sign_s)
        self._recognizer.whole_s = plan.whole_s
        if not self._reads_every:
            self._recognizer.effort = plan.effort
        pause_s = begun_s + plan.frame_s - clock.boot_seconds()
        if pause_s > 0:
            # the newest frame waits meanwhile, and older ones are dropped
            self.stopping.wait(pause_s)


Colour = tuple[float, float, float]


def _weights() -> npt.NDArray[np.float32]:
    y, x = (np.mgrid[0:SIDE, 0:SIDE] + 0.5) / SIDE
    bumps = [np.exp(-(((x - a) / c) ** 2 + ((y - b) / d) ** 2) / 2) for a, b, c, d in _PATCHES]
    total = np.maximum.reduce(bumps)
    return np.asarray(total / total.sum(), dtype=np.float32)


WEIGHTS = _weights()
WEIGHTS.setflags(write=False)


def skin_colour(image: Picture, face: Face) -> Colour:
    """Return mean red, green and blue of forehead and cheeks, 0…255.

    Args:
        image: uint8, height × width × 3, BGR.
        face: in pixels of ``image``.
    """
    matrix = crop_matrix(face) * SIDE
    # a pixel covers i − 0.5 … i + 0.5
    matrix[:, 2] += matrix[:, 0] * 0.5 + matrix[:, 1] * 0.5 - 0.5
    patch = cv2.warpAffine(
        image, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    # The mean over the skin (Verkruysse, Svaasand and Nelson 2008): the pulse changes a single
    # pixel by less than the camera's noise.
    blue, green, red = WEIGHTS.ravel() @ patch.reshape(-1, 3).astype(np.float32)
    return float(red), float(green), float(blue)


def watch_skin(
    see: Callable[[Instant, int | None, Colour | None], None],
) -> Callable[[Frame, Recognition], None]:
    """Return a callback that passes time, track and skin colour of each frame to ``see``.

    Track and colour are ``None`` if the participant's face is not seen, or cannot be read.
    """

    def see_skin(frame: Frame, seen: Recognition) -> None:
        face = seen.primary
        if face is None or face.reject_reason is not None:
            see(frame.at, None, None)
        else:
            see(frame.at, face.track, skin_colour(frame.image, face.face))

    return see_skin
