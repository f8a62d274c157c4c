"""Clients of a real broker that try again quickly."""

from __future__ import annotations

from collections.abc import Callable

from edge_agent.mqtt.broker import MqttState
from edge_agent.mqtt.client import MqttClient
from edge_agent.mqtt.connection import Backoff
from tests.support.broker import wait_until

QUICK = Backoff(first_s=0.1, longest_s=0.4, refused_s=0.5)
Start = Callable[..., MqttClient]


def end(client: MqttClient) -> None:
    client.stop()
    assert client.join(60)
    assert client.error is None


def wait_for_state(client: MqttClient, state: MqttState) -> str:
    """Wait; return what is wrong then."""
    wait_until(lambda: client.state is state, f"{state}; it is {client.state}: {client.last_error}")
    return client.last_error or ""
