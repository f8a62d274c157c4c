"""A slot for the newest thing: the reader never falls behind, and what it missed is counted."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """One slot between two threads; a new item replaces one that nobody took."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._item: T | None = None
        self._dropped = 0

    @property
    def dropped(self) -> int:
        """How many items were replaced before anybody took them."""
        return self._dropped

    def put(self, item: T) -> None:
        """Lay ``item`` into the slot; never blocks."""
        with self._condition:
            if self._item is not None:
                self._dropped += 1
            self._item = item
            self._condition.notify()

    def take(self, timeout_s: float) -> T | None:
        """Wait at most ``timeout_s`` seconds for an item and take it; ``None`` when none came."""
        with self._condition:
            self._condition.wait_for(lambda: self._item is not None, timeout_s)
            item = self._item
            self._item = None
            return item
