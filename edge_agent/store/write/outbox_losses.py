"""Messages that will not be sent: holes in ``seq`` with their reason, and what was set aside."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from edge_agent.core import clock
from edge_agent.store.database.stream_epoch import stream_epoch

DAMAGED = "damaged"
ERASED = "erased"
NOT_WRITTEN = "not_written"
OUTBOX_FULL = "outbox_full"
MQTT_OFF = "mqtt_off"

HOLES_KEPT = 500
SET_ASIDE_KEPT = 300
COLUMNS = (
    "id, CAST(topic AS BLOB) AS topic, CAST(seq AS INTEGER) AS seq, CAST(payload AS BLOB) AS "
    "payload, CAST(created AS INTEGER) AS created, CAST(boot_id AS BLOB) AS boot_id, "
    "CAST(boot_ms AS INTEGER) AS boot_ms"
)
"""Of ``outbox``, in types that can be read whatever a failing card has made of them."""

_TOPIC = re.compile(rb"[a-z][a-z_/]*")


@dataclass(frozen=True, slots=True)
class Hole:
    """Numbers of a topic under which nothing will come.

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
        payload = json.loads(raw.decode(), parse_constant=_no_number)
        # A half of a pair of characters can be read, and not be written again.
        json.dumps(payload, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if payload is not None and not isinstance(payload, dict):
        raise ValueError("no object")
    return payload


def read_topic(raw: bytes) -> str:
    """Return a stored topic; raises ``ValueError`` when it is damaged."""
    if not _TOPIC.fullmatch(raw):
        raise ValueError("no topic")
    return raw.decode()


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def is_damaged(raw: bytes | None) -> bool:
    """Tell whether nobody can say what a stored payload is about."""
    try:
        read_payload(raw or b"")
    except ValueError:
        return True
    return False


def note_hole(
    connection: sqlite3.Connection, topic: str, first: int, last: int, reason: str, epoch: str = ""
) -> None:
    """Note that nothing will come under the numbers from ``first`` to ``last`` of a topic.

    A hole that goes on is one row. The newest ``HOLES_KEPT`` are kept.

    Args:
        connection: in a write transaction.
        topic: whose numbers they are.
        first: the first of them.
        last: the last of them.
        reason: why, one word.
        epoch: theirs; empty: the present one.
    """
    values = {
        "epoch": epoch or stream_epoch(connection),
        "topic": topic,
        "first": first,
        "last": last,
        "reason": reason,
        "at": clock.now().wall_ms,
    }
    grown = connection.execute(
        "UPDATE outbox_hole SET last_seq = :last, at = :at WHERE id = (SELECT max(id) FROM "
        "outbox_hole WHERE topic = :topic) AND epoch = :epoch AND reason = :reason "
        "AND last_seq = :first - 1",
        values,
    ).rowcount
    if grown:
        return
    newest = connection.execute(
        "INSERT INTO outbox_hole (epoch, topic, first_seq, last_seq, reason, at) "
        "VALUES (:epoch, :topic, :first, :last, :reason, :at)",
        values,
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
    for row in sorted(rows, key=_by_topic):
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


def _by_topic(row: sqlite3.Row) -> tuple[bytes, int]:
    topic: bytes = row["topic"]
    number: int = row["id"]
    return topic, number


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
    """Move messages out of the outbox, where they would stop the others.

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
            connection.execute(
                "INSERT OR REPLACE INTO outbox_set_aside (id, topic, seq, payload, created, at, "
                "reason) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    row["id"],
                    _text(row["topic"]),
                    row["seq"],
                    row["payload"],
                    row["created"],
                    now_ms,
                    reason,
                ),
            )
        note_deleted(connection, rows, reason)
        connection.execute("DELETE FROM outbox WHERE id = ?", (id_,))
    connection.execute(
        "DELETE FROM outbox_set_aside WHERE id NOT IN (SELECT id FROM outbox_set_aside ORDER BY "
        "at DESC, id DESC LIMIT ?)",
        (SET_ASIDE_KEPT,),
    )


def newest_holes(connection: sqlite3.Connection, limit: int) -> list[Hole]:
    """Return the newest holes, newest first."""
    rows = connection.execute(
        "SELECT epoch, topic, first_seq, last_seq, reason, at FROM outbox_hole "
        "ORDER BY id DESC LIMIT ?",
        (limit,),
    )
    return [Hole(*row) for row in rows]


def delete_and_note(
    connection: sqlite3.Connection, condition: str, values: Sequence[object], reason: str
) -> int:
    """Delete rows of the outbox, note the holes that they leave, and return how many went.

    Args:
        connection: in a write transaction.
        condition: which rows, as SQL of our own.
        values: its parameters.
        reason: why they go.
    """
    rows: Collection[sqlite3.Row] = connection.execute(
        f"DELETE FROM outbox WHERE {condition} RETURNING {COLUMNS}",  # noqa: S608 - our own words
        tuple(values),
    ).fetchall()
    note_deleted(connection, rows, reason)
    return len(rows)
