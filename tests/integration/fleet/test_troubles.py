"""What is wrong with the stream stands in the agent's health, until it is mended."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("cbor2", reason="pip install -e '.[fleet]'")

from paho.mqtt import publish

from edge_agent.agent import health as health_module
from edge_agent.agent import loop as module
from edge_agent.alerts.figures import AlertLimits
from edge_agent.appliance.checks import agent_health, check_running
from edge_agent.config.mqtt import FleetSettings
from edge_agent.config.settings import Settings
from edge_agent.live.feed import SOCKET_NAME
from edge_agent.mqtt.health_payload import HealthPayload
from tests.support.agent import Tables, running_agent
from tests.support.broker import Mosquitto, wait_until
from tests.support.fleet.devices import SimulatedDevice

pytestmark = pytest.mark.broker
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


@contextmanager
def sending(
    tmp_path: Path, broker: Mosquitto, settings: FleetSettings | None = None
) -> Iterator[SimulatedDevice]:
    """A device that sends what it has recorded."""
    device = SimulatedDevice.make(tmp_path / "room", "room", broker.port, settings)
    device.record(20)
    device.sender.start()
    try:
        yield device
    finally:
        device.sender.stop()
        assert device.sender.join(60)


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


def test_what_was_given_up_is_told_until_the_collector_knows(
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
