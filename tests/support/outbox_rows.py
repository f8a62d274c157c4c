"""The outbox of a real database, filled and looked into beside the client that delivers it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edge_agent.core.clock import now
from edge_agent.timeline.database.connection import read_transaction, write_transaction
from edge_agent.timeline.write.outbox import OutboxMessage, enqueue

LIMIT = 10_000


class OutboxRows:
    """The rows of an outbox.

    Args:
        path: the database.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(
        self, topic: str = "summary", *, age_s: float = 0.0, boot: str = "", **payload: Any
    ) -> None:
        """Queue a numbered message; of another boot, if one is named."""
        message = OutboxMessage(topic, payload, made=now().shift(-age_s))
        with write_transaction(self.path) as connection:
            id_ = enqueue(connection, message, LIMIT)
            if boot:
                connection.execute("UPDATE outbox SET boot_id = ? WHERE id = ?", (boot, id_))

    def add_all(self, *payloads: dict[str, Any]) -> None:
        """Queue a summary of each payload, in one transaction."""
        with write_transaction(self.path) as connection:
            for payload in payloads:
                enqueue(connection, OutboxMessage("summary", payload), LIMIT)

    def clear(self, topic: str) -> None:
        """Queue a message that clears what the broker keeps of a topic."""
        with write_transaction(self.path) as connection:
            enqueue(connection, OutboxMessage(topic, None), LIMIT)

    def count(self) -> int:
        """Return how many messages wait."""
        with read_transaction(self.path) as connection:
            return int(connection.execute("SELECT count(*) FROM outbox").fetchone()[0])

    def is_empty(self) -> bool:
        """Tell whether no message waits."""
        return self.count() == 0

    def set_aside(self) -> dict[int, str]:
        """Return the messages that were set aside: number → reason."""
        with read_transaction(self.path) as connection:
            return dict(connection.execute("SELECT seq, reason FROM outbox_set_aside"))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep everybody else from writing."""
        with write_transaction(self.path):
            yield
