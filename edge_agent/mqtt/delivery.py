"""Sends the messages of the outbox over one connection, and deletes those the broker has."""

from __future__ import annotations

import json
from collections.abc import Callable

from edge_agent.core import clock
from edge_agent.mqtt.connection import Connection
from edge_agent.mqtt.outbox_interface import OutboxQueue, WaitingMessage
from edge_agent.mqtt.topics import Topics

IN_FLIGHT = 20
"""Messages sent and not yet acknowledged, at the most.

A long outbox is sent in small steps, so that the messages of now are not stuck behind it.
"""


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
        on_clear: called with the suffix of a retained topic that is cleared, so that the client
            does not publish its old content again.
    """

    def __init__(
        self,
        outbox: OutboxQueue,
        topics: Topics,
        window_s: float,
        acknowledged: set[int],
        on_clear: Callable[[str], None],
    ) -> None:
        self._outbox = outbox
        self._topics = topics
        self._window_ms = window_s * 1000
        self._acknowledged = acknowledged
        self._on_clear = on_clear
        self._connected_ms = clock.now().wall_ms
        self._in_flight: dict[int, int] = {}

    @property
    def idle(self) -> bool:
        """Whether every message that was sent has been acknowledged."""
        return not self._in_flight

    def send(self, connection: Connection) -> None:
        """Publish waiting messages, up to the number that may be in flight.

        Raises:
            StoreError: the outbox cannot be read.
        """
        limit = min(IN_FLIGHT, connection.receive_maximum)
        if len(self._in_flight) >= limit:
            return
        underway = set(self._in_flight.values()) | self._acknowledged
        for row in self._outbox.pending(limit):
            if row.id not in underway:
                clears = row.payload is None
                if clears:
                    self._on_clear(row.topic)
                payload = self._encode(row)
                mid = connection.publish(
                    self._topics.full(row.topic), payload, qos=1, retain=clears
                )
                self._in_flight[mid] = row.id

    def process_acks(self, connection: Connection) -> tuple[bool, str | None]:
        """Delete the rows that the broker has acknowledged.

        Returns:
            Whether any row was deleted, and the broker's reason where it refused a message.

        Raises:
            StoreError: the rows cannot be deleted; the next call tries again.
        """
        refusal = None
        for ack in connection.acks():
            row = self._in_flight.pop(ack.mid, None)
            if ack.refusal is not None:
                refusal = ack.refusal
            elif row is not None:
                self._acknowledged.add(row)
        deleted = bool(self._acknowledged)
        if deleted:
            # cleared only after the deletion: if that fails, the ids are kept for the next call
            self._outbox.delete(sorted(self._acknowledged))
            self._acknowledged.clear()
        return deleted, refusal

    def _encode(self, row: WaitingMessage) -> bytes:
        if row.payload is None:
            # MQTT 5, 3.3.1.3: an empty retained message removes what the broker keeps
            return b""
        late_ms = clock.now().wall_ms - row.created_ms
        # two windows: one that has just closed waits for the recorder's batch before it is sent
        replayed = row.created_ms < self._connected_ms or late_ms > 2 * self._window_ms
        return json.dumps(
            {**row.payload, "replayed": replayed}, separators=(",", ":"), ensure_ascii=False
        ).encode()
