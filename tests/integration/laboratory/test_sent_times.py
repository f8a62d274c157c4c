"""A marker whose way took long gets the time at which it was sent: over HTTP to a real dashboard,
over MQTT through a real broker to a real agent.
"""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt import publish

from dashboard.accounts.roles import Scope
from edge_agent.core import clock
from edge_agent.core.study import NewSession, Purpose
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.study.sessions import Study
from tests.support.appliance import Appliance
from tests.support.broker import Mosquitto, Relay, subscribed
from tests.support.dashboard import DashboardProcess
from tests.support.security.tokens import bearer, make_token
from tests.support.timeline import query, wait_for

SENDERS_START_MS = 5_000_000.0
"""What is taken off our clock to get the sender's."""
DELAY_S = 0.5
QUICK = 5
ROUNDED_MS = 5.0
Send = Callable[[dict[str, Any]], None]


def study_in(database: Path) -> Study:
    migrate(database)
    study = Study(database)
    study.create_participant("P-1")
    study.give_consent("P-1", "1")
    study.start_session(NewSession("P-1", Purpose.RESEARCH, "clocks"))
    return study


@contextmanager
def relayed(port: int) -> Iterator[Relay]:
    relay = Relay(port)
    try:
        yield relay
    finally:
        relay.close()


@dataclass(frozen=True)
class Press:
    """A marker's label, when it was pressed by our clock, and how long its way took."""

    label: str
    pressed_ms: float
    took_ms: float


def press(send: Send, label: str, *, own_clock: bool = True) -> Press:
    """Send a marker."""
    pressed_ms = 1000 * clock.boot_seconds()
    marker: dict[str, Any] = {"kind": "note", "label": label}
    if own_clock:
        marker |= {"sent_ms": pressed_ms - SENDERS_START_MS, "sender": "lab"}
    send(marker)
    return Press(label, pressed_ms, 1000 * clock.boot_seconds() - pressed_ms)


def press_all(send: Send, relay: Relay) -> list[Press]:
    """Press some whose way is quick, then two whose way is slow."""
    pressed = [press(send, f"quick {number}") for number in range(QUICK)]
    relay.delay_s = DELAY_S
    pressed.append(press(send, "slow"))
    pressed.append(press(send, "slow, without a clock", own_clock=False))
    return pressed


def assert_times(database: Path, pressed: list[Press], way: str) -> None:
    """Check that the slow one lies where it was pressed, and its twin without a clock where it
    arrived. What the quickest message was under way stays in every time.
    """
    kept = dict(query(database, "SELECT label, boot_ms FROM marker"))
    late = {one.label: kept[one.label] - one.pressed_ms for one in pressed}
    assert late["slow, without a clock"] >= 1000 * DELAY_S
    quick = pressed[:QUICK]
    quickest_ms = min(one.took_ms for one in quick)
    assert -ROUNDED_MS <= late["slow"] <= quickest_ms + ROUNDED_MS
    assert all(-ROUNDED_MS <= late[one.label] <= one.took_ms + ROUNDED_MS for one in quick)
    told = [
        row[0] for row in query(database, "SELECT detail FROM audit WHERE action = 'sender_clock'")
    ]
    assert told and told[0].startswith(f"{way}:lab: ")
    offset = re.search(r"([+-]\d+\.\d) ms", told[0])
    assert offset
    assert 0 <= float(offset[1]) - SENDERS_START_MS <= quickest_ms + ROUNDED_MS


def test_a_slow_request_sets_its_marker_where_it_was_pressed(tmp_path: Path) -> None:
    database = tmp_path / "affect-edge.db"
    study_in(database)
    secret = make_token(database, scopes=frozenset({Scope.MARKERS}))
    with DashboardProcess(tmp_path) as dashboard, relayed(dashboard.port) as relay:
        address = f"http://127.0.0.1:{relay.port}/api/v1/session/markers"
        head = bearer(secret) | {"Content-Type": "application/json"}

        def send(marker: dict[str, Any]) -> None:
            request = urllib.request.Request(address, json.dumps(marker).encode(), head)
            with urllib.request.urlopen(request) as answer:
                assert answer.status == 201

        pressed = press_all(send, relay)
    assert_times(database, pressed, "http")


@pytest.mark.broker
def test_a_slow_message_sets_its_marker_where_it_was_pressed(tmp_path: Path) -> None:
    users = {"affect-edge": "a", "lab": "l"}
    rules = "\n".join(f"user {name}\ntopic readwrite affect-edge/#" for name in users)
    with (
        Mosquitto(tmp_path / "mosquitto", users=users, acl=rules) as mosquitto,
        relayed(mosquitto.port) as relay,
    ):
        account = {"port": mosquitto.port, "username": "affect-edge", "password": "a"}
        agent = Appliance(
            tmp_path,
            {
                "device": {"name": "pi"},
                "camera": {"source": "demo"},
                "mqtt": account | {"commands": True},
            },
        )
        study_in(agent.database)

        def send(marker: dict[str, Any]) -> None:
            publish.single(
                "affect-edge/pi/command/marker",
                json.dumps(marker),
                qos=1,
                port=relay.port,
                auth={"username": "lab", "password": "l"},
            )
            lab.wait_for(
                "session", lambda said: (said["marker"] or {}).get("label") == marker["label"]
            )

        with agent, subscribed(mosquitto.port, "lab", "l") as lab:
            agent.wait_for("mqtt: connected")
            pressed = press_all(send, relay)
            wait_for(lambda: len(query(agent.database, "SELECT 1 FROM marker")) == len(pressed))
            assert agent.stop() == 0, agent.said
    assert_times(agent.database, pressed, "mqtt")
