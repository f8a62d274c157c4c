"""Timers and rates by the boot clock, which nobody sets."""

from __future__ import annotations

from edge_agent.core import clock

RATE_S = 2.0


class Every:
    """A timer for loops: ``due`` is true once per interval of the boot clock.

    Args:
        seconds: length of the interval.
        at_once: whether it is due at the first call; else after one interval.

    Example:
        >>> timer = Every(60.0, at_once=True)
        >>> timer.due(), timer.due()
        (True, False)
    """

    def __init__(self, seconds: float, at_once: bool = False) -> None:
        self._seconds = seconds
        self._next = clock.boot_seconds() + (0.0 if at_once else seconds)

    def due(self) -> bool:
        """Return whether an interval has passed, and if so begin the next one."""
        present = clock.boot_seconds()
        if present < self._next:
            return False
        # more than an interval late: skip what was missed instead of being due again and again
        late = present - self._next > self._seconds
        self._next = present + self._seconds if late else self._next + self._seconds
        return True


class Rate:
    """Turns a counter into a rate over at least the last two seconds.

    Example:
        >>> rate = Rate()
        >>> rate.per_second(0)
        0.0
    """

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
