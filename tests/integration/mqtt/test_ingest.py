"""Readings handed in over a real broker that knows who speaks: the agent takes them, answers, and
never twice.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt import publish

from edge_agent.core.clock import now
from tests.support.appliance import Appliance
from tests.support.broker import Mosquitto, subscribed, wait_until

pytestmark = pytest.mark.broker

USERS = {"affect-edge": "a", "watch": "w", "stranger": "s"}
RULES = """
user affect-edge
topic write affect-edge/pi/#
topic read affect-edge/pi/ingest/vitals

user watch
topic write affect-edge/pi/ingest/vitals
topic read affect-edge/pi/ingest/rejected
topic read affect-edge/pi/vitals

user stranger
topic write affect-edge/stranger/#
"""
INGEST = "affect-edge/pi/ingest/vitals"


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "mosquitto", users=USERS, acl=RULES) as running:
        yield running


def settings(mosquitto: Mosquitto, protocol: str) -> dict[str, dict[str, Any]]:
    return {
        "device": {"name": "pi"},
        "camera": {"source": "demo"},
        "record": {"batch_seconds": 0.2},
        "vitals.mqtt": {"enabled": True},
        "mqtt": {
            "port": mosquitto.port,
            "username": "affect-edge",
            "password": "a",
            "protocol": protocol,
        },
    }


def send(mosquitto: Mosquitto, message: Any, user: str = "watch", *, retain: bool = False) -> None:
    payload = message if isinstance(message, bytes) else json.dumps(message).encode()
    auth = {"username": user, "password": USERS[user]}
    publish.single(INGEST, payload, qos=1, retain=retain, port=mosquitto.port, auth=auth)  # type: ignore[arg-type]


def vitals(agent: Appliance) -> list[tuple[Any, ...]]:
    if not agent.database.exists():
        return []
    with closing(sqlite3.connect(f"file:{agent.database}?mode=ro", uri=True)) as connection:
        return connection.execute(
            "SELECT kind, value, source, flags, boot_ms IS NULL FROM vital ORDER BY at"
        ).fetchall()


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
def test_readings_are_taken_from_those_who_may_write_and_bad_ones_are_answered(
    mosquitto: Mosquitto, tmp_path: Path, protocol: str
) -> None:
    at = now().wall_ms - 120_000
    kept = {"kind": "heart_rate", "value": 55, "at": at}
    send(mosquitto, [kept, {"kind": "heart_rate", "value": 56}], retain=True)
    with (
        Appliance(tmp_path, settings(mosquitto, protocol)) as agent,
        subscribed(mosquitto.port, "watch", "w") as reader,
    ):
        agent.wait_for("mqtt: connected")
        retained = reader.wait_for("ingest/rejected", lambda said: said["taken"] == 1)
        assert [(r["index"], r["field"]) for r in retained.payload["readings"]] == [(1, "at")]
        send(mosquitto, kept)  # once more, as a sender does that got no answer
        send(mosquitto, {"kind": "heart_rate", "value": 99}, "stranger")
        send(mosquitto, b"\xff" * 300_000)
        send(
            mosquitto,
            [
                {"kind": "systolic", "value": 16, "unit": "kPa", "at": at + 1, "source": "cuff"},
                {"id": 7},
            ],
        )
        send(mosquitto, {"kind": "heart_rate", "value": 72})
        reader.wait_for("ingest/rejected", lambda said: said["readings"][0]["id"] == 7)
        assert reader.wait_for("vitals").payload["source"] == "mqtt", (
            "what comes now is said to all, what comes late not"
        )
        wait_until(lambda: len(vitals(agent)) >= 3, "the readings in the database")
        assert agent.stop() == 0, agent.said
    assert vitals(agent) == [
        ("heart_rate", 55.0, "mqtt", "", 1),
        ("systolic", pytest.approx(120.01, abs=0.01), "mqtt:cuff", "", 1),
        ("heart_rate", 72.0, "mqtt", "", 0),
    ]
    said = [message.payload for message in reader.on("ingest/rejected")]
    assert "is too large" in said[1]["readings"][0]["reason"]
    assert (len(said), len(reader.on("vitals"))) == (3, 1)
    assert "Traceback" not in agent.said


def test_a_packet_that_would_fill_the_memory_does_not_reach_the_agent(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    with Appliance(tmp_path, settings(mosquitto, "5")) as agent:
        agent.wait_for("mqtt: connected")
        send(mosquitto, b"[" + b" " * 2_000_000)
        send(mosquitto, {"kind": "heart_rate", "value": 72})
        wait_until(lambda: len(vitals(agent)) == 1, "the reading behind the large message")
        assert "mqtt: unreachable" not in agent.said


def test_without_an_account_at_the_broker_nothing_is_listened_to(tmp_path: Path) -> None:
    agent = Appliance(tmp_path, {"vitals.mqtt": {"enabled": True}, "mqtt": {"enabled": True}})
    with agent:
        assert agent.wait() == 2
    assert (
        "vitals.mqtt.enabled takes readings from the broker, which must know who sends them"
    ) in agent.said
