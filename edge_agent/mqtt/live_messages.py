"""Live messages: what holds now. They are in no outbox, and most are sent at QoS 0.

A message at which the broker hangs up is found by sending one at a time, and left out from then on,
so that the connection remains for the others.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass

from edge_agent.mqtt.connection import DROPS, Connection
from edge_agent.mqtt.payloads import Payload, Topics

log = logging.getLogger(__name__)

MOST_PASSING = 256
"""Maximum number of readings and movements that wait; the oldest are dropped first."""


@dataclass(frozen=True, slots=True)
class _Message:
    """A live message; once it is sent, ``number`` is its number at the connection."""

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
        >>> [message.suffix for message in messages.pop_new()], messages.pop_new()
        (['emotion'], [])
    """

    def __init__(self, topics: Topics) -> None:
        self._off = topics.off
        self._lock = threading.Lock()
        self._retained = dict.fromkeys(Topics.RETAINED & topics.off, b"")
        self._changed: set[str] = set()
        self._passing: deque[_Message] = deque(maxlen=MOST_PASSING)
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
            self._passing.append(_Message(suffix, payload.encode(), False))

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

    def pop_new(self) -> list[_Message]:
        """Return messages since the last call: retained ones, live ones, then the present state."""
        with self._lock:
            messages = [_Message(one, self._retained[one], True) for one in sorted(self._changed)]
            messages += self._passing
            if self._state is not None:
                messages.append(_Message(Topics.STATE, self._state, False))
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
        self._waiting: dict[str, _Message] = {}
        self._alone: _Message | None = None

    @property
    def left_out(self) -> Mapping[str, int]:
        """Topics with messages that are too large: suffix → bytes of the smallest of them.

        That one and larger ones are not published until the agent starts again.
        """
        return dict(self._left_out)

    def send_before_greeting(self, connection: Connection) -> None:
        """Publish the present state before ``online``.

        When ``online`` arrives, Home Assistant shows the last known values again.
        """
        state = self._live.newest_state
        if state is not None:
            self.publish(connection, Topics.STATE, state, retain=False)

    def begin_connection(self, *, careful: bool, greeting: int) -> None:
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

    def send(self, connection: Connection) -> None:
        """Publish new messages since the last call."""
        for message in self._live.pop_new():
            if self._is_careful:
                self._waiting[message.suffix] = message  # of each topic the newest
            else:
                self.publish(connection, message.suffix, message.payload, retain=message.retain)
        if self._is_careful:
            self._send_next(connection)

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
                self._alone = _Message(message.suffix, message.payload, message.retain, number)

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

    def end_connection(self, connection: Connection) -> None:
        """Count the end as a failure of the message that was sent alone and not acknowledged."""
        alone = self._alone
        self._alone = None
        if alone is None or connection.has_taken(alone.number):
            return
        self._drops[alone.suffix] += 1
        if self._drops[alone.suffix] >= DROPS:
            self._leave_out(alone.suffix, alone.payload)

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
