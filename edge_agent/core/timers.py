"""When something is due, and how fast something grows; by the boot clock."""

from __future__ import annotations

from edge_agent.core import clock

RATE_S = 2.0


class Every:
    """Tells, when asked, whether an interval has passed since it last said yes.

    By the boot clock.
    """

    def __init__(self, seconds: float, at_once: bool = False) -> None:
        self._seconds = seconds
        self._next = clock.boot_seconds() + (0.0 if at_once else seconds)

    def due(self) -> bool:
        """Return whether it is time, and begin the next interval if so."""
        present = clock.boot_seconds()
        if present < self._next:
            return False
        late = present - self._next > self._seconds
        self._next = present + self._seconds if late else self._next + self._seconds
        return True


class Rate:
    """Turns a counter into a rate over at least the last two seconds."""

    def __init__(self) -> None:
        self._since = (clock.boot_seconds(), 0)
        self._rate = 0.0

    def per_second(self, count: int) -> float:
        """Return how fast ``count`` has risen."""
        present = clock.boot_seconds()
        then, before = self._since
        if present - then >= RATE_S:
            self._rate = (count - before) / (present - then)
            self._since = (present, count)
        return self._rate
