"""A session that is run over a real broker by somebody who may, and by nobody else."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt import publish

from edge_agent.store.database.schema import migrate
from edge_agent.store.study.study import Study
from tests.support.appliance import Appliance
from tests.support.broker import Mosquitto, subscribed

pytestmark = pytest.mark.broker

USERS = {"affect-edge": "a", "lab": "l", "stranger": "s"}
RULES = """
user affect-edge
topic write affect-edge/pi/#
topic read affect-edge/pi/command/session
topic read affect-edge/pi/command/marker

user lab
topic write affect-edge/pi/command/session
topic write affect-edge/pi/command/marker
topic read affect-edge/pi/session
topic read affect-edge/pi/command/rejected

user stranger
topic read affect-edge/pi/session
"""


def test_a_session_is_run_over_the_broker_and_every_refusal_is_answered(tmp_path: Path) -> None:
    with Mosquitto(tmp_path / "mosquitto", users=USERS, acl=RULES) as mosquitto:
        account: dict[str, Any] = {
            "port": mosquitto.port,
            "username": "affect-edge",
            "password": "a",
        }
        agent = Appliance(
            tmp_path,
            {
                "device": {"name": "pi"},
                "camera": {"source": "demo"},
                "mqtt": account | {"commands": True},
            },
        )
        migrate(agent.database)
        study = Study(agent.database)
        study.create_participant("P-1")
        study.give_consent("P-1", "1")

        def send(
            what: str, message: dict[str, str], user: str = "lab", *, retain: bool = False
        ) -> None:
            auth = {"username": user, "password": USERS[user]}
            publish.single(
                f"affect-edge/pi/command/{what}",
                json.dumps(message),
                qos=1,
                retain=retain,
                port=mosquitto.port,
                auth=auth,  # type: ignore[arg-type]
            )

        start = {
            "action": "start",
            "participant": "P-1",
            "purpose": "research",
            "setting": "laboratory",
        }
        send("session", start, retain=True)
        with agent, subscribed(mosquitto.port, "lab", "l") as lab:
            agent.wait_for("mqtt: connected")
            lab.wait_for("command/rejected", lambda said: "without retain" in said["reason"])
            send("session", start, "stranger")
            send("marker", {"kind": "note", "label": "too early"})
            lab.wait_for("command/rejected", lambda said: "No session is open" in said["reason"])
            send("session", start | {"setting": "workplace"})
            lab.wait_for("command/rejected", lambda said: "AI Act" in said["reason"])
            send("session", start)
            lab.wait_for("session", lambda said: said["event"] == "started")
            send("marker", {"kind": "stimulus_start", "label": "anger"})
            send("marker", {"kind": "stimulus_end"})
            lab.wait_for(
                "session", lambda said: (said["marker"] or {}).get("kind") == "stimulus_end"
            )
            send("session", {"action": "end"})
            lab.wait_for("session", lambda said: said["event"] == "ended")
            assert agent.stop() == 0, agent.said
        assert "Traceback" not in agent.said
    with closing(sqlite3.connect(agent.database)) as connection:
        assert connection.execute("SELECT setting, ended IS NULL FROM session").fetchall() == [
            ("laboratory", 0)
        ]
        marked = connection.execute("SELECT kind, label FROM marker ORDER BY id").fetchall()
    assert marked == [("stimulus_start", "anger"), ("stimulus_end", "anger")]
