"""Writes messages into the database, many in one transaction, each exactly once.

Rollups of open minutes: a device sends six messages a minute. Its newest minute is not computed
with each of them: the stream remembers it in the transaction that writes its rows
(``stream.open_minute``), and it is rolled up with the first row of another minute, or when the
device has been silent for a while.

Clock offsets: ``fleet.clock`` records how far the clock of each device is ahead of PostgreSQL's,
and since when. A message contains its sending time by the device's wall clock and by its boot
clock. Sent minus received is the lead of that clock, less the transit time: a message waits in the
device, in the broker and here, and never arrives before it was sent. So the difference of every
message is a lower bound, and the largest one, of the fastest message, is the best estimate. Late
messages never make it worse (NTP's clock filter also selects the least delay, RFC 5905, section
10).

Bounds: the clock is ahead by at least ``ahead_ms``, and at most by that plus the transit time of
the fastest message. Messages in one direction cannot measure that time; ``doubt_ms`` is the
difference of another message that came a minute or more after the best one. Messages that waited in
a queue differ widely. A delay that all messages share cannot be seen. Without ``doubt_ms`` nothing
is known, and nothing may be corrected.

The boot clock never jumps. Wall clock minus boot clock shows whether a clock was set or a message
was faster, and the identifier of the start shows a restart of the machine.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields, replace
from operator import attrgetter
from typing import Any

import psycopg

from collector.database.devices import erase, keep, replace_older
from collector.database.rollups import MINUTE_MS, Place, begins, prepare_rollups, roll_up
from collector.database.rows import RowWriter, prepare
from collector.database.schema import SCHEMA, Partitions
from collector.messages import BrokerDelivery
from collector.streams import LAST_MS, StreamState, arrange, locked_streams, store
from collector.values import check_values
from edge_agent.core.clock import CLOCK_JUMP_MS, UNKNOWN_BOOT
from edge_agent.fleet.chunks import MessageError, TimelineMessage, decode, encode
from edge_agent.fleet.tables import BY_NAME
from edge_agent.mqtt.payloads import Confirmation, Erased

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters


LEAST_DOUBT_MS = 1_000
"""Least uncertainty of the fastest transit: the collector alone waits a fifth of a second."""
MOST_DOUBT_MS = 30_000
"""A message with a larger difference has waited, and is ignored."""
APART_MS = 60_000
"""Least time between two messages that are compared."""
WORTH_MS = 100
"""Least improvement of an estimate that is written."""
UNTIL_MS = 600_000
"""Interval at which an unchanged estimate is written."""
ROW_MS = 86_400_000
"""Longest time of one row: a cheap clock is off by 100 ppm, 9 s a day."""
_LONGEST_MS = 3_155_760_000_000  # a machine that runs for a hundred years
_TIMES = frozenset({"since", "until", "reached"})
_TYPES = {"boot": "text", "synchronised": "boolean"}
MOST_CLOSED = 1_000
"""Minutes that are closed in one transaction."""
_ERASURES_TOLD = 20


@dataclass(frozen=True, slots=True)
class ClockRow:
    """A row of ``fleet.clock``; times of hearing are ms by the clock of PostgreSQL.

    Attributes:
        since_ms: arrival of its first message.
        until_ms: arrival of the last message that agrees, at most some minutes ago.
        reached_ms: arrival of the best estimate.
        boot: start of the machine: first characters of the kernel's identifier.
        boot_ms: boot clock of the first message.
        wall_minus_boot_ms: wall clock minus boot clock.
        ahead_ms: least lead of the wall clock.
        doubt_ms: difference of another message; ``None``: there is none yet.
        synchronised: whether the device knew that a time server had set its clock.
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
    """Return the newest row of a device after a message, or ``None`` if nothing is new.

    A row with another ``since_ms`` than the known one is another row. Impossible times, such as the
    year 10000, are ignored.

    Args:
        known: the newest row of the device.
        message: the message.
        now_ms: its arrival by the clock of PostgreSQL.

    Example:
        >>> row_after(None, message, now_ms).ahead_ms
        7199640
    """
    is_named = message.boot not in ("", UNKNOWN_BOOT)
    # Any device may send anything: times that no clock shows must not reach the estimate.
    if not (is_named and 0 <= message.sent < LAST_MS and 0 < message.boot_ms < _LONGEST_MS):
        return None
    ahead_ms = message.sent - now_ms
    offset_ms = message.sent - message.boot_ms
    if known is None or not _is_same_clock(known, message) or now_ms - known.since_ms >= ROW_MS:
        said = (message.boot, message.boot_ms, offset_ms, ahead_ms, None, message.synchronised)
        return ClockRow(now_ms, now_ms, now_ms, *said)
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
    if better_ms > LEAST_DOUBT_MS:  # all earlier messages have waited at least that long
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

    While a clock does not change, nothing is read or written: the last row is remembered, and only
    messages that add something to it cause another look into the database.

    Args:
        connection: to a database of the present schema.

    Example:
        >>> with connection.transaction():
        ...     Clocks(connection).note(states)
    """

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        self._read: dict[str, ClockRow | None] = {}

    def write_clocks(self, states: Iterable[StreamState]) -> None:
        """Write the clock rows of the due messages, in the caller's transaction.

        Args:
            states: streams whose rows are locked, so that nobody else writes these devices.
        """
        newest = {one.device: (_newest(one.due), one.heard_ms) for one in states if one.due}
        # Compared with what is remembered, so that the database is asked only for news.
        news = [one for one, said in newest.items() if row_after(self._read.get(one), *said)]
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
_LISTS = ", ".join(f"%s::{_TYPES.get(name, 'int8')}[]" for name in _COLUMNS)
_WRITE = (
    f"INSERT INTO {SCHEMA}.clock (device, {', '.join(_COLUMNS)}) SELECT device, {_TO_SQL} "
    f"FROM unnest(%s::text[], {_LISTS}) "
    f"AS new (device, {', '.join(_COLUMNS)}) ORDER BY device "
    "ON CONFLICT (device, since) DO UPDATE SET "
    f"{', '.join(f'{name} = excluded.{name}' for name in _COLUMNS[1:])}"
)


def put_off(
    states: Iterable[StreamState], places: Collection[Place], emptied: Collection[Place]
) -> set[Place]:
    """Return the minutes to roll up now; the newest one of each stream becomes its open minute.

    The minute that was open before is returned, too, unless it is still the newest. A minute that
    may have lost rows is never put off: the commit takes an erasure out of every rollup.

    Args:
        states: the streams that are locked; their ``open_minute`` is set.
        places: where a row came or went.
        emptied: the places where perhaps no row is left.
    """
    minutes = begins(places, MINUTE_MS)
    at_once = begins(emptied, MINUTE_MS)
    newest: dict[int, int] = {}
    for stream, at in minutes:
        newest[stream] = max(at, newest.get(stream, at))
    for state in states:
        last = newest.get(state.id)
        if last is None:
            continue
        if state.open_minute is not None:
            minutes.add((state.id, state.open_minute))
        state.open_minute = None
        if (state.id, last) not in at_once:
            minutes.discard((state.id, last))
            state.open_minute = last
    return minutes


def close_minutes(connection: psycopg.Connection, silent_s: float) -> int:
    """Roll up the open minutes of streams that are silent, at most ``MOST_CLOSED``.

    Streams that another collector holds are left to the next time.

    Args:
        connection: in autocommit mode, prepared for rollups.
        silent_s: seconds without a message after which a stream is silent.

    Returns:
        How many minutes were rolled up.
    """
    with connection.transaction():
        places = connection.execute(
            f"SELECT id, open_minute FROM {SCHEMA}.stream WHERE open_minute IS NOT NULL AND heard "
            "<= now() - make_interval(secs => %s) ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED",
            (silent_s, MOST_CLOSED),
        ).fetchall()
        if places:
            roll_up(connection, places, ())
            connection.execute(
                f"UPDATE {SCHEMA}.stream SET open_minute = NULL WHERE id = ANY(%s)",
                ([stream for stream, _ in places],),
            )
    return len(places)


@dataclass(frozen=True, slots=True)
class DueConfirmation:
    """A confirmation that may go to its device after the commit."""

    device: str
    confirmation: Confirmation


_Refused = tuple[BrokerDelivery, str]
"""A message that no table takes, and why."""


class MessageWriter:
    """Takes messages over one connection to PostgreSQL.

    Args:
        connection: in autocommit mode, to a database of the present schema.
    """

    def __init__(self, connection: psycopg.Connection) -> None:
        self.connection = connection
        self._partitions = Partitions()
        self._clocks = Clocks(connection)
        # every question here names its rows by their keys; a plan that reads whole tables, made
        # for lists that are thought to be long, would take minutes in a large database
        for setting in ("jit", "enable_hashjoin", "enable_mergejoin", "enable_seqscan"):
            connection.execute(f"SET {setting} = off".encode())
        prepare_rollups(connection)
        prepare(connection)

    def write_deliveries(self, deliveries: Sequence[BrokerDelivery]) -> list[DueConfirmation]:
        """Write messages in one transaction, and return the confirmations.

        Repeated messages change nothing. Early ones wait in the database. Unreadable ones are
        stored as dead letters, with the reason; a stream continues after them, and its ``lost``
        lists the missing positions.

        Raises:
            psycopg.Error: nothing was written.
        """
        messages: list[tuple[TimelineMessage, bytes]] = []
        refused: list[_Refused] = []
        for delivery in deliveries:
            message = _read(delivery, refused)
            if message is not None:
                messages.append((message, delivery.payload))
        for number, (message, payload) in enumerate(messages):
            try:
                check_values(message)
            except MessageError as error:
                # It is stored and never acknowledged by this, so it needs no tag.
                refused.append((BrokerDelivery(message.device, payload, 0), str(error)))
                instead = _nothing(message)
                messages[number] = instead, encode(instead)
        names = {(message.device, message.epoch) for message, _ in messages}
        # Before the transaction: making a partition locks tables that other collectors write to.
        self._partitions.prepare(self.connection, _times(message for message, _ in messages))
        with self.connection.transaction():
            self._keep(refused)
            if not names:
                return []
            states = locked_streams(self.connection, names)
            arrange(self.connection, states, messages)
            # In order of their numbers, as other collectors do, so that none waits for the other.
            self._apply(sorted(states.values(), key=attrgetter("id")))
            store(self.connection, states.values())
            self._clocks.write_clocks(states.values())
            return self._confirmations_of(states.values())

    def close_minutes(self, silent_s: float) -> int:
        """Roll up the last minutes of devices that are silent; return how many, 1,000 at most."""
        return close_minutes(self.connection, silent_s)

    def refuse(self, delivery: BrokerDelivery, reason: str) -> list[DueConfirmation]:
        """Keep a message that the database does not take, and let its stream go on after it."""
        refused = [(delivery, reason)]
        with self.connection.transaction():
            self._keep(refused)
        message = _read(delivery, refused)
        if message is None:
            return []
        instead = encode(_nothing(message))
        return self.write_deliveries([replace(delivery, payload=instead)])

    def _keep(self, refused: Iterable[_Refused]) -> None:
        for delivery, reason in refused:
            keep(self.connection, delivery.device, reason, delivery.payload)

    def _apply(self, states: list[StreamState]) -> None:
        """Apply due messages: rows of all streams together, flushed before each special change."""
        writer = RowWriter(self.connection)
        for state in states:
            for position, table, what, values in state.changes():
                if table:
                    writer.add(state.id, table, what, values)
                else:
                    # An erasure must find the rows that came before it in their tables.
                    writer.flush()
                    self._special(writer, state, position, what, values)
        writer.flush()
        for state in states:
            if state.overtaken and state.id in writer.replaced:
                # perhaps with older values than those that have overtaken it
                state.forget_beyond()
        due = put_off(states, writer.touched, writer.emptied)
        roll_up(self.connection, due, writer.emptied)

    def _special(
        self, writer: RowWriter, state: StreamState, position: int, what: str, values: Any
    ) -> None:
        match what:
            case "begin":
                self._close_older(state, values.get("follows"))
            case "gap":
                first, reason = max(values["first"], 1), values.get("reason")
                self.connection.execute(
                    f"INSERT INTO {SCHEMA}.lost (stream, first, last, reason) VALUES (%s, %s, %s, "
                    "%s) ON CONFLICT (stream, first) DO UPDATE SET "
                    "last = greatest(lost.last, excluded.last)",
                    (state.id, first, position, reason or "backlog_full"),
                )
            case "erase":
                deleted, touched = erase(
                    self.connection,
                    state.device,
                    values["epoch"],
                    values["participant"],
                    [(start, end) for start, end in values["spans"]],
                )
                writer.touched |= touched
                writer.emptied |= touched
                self.connection.execute(
                    f"INSERT INTO {SCHEMA}.erasure (stream, position, rows) VALUES (%s, %s, %s) "
                    "ON CONFLICT DO NOTHING",
                    (state.id, position, deleted),
                )
            case "copied":
                touched = self._complete_copy(state, values)
                writer.touched |= touched
                writer.emptied |= touched

    def _close_older(self, state: StreamState, follows: str | None) -> None:
        """Close older streams of a device that has begun a new one."""
        if follows is None and state.is_only:
            return
        if follows is not None:
            self.connection.execute(
                f"INSERT INTO {SCHEMA}.stream (device, epoch) VALUES (%s, %s) "
                "ON CONFLICT DO NOTHING",
                (state.device, follows),
            )
        older = (state.device, state.id)
        self.connection.execute(
            f"DELETE FROM {SCHEMA}.waiting WHERE stream IN (SELECT id FROM {SCHEMA}.stream "
            "WHERE device = %s AND id <> %s)",
            older,
        )
        self.connection.execute(
            f"UPDATE {SCHEMA}.stream SET closed = true WHERE device = %s AND id <> %s", older
        )

    def _complete_copy(self, state: StreamState, values: dict[str, Any]) -> set[Place]:
        """Record that a stream's copy of the database is complete."""
        self.connection.execute(
            f"UPDATE {SCHEMA}.stream SET copied = true WHERE id = %s", (state.id,)
        )
        lost = self.connection.execute(
            f"SELECT 1 FROM {SCHEMA}.lost WHERE stream = %s", (state.id,)
        ).fetchone()
        start, end = values.get("from"), values.get("to")
        if lost is not None or start is None or end is None:
            return set()  # a copy with holes is no reason to delete what older streams have
        return replace_older(self.connection, state.device, state.id, start, end)

    def _confirmations_of(self, states: Iterable[StreamState]) -> list[DueConfirmation]:
        told = []
        states = list(states)
        receipts: dict[int, list[Erased]] = defaultdict(list)
        for stream, position, rows_there in self.connection.execute(
            f"SELECT stream, position, rows FROM {SCHEMA}.erasure WHERE stream = ANY(%s) "
            "ORDER BY position DESC",
            ([state.id for state in states],),
        ).fetchall():
            receipts[stream].append(Erased(position=position, rows=rows_there))
        for state in states:
            confirmation = Confirmation(
                schema=1,
                epoch=state.epoch,
                position=state.done.upto,
                closed=state.closed,
                again=state.is_to_send_again,
                erased=tuple(receipts[state.id][:_ERASURES_TOLD]),
            )
            told.append(DueConfirmation(state.device, confirmation))
        return told


def _read(delivery: BrokerDelivery, refused: list[_Refused]) -> TimelineMessage | None:
    """Decode a delivery; if it cannot be read, add it to the refused ones."""
    try:
        message = decode(delivery.payload)
        # Where the topic names a device, the message must be of the same one.
        if delivery.device and message.device != delivery.device:
            raise MessageError(f"says that it is of {message.device!r}")
    except MessageError as error:
        refused.append((delivery, str(error)))
        return None
    return message


def _nothing(message: TimelineMessage) -> TimelineMessage:
    """Return a gap in place of a message whose values do not fit the tables."""
    gap = [message.last, "", "gap", {"first": message.first, "reason": "refused"}]
    return replace(message, changes=(gap,))


def _times(messages: Iterable[TimelineMessage]) -> set[int]:
    """Return times of rows, one of each day: months are made of them."""
    day = 86_400_000
    times: set[int] = set()
    for message in messages:
        for _, name, what, values in message.changes:
            table = BY_NAME.get(name)
            if table is not None and table.time is not None and what == "row":
                # The day is enough to know the month; a set of all
                # times would be as long as the rows.
                times.add(values[table.columns.index(table.time)] // day * day)
    return times
