"""Blinks in the closure of one face's eyes over time. No I/O.

A blink is a short closure of both lids. Here it is a rise
of the closure above what it has been in the last seconds that falls back within 60 to 500 ms. Its
duration is that between the two times at a quarter of its height: half-closed lids raise the
network's answer by less than half.
"""

from __future__ import annotations

import statistics
from collections import deque
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

SHORTEST_S = 0.06
LONGEST_S = 0.5
"""Duration of a blink; what is shorter is noise, what is longer are closed eyes or a look down."""
RISE = 0.15
"""Least rise above the open eyes. The network answers 0…1."""
NOISES = 6.0
"""Least rise above the open eyes in median deviations of them, for a face that moves or is hard to
see."""
BLIND_RISE = 2 * RISE
"""A face whose blinks must rise by more is too hard to see: half-closed lids rise by less."""
EDGE = 0.25
"""Share of a closure's height at which it begins and ends."""
OPEN_S = 4.0
"""Seconds of open eyes whose median is their level. Closed for as long, they are another level."""
LEAST_OPEN_S = 1.0
"""Seconds of a face before its first blink is looked for."""


class Blink(NamedTuple):
    """A blink: seconds at its begin, by the clock of the samples, and seconds that it lasted."""

    begin_s: float
    lasting_s: float


class _Sample(NamedTuple):
    at_s: float
    closed: float


@dataclass(slots=True)
class _Closure:
    """A closure that has not ended: samples from the one before its rise, and the open level."""

    samples: list[_Sample]
    open: float

    @property
    def edge(self) -> float:
        """The closure at which it begins and ends."""
        peak = max(sample.closed for sample in self.samples)
        return self.open + EDGE * (peak - self.open)

    @property
    def begin_s(self) -> float:
        """The time at which it begins."""
        edge = self.edge
        crossings = (
            _crossing_s(before, after, edge)
            for before, after in pairwise(self.samples)
            if before.closed < edge <= after.closed
        )
        return next(crossings, self.samples[0].at_s)


def _crossing_s(before: _Sample, after: _Sample, level: float) -> float:
    """Return the time at which a line through two samples passes a level."""
    if before.closed == after.closed:
        return after.at_s
    share = (level - before.closed) / (after.closed - before.closed)
    return before.at_s + min(max(share, 0.0), 1.0) * (after.at_s - before.at_s)


class Lids:
    """Finds the blinks of one face that is seen without a break.

    Example:
        >>> lids = Lids()
        >>> closed = [0.1] * 40 + [0.4, 0.7, 0.4] + [0.1] * 5
        >>> blinks = [lids.add(n / 30, value) for n, value in enumerate(closed)]
        >>> [round(blink.lasting_s, 3) for blink in blinks if blink]
        [0.067]
    """

    def __init__(self) -> None:
        # Closed eyes are left out: those of a burst, or of a long closure before it, would hide
        # the next blinks behind their own spread.
        self._open: deque[_Sample] = deque()
        """Samples of open eyes, by the seconds that the eyes had been open."""
        self._open_s = 0.0
        self._last: _Sample | None = None
        self._closure: _Closure | None = None
        self._shut: list[_Sample] = []
        self._shut_from = 0.0
        self._rise = RISE

    @property
    def is_ready(self) -> bool:
        """Whether the level of the open eyes is known."""
        return bool(self._open) and self._open[-1].at_s - self._open[0].at_s >= LEAST_OPEN_S

    @property
    def is_closed(self) -> bool:
        """True while the eyes are closed, or look down."""
        return self._closure is not None or bool(self._shut)

    @property
    def is_blind(self) -> bool:
        """True while blinks may be missed: the eyes are closed, or the face is too hard to see."""
        return self.is_closed or self._rise > BLIND_RISE

    def add(self, at_s: float, closed: float) -> Blink | None:
        """Add a sample; return the blink that it ends.

        Args:
            at_s: when, in seconds of any clock, later than the one before.
            closed: how far the eyes are closed, 0…1.
        """
        sample = _Sample(at_s, closed)
        blink = self._follow(sample) if self.is_ready else None
        if not self.is_closed:
            self._add_open(sample)
        self._last = sample
        return blink

    def _add_open(self, sample: _Sample) -> None:
        self._open_s += 0.0 if self._last is None else sample.at_s - self._last.at_s
        self._open.append(_Sample(self._open_s, sample.closed))
        while self._open_s - self._open[0].at_s > OPEN_S:
            self._open.popleft()

    def _follow(self, sample: _Sample) -> Blink | None:
        closure = self._closure
        if closure is None:
            self._begin(sample)
            return None
        closure.samples.append(sample)
        if sample.closed <= closure.edge:
            self._closure = None
            return _blink_of(closure)
        if sample.at_s - closure.begin_s > LONGEST_S:
            # Eyes that stay closed, or look down: the next blink begins when they are open again.
            self._closure = None
            self._shut, self._shut_from = closure.samples[1:], closure.edge
        return None

    def _begin(self, sample: _Sample) -> None:
        if self._shut:
            if sample.closed > self._shut_from:
                self._stay_shut(sample)
                return
            self._shut = []
        values = [before.closed for before in self._open]
        level = statistics.median(values)
        noise = statistics.median(abs(value - level) for value in values)
        self._rise = max(RISE, NOISES * noise)
        if sample.closed - level >= self._rise:
            assert self._last is not None
            self._closure = _Closure([self._last, sample], level)

    def _stay_shut(self, sample: _Sample) -> None:
        """Go on with closed eyes; after a while this is how they are now, such as over a book."""
        self._shut.append(sample)
        if sample.at_s - self._shut[0].at_s >= OPEN_S:
            self._open.clear()
            self._last = None
            for one in self._shut[:-1]:
                self._add_open(one)
                self._last = one
            self._shut = []


def _blink_of(closure: _Closure) -> Blink | None:
    before, after = closure.samples[-2:]
    begin_s = closure.begin_s
    lasting_s = _crossing_s(before, after, closure.edge) - begin_s
    # Half a millisecond for what the times of frames are rounded to.
    if SHORTEST_S - 0.0005 <= lasting_s <= LONGEST_S:
        return Blink(begin_s, lasting_s)
    return None
