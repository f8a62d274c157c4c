"""Sends the messages of the outbox over one connection, and deletes those the broker has."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from edge_agent.core import clock
from edge_agent.mqtt.connecting.connection import Connection, PubAck
from edge_agent.mqtt.drop_guard import DropGuard
from edge_agent.mqtt.outbox_interface import OutboxQueue, WaitingMessage
from edge_agent.mqtt.topics import Topics

IN_FLIGHT = 20
"""Messages sent and not yet acknowledged, at the most.

A long outbox is sent in small steps, so that the messages of now are not stuck behind it.
"""
DROP_SECONDS = 5.0
"""A broker that hangs up at a message does so sooner; a line that dies takes longer to be noticed.
"""
TOO_LARGE = "too_large"
CONNECTION_LOST = "connection_lost"


class OutboxDelivery:
    """Sends the outbox in order, a few messages at a time, over one connection.

    A row is deleted only after the broker has acknowledged it. A connection that breaks in between
    therefore sends a message twice, and never loses one.

    Args:
        outbox: where messages wait.
        topics: names of this appliance's topics.
        window_s: length of a summary window in seconds; a message older than two of them is marked
            ``replayed``.
        acknowledged: ids of rows that the broker has but the database has not yet deleted; shared
            by all connections of a client.
        guard: finds messages at which the broker hangs up; shared as well.
        on_clear: called with the suffix of a retained topic that is cleared, so that the client
            does not publish its old content again.
    """

    def __init__(
        self,
        outbox: OutboxQueue,
        topics: Topics,
        window_s: float,
        acknowledged: set[int],
        guard: DropGuard,
        on_clear: Callable[[str], None],
    ) -> None:
        self._outbox = outbox
        self._topics = topics
        self._window_ms = window_s * 1000
        self._acknowledged = acknowledged
        self._guard = guard
        self._on_clear = on_clear
        self._boot_id = clock.boot_id()
        self._connected_ms = clock.now().boot_ms
        self._in_flight: dict[int, int] = {}
        self._answered = False
        self._had_its_turn = False
        self._sent_s = 0.0

    @property
    def idle(self) -> bool:
        """Whether every message that was sent has been acknowledged."""
        return not self._in_flight

    @property
    def had_its_turn(self) -> bool:
        """Whether over this connection nothing was left to be sent once."""
        return self._had_its_turn

    def send(self, connection: Connection) -> None:
        """Publish waiting messages, up to the number that may be in flight.

        Those that the broker would not take are set aside.

        Raises:
            StoreError: the outbox cannot be read, or a message cannot be set aside.
        """
        if self._guard.is_careful and not self._answered:
            return  # a broker that says nothing at all is not the fault of a message
        while self._send_some(connection):
            pass  # what was set aside has made room for others
        self._had_its_turn = not self._in_flight

    def _send_some(self, connection: Connection) -> bool:
        """Publish what may be in flight; return whether something was put away instead."""
        limit = min(IN_FLIGHT, connection.receive_maximum)
        if self._guard.is_careful:
            limit = 1
        passed_over = self._guard.passed_over
        underway = set(self._in_flight.values()) | self._acknowledged | passed_over
        too_large = {}
        off = []
        rows = self._outbox.pending(limit + len(passed_over))
        if rows:
            self._guard.gone_before(rows[0].id)
        for row in rows:
            if row.id in underway or len(self._in_flight) >= limit:
                continue
            if row.topic in self._topics.off:
                off.append(row.id)
                continue
            topic = self._topics.full(row.topic)
            payload = self._encode(row)
            if connection.fits(topic, payload):
                self._publish(connection, row, topic, payload)
            else:
                too_large[row.id] = TOO_LARGE
        if too_large:
            self._outbox.set_aside(too_large)
        if off:
            self._outbox.discard(off)
        return bool(too_large or off)

    def _publish(
        self, connection: Connection, row: WaitingMessage, topic: str, payload: bytes
    ) -> None:
        clears = row.payload is None
        if clears:
            self._on_clear(row.topic)
        mid = connection.publish(topic, payload, qos=1, retain=clears)
        self._in_flight[mid] = row.id
        self._sent_s = clock.boot_seconds()

    def process_acks(self, acks: Sequence[PubAck]) -> tuple[bool, str | None]:
        """Delete the rows that the broker has acknowledged, and set aside those it never takes.

        Returns:
            Whether more can be sent now, and the broker's reason where it refused a message.

        Raises:
            StoreError: the rows cannot be deleted or set aside; the next call tries again.
        """
        refusal = None
        to_blame: set[int] = set()
        for ack in acks:
            row = self._in_flight.pop(ack.mid, None)
            if ack.refusal is not None:
                refusal = ack.refusal
            elif row is not None:
                self._acknowledged.add(row)
                to_blame |= self._guard.acknowledged(row)
        first_answer = bool(acks) and not self._answered
        self._answered = self._answered or first_answer
        deleted = bool(self._acknowledged)
        if deleted:
            # cleared only after the deletion: if that fails, the ids are kept for the next call
            self._outbox.delete(sorted(self._acknowledged))
            self._acknowledged.clear()
        if to_blame:
            self._outbox.set_aside(dict.fromkeys(to_blame, CONNECTION_LOST))
        return deleted or first_answer, refusal

    def connection_ended(self, connection: Connection) -> None:
        """Take in the last acknowledgements of a connection that has ended, and blame nobody yet.

        What is to be deleted or set aside waits for the next connection.
        """
        for ack in connection.acks():
            if ack.refusal is None and ack.mid in self._in_flight:
                row = self._in_flight.pop(ack.mid)
                self._acknowledged.add(row)
                self._guard.took(row)
        if self._in_flight and clock.boot_seconds() - self._sent_s < DROP_SECONDS:
            self._guard.ended(self._in_flight.values())

    def _is_late(self, row: WaitingMessage) -> bool:
        """Tell whether a message comes late, by the clock that nobody sets."""
        if row.boot_ms is None or row.boot_id != self._boot_id:
            return True
        age_ms = clock.now().boot_ms - row.boot_ms
        # two windows: one that has just closed waits for the recorder's batch before it is sent
        return row.boot_ms < self._connected_ms or not 0 <= age_ms <= 2 * self._window_ms

    def _encode(self, row: WaitingMessage) -> bytes:
        if row.payload is None:
            # MQTT 5, 3.3.1.3: an empty retained message removes what the broker keeps
            return b""
        return json.dumps(
            {**row.payload, "replayed": self._is_late(row)},
            separators=(",", ":"),
            ensure_ascii=False,
        ).encode()
