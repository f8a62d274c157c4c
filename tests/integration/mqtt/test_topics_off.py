"""A topic that is switched off: nothing is published there, and what the broker kept is cleared."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.config.loading import load_settings
from edge_agent.core.errors import ConfigError
from edge_agent.mqtt.broker import MqttState
from edge_agent.mqtt.client import MqttClient
from edge_agent.mqtt.payloads import AlertsPayload
from edge_agent.store.database.schema import DATABASE_NAME, migrate, write_transaction
from edge_agent.store.write.outbox import Outbox, OutboxMessage, enqueue
from tests.support.broker import Mosquitto, subscribed, wait_until
from tests.support.mqtt_clients import Start, end, wait_for_state

pytestmark = pytest.mark.broker

ALERTS = AlertsPayload.model_validate({"at": "2026-05-01T10:00:00.000Z", "open": []})


def _run(start: Start, database: Path, port: int, *off: str) -> MqttClient:
    client = start(port, queue=Outbox(database), topics_off=off)
    wait_for_state(client, MqttState.CONNECTED)
    client.publish_alerts(ALERTS)
    with write_transaction(database) as connection:
        for topic in ("session", "summary"):
            enqueue(connection, OutboxMessage(topic, {}), 100)
    wait_until(lambda: client.waiting == 0, "the outbox to drain")
    return client


def test_nothing_is_published_there_and_the_broker_forgets_what_it_kept(
    tmp_path: Path, mosquitto: Mosquitto, start: Start
) -> None:
    database = tmp_path / DATABASE_NAME
    migrate(database)
    end(_run(start, database, mosquitto.port))
    with subscribed(mosquitto.port) as reader:
        reader.wait_for("alerts")
        client = _run(start, database, mosquitto.port, "alerts", "session")
        reader.wait_for("summary", lambda payload: payload["seq"] == 2)
        wait_until(lambda: not reader.on("alerts")[-1].payload, "the topic to be cleared")
        assert reader.on("session") == []
        wait_until(lambda: bool(client.holes), "the hole to be noted")
        holes = [(hole.topic, hole.first, hole.last, hole.reason) for hole in client.holes]
        assert holes == [("session", 2, 2, "mqtt_off")]
        end(client)
    with subscribed(mosquitto.port) as late:
        late.wait_for("status")
        assert late.on("alerts") == []


def test_home_assistant_keeps_the_topic_that_it_reads() -> None:
    mqtt = {"home_assistant": True, "topics_off": ["vitals", "state"]}
    with pytest.raises(ConfigError, match="Home Assistant reads the topic state"):
        load_settings(None, {"mqtt": mqtt})
