"""Alerts of a running agent: camera and broker are real, the topic is retained."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.appliance import Appliance
from tests.support.broker import Mosquitto, subscribed, wait_until
from tests.support.timeline import query
from tests.support.vision.portraits import smiling
from tests.support.vision.still_camera import StillCamera

pytestmark = pytest.mark.broker
LINES = "SELECT rule, ended IS NULL FROM alert ORDER BY id"
RULE = """[[alerts.rule]]
name = "eyes"
when = "camera"
seconds = 1
clear_seconds = 1
"""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    made = Mosquitto(tmp_path / "broker")
    made.start()
    yield made
    made.stop()


def retained(port: int) -> list[str]:
    """Return the alerts that somebody hears of who subscribes only now.

    A broker that was told to keep the message gives it at once.
    """
    with subscribed(port) as reader:
        message = reader.wait_for("alerts")
        return [alert["rule"] for alert in message.payload["open"]]


def test_a_camera_that_stops_is_told_once_across_a_kill_and_its_end_as_well(
    tmp_path: Path, broker: Mosquitto
) -> None:
    with StillCamera(smiling()) as camera:
        settings: dict[str, dict[str, Any]] = {
            "camera": {"source": "snapshot", "device": camera.address, "snapshot_seconds": 0.25},
            "mqtt": {"host": "127.0.0.1", "port": broker.port},
        }
        agent = Appliance(tmp_path / "agent", settings)
        with agent.config.open("a", encoding="utf-8") as config:
            config.write(RULE)
        with agent:
            agent.wait_for("the agent runs", 90)
            wait_until(lambda: retained(broker.port) == [], "the topic")
            camera.freeze()
            wait_until(lambda: retained(broker.port) == ["eyes"], "the alert", 60)
        with agent:  # it was killed, and starts anew
            agent.wait_for("the agent runs", 90)
            assert query(agent.database, LINES) == [("eyes", 1)]
            camera.thaw()
            wait_until(lambda: retained(broker.port) == [], "its end", 60)
            assert query(agent.database, LINES) == [("eyes", 0)]
            assert "alert eyes has begun" not in agent.said
