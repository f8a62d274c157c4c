"""One connection to a broker, from connecting to its end: the only file that speaks by paho.

paho keeps unacknowledged messages in memory and sends them again by itself after a reconnect. Here
the outbox does that, so every connection gets a new paho client, and nothing is kept beyond it.
"""

from __future__ import annotations

import selectors
import ssl
from collections import deque
from dataclasses import dataclass
from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge_agent.config.mqtt import MqttSettings
from edge_agent.core.clock import boot_seconds
from edge_agent.mqtt.broker import packet_bytes
from edge_agent.mqtt.connecting.endings import (
    certificate_refused,
    ended,
    not_reached,
    right_port,
)
from edge_agent.mqtt.connecting.states import ConnectionEndedError, MqttState
from edge_agent.mqtt.silence import ASK_SECONDS, Silence
from edge_agent.mqtt.wake import WakeSignal

CONNECT_SECONDS = 4.0
"""Longest wait for the TCP connection: less than the five seconds in which the agent must stop."""
ANSWER_SECONDS = 10.0
"""Longest wait for the broker's first answer (CONNACK)."""
LARGEST_PACKET_BYTES = 1024 * 1024
"""With MQTT 5 the broker does not send larger messages: nobody can fill the agent's memory."""
MOST_RECEIVED = 10_000
"""Received messages that wait to be handled; the oldest are dropped first, for the same reason."""
_NOWHERE = "affect-edge-sign-of-life"
"""A topic to which nobody subscribes: the broker must answer who leaves it (MQTT 5, 3.10.4)."""


@dataclass(frozen=True, slots=True)
class PubAck:
    """The broker's acknowledgement (PUBACK) of one message at QoS 1.

    Attributes:
        mid: number of the message, as ``Connection.publish`` returned it.
        refusal: why the broker refused the message; ``None`` when it accepted it.
    """

    mid: int
    refusal: str | None


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """A message that the broker sent.

    Attributes:
        topic: the full topic.
        payload: its bytes, unchecked.
        retained: whether the broker had kept the message: it is then not of now.
    """

    topic: str
    payload: bytes
    retained: bool


class Connection:
    """One connection; every method is called from one thread.

    Args:
        broker: where to connect.
        context: for TLS; ``None`` without.
        client_id: the same at every connection: the broker then ends a half-dead older connection,
            and publishes its last will, before the new one says ``online``.
        will: topic and payload that the broker publishes, retained, when the connection breaks;
            ``None``: nothing.
        wake: ends the wait in ``pump``.
    """

    def __init__(
        self,
        broker: MqttSettings,
        context: ssl.SSLContext | None,
        client_id: str,
        will: tuple[str, bytes] | None,
        wake: WakeSignal,
    ) -> None:
        self._broker = broker
        self._wake = wake
        self._selector = selectors.DefaultSelector()
        self._connack: ReasonCode | None = None
        self._end: ReasonCode | None = None
        self._complaint = ""
        self._acks: list[PubAck] = []
        self._taken: set[int] = set()
        self._messages: deque[ReceivedMessage] = deque(maxlen=MOST_RECEIVED)
        self._failed_subscriptions: list[str] = []
        self._subscriptions: dict[int, str] = {}
        self.silence = Silence()
        self.receive_maximum = 65535
        self.maximum_packet: int | None = None
        if broker.protocol == "5":
            version = MQTTProtocolVersion.MQTTv5
        else:
            version = MQTTProtocolVersion.MQTTv311
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=version,
            transport=broker.transport,
            reconnect_on_failure=False,
        )
        self._client.ws_set_options(broker.websocket_path)
        self._client.connect_timeout = CONNECT_SECONDS
        if will is not None:
            self._client.will_set(will[0], will[1], qos=1, retain=True)
        if broker.username is not None:
            self._client.username_pw_set(broker.username, broker.password_text)
        if context is not None:
            self._client.tls_set_context(context)
        self._client.on_log = self._on_log
        self._client.on_connect = self._on_connect
        self._client.on_publish = self._on_publish
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._client.on_disconnect = self._on_disconnect

    def open(self) -> None:
        """Connect, log in, and wait for the broker's answer.

        Raises:
            ConnectionEndedError: the broker is not reachable, not trusted, or refuses.
        """
        try:
            self._client.connect(
                self._broker.host,
                self._broker.port,
                self._broker.keepalive,
                properties=self._connect_properties(),
            )
        except (OSError, UnicodeError, LookupError) as error:  # the last by an odd WebSocket answer
            raise not_reached(self._broker, error) from error
        sock = self._socket()
        self._selector.register(sock, selectors.EVENT_READ)
        self._selector.register(self._wake, selectors.EVENT_READ)
        self._await_connack()

    def _connect_properties(self) -> Properties | None:
        if self._broker.protocol != "5":
            return None
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.MaximumPacketSize = LARGEST_PACKET_BYTES
        return properties

    def _await_connack(self) -> None:
        """Pump until the broker has answered."""
        deadline = boot_seconds() + ANSWER_SECONDS
        while self._connack is None:
            left = deadline - boot_seconds()
            if left <= 0:
                raise ConnectionEndedError(
                    MqttState.UNREACHABLE,
                    f"{self._broker.where}: did not answer within {ANSWER_SECONDS:.0f} s. "
                    f"{right_port(self._broker)}",
                )
            self.pump(left)

    def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool) -> int:
        """Send a message; return its number, which at QoS 1 comes back in a ``PubAck``."""
        mid = self._client.publish(topic, payload, qos=qos, retain=retain).mid
        self._taken.discard(mid)  # the numbers begin again after 65,535
        return mid

    def fits(self, topic: str, payload: bytes) -> bool:
        """Tell whether a message is as small as the broker demands; with MQTT 5 it says so."""
        if self.maximum_packet is None:
            return True
        return packet_bytes(topic, payload) <= self.maximum_packet

    def subscribe(self, topic: str) -> None:
        """Subscribe to a topic at QoS 1.

        Its messages come from ``messages``; a refusal comes from ``failed_subscriptions``.
        """
        mid = self._client.subscribe(topic, qos=1)[1]
        if mid is not None:
            self._subscriptions[mid] = topic

    def messages(self) -> list[ReceivedMessage]:
        """Return the messages received since the last call, in order."""
        messages = list(self._messages)
        self._messages.clear()
        return messages

    def failed_subscriptions(self) -> list[str]:
        """Return the topics whose subscription the broker has refused since the last call."""
        topics = self._failed_subscriptions
        self._failed_subscriptions = []
        return topics

    def pump(self, timeout_s: float) -> None:
        """Wait for bytes at most ``timeout_s`` (and less than a second), then read and write them.

        A broker that says nothing is asked for a sign of life: the keep-alive of MQTT would notice
        only after up to a minute that it hangs, for the system takes bytes in its place.

        Raises:
            ConnectionEndedError: the connection is over.
        """
        if self._connack is not None and self.silence.is_long():
            self._client.unsubscribe(_NOWHERE)  # which may find that the connection is over
            self.silence.note_question()
        sock = self._socket()
        self._selector.modify(
            sock, selectors.EVENT_READ | (selectors.EVENT_WRITE if self._client.want_write() else 0)
        )
        # TLS may hold decrypted bytes that ``select`` does not see: read them without waiting
        buffered = self._broker.tls and sock.pending() > 0
        ready = self._selector.select(0 if buffered else min(timeout_s, ASK_SECONDS))
        for key, events in ready:
            if key.fileobj is self._wake:
                self._wake.clear()
            elif events & selectors.EVENT_WRITE:
                self._client.loop_write()
        if buffered or any(k.fileobj is sock and e & selectors.EVENT_READ for k, e in ready):
            self._client.loop_read()
            self.silence.note_answer()
        self._client.loop_misc()
        self._socket()

    def acks(self) -> list[PubAck]:
        """Return the broker's acknowledgements since the last call."""
        acks = self._acks
        self._acks = []
        return acks

    def has_taken(self, mid: int) -> bool:
        """Tell whether the broker has acknowledged a message at QoS 1, also if it refused it."""
        return mid in self._taken

    def disconnect(self) -> None:
        """Say goodbye, so that the broker does not publish the last will; does not wait."""
        if self._client.socket() is not None:
            self._client.disconnect()

    def release(self) -> None:
        """Close the socket and the selector, without a word to the broker."""
        self._selector.close()
        sock = self._client.socket()
        if sock is not None:
            sock.close()

    def _socket(self) -> Any:
        """Return the open socket; raise ``ConnectionEndedError`` when there is none.

        With TLS it has ``pending``; with WebSockets it is paho's, around a socket.
        """
        sock = self._client.socket()
        if sock is None or self._end is not None:
            refused = certificate_refused(self._broker, self._complaint)
            if self._connack is None and refused is not None:
                raise refused
            raise ended(self._broker, self._connack, self._end)
        return sock

    def _on_log(self, _client: paho.Client, _data: object, level: int, text: str) -> None:
        """Keep what TLS complains of: with TLS 1.3 a refusal comes after the handshake."""
        if level == paho.MQTT_LOG_ERR:
            self._complaint = text

    def _on_connect(
        self,
        _client: paho.Client,
        _data: object,
        _flags: paho.ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        self._connack = reason
        self.receive_maximum = getattr(properties, "ReceiveMaximum", self.receive_maximum)
        self.maximum_packet = getattr(properties, "MaximumPacketSize", None)

    def _on_publish(
        self,
        _client: paho.Client,
        _data: object,
        mid: int,
        reason: ReasonCode,
        _properties: Properties,
    ) -> None:
        self._taken.add(mid)
        self._acks.append(PubAck(mid, str(reason) if reason.is_failure else None))

    def _on_subscribe(
        self,
        _client: paho.Client,
        _data: object,
        mid: int,
        reasons: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        topic = self._subscriptions.pop(mid, None)
        if topic is not None and any(reason.is_failure for reason in reasons):
            self._failed_subscriptions.append(topic)

    def _on_message(self, _client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        self._messages.append(
            ReceivedMessage(message.topic, bytes(message.payload), message.retain)
        )

    def _on_disconnect(
        self,
        _client: paho.Client,
        _data: object,
        _flags: paho.DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self._end = self._end or reason
