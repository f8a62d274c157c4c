"""The newest state of each device; dead letters; the erasure of a participant.

Times of arrival are by the clock of PostgreSQL, the same for all collectors. A retained message may
be old, so the time in it counts, too.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterable, Sequence
from typing import Any

import psycopg

from collector.database.rollups import Place
from collector.database.schema import ROLLED_UP, SCHEMA
from collector.messages import Said, StateMessage, Status, read_state
from edge_agent.core import clock
from edge_agent.fleet.chunks import MessageError
from edge_agent.fleet.tables import TIMELINE
from edge_agent.timeline.database.tables import OF_PARTICIPANT, OF_SESSION
from edge_agent.timeline.database.tables import TIMELINE as TABLES

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters


log = logging.getLogger(__name__)

MOST_BYTES_KEPT = 1_000_000
"""Most bytes that are stored of a refused message."""
_HEARD = "clock_timestamp() - new.ago_s * interval '1 s'"
_AT = "to_timestamp(new.at / 1000.0)"
_SAME_STATE = "old.state = excluded.state AND old.state_at IS NOT DISTINCT FROM excluded.state_at"
_NEWER_STATE = "(old.state_heard IS NULL OR excluded.state_heard >= old.state_heard)"
_NEWER_HEALTH = "(old.health_heard IS NULL OR excluded.health_heard >= old.health_heard)"
_OF_PARTICIPANT = tuple(table.name for table in OF_PARTICIPANT if table.sent)
_OF_SESSION = tuple(table.name for table in OF_SESSION if table.sent)
_WITHIN = {
    table.name: re.sub(r":(\w+)", r"%(\1)s", table.within) for table in TABLES if table.within
}
"""Table → SQL condition of the rows that lie from ``start`` to ``end``, of a database here."""
_LONGEST_MS = 86_400_000
"""No row reaches over more time: partitions that lie later need no look."""


def keep(
    connection: psycopg.Connection, device: str, reason: str, payload: bytes, same_as: bytes = b""
) -> None:
    """Store a refused message, or count it again if it is stored already.

    Args:
        connection: in the caller's transaction, if there is one.
        device: sender of the message; empty: not known.
        reason: the fault.
        payload: bytes of the message.
        same_as: identity of the message; empty: its payload.
    """
    log.warning("a message of %s %s", device or "nobody", reason)
    connection.execute(
        f"INSERT INTO {SCHEMA}.dead_letter (digest, device, reason, payload) "
        "VALUES (%s, %s, %s, %s) ON CONFLICT (digest) DO UPDATE SET "
        "times = dead_letter.times + 1, last_seen = now()",
        (
            hashlib.sha256(same_as or payload).digest(),
            # PostgreSQL's text cannot hold a NUL character.
            device.replace("\0", ""),
            reason.replace("\0", ""),
            payload[:MOST_BYTES_KEPT],
        ),
    )


def _replaced(newer: str, *columns: str) -> str:
    """Return how a row is updated: the columns where it is newer, and the last sign of life.

    What a device said is a sign of life even where something newer is known already, such as what
    the broker had kept for a collector that came later.
    """
    sets = (f"{one} = CASE WHEN {newer} THEN excluded.{one} ELSE old.{one} END" for one in columns)
    heard = "greatest(old.heard, excluded.heard)"
    return f"{', '.join(sets)}, heard = {heard} WHERE {newer} OR {heard} IS DISTINCT FROM old.heard"


def _status(heard: str, since: str, newer: str) -> str:
    return (
        f"INSERT INTO {SCHEMA}.device AS old (name, state, state_at, state_heard, since, heard) "
        f"SELECT name, state, at, {_HEARD}, {since}, {heard} FROM unnest(%s::text[], %s::text[], "
        "%s::int8[], %s::float8[]) AS new (name, state, at, ago_s) ORDER BY name "
        f"ON CONFLICT (name) DO UPDATE SET since = CASE WHEN {_SAME_STATE} OR NOT ({newer}) THEN "
        f"old.since ELSE excluded.since END, "
        f"{_replaced(newer, 'state', 'state_at', 'state_heard')}"
    )


def _health(heard: str, kept: str, newer: str) -> str:
    return (
        f"INSERT INTO {SCHEMA}.device AS old "
        "(name, health_at, version, health, health_heard, health_kept, heard) "
        f"SELECT name, at, version, health::jsonb, {_HEARD}, {kept}, {heard} FROM "
        "unnest(%s::text[], %s::int8[], %s::text[], %s::text[], %s::float8[]) "
        "AS new (name, at, version, health, ago_s) ORDER BY name ON CONFLICT (name) DO UPDATE SET "
        f"{_replaced(newer, 'health_at', 'version', 'health', 'health_heard', 'health_kept')}"
    )


_STATUS = {
    # a last will is sent by the broker: the device itself was not heard
    False: _status(f"CASE WHEN new.at IS NOT NULL THEN {_HEARD} END", _HEARD, _NEWER_STATE),
    True: _status(
        "NULL::timestamptz",
        f"CASE WHEN new.at IS NOT NULL THEN least({_AT}, {_HEARD}) END",
        f"{_NEWER_STATE} AND (excluded.state_at IS NULL OR old.state_at IS NULL OR "
        "excluded.state_at >= old.state_at)",
    ),
}
"""Statement by whether the message was retained."""
_HEALTH = {
    False: _health(_HEARD, "false", _NEWER_HEALTH),
    True: _health(
        "NULL::timestamptz",
        "true",
        f"{_NEWER_HEALTH} AND (old.health_at IS NULL OR excluded.health_at > old.health_at)",
    ),
}


def note_states(connection: psycopg.Connection, messages: Iterable[StateMessage]) -> None:
    """Write the newest state of each device; other messages become dead letters.

    Each table is written by one statement, in order of the names, so that two collectors cannot
    wait for each other.

    Args:
        connection: in autocommit mode, to a database of the present schema.
        messages: of each device at most one status and one health.

    Raises:
        psycopg.Error: not everything was written; the same messages may be given again.
    """
    read: list[tuple[StateMessage, Said]] = []
    for message in messages:
        try:
            read.append((message, read_state(message)))
        except MessageError as error:
            refuse_state(connection, message, str(error))
    now_s = clock.boot_seconds()
    # Retained messages first: what was sent live is newer, and overwrites them.
    for kept in (True, False):
        statuses, healths = [], []
        for message, said in read:
            # As an age, since this machine's clock and PostgreSQL's may differ.
            ago_s = max(0.0, now_s - message.received_s)
            if message.kept != kept:
                continue
            if isinstance(said, Status):
                statuses.append((message.device, said.state, said.at_ms, ago_s))
            else:
                healths.append((message.device, said.at_ms, said.version, said.text, ago_s))
        _write(connection, _STATUS[kept], statuses)
        _write(connection, _HEALTH[kept], healths)


def refuse_state(connection: psycopg.Connection, message: StateMessage, reason: str) -> None:
    """Store one dead letter for each fault of a device, which repeats it every minute."""
    same = f"{message.device}\0{message.suffix}\0{reason}".encode(errors="replace")
    keep(connection, message.device, reason, message.payload, same)


def _write(connection: psycopg.Connection, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    if rows:
        connection.execute(statement.encode(), [list(column) for column in zip(*rows, strict=True)])


Span = tuple[int, int]


def erase(
    connection: psycopg.Connection, device: str, epoch: str, participant: int, spans: Sequence[Span]
) -> tuple[int, set[Place]]:
    """Delete a participant and all rows of their time, in the caller's transaction.

    Messages of the device that wait or were refused are deleted, too, since their owner is unknown.

    Args:
        connection: in a transaction that holds the device's streams.
        device: whose streams they are.
        epoch: of the database in which the participant has the number.
        participant: the number.
        spans: start and end of the sessions, ms.

    Returns:
        The number of deleted rows, and the times whose rollups must be computed again.
    """
    found = connection.execute(f"SELECT id FROM {SCHEMA}.stream WHERE device = %s", (device,))
    streams = [row[0] for row in found]
    rows = _erase_study(connection, streams, device, epoch, participant)
    touched: set[Place] = set()
    for start, end in spans:
        deleted, places = _erase_time(connection, streams, start, end)
        rows += deleted
        touched |= places
    connection.execute(f"DELETE FROM {SCHEMA}.waiting WHERE stream = ANY(%s)", (streams,))
    # A dead letter without a name may be of any device.
    connection.execute(f"DELETE FROM {SCHEMA}.dead_letter WHERE device IN (%s, '')", (device,))
    return rows, touched


def _erase_study(
    connection: psycopg.Connection, streams: list[int], device: str, epoch: str, participant: int
) -> int:
    """Delete the participant by code, whatever number they have in each stream."""
    known = connection.execute(
        f"SELECT fields->>'code' FROM {SCHEMA}.study_row JOIN {SCHEMA}.stream ON "
        "stream.id = study_row.stream WHERE device = %s AND epoch = %s AND kind = 'participant' "
        "AND study_row.id = %s",
        (device, epoch, participant),
    ).fetchone()
    if known is None:
        return 0
    people = connection.execute(
        f"SELECT stream, id FROM {SCHEMA}.study_row WHERE stream = ANY(%s) AND "
        "kind = 'participant' AND lower(fields->>'code') = lower(%s)",
        (streams, known[0]),
    ).fetchall()
    deleted = 0
    for stream, person in people:
        # Read before anything is deleted: rows of a session name the session, not the person.
        found = connection.execute(
            f"SELECT id FROM {SCHEMA}.study_row WHERE stream = %s AND kind = 'session' "
            "AND (fields->>'participant')::int8 = %s",
            (stream, person),
        )
        sessions = [row[0] for row in found]
        for kinds, field, numbers in (
            (_OF_SESSION, "session", sessions),
            (_OF_PARTICIPANT, "participant", [person]),
        ):
            deleted += connection.execute(
                f"DELETE FROM {SCHEMA}.study_row WHERE stream = %s AND kind = ANY(%s) AND "
                f"(fields->>'{field}')::int8 = ANY(%s)".encode(),
                (stream, list(kinds), numbers),
            ).rowcount
        deleted += connection.execute(
            f"DELETE FROM {SCHEMA}.study_row WHERE stream = %s AND kind = 'participant' "
            "AND id = %s",
            (stream, person),
        ).rowcount
    return deleted


def _erase_time(
    connection: psycopg.Connection, streams: list[int], start: int, end: int
) -> tuple[int, set[Place]]:
    """Delete the rows of a span, including those that reach over its edges."""
    touched: set[Place] = set()
    deleted = 0
    values = {"streams": streams, "start": start, "end": end, "last": end + _LONGEST_MS}
    for table in TIMELINE:
        gone = connection.execute(
            f"DELETE FROM {SCHEMA}.{table.name} WHERE stream = ANY(%(streams)s) AND "
            f"{_WITHIN[table.name]} AND {table.time} < %(last)s "
            f"RETURNING stream, {table.time}".encode(),
            values,
        ).fetchall()
        deleted += len(gone)
        if table.name in ROLLED_UP:
            touched.update((stream, at) for stream, at in gone)
    deleted += connection.execute(
        f"DELETE FROM {SCHEMA}.study_row WHERE stream = ANY(%s) AND kind = 'vital_change' "
        "AND (fields->>'at')::int8 >= %s AND (fields->>'at')::int8 < %s",
        (streams, start, end),
    ).rowcount
    return deleted, touched


def replace_older(
    connection: psycopg.Connection, device: str, stream: int, start: int, end: int
) -> set[Place]:
    """Delete rows of older streams in a span of which a newer stream has a complete copy.

    Rows before and after the span, and those of the study, stay. Returns the times whose rollups
    must be computed again.
    """
    found = connection.execute(
        f"SELECT id FROM {SCHEMA}.stream WHERE device = %s AND id <> %s AND closed",
        (device, stream),
    )
    older = [row[0] for row in found]
    if not older:
        return set()
    touched: set[Place] = set()
    for table in TIMELINE:
        gone = connection.execute(
            f"DELETE FROM {SCHEMA}.{table.name} WHERE stream = ANY(%s) AND {table.time} BETWEEN "
            f"%s AND %s RETURNING stream, {table.time}".encode(),
            (older, start, end),
        ).fetchall()
        if table.name in ROLLED_UP:
            touched.update((number, at) for number, at in gone)
    return touched
