"""One connection to a broker, from opening to its end with the reason; the only user of paho.

paho keeps unacknowledged messages in memory and sends them again by itself after a reconnect. Here
the outbox does that, so every connection gets a new paho client, and nothing is kept beyond it. A
``Connector`` opens one connection after the other and says how long to wait in between.
"""

from __future__ import annotations

import math
import os
import selectors
import ssl
from collections import deque
from contextlib import closing
from dataclasses import dataclass
from typing import Any, TypeVar

from paho.mqtt import client as paho
from paho.mqtt.client import WebsocketConnectionError
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge_agent.config.mqtt import MqttSettings
from edge_agent.core.clock import boot_seconds
from edge_agent.core.pauses import Pauses, doubling
from edge_agent.mqtt.broker import ConnectionEndedError, MqttState, WakeSignal, encryption

T = TypeVar("T")
# reason codes of MQTT 5, section 2.4
_UNSUPPORTED_PROTOCOL = 0x84
_LOGIN_REFUSED = frozenset({0x86, 0x87, 0x8A})
_TAKEN_OVER = 0x8E
_VAGUE = "HANDSHAKE_FAILURE"
_ALERTS = (
    "CERTIFICATE_REQUIRED",
    "CERTIFICATE_EXPIRED",
    "CERTIFICATE_REVOKED",
    "CERTIFICATE_UNKNOWN",
    "UNSUPPORTED_CERTIFICATE",
    "BAD_CERTIFICATE",
    "UNKNOWN_CA",
    _VAGUE,
)
"""TLS alerts of a broker that refuses our certificate; the last one, of TLS 1.2, that misses it."""
ASK_SECONDS = 0.7
"""Silence of the broker after which it is asked for an answer."""
CONNECT_SECONDS = 4.0
"""Longest wait for the TCP connection: less than the five seconds in which the agent must stop."""
ANSWER_SECONDS = 10.0
"""Longest wait for the broker's first answer (CONNACK)."""
DROPS = 4
"""A message that, sent alone, has ended this many connections is taken for the cause."""
LARGEST_PACKET_BYTES = 1024 * 1024
"""With MQTT 5 the broker does not send larger messages: nobody can fill the agent's memory."""
MOST_RECEIVED = 10_000
"""Limit of received messages that wait; the oldest are dropped first, for the same reason."""
_VERSIONS = {"3.1.1": MQTTProtocolVersion.MQTTv311, "5": MQTTProtocolVersion.MQTTv5}
_NOWHERE = "affect-edge-sign-of-life"
"""A topic without subscribers: the broker must answer an UNSUBSCRIBE from it (MQTT 5, 3.10.4)."""


def _unreachable_error(broker: MqttSettings, error: Exception) -> ConnectionEndedError:
    """Return the reason why the broker cannot be reached."""
    where = broker.where
    if isinstance(error, ssl.SSLCertVerificationError):
        return ConnectionEndedError(
            MqttState.UNTRUSTED,
            f"{where}: the certificate is not trusted ({error.verify_message}). mqtt.ca_file "
            "must be the authority that signed it, and mqtt.host the name in it.",
        )
    if isinstance(error, ssl.SSLError):
        refused = _certificate_error(broker, str(error))
        if refused is not None:
            return refused
        return ConnectionEndedError(
            MqttState.UNTRUSTED,
            f"{where}: no encrypted connection ({error.reason or error}). Is mqtt.port the "
            "broker's TLS port? Else set mqtt.tls = false.",
        )
    # paho raises IndexError, a LookupError, for a handshake whose headers it cannot split.
    if isinstance(error, (WebsocketConnectionError, LookupError)):
        return ConnectionEndedError(
            MqttState.UNREACHABLE,
            f"{where}: opens no WebSocket at {broker.websocket_path}. Is this the broker's port "
            'for WebSockets, and its mqtt.websocket_path? Else set mqtt.transport to "tcp".',
        )
    reason = getattr(error, "strerror", None) or error
    text = f"{where}: cannot be reached ({reason})."
    if broker.tls and isinstance(error, ConnectionResetError):
        text += " A broker hangs up like this where mqtt.port is not its TLS port: set that one, "
        text += "or mqtt.tls = false."
    return ConnectionEndedError(MqttState.UNREACHABLE, text)


def _certificate_error(broker: MqttSettings, complaint: str) -> ConnectionEndedError | None:
    """Return the error for a broker that refuses our certificate, or requires one.

    Args:
        broker: the broker.
        complaint: OpenSSL's message with the name of the alert (RFC 8446, section 6.2).

    Returns:
        ``None`` if the message is about something else.
    """
    # ssl gives the alert only as text, with blanks or underscores depending on OpenSSL's version.
    alert = next((one for one in _ALERTS if one in complaint.replace(" ", "_").upper()), None)
    if alert is None or (alert == _VAGUE and broker.client_certificate is not None):
        return None
    if broker.client_certificate is None:
        none = "none, it seems" if alert == _VAGUE else "none"
        text = (
            f"{broker.where}: requires a certificate and gets {none}. Set mqtt.client_certificate "
            "and mqtt.client_key to those that the broker's operator made for this appliance."
        )
    else:
        text = (
            f"{broker.where}: refuses mqtt.client_certificate {broker.client_certificate} "
            f"({alert.lower().replace('_', ' ')}). It must be valid now and signed by the "
            "authority that the broker trusts (mosquitto: cafile)."
        )
    return ConnectionEndedError(MqttState.UNAUTHORISED, text)


def _end_error(
    broker: MqttSettings, answer: ReasonCode | None, end: ReasonCode | None
) -> ConnectionEndedError:
    """Return the reason why a connection has ended.

    Args:
        broker: the broker.
        answer: reason code of the log-in; ``None``: there was none.
        end: the last reason code of the connection; ``None``: there was none.
    """
    where = broker.where
    # the answer to the login says more than the end of the connection that follows it
    reason = answer if answer is not None and answer.is_failure else end
    code = 0 if reason is None else reason.value
    if code == _UNSUPPORTED_PROTOCOL:
        other = "3.1.1" if broker.protocol == "5" else "5"
        return ConnectionEndedError(
            MqttState.REFUSED,
            f'{where}: does not speak MQTT {broker.protocol}. Set mqtt.protocol to "{other}".',
            version=True,
        )
    if code in _LOGIN_REFUSED:
        who = f"user {broker.username!r}" if broker.username else "visitors without a name"
        return ConnectionEndedError(
            MqttState.UNAUTHORISED,
            f"{where}: refuses {who} ({reason}). Check mqtt.username and the password.",
        )
    if code == _TAKEN_OVER:
        return ConnectionEndedError(
            MqttState.REFUSED,
            f"{where}: another appliance of the same name took over. Give each its own "
            "device.name.",
        )
    if answer is None:
        return _no_greeting_error(broker)
    if answer.is_failure:
        return ConnectionEndedError(
            MqttState.REFUSED, f"{where}: refuses the connection ({reason})."
        )
    return ConnectionEndedError(MqttState.UNREACHABLE, f"{where}: connection lost ({reason}).")


def _advice_on_port(broker: MqttSettings) -> str:
    """Return what to check if the other side does not answer like a broker."""
    port, other = ("with TLS", "false") if broker.tls else ("without TLS", "true")
    text = f"Is it a broker, and mqtt.port its port {port} (else set mqtt.tls = {other})"
    if broker.transport == "tcp":
        return f'{text} and without WebSockets (else set mqtt.transport = "websockets")?'
    return f"{text}, and mqtt.websocket_path the broker's?"


def _no_greeting_error(broker: MqttSettings) -> ConnectionEndedError:
    """Return the error for a broker that ended the connection before its first answer."""
    text = f"{broker.where}: hung up without a greeting. {_advice_on_port(broker)}"
    if broker.tls and broker.client_certificate is None:
        text += " If it wants a certificate, set mqtt.client_certificate and mqtt.client_key."
    return ConnectionEndedError(MqttState.UNREACHABLE, text, version=True)


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
        retained: whether the broker had stored the message, which may be old then.
    """

    topic: str
    payload: bytes
    retained: bool


class Connection:
    """One connection; every method is called from one thread.

    Args:
        broker: the broker.
        context: for TLS; ``None`` without.
        client_id: the same at every connection: the broker then ends a half-dead older connection,
            and publishes its last will, before the new one publishes ``online``.
        will: topic and payload that the broker publishes, retained, when the connection breaks;
            ``None``: nothing.
        wake: ends the wait in ``pump``.

    Attributes:
        remark: what to change if its version of MQTT is older than configured; else ``None``.
        receive_maximum: messages at QoS 1 that the broker takes before it acknowledges one.
        maximum_packet: the broker's limit of a packet in bytes; ``None``: it announced none.
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
        self._heard_s = boot_seconds()
        self._asked_s: float | None = None
        self.remark: str | None = None
        self.receive_maximum = 65535
        self.maximum_packet: int | None = None
        version = _VERSIONS[broker.protocol]
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=version,
            transport=broker.transport,
            # paho would reconnect in its own thread, with its own queue of messages.
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
        properties: Properties | None = None
        if self._broker.protocol == "5":
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.MaximumPacketSize = LARGEST_PACKET_BYTES
        host, port, keepalive = self._broker.host, self._broker.port, self._broker.keepalive
        try:
            self._client.connect(host, port, keepalive, properties=properties)
        except (OSError, UnicodeError, LookupError) as error:  # the last by an odd WebSocket answer
            raise _unreachable_error(self._broker, error) from error
        sock = self._socket()
        self._selector.register(sock, selectors.EVENT_READ)
        self._selector.register(self._wake, selectors.EVENT_READ)
        self._await_connack()

    def _await_connack(self) -> None:
        """Pump until the broker has answered."""
        deadline = boot_seconds() + ANSWER_SECONDS
        while self._connack is None:
            left = deadline - boot_seconds()
            if left <= 0:
                raise ConnectionEndedError(
                    MqttState.UNREACHABLE,
                    f"{self._broker.where}: did not answer within {ANSWER_SECONDS:.0f} s. "
                    f"{_advice_on_port(self._broker)}",
                )
            self.pump(left)

    def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool) -> int:
        """Send a message; return its number, which at QoS 1 comes back in a ``PubAck``."""
        mid = self._client.publish(topic, payload, qos=qos, retain=retain).mid
        self._taken.discard(mid)  # the numbers begin again after 65,535
        return mid

    def fits(self, topic: str, payload: bytes) -> bool:
        """Return whether a message is within the broker's limit, which MQTT 5 announces."""
        if self.maximum_packet is None:
            return True
        return _packet_bytes(topic, payload) <= self.maximum_packet

    def subscribe(self, topic: str) -> None:
        """Subscribe to a topic at QoS 1.

        Its messages come from ``messages``; a refusal comes from ``failed_subscriptions``.
        """
        mid = self._client.subscribe(topic, qos=1)[1]
        if mid is not None:
            self._subscriptions[mid] = topic

    def messages(self) -> list[ReceivedMessage]:
        """Return the messages received since the last call, in order."""
        return _take_all(self._messages)

    def failed_subscriptions(self) -> list[str]:
        """Return the topics whose subscription the broker has refused since the last call."""
        return _take_all(self._failed_subscriptions)

    def pump(self, timeout_s: float) -> None:
        """Wait for bytes at most ``timeout_s`` (and less than a second), then read and write them.

        A silent broker is asked for an answer: MQTT's keep-alive needs up to a minute to notice
        that it hangs, since the system accepts bytes in its place.

        Raises:
            ConnectionEndedError: the connection is over.
        """
        is_long = self._asked_s is None and boot_seconds() - self._heard_s >= ASK_SECONDS
        if self._connack is not None and is_long:
            self._client.unsubscribe(_NOWHERE)  # which may find that the connection is over
            self._asked_s = boot_seconds()
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
            self._heard_s = boot_seconds()
            self._asked_s = None
        # Sends PINGREQ, which the broker needs within the keep-alive even if nothing else is sent.
        self._client.loop_misc()
        self._socket()

    @property
    def owed_s(self) -> float:
        """Seconds since the broker was asked for an answer; 0 if it owes none."""
        return 0.0 if self._asked_s is None else boot_seconds() - self._asked_s

    def acks(self) -> list[PubAck]:
        """Return the broker's acknowledgements since the last call."""
        return _take_all(self._acks)

    def has_taken(self, mid: int) -> bool:
        """Return whether the broker has acknowledged a message at QoS 1, even with a refusal."""
        return mid in self._taken

    def disconnect(self) -> None:
        """Send DISCONNECT, so that the broker drops the last will; do not wait."""
        if self._client.socket() is not None:
            self._client.disconnect()

    def release(self) -> None:
        """Close the socket and the selector, without telling the broker."""
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
            refused = _certificate_error(self._broker, self._complaint)
            if self._connack is None and refused is not None:
                raise refused
            raise _end_error(self._broker, self._connack, self._end)
        return sock

    def _on_log(self, _client: paho.Client, _data: object, level: int, text: str) -> None:
        """Store errors of TLS: with TLS 1.3 a refusal comes after the handshake."""
        if level == paho.MQTT_LOG_ERR:
            self._complaint = text

    # paho calls these with client, data, then flags or a number, one reason or several, properties

    def _on_connect(self, *given: Any) -> None:
        self._connack, properties = given[3:]
        self.receive_maximum = getattr(properties, "ReceiveMaximum", self.receive_maximum)
        self.maximum_packet = getattr(properties, "MaximumPacketSize", None)

    def _on_publish(self, *given: Any) -> None:
        mid, reason, _properties = given[2:]
        self._taken.add(mid)
        self._acks.append(PubAck(mid, str(reason) if reason.is_failure else None))

    def _on_subscribe(self, *given: Any) -> None:
        mid, reasons, _properties = given[2:]
        topic = self._subscriptions.pop(mid, None)
        if topic is not None and any(reason.is_failure for reason in reasons):
            self._failed_subscriptions.append(topic)

    def _on_message(self, _client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        received = ReceivedMessage(message.topic, bytes(message.payload), message.retain)
        self._messages.append(received)

    def _on_disconnect(self, *given: Any) -> None:
        self._end = self._end or given[3]


def _packet_bytes(topic: str, payload: bytes) -> int:
    """Return the size of a PUBLISH packet at QoS 1 without properties (MQTT 5, 3.3)."""
    rest = 2 + len(topic.encode()) + 2 + 1 + len(payload)  # lengths, topic, number, properties
    # The remaining length is a variable byte integer of seven bits a byte (MQTT 5, 1.5.5).
    length_bytes = max(1, math.ceil(rest.bit_length() / 7))
    return 1 + length_bytes + rest


def _take_all(waiting: deque[T] | list[T]) -> list[T]:
    """Empty a list, and return its items."""
    items = list(waiting)
    waiting.clear()
    return items


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds between attempts to connect.

    Attributes:
        first_s: after the first failure; doubled after each further one.
        longest_s: upper limit of the doubling.
        refused_s: after an error that only a person can fix, such as a wrong password or an
            untrusted certificate.
        settle_s: wait after an outage before anything waiting is sent, so that readers that also
            lost the broker are connected again when the messages come.
    """

    first_s: float = 1.0
    longest_s: float = 30.0
    refused_s: float = 60.0
    settle_s: float = 2.0


class Connector:
    """Opens one connection after the other for a client, and says how long to wait in between.

    Args:
        broker, context, client_id, will, wake: as ``Connection`` takes them.
        backoff: the pauses between attempts; ``None``: those of ``Backoff``.
    """

    def __init__(
        self,
        broker: MqttSettings,
        context: ssl.SSLContext | None,
        client_id: str,
        will: tuple[str, bytes] | None,
        wake: WakeSignal,
        *,
        backoff: Backoff | None = None,
    ) -> None:
        self._broker = broker
        self._context = context
        self._client_id = client_id
        self._will = will
        self._wake = wake
        self._backoff = backoff or Backoff()
        self._suspected = False
        self._pauses = Pauses(doubling(self._backoff.first_s, self._backoff.longest_s))
        self._started_s = boot_seconds()

    @property
    def lasted_s(self) -> float:
        """Seconds since the last attempt began, and with it its connection."""
        return boot_seconds() - self._started_s

    def connect(self, *, suspected: bool = False) -> Connection:
        """Connect and log in; if MQTT 5 is refused, try 3.1.1.

        A broker without MQTT 5 refuses it, or hangs up without an answer. A broker that stops also
        hangs up, so that counts only if it happened the last time, too, or if it is ``suspected``.

        Raises:
            ConnectionEndedError: no version was accepted.
        """
        self._started_s = boot_seconds()
        try:
            return self._open(self._broker)
        except ConnectionEndedError as refusal:
            is_said = refusal.state is MqttState.REFUSED
            if self._broker.protocol != "5" or not refusal.version:
                raise
            if not (is_said or suspected or self._suspected):
                raise
            first = refusal
        return self._open_older(first, is_said=is_said)

    def _open_older(self, first: ConnectionEndedError, *, is_said: bool) -> Connection:
        """Connect by MQTT 3.1.1 after ``first``, and note in ``remark`` that it is older."""
        where = self._broker.where
        try:
            connection = self._open(self._broker.model_copy(update={"protocol": "3.1.1"}))
        except ConnectionEndedError as second:
            if second.state is MqttState.UNAUTHORISED:
                raise  # it speaks 3.1.1, and says what is wrong
            if not is_said:
                raise first from second
            raise ConnectionEndedError(
                first.state,
                f"{where}: does not speak MQTT 5, and 3.1.1 was tried in vain ({second.text})",
            ) from second
        how = "does not speak MQTT 5" if is_said else "hangs up at MQTT 5"
        connection.remark = (
            f"{where}: {how}; 3.1.1 is used, in which it cannot say that it refuses a message. "
            'Use a newer broker, or set mqtt.protocol to "3.1.1".'
        )
        return connection

    def _open(self, broker: MqttSettings) -> Connection:
        connection = Connection(broker, self._context, self._client_id, self._will, self._wake)
        try:
            connection.open()
        except ConnectionEndedError:
            connection.release()
            raise
        return connection

    def pause_after(self, end: ConnectionEndedError) -> float:
        """Return the seconds to wait before the next attempt; call it once for each end."""
        self._suspected = end.version
        # Only a connection that lasted resets the pauses; one that ends at once would be made each
        # second.
        if self.lasted_s > self._backoff.longest_s:
            self._pauses.reset()
        delay_s = self._pauses.after_failure()
        # only a person can help with the others: asking every second would fill the broker's log
        return delay_s if end.state is MqttState.UNREACHABLE else self._backoff.refused_s


def connect_briefly(
    broker: MqttSettings, context: ssl.SSLContext | None, client_id: str, *, suspected: bool
) -> str | None:
    """Log in and disconnect at once, without a last will, so that no reader notices.

    Args:
        broker, context, client_id: as ``Connection`` takes them.
        suspected: as ``Connector.connect`` takes it.

    Returns:
        A sentence if the broker accepts only an older version of MQTT than configured.

    Raises:
        ConnectionEndedError: the broker cannot be reached, is not trusted, or refuses.
    """
    with closing(WakeSignal()) as wake:
        connector = Connector(broker, context, client_id, None, wake)
        connection = connector.connect(suspected=suspected)
        try:
            connection.disconnect()
        finally:
            connection.release()
    return connection.remark


def log_in(broker: MqttSettings, name: str) -> str | None:
    """Connect with the account and the encryption of the agent, and disconnect.

    The client id is another one, so that the agent keeps its connection.

    Args:
        broker: the broker.
        name: beginning of the client id.

    Returns:
        A sentence if the broker accepts only an older version of MQTT than configured.

    Raises:
        ConnectionEndedError: the broker cannot be reached, is not trusted, or refuses.
        MqttError: the authority of the broker, our certificate or its key cannot be used.
    """
    return connect_briefly(broker, encryption(broker), f"{name}-{os.getpid()}", suspected=True)
