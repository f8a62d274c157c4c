"""What the MQTT client needs of the outbox; its SQL lives in the store."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol


class WaitingMessage(Protocol):
    """A message that the broker has not yet acknowledged."""

    @property
    def id(self) -> int:
        """Number of the row; rises in the order of writing."""

    @property
    def topic(self) -> str:
        """Last part of the topic, such as ``summary``; the client adds root and device."""

    @property
    def seq(self) -> int | None:
        """Number of the message within its topic, rising by one.

        ``None`` for topics that are not numbered.
        """

    @property
    def payload(self) -> Mapping[str, Any] | None:
        """The message, with ``seq`` where it is numbered."""

    @property
    def created_ms(self) -> int:
        """When it was written, UTC milliseconds since 1970."""


class OutboxQueue(Protocol):
    """The outbox, called from the client's own thread only."""

    def pending(self, limit: int) -> Sequence[WaitingMessage]:
        """Return the oldest ``limit`` messages in the order of writing.

        A ``StoreError`` is met by trying again.
        """

    def delete(self, ids: Collection[int]) -> None:
        """Forget messages that the broker has acknowledged."""

    def count(self) -> int:
        """Return how many messages wait."""

    def close(self) -> None:
        """Free what the queue holds; called by the client's thread at its end."""
