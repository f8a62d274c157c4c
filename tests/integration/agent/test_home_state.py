"""The agent inside this process with a real broker: what Home Assistant is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from paho.mqtt import publish

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


def test_the_camera_obeys_a_command_says_so_at_once_and_knows_no_expression_of_before(
    tmp_path: Path,
) -> None:
    who = ("lab", "secret")
    with (
        Mosquitto(tmp_path / "mosquitto", users=dict([who])) as mosquitto,
        subscribed(mosquitto.port, *who) as reader,
    ):
        account = {"port": mosquitto.port, "username": who[0], "password": who[1]}
        tables: Tables = {
            "device": {"name": "pi"},
            "mqtt": account | {"home_assistant": True, "commands": True},
            "summary": {"window": 60.0},  # what is said before is said because it changed
        }

        def command(action: str) -> None:
            content = json.dumps({"action": action})
            topic = "affect-edge/pi/command/capture"
            auth = {"username": who[0], "password": who[1]}
            publish.single(topic, content, qos=1, port=mosquitto.port, auth=auth)  # type: ignore[arg-type]

        with running_agent(tmp_path / "data", tables):
            reader.wait_for("state", lambda said: said["capture"] and said["emotion"] is not None)
            command("off")
            closed = reader.wait_for(
                "state", lambda said: not said["capture"] and not said["camera"]
            ).payload
            assert (closed["emotion"], closed["recording"]) == (None, False)
            command("perhaps")
            refused = reader.wait_for("rejected").payload
            assert (refused["topic"], refused["reason"][:7]) == ("command/capture", "action:")
        reader.messages.clear()
        with running_agent(tmp_path / "data", tables):
            # what was known before is said before the agent listens to commands
            reader.wait_for("state", lambda said: said["session"] is not None)
            assert not any(message.payload["capture"] for message in reader.on("state"))
            command("on")
            reader.wait_for("state", lambda said: said["capture"] and said["emotion"] is not None)
