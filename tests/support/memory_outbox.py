"""An outbox in memory, for what the MQTT client does with any outbox."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from edge_agent.core.clock import boot_id, now
from edge_agent.core.errors import StoreError
from edge_agent.mqtt.sending import SeqHole
from edge_agent.store.write.outbox import OutboxRow

EPOCH = "00000000000000ab"


class MemoryOutbox:
    """Keeps messages in a list; ``deleted`` remembers the order in which they went."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: list[OutboxRow] = []
        self._last = 0
        self.deleted: list[int] = []
        self.aside: dict[int, str] = {}
        self.broken = False
        self.closed = False
        self._seen = 0

    def add(
        self, topic: str = "summary", *, age_s: float = 0.0, boot: str = "", **payload: Any
    ) -> int:
        """Put a numbered message in; return its number."""
        made = now().shift(-age_s)
        with self._lock:
            seq = self._last = self._last + 1
            payload = {**payload, "seq": seq, "epoch": EPOCH}
            when = (made.wall_ms, boot or boot_id(), made.boot_ms)
            self._rows.append(OutboxRow(seq, topic, seq, payload, *when))
            return seq

    def clear(self, topic: str) -> None:
        """Put in a message that clears what the broker keeps of a topic."""
        made = now()
        with self._lock:
            self._last += 1
            when = (made.wall_ms, boot_id(), made.boot_ms)
            self._rows.append(OutboxRow(self._last, topic, None, None, *when))

    def pending(self, limit: int) -> list[OutboxRow]:
        """Return the oldest messages."""
        with self._lock:
            self._check()
            return self._rows[:limit]

    def has_changed(self) -> bool:
        """Tell whether a message was put in since the last call."""
        with self._lock:
            self._check()
            changed = self._last != self._seen
            self._seen = self._last
            return changed

    def delete(self, ids: Collection[int]) -> None:
        """Forget messages."""
        with self._lock:
            self._check()
            self.deleted += [row.id for row in self._rows if row.id in ids]
            self._rows = [row for row in self._rows if row.id not in ids]

    def discard(self, ids: Collection[int]) -> None:
        """Forget messages that nobody is to be told."""
        self.delete(ids)

    def set_aside(self, reasons: Mapping[int, str]) -> None:
        """Take messages out of the way."""
        with self._lock:
            self._check()
            self.aside |= reasons
            self._rows = [row for row in self._rows if row.id not in reasons]

    @property
    def set_aside_counts(self) -> Mapping[str, int]:
        """How many were set aside, by reason."""
        return Counter(self.aside.values())

    def holes(self, limit: int) -> Sequence[SeqHole]:
        """Return no holes."""
        return ()

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
