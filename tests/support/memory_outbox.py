"""An outbox in memory, for what the MQTT client does with any outbox."""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from edge_agent.core.clock import now
from edge_agent.core.errors import StoreError


@dataclass(frozen=True)
class Row:
    """A message that waits."""

    id: int
    topic: str
    seq: int | None
    payload: dict[str, Any] | None
    created_ms: int


class MemoryOutbox:
    """Keeps messages in a list; ``deleted`` remembers the order in which they went."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: list[Row] = []
        self._last = 0
        self.deleted: list[int] = []
        self.broken = False
        self.closed = False

    def add(self, topic: str = "summary", *, age_s: float = 0.0, **payload: Any) -> int:
        """Put a numbered message in; return its number."""
        with self._lock:
            self._last += 1
            created = now().wall_ms - round(age_s * 1000)
            self._rows.append(
                Row(self._last, topic, self._last, {**payload, "seq": self._last}, created)
            )
            return self._last

    def clear(self, topic: str) -> None:
        """Put in a message that clears what the broker keeps of a topic."""
        with self._lock:
            self._last += 1
            self._rows.append(Row(self._last, topic, None, None, now().wall_ms))

    def pending(self, limit: int) -> list[Row]:
        """Return the oldest messages."""
        with self._lock:
            self._check()
            return self._rows[:limit]

    def delete(self, ids: Collection[int]) -> None:
        """Forget messages."""
        with self._lock:
            self._check()
            self.deleted += [row.id for row in self._rows if row.id in ids]
            self._rows = [row for row in self._rows if row.id not in ids]

    def count(self) -> int:
        """Return how many wait."""
        with self._lock:
            self._check()
            return len(self._rows)

    def close(self) -> None:
        """Say that the client is done."""
        self.closed = True

    def _check(self) -> None:
        if self.broken:
            raise StoreError("affect-edge.db: disk full. Free some space.")
