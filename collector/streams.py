"""The order of messages: due ones, early ones that wait for others, and known ones."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

import psycopg

from collector.database.schema import SCHEMA
from collector.messages import Positions, from_sql
from edge_agent.fleet.chunks import TimelineMessage, decode
from edge_agent.fleet.tables import TIMELINE

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters


Name = tuple[str, str]
"""Device and epoch."""
MOST_RANGES = 256
"""Most ranges of a stream beyond its mark; a message that would add another one waits."""
LAST_MS = 253_402_300_800_000
"""The year 10000, ms since 1970, beyond any clock of a device."""
_TIMELINE = frozenset(table.name for table in TIMELINE)


@dataclass(slots=True)
class StreamState:
    """A stream while its row is locked.

    Attributes:
        id: its number.
        device: the device that sends it.
        epoch: name of the stream among those of the device.
        done: positions of the stream that are applied; ``arrange_one`` adds what is due.
        closed: whether a newer stream of the device has begun: nothing of this one is taken.
        due: messages that are applied now, in order, without changes applied before.
        early: messages that wait for others, with their payloads.
        used: messages that no longer wait: first and last position.
        overtaken: whether a message is due after which others were applied already.
        is_only: whether it is the only stream that the device has here.
        is_to_send_again: whether applied positions count as not received any more.
        open_minute: the minute to which rows came last: it is rolled up when the next one begins.
        heard_ms: when its messages came, by the clock of PostgreSQL.
    """

    id: int
    device: str
    epoch: str
    done: Positions
    closed: bool
    due: list[TimelineMessage] = field(default_factory=list)
    early: list[tuple[TimelineMessage, bytes]] = field(default_factory=list)
    used: list[tuple[int, int]] = field(default_factory=list)
    overtaken: bool = False
    is_only: bool = False
    is_to_send_again: bool = False
    open_minute: int | None = None
    heard_ms: int = 0

    def changes(self) -> Iterable[list[Any]]:
        """Yield what is new in the messages that are due."""
        return chain.from_iterable(message.changes for message in self.due)

    def may_take(self, message: TimelineMessage) -> bool:
        """Return whether a message may be applied now.

        It may if everything before it was applied. A message with timeline rows only may overtake
        missing ones: such rows are written once, and the few exceptions are detected.
        """
        if message.first <= self.done.upto + 1:
            return True
        return len(self.done.beyond) < MOST_RANGES and all(
            change[2] == "row" and change[1] in _TIMELINE for change in message.changes
        )

    def forget_beyond(self) -> None:
        """Treat everything beyond the first hole as not received, so that it is sent again."""
        self.is_to_send_again |= self.done.forget_beyond()

    def make_due(self, message: TimelineMessage) -> None:
        """Make a message due.

        If it deletes rows, messages that have overtaken it are forgotten: they may have written the
        same rows, and the device sends them again.
        """
        if self.done.is_overtaken(message.first):
            if any(_takes_away(change) for change in message.changes):
                self.forget_beyond()
            else:
                self.overtaken = True
        if message.first <= self.done.upto or self.overtaken:
            changes = tuple(one for one in message.changes if not self.done.has(one[0]))
            self.due.append(replace(message, changes=changes))
        else:
            self.due.append(message)
        self.done.add(message.first, message.last)


def _takes_away(change: list[Any]) -> bool:
    return change[2] == "erase" or (change[2] == "gone" and change[1] in _TIMELINE)


def locked_streams(
    connection: psycopg.Connection, names: Iterable[Name]
) -> dict[Name, StreamState]:
    """Return the streams, created if needed; their rows are locked until the commit.

    All streams of a device are locked in one order, so that two collectors cannot deadlock.
    """
    wanted = sorted(set(names))
    devices = sorted({device for device, _ in wanted})
    states = _lock_streams(connection, devices)
    missing = [name for name in wanted if name not in states]
    if missing:
        connection.cursor().executemany(
            f"INSERT INTO {SCHEMA}.stream (device, epoch) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            missing,
        )
        # Read again, since another collector may have made the same streams meanwhile.
        states = _lock_streams(connection, devices)
    return {name: states[name] for name in wanted}


def _lock_streams(connection: psycopg.Connection, devices: list[str]) -> dict[Name, StreamState]:
    rows = connection.execute(
        "SELECT id, device, epoch, applied, ahead, closed, open_minute, "
        f"(extract(epoch FROM clock_timestamp()) * 1000)::int8 FROM {SCHEMA}.stream "
        "WHERE device = ANY(%s) ORDER BY id FOR UPDATE",
        (devices,),
    ).fetchall()
    streams = Counter(row[1] for row in rows)
    states = {}
    for number, device, epoch, applied, ahead, closed, open_minute, heard_ms in rows:
        done = from_sql(applied, ((one.lower, one.upper) for one in ahead))
        state = StreamState(number, device, epoch, done, closed, heard_ms=heard_ms)
        state.is_only = streams[device] == 1
        state.open_minute = open_minute
        states[device, epoch] = state
    return states


def arrange(
    connection: psycopg.Connection,
    states: dict[Name, StreamState],
    messages: Sequence[tuple[TimelineMessage, bytes]],
) -> None:
    """Sort new and waiting messages into due and early ones."""
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
    # By position: a message that came again while it waits counts once.
    every = {(m.first, m.last): (m, payload) for m, payload in (*arrived, *waited)}
    is_waiting = False
    for span in sorted(every):
        message, payload = every[span]
        if not state.closed and not state.done.covers(*span):
            # nothing overtakes a waiting message, which may delete rows
            if (is_waiting and message.first > state.done.upto + 1) or not state.may_take(message):
                is_waiting = True
                if span not in known:
                    state.early.append((message, payload))
                continue
            state.make_due(message)
        if span in known:
            state.used.append(span)


def store(connection: psycopg.Connection, states: Iterable[StreamState]) -> None:
    """Write the positions of the streams, and their waiting messages."""
    cursor = connection.cursor()
    early = [(one.id, m.first, m.last, payload) for one in states for m, payload in one.early]
    used = [(state.id, *span) for state in states for span in state.used]
    if early:
        cursor.executemany(
            f"INSERT INTO {SCHEMA}.waiting (stream, first, last, payload) "
            "VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
            early,
        )
    if used:
        cursor.execute(
            f"DELETE FROM {SCHEMA}.waiting AS old USING unnest(%s::int8[], %s::int8[], %s::int8[]) "
            "AS used (stream, first, last) WHERE old.stream = used.stream AND "
            "old.first = used.first AND old.last = used.last",
            [list(column) for column in zip(*used, strict=True)],
        )
    news = [
        (
            *(state.id, state.done.upto, state.done.to_sql(), state.open_minute),
            *(sum(message.absent for message in state.due), *_clock(state)),
        )
        for state in states
    ]
    columns = [list(column) for column in zip(*news, strict=True)]
    cursor.execute(
        f"UPDATE {SCHEMA}.stream SET applied = new.applied, ahead = new.ahead::int8multirange, "
        "open_minute = new.open_minute, absent = stream.absent + new.absent, "
        "clock_ahead_ms = coalesce(new.sent - "
        "(extract(epoch FROM clock_timestamp()) * 1000)::int8, clock_ahead_ms), "
        "synchronised = coalesce(new.synchronised, stream.synchronised), heard = now() "
        "FROM unnest(%s::int8[], %s::int8[], %s::text[], %s::int8[], %s::int8[], %s::int8[], "
        "%s::boolean[]) AS new (id, applied, ahead, open_minute, absent, sent, synchronised) "
        "WHERE stream.id = new.id",
        columns,
    )


def _clock(state: StreamState) -> tuple[int | None, bool | None]:
    if not state.due:
        return None, None
    newest = state.due[-1]
    # impossible times are ignored: the difference would not fit its column
    sent = newest.sent if 0 <= newest.sent < LAST_MS else None
    return sent, newest.synchronised
