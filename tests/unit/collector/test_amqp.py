"""The AMQP transport over a played pika: what it asks for, gives on, and says when it is over."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("pika", reason="pip install -e '.[fleet]'")
pytest.importorskip("cbor2", reason="pip install -e '.[fleet]'")

import pika
from pika.adapters.utils.connection_workflow import AMQPConnectorSocketConnectError
from pika.exceptions import (
    AMQPConnectionError,
    ChannelClosedByBroker,
    ConnectionClosedByBroker,
    ProbableAuthenticationError,
)

from collector.amqp import AmqpTransport, QuorumQueue
from collector.messages import TransportError
from edge_agent.config.mqtt import MqttSettings
from edge_agent.mqtt.broker import tls_context

BROKERS = (
    MqttSettings(port=5672, username="ada", password="secret"),
    MqttSettings(host="127.0.0.2", port=5672, username="ada", password="secret"),
)


class PlayedRabbit:
    """Connection and channel in one; ``coming`` is what the next calls deliver or raise."""

    def __init__(self) -> None:
        self.done: list[Any] = []
        self.coming: list[list[tuple[str, int, bytes]] | Exception] = []
        self.fails: Exception | None = None
        self.is_open = True
        self.connection = self
        self.give: Callable[..., None] = self.nobody
        self.give_state: Callable[..., None] = self.nobody

    def __call__(self, nodes: list[pika.ConnectionParameters]) -> PlayedRabbit:
        self.note("connect", [(node.host, node.credentials.username) for node in nodes])
        return self

    def note(self, *what: Any) -> None:
        """Note what is asked for, and fail if it is to fail."""
        self.done.append(what)
        if self.fails is not None:
            raise self.fails

    def nobody(self, *_: object) -> None:
        raise AssertionError("nobody consumes")

    def channel(self) -> PlayedRabbit:
        return self

    def queue_declare(self, queue: str, **options: Any) -> SimpleNamespace:
        self.done.append(("declare", queue, options["arguments"]))
        return SimpleNamespace(method=SimpleNamespace(queue=queue or "own"))

    def queue_bind(self, queue: str, exchange: str, key: str) -> None:
        self.done.append(("bind", queue, exchange, key))

    def basic_qos(self, prefetch_count: int) -> None:
        self.note("most", prefetch_count)

    def basic_consume(
        self, queue: str, give: Callable[..., None], *, auto_ack: bool = False
    ) -> None:
        assert auto_ack == (queue == "own")
        if queue == "own":
            self.give_state = give
        else:
            self.give = give

    def process_data_events(self, _timeout_s: float) -> None:
        batch = self.coming.pop(0) if self.coming else []
        if isinstance(batch, Exception):
            raise batch
        for key, tag, payload in batch:
            self.give(self, SimpleNamespace(routing_key=key, delivery_tag=tag), None, payload)

    def basic_ack(self, tag: int, *, multiple: bool) -> None:
        self.note("ack", tag, multiple)

    def basic_publish(self, exchange: str, key: str, payload: bytes) -> None:
        self.note("publish", exchange, key, payload)

    def close(self) -> None:
        self.note("close")


@pytest.fixture
def rabbit(monkeypatch: pytest.MonkeyPatch) -> PlayedRabbit:
    played = PlayedRabbit()
    monkeypatch.setattr(pika, "BlockingConnection", played)
    return played


def opened(rabbit: PlayedRabbit) -> AmqpTransport:
    transport = AmqpTransport(QuorumQueue(BROKERS, "lab/west", "c0", 200))
    transport.open()
    return transport


def test_one_quorum_queue_takes_the_timelines_of_all_devices(rabbit: PlayedRabbit) -> None:
    opened(rabbit)
    assert rabbit.done == [
        ("connect", [("127.0.0.1", "ada"), ("127.0.0.2", "ada")]),
        ("declare", "lab.west.timeline", {"x-queue-type": "quorum"}),
        ("bind", "lab.west.timeline", "amq.topic", "lab.west.*.timeline"),
        ("most", 200),
        ("declare", "", {"x-max-length": 10_000}),
        ("bind", "own", "amq.topic", "lab.west.*.status"),
        ("bind", "own", "amq.topic", "lab.west.*.health"),
    ]


def test_the_newest_that_each_device_says_of_itself_is_reported_once(rabbit: PlayedRabbit) -> None:
    transport = opened(rabbit)
    said = (("room", "health", b"1"), ("room", "status", b"2"), ("room", "health", b"3"))
    for device, suffix, payload in said:
        method = SimpleNamespace(routing_key=f"lab.west.{device}.{suffix}", delivery_tag=1)
        rabbit.give_state(rabbit, method, None, payload)
    told = [(one.device, one.suffix, one.payload, one.kept) for one in transport.states()]
    assert told == [("room", "health", b"3", False), ("room", "status", b"2", False)]
    assert transport.states() == []


def test_what_is_committed_is_acknowledged_up_to_the_newest(rabbit: PlayedRabbit) -> None:
    transport = opened(rabbit)
    rabbit.coming = [[], [("lab.west.ward.timeline", 1, b"a"), ("lab.west.room.timeline", 2, b"b")]]
    taken = transport.receive(10, 5.0)
    assert [(each.device, each.payload) for each in taken] == [("ward", b"a"), ("room", b"b")]
    transport.acknowledge(taken)
    transport.confirm("room", b"{}")
    assert rabbit.done[-2:] == [
        ("ack", 2, True),
        ("publish", "amq.topic", "lab.west.room.timeline.confirmed", b"{}"),
    ]


def test_health_asks_the_broker_whether_it_answers(rabbit: PlayedRabbit) -> None:
    transport = opened(rabbit)
    transport.check()
    assert rabbit.done[-1] == ("most", 200)
    rabbit.fails = ConnectionClosedByBroker(320, "node goes down")
    with pytest.raises(TransportError, match="node goes down"):
        transport.check()


def test_no_more_is_given_than_asked_for(rabbit: PlayedRabbit) -> None:
    transport = opened(rabbit)
    rabbit.coming = [[("lab.west.ward.timeline", n, b"a") for n in (1, 2, 3)]]
    assert [len(transport.receive(2, 0.0)) for _ in range(3)] == [2, 1, 0]
    assert transport.receive(0, 0.0) == []


def test_what_came_over_earlier_connection_is_not_acknowledged_over_next(
    rabbit: PlayedRabbit,
) -> None:
    transport = opened(rabbit)
    rabbit.coming = [[("lab.west.ward.timeline", 7, b"a")]]
    taken = transport.receive(10, 0.0)
    transport.open()
    rabbit.done.clear()
    transport.acknowledge(taken)
    assert rabbit.done == []


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ProbableAuthenticationError("x"), "refuses the account or its password; see --username"),
        (AMQPConnectionError("nobody answers"), "nobody answers"),
        (OSError(111, "Connection refused"), "cannot be reached"),
        (ChannelClosedByBroker(403, "no access"), r"refuses \(no access\)"),
        (ChannelClosedByBroker(406, "inequivalent arg"), r"inequivalent arg\)\. A queue of this"),
        (AMQPConnectionError(), "AMQPConnectionError"),
        (
            AMQPConnectionError(AMQPConnectorSocketConnectError(ConnectionRefusedError("no"))),
            r"cannot be reached \(no\)",
        ),
    ],
)
def test_why_a_connection_cannot_be_had_is_reported_with_all_nodes(
    rabbit: PlayedRabbit, error: Exception, said: str
) -> None:
    rabbit.fails = error
    with pytest.raises(TransportError, match=rf"127.0.0.1:5672, 127.0.0.2:5672: .*{said}"):
        opened(rabbit)


@contextmanager
def server(answer: bytes | None) -> Iterator[int]:
    """A server that answers so and hangs up, or that says nothing at all."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(100)
                if answer is not None:
                    connection.sendall(answer)

        if answer is not None:
            threading.Thread(target=serve, daemon=True).start()
        yield int(listener.getsockname()[1])


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (b"", r"does not speak AMQP\. Check --port"),
        (b" \x02\x00\x01", r"does not speak AMQP\. Check --port"),  # mosquitto's refusal
        (None, r"does not answer in AMQP\. Check --port"),
    ],
    ids=["hangs up", "MQTT", "silent"],
)
def test_server_of_another_protocol_is_reported_with_what_to_check(
    answer: bytes | None, cause: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if answer is None:
        monkeypatch.setattr("collector.amqp.CONNECT_S", 0.5)
    with server(answer) as port:
        transport = AmqpTransport(QuorumQueue((MqttSettings(port=port),), "lab", "c0"))
        with pytest.raises(TransportError, match=rf"127.0.0.1:{port}: {cause}"):
            transport.open()


def test_a_connection_that_ends_is_reported_whatever_was_asked(rabbit: PlayedRabbit) -> None:
    transport = opened(rabbit)
    rabbit.coming = [ConnectionClosedByBroker(320, "node goes down")]
    with pytest.raises(TransportError, match="node goes down"):
        transport.receive(1, 0.0)
    for call in (lambda: transport.receive(1, 0.0), lambda: transport.confirm("a", b"")):
        with pytest.raises(TransportError, match="there is no connection"):
            call()
    transport.open()
    rabbit.coming = [[("lab.west.ward.timeline", 1, b"a")]]
    taken = transport.receive(1, 0.0)
    rabbit.fails = ConnectionClosedByBroker(320, "again")
    with pytest.raises(TransportError, match="again"):
        transport.acknowledge(taken)
    rabbit.fails = None
    transport.open()
    rabbit.fails = ConnectionClosedByBroker(320, "and again")
    with pytest.raises(TransportError, match="and again"):
        transport.confirm("ward", b"{}")
    transport.close()


def test_an_encrypted_line_checks_the_name_of_each_node() -> None:
    context = tls_context(None)
    transport = AmqpTransport(QuorumQueue(BROKERS, "lab", "c0"), context)
    parameters = [transport._parameters(broker) for broker in BROKERS]
    assert [one.ssl_options.server_hostname for one in parameters] == ["127.0.0.1", "127.0.0.2"]
    assert parameters[0].ssl_options.context is context
