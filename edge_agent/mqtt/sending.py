"""Sending over one connection after the other: discovery, the outbox, and live messages.

A row of the outbox is deleted once the broker has it. Live messages are in no outbox (QoS 0).

A broker may hang up at a message above its limit, because it cannot report that (MQTT 3.1.1 has no
code for "too large") or does not (mosquitto's ``message_size_limit``). That message would be the
first of each new connection and end it, too. Therefore such a message is found and left out, and
the connection remains for the others.
"""

from __future__ import annotations

import json
import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from edge_agent.core import clock
from edge_agent.mqtt.connection import Connection, PubAck, ReceivedMessage
from edge_agent.mqtt.discovery import Device, discovery_payload
from edge_agent.mqtt.payloads import Payload, StatusPayload, Topics

log = logging.getLogger(__name__)
DROPS = 4
"""A message is skipped after it, sent alone, has ended this many connections."""
PASSED_OVER = 20
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
PASSING_WAITING = 256
"""Maximum number of readings and movements that wait; the oldest are dropped first."""


class AnnouncedTopics:
    """The topics of this appliance's retained discovery message and status, in a small file.

    They are stored before they are published, so that the messages can be removed after the agent
    was killed or renamed, or discovery was switched off.

    Args:
        path: of the file, with a topic in each line; ``None``: they are not stored.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def read(self) -> set[str]:
        """Return the topics; empty if the file is missing or cannot be read."""
        if self._path is None:
            return set()
        try:
            return set(self._path.read_text(encoding="utf-8").split("\n")) - {""}
        except FileNotFoundError:
            return set()
        except (OSError, UnicodeDecodeError) as error:
            log.warning("mqtt: %s cannot be read: %s", self._path, error)
            return set()

    def write(self, topics: Iterable[str]) -> None:
        """Replace the topics; an error is only logged, since nothing else depends on them."""
        if self._path is None:
            return
        text = "".join(f"{topic}\n" for topic in sorted(topics))
        try:
            if text:
                self._path.write_text(text, encoding="utf-8")
            else:
                self._path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("mqtt: %s cannot be written: %s", self._path, error)


class Announcer:
    """Publishes the discovery message over one connection after the other.

    After a rename it also removes what the broker keeps of the old name, once that is offline: the
    name may belong to another appliance by now, such as the one whose card was copied.

    Belongs to the thread of the MQTT client.

    Args:
        device: the announced device; ``None``: none, and earlier announcements are removed.
        announced: stores the topics that the broker keeps.
        topics: of the appliance.

    Attributes:
        problem: why Home Assistant is not told of the device, and what to do; ``None``: it is.
    """

    def __init__(self, device: Device | None, announced: AnnouncedTopics, topics: Topics) -> None:
        self._announced = announced
        self._status = topics.full(Topics.STATUS)
        self._former: set[str] = set()
        self._device = device
        self._payload = b""
        if device is not None:
            self._payload = discovery_payload(device).encode()
        self._sent: dict[int, str] = {}
        self.problem: str | None = None

    def begin_connection(self, connection: Connection) -> None:
        """Remove old announcements, announce the device, and subscribe to the birth message."""
        self._sent.clear()
        known = self._announced.read()
        own = {self._status} if self._device is None else {self._status, self._device.topic}
        self._former = {topic for topic in known - own if topic.endswith(f"/{Topics.STATUS}")}
        if own - known or self._former:
            # Former names get one try: some brokers end the connection at a topic of another.
            self._announced.write((known | own) - self._former)
        for topic in sorted(self._former):
            connection.subscribe(topic)
        for topic in sorted(known - own - self._former):
            # MQTT 5, 3.3.1.3: an empty retained message removes what the broker keeps
            self._sent[connection.publish(topic, b"", qos=1, retain=True)] = topic
        if self._device is not None:
            connection.subscribe(self._device.birth_topic)
            self._announce(connection, self._device)

    def handle(self, connection: Connection, message: ReceivedMessage) -> None:
        """Announce again at Home Assistant's birth message; clear a former name that is offline."""
        if message.topic in self._former and message.payload:
            self._clear_former(connection, message)
        device = self._device
        if device is None or message.topic != device.birth_topic:
            return
        if message.payload == b"online":
            self._announce(connection, device)

    def _clear_former(self, connection: Connection, message: ReceivedMessage) -> None:
        """Remove what the broker keeps of a former name, unless another appliance has it now."""
        try:
            state = StatusPayload.model_validate_json(message.payload).state
        except ValueError:
            return
        if state == "offline":
            self._former.discard(message.topic)
            base = message.topic.removesuffix(Topics.STATUS)
            for suffix in (Topics.STATUS, *sorted(Topics.RETAINED)):
                connection.publish(f"{base}{suffix}", b"", qos=0, retain=True)
            log.info("mqtt: what the broker kept of the former name was removed: %s", base)

    def take_own(self, acks: Iterable[PubAck]) -> list[PubAck]:
        """Process the acknowledgements of discovery messages; return the others.

        If the broker refuses a discovery message, all other messages are still sent.
        """
        others = []
        for ack in acks:
            topic = self._sent.pop(ack.mid, None)
            if topic is None:
                others.append(ack)
            elif ack.refusal is not None:
                self._note_refusal(topic, ack.refusal)
            elif self._device is not None and topic == self._device.topic:
                self.problem = None
            else:
                self._announced.write(self._announced.read() - {topic})
        return others

    def _announce(self, connection: Connection, device: Device) -> None:
        if connection.fits(device.topic, self._payload):
            mid = connection.publish(device.topic, self._payload, qos=1, retain=True)
            self._sent[mid] = device.topic
        else:
            self._note_refusal(device.topic, f"{len(self._payload)} bytes are more than it takes")

    def _note_refusal(self, topic: str, reason: str) -> None:
        self.problem = (
            f"the broker refuses the message for Home Assistant ({reason}). Allow the account to "
            f"write {topic}, or set mqtt.home_assistant to false."
        )


class DropGuard:
    """Counts the ends of connections at each message; for one thread, over all its connections.

    After an end with unacknowledged messages they are sent one at a time. One that ends the
    connection ``DROPS`` times is skipped. It counts as the cause only when the broker has taken a
    later one: until then it may be the broker, and no message is set aside.

    Example:
        >>> guard = DropGuard()
        >>> guard.ended([1, 2])  # together with others: nobody knows which
        >>> for _ in range(DROPS):
        ...     guard.ended([1])
        >>> guard.passed_over, guard.acknowledged(2)
        (frozenset({1}), frozenset({1}))
    """

    def __init__(self) -> None:
        self._suspects: set[int] = set()
        self._drops: Counter[int] = Counter()
        self._passed_over: set[int] = set()

    @property
    def is_careful(self) -> bool:
        """Whether messages must be sent one at a time."""
        return bool(self._suspects)

    @property
    def passed_over(self) -> frozenset[int]:
        """Messages that are skipped for now."""
        return frozenset(self._passed_over)

    def ended(self, unacknowledged: Collection[int]) -> None:
        """Record that the broker hung up soon after these messages were sent."""
        if len(unacknowledged) == 1 and self.is_careful:
            self._count(next(iter(unacknowledged)))
        self._suspects |= set(unacknowledged) - self._passed_over

    def _count(self, message: int) -> None:
        self._drops[message] += 1
        if self._drops[message] < DROPS:
            return
        self._suspects.discard(message)
        self._passed_over.add(message)
        if len(self._passed_over) >= PASSED_OVER:
            self._suspects |= self._passed_over
            self._passed_over.clear()
            self._drops.clear()

    def gone_before(self, oldest: int) -> None:
        """Forget messages older than the oldest waiting one: they were deleted."""
        self._suspects = {one for one in self._suspects if one >= oldest}
        self._passed_over = {one for one in self._passed_over if one >= oldest}

    def took(self, message: int) -> None:
        """Record that the broker took a message, without blaming others."""
        self._suspects.discard(message)
        self._drops.pop(message, None)

    def acknowledged(self, message: int) -> frozenset[int]:
        """Record that the broker took a message; return the skipped ones, which are the cause."""
        self.took(message)
        to_blame = self.passed_over
        self._passed_over.clear()
        for one in to_blame:
            self._drops.pop(one, None)
        return to_blame


class WaitingMessage(Protocol):
    """A message that the broker has not yet acknowledged."""

    @property
    def id(self) -> int:
        """Number of the row; later messages have higher numbers."""

    @property
    def topic(self) -> str:
        """Last part of the topic, such as ``summary``; the client adds root and device."""

    @property
    def seq(self) -> int | None:
        """Number of the message within its topic, rising by one.

        ``None`` for topics that are not numbered.
        """

    @property
    def payload(self) -> Mapping[str, Any] | None:
        """The message, with ``seq`` and ``epoch`` where it is numbered."""

    @property
    def created_ms(self) -> int:
        """When it was written, UTC milliseconds since 1970."""

    @property
    def boot_id(self) -> str | None:
        """The start of the machine in which it was made; ``None``: not known."""

    @property
    def boot_ms(self) -> int | None:
        """Its time on the clock of that start; ``None``: not known."""


class SeqHole(Protocol):
    """Numbers of a topic for which no message will come."""

    @property
    def epoch(self) -> str:
        """The epoch of the numbers."""

    @property
    def topic(self) -> str:
        """Last part of the topic."""

    @property
    def first(self) -> int:
        """The first number."""

    @property
    def last(self) -> int:
        """The last number."""

    @property
    def reason(self) -> str:
        """The reason in one word."""

    @property
    def at_ms(self) -> int:
        """When the last of them was noted, UTC milliseconds since 1970."""


class OutboxQueue(Protocol):
    """The outbox; every method is called from the client's own thread."""

    def pending(self, limit: int) -> Sequence[WaitingMessage]:
        """Return the oldest ``limit`` messages in the order of writing.

        Raises:
            StoreError: the database cannot be read; the client tries again.
        """

    def has_changed(self) -> bool:
        """Return whether others have written since the last call; cheap enough for ten a second.

        Raises:
            StoreError: the database cannot be read.
        """

    def delete(self, ids: Collection[int]) -> None:
        """Delete messages that the broker has acknowledged.

        Raises:
            StoreError: the database cannot be written; the client tries again.
        """

    def discard(self, ids: Collection[int]) -> None:
        """Delete messages of topics that are switched off; their numbers become holes.

        Raises:
            StoreError: the database cannot be written; the client tries again.
        """

    def set_aside(self, reasons: Mapping[int, str]) -> None:
        """Set messages aside, by id with the reason: they are not sent.

        Raises:
            StoreError: the database cannot be written; the client tries again.
        """

    @property
    def set_aside_counts(self) -> Mapping[str, int]:
        """Numbers of messages set aside since the start, by reason."""

    def holes(self, limit: int) -> Sequence[SeqHole]:
        """Return the newest holes in the numbers, newest first.

        Raises:
            StoreError: the database cannot be read.
        """

    def count(self) -> int:
        """Return the number of waiting messages."""

    def close(self) -> None:
        """Close the database connection; called by the client's thread at its end."""


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
        self.had_its_turn = False
        """Return whether this connection has drained the outbox at least once."""
        self._sent_s = 0.0

    @property
    def idle(self) -> bool:
        """Whether every message that was sent has been acknowledged."""
        return not self._in_flight

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
        """Process the last acknowledgements of a connection that has ended, without blame yet.

        Rows are deleted or set aside at the next connection.
        """
        for ack in connection.acks():
            if ack.refusal is None and ack.mid in self._in_flight:
                row = self._in_flight.pop(ack.mid)
                self._acknowledged.add(row)
                self._guard.took(row)
        if self._in_flight and clock.boot_seconds() - self._sent_s < DROP_SECONDS:
            self._guard.ended(self._in_flight.values())

    def _is_late(self, row: WaitingMessage) -> bool:
        """Return whether a message comes late."""
        # By the boot clock: the wall clock jumps when the network comes, and a message would seem
        # days old.
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


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A message to be sent; once it is sent, ``number`` is its number at the connection."""

    suffix: str
    payload: bytes
    retain: bool
    number: int = 0


class LiveMessages:
    """Live messages, added by any thread and sent by the client's thread.

    Without a connection, a retained topic keeps only its newest message; readings and movements are
    not kept at all: late ones would look like present ones, and the timeline has them.

    Args:
        topics: names of the topics. Messages of topics that are switched off are ignored, and their
            retained messages at the broker are cleared.

    Example:
        >>> from edge_agent.mqtt.payloads import status_payload
        >>> messages = LiveMessages(Topics("affect-edge", "lab"))
        >>> messages.retain("emotion", status_payload("offline", None))
        >>> [message.suffix for message in messages.take()], messages.take()
        (['emotion'], [])
    """

    def __init__(self, topics: Topics) -> None:
        self._off = topics.off
        self._lock = threading.Lock()
        self._retained = dict.fromkeys(Topics.RETAINED & topics.off, b"")
        self._changed: set[str] = set()
        self._passing: deque[_Waiting] = deque(maxlen=PASSING_WAITING)
        self._state: bytes | None = None
        self._newest_state: bytes | None = None

    def retain(self, suffix: str, payload: Payload) -> None:
        """Keep the newest message of a retained topic, to be published next."""
        if suffix in self._off:
            return
        with self._lock:
            self._retained[suffix] = payload.encode()
            self._changed.add(suffix)

    def forget(self, suffix: str) -> None:
        """Drop the message of a retained topic that was cleared at the broker."""
        with self._lock:
            self._retained.pop(suffix, None)
            self._changed.discard(suffix)

    def add(self, suffix: str, payload: Payload) -> None:
        """Add a reading, or movements, to be published next."""
        if suffix in self._off:
            return
        with self._lock:
            self._passing.append(_Waiting(suffix, payload.encode(), False))

    def set_state(self, payload: Payload) -> None:
        """Store the present state, to be published next in place of the one before."""
        if Topics.STATE in self._off:
            return
        with self._lock:
            self._state = self._newest_state = payload.encode()

    def begin_connection(self) -> None:
        """Publish every retained topic again; drop live messages of the previous connection."""
        with self._lock:
            self._changed = set(self._retained)
            self._passing.clear()
            self._state = None

    def take(self) -> list[_Waiting]:
        """Return messages since the last call: retained ones, live ones, then the present state."""
        with self._lock:
            messages = [_Waiting(one, self._retained[one], True) for one in sorted(self._changed)]
            messages += self._passing
            if self._state is not None:
                messages.append(_Waiting(Topics.STATE, self._state, False))
            self._changed.clear()
            self._passing.clear()
            self._state = None
        return messages

    @property
    def newest_state(self) -> bytes | None:
        """The newest message of the present state, whether it was taken or not."""
        with self._lock:
            return self._newest_state


class LiveSender:
    """Sends live messages; used by the client's thread alone.

    Usually they are sent as they come, at QoS 0. If connections keep ending soon, they are sent one
    at a time and at QoS 1, so that the broker acknowledges each. A topic at which it hangs up
    ``DROPS`` times in a row, though it answered before, is left out from that size on.

    Args:
        topics: names of this appliance's topics.
        live: the messages.
    """

    def __init__(self, topics: Topics, live: LiveMessages) -> None:
        self._topics = topics
        self._live = live
        self._drops: Counter[str] = Counter()
        self._left_out: dict[str, int] = {}
        self._is_careful = False
        self._greeting: int | None = None
        self._waiting: dict[str, _Waiting] = {}
        self._alone: _Waiting | None = None

    @property
    def left_out(self) -> Mapping[str, int]:
        """Topics with messages that are too large: suffix → bytes of the smallest of them.

        That one and larger ones are not published until the agent starts again.
        """
        return dict(self._left_out)

    def begin_connection(self, *, careful: bool, greeting: int | None) -> None:
        """Send over another connection from now on.

        Args:
            careful: send one message at a time.
            greeting: number of a message at QoS 1 that was sent first: until the broker has it,
                no message is sent alone, since a broken line is no message's fault.
        """
        self._live.begin_connection()
        self._is_careful = careful
        self._greeting = greeting
        self._waiting.clear()
        self._alone = None

    def send_before_greeting(self, connection: Connection) -> None:
        """Publish the present state before ``online``.

        When ``online`` arrives, Home Assistant shows the last known values again.
        """
        state = self._live.newest_state
        if state is not None:
            self.publish(connection, Topics.STATE, state, retain=False)

    def connection_ended(self, connection: Connection) -> None:
        """Count the end against the message that was sent alone and not acknowledged."""
        alone = self._alone
        self._alone = None
        if alone is None or connection.has_taken(alone.number):
            return
        self._drops[alone.suffix] += 1
        if self._drops[alone.suffix] >= DROPS:
            self._leave_out(alone.suffix, alone.payload)

    def send(self, connection: Connection) -> None:
        """Publish new messages since the last call."""
        for message in self._live.take():
            if self._is_careful:
                self._waiting[message.suffix] = message  # of each topic the newest
            else:
                self.publish(connection, message.suffix, message.payload, retain=message.retain)
        if self._is_careful:
            self._send_next(connection)

    def publish(
        self, connection: Connection, suffix: str, payload: bytes, *, retain: bool, qos: int = 0
    ) -> int | None:
        """Publish a message and return its number; ``None`` if it is too large for the broker."""
        topic = self._topics.full(suffix)
        if not connection.fits(topic, payload):
            self._leave_out(suffix, payload)
        elif len(payload) < self._left_out.get(suffix, len(payload) + 1):
            return connection.publish(topic, payload, qos=qos, retain=retain)
        return None

    def _send_next(self, connection: Connection) -> None:
        if self._greeting is not None and not connection.has_taken(self._greeting):
            return
        if self._alone is not None:
            if not connection.has_taken(self._alone.number):
                return
            self._drops.pop(self._alone.suffix, None)
            self._alone = None
        while self._waiting and self._alone is None:
            message = self._waiting.pop(min(self._waiting))
            number = self.publish(
                connection, message.suffix, message.payload, retain=message.retain, qos=1
            )
            if number is not None:
                self._alone = _Waiting(message.suffix, message.payload, message.retain, number)

    def _leave_out(self, suffix: str, payload: bytes) -> None:
        known = self._left_out.get(suffix)
        self._left_out[suffix] = min(len(payload), known or len(payload))
        if known is None:
            log.warning(
                "mqtt: %s is not published: its %d bytes are more than the broker takes. Raise its "
                "limit (mosquitto: max_packet_size, message_size_limit), then start the agent "
                "again.",
                self._topics.full(suffix),
                len(payload),
            )
