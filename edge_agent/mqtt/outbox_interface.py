"""The interface between the MQTT client and the outbox; the store implements it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol


class WaitingMessage(Protocol):
    """A message that the broker has not yet acknowledged."""

    @property
    def id(self) -> int:
        """Number of the row; later messages have higher numbers."""

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
    """The outbox; every method is called from the client's own thread."""

    def pending(self, limit: int) -> Sequence[WaitingMessage]:
        """Return the oldest ``limit`` messages in the order of writing.

        Raises:
            StoreError: the database cannot be read; the client tries again.
        """

    def delete(self, ids: Collection[int]) -> None:
        """Delete messages that the broker has acknowledged.

        Raises:
            StoreError: the database cannot be written; the client tries again.
        """

    def count(self) -> int:
        """Return how many messages wait."""

    def close(self) -> None:
        """Close the database connection; called by the client's thread at its end."""
