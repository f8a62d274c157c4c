"""AMQP 0-9-1 with a quorum queue: RabbitMQ, whose appliances speak MQTT to its plugin.

The plugin publishes each MQTT message to the exchange ``amq.topic``, with dots for the slashes of
its topic. A quorum queue receives those of all appliances, is stored on several nodes of a cluster,
and delivers each message to one collector.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.adapters.utils.connection_workflow import (
    AMQPConnectorException,
    AMQPConnectorSocketConnectError,
    AMQPConnectorStackTimeout,
)
from pika.exceptions import (
    AMQPError,
    ChannelClosedByBroker,
    IncompatibleProtocolError,
    ProbableAuthenticationError,
)

from collector.messages import SUFFIXES, BrokerDelivery, Inbox, StateMessage, TransportError
from edge_agent.config.mqtt import MqttSettings
from edge_agent.core import clock
from edge_agent.mqtt.payloads import Topics

logging.getLogger("pika").setLevel(logging.CRITICAL)  # what matters of it is told by this module
CONNECT_S = 10.0
_PRECONDITION_FAILED = 406
_OTHER_QUEUE = (
    ". A queue of this name exists with other settings: empty and delete it, and it is created "
    "again"
)
_PORTS = "Check --port (5672, with --tls 5671)"
_CAUSES: dict[type[Exception], str] = {
    ProbableAuthenticationError: "refuses the account or its password; see --username and "
    "--password-file",
    IncompatibleProtocolError: f"does not speak AMQP. {_PORTS}; for a broker of MQTT leave "
    "--protocol out",
    AMQPConnectorStackTimeout: f"does not answer in AMQP. {_PORTS}, and whether both sides encrypt",
}
EXCHANGE = "amq.topic"
"""Default exchange of the MQTT plugin; RabbitMQ can be configured to use another one."""
MOST_STATES = 10_000
"""Most state messages that wait for a busy collector; older ones are dropped."""
_TAGS = 2**48
"""Most deliveries of one connection, which are numbered from 1."""


@dataclass(frozen=True, slots=True)
class QuorumQueue:
    """The queue that a collector declares on a RabbitMQ cluster.

    Attributes:
        brokers: its nodes; the first that answers is used.
        root: first part of the topics; the queue is called ``<root>.timeline``.
        name: of this collector, as RabbitMQ shows it.
        most_underway: messages that may be delivered before the first is acknowledged: the most
            that this collector ever holds.
    """

    brokers: tuple[MqttSettings, ...]
    root: str
    name: str
    most_underway: int = 1000

    @property
    def queue(self) -> str:
        """Name of the queue, which is created if it is missing."""
        return f"{self.root}.{Topics.TIMELINE}".replace("/", ".")

    @property
    def where(self) -> str:
        """The nodes, as people write them."""
        return ", ".join(broker.where for broker in self.brokers)


class AmqpTransport(Inbox):
    """A consumer of a quorum queue; messages are acknowledged after they are committed.

    Args:
        options: what to ask for.
        context: for TLS; ``None`` without.
    """

    def __init__(self, options: QuorumQueue, context: ssl.SSLContext | None = None) -> None:
        super().__init__()
        self._options = options
        self._context = context
        self._connection: pika.BlockingConnection | None = None
        self._channel: BlockingChannel | None = None
        self._generation = 0

    def open(self) -> None:
        """Connect to one of the nodes, log in, create the queue if needed, and consume.

        Raises:
            TransportError: no node is reachable, or it refuses.
        """
        self.close()
        options = self._options
        self._received.clear()  # unacknowledged: they come again
        # Tags count from 1 again with each connection; the generation tells old ones from new ones.
        self._generation += 1
        with self._translate_errors():
            nodes = [self._parameters(broker) for broker in options.brokers]
            self._connection = pika.BlockingConnection(nodes)
            self._channel = channel = self._connection.channel()
            # A quorum queue, not a classic one: its messages lie on several nodes, so a node may be
            # lost.
            channel.queue_declare(options.queue, durable=True, arguments={"x-queue-type": "quorum"})
            channel.queue_bind(options.queue, EXCHANGE, _key("*", options.root, Topics.TIMELINE))
            channel.basic_qos(prefetch_count=options.most_underway)
            channel.basic_consume(options.queue, self._on_message)
            self._hear_states(channel)

    def _hear_states(self, channel: BlockingChannel) -> None:
        """Receive state messages of devices from now on; they are not stored in a cluster."""
        # A queue of its own that goes with the connection, and
        # drops the oldest state when it is full.
        own = channel.queue_declare(
            "", exclusive=True, auto_delete=True, arguments={"x-max-length": MOST_STATES}
        ).method.queue
        for suffix in SUFFIXES:
            channel.queue_bind(own, EXCHANGE, _key("*", self._options.root, suffix))
        channel.basic_consume(own, self._on_state, auto_ack=True)

    def check(self) -> None:
        """Set the prefetch limit again, which the broker must answer."""
        with self._translate_errors():
            self._require_channel().basic_qos(prefetch_count=self._options.most_underway)

    def acknowledge(self, deliveries: Sequence[BrokerDelivery]) -> None:
        """Acknowledge deliveries of this connection: the newest and all before it."""
        tags = (divmod(delivery.tag, _TAGS) for delivery in deliveries)
        own = [tag for generation, tag in tags if generation == self._generation]
        if own:
            with self._translate_errors():
                # One acknowledgement for all: they were committed in one transaction.
                self._require_channel().basic_ack(max(own), multiple=True)
        self._pump(0)

    def confirm(self, device: str, payload: bytes) -> None:
        """Publish a confirmation; RabbitMQ stores none for an absent appliance.

        The appliance sends unconfirmed messages again, and gets a confirmation then.
        """
        key = _key(device, self._options.root, Topics.TIMELINE_CONFIRMED)
        with self._translate_errors():
            self._require_channel().basic_publish(EXCHANGE, key, payload)

    def close(self) -> None:
        """Disconnect; the queue keeps unacknowledged messages."""
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None and connection.is_open:
            with suppress(AMQPError, OSError):  # it is over, which is what was wanted
                connection.close()

    def _parameters(self, broker: MqttSettings) -> pika.ConnectionParameters:
        more: dict[str, Any] = {}
        if broker.username is not None:
            more["credentials"] = pika.PlainCredentials(broker.username, broker.password_text or "")
        if self._context is not None:
            more["ssl_options"] = pika.SSLOptions(self._context, broker.host)
        return pika.ConnectionParameters(
            broker.host,
            broker.port,
            heartbeat=broker.keepalive,
            socket_timeout=CONNECT_S,
            stack_timeout=2 * CONNECT_S,
            blocked_connection_timeout=CONNECT_S,
            client_properties={"connection_name": self._options.name},
            **more,
        )

    def _require_channel(self) -> BlockingChannel:
        if self._channel is None:
            raise TransportError(f"{self._options.where}: there is no connection")
        return self._channel

    def _pump(self, timeout_s: float) -> None:
        with self._translate_errors():
            self._require_channel().connection.process_data_events(timeout_s)

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        """Translate errors that end the connection in the block."""
        try:
            yield
        except (AMQPError, AMQPConnectorException, OSError, UnicodeError) as error:
            self.close()
            raise TransportError(f"{self._options.where}: {_cause(error)}") from error

    def _on_message(
        self, _channel: object, method: Any, _properties: object, payload: bytes
    ) -> None:
        tag = self._generation * _TAGS + method.delivery_tag
        self._received.append(BrokerDelivery(_device(method.routing_key), bytes(payload), tag))

    def _on_state(self, _channel: object, method: Any, _properties: object, payload: bytes) -> None:
        if not payload:
            return  # only takes away what the broker has kept
        device = _device(method.routing_key)
        suffix = method.routing_key.rsplit(".", 1)[-1]
        self._states[device, suffix] = StateMessage(
            device, suffix, bytes(payload), False, clock.boot_seconds()
        )


def _device(key: str) -> str:
    """Return the device of a routing key, ``<root>.<device>.<suffix>``: its name has no dot."""
    return key.split(".")[-2]


def _key(device: str, root: str, suffix: str) -> str:
    """Return the routing key of a topic."""
    return Topics(root, device).full(suffix).replace("/", ".")


def _cause(error: Exception) -> str:
    """Return the reason of the end of a connection, for people."""
    for kind, text in _CAUSES.items():
        if isinstance(error, kind):
            return text
    if isinstance(error, ChannelClosedByBroker):
        advice = _OTHER_QUEUE if error.reply_code == _PRECONDITION_FAILED else ""
        return f"refuses ({error.reply_text}){advice}"
    first = error.args[0] if error.args else None
    if isinstance(first, AMQPConnectorSocketConnectError):
        return f"cannot be reached ({first.exception})"
    if isinstance(error, OSError):
        return f"cannot be reached ({error})"
    return f"the connection has ended ({str(error) or type(error).__name__})"
