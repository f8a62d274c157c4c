"""Publishes the messages of now over one connection after the other.

A broker with a limit hangs up at a message that is larger, where it could not say so (MQTT 3.1.1)
or does not (mosquitto's ``message_size_limit``). Such a topic is found and left out, so that the
connection stands for everything else.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from edge_agent.mqtt.connecting.connection import Connection
from edge_agent.mqtt.drop_guard import DROPS
from edge_agent.mqtt.live_messages import LiveMessages
from edge_agent.mqtt.topics import Topics

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A message that is to be sent alone; ``number`` is its own at the connection."""

    suffix: str
    payload: bytes
    retain: bool
    number: int = 0


class LiveSender:
    """Sends live messages; used by the client's thread alone.

    At first all are sent as they come, at QoS 0. Where connections keep ending soon, they are sent
    one at a time and at QoS 1, so that the broker says which it has taken. The topic at which it
    hangs up ``DROPS`` times in a row, though it answered before, is left out from that size on.

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
        """Topics of which the broker does not take every message: suffix → bytes of the smallest.

        That one and larger ones are not published until the agent starts again.
        """
        return dict(self._left_out)

    def begin_connection(self, *, careful: bool, greeting: int | None) -> None:
        """Send over another connection from now on.

        Args:
            careful: send one message at a time.
            greeting: number of a message at QoS 1 that was sent first: until the broker has it,
                nothing that is careful is sent, for a broken line is no message's fault.
        """
        self._live.begin_connection()
        self._is_careful = careful
        self._greeting = greeting
        self._waiting.clear()
        self._alone = None

    def send_before_greeting(self, connection: Connection) -> None:
        """Publish what is known now, before the appliance is called online.

        Home Assistant shows again what it knew of before, as soon as it hears ``online``.
        """
        state = self._live.newest_state
        if state is not None:
            self.publish(connection, Topics.STATE, state, retain=False)

    def connection_ended(self, connection: Connection) -> None:
        """Blame the message that was sent alone and that the broker did not take."""
        alone = self._alone
        self._alone = None
        if alone is None or connection.has_taken(alone.number):
            return
        self._drops[alone.suffix] += 1
        if self._drops[alone.suffix] >= DROPS:
            self._leave_out(alone.suffix, alone.payload)

    def send(self, connection: Connection) -> None:
        """Publish what came since the last call."""
        messages = [
            _Waiting(suffix, payload, retain=True) for suffix, payload in self._live.take_retained()
        ]
        messages += [
            _Waiting(Topics.VITALS, payload, retain=False) for payload in self._live.take_vitals()
        ]
        state = self._live.take_state()
        if state is not None:
            messages.append(_Waiting(Topics.STATE, state, retain=False))
        for message in messages:
            if self._is_careful:
                self._waiting[message.suffix] = message  # of each topic the newest
            else:
                self.publish(connection, message.suffix, message.payload, retain=message.retain)
        if self._is_careful:
            self._send_next(connection)

    def publish(
        self, connection: Connection, suffix: str, payload: bytes, *, retain: bool, qos: int = 0
    ) -> int | None:
        """Publish, unless the broker would hang up because of the size; return its number then."""
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
