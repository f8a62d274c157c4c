"""Messages that the broker has not acknowledged yet.

They are rows that survive a power cut. Their number is bounded, and the oldest goes first.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_agent.core import clock
from edge_agent.core.errors import DamageError, StoreError
from edge_agent.store.database.open_file import OpenFile
from edge_agent.store.database.schema import BUSY_SECONDS, connect, transaction
from edge_agent.store.database.sqlite_errors import translate_errors

DROPPED_KEY = "outbox_dropped"


@dataclass(frozen=True, slots=True)
class OutboxMessage:
    """A message to be queued together with the rows of its transaction.

    Attributes:
        topic: the suffix, such as ``summary``; the client puts root and device before it.
        payload: what will be sent as JSON; ``None`` clears what the broker keeps of the topic.
        sequenced: whether ``seq``, rising by one for each message of the topic, is put into the
            payload.
    """

    topic: str
    payload: Mapping[str, Any] | None
    sequenced: bool = True


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A queued message.

    ``payload`` holds its ``seq`` when it is sequenced, and is ``None`` to clear a topic.
    """

    id: int
    topic: str
    seq: int | None
    payload: dict[str, Any] | None
    created_ms: int


class Outbox:
    """What the client of the broker reads and deletes.

    One connection, opened by the first call in its thread.

    Every method raises ``StoreError`` when the database cannot be used (locked, disk full).

    Args:
        path: the database.
        busy_seconds: how long to wait for a lock.
        on_error: told each error, before it is raised.

    Example:
        >>> outbox = Outbox(path)
        >>> for row in outbox.pending(limit=20):
        ...     send(row.topic, row.payload)
        >>> outbox.delete([row.id])  # only when the broker has acknowledged it
    """

    def __init__(
        self,
        path: Path,
        *,
        busy_seconds: float = BUSY_SECONDS,
        on_error: Callable[[StoreError], None] | None = None,
    ) -> None:
        self._path = path
        self._busy_seconds = busy_seconds
        self._on_error = on_error
        self._connection: sqlite3.Connection | None = None
        self._file: OpenFile | None = None

    def pending(self, limit: int, after: int = 0) -> list[OutboxRow]:
        """Return the oldest ``limit`` messages whose id is greater than ``after``, oldest first."""
        with self._told_errors():
            rows = self._connected().execute(
                "SELECT id, topic, seq, payload, created FROM outbox WHERE id > ? ORDER BY id "
                "LIMIT ?",
                (after, limit),
            )
            return [
                OutboxRow(r["id"], r["topic"], r["seq"], json.loads(r["payload"]), r["created"])
                for r in rows
            ]

    def delete(self, ids: Collection[int]) -> None:
        """Forget acknowledged messages; ids that are gone already are no error."""
        with self._told_errors():
            connection = self._connected()
            with transaction(connection):
                connection.executemany("DELETE FROM outbox WHERE id = ?", [(id_,) for id_ in ids])

    def count(self) -> int:
        """Return how many messages wait."""
        with self._told_errors():
            return int(self._connected().execute("SELECT count(*) FROM outbox").fetchone()[0])

    def clear(self) -> int:
        """Forget all messages (nobody is to be told any more) and return how many there were."""
        with self._told_errors():
            connection = self._connected()
            with transaction(connection):
                return connection.execute("DELETE FROM outbox").rowcount

    def dropped(self) -> int:
        """Return how many messages were dropped so far because the outbox was full."""
        with self._told_errors():
            row = (
                self._connected()
                .execute("SELECT value FROM setting WHERE key = ?", (DROPPED_KEY,))
                .fetchone()
            )
            if row:
                return int(row[0])
            return 0

    def close(self) -> None:
        """Close the connection, in the thread that used it; a later call opens it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._file is not None:
            self._file.close()
            self._file = None

    def _connected(self) -> sqlite3.Connection:
        if self._file is not None and not self._file.is_in_place:
            self.close()  # the database is another file now
        if self._connection is None:
            self._connection = connect(self._path, readonly=False, busy_seconds=self._busy_seconds)
            self._file = OpenFile(self._path)
        return self._connection

    @contextmanager
    def _told_errors(self) -> Iterator[None]:
        try:
            with translate_errors(self._path):
                yield
        except StoreError as error:
            of_now = self._file is None or self._file.is_in_place
            if isinstance(error, DamageError):
                self.close()
            if self._on_error is not None and of_now:
                self._on_error(error)
            raise


def enqueue(connection: sqlite3.Connection, message: OutboxMessage, limit: int) -> int:
    """Queue a message inside the caller's transaction and return its id.

    Beyond ``limit`` rows the oldest go, and the setting ``outbox_dropped`` counts them.
    """
    payload = None if message.payload is None else dict(message.payload)
    seq = None
    if payload is not None and message.sequenced:
        seq = payload["seq"] = _next_seq(connection, message.topic)
    cursor = connection.execute(
        "INSERT INTO outbox (topic, seq, payload, created) VALUES (?, ?, ?, ?)",
        (
            message.topic,
            seq,
            json.dumps(payload, separators=(",", ":"), ensure_ascii=False),
            clock.now().wall_ms,
        ),
    )
    newest = int(cursor.lastrowid or 0)
    # Ids rise by one, so the bound needs no counting of rows.
    dropped = connection.execute("DELETE FROM outbox WHERE id <= ?", (newest - limit,)).rowcount
    if dropped:
        connection.execute(
            "INSERT INTO setting (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value "
            "= CAST(CAST(value AS INTEGER) + excluded.value AS TEXT)",
            (DROPPED_KEY, str(dropped)),
        )
    return newest


def _next_seq(connection: sqlite3.Connection, topic: str) -> int:
    row = connection.execute(
        "INSERT INTO outbox_seq (topic, last) VALUES (?, 1) ON CONFLICT (topic) DO UPDATE SET last "
        "= last + 1 RETURNING last",
        (topic,),
    ).fetchone()
    return int(row[0])
