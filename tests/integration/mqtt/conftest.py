"""A broker, an outbox in memory, and clients that are stopped at the end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.config.mqtt import MqttSettings
from edge_agent.mqtt.client import MqttClient, MqttOptions
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
    """Starts clients that are stopped at the end, and fails when one of them died."""
    started: list[MqttClient] = []
    deaths: list[Exception] = []

    def run(
        port: int,
        *,
        device: str = "pi",
        window_s: float = 10.0,
        keepalive: int = 30,
        **settings: object,
    ) -> MqttClient:
        # a shorter silence than the configuration allows is noticed sooner
        broker = MqttSettings(port=port, **settings).model_copy(update={"keepalive": keepalive})
        options = MqttOptions(broker, device, window_s=window_s, backoff=QUICK)
        client = MqttClient(options, outbox)
        client.on_death = lambda _, error: deaths.append(error)
        client.start()
        started.append(client)
        return client

    yield run
    for client in started:
        client.stop()
    assert all(client.join(60) for client in started)
    assert not deaths
