"""The agent inside this process with a real broker: what Home Assistant is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.agent import Tables, running_agent
from tests.support.broker import Mosquitto, subscribed

pytestmark = pytest.mark.broker


def test_what_is_known_is_said_and_the_device_is_taken_back_when_it_is_turned_off(
    tmp_path: Path,
) -> None:
    with Mosquitto(tmp_path / "mosquitto") as mosquitto, subscribed(mosquitto.port) as reader:
        home = {"home_assistant_prefix": "affect-edge/ha"}
        tables: Tables = {
            "device": {"name": "pi"},
            "mqtt": {"port": mosquitto.port, "home_assistant": True, **home},
            "summary": {"window": 1.0},
            "vitals": {"simulated": {"enabled": True, "heart_rate_seconds": 0.1}},
        }
        with running_agent(tmp_path / "data", tables):
            device = reader.wait_for("config").payload
            assert device["device"]["name"] == "pi"
            assert "mark_note" not in device["components"]  # without mqtt.commands
            known = reader.wait_for(
                "state", lambda said: said["emotion"] is not None and said["shares"] is not None
            ).payload
            assert (known["camera"], known["recording"], known["session"]) == (True, True, False)
            assert known["simulated"] is True
            rate = reader.wait_for("state", lambda said: said["vitals"]["heart_rate"] is not None)
            assert rate.payload["vitals"]["heart_rate"]["source"] == "simulated"
            assert rate.payload["vitals"]["skin_temperature"] is None
        tables["mqtt"] = {"port": mosquitto.port, **home}
        told = len(reader.on("state"))
        with running_agent(tmp_path / "data", tables) as run:
            reader.wait_for("config", lambda said: said == {})
            run.wait_for_rows("expression")
        assert len(reader.on("state")) == told
    assert not (tmp_path / "data" / "home-assistant-topics").exists()
