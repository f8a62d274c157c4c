"""The discovery message over a real broker: sent, sent again, taken back, and refused."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from paho.mqtt import client as paho
from paho.mqtt import publish
from paho.mqtt.enums import CallbackAPIVersion

from edge_agent.mqtt.broker import MqttState
from edge_agent.mqtt.client import MqttClient
from edge_agent.mqtt.discovery import Device, discovery_payload
from tests.support.broker import Mosquitto, subscribed, wait_until
from tests.support.home.rules import APPLIANCE, HOME_ASSISTANT, documented_rules
from tests.support.mqtt_clients import Start, end, wait_for_state
from tests.support.outbox_rows import OutboxRows

if TYPE_CHECKING:
    from paho.mqtt.publish import AuthParameter

pytestmark = pytest.mark.broker

PREFIX = "home/assistant"
StartHome = Callable[..., MqttClient]


def home(name: str) -> Device:
    return Device(name, root="affect-edge", prefix=PREFIX, version="1.0")


@pytest.fixture
def start_home(tmp_path: Path, start: Start) -> StartHome:
    """Starts clients that announce a device."""

    def run(port: int, device: Device | None, **settings: str) -> MqttClient:
        options = {"home_assistant": device, "announced": tmp_path / "announced"}
        return start(port, device=device.name if device else "pi", options=options, **settings)

    return run


class Ears:
    """What is published below the discovery prefix, or on other topics."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, bytes, bool]] = []

    def discoveries(self) -> list[bytes]:
        """Return the discovery messages so far, the oldest first."""
        return [payload for topic, payload, _ in self.messages if topic.endswith("/config")]


@contextmanager
def ears(
    port: int, topics: str = f"{PREFIX}/#", account: tuple[str, str] | None = None
) -> Iterator[Ears]:
    hearing = Ears()
    client = paho.Client(CallbackAPIVersion.VERSION2)
    if account is not None:
        client.username_pw_set(*account)
    subscribed = threading.Event()
    client.on_connect = lambda client, *_: client.subscribe(topics, qos=1)
    client.on_subscribe = lambda *_: subscribed.set()
    client.on_message = lambda _client, _data, message: hearing.messages.append(
        (message.topic, bytes(message.payload), message.retain)
    )
    client.reconnect_delay_set(1, 1)
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        assert subscribed.wait(60)
        yield hearing
    finally:
        client.disconnect()
        client.loop_stop()


def tell(mosquitto: Mosquitto, message: str) -> None:
    publish.single(f"{PREFIX}/status", message, port=mosquitto.port, qos=1)


def kept(mosquitto: Mosquitto, topics: str = f"{PREFIX}/#") -> set[str]:
    """Return the topics on which the broker keeps a message; without more, those of discovery."""
    with ears(mosquitto.port, topics) as hearing:
        publish.single(topics.replace("#", "status"), "end", port=mosquitto.port, qos=1)
        wait_until(lambda: any(m[1] == b"end" for m in hearing.messages), "the end")
        return {topic for topic, _, retained in hearing.messages if retained}


def topic_of(name: str) -> str:
    return f"{PREFIX}/device/affect-edge-{name}/config"


def test_device_connected_is_announced_and_retained(
    mosquitto: Mosquitto, start_home: StartHome
) -> None:
    with ears(mosquitto.port) as hearing:
        client = start_home(mosquitto.port, home("pi"))
        wait_until(lambda: bool(hearing.discoveries()), "an announcement")
        message = json.loads(hearing.discoveries()[0])
    assert "heart_rate" in message["components"]
    end(client)
    assert kept(mosquitto) == {topic_of("pi")}


def test_device_home_assistant_or_broker_restarted_is_announced_again(
    mosquitto: Mosquitto, start_home: StartHome
) -> None:
    with ears(mosquitto.port) as hearing:
        client = start_home(mosquitto.port, home("pi"))
        wait_until(lambda: len(hearing.discoveries()) == 1, "an announcement")
        for message in ("offline", "", "Online"):
            tell(mosquitto, message)
        tell(mosquitto, "online")
        wait_until(lambda: len(hearing.discoveries()) == 2, "one at the birth")
        mosquitto.kill()
        wait_for_state(client, MqttState.UNREACHABLE)
        mosquitto.start()
        wait_for_state(client, MqttState.CONNECTED)
        wait_until(lambda: len(hearing.discoveries()) >= 3, "one over the new connection")


def test_device_renamed_or_discovery_off_is_removed(
    mosquitto: Mosquitto, start_home: StartHome
) -> None:
    for device, left in ((home("old"), "old"), (home("new"), "new"), (None, None)):
        client = start_home(mosquitto.port, device)
        wait_until(
            lambda wanted=left: kept(mosquitto) == ({topic_of(wanted)} if wanted else set()),  # type: ignore[misc]
            f"only {left}",
        )
        end(client)


def test_former_name_offline_is_removed_from_the_broker(
    mosquitto: Mosquitto, start_home: StartHome
) -> None:
    everything = "affect-edge/#"
    former = start_home(mosquitto.port, home("old"))
    wait_for_state(former, MqttState.CONNECTED)
    end(former)
    emotion = "affect-edge/old/emotion"
    for topic in (emotion, "affect-edge/old/alerts"):
        publish.single(topic, "{}", port=mosquitto.port, retain=True)
    client = start_home(mosquitto.port, home("new"))
    wait_until(lambda: emotion not in kept(mosquitto, everything), "the former name is gone")
    left = kept(mosquitto, everything)
    assert left and all(topic.startswith("affect-edge/new/") for topic in left)
    end(client)


def test_former_name_of_another_appliance_stays(
    mosquitto: Mosquitto, start_home: StartHome, start: Start
) -> None:
    former = start_home(mosquitto.port, home("old"))
    wait_for_state(former, MqttState.CONNECTED)
    end(former)
    other = start(mosquitto.port, device="old")
    wait_for_state(other, MqttState.CONNECTED)
    with ears(mosquitto.port, topic_of("new")) as hearing:
        client = start_home(mosquitto.port, home("new"))
        wait_until(lambda: len(hearing.messages) == 1, "an announcement")
        tell(mosquitto, "online")
        wait_until(lambda: len(hearing.messages) == 2, "an answer after the former status")
    assert "affect-edge/old/status" in kept(mosquitto, "affect-edge/#")
    end(client)
    end(other)


def test_discovery_never_announced_removes_nothing(
    mosquitto: Mosquitto, start_home: StartHome
) -> None:
    publish.single(topic_of("pi"), '{"of": "another"}', port=mosquitto.port, retain=True)
    client = start_home(mosquitto.port, None)
    wait_for_state(client, MqttState.CONNECTED)
    end(client)
    assert kept(mosquitto) == {topic_of("pi")}


def test_discovery_refused_by_the_broker_leaves_the_rest_working(
    tmp_path: Path, outbox: OutboxRows, start_home: StartHome, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    rules = "user pi\ntopic write affect-edge/pi/#\nuser reader\ntopic read #\n"
    users = {"pi": "a", "reader": "b"}
    with (
        Mosquitto(tmp_path / "strict", users=users, acl=rules) as strict,
        subscribed(strict.port, "reader", "b") as reader,
    ):
        client = start_home(strict.port, home("pi"), username="pi", password="a")
        said = f"write {topic_of('pi')}"
        wait_until(lambda: said in (client.last_error or ""), "the refusal beside the state")
        outbox.add("summary")
        client.wake()
        reader.wait_for("summary")
        assert client.state is MqttState.CONNECTED
    assert caplog.text.count(said) == 1


def test_documented_accounts_may_do_what_both_need(tmp_path: Path, start_home: StartHome) -> None:
    users = {APPLIANCE: "a", HOME_ASSISTANT: "b"}
    asks = (HOME_ASSISTANT, "b")
    told: AuthParameter = {"username": HOME_ASSISTANT, "password": "b"}
    device = Device("lab", root="affect-edge", prefix="homeassistant", version="1.0", commands=True)
    button = discovery_payload(device).components["mark_baseline"]
    assert button.command_topic is not None
    with (
        Mosquitto(tmp_path / "strict", users=users, acl=documented_rules("lab")) as strict,
        ears(strict.port, "homeassistant/#", asks) as discovered,
        ears(strict.port, "affect-edge/lab/status", asks) as available,
        ears(strict.port, button.command_topic, (APPLIANCE, "a")) as commanded,
    ):
        start_home(strict.port, device, username=APPLIANCE, password="a")
        wait_until(lambda: len(discovered.discoveries()) == 1, "an announcement")
        wait_until(lambda: bool(available.messages), "whether it is there")
        publish.single("homeassistant/status", "online", port=strict.port, auth=told, qos=1)
        wait_until(lambda: len(discovered.discoveries()) == 2, "one at the birth")
        publish.single(button.command_topic, button.payload_press, port=strict.port, auth=told)
        wait_until(lambda: bool(commanded.messages), "the button's command")
