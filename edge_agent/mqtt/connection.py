"""One connection to a broker, from connecting to its end: the only file that knows paho.

paho keeps unacknowledged messages in memory and sends them again by itself after a reconnect. Here
the outbox does that, so every connection gets a paho client of its own and nothing outlives it.
"""

from __future__ import annotations

import selectors
import socket
import ssl
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge_agent.core.clock import boot_seconds
from edge_agent.core.errors import MqttError

CONNECT_SECONDS = 4.0
ANSWER_SECONDS = 10.0
_UNSUPPORTED_PROTOCOL = 0x84
_LOGIN_REFUSED = frozenset({0x86, 0x87, 0x8A})
_TAKEN_OVER = 0x8E
_LARGEST_PACKET = 1024 * 1024  # with MQTT 5 the broker keeps larger messages to itself
_HEARD_AT_MOST = 10_000


class MqttState(StrEnum):
    """How things stand with the broker."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    UNREACHABLE = "unreachable"
    UNAUTHORISED = "unauthorised"
    UNTRUSTED = "untrusted"
    REFUSED = "refused"
    STOPPED = "stopped"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker is and how to enter.

    Attributes:
        host: name or address; with ``tls`` it must be the one in the broker's certificate.
        tls: encrypt, and check certificate and host name.
        ca_file: certificate authority (PEM); ``None`` takes the system's.
        protocol: version of MQTT.
        keepalive: seconds between signs of life.
    """

    host: str = "127.0.0.1"
    port: int = 1883
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    ca_file: Path | None = None
    protocol: Literal["3.1.1", "5"] = "5"
    keepalive: int = 30


def read_password(path: Path) -> str:
    """Return the first line of a password file.

    Raises:
        MqttError: the file cannot be read or its first line is empty.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise MqttError(
            f"mqtt.password_file {path}: cannot be read ({error.strerror}). "
            "Write the broker's password on its first line and let the agent's user read it."
        ) from error
    except UnicodeDecodeError as error:
        raise MqttError(
            f"mqtt.password_file {path}: is not UTF-8 text. Write the password on its first line."
        ) from error
    if not lines or not lines[0]:
        raise MqttError(
            f"mqtt.password_file {path}: its first line is empty. Write the broker's "
            "password there."
        )
    return lines[0]


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """Return a context that checks certificate and host name against ``ca_file`` or the system's
    authorities.

    Raises:
        MqttError: the file is missing, cannot be read or holds no certificate.
    """
    if ca_file is None:
        return ssl.create_default_context()
    try:
        context = ssl.create_default_context(cafile=str(ca_file))
    except ssl.SSLError as error:
        raise MqttError(
            f"mqtt.ca_file {ca_file}: holds no certificate. It must be the broker's authority in "
            "PEM form (-----BEGIN CERTIFICATE-----)."
        ) from error
    except OSError as error:
        raise MqttError(
            f"mqtt.ca_file {ca_file}: cannot be read ({error.strerror}). Copy the certificate of "
            "the broker's authority there, or leave ca_file out to trust the system's."
        ) from error
    # From Python 3.13 on, strict checking is the default. It refuses authorities without a key
    # usage extension, such as those made as mosquitto's manual says. Signature, validity and host
    # name are checked as before.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


class ConnectionEndedError(Exception):
    """The connection was refused or lost.

    Attributes:
        state: what to call it.
        text: what happened and, where a person can do something, the cure.
    """

    def __init__(self, state: MqttState, text: str) -> None:
        super().__init__(text)
        self.state = state
        self.text = text


@dataclass(frozen=True, slots=True)
class Answer:
    """The broker's answer to one message at QoS 1.

    ``refusal`` is ``None`` when it took the message.
    """

    mid: int
    refusal: str | None


@dataclass(frozen=True, slots=True)
class Heard:
    """A message that the broker sent; ``retained``: it had kept it, it is not of now."""

    topic: str
    payload: bytes
    retained: bool


class Connection:
    """One connection; every method is called from one thread.

    Args:
        broker: where to connect.
        context: for TLS, ``None`` without.
        client_id: the same at every connection, so that the broker ends a half-dead older one, last
            will first, before it lets the new one say ``online``.
        will: topic and payload that the broker publishes, retained, when the connection breaks.
        wake: a socket whose readability ends the wait in ``pump``.
    """

    def __init__(
        self,
        broker: Broker,
        context: ssl.SSLContext | None,
        client_id: str,
        will: tuple[str, bytes],
        wake: socket.socket,
    ) -> None:
        self._broker = broker
        self._wake = wake
        self._selector = selectors.DefaultSelector()
        self._connack: ReasonCode | None = None
        self._end: ReasonCode | None = None
        self._answers: list[Answer] = []
        self._heard: deque[Heard] = deque(maxlen=_HEARD_AT_MOST)
        self._deaf: list[str] = []
        self._subscriptions: dict[int, str] = {}
        self.receive_maximum = 65535
        if broker.protocol == "5":
            version = MQTTProtocolVersion.MQTTv5
        else:
            version = MQTTProtocolVersion.MQTTv311
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=version,
            reconnect_on_failure=False,
        )
        self._client.connect_timeout = CONNECT_SECONDS
        self._client.will_set(will[0], will[1], qos=1, retain=True)
        if broker.username is not None:
            self._client.username_pw_set(broker.username, broker.password)
        if context is not None:
            self._client.tls_set_context(context)
        self._client.on_connect = self._on_connect
        self._client.on_publish = self._on_publish
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._client.on_disconnect = self._on_disconnect

    def open(self) -> None:
        """Connect, greet, and wait for the broker's word.

        Raises:
            ConnectionEndedError: the broker is away, is not to be trusted, or refuses.
        """
        where = f"{self._broker.host}:{self._broker.port}"
        try:
            self._client.connect(
                self._broker.host,
                self._broker.port,
                self._broker.keepalive,
                properties=self._connect_properties(),
            )
        except ssl.SSLCertVerificationError as error:
            raise ConnectionEndedError(
                MqttState.UNTRUSTED,
                f"{where}: the certificate is not trusted ({error.verify_message}). mqtt.ca_file "
                "must be the authority that signed it, and mqtt.host the name in it.",
            ) from error
        except ssl.SSLError as error:
            raise ConnectionEndedError(
                MqttState.UNTRUSTED,
                f"{where}: no encrypted connection ({error.reason or error}). Is this the broker's "
                "TLS port?",
            ) from error
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ConnectionEndedError(
                MqttState.UNREACHABLE, f"{where}: cannot be reached ({reason})."
            ) from error
        sock = self._socket()
        self._selector.register(sock, selectors.EVENT_READ)
        self._selector.register(self._wake, selectors.EVENT_READ)
        self._await_connack(where)

    def _connect_properties(self) -> Properties | None:
        if self._broker.protocol != "5":
            return None
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.MaximumPacketSize = _LARGEST_PACKET
        return properties

    def _await_connack(self, where: str) -> None:
        """Pump until the broker has answered."""
        deadline = boot_seconds() + ANSWER_SECONDS
        while self._connack is None:
            left = deadline - boot_seconds()
            if left <= 0:
                raise ConnectionEndedError(
                    MqttState.UNREACHABLE,
                    f"{where}: did not answer within {ANSWER_SECONDS:.0f} s. Is it a broker?",
                )
            self.pump(left)

    def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool) -> int:
        """Hand a message over; return its number, which comes back in an ``Answer`` at QoS 1."""
        return self._client.publish(topic, payload, qos=qos, retain=retain).mid

    def subscribe(self, topic: str) -> None:
        """Ask for the messages of a topic.

        They come back from ``heard``, a refusal from ``deaf_to``.
        """
        mid = self._client.subscribe(topic, qos=1)[1]
        if mid is not None:
            self._subscriptions[mid] = topic

    def heard(self) -> list[Heard]:
        """Return the messages since the last call."""
        given = list(self._heard)
        self._heard.clear()
        return given

    def deaf_to(self) -> list[str]:
        """Return the topics that the broker has refused to send since the last call."""
        given = self._deaf
        self._deaf = []
        return given

    def pump(self, timeout_s: float) -> None:
        """Read and write what is there, waiting at most ``timeout_s`` (and at most a second) for
        it.

        Raises:
            ConnectionEndedError: the connection is over.
        """
        sock = self._socket()
        self._selector.modify(
            sock, selectors.EVENT_READ | (selectors.EVENT_WRITE if self._client.want_write() else 0)
        )
        buffered = isinstance(sock, ssl.SSLSocket) and sock.pending() > 0
        ready = self._selector.select(0 if buffered else min(timeout_s, 1.0))
        for key, events in ready:
            if key.fileobj is self._wake:
                _empty(self._wake)
            elif events & selectors.EVENT_WRITE:
                self._client.loop_write()
        if buffered or any(k.fileobj is sock and e & selectors.EVENT_READ for k, e in ready):
            self._client.loop_read()
        self._client.loop_misc()
        self._socket()

    def answers(self) -> list[Answer]:
        """Return the broker's answers since the last call."""
        given = self._answers
        self._answers = []
        return given

    def close(self) -> None:
        """Take leave, so that the last will is not published, as far as the socket takes it at
        once.
        """
        if self._client.socket() is not None:
            self._client.disconnect()

    def abandon(self) -> None:
        """Free what the connection holds, without a word to the broker."""
        self._selector.close()
        sock = self._client.socket()
        if sock is not None:
            sock.close()

    def _socket(self) -> socket.socket:
        """Return the open socket, or raise for the end of the connection."""
        sock = self._client.socket()
        if sock is None or self._end is not None:
            raise self._ended()
        assert isinstance(sock, socket.socket)
        return sock

    def _ended(self) -> ConnectionEndedError:
        """Say why the connection is over, from what the broker said last."""
        where = f"{self._broker.host}:{self._broker.port}"
        said = self._end
        if self._connack is not None and self._connack.is_failure:
            said = self._connack
        code = said.value if said is not None else 0
        if code == _UNSUPPORTED_PROTOCOL:
            other = "3.1.1" if self._broker.protocol == "5" else "5"
            return ConnectionEndedError(
                MqttState.REFUSED,
                f"{where}: does not speak MQTT {self._broker.protocol}. "
                f'Set mqtt.protocol to "{other}".',
            )
        if code in _LOGIN_REFUSED:
            if self._broker.username:
                who = f"user {self._broker.username!r}"
            else:
                who = "visitors without a name"
            return ConnectionEndedError(
                MqttState.UNAUTHORISED,
                f"{where}: refuses {who} ({said}). Check mqtt.username and the password.",
            )
        if code == _TAKEN_OVER:
            return ConnectionEndedError(
                MqttState.REFUSED,
                f"{where}: another appliance of the same name took over. Give each its own "
                "device.name.",
            )
        if self._connack is not None and self._connack.is_failure:
            return ConnectionEndedError(
                MqttState.REFUSED, f"{where}: refuses the connection ({said})."
            )
        if self._connack is None:
            if self._broker.tls:
                port = "port with TLS"
            else:
                port = "port without TLS"
            return ConnectionEndedError(
                MqttState.UNREACHABLE,
                f"{where}: hung up without a greeting. Is it a broker, and this its {port}?",
            )
        return ConnectionEndedError(MqttState.UNREACHABLE, f"{where}: connection lost ({said}).")

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

    def _on_publish(
        self,
        _client: paho.Client,
        _data: object,
        mid: int,
        reason: ReasonCode,
        _properties: Properties,
    ) -> None:
        self._answers.append(Answer(mid, str(reason) if reason.is_failure else None))

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
            self._deaf.append(topic)

    def _on_message(self, _client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        self._heard.append(Heard(message.topic, bytes(message.payload), message.retain))

    def _on_disconnect(
        self,
        _client: paho.Client,
        _data: object,
        _flags: paho.DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self._end = self._end or reason


def _empty(wake: socket.socket) -> None:
    """Take all bytes out of a non-blocking socket."""
    try:
        while wake.recv(4096):
            pass
    except BlockingIOError:
        return
