"""Delivers the outbox over one connection after the other; a row goes once the broker has it.

A broker may hang up at a message above its limit, because it cannot report that (MQTT 3.1.1 has no
code for "too large") or does not (mosquitto's ``message_size_limit``). That message would be the
first of each new connection and end it, too. Therefore such a message is found and set aside, and
the connection remains for the others.

The broker acknowledges each message alone, so each is a row of its own. The fleet's stream is
another promise (`edge_agent.fleet.sender`): there the collector confirms a position.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Sequence

from edge_agent.core import clock
from edge_agent.mqtt.connection import DROPS, Connection, PubAck
from edge_agent.mqtt.payloads import Topics
from edge_agent.timeline.write.outbox import Outbox, OutboxRow

MOST_SKIPPED = 20
"""After this many skipped messages in a row the broker, not a message, is the cause."""
# mosquitto accepts as many by default (max_inflight_messages).
IN_FLIGHT = 20
"""Maximum number of messages sent and not yet acknowledged.

A long outbox is sent in small steps, so that live messages do not wait behind it.
"""
DROP_SECONDS = 5.0
"""A broker hangs up at a message within this time; a broken line takes longer to be noticed."""
TOO_LARGE = "too_large"
CONNECTION_LOST = "connection_lost"


class DropGuard:
    """Counts the ends of connections at each message; for one thread, over all its connections.

    After an end with unacknowledged messages they are sent one at a time. One that ends the
    connection ``DROPS`` times is skipped. It counts as the cause only when the broker has taken a
    later one: until then it may be the broker, and no message is set aside.

    Example:
        >>> guard = DropGuard()
        >>> guard.note_end([1, 2])  # together with others: nobody knows which
        >>> for _ in range(DROPS):
        ...     guard.note_end([1])
        >>> guard.skipped, guard.blame_skipped(2)
        (frozenset({1}), frozenset({1}))
    """

    def __init__(self) -> None:
        self._suspects: set[int] = set()
        self._drops: Counter[int] = Counter()
        self._skipped: set[int] = set()

    @property
    def is_careful(self) -> bool:
        """Whether messages must be sent one at a time."""
        return bool(self._suspects)

    @property
    def skipped(self) -> frozenset[int]:
        """Messages that are skipped for now."""
        return frozenset(self._skipped)

    def note_end(self, unacknowledged: Collection[int]) -> None:
        """Record that the broker hung up soon after these messages were sent."""
        if len(unacknowledged) == 1 and self.is_careful:
            self._count(next(iter(unacknowledged)))
        self._suspects |= set(unacknowledged) - self._skipped

    def _count(self, message: int) -> None:
        self._drops[message] += 1
        if self._drops[message] < DROPS:
            return
        self._suspects.discard(message)
        self._skipped.add(message)
        if len(self._skipped) >= MOST_SKIPPED:
            self._suspects |= self._skipped
            self._skipped.clear()
            self._drops.clear()

    def forget_before(self, oldest: int) -> None:
        """Forget messages older than the oldest waiting one: they were deleted."""
        self._suspects = {one for one in self._suspects if one >= oldest}
        self._skipped = {one for one in self._skipped if one >= oldest}

    def note_taken(self, message: int) -> None:
        """Record that the broker took a message, without blaming others."""
        self._suspects.discard(message)
        self._drops.pop(message, None)

    def blame_skipped(self, message: int) -> frozenset[int]:
        """Record that the broker took a message; return the skipped ones, which are the cause."""
        self.note_taken(message)
        to_blame = self.skipped
        self._skipped.clear()
        for one in to_blame:
            self._drops.pop(one, None)
        return to_blame


class OutboxDelivery:
    """Sends the outbox in order, a few messages at a time, over one connection after the other.

    A row is deleted only after the broker has acknowledged it. A connection that breaks in between
    therefore sends a message twice, and never loses one.

    Args:
        outbox: where messages wait.
        topics: names of this appliance's topics.
        window_s: length of a summary window in seconds; a message older than two of them is marked
            ``replayed``.
        on_clear: called with the suffix of a retained topic that is cleared, so that the client
            does not publish its old content again.

    Attributes:
        had_its_turn: whether this connection has drained the outbox at least once.
    """

    def __init__(
        self, outbox: Outbox, topics: Topics, window_s: float, on_clear: Callable[[str], None]
    ) -> None:
        self._outbox = outbox
        self._topics = topics
        self._window_ms = window_s * 1000
        self._on_clear = on_clear
        self._boot_id = clock.boot_id()
        self._guard = DropGuard()
        self._acknowledged: set[int] = set()
        """Rows that the broker has, and that could not be deleted from the database yet."""
        self._in_flight: dict[int, int] = {}
        self._connected_ms = 0
        self._sent_s = 0.0
        self._answered = False
        self.had_its_turn = False

    @property
    def is_idle(self) -> bool:
        """Whether every message that was sent has been acknowledged."""
        return not self._in_flight

    def begin_connection(self) -> None:
        """Send over another connection from now on: what is not acknowledged, once more."""
        self._in_flight.clear()
        self._connected_ms = clock.now().boot_ms
        self._answered = False
        self.had_its_turn = False

    def send(self, connection: Connection) -> None:
        """Publish waiting messages, up to the limit in flight.

        Messages that are too large for the broker are set aside.

        Raises:
            StoreError: the outbox cannot be read, or a message cannot be set aside.
        """
        if self._guard.is_careful and not self._answered:
            return  # a broker that says nothing at all is not the fault of a message
        while self._send_some(connection):
            pass  # what was set aside has made room for others
        self.had_its_turn = not self._in_flight

    def _send_some(self, connection: Connection) -> bool:
        """Publish up to the limit in flight; return whether a message was set aside instead."""
        most = 1 if self._guard.is_careful else IN_FLIGHT
        limit = min(most, connection.receive_maximum)
        skipped = self._guard.skipped
        underway = set(self._in_flight.values()) | self._acknowledged | skipped
        too_large = {}
        off = []
        rows = self._outbox.pending(limit + len(skipped))
        if rows:
            self._guard.forget_before(rows[0].id)
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

    def _encode(self, row: OutboxRow) -> bytes:
        if row.payload is None:
            # MQTT 5, 3.3.1.3: an empty retained message removes what the broker keeps
            return b""
        return json.dumps(
            {**row.payload, "replayed": self._is_late(row)},
            separators=(",", ":"),
            ensure_ascii=False,
        ).encode()

    def _is_late(self, row: OutboxRow) -> bool:
        # By the boot clock: the wall clock jumps when the network comes, and a message would seem
        # days old.
        if row.boot_ms is None or row.boot_id != self._boot_id:
            return True
        age_ms = clock.now().boot_ms - row.boot_ms
        # two windows: one that has just closed waits for the recorder's batch before it is sent
        return row.boot_ms < self._connected_ms or not 0 <= age_ms <= 2 * self._window_ms

    def _publish(self, connection: Connection, row: OutboxRow, topic: str, payload: bytes) -> None:
        clears = row.payload is None
        if clears:
            self._on_clear(row.topic)
        # QoS 1: at QoS 2 a message would take two more packets, and readers drop repeated seq
        # anyway.
        mid = connection.publish(topic, payload, qos=1, retain=clears)
        self._in_flight[mid] = row.id
        self._sent_s = clock.boot_seconds()

    def process_acks(self, acks: Sequence[PubAck]) -> tuple[bool, str | None]:
        """Delete the rows that the broker has acknowledged, and set aside those it never takes.

        Returns:
            Whether more can be sent now, and the broker's reason if it refused a message.

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
                to_blame |= self._guard.blame_skipped(row)
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

    def end_connection(self, connection: Connection) -> None:
        """Process the last acknowledgements of a connection that has ended, without blame yet.

        Rows are deleted or set aside at the next connection.
        """
        for ack in connection.acks():
            if ack.refusal is None and ack.mid in self._in_flight:
                row = self._in_flight.pop(ack.mid)
                self._acknowledged.add(row)
                self._guard.note_taken(row)
        if self._in_flight and clock.boot_seconds() - self._sent_s < DROP_SECONDS:
            self._guard.note_end(self._in_flight.values())
