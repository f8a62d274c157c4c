"""The broker over WebSockets, with and without TLS, and what cannot be opened."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.mqtt.broker import MqttState
from tests.support.broker import Certificates, Mosquitto, subscribed, wait_until
from tests.support.memory_outbox import MemoryOutbox
from tests.support.mqtt_clients import Start
from tests.support.transports.web_socket import WebSocketDoor

pytestmark = pytest.mark.broker


@pytest.mark.parametrize(("tls", "protocol"), [(False, "5"), (True, "5"), (True, "3.1.1")])
def test_summaries_arrive_over_web_sockets(
    tmp_path: Path,
    mosquitto: Mosquitto,
    outbox: MemoryOutbox,
    start: Start,
    tls: bool,
    protocol: str,
) -> None:
    certificates = None
    given: dict[str, object] = {"protocol": protocol}
    if tls:
        certificates = Certificates.make(tmp_path / "tls", "IP:127.0.0.1")
        given |= {"tls": True, "ca_file": certificates.ca}
    for _ in range(20):
        outbox.add(filler="x" * 5000)
    with (
        WebSocketDoor(mosquitto.port, "/broker?as=mqtt", certificates) as door,
        subscribed(mosquitto.port) as reader,
    ):
        client = start(door.port, transport="websockets", websocket_path="/broker?as=mqtt", **given)
        wait_until(lambda: len(outbox.deleted) == 20, "the outbox to drain")
        assert client.state is MqttState.CONNECTED
        wait_until(lambda: len(reader.on("summary")) == 20, "all summaries")
        client.stop()
        assert reader.wait_for("status", lambda said: said["state"] == "offline")
        assert client.join(60)
    assert len(door.requests) == 1


# paho leaves the socket of a failed handshake
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_wrong_path_or_a_port_without_web_sockets_names_both_settings(
    mosquitto: Mosquitto, start: Start
) -> None:
    with WebSocketDoor(mosquitto.port) as door:
        for port in (door.port, mosquitto.port):
            client = start(port, transport="websockets", websocket_path="/elsewhere")
            wait_until(lambda one=client: bool(one.last_error), "the words")  # type: ignore[misc]
            assert client.state is MqttState.UNREACHABLE
            assert f"127.0.0.1:{port}: opens no WebSocket at /elsewhere" in str(client.last_error)
            assert "mqtt.websocket_path" in str(client.last_error)
