"""The agent's client and the brokers of others: versions × transports × encryption.

Not part of ``make test``, for the brokers are large: ``make test-brokers``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from edge_agent.config.mqtt import MqttSettings
from edge_agent.mqtt.broker import MqttState
from edge_agent.mqtt.client import MqttClient, MqttOptions
from edge_agent.timeline.write.outbox import Outbox
from tests.integration.brokers import starters
from tests.integration.brokers.starters import DOORS, Door
from tests.support.broker import Certificates, wait_until
from tests.support.mqtt_clients import QUICK
from tests.support.outbox_rows import OutboxRows
from tests.support.timeline import database

pytestmark = [
    pytest.mark.timeout(900),  # the first of each broker waits for its start
    # paho leaves the socket of a failed handshake
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

Start = Callable[[Path, Certificates], AbstractContextManager[dict[Door, int]]]
BROKERS: dict[str, Start] = {
    "mosquitto": starters.mosquitto,
    "rabbitmq": starters.rabbitmq,
    "nats": starters.nats,
    "aedes": starters.aedes,
}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Broker and agent share them here."""
    return Certificates.make(tmp_path_factory.mktemp("authority") / "tls", "IP:127.0.0.1")


@pytest.fixture(scope="module", params=BROKERS)
def broker(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    certificates: Certificates,
) -> Iterator[tuple[str, dict[Door, int]]]:
    folder = tmp_path_factory.mktemp(request.param)
    with BROKERS[request.param](folder, certificates) as ports:
        yield request.param, ports


def settings(door: Door, certificates: Certificates) -> dict[str, object]:
    """Return what the configuration says for a door."""
    transport, kind = door
    given: dict[str, object] = {"transport": transport, "websocket_path": "/mqtt"}
    if kind != "plain":
        given |= {"tls": True, "ca_file": certificates.ca}
    if kind == "mutual":
        given |= {"client_certificate": certificates.certificate, "client_key": certificates.key}
    return given


@pytest.fixture
def outbox(tmp_path: Path) -> OutboxRows:
    """Holds one message."""
    waiting = OutboxRows(database(tmp_path))
    waiting.add()
    return waiting


@pytest.fixture
def run(outbox: OutboxRows) -> Iterator[Callable[..., MqttClient]]:
    """Starts a client that is stopped at the end."""
    started: list[MqttClient] = []

    def start(port: int, **given: object) -> MqttClient:
        broker = MqttSettings(port=port, **given)
        client = MqttClient(MqttOptions(broker, "pi", backoff=QUICK), Outbox(outbox.path))
        client.start()
        started.append(client)
        return client

    yield start
    for client in started:
        client.stop()
        assert client.join(60)
        assert client.error is None


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
@pytest.mark.parametrize("door", DOORS, ids="-".join)
def test_every_door_takes_a_message_or_says_what_to_set(
    broker: tuple[str, dict[Door, int]],
    door: Door,
    protocol: str,
    certificates: Certificates,
    outbox: OutboxRows,
    run: Callable[..., MqttClient],
) -> None:
    name, ports = broker
    if door not in ports:  # a build without WebSockets: the door of the other transport is asked
        client = run(ports["tcp", door[1]], protocol=protocol, **settings(door, certificates))
        wait_until(lambda: client.last_error is not None, "an error")
        assert client.state is not MqttState.CONNECTED
        assert "mqtt.transport" in str(client.last_error)
        print(f"{name} {door} {protocol}: {client.last_error}")
        return
    client = run(ports[door], protocol=protocol, **settings(door, certificates))
    wait_until(outbox.is_empty, f"the message to be taken; {client.last_error}")
    assert client.state is MqttState.CONNECTED
    print(f"{name} {door} {protocol}: connected; {client.last_error or 'no remark'}")


WRONG: dict[str, tuple[Door, dict[str, object], str]] = {
    "plain at a door with TLS": (("tcp", "tls"), {"tls": False, "ca_file": None}, "mqtt.tls"),
    "TLS at a plain door": (("tcp", "plain"), {"tls": True}, "mqtt.tls"),
    "an authority that did not sign": (("tcp", "tls"), {"ca_file": None}, "mqtt.ca_file"),
    "no certificate where one is wanted": (
        ("tcp", "mutual"),
        {"client_certificate": None, "client_key": None},
        "mqtt.client_certificate",
    ),
    "WebSockets at a door of MQTT": (("tcp", "plain"), {"transport": "websockets"}, "transport"),
    "MQTT at a door of WebSockets": (("websockets", "plain"), {"transport": "tcp"}, "transport"),
    "another path": (("websockets", "plain"), {"websocket_path": "/other"}, "websocket_path"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_setting_is_named(
    broker: tuple[str, dict[Door, int]],
    case: str,
    certificates: Certificates,
    run: Callable[..., MqttClient],
) -> None:
    name, ports = broker
    door, changes, named = WRONG[case]
    if door not in ports:
        pytest.skip(f"this build of {name} has no WebSockets")
    if (name, case) == ("mosquitto", "another path"):
        pytest.skip("mosquitto takes WebSockets at every path")
    client = run(ports[door], **{**settings(door, certificates), **changes})
    wait_until(lambda: client.last_error is not None, "an error")
    print(f"{name}, {case}: {client.last_error}")
    assert client.state is not MqttState.CONNECTED
    assert named in str(client.last_error)
