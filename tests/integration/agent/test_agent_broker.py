"""The agent inside this process with a real broker: what is said where, and what is listened to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt import publish

from edge_agent.agent import loop as module
from edge_agent.core.clock import iso_utc, now
from edge_agent.core.study import SessionSetting
from edge_agent.store.study.study import Study
from tests.support.agent import Tables, running_agent
from tests.support.broker import Mosquitto, Subscriber, subscribed
from tests.support.timeline import database, query

pytestmark = pytest.mark.broker

USERS = {"affect-edge": "a"}


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "mosquitto", users=USERS) as running:
        yield running


@pytest.fixture
def reader(mosquitto: Mosquitto) -> Iterator[Subscriber]:
    with subscribed(mosquitto.port, "affect-edge", "a") as reading:
        yield reading


def account(mosquitto: Mosquitto, **more: Any) -> dict[str, Any]:
    return {"port": mosquitto.port, "username": "affect-edge", "password": "a", **more}


def send(mosquitto: Mosquitto, topic: str, message: object) -> None:
    auth = {"username": "affect-edge", "password": "a"}
    publish.single(
        f"affect-edge/lab/pi/{topic}",
        json.dumps(message),
        qos=1,
        port=mosquitto.port,
        auth=auth,  # type: ignore[arg-type]
    )


def test_what_happens_is_said_on_the_topics_of_the_appliance(
    tmp_path: Path, mosquitto: Mosquitto, reader: Subscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LIVE_HEALTH_S", 0.1)
    tables: Tables = {
        "device": {"name": "pi"},
        "mqtt": account(mosquitto, root="affect-edge/lab"),
        "summary": {"window": 1.0},
        "record": {"interval": 0.0, "batch_rows": 1},
        "vitals": {"simulated": {"enabled": True, "heart_rate_seconds": 0.1}},
    }
    with running_agent(tmp_path / "data", tables) as run:
        assert reader.wait_for("status").topic == "affect-edge/lab/pi/status"
        assert reader.wait_for("emotion").payload["simulated"] is True
        assert reader.wait_for("vitals").payload["source"] == "simulated"
        second = reader.wait_for("summary", lambda said: said["seq"] == 2).payload
        assert (second["device"], second["replayed"], second["simulated"]) == ("pi", False, True)
        first = reader.on("summary")[0].payload
        assert first["window"]["end"] == second["window"]["start"]
        run.hear(lambda said: said["type"] == "health" and said["mqtt"]["state"] == "connected")
        run.finish()
    last = reader.wait_for("status", lambda said: said["state"] == "offline")
    assert reader.messages.index(last) > reader.messages.index(reader.on("summary")[-1])
    emotions = [message.payload["emotion"] for message in reader.on("emotion")]
    assert all(one != other for one, other in pairwise(emotions)), emotions
    seqs = [message.payload["seq"] for message in reader.on("summary")]
    assert seqs == list(range(1, len(seqs) + 1))


def test_its_health_is_said_once_and_again_when_an_alarm_changes(
    tmp_path: Path, mosquitto: Mosquitto, reader: Subscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LIVE_HEALTH_S", 0.05)
    monkeypatch.setattr(module, "TICK_S", 0.05)
    camera = {"source": "opencv", "device": str(tmp_path / "absent.mp4")}
    tables: Tables = {"device": {"name": "pi"}, "mqtt": account(mosquitto), "camera": camera}
    with running_agent(tmp_path / "data", tables) as run:
        said = reader.wait_for("health", lambda said: bool(said["alarms"]))
        assert "absent.mp4" in str(said.payload["alarms"])
        told = len(reader.on("health"))
        run.hear(lambda said: said["type"] == "health" and said["mqtt"]["state"] == "connected")
        for _ in range(5):
            run.hear(lambda said: said["type"] == "health")
    assert told <= len(reader.on("health")) <= told + 1


def test_sessions_markers_and_readings_come_in_over_the_broker(
    tmp_path: Path, mosquitto: Mosquitto, reader: Subscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LIVE_HEALTH_S", 0.1)
    path = database(tmp_path / "data")
    study = Study(path)
    study.create_participant("P-1")
    study.give_consent("P-1", "1")
    tables: Tables = {
        "device": {"name": "pi"},
        "mqtt": account(mosquitto, root="affect-edge/lab", commands=True),
        "vitals": {"mqtt": {"enabled": True}},
        "record": {"interval": 0.0, "batch_rows": 1},
        "dashboard": {"purposes": ["research"]},
    }
    with running_agent(tmp_path / "data", tables) as run:
        run.wait_for_rows("expression")
        start = {"action": "start", "participant": "P-1", "name": "films", "setting": "home"}
        reader.wait_for("status", lambda said: said["state"] == "online")
        send(mosquitto, "command/session", start | {"purpose": "health"})
        reader.wait_for("command/rejected", lambda said: "purpose" in said["reason"])
        send(mosquitto, "command/session", start | {"purpose": "research"})
        reader.wait_for("session", lambda said: said.get("event") == "started")
        send(mosquitto, "command/marker", {"kind": "note", "label": "sits still"})
        reader.wait_for("session", lambda said: said.get("event") == "marker")
        send(mosquitto, "command/session", {"action": "end"})
        reader.wait_for("session", lambda said: said.get("event") == "ended")
        reading = {"kind": "heart_rate", "value": 61, "at": iso_utc(now().wall_ms)}
        send(mosquitto, "ingest/vitals", [reading | {"source": "watch"}, {"kind": "luck"}])
        refused = reader.wait_for("ingest/rejected").payload
        run.wait_for_rows("vital")
        run.hear(
            lambda said: (
                said["type"] == "health"
                and (said["mqtt"]["readings_taken"], said["mqtt"]["readings_refused"]) == (1, 1)
            )
        )
    session = study.sessions()[0]
    assert (session.name, session.setting) == ("films", SessionSetting.HOME)
    assert (refused["taken"], [one["index"] for one in refused["readings"]]) == (1, [1])
    assert query(path, "SELECT value, source FROM vital") == [(61.0, "mqtt:watch")]
