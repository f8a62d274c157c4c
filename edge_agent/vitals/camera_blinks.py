"""Blinks of the participant's face as readings: how many a minute, and how long each lasts.

It receives one number for each frame, never a picture, and counts in windows of ten seconds. A
window with too few frames, or in which the face was not seen for long enough, has no number; one
in which blinks may have been missed for more than half of it is flagged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from edge_agent.core.clock import Instant
from edge_agent.core.readings import Gap, VitalFlag, VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.vitals.camera_silence import CameraSilence
from edge_agent.vitals.lids import Blink, Lids
from edge_agent.vitals.sources import Sink

SOURCE = "camera_blinks"
WINDOW_S = VitalKind.BLINK_RATE.spec.window_s
"""Seconds of one count. Windows do not overlap, so that the mean of their rates is the rate of
their time."""
LEAST_SHARE = 0.8
"""Share of a window in which blinks were looked for, for a count."""
BLIND_SHARE = 0.5
"""Share of a window's watched time in which blinks may be missed, beyond which its count is
doubtful."""
LEAST_PER_S = 13.5
"""Frames per second below which blinks are missed. Of 15 a camera loses some."""
HOLE_S = 0.5
"""Longest time without the face after which it is followed on."""
SILENCE_S = 15.0
"""Longest time without a count that is no gap: a window, and the beginning of the next."""
_PAUSE_S = 3.0  # without any frame: the camera stands still, which is its own gap


@dataclass(slots=True)
class _Window:
    """A window of counting.

    Attributes:
        begin: when it begins.
        frames: of the camera.
        readings: those of them in which the eyes were read.
        watched_s: seconds in which blinks were looked for.
        blind_s: those of them in which one may have been missed.
        blinks: those that ended in it.
    """

    begin: Instant
    frames: int = 0
    readings: int = 0
    watched_s: float = 0.0
    blind_s: float = 0.0
    blinks: list[Blink] = field(default_factory=list)

    @property
    def doubt(self) -> str:
        """The reason why there is no count; empty: there is one."""
        if self.readings < LEAST_SHARE * self.frames:
            return "no_face"
        if self.frames < LEAST_PER_S * WINDOW_S:
            return "few_frames"
        return "" if self.watched_s >= LEAST_SHARE * WINDOW_S else "gathering"


class CameraBlinks:
    """Makes readings of how far the eyes of one face are closed.

    Every ten seconds a ``blink_rate`` of these seconds, with their end as its time, and for each
    blink a ``blink_duration`` at its begin. The rate is ``poor_signal`` where the lids were closed
    or hard to see for more than half of the time. Called from one thread.

    Args:
        sink: called with every reading.
        on_gap: called with every silence longer than 15 s. Its reason is the most frequent one:
            ``no_face``, ``few_frames`` (less than 15 a second) or ``gathering`` (the face was not
            there for long enough without a break).
        simulated: whether the frames show no person who is present now.

    Example:
        >>> blinks = CameraBlinks(recorder.submit, recorder.submit)
        >>> blinks.add_frame(frame.at, track, closed)  # readings follow every 10 s
        >>> blinks.close()
    """

    def __init__(
        self, sink: Sink, on_gap: Callable[[Gap], None], *, simulated: bool = False
    ) -> None:
        self._sink = sink
        self._silence = CameraSilence(SOURCE, on_gap, SILENCE_S, "gathering")
        self._flags = frozenset({VitalFlag.SIMULATED} if simulated else ())
        self._window: _Window | None = None
        self._last: Instant | None = None
        self._lids = Lids()
        self._track: int | None = None
        self._seen: Instant | None = None

    def add_frame(self, at: Instant, track: int | None, closed: float | None) -> None:
        """Take in one frame.

        Args:
            at: when it was taken; later than the one before.
            track: number of the participant's face; ``None`` without one.
            closed: how far its eyes are closed, 0…1; ``None`` where they cannot be seen.
        """
        if self._last is None or at.seconds_since(self._last) > _PAUSE_S:
            self._begin(at)
        self._last = at
        window = self._window
        if window is None:
            return
        window.frames += 1
        if closed is not None:
            self._add(window, at, track, closed)
        if at.seconds_since(window.begin) >= WINDOW_S:
            self._window = _Window(at)
            self._report(window, at)

    def close(self) -> None:
        """Record the last silence, at the end of the frames."""
        if self._last is not None:
            self._silence.end(self._last)
        self._last = None

    def _begin(self, at: Instant) -> None:
        """Start again after a time without frames."""
        self.close()
        self._window = _Window(at)
        self._seen = None
        self._silence.begin(at)

    def _add(self, window: _Window, at: Instant, track: int | None, closed: float) -> None:
        since_s = HOLE_S + 1 if self._seen is None else at.seconds_since(self._seen)
        # Another face has other eyes, and behind a hole the same one may look elsewhere.
        if since_s > HOLE_S or track != self._track:
            self._lids = Lids()
            since_s = 0.0
        self._track, self._seen = track, at
        window.readings += 1
        if self._lids.is_ready:
            window.watched_s += since_s
        blink = self._lids.add(at.boot_ms / 1000, closed)
        if self._lids.is_blind:
            window.blind_s += since_s
        if blink is not None:
            window.blinks.append(blink)

    def _report(self, window: _Window, at: Instant) -> None:
        """Emit the blinks of a window, or count the reason why there are none."""
        if window.doubt:
            self._silence.count(window.doubt, at)
            return
        self._silence.end(window.begin)
        self._silence.begin(at)
        for blink in window.blinks:
            begin = at.shift(blink.begin_s - at.boot_ms / 1000)
            lasting_ms = round(1000 * blink.lasting_s)
            self._emit(begin, VitalKind.BLINK_DURATION, lasting_ms, self._flags)
        rate = 60 * len(window.blinks) / window.watched_s
        is_doubtful = window.blind_s > BLIND_SHARE * window.watched_s
        doubt = {VitalFlag.POOR_SIGNAL} if is_doubtful else ()
        self._emit(at, VitalKind.BLINK_RATE, round(rate, 1), self._flags.union(doubt))

    def _emit(
        self, at: Instant, kind: VitalKind, value: float, flags: frozenset[VitalFlag]
    ) -> None:
        self._sink(VitalReading(at, kind, value, SOURCE, flags).flag_implausible())
