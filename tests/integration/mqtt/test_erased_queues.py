"""An erasure reaches the broker: retained messages, configured queues, and the broker's file."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from edge_agent.config.mqtt import MqttSettings
from edge_agent.core.clock import now
from edge_agent.mqtt import erased_queues
from edge_agent.mqtt.broker import MqttState
from edge_agent.mqtt.client import MqttClient
from edge_agent.mqtt.erased_queues import QueueClearing
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.study.rows import insert_participant
from edge_agent.timeline.upkeep.erasure import erase_participant
from edge_agent.timeline.write.outbox import OutboxMessage, enqueue
from tests.support.broker import Mosquitto, wait_until
from tests.support.mqtt_clients import Start, end, wait_for_state

pytestmark = pytest.mark.broker

CODE = "P-to-be-erased"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / DATABASE_NAME
    migrate(path)
    with write_transaction(path) as connection:
        insert_participant(connection, CODE, now())
        enqueue(connection, OutboxMessage("session", {"participant": CODE}), 100)
    return path


@pytest.fixture(params=[0, 1], ids=["saved by a signal", "saved by itself"])
def mosquitto(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Mosquitto]:
    limits = {"autosave_interval": request.param}
    with Mosquitto(tmp_path / "mosquitto", limits=limits) as running:
        yield running


def leave_a_queue(port: int, client_id: str) -> None:
    """Subscribe in a session that the broker keeps, and go away."""
    subscribed: list[bool] = []
    client = paho.Client(
        CallbackAPIVersion.VERSION2,
        client_id=client_id,
        protocol=MQTTProtocolVersion.MQTTv311,
        clean_session=False,
    )
    client.on_subscribe = lambda *_: subscribed.append(True)
    client.connect("127.0.0.1", port)
    client.subscribe("affect-edge/#", qos=1)
    while not subscribed:
        client.loop(0.1)
    client.disconnect()
    client.loop(0.1)


@pytest.fixture
def running(database: Path, mosquitto: Mosquitto, start: Start) -> Callable[..., MqttClient]:
    """Starts a client whose outbox is empty then."""

    def run(*durable: str) -> MqttClient:
        client = start(mosquitto.port, durable_subscribers=durable)
        wait_for_state(client, MqttState.CONNECTED)
        wait_until(lambda: client.waiting == 0, "the outbox to drain")
        return client

    return run


def holds(mosquitto: Mosquitto) -> bool:
    """Whether the broker's file holds the code, once it is saved."""
    mosquitto.save()
    return CODE.encode() in (mosquitto.folder / "mosquitto.db").read_bytes()


def test_erasure_configured_queue_leaves_no_byte_in_the_brokers_file(
    database: Path,
    mosquitto: Mosquitto,
    running: Callable[..., MqttClient],
    caplog: pytest.LogCaptureFixture,
) -> None:
    leave_a_queue(mosquitto.port, "archive")
    client = running("archive")
    retained = paho.Client(CallbackAPIVersion.VERSION2, client_id="emotion")
    retained.connect("127.0.0.1", mosquitto.port)
    sent = retained.publish("affect-edge/pi/emotion", f'{{"of": "{CODE}"}}', qos=1, retain=True)
    while not sent.is_published():
        retained.loop(0.1)
    assert holds(mosquitto)
    with caplog.at_level(logging.INFO):
        erase_participant(database, CODE, actor="ada")
        client.wake()
        wait_until(lambda: "queue of a subscriber was cleared" in caplog.text, "the queue to go")
    file = mosquitto.folder / "mosquitto.db"
    if "autosave_interval 1" in (mosquitto.folder / "mosquitto.conf").read_text():
        wait_until(lambda: CODE.encode() not in file.read_bytes(), "the broker to save by itself")
    assert not holds(mosquitto)
    end(client)
    mosquitto.stop()
    assert CODE.encode() not in file.read_bytes()


def test_erasure_queue_not_configured_stays_and_the_sentence_says_so(
    database: Path, mosquitto: Mosquitto, running: Callable[..., MqttClient]
) -> None:
    leave_a_queue(mosquitto.port, "archive")
    client = running()
    told = erase_participant(database, CODE, actor="ada").sentence
    assert "messages waiting for other absent subscribers" in told
    client.wake()
    wait_until(lambda: client.waiting == 0, "the outbox to drain")
    assert holds(mosquitto)


def test_queue_clearing_broker_away_tries_again_and_names_a_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(erased_queues, "AGAIN_SECONDS", 0.2)
    mosquitto = Mosquitto(tmp_path / "mosquitto", users={"ada": "secret"})
    clearing = QueueClearing(
        MqttSettings(port=mosquitto.port, durable_subscribers=["archive", "b"]), None
    )
    clearing.clear_due()
    assert caplog.text == "", "nothing was cleared at the broker yet"
    clearing.note_cleared_topic()
    clearing.clear_due()
    assert caplog.text.count("queue of 'archive' was not cleared") == 1, "away"
    with mosquitto:

        def is_refused() -> bool:
            clearing.clear_due()
            return caplog.text.count("queue of 'archive' was not cleared") == 2

        wait_until(is_refused, "a refusal")
    assert caplog.text.count("queue of 'b' was not cleared") == 1
