"""Putting messages in order: which can be applied, which wait for others, which are known."""

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

from collector.database.tables import SCHEMA
from edge_agent.fleet.message import TimelineMessage, decode

Name = tuple[str, str]
"""Device and epoch."""


@dataclass(slots=True)
class StreamState:
    """A stream while its row is locked.

    Attributes:
        id: its number.
        device: whose it is.
        epoch: of which database.
        applied: the last position that is applied.
        closed: whether a newer stream of the device has begun: nothing of this one is taken.
        due: messages that are applied now, in order.
        early: messages that wait for others, with their payloads.
        used: messages that waited, and do not any more: first and last position.
    """

    id: int
    device: str
    epoch: str
    applied: int
    closed: bool
    due: list[TimelineMessage] = field(default_factory=list)
    early: list[tuple[TimelineMessage, bytes]] = field(default_factory=list)
    used: list[tuple[int, int]] = field(default_factory=list)

    def changes(self) -> Iterable[list[Any]]:
        """Yield what is new in the messages that are due; what they repeat is left out."""
        done = self.applied
        for message in self.due:
            for change in message.changes:
                if change[0] > done:
                    yield change
            done = max(done, message.last)

    @property
    def goes_to(self) -> int:
        """The last position once the due messages are applied."""
        return max((message.last for message in self.due), default=self.applied)


def locked_streams(
    connection: psycopg.Connection, names: Iterable[Name]
) -> dict[Name, StreamState]:
    """Return the streams, made where they are missing; their rows are locked until the commit.

    All streams of a device are locked in one order, so that no two collectors wait for each other.
    """
    wanted = sorted(set(names))
    devices = sorted({device for device, _ in wanted})
    states = _locked(connection, devices)
    missing = [name for name in wanted if name not in states]
    if missing:
        connection.cursor().executemany(
            f"INSERT INTO {SCHEMA}.stream (device, epoch) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            missing,
        )
        states = _locked(connection, devices)
    return {name: states[name] for name in wanted}


def _locked(connection: psycopg.Connection, devices: list[str]) -> dict[Name, StreamState]:
    rows = connection.execute(
        f"SELECT id, device, epoch, applied, closed FROM {SCHEMA}.stream "
        "WHERE device = ANY(%s) ORDER BY id FOR UPDATE",
        (devices,),
    ).fetchall()
    return {(row[1], row[2]): StreamState(*row) for row in rows}


def arrange(
    connection: psycopg.Connection,
    states: dict[Name, StreamState],
    messages: Sequence[tuple[TimelineMessage, bytes]],
) -> None:
    """Sort messages, and those that waited, into what is due and what is early."""
    arrived: dict[int, list[tuple[TimelineMessage, bytes]]] = defaultdict(list)
    for message, payload in messages:
        arrived[states[message.device, message.epoch].id].append((message, payload))
    waited: dict[int, list[tuple[TimelineMessage, bytes]]] = defaultdict(list)
    for stream, payload in connection.execute(
        f"SELECT stream, payload FROM {SCHEMA}.waiting WHERE stream = ANY(%s)",
        ([state.id for state in states.values()],),
    ).fetchall():
        waited[stream].append((decode(payload), payload))
    for state in states.values():
        arrange_one(state, arrived[state.id], waited[state.id])


def arrange_one(
    state: StreamState,
    arrived: list[tuple[TimelineMessage, bytes]],
    waited: list[tuple[TimelineMessage, bytes]],
) -> None:
    """Sort the messages of one stream: those that arrived, and those that waited."""
    known = {(message.first, message.last) for message, _ in waited}
    every = {(m.first, m.last): (m, payload) for m, payload in (*arrived, *waited)}
    at = state.applied
    for span in sorted(every):
        message, payload = every[span]
        if not state.closed and message.first > at + 1:
            if span not in known:
                state.early.append((message, payload))
            continue
        if not state.closed and message.last > at:
            state.due.append(message)
            at = message.last
        if span in known:
            state.used.append(span)


def store(connection: psycopg.Connection, states: Iterable[StreamState]) -> None:
    """Write how far the streams are, and what waits."""
    cursor = connection.cursor()
    early = [
        (state.id, message.first, message.last, payload)
        for state in states
        for message, payload in state.early
    ]
    used = [(state.id, *span) for state in states for span in state.used]
    if early:
        cursor.executemany(
            f"INSERT INTO {SCHEMA}.waiting (stream, first, last, payload) "
            "VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
            early,
        )
    if used:
        cursor.executemany(
            f"DELETE FROM {SCHEMA}.waiting WHERE stream = %s AND first = %s AND last = %s", used
        )
    news = [
        (state.id, state.goes_to, sum(message.absent for message in state.due), *_clock(state))
        for state in states
    ]
    columns = [list(column) for column in zip(*news, strict=True)]
    cursor.execute(
        f"UPDATE {SCHEMA}.stream SET applied = new.applied, absent = stream.absent + new.absent, "
        "clock_ahead_ms = coalesce(new.sent - "
        "(extract(epoch FROM clock_timestamp()) * 1000)::int8, clock_ahead_ms), "
        "synchronised = coalesce(new.synchronised, stream.synchronised), heard = now() "
        "FROM unnest(%s::int8[], %s::int8[], %s::int8[], %s::int8[], %s::boolean[]) "
        "AS new (id, applied, absent, sent, synchronised) WHERE stream.id = new.id",
        columns,
    )


def _clock(state: StreamState) -> tuple[int | None, bool | None]:
    if not state.due:
        return None, None
    newest = state.due[-1]
    return newest.sent, newest.synchronised
