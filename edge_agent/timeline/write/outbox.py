"""Messages that the broker has not acknowledged yet, and those that will not be sent.

They are rows that survive a power cut. Their number is bounded, and the oldest goes first. What
will not be sent leaves its number in ``outbox_hole``, with the reason; what is damaged or refused
lies in ``outbox_set_aside``.
"""

from __future__ import annotations

import json
import logging
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any, NoReturn

from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.errors import DamageError, StoreError
from edge_agent.timeline.database.connection import (
    BUSY_SECONDS,
    insert,
    transaction,
    write_transaction,
)
from edge_agent.timeline.database.files import is_read_only, translate_errors
from edge_agent.timeline.database.followed_file import OpenDatabase, open_database
from edge_agent.timeline.database.setting import read_setting, stream_epoch
from edge_agent.timeline.write.boots import stamp

log = logging.getLogger(__name__)

DAMAGED = "damaged"
ERASED = "erased"
MQTT_OFF = "mqtt_off"

HOLES_KEPT = 500
SET_ASIDE_KEPT = 300
# A damaged page may give a text that is no UTF-8, at which ``sqlite3`` raises; bytes never do.
COLUMNS = (
    "id, CAST(topic AS BLOB) AS topic, CAST(seq AS INTEGER) AS seq, CAST(payload AS BLOB) AS "
    "payload, CAST(created AS INTEGER) AS created, CAST(boot_id AS BLOB) AS boot_id, "
    "CAST(boot_ms AS INTEGER) AS boot_ms"
)
"""Of ``outbox``, in types that can be read whatever a failing card has made of them."""

# Bytes, for a damaged topic may not be decoded.
_TOPIC = re.compile(rb"[a-z][a-z_/]*")
DROPPED_KEY = "outbox_dropped"


@dataclass(frozen=True, slots=True)
class Hole:
    """A range of sequence numbers of a topic for which no message will come.

    Attributes:
        epoch: whose numbers they are.
        topic: the suffix, such as ``summary``.
        first, last: the first and the last of them.
        reason: ``outbox_full``, ``not_written``, ``erased``, ``mqtt_off``, or why the message was
            set aside.
        at_ms: when the last of them was noted, UTC milliseconds since 1970.
    """

    epoch: str
    topic: str
    first: int
    last: int
    reason: str
    at_ms: int


def read_payload(raw: bytes) -> dict[str, Any] | None:
    """Return a stored payload; ``None`` for one that clears its topic.

    Raises:
        ValueError: it is damaged: no UTF-8, no JSON, or nothing that is sent as JSON.
    """
    try:
        # ``NaN`` is read by Python and is no JSON: receivers would reject the message.
        payload = json.loads(raw.decode(), parse_constant=_no_number)
        # A half of a pair of characters can be read, and not be written again.
        json.dumps(payload, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if payload is not None and not isinstance(payload, dict):
        raise ValueError("no object")
    return payload


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def is_damaged(raw: bytes | None) -> bool:
    """Tell whether a stored payload is too damaged to show what it is about."""
    try:
        read_payload(raw or b"")
    except ValueError:
        return True
    return False


def note_hole(
    connection: sqlite3.Connection, topic: str, first: int, last: int, reason: str, epoch: str = ""
) -> None:
    """Record that no message will come with the numbers ``first`` to ``last`` of a topic.

    A hole that goes on is one row. The newest ``HOLES_KEPT`` are kept.

    Args:
        connection: in a write transaction.
        topic: whose numbers they are.
        first: the first of them.
        last: the last of them.
        reason: why, one word.
        epoch: theirs; empty: the present one.
    """
    # An old message keeps the epoch under which it was numbered.
    epoch = epoch or stream_epoch(connection)
    at = clock.now().wall_ms
    grown = connection.execute(
        "UPDATE outbox_hole SET last_seq = ?, at = ? WHERE id = (SELECT max(id) FROM outbox_hole "
        "WHERE topic = ?) AND epoch = ? AND reason = ? AND last_seq = ? - 1",
        (last, at, topic, epoch, reason, first),
    ).rowcount
    if grown:
        return
    newest = connection.execute(
        "INSERT INTO outbox_hole (epoch, topic, first_seq, last_seq, reason, at) VALUES "
        "(?, ?, ?, ?, ?, ?)",
        (epoch, topic, first, last, reason, at),
    ).lastrowid
    connection.execute("DELETE FROM outbox_hole WHERE id <= ?", ((newest or 0) - HOLES_KEPT,))


def note_deleted(connection: sqlite3.Connection, rows: Iterable[sqlite3.Row], reason: str) -> None:
    """Note the holes that deleted rows of the outbox leave.

    Args:
        connection: in a write transaction.
        rows: ``COLUMNS`` of the rows.
        reason: why they went.
    """
    spans: list[tuple[str, str, int, int]] = []
    # By topic first, so that neighbouring numbers become one hole.
    for row in sorted(rows, key=itemgetter("topic", "id")):
        seq = row["seq"]
        if seq is None:
            continue
        topic = _text(row["topic"])
        epoch = _epoch_of(row["payload"])
        if spans and spans[-1][:2] == (epoch, topic) and spans[-1][3] == seq - 1:
            spans[-1] = (epoch, topic, spans[-1][2], seq)
        else:
            spans.append((epoch, topic, seq, seq))
    for epoch, topic, first, last in spans:
        note_hole(connection, topic, first, last, reason, epoch)


def _epoch_of(payload: bytes) -> str:
    """Return the epoch in a stored payload; empty, which is the present one, where none can be
    read.
    """
    try:
        message = read_payload(payload)
    except ValueError:
        return ""
    return str((message or {}).get("epoch", ""))


def _text(raw: bytes) -> str:
    return raw.decode(errors="replace")


def set_aside(connection: sqlite3.Connection, reasons: Mapping[int, str]) -> None:
    """Move messages that block the others out of the outbox.

    Args:
        connection: in a write transaction.
        reasons: by id; ids that are gone already are no error.
    """
    now_ms = clock.now().wall_ms
    for id_, reason in reasons.items():
        rows = connection.execute(
            f"SELECT {COLUMNS} FROM outbox WHERE id = ?",  # noqa: S608 - our own words
            (id_,),
        ).fetchall()
        for row in rows:
            values = (id_, _text(row["topic"]), row["seq"], row["payload"], row["created"])
            connection.execute(
                "INSERT OR REPLACE INTO outbox_set_aside (id, topic, seq, payload, created, at, "
                "reason) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (*values, now_ms, reason),
            )
        note_deleted(connection, rows, reason)
        connection.execute("DELETE FROM outbox WHERE id = ?", (id_,))
    # Bounded, for damage may hit every message.
    connection.execute(
        "DELETE FROM outbox_set_aside WHERE id NOT IN (SELECT id FROM outbox_set_aside ORDER BY "
        "at DESC, id DESC LIMIT ?)",
        (SET_ASIDE_KEPT,),
    )


def delete_and_note(
    connection: sqlite3.Connection, condition: str, values: Sequence[object], reason: str
) -> int:
    """Delete rows of the outbox, record their holes, and return how many were deleted.

    Args:
        connection: in a write transaction.
        condition: which rows, as SQL of our own.
        values: its parameters.
        reason: why they go.
    """
    # Deleted by the statement that returns them: nothing comes between reading and deleting.
    rows: Collection[sqlite3.Row] = connection.execute(
        f"DELETE FROM outbox WHERE {condition} RETURNING {COLUMNS}",  # noqa: S608 - our own words
        tuple(values),
    ).fetchall()
    note_deleted(connection, rows, reason)
    return len(rows)


@dataclass(frozen=True, slots=True)
class OutboxMessage:
    """A message to be queued together with the rows of its transaction.

    Attributes:
        topic: the suffix, such as ``summary``; the client puts root and device before it.
        payload: what will be sent as JSON; ``None`` clears what the broker keeps of the topic. A
            ``seq`` in it was given when the message was made, so that a message that is lost on its
            way here leaves a hole.
        sequenced: whether ``seq``, rising by one for each message of the topic, and the epoch are
            put into the payload.
        made: when its content was complete; ``None``: now.
    """

    topic: str
    payload: Mapping[str, Any] | None
    sequenced: bool = True
    made: Instant | None = None


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A queued message.

    ``payload`` holds ``seq`` and ``epoch`` when it is sequenced, and is ``None`` to clear a topic.
    ``boot_id`` and ``boot_ms`` say when it was made on the boot clock; ``None``: not known.
    """

    id: int
    topic: str
    seq: int | None
    payload: dict[str, Any] | None
    created_ms: int
    boot_id: str | None
    boot_ms: int | None


class Outbox:
    """The queue of messages that the MQTT client sends and deletes.

    One connection, opened by the first call in its thread.

    Every method raises ``StoreError`` when the database cannot be used (locked, disk full).

    Args:
        path: the database.
        busy_seconds: how long to wait for a lock.
        on_error: told each error, before it is raised.

    Attributes:
        folder: in which the database lies.

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
        self.folder = path.parent
        self._busy_seconds = busy_seconds
        self._on_error = on_error
        self._opened: OpenDatabase | None = None
        self._version: int | None = None
        self._set_aside_counts: Counter[str] = Counter()
        self._left_damaged: list[int] = []

    def pending(self, limit: int) -> list[OutboxRow]:
        """Return the oldest ``limit`` messages; damaged ones are set aside and left out."""
        after = 0
        waiting: list[OutboxRow] = []
        damaged: list[int] = []
        query = f"SELECT {COLUMNS} FROM outbox WHERE id > ? ORDER BY id LIMIT ?"  # noqa: S608 - our own words
        with self._told_errors():
            while len(waiting) < limit:
                # Read on behind the damaged ones: they must not keep the good ones from being sent.
                rows = self._connect().execute(query, (after, limit)).fetchall()
                for row in rows:
                    message = _message_of(row)
                    if message is None:
                        damaged.append(row["id"])
                    elif len(waiting) < limit:
                        waiting.append(message)
                if len(rows) < limit:
                    break
                after = rows[-1]["id"]
        if damaged:
            try:
                self.set_aside(dict.fromkeys(damaged, DAMAGED))
            except StoreError as error:  # without room for that, the others are sent all the same
                if self._left_damaged != damaged:  # this is asked for every two seconds
                    text = "%d damaged messages could not be set aside: %s"
                    log.warning(text, len(damaged), error)
                self._left_damaged = damaged
        return waiting

    def set_aside(self, reasons: Mapping[int, str]) -> None:
        """Move messages out of the way, by id with the reason, into ``outbox_set_aside``."""
        with self._writing() as connection:
            set_aside(connection, reasons)
        self._set_aside_counts.update(reasons.values())
        log.warning(
            "%d messages were set aside (%s): %s has them in its table outbox_set_aside",
            len(reasons),
            ", ".join(sorted(set(reasons.values()))),
            self._path,
        )

    @property
    def set_aside_counts(self) -> dict[str, int]:
        """Number of messages set aside since this object was created, by reason."""
        return dict(self._set_aside_counts)

    def holes(self, limit: int) -> list[Hole]:
        """Return the newest holes in the numbers, newest first."""
        with self._told_errors():
            rows = self._connect().execute(
                "SELECT epoch, topic, first_seq, last_seq, reason, at FROM outbox_hole "
                "ORDER BY id DESC LIMIT ?",
                (limit,),
            )
            return [Hole(*row) for row in rows]

    def has_changed(self) -> bool:
        """Tell whether another connection has committed since the last call.

        It costs some microseconds: nothing of the database is read
        (https://sqlite.org/pragma.html#pragma_data_version).
        """
        with self._told_errors():
            version = int(self._connect().execute("PRAGMA data_version").fetchone()[0])
        changed = version != self._version
        self._version = version
        return changed

    def delete(self, ids: Collection[int]) -> None:
        """Delete acknowledged messages; ids that do not exist are ignored."""
        with self._writing() as connection:
            connection.executemany("DELETE FROM outbox WHERE id = ?", [(id_,) for id_ in ids])

    def discard(self, ids: Collection[int]) -> None:
        """Delete messages that must not be sent; holes record their numbers."""
        with self._writing() as connection:
            for id_ in ids:
                delete_and_note(connection, "id = ?", (id_,), MQTT_OFF)

    def count(self) -> int:
        """Return how many messages wait."""
        with self._told_errors():
            return int(self._connect().execute("SELECT count(*) FROM outbox").fetchone()[0])

    def clear(self) -> int:
        """Delete all messages, because none is to be sent any more; return their number."""
        with self._writing() as connection:
            return delete_and_note(connection, "TRUE", (), MQTT_OFF)

    def count_dropped(self) -> int:
        """Return how many messages were dropped so far because the outbox was full."""
        with self._told_errors():
            return int(read_setting(self._connect(), DROPPED_KEY) or 0)

    def close(self) -> None:
        """Close the connection, in the thread that used it; a later call opens it again."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None
            self._version = None

    def _connect(self) -> sqlite3.Connection:
        if self._opened is not None and not self._opened.file.is_in_place:
            self.close()  # the database is another file now
        # Opened late and in the thread that uses it: a connection belongs to one thread.
        if self._opened is None:
            self._opened = open_database(self._path, busy_seconds=self._busy_seconds)
        return self._opened.connection

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._told_errors():
            connection = self._connect()
            with transaction(connection):
                yield connection

    @contextmanager
    def _told_errors(self) -> Iterator[None]:
        try:
            with translate_errors(self._path):
                yield
        except StoreError as error:
            # An error of a file that was replaced meanwhile says nothing of the present one.
            of_now = self._opened is None or self._opened.file.is_in_place
            if isinstance(error, DamageError) or is_read_only(error):
                self.close()
            if self._on_error is not None and of_now:
                self._on_error(error)
            raise


def _message_of(row: sqlite3.Row) -> OutboxRow | None:
    """Return a message as it was queued; ``None`` for a damaged one."""
    try:
        payload = read_payload(row["payload"])
    except ValueError:
        return None
    topic, seq = row["topic"], row["seq"]
    # A number that differs from its payload is damage that JSON does not show.
    if not _TOPIC.fullmatch(topic) or (seq is not None and (payload or {}).get("seq") != seq):
        return None
    boot_id = None if row["boot_id"] is None else _text(row["boot_id"])
    made = (row["created"], boot_id, row["boot_ms"])
    return OutboxRow(row["id"], topic.decode(), seq, payload, *made)


def last_seq(path: Path, topic: str) -> int:
    """Return the last number of a topic, 0 for none.

    From now on, a message of the topic that skips numbers leaves a hole.

    Raises:
        StoreError: the database cannot be written.
    """
    with write_transaction(path) as connection:
        connection.execute(
            "INSERT INTO outbox_seq (topic, last) VALUES (?, 0) ON CONFLICT DO NOTHING", (topic,)
        )
        return _last_seq(connection, topic) or 0


def enqueue(connection: sqlite3.Connection, message: OutboxMessage, limit: int) -> int:
    """Queue a message inside the caller's transaction and return its id.

    Beyond ``limit`` rows the oldest go: the setting ``outbox_dropped`` counts them, and a hole says
    which numbers they had.
    """
    # A copy: a batch that is rolled back is written again from the same message.
    payload = None if message.payload is None else dict(message.payload)
    seq = None
    if payload is not None and message.sequenced:
        seq = payload["seq"] = _take_seq(connection, message.topic, payload.get("seq"))
        # Receivers tell by the epoch that the numbers began anew.
        payload["epoch"] = stream_epoch(connection)
    now = clock.now()
    boot, created = stamp(connection, now)
    newest = insert(
        connection,
        "outbox",
        topic=message.topic,
        seq=seq,
        payload=json.dumps(payload, separators=(",", ":"), ensure_ascii=False),
        created=created.wall_ms,
        boot=boot,
        boot_id=clock.boot_id(),
        # The boot clock of its making tells its age even after the wall clock was set.
        boot_ms=(message.made or now).boot_ms,
    )
    # Ids rise by one, so the bound needs no counting of rows.
    dropped = delete_and_note(connection, "id <= ?", (newest - limit,), "outbox_full")
    if dropped:
        connection.execute(
            "INSERT INTO setting (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value "
            "= CAST(CAST(value AS INTEGER) + excluded.value AS TEXT)",
            (DROPPED_KEY, str(dropped)),
        )
    return newest


def leave_out(connection: sqlite3.Connection, message: OutboxMessage, reason: str) -> None:
    """Note that a message is not queued, with the reason, inside the caller's transaction."""
    # The number is taken all the same: receivers see a hole with a reason, and no loss.
    if message.payload is not None and message.sequenced:
        seq = _take_seq(connection, message.topic, message.payload.get("seq"))
        note_hole(connection, message.topic, seq, seq, reason)


def _take_seq(connection: sqlite3.Connection, topic: str, given: int | None) -> int:
    """Return the number of the next message of a topic, and remember it.

    Numbers never go back: one that was used already becomes the next one. Those that are passed
    over were given to messages that found no room on their way.

    Args:
        connection: in a write transaction.
        topic: whose number it is.
        given: the number that the message was made with; ``None``: it has none yet.
    """
    last = _last_seq(connection, topic)
    # A topic without a last number is new, or was forgotten with its epoch: nothing is missing.
    following = 1 if last is None else last + 1
    seq = max(following, given or 0)
    if last is not None and seq > following:
        note_hole(connection, topic, following, seq - 1, "not_written")
    connection.execute(
        "INSERT INTO outbox_seq (topic, last) VALUES (?, ?) ON CONFLICT (topic) DO UPDATE SET last "
        "= excluded.last",
        (topic, seq),
    )
    return seq


def _last_seq(connection: sqlite3.Connection, topic: str) -> int | None:
    row = connection.execute("SELECT last FROM outbox_seq WHERE topic = ?", (topic,)).fetchone()
    return None if row is None else int(row[0])
