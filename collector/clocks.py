"""How far the clock of each device is ahead of PostgreSQL's, and since when: ``fleet.clock``.

A message says when it was sent by the device's wall clock, and how long after the start of its
machine. Sent minus received is how far that clock is ahead, less the time on the way: a message
waits in the device, in the broker and here, and never arrives before it was sent. So the difference
of every message is a lower bound, and the largest one, of the message that waited least, is the
best estimate: what comes late never makes it worse (the same choice as NTP's clock filter, RFC
5905, section 10, makes by the least delay).

Bound: the clock is ahead by ``ahead_ms`` at least, and at most by so much more as the quickest
message was on its way. One way alone cannot measure that time; ``doubt_ms`` tells how closely
another message agrees that came a minute or more after the best one. What waited in a queue was
sent at one time and comes at another, and agrees with nothing. Not seen is a delay that every
message has alike. Without ``doubt_ms`` nothing is known, and nothing may be corrected.

The boot clock never jumps: wall clock minus boot clock tells a clock that was set from a message
that was quicker, and the start of the machine tells one of its lives from the next.
"""

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields, replace

import psycopg

from collector.database.tables import SCHEMA
from collector.streams import LAST_MS, StreamState
from edge_agent.core.clock import CLOCK_JUMP_MS, UNKNOWN_BOOT
from edge_agent.fleet.message import TimelineMessage

LEAST_DOUBT_MS = 1_000
"""Of the way of the quickest message: a collector alone waits a fifth of a second for more."""
MOST_DOUBT_MS = 30_000
"""A message that agrees less closely has waited, and says nothing."""
APART_MS = 60_000
"""Two messages that are to agree came so long after each other."""
WORTH_MS = 100
"""A better estimate is written from here on."""
UNTIL_MS = 600_000
"""How often it is written that nothing has changed."""
ROW_MS = 86_400_000
"""Longest time of one row: a cheap clock is off by 100 ppm, 9 s a day."""
_LONGEST_MS = 3_155_760_000_000  # a machine that runs for a hundred years


@dataclass(frozen=True, slots=True)
class ClockRow:
    """A row of ``fleet.clock``; times of hearing are ms by the clock of PostgreSQL.

    Attributes:
        since_ms: when the first message of it came.
        until_ms: when a message last said the same, some minutes ago at the most.
        reached_ms: when the best estimate came first.
        boot: start of the machine: how the kernel's name of it begins.
        boot_ms: boot clock of the first message.
        wall_minus_boot_ms: wall clock minus boot clock.
        ahead_ms: how far the wall clock was ahead, at least.
        doubt_ms: how closely another message agrees; ``None``: none has yet.
        synchronised: whether the device knew that a server of time had set its clock.
    """

    since_ms: int
    until_ms: int
    reached_ms: int
    boot: str
    boot_ms: int
    wall_minus_boot_ms: int
    ahead_ms: int
    doubt_ms: int | None
    synchronised: bool


def row_after(known: ClockRow | None, message: TimelineMessage, now_ms: int) -> ClockRow | None:
    """Return the newest row of a device after a message, or ``None`` where it says nothing new.

    A row with another ``since_ms`` than the known one is another row. What no clock can show, such
    as the year 10000, is no measurement.

    Args:
        known: the newest row of the device.
        message: what it sent.
        now_ms: when that came, by the clock of PostgreSQL.

    Example:
        >>> row_after(None, message, now_ms).ahead_ms
        7199640
    """
    is_named = message.boot not in ("", UNKNOWN_BOOT)
    if not (is_named and 0 <= message.sent < LAST_MS and 0 < message.boot_ms < _LONGEST_MS):
        return None
    ahead_ms = message.sent - now_ms
    offset_ms = message.sent - message.boot_ms
    if known is None or not _is_same_clock(known, message) or now_ms - known.since_ms >= ROW_MS:
        return ClockRow(
            since_ms=now_ms,
            until_ms=now_ms,
            reached_ms=now_ms,
            boot=message.boot,
            boot_ms=message.boot_ms,
            wall_minus_boot_ms=offset_ms,
            ahead_ms=ahead_ms,
            doubt_ms=None,
            synchronised=message.synchronised,
        )
    row = _with_estimate(known, ahead_ms, now_ms)
    is_news = (
        row.ahead_ms - known.ahead_ms >= WORTH_MS
        or (known.doubt_ms is None) != (row.doubt_ms is None)
        or (known.doubt_ms or 0) - (row.doubt_ms or 0) >= WORTH_MS
        or now_ms - known.until_ms >= UNTIL_MS
    )
    return replace(row, until_ms=max(now_ms, known.until_ms)) if is_news else None


def _is_same_clock(known: ClockRow, message: TimelineMessage) -> bool:
    offset_ms = message.sent - message.boot_ms
    return (
        known.boot == message.boot
        and known.synchronised == message.synchronised
        and abs(offset_ms - known.wall_minus_boot_ms) <= CLOCK_JUMP_MS
    )


def _with_estimate(known: ClockRow, ahead_ms: int, now_ms: int) -> ClockRow:
    better_ms = ahead_ms - known.ahead_ms
    if better_ms > LEAST_DOUBT_MS:  # all before has waited for so long
        doubt_ms = None
        if known.doubt_ms is not None and better_ms <= MOST_DOUBT_MS:
            doubt_ms = max(known.doubt_ms, better_ms)
        return replace(known, ahead_ms=ahead_ms, doubt_ms=doubt_ms, reached_ms=now_ms)
    doubt_ms = known.doubt_ms
    if now_ms - known.reached_ms >= APART_MS and -better_ms <= MOST_DOUBT_MS:
        doubt_ms = min(doubt_ms or MOST_DOUBT_MS, max(LEAST_DOUBT_MS, -better_ms))
    return replace(known, ahead_ms=max(known.ahead_ms, ahead_ms), doubt_ms=doubt_ms)


class Clocks:
    """Keeps ``fleet.clock``, in the transactions that take messages.

    While a clock goes as it did, nothing is asked and nothing is written: what was read last is
    remembered, and only what adds something to it is looked at again in the database.

    Args:
        connection: to a database of the present schema.

    Example:
        >>> with connection.transaction():
        ...     Clocks(connection).note(states)
    """

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        self._read: dict[str, ClockRow | None] = {}

    def note(self, states: Iterable[StreamState]) -> None:
        """Write what the messages that are due say of clocks, in the caller's transaction.

        Args:
            states: streams whose rows are locked: nobody else writes of these devices.
        """
        newest = {
            state.device: (_newest(state.due), state.heard_ms) for state in states if state.due
        }
        news = [
            device
            for device, said in newest.items()
            if row_after(self._read.get(device), *said) is not None
        ]
        if not news:
            return
        rows: dict[str, ClockRow] = {}
        replaced: list[tuple[str, int]] = []
        known = self._newest_rows(news)
        for device in news:
            before = known.get(device)
            row = row_after(before, *newest[device])
            if row is None:
                continue
            rows[device] = row
            if before is not None and before.since_ms != row.since_ms and before.doubt_ms is None:
                replaced.append((device, before.since_ms))
        # only what is in the database: a transaction may still fail
        self._read.update((device, known.get(device)) for device in news)
        self._write(rows, replaced)

    def _newest_rows(self, devices: Sequence[str]) -> dict[str, ClockRow]:
        columns = ", ".join(_FROM_SQL)
        rows = self._connection.execute(
            f"SELECT name, {columns} FROM unnest(%s::text[]) AS name CROSS JOIN LATERAL (SELECT * "
            f"FROM {SCHEMA}.clock WHERE clock.device = name ORDER BY since DESC LIMIT 1) AS newest",
            (list(devices),),
        ).fetchall()
        return {device: ClockRow(*values) for device, *values in rows}

    def _write(self, rows: Mapping[str, ClockRow], replaced: Sequence[tuple[str, int]]) -> None:
        if replaced:  # nothing ever agreed with them: whoever lies each time leaves one row
            self._connection.execute(
                f"DELETE FROM {SCHEMA}.clock USING unnest(%s::text[], %s::int8[]) AS old (device, "
                "since_ms) WHERE clock.device = old.device AND clock.since = "
                "to_timestamp(old.since_ms / 1000.0)",
                [list(column) for column in zip(*replaced, strict=True)],
            )
        if rows:
            columns = zip(*((device, *astuple(row)) for device, row in rows.items()), strict=True)
            self._connection.execute(_WRITE.encode(), [list(column) for column in columns])


def _newest(messages: Sequence[TimelineMessage]) -> TimelineMessage:
    """Return the message that was sent last, of the start of the machine that came last."""
    last = messages[-1]
    return max(
        (one for one in messages if one.boot == last.boot), key=lambda message: message.boot_ms
    )


_TIMES = frozenset({"since", "until", "reached"})
_COLUMNS = tuple(
    one.name.removesuffix("_ms") if one.name.removesuffix("_ms") in _TIMES else one.name
    for one in fields(ClockRow)
)
_FROM_SQL = tuple(
    f"(extract(epoch FROM {name}) * 1000)::int8" if name in _TIMES else name for name in _COLUMNS
)
_TO_SQL = ", ".join(
    f"to_timestamp({name} / 1000.0)" if name in _TIMES else name for name in _COLUMNS
)
_TYPES = {"boot": "text", "synchronised": "boolean"}
_LISTS = ", ".join(f"%s::{_TYPES.get(name, 'int8')}[]" for name in _COLUMNS)
_WRITE = (
    f"INSERT INTO {SCHEMA}.clock (device, {', '.join(_COLUMNS)}) SELECT device, {_TO_SQL} "
    f"FROM unnest(%s::text[], {_LISTS}) "
    f"AS new (device, {', '.join(_COLUMNS)}) ORDER BY device "
    "ON CONFLICT (device, since) DO UPDATE SET "
    f"{', '.join(f'{name} = excluded.{name}' for name in _COLUMNS[1:])}"
)
