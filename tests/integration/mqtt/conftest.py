"""A broker, the outbox of a database, and clients that are stopped at the end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_agent.config.mqtt import MqttSettings
from edge_agent.mqtt.client import MqttClient, MqttOptions
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.write.outbox import Outbox
from tests.support.broker import Mosquitto
from tests.support.mqtt_clients import QUICK, Start
from tests.support.outbox_rows import OutboxRows


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "mosquitto") as running:
        yield running


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / DATABASE_NAME
    migrate(path)
    return path


@pytest.fixture
def outbox(database: Path) -> OutboxRows:
    """The outbox that the clients of ``start`` deliver."""
    return OutboxRows(database)


@pytest.fixture
def start(database: Path) -> Iterator[Start]:
    """Starts clients that are stopped at the end, and fails when one of them died.

    ``options`` are those of ``MqttOptions``, a lock of the database is waited for ``busy_seconds``,
    and all the rest are settings of the broker.
    """
    started: list[MqttClient] = []

    def run(
        port: int,
        *,
        device: str = "pi",
        keepalive: int = 30,
        busy_seconds: float = 5.0,
        options: dict[str, Any] | None = None,
        **settings: object,
    ) -> MqttClient:
        # a shorter silence than the configuration allows is noticed sooner
        broker = MqttSettings(port=port, **settings).model_copy(update={"keepalive": keepalive})
        given = MqttOptions(broker, device, **{"backoff": QUICK, **(options or {})})
        client = MqttClient(given, Outbox(database, busy_seconds=busy_seconds))
        client.start()
        started.append(client)
        return client

    yield run
    for client in started:
        client.stop()
    assert all(client.join(60) for client in started)
    assert [client.error for client in started] == [None] * len(started)
