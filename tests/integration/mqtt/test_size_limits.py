"""Brokers that take no large message: it is set aside, and everything else goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.agent.health import HealthMonitor
from edge_agent.alerts.figures import AgentFigures
from edge_agent.core.clock import now
from edge_agent.mqtt.broker import MqttState
from edge_agent.mqtt.client import Backoff
from edge_agent.mqtt.payloads import emotion_payload
from tests.support.broker import Mosquitto, Relay, subscribed, wait_until
from tests.support.memory_outbox import MemoryOutbox
from tests.support.mqtt_clients import Start
from tests.support.timeline import observation, recognition

pytestmark = pytest.mark.broker

AT_ONCE = {"backoff": Backoff(first_s=0.02, longest_s=0.05, refused_s=0.3, settle_s=0.0)}
LIMIT = 600
MANY = "x" * LIMIT


@pytest.mark.parametrize(
    ("protocol", "limit", "reason"),
    [
        ("5", "max_packet_size", "too_large"),
        ("5", "message_size_limit", "connection_lost"),
        ("3.1.1", "max_packet_size", "connection_lost"),
    ],
)
def test_a_message_larger_than_the_broker_takes_is_set_aside_and_the_rest_arrives(
    tmp_path: Path, outbox: MemoryOutbox, start: Start, protocol: str, limit: str, reason: str
) -> None:
    with (
        Mosquitto(tmp_path / "mosquitto", limits={limit: LIMIT}) as mosquitto,
        subscribed(mosquitto.port) as reader,
    ):
        for text in ("small", "small", MANY, "small", MANY, MANY, "small", "small"):
            outbox.add(text=text)
        client = start(mosquitto.port, protocol=protocol, options=AT_ONCE)
        wait_until(lambda: outbox.count() == 0, "the outbox to drain")
        assert outbox.aside == dict.fromkeys((3, 5, 6), reason)
        assert client.set_aside == {reason: 3}
        outbox.add(text="later")
        client.wake()
        reader.wait_for("summary", lambda said: said["text"] == "later")
        wait_until(lambda: client.state is MqttState.CONNECTED, "a connection that stands")
        first_times = dict.fromkeys(said.payload["seq"] for said in reader.on("summary"))
        assert list(first_times) == [1, 2, 4, 7, 8, 9]


def test_the_limit_is_the_brokers_to_the_byte(
    tmp_path: Path, outbox: MemoryOutbox, start: Start
) -> None:
    with (
        Mosquitto(tmp_path / "mosquitto", limits={"max_packet_size": LIMIT}) as mosquitto,
        subscribed(mosquitto.port) as reader,
    ):
        for length in range(450, 600, 1):
            outbox.add(text="x" * length)
        client = start(mosquitto.port, protocol="5", options=AT_ONCE)
        wait_until(lambda: outbox.count() == 0, "the outbox to drain")
        assert client.state is MqttState.CONNECTED
        arrived = [said.payload["seq"] for said in reader.on("summary")]
        assert arrived == list(range(1, arrived[-1] + 1))
        assert sorted(outbox.aside) == list(range(arrived[-1] + 1, 151))
        assert mosquitto.folder.joinpath("mosquitto.log").read_text().count("oversize") == 0


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
def test_a_health_report_larger_than_the_broker_takes_does_not_hold_up_the_outbox(
    tmp_path: Path, outbox: MemoryOutbox, start: Start, protocol: str
) -> None:
    report = HealthMonitor(tmp_path, "pi", "1").report(AgentFigures(), now())
    with (
        Mosquitto(tmp_path / "mosquitto", limits={"max_packet_size": LIMIT}) as mosquitto,
        subscribed(mosquitto.port) as reader,
    ):
        client = start(mosquitto.port, protocol=protocol, options=AT_ONCE)
        log = mosquitto.folder / "mosquitto.log"
        wait_until(lambda: client.state is MqttState.CONNECTED, "the first connection")
        client.publish_health(report)
        for _ in range(30):
            outbox.add()
        client.wake()
        wait_until(lambda: outbox.deleted == list(range(1, 31)), "the outbox to drain")
        assert not outbox.aside
        wait_until(lambda: set(client.left_out) == {"health"}, "the health to be left out")
        wait_until(lambda: client.state is MqttState.CONNECTED, "a connection that stands")
        outbox.add(text="later")
        client.publish_emotion(emotion_payload(recognition(1, observation()), simulated=False))
        reader.wait_for("summary", lambda said: said.get("text") == "later")
        reader.wait_for("emotion")
        connections = log.read_text().count("New client connected")
        client.publish_health(report)
        outbox.add(text="last")
        client.wake()
        reader.wait_for("summary", lambda said: said.get("text") == "last")
        assert log.read_text().count("New client connected") == connections
        assert not reader.on("health")


def test_a_line_that_breaks_again_and_again_throws_nothing_away(
    tmp_path: Path, outbox: MemoryOutbox, start: Start
) -> None:
    with Mosquitto(tmp_path / "mosquitto") as mosquitto, subscribed(mosquitto.port) as reader:
        relay = Relay(mosquitto.port)
        relay.swallow_answers()
        outbox.add()
        outbox.add()
        client = start(relay.port, protocol="3.1.1", options=AT_ONCE)
        for number in range(1, 9):
            wait_until(lambda n=number: relay.connections >= n, "another connection")  # type: ignore[misc]
            relay.cut()
            relay.swallow_answers()
        relay.cut()
        wait_until(lambda: outbox.deleted == [1, 2], "the outbox to drain")
        assert not outbox.aside
        assert client.state is MqttState.CONNECTED
        relay.close()
        assert {said.payload["seq"] for said in reader.on("summary")} == {1, 2}
