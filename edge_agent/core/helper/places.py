"""Places that are given to those who wait for one by turns."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

_REMEMBERED = 1000
"""Of whom turns are known; who had none for longest is forgotten first."""


class FairPlaces:
    """So many places; each asker has all of them but one at the most.

    A place that becomes free goes to the asker whose last turn is longest ago. One who asks without
    end thus keeps another waiting for one answer at the most, and never fills all places.

    All methods may be called from any thread.

    Args:
        most: how many there are.
    """

    def __init__(self, most: int) -> None:
        self._free = most
        self._each = max(1, most - 1)
        self._held: Counter[str] = Counter()
        self._turns: OrderedDict[str, None] = OrderedDict()
        self._waiting: list[tuple[str, object]] = []
        self._changed = threading.Condition()

    @property
    def waiting(self) -> int:
        """How many wait."""
        with self._changed:
            return len(self._waiting)

    @contextmanager
    def place(self, asker: str) -> Iterator[None]:
        """Wait for a place, and hold it to the end of the block."""
        ticket = (asker, object())
        with self._changed:
            self._waiting.append(ticket)
            try:
                self._changed.wait_for(lambda: self._next() is ticket)
            finally:
                self._waiting.remove(ticket)
            self._take(asker)
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._free += 1
                self._held[asker] -= 1
                self._held += Counter()  # those who hold none are forgotten
                self._changed.notify_all()

    def _next(self) -> tuple[str, object] | None:
        """Return whose turn it is; of one asker, and of those who had no turn, the first."""
        able = [one for one in self._waiting if self._held[one[0]] < self._each]
        if not self._free or not able:
            return None
        order = {asker: number for number, asker in enumerate(self._turns, 1)}
        return min(able, key=lambda one: order.get(one[0], 0))

    def _take(self, asker: str) -> None:
        self._free -= 1
        self._held[asker] += 1
        self._turns[asker] = None
        self._turns.move_to_end(asker)
        if len(self._turns) > _REMEMBERED:
            self._turns.popitem(last=False)
