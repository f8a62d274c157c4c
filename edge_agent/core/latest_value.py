"""A slot that keeps only the latest value: its reader never falls behind."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class LatestValue(Generic[T]):
    """One slot between two threads; a new value replaces one that was not taken.

    A queue would hand the reader older and older frames when it is slower than the camera. Here it
    always gets the newest one, and the frames it missed are counted.

    Example:
        >>> latest: LatestValue[int] = LatestValue()
        >>> latest.put(1)
        >>> latest.put(2)
        >>> latest.take(timeout_s=0), latest.dropped
        (2, 1)
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._value: T | None = None
        self._dropped = 0

    @property
    def dropped(self) -> int:
        """Number of values that were replaced before they were taken."""
        return self._dropped

    def put(self, value: T) -> None:
        """Store ``value``, in place of one that was not taken; never blocks."""
        with self._condition:
            if self._value is not None:
                self._dropped += 1
            self._value = value
            self._condition.notify()

    def take(self, timeout_s: float) -> T | None:
        """Wait at most ``timeout_s`` seconds for a value and take it; ``None`` when none came."""
        with self._condition:
            self._condition.wait_for(lambda: self._value is not None, timeout_s)
            value = self._value
            self._value = None
            return value
