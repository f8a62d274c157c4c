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
        """The message, with ``seq`` and ``epoch`` where it is numbered."""

    @property
    def created_ms(self) -> int:
        """When it was written, UTC milliseconds since 1970."""

    @property
    def boot_id(self) -> str | None:
        """In which start of the machine it was made; ``None``: not known."""

    @property
    def boot_ms(self) -> int | None:
        """When it was made on the clock of that start; ``None``: not known."""


class SeqHole(Protocol):
    """Numbers of a topic under which nothing will come."""

    @property
    def epoch(self) -> str:
        """Whose numbers they are."""

    @property
    def topic(self) -> str:
        """Last part of the topic."""

    @property
    def first(self) -> int:
        """The first number."""

    @property
    def last(self) -> int:
        """The last number."""

    @property
    def reason(self) -> str:
        """Why, one word."""

    @property
    def at_ms(self) -> int:
        """When the last of them was noted, UTC milliseconds since 1970."""


class OutboxQueue(Protocol):
    """The outbox; every method is called from the client's own thread."""

    def pending(self, limit: int) -> Sequence[WaitingMessage]:
        """Return the oldest ``limit`` messages in the order of writing.

        Raises:
            StoreError: the database cannot be read; the client tries again.
        """

    def has_changed(self) -> bool:
        """Tell whether others have written since the last call; cheap enough for ten a second.

        Raises:
            StoreError: the database cannot be read.
        """

    def delete(self, ids: Collection[int]) -> None:
        """Delete messages that the broker has acknowledged.

        Raises:
            StoreError: the database cannot be written; the client tries again.
        """

    def discard(self, ids: Collection[int]) -> None:
        """Delete messages of topics that are switched off; their numbers become holes.

        Raises:
            StoreError: the database cannot be written; the client tries again.
        """

    def set_aside(self, reasons: Mapping[int, str]) -> None:
        """Move messages out of the way, by id with the reason: they are not sent.

        Raises:
            StoreError: the database cannot be written; the client tries again.
        """

    @property
    def set_aside_counts(self) -> Mapping[str, int]:
        """How many messages were set aside since the start, by reason."""

    def holes(self, limit: int) -> Sequence[SeqHole]:
        """Return the newest holes in the numbers, newest first.

        Raises:
            StoreError: the database cannot be read.
        """

    def count(self) -> int:
        """Return how many messages wait."""

    def close(self) -> None:
        """Close the database connection; called by the client's thread at its end."""
