"""MQTT 5 with shared subscriptions: mosquitto 2, EMQX, HiveMQ and others."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from collector.messages import SUFFIXES, BrokerDelivery, Inbox, StateMessage, TransportError
from edge_agent.config.mqtt import MqttSettings
from edge_agent.core import clock
from edge_agent.mqtt.payloads import Topics

log = logging.getLogger(__name__)

CONNECT_S = 10.0
SESSION_S = 3600
"""How long the broker keeps messages for a collector that is away."""
MOST_AT_ONCE = 100
"""Packets that are read before it is looked how many messages they were."""
MOST_STATES = 50_000
"""Messages of devices about themselves that are held at the most; others come within a minute."""
_GROUP = "collectors"


@dataclass(frozen=True, slots=True)
class SharedSubscription:
    """The shared subscription that a collector makes at a broker.

    Attributes:
        broker: the broker to connect to.
        root: first part of the topics.
        name: name by which the broker recognises this collector; no two share one.
        most_underway: messages that the broker may deliver before the first is acknowledged: the
            most that this collector ever holds.
    """

    broker: MqttSettings
    root: str
    name: str
    most_underway: int = 1000


class MqttTransport(Inbox):
    """A shared subscription; messages are acknowledged one by one, after they are committed.

    Args:
        options: what to subscribe to.
        context: for TLS; ``None`` without.
    """

    def __init__(self, options: SharedSubscription, context: ssl.SSLContext | None = None) -> None:
        super().__init__()
        self._options = options
        self._context = context
        self._client: paho.Client | None = None
        self._connack: ReasonCode | None = None
        self._granted: ReasonCode | None = None
        self._has_answered = False
        self._generation = 0
        self._heard = 0

    def open(self) -> None:
        """Connect, log in and subscribe.

        Raises:
            TransportError: the broker is not reachable, or refuses.
        """
        self.close()
        broker = self._options.broker
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._options.name,
            protocol=MQTTProtocolVersion.MQTTv5,
            # The collector's own loop connects again, with a pause that grows.
            reconnect_on_failure=False,
            manual_ack=True,
        )
        if broker.username is not None:
            client.username_pw_set(broker.username, broker.password_text)
        if self._context is not None:
            client.tls_set_context(self._context)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_unsubscribe = self._on_unsubscribe
        client.on_message = self._on_message
        # 0 is no limit: confirmations must not be dropped without a word.
        client.max_queued_messages_set(0)
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = SESSION_S
        # The broker holds back what is more than this without an acknowledgement.
        properties.ReceiveMaximum = self._options.most_underway
        self._connack = self._granted = None
        self._received.clear()  # unacknowledged: they come again
        self._generation += 1
        try:
            # The broker goes on with the session of before, and its unacknowledged messages.
            client.connect(
                broker.host, broker.port, broker.keepalive, clean_start=False, properties=properties
            )
        except (OSError, UnicodeError) as error:
            raise TransportError(f"{broker.where}: cannot be reached ({error})") from error
        self._client = client
        self._wait_for(lambda: self._connack, "did not answer")
        every = Topics(self._options.root, "+")
        # A shared subscription (MQTT 5, 4.8.2): the broker gives each message to one collector of
        # the group.
        topic = f"$share/{_GROUP}/{every.full(Topics.TIMELINE)}"
        # At QoS 0 nothing waits at the broker: what is heard is of now, or marked as kept there.
        states = [(every.full(suffix), SubscribeOptions(qos=0)) for suffix in SUFFIXES]
        client.subscribe([(topic, SubscribeOptions(qos=1)), *states])
        self._wait_for(lambda: self._granted, f"did not answer to the subscription {topic}")

    def _gather(self, most: int, until_s: float) -> None:
        while len(self._received) < most:
            before = len(self._received)
            self._read(MOST_AT_ONCE)
            if len(self._received) > before:
                continue
            left_s = until_s - clock.boot_seconds()
            if left_s <= 0:
                break
            self._pump(left_s)

    def check(self) -> None:
        """Unsubscribe from a topic that nobody subscribed to: each broker answers anybody."""
        self._has_answered = False
        self._require_client().unsubscribe(Topics(self._options.root, _GROUP).full("check"))
        self._pump_until(lambda: self._has_answered, "did not answer")

    def acknowledge(self, deliveries: Sequence[BrokerDelivery]) -> None:
        """Acknowledge the deliveries that came over this connection."""
        client = self._require_client()
        for delivery in deliveries:
            # Packet identifiers have 16 bits; those of an earlier connection mean nothing here.
            generation, mid = divmod(delivery.tag, 65_536)
            if generation == self._generation:
                # Acknowledged by hand, after the commit; by itself paho would acknowledge on
                # arrival.
                client.ack(mid, 1)
        self._pump(0)

    def confirm(self, device: str, payload: bytes) -> None:
        """Publish a confirmation, retained at QoS 1."""
        topic = Topics(self._options.root, device).full(Topics.TIMELINE_CONFIRMED)
        self._require_client().publish(topic, payload, qos=1, retain=True)

    def close(self) -> None:
        """Leave; the broker keeps what is not acknowledged for an hour."""
        if self._client is not None:
            self._client.disconnect()
            sock = self._client.socket()
            if sock is not None:
                sock.close()
            self._client = None

    def _require_client(self) -> paho.Client:
        if self._client is None:
            raise TransportError(f"{self._options.broker.where}: there is no connection")
        return self._client

    def _read(self, packets: int) -> None:
        """Read packets that have come; paho itself reads one at a time."""
        client = self._require_client()
        for _ in range(packets):
            before = self._heard
            code = client.loop_read()
            if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
                self._fail(code)
            # Nothing was received by this read: what has come is all there was.
            if self._heard == before:
                return

    def _pump(self, timeout_s: float) -> None:
        client = self._require_client()
        code = client.loop(timeout=timeout_s)
        while code == MQTTErrorCode.MQTT_ERR_SUCCESS and client.want_write():
            code = client.loop_write()
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._fail(code)

    def _fail(self, code: MQTTErrorCode) -> NoReturn:
        self.close()
        raise TransportError(
            f"{self._options.broker.where}: the connection has ended ({paho.error_string(code)})"
        )

    def _pump_until(self, has_answered: Callable[[], bool], what: str) -> None:
        """Pump until the broker has answered; raise if it does not in time."""
        end = clock.boot_seconds() + CONNECT_S
        while not has_answered():
            if clock.boot_seconds() >= end:
                self.close()
                where = self._options.broker.where
                raise TransportError(f"{where}: {what} within {CONNECT_S:.0f} s")
            self._pump(0.1)

    def _wait_for(self, answer: Callable[[], ReasonCode | None], what: str) -> None:
        """Pump until the broker has answered; raise for a refusal."""
        self._pump_until(lambda: answer() is not None, what)
        reason = answer()
        if reason is not None and reason.is_failure:
            self.close()
            raise TransportError(
                f"{self._options.broker.where}: the broker refuses ({reason}). Let this account "
                "read the timelines, with MQTT 5 and shared subscriptions."
            )

    # paho gives client, data, flags or a number, a reason or several, and properties

    def _on_connect(self, *given: Any) -> None:
        self._connack = given[3]

    def _on_subscribe(self, *given: Any) -> None:
        reasons = given[3]
        self._granted = reasons[0]
        if any(reason.is_failure for reason in reasons[1:]):
            log.warning(
                "the broker does not let this account read %s: the states of devices stay unknown",
                " and ".join(Topics(self._options.root, "+").full(one) for one in SUFFIXES),
            )

    def _on_unsubscribe(self, *_: Any) -> None:
        self._has_answered = True

    def _on_message(self, _client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        self._heard += 1
        before = self._options.root.count("/") + 1
        parts = message.topic.split("/")
        device = parts[before] if len(parts) > before else ""
        suffix = "/".join(parts[before + 1 :])
        if suffix in SUFFIXES:
            self._hear(device, suffix, message)
            return
        tag = self._generation * 65_536 + message.mid
        self._received.append(BrokerDelivery(device, bytes(message.payload), tag))

    def _hear(self, device: str, suffix: str, message: paho.MQTTMessage) -> None:
        """Keep the newest that was said of a device."""
        name = device, suffix
        if not message.payload:
            return  # only takes away what the broker has kept
        # New names only: a known device may always replace its own message.
        if len(self._states) >= MOST_STATES and name not in self._states:
            return
        self._states[name] = StateMessage(
            device, suffix, bytes(message.payload), message.retain, clock.boot_seconds()
        )
