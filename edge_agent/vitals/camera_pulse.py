"""Heart rate from the colour of the participant's face: experimental, an estimate, and silent where
it is not clear.

Only three numbers of each frame come here, never a picture.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

from edge_agent.core.clock import Instant
from edge_agent.core.gaps import Gap
from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.vitals.base import Sink
from edge_agent.vitals.pulse_signal import WINDOW_S, find_pulse

log = logging.getLogger(__name__)

SOURCE = "camera_pulse"
STEP_S = 5.0
"""Seconds from one estimate to the next; their windows overlap."""
SILENCE_S = 10.0
"""Seconds without a reading that are no gap yet."""
LONGEST_GAP_S = 300.0
"""A silence that goes on is written down in pieces of this length: a session's report need not wait
for its end.
"""
LEAST_PER_S = 10.0
"""Frames per second with the face, below which the pulse's shape is lost.

Its second harmonic reaches 5 Hz.
"""
_HOLE_S = 0.5  # frames without the face that are bridged
_PAUSE_S = 3.0  # without any frame: the camera stands still, which is its own gap

Colour = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class _Sample:
    at: Instant
    colour: Colour


class CameraPulse:
    """Makes readings of the colours of one face.

    A reading is stamped with the middle of the 20 s that it speaks of and flagged ``estimated``; a
    silence lasts from the end of those to the middle of the next. Called from one thread.

    Args:
        sink: called with every reading.
        on_gap: told of every silence longer than 10 s: ``no_face``, ``few_frames``, ``gathering``
            (the face was not there for 20 s yet) or ``unclear`` (no pulse above the noise),
            whichever was most of it.
        simulated: whether the frames show nobody who is here now.

    Example:
        >>> pulse = CameraPulse(recorder.submit, recorder.submit)
        >>> pulse.see(frame.at, track, colour)  # a reading follows after 20 s of one face
        >>> pulse.close()
    """

    def __init__(
        self, sink: Sink, on_gap: Callable[[Gap], None], *, simulated: bool = False
    ) -> None:
        self._sink = sink
        self._on_gap = on_gap
        self._flags = frozenset(
            {VitalFlag.ESTIMATED} | ({VitalFlag.SIMULATED} if simulated else set())
        )
        self._samples: deque[_Sample] = deque()
        self._track: int | None = None
        self._since: Instant | None = None  # of the silence
        self._last: Instant | None = None
        self._tried: Instant | None = None
        self._reasons: Counter[str] = Counter()

    def see(self, at: Instant, track: int | None, colour: Colour | None) -> None:
        """Take in one frame.

        Args:
            at: when it was taken; later than the one before.
            track: number of the participant's face; ``None`` without one.
            colour: mean red, green and blue of its skin; ``None`` where it cannot be seen well.
        """
        if self._last is None or at.seconds_since(self._last) > _PAUSE_S:
            self._begin(at)
        self._last = at
        if colour is not None:
            self._add(_Sample(at, colour), track)
        if self._tried is not None and at.seconds_since(self._tried) >= STEP_S:
            self._tried = at
            self._speak(at)

    def close(self) -> None:
        """Write down the silence that is left, at the end of the frames."""
        if self._last is not None:
            self._break_silence(self._last)
        self._last = None

    def _begin(self, at: Instant) -> None:
        """Begin anew: before this the camera gave nothing."""
        self.close()
        self._samples.clear()
        self._since = self._tried = at

    def _add(self, sample: _Sample, track: int | None) -> None:
        hole = bool(self._samples) and sample.at.seconds_since(self._samples[-1].at) > _HOLE_S
        if hole or track != self._track:  # another face has another colour: a step that is no pulse
            self._samples.clear()
        self._track = track
        self._samples.append(sample)
        while sample.at.seconds_since(self._samples[0].at) > WINDOW_S:
            self._samples.popleft()

    def _speak(self, at: Instant) -> None:
        """Say the heart rate of the last 20 s, or note why not."""
        rate = self._estimate(at)
        middle = at.shifted(-WINDOW_S / 2)
        if not isinstance(rate, str):
            self._break_silence(middle)
            self._since = at  # so far the window reaches
            self._sink(
                VitalReading(
                    middle, VitalKind.HEART_RATE, round(rate, 1), SOURCE, self._flags
                ).checked()
            )
            return
        self._reasons[rate] += 1
        if self._since is not None and middle.seconds_since(self._since) >= LONGEST_GAP_S:
            self._break_silence(middle)

    def _estimate(self, at: Instant) -> float | str:
        """Return the rate in 1/min, or the reason why there is none."""
        samples = self._samples
        if not samples or at.seconds_since(samples[-1].at) > _HOLE_S:
            return "no_face"
        if at.seconds_since(samples[0].at) < WINDOW_S - _HOLE_S:
            return "gathering"
        if len(samples) < LEAST_PER_S * WINDOW_S:
            return "few_frames"
        first = samples[0].at
        pulse = find_pulse(
            [s.at.seconds_since(first) for s in samples], [s.colour for s in samples]
        )
        if pulse is not None and pulse.is_clear:
            return pulse.rate
        return "unclear"

    def _break_silence(self, at: Instant) -> None:
        """Begin the next silence here; the one that ends is a gap if it was long."""
        since = self._since
        reasons = self._reasons
        self._since, self._reasons = at, Counter()
        if since is not None and at.seconds_since(since) > SILENCE_S:
            self._on_gap(
                Gap(SOURCE, since, at, reasons.most_common(1)[0][0] if reasons else "gathering")
            )
