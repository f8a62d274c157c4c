"""Takes messages into the database: one transaction for many, and each counts once."""

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

import psycopg

from collector.checked_values import check_values
from collector.clocks import Clocks
from collector.database import rollups, rows
from collector.database.dead_letters import keep
from collector.database.erasing import erase, replace_older
from collector.database.partitions import Partitions
from collector.database.rollups import roll_up
from collector.database.rows import RowWriter
from collector.database.tables import SCHEMA
from collector.open_minutes import close_minutes, put_off
from collector.streams import StreamState, arrange, locked_streams, store
from collector.transport import Delivery
from edge_agent.fleet.message import MessageError, TimelineMessage, decode, encode
from edge_agent.fleet.tables import BY_NAME
from edge_agent.mqtt.payloads.timeline import Confirmation, Erased

_ERASURES_TOLD = 20


@dataclass(frozen=True, slots=True)
class Told:
    """What a device may be told after the commit."""

    device: str
    confirmation: Confirmation


@dataclass(frozen=True, slots=True)
class _Refused:
    delivery: Delivery
    reason: str


class Intake:
    """Takes messages over one connection to PostgreSQL.

    Args:
        connection: in autocommit mode, to a database of the present schema.
    """

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        self._partitions = Partitions()
        self._clocks = Clocks(connection)
        # every question here names its rows by their keys; a plan that reads whole tables, made
        # for lists that are thought to be long, would take minutes in a large database
        for setting in ("jit", "enable_hashjoin", "enable_mergejoin", "enable_seqscan"):
            connection.execute(f"SET {setting} = off".encode())
        rollups.prepare(connection)
        rows.prepare(connection)

    def take(self, deliveries: Sequence[Delivery]) -> list[Told]:
        """Write messages, all in one transaction, and return what is committed then.

        Messages that were taken before change nothing. Those that come too early wait in the
        database. Those that cannot be read are kept as dead letters, with the reason; a stream
        goes on after them, and its ``lost`` says what is missing.

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
                refused.append(_Refused(Delivery(message.device, payload, 0), str(error)))
                instead = _nothing(message)
                messages[number] = instead, encode(instead)
        names = {(message.device, message.epoch) for message, _ in messages}
        self._partitions.prepare(self._connection, _times(message for message, _ in messages))
        with self._connection.transaction():
            self._keep(refused)
            if not names:
                return []
            states = locked_streams(self._connection, names)
            arrange(self._connection, states, messages)
            self._apply(sorted(states.values(), key=attrgetter("id")))
            store(self._connection, states.values())
            self._clocks.note(states.values())
            return self._told(states.values())

    def close_minutes(self, silent_s: float) -> int:
        """Roll up the last minutes of devices that are silent; return how many, 1,000 at most."""
        return close_minutes(self._connection, silent_s)

    def refuse(self, delivery: Delivery, reason: str) -> list[Told]:
        """Keep a message that the database does not take, and let its stream go on after it."""
        refused = [_Refused(delivery, reason)]
        with self._connection.transaction():
            self._keep(refused)
        message = _read(delivery, refused)
        if message is None:
            return []
        instead = encode(_nothing(message))
        return self.take([replace(delivery, payload=instead)])

    def _keep(self, refused: Iterable[_Refused]) -> None:
        for each in refused:
            keep(self._connection, each.delivery.device, each.reason, each.delivery.payload)

    def _apply(self, states: list[StreamState]) -> None:
        """Apply what is due: the rows of all streams together, up to something special of one."""
        writer = RowWriter(self._connection)
        for state in states:
            for position, table, what, values in state.changes():
                if table:
                    writer.add(state.id, table, what, values)
                else:
                    writer.flush()
                    self._special(writer, state, position, what, values)
        writer.flush()
        for state in states:
            if state.overtaken and state.id in writer.replaced:
                # perhaps with older values than those that have overtaken it
                state.forget_beyond()
        due = put_off(states, writer.touched, writer.emptied)
        roll_up(self._connection, due, writer.emptied)

    def _special(
        self,
        writer: RowWriter,
        state: StreamState,
        position: int,
        what: str,
        values: dict[str, Any],
    ) -> None:
        match what:
            case "begin":
                self._close_older(state, values.get("follows"))
            case "gap":
                self._note_lost(state, max(values["first"], 1), position, values.get("reason"))
            case "erase":
                deleted, touched = erase(
                    self._connection,
                    state.device,
                    values["epoch"],
                    values["participant"],
                    [(start, end) for start, end in values["spans"]],
                )
                writer.touched |= touched
                writer.emptied |= touched
                self._connection.execute(
                    f"INSERT INTO {SCHEMA}.erasure (stream, position, rows) VALUES (%s, %s, %s) "
                    "ON CONFLICT DO NOTHING",
                    (state.id, position, deleted),
                )
            case "copied":
                touched = self._copied(state, values)
                writer.touched |= touched
                writer.emptied |= touched

    def _close_older(self, state: StreamState, follows: str | None) -> None:
        """A device has begun a new stream: what still comes of older ones is not taken."""
        if follows is None and state.is_only:
            return
        if follows is not None:
            self._connection.execute(
                f"INSERT INTO {SCHEMA}.stream (device, epoch) VALUES (%s, %s) "
                "ON CONFLICT DO NOTHING",
                (state.device, follows),
            )
        older = (state.device, state.id)
        self._connection.execute(
            f"DELETE FROM {SCHEMA}.waiting WHERE stream IN (SELECT id FROM {SCHEMA}.stream "
            "WHERE device = %s AND id <> %s)",
            older,
        )
        self._connection.execute(
            f"UPDATE {SCHEMA}.stream SET closed = true WHERE device = %s AND id <> %s", older
        )

    def _note_lost(self, state: StreamState, first: int, last: int, reason: str | None) -> None:
        self._connection.execute(
            f"INSERT INTO {SCHEMA}.lost (stream, first, last, reason) VALUES (%s, %s, %s, %s) "
            "ON CONFLICT (stream, first) DO UPDATE SET last = greatest(lost.last, excluded.last)",
            (state.id, first, last, reason or "backlog_full"),
        )

    def _copied(self, state: StreamState, values: dict[str, Any]) -> set[rollups.Place]:
        """All that a database held at the start of its stream is here."""
        self._connection.execute(
            f"UPDATE {SCHEMA}.stream SET copied = true WHERE id = %s", (state.id,)
        )
        lost = self._connection.execute(
            f"SELECT 1 FROM {SCHEMA}.lost WHERE stream = %s", (state.id,)
        ).fetchone()
        start, end = values.get("from"), values.get("to")
        if lost is not None or start is None or end is None:
            return set()  # a copy with holes is no reason to delete what older streams have
        return replace_older(self._connection, state.device, state.id, start, end)

    def _told(self, states: Iterable[StreamState]) -> list[Told]:
        told = []
        states = list(states)
        receipts: dict[int, list[Erased]] = defaultdict(list)
        for stream, position, rows_there in self._connection.execute(
            f"SELECT stream, position, rows FROM {SCHEMA}.erasure WHERE stream = ANY(%s) "
            "ORDER BY position DESC",
            ([state.id for state in states],),
        ).fetchall():
            receipts[stream].append(Erased(position=position, rows=rows_there))
        for state in states:
            confirmation = Confirmation(
                schema=1,
                epoch=state.epoch,
                position=state.goes_to,
                closed=state.closed,
                again=state.is_to_send_again,
                erased=tuple(receipts[state.id][:_ERASURES_TOLD]),
            )
            told.append(Told(state.device, confirmation))
        return told


def _read(delivery: Delivery, refused: list[_Refused]) -> TimelineMessage | None:
    """Return what a delivery says; note why not."""
    try:
        message = decode(delivery.payload)
        if delivery.device and message.device != delivery.device:
            raise MessageError(f"says that it is of {message.device!r}")
    except MessageError as error:
        refused.append(_Refused(delivery, str(error)))
        return None
    return message


def _nothing(message: TimelineMessage) -> TimelineMessage:
    """Return what stands in the place of a message whose values no table takes."""
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
                times.add(values[table.columns.index(table.time)] // day * day)
    return times
