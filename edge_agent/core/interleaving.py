"""Finds streams of readings that lie between each other in time, as those of two devices do. Pure.

One device gives its readings one after the other; its files follow each other. Where readings of
one file lie between those of another again and again, at the usual distance of its readings, two
devices measured at the same time.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from statistics import median

_LEAST = 2
"""So often at least each lies within the other: files that touch at their ends do so once."""
_USUAL = 3.0
_MOST_MS = 30 * 60_000
"""A longer distance is a pause, also of a cuff that measures every quarter of an hour."""
_STEPS = 9


class Interleaving:
    """Takes readings of several streams in the order of their times."""

    def __init__(self) -> None:
        self._count = 0
        self._last: dict[int, tuple[int, int]] = {}
        self._steps: dict[int, deque[int]] = {}
        self._within: Counter[tuple[int, int]] = Counter()

    def add(self, at_ms: int, stream: int) -> tuple[int, int] | None:
        """Add a reading; return the two streams that turn out to lie between each other.

        Args:
            at_ms: its time, not before that of the reading before it.
            stream: number of its stream.
        """
        self._count += 1
        pair = None
        last = self._last.pop(stream, None)
        steps = self._steps.setdefault(stream, deque(maxlen=_STEPS))
        if last is not None:
            step = at_ms - last[0]
            if step <= min(_USUAL * (median(steps) if steps else step), _MOST_MS):
                pair = self._count_between(stream, last[1])
            steps.append(step)
        # The newest stands at the end, so that old streams stand first.
        self._last[stream] = (at_ms, self._count)
        oldest = next(iter(self._last))
        while self._last[oldest][0] < at_ms - _MOST_MS:
            del self._last[oldest]
            oldest = next(iter(self._last))
        return pair

    def _count_between(self, stream: int, since: int) -> tuple[int, int] | None:
        for other, (_, place) in reversed(self._last.items()):
            if place < since:
                break
            self._within[stream, other] += 1
            there, back = self._within[stream, other], self._within[other, stream]
            if min(there, back) >= _LEAST:
                return stream, other
        return None


def first_interleaved(readings: Iterable[tuple[int, int]]) -> tuple[int, int] | None:
    """Return the first two streams that lie between each other; ``None``: there are none.

    Args:
        readings: time in milliseconds and number of the stream of each, in the order of time.

    Example:
        >>> first_interleaved([(0, 1), (10, 2), (1000, 1), (1010, 2), (2000, 1), (2010, 2)])
        (2, 1)
        >>> first_interleaved([(0, 1), (1000, 1), (2000, 1), (2010, 2), (3010, 2), (4010, 2)])
    """
    seen = Interleaving()
    pairs: Iterator[tuple[int, int] | None] = (seen.add(at, stream) for at, stream in readings)
    return next((pair for pair in pairs if pair is not None), None)
