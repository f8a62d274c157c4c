"""A broker, an outbox in memory, and clients that are stopped at the end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_agent.config.mqtt import MqttSettings
from edge_agent.mqtt.client import MqttClient, MqttOptions
from edge_agent.mqtt.sending import OutboxQueue
from tests.support.broker import Mosquitto
from tests.support.memory_outbox import MemoryOutbox
from tests.support.mqtt_clients import QUICK, Start


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "mosquitto") as running:
        yield running


@pytest.fixture
def outbox() -> MemoryOutbox:
    return MemoryOutbox()


@pytest.fixture
def start(outbox: MemoryOutbox) -> Iterator[Start]:
    """Starts clients that are stopped at the end, and fails when one of them died.

    ``options`` are those of ``MqttOptions``, ``queue`` takes the place of the outbox in memory, and
    all the rest are settings of the broker.
    """
    started: list[MqttClient] = []

    def run(
        port: int,
        *,
        device: str = "pi",
        keepalive: int = 30,
        queue: OutboxQueue = outbox,
        options: dict[str, Any] | None = None,
        **settings: object,
    ) -> MqttClient:
        # a shorter silence than the configuration allows is noticed sooner
        broker = MqttSettings(port=port, **settings).model_copy(update={"keepalive": keepalive})
        told = MqttOptions(broker, device, **{"backoff": QUICK, **(options or {})})
        client = MqttClient(told, queue)
        client.start()
        started.append(client)
        return client

    yield run
    for client in started:
        client.stop()
    assert all(client.join(60) for client in started)
    assert [client.error for client in started] == [None] * len(started)
