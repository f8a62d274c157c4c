"""What the collector keeps of the state of devices: the newest, and never an older one."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("psycopg", reason="pip install -e '.[fleet]'")
pytest.importorskip("cbor2", reason="pip install -e '.[fleet]'")

import psycopg
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from collector.database.devices import note_states
from collector.worker import Collector
from edge_agent.mqtt.payloads import status_payload
from tests.support.broker import Mosquitto, wait_until
from tests.support.fleet import states
from tests.support.fleet.devices import collecting
from tests.support.fleet.played_broker import PlayedBroker
from tests.support.fleet.postgres import INSTALL, Postgres, postgres_programs
from tests.support.fleet.states import status

pytestmark = pytest.mark.skipif(postgres_programs() is None, reason=INSTALL)
NOON_MS = 1_795_176_000_000
online = partial(status, "room", "online")
offline = partial(status, "room", "offline")
health = partial(states.health, "room")


def known(there: Any, *columns: str) -> tuple[Any, ...]:
    """Return what is known of the device, times in seconds ago."""
    shown = (
        f"round(extract(epoch FROM now() - {one}))::int" if one in _TIMES else one
        for one in columns
    )
    row = there.execute(f"SELECT {', '.join(shown)} FROM fleet.device").fetchone()
    assert row is not None
    return tuple(row)


_TIMES = frozenset({"heard", "since", "state_heard", "health_heard"})


def test_the_newest_state_and_health_are_there(there: Any) -> None:
    note_states(there, [online(NOON_MS, ago_s=60), health(NOON_MS + 5000, ago_s=20)])
    assert known(there, "name", "state", "state_at", "since", "heard", "version", "health_at") == (
        *("room", "online", NOON_MS, 60, 20, "0.1.0", NOON_MS + 5000),
    )
    note_states(there, [offline(None)])
    assert known(there, "state", "state_at", "since", "heard") == ("offline", None, 0, 20)
    stored = there.execute("SELECT health->'disk'->>'free_percent' FROM fleet.device").fetchone()
    assert stored == ("71.5",)


def test_a_collector_that_writes_late_changes_nothing(there: Any) -> None:
    note_states(there, [offline(None), health(NOON_MS + 60_000, ago_s=1)])
    note_states(there, [online(NOON_MS, ago_s=30), health(NOON_MS, ago_s=30)])
    assert known(there, "state", "health_at", "heard") == ("offline", NOON_MS + 60_000, 1)


def test_retained_state_does_not_replace_a_newer_one(there: Any) -> None:
    note_states(there, [online(NOON_MS, ago_s=9), health(NOON_MS, ago_s=9)])
    old = NOON_MS - 3_600_000
    note_states(there, [offline(old, kept=True), health(old, kept=True, version="0.0.9")])
    assert known(there, "state", "version", "heard") == ("online", "0.1.0", 9)


def test_retained_state_replaces_an_older_one(there: Any) -> None:
    note_states(there, [online(NOON_MS, ago_s=900), health(NOON_MS, ago_s=900)])
    note_states(there, [offline(None, kept=True), health(NOON_MS + 60_000, kept=True)])
    assert known(there, "state", "since", "health_at", "health_kept", "heard") == (
        *("offline", None, NOON_MS + 60_000, True, 900),
    )


def test_message_heard_live_after_a_kept_one_is_a_sign_of_life(there: Any) -> None:
    note_states(there, [online(NOON_MS, kept=True), health(NOON_MS, kept=True, version="0.1.1")])
    before = known(there, "state", "version", "health_kept", "since")
    assert known(there, "heard") == (None,)
    note_states(there, [online(NOON_MS, ago_s=40), health(NOON_MS, ago_s=50)])
    assert known(there, "state", "version", "health_kept", "since") == before
    assert known(there, "heard") == (40,)


def test_since_when_stays_as_long_as_the_state_does(there: Any) -> None:
    note_states(there, [online(NOON_MS, ago_s=500)])
    note_states(there, [online(NOON_MS, kept=True)])
    assert known(there, "since", "state_heard") == (500, 0)
    note_states(there, [online(NOON_MS + 450_000, ago_s=0)])
    assert known(there, "since") == (0,)


def test_a_clock_that_was_put_back_is_believed_when_it_is_heard_now(there: Any) -> None:
    note_states(there, [offline(NOON_MS, ago_s=60), health(NOON_MS, ago_s=60)])
    note_states(there, [online(5000), health(6000)])
    assert known(there, "state", "health_at") == ("online", 6000)


def test_a_mistake_that_comes_every_minute_is_one_dead_letter(there: Any) -> None:
    for minute in range(3):
        note_states(there, [health(NOON_MS + minute, version=7)])
    letters = there.execute("SELECT device, reason, times FROM fleet.dead_letter").fetchall()
    assert letters == [("room", "is no health: version: Input should be a valid string", 3)]
    assert there.execute("SELECT count(*) FROM fleet.device").fetchone() == (0,)


@pytest.mark.parametrize("odd", [b'"\\ud800"', b"NaN", b"[" * 60 + b"]" * 60, b"1e999"])
def test_what_only_postgresql_refuses_is_set_aside_and_others_are_written(
    there: Any, odd: bytes
) -> None:
    good = health(NOON_MS)
    payload = good.payload.replace(b'"uptime_seconds": 86400.0', b'"uptime_seconds": ' + odd)
    other = states.said("hall", "health", payload)
    broker = PlayedBroker()
    broker.said = [other, good]
    collector = Collector(broker, lambda: psycopg.connect(there.info.dsn, autocommit=True))
    broker.collector = collector
    collector.run()
    assert known(there, "name") in {("room",), ("hall",)}
    names = {row[0] for row in there.execute("SELECT name FROM fleet.device")}
    letters = {row[0] for row in there.execute("SELECT device FROM fleet.dead_letter")}
    assert (names, letters) in [({"room"}, {"hall"}), ({"room", "hall"}, set())]


class Device:
    """A device as far as the broker sees it: it greets, tells its health, and may vanish."""

    def __init__(self, name: str, port: int) -> None:
        self._name = name
        self._base = f"affect-edge/{name}"
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id=name)
        will = status_payload("offline", None).encode()
        self._client.will_set(f"{self._base}/status", will, qos=1, retain=True)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        wait_until(self._client.is_connected, "a connection")
        self.greet()

    def greet(self) -> None:
        online = status_payload("online", time.time_ns() // 1_000_000).encode()
        self._client.publish(f"{self._base}/status", online, qos=1, retain=True).wait_for_publish(5)

    def tell(self) -> None:
        content = states.health(self._name, time.time_ns() // 1_000_000).payload
        told = self._client.publish(f"{self._base}/health", content, qos=1, retain=True)
        told.wait_for_publish(5)

    def vanish(self) -> None:
        """End as a power cut would: the broker sends the last will."""
        sock = self._client.socket()
        assert sock is not None
        self._client.loop_stop()
        sock.close()


@pytest.mark.broker
def test_over_a_real_broker_two_collectors_know_who_is_there(
    tmp_path: Path, postgres: Postgres, there: Any
) -> None:
    def state(name: str) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = there.execute(
            "SELECT state, heard IS NOT NULL, version FROM fleet.device WHERE name = %s", (name,)
        ).fetchone()
        return row

    with Mosquitto(tmp_path / "broker") as broker:
        gone = Device("attic", broker.port)
        gone.tell()
        gone.vanish()
        with collecting(tmp_path, postgres.address, broker.port, 2) as collectors:
            # what the broker has kept: no sign of life, but its version is known
            wait_until(lambda: state("attic") == ("offline", False, "0.1.0"), "what was kept")
            room = Device("room", broker.port)
            room.tell()
            wait_until(lambda: state("room") == ("online", True, "0.1.0"), "a device")
            collectors[0].kill()
            room.vanish()
            wait_until(lambda: state("room") == ("offline", True, "0.1.0"), "the last will")
    assert there.execute("SELECT count(*) FROM fleet.dead_letter").fetchone() == (0,)
