"""The sender beside a real broker: outages, late answers, and what the agent says of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("cbor2", reason="pip install -e '.[fleet]'")

from paho.mqtt import client as paho
from paho.mqtt import publish
from paho.mqtt.enums import CallbackAPIVersion

from edge_agent.agent import health as health_module
from edge_agent.agent import loop as module
from edge_agent.alerts.figures import AlertLimits
from edge_agent.appliance.running_checks import agent_health, check_running
from edge_agent.config.mqtt import FleetSettings
from edge_agent.config.settings import Settings
from edge_agent.fleet.chunks import TimelineMessage, decode
from edge_agent.live.feed import SOCKET_NAME
from edge_agent.mqtt.health_payload import HealthPayload
from edge_agent.timeline.database.connection import connect, write_transaction
from edge_agent.timeline.database.copy import copy_database
from edge_agent.timeline.database.files import prepared_path, replace_files
from edge_agent.timeline.database.setting import renew_stream_epoch
from tests.support.agent import Tables, running_agent
from tests.support.broker import Mosquitto, wait_until
from tests.support.fleet.devices import SimulatedDevice
from tests.support.timeline import query

pytestmark = pytest.mark.broker


class Listener:
    """Takes the stream of one device, and answers what a test wants."""

    def __init__(self, port: int) -> None:
        self.messages: list[TimelineMessage] = []
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id="listener")
        self._client.on_connect = lambda client, *_: client.subscribe("affect-edge/+/timeline", 1)
        self._client.on_message = lambda _c, _d, message: self.messages.append(
            decode(bytes(message.payload))
        )
        self._client.reconnect_delay_set(1, 1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def answer(self, **content: Any) -> None:
        payload = json.dumps({"schema": 1, **content})
        self._client.publish("affect-edge/room/timeline/confirmed", payload, 1, True)

    @property
    def last(self) -> int:
        return max((message.last for message in list(self.messages)), default=0)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def listener(broker: Mosquitto) -> Iterator[Listener]:
    listening = Listener(broker.port)
    yield listening
    listening.close()


@contextmanager
def sending(
    tmp_path: Path, broker: Mosquitto, settings: FleetSettings | None = None
) -> Iterator[SimulatedDevice]:
    """Let a device send what it has recorded."""
    device = SimulatedDevice.make(tmp_path / "room", "room", broker.port, settings)
    device.record(20)
    device.sender.start()
    try:
        yield device
    finally:
        device.sender.stop()
        assert device.sender.join(60)


@pytest.fixture
def device(tmp_path: Path, broker: Mosquitto, listener: Listener) -> Iterator[SimulatedDevice]:
    with sending(tmp_path, broker) as made:
        yield made


def test_an_agent_that_is_told_to_sends_what_it_records(
    tmp_path: Path, broker: Mosquitto, listener: Listener
) -> None:
    tables: Tables = {
        "device": {"name": "room"},
        "mqtt": {"port": broker.port},
        "record": {"batch_seconds": 0.3},
        "fleet": {"enabled": True},
    }

    def rows_of(table: str) -> int:
        return sum(
            change[1:3] == [table, "row"]
            for message in list(listener.messages)
            for change in message.changes
        )

    with running_agent(tmp_path, tables) as run:
        wait_until(lambda: rows_of("expression") > 5, "rows of the agent's camera")
        run.agent.stop()
        assert run.end() == 0


def test_changes_made_without_a_broker_are_sent_when_it_is_back(
    broker: Mosquitto, listener: Listener, device: SimulatedDevice
) -> None:
    wait_until(lambda: listener.last >= device.newest > 0, "the start")
    broker.stop()
    device.record(50)
    broker.start()
    wait_until(lambda: listener.last == device.newest, "the rest")
    positions = {change[0] for message in listener.messages for change in message.changes}
    assert positions == set(range(1, device.newest + 1))


def test_unconfirmed_chunk_is_sent_again(listener: Listener, device: SimulatedDevice) -> None:
    wait_until(lambda: sum(m.first == 1 for m in listener.messages) >= 2, "a repetition")
    epoch = listener.messages[0].epoch
    wait_until(lambda: listener.last == device.newest, "everything")
    listener.answer(epoch=epoch, position=device.newest)
    wait_until(lambda: query(device.path, "SELECT count(*) FROM fleet_change") == [(1,)], "it")


def test_a_confirmation_of_what_was_never_sent_is_not_believed(
    listener: Listener, device: SimulatedDevice, caplog: pytest.LogCaptureFixture
) -> None:
    wait_until(lambda: listener.last >= device.newest > 0, "the start")
    listener.answer(epoch=listener.messages[0].epoch, position=10_000_000)
    wait_until(lambda: "position 10000000 was confirmed" in caplog.text, "a word about it")
    listener.answer(epoch="0" * 16, position=device.newest)
    listener.answer(epoch=listener.messages[0].epoch, position=1, closed=True)
    wait_until(lambda: "the same device.name" in caplog.text, "a word about two of one name")
    assert device.sender.confirmed <= 1


def test_a_database_that_takes_the_place_of_another_is_sent_anew(
    listener: Listener, device: SimulatedDevice
) -> None:
    wait_until(lambda: listener.last >= device.newest > 0, "the start")
    first = listener.messages[0].epoch
    other = prepared_path(device.path)
    with closing(connect(device.path, readonly=True)) as connection:
        copy_database(connection, other)
    with write_transaction(other) as connection:
        renew_stream_epoch(connection)
        connection.execute("DELETE FROM vital")
    replace_files(device.path, [device.path], "before")
    wait_until(lambda: listener.messages[-1].epoch != first, "another stream")
    anew = next(message for message in listener.messages if message.epoch != first)
    assert anew.changes[0][2:] == ["begin", {"follows": first}]


RULES = "topic readwrite affect-edge/#\n"


def alarm_of(message: dict[str, Any]) -> str | None:
    """Return the sentence of the alarm about the stream."""
    return next((one["text"] for one in message["alarms"] if one["name"] == "fleet"), None)


def is_health(message: dict[str, Any], *, bad: bool) -> bool:
    return message["type"] == "health" and (alarm_of(message) is not None) is bad


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIVE_HEALTH_S", 0.1)
    monkeypatch.setattr(health_module, "AlertLimits", partial(AlertLimits, broker_away_s=0.0))


@pytest.mark.usefixtures("quick")
def test_a_broker_that_goes_and_comes_back_is_an_alarm_meanwhile(tmp_path: Path) -> None:
    with Mosquitto(tmp_path / "broker") as broker:
        tables: Tables = {"mqtt": {"port": broker.port}, "fleet": {"enabled": True}}
        with running_agent(tmp_path / "data", tables) as run:
            well = run.hear(
                lambda said: is_health(said, bad=False) and said["fleet"]["state"] == "connected"
            )
            assert HealthPayload.model_validate(
                {name: value for name, value in well.items() if name not in ("type", "texts")}
            ).fleet
            broker.stop()
            bad = run.hear(partial(is_health, bad=True))
            said = alarm_of(bad)
            assert said is not None
            assert "changes of the timeline wait for the collector: " in said
            assert f"127.0.0.1:{broker.port}" in said
            assert bad["fleet"]["state"] == "unreachable"
            findings = check_running(Settings(), agent_health(run.database.parent / SOCKET_NAME))
            assert any(one.check == "alarm fleet" for one in findings)
            broker.start()
            run.hear(
                lambda said: is_health(said, bad=False) and said["fleet"]["state"] == "connected"
            )


def error_of(device: SimulatedDevice) -> str:
    return device.sender.standing.error or ""


def confirm(device: SimulatedDevice, broker: Mosquitto, **more: Any) -> None:
    """Say for a collector that it has everything."""
    payload = {"schema": 1, "epoch": device.epoch, "position": device.newest, **more}
    topic = "affect-edge/room/timeline/confirmed"
    publish.single(topic, json.dumps(payload), qos=1, port=broker.port, retain=True)


def test_a_broker_that_refuses_the_timeline_is_named_until_it_lets_it_in(tmp_path: Path) -> None:
    closed = "topic read affect-edge/#\ntopic write affect-edge/+/timeline/confirmed\n"
    with Mosquitto(tmp_path / "broker", acl=closed) as broker, sending(tmp_path, broker) as device:
        wait_until(lambda: "refuses the timeline" in error_of(device), "the refusal")
        assert "affect-edge/room/timeline" in error_of(device)
        broker.change_rules(RULES)
        wait_until(lambda: device.newest > 0, "the stream")
        confirm(device, broker)
        wait_until(lambda: device.sender.standing.error is None, "the end of it")


def test_a_collector_that_is_silent_is_named_until_it_answers(
    tmp_path: Path, broker: Mosquitto
) -> None:
    with sending(tmp_path, broker) as device:
        wait_until(lambda: "affect-edge collect" in error_of(device), "silence")
        wait_until(lambda: device.sender.standing.waiting > 0, "what waits")
        confirm(device, broker, closed=True)
        wait_until(lambda: "the same device.name" in error_of(device), "two of one name")
        confirm(device, broker)
        wait_until(lambda: device.sender.standing.error is None, "the answer")
        wait_until(lambda: device.sender.standing.waiting == 0, "nothing waits")


def test_lost_changes_are_reported_until_the_collector_knows(
    tmp_path: Path, broker: Mosquitto
) -> None:
    small = FleetSettings.model_construct(backlog_mb=0.004)  # type: ignore[arg-type]
    with sending(tmp_path, broker, small) as device:
        wait_until(lambda: device.newest > 0, "the stream")
        device.sender.stop()
        assert device.sender.join(60)
        device.record(400)
        device.restart()
        wait_until(lambda: device.sender.standing.given_up > 300, "the loss")
        confirm(device, broker)
        wait_until(lambda: device.sender.standing.given_up == 0, "the collector knows")
