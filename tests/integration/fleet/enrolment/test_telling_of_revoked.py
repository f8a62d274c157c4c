"""That a device is revoked arrives in PostgreSQL and on the page Fleet, whatever was down."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("psycopg", reason="pip install -e '.[fleet]'")
pytest.importorskip("cbor2", reason="pip install -e '.[fleet]'")

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from dashboard.fleet.address import FleetAddress
from dashboard.fleet.connections import FleetDatabase
from dashboard.fleet.device_reader import read_devices
from edge_agent.appliance.enrolment.announcing import announce
from edge_agent.appliance.enrolment.broker import ANNOUNCER
from edge_agent.appliance.enrolment.fleet import FleetEnrolment
from tests.integration.fleet.enrolment.test_revoking import connected, joined
from tests.support.broker import wait_until
from tests.support.fleet.devices import collecting
from tests.support.fleet.enrolment import FleetHere, fleet_here
from tests.support.fleet.postgres import INSTALL, Postgres, postgres_programs

pytestmark = [
    pytest.mark.deep,
    pytest.mark.broker,
    pytest.mark.skipif(postgres_programs() is None, reason=INSTALL),
    # paho leaves the socket of a failed handshake
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
REVOKED = '{"schema": 1, "state": "revoked", "since": "2026-11-20T08:12:10.250Z"}'


@contextmanager
def collector_of(here: FleetHere, folder: Path, postgres: Postgres) -> Iterator[None]:
    password = folder / "collector.password"
    password.write_text(here.collector_password, encoding="ascii")
    more = ["--username", "collector", "--password-file", str(password)]
    with collecting(folder, postgres.address, here.options.local_port, 1, more):
        yield


def enrolment_there(there: Any, name: str) -> str | None:
    known = there.execute("SELECT to_regclass('fleet.device')").fetchone()[0]
    if known is None:
        return None  # the collector has not made its tables yet
    row = there.execute("SELECT enrolment FROM fleet.device WHERE name = %s", (name,)).fetchone()
    return None if row is None else row[0]


def wait_for(there: Any, name: str, state: str) -> None:
    wait_until(lambda: enrolment_there(there, name) == state, f"{name} to be {state}")


def shown(postgres: Postgres) -> dict[str, tuple[str, tuple[str, ...]]]:
    with closing(FleetDatabase(FleetAddress(postgres.address))) as database:
        return {one.name: (one.state, one.reasons) for one in read_devices(database).devices}


def said_as(here: FleetHere, username: str, password: str, messages: dict[str, str]) -> list[str]:
    """Publish retained, as this account; return what the broker answers."""
    answers: list[str] = []
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    client.username_pw_set(username, password)
    client.on_publish = lambda *words: answers.append(str(words[3]))
    client.connect("127.0.0.1", here.options.local_port)
    client.loop_start()
    try:
        for topic, text in messages.items():
            client.publish(topic, text, 1, retain=True)
        wait_until(lambda: len(answers) == len(messages), "answers of the broker")
    finally:
        client.disconnect()
        client.loop_stop()
    return answers


def test_it_is_revoked_and_joined_on_the_page(
    tmp_path: Path, postgres: Postgres, there: Any
) -> None:
    with fleet_here(tmp_path / "server") as here, collector_of(here, tmp_path, postgres):
        (first,) = joined(tmp_path, here, "room-1")
        with connected(first) as device:
            here.fleet.revoke("room-1")
            assert not here.fleet.untold
            assert device.outside.wait(60)
        wait_for(there, "room-1", "revoked")
        assert shown(postgres) == {"room-1": ("revoked", ())}
        row = there.execute(
            "SELECT abs(extract(epoch FROM now() - enrolment_since)) < 60 FROM fleet.device"
        ).fetchone()
        assert row == (True,)
        with here.serving():
            first.join(here, here.code("room-1"))
        assert enrolment_there(there, "room-1") == "revoked", "a code alone changes nothing"
        here.fleet.finish_changes()
        wait_for(there, "room-1", "joined")
        assert shown(postgres)["room-1"][0] != "revoked"


def test_it_arrives_when_the_collector_was_away(
    tmp_path: Path, postgres: Postgres, there: Any
) -> None:
    with fleet_here(tmp_path / "server") as here:
        joined(tmp_path, here, "room-1")
        here.fleet.revoke("room-1")
        with collector_of(here, tmp_path, postgres):
            wait_for(there, "room-1", "revoked")


def test_it_arrives_when_the_broker_was_away_also_after_another_code(
    tmp_path: Path, postgres: Postgres, there: Any
) -> None:
    with fleet_here(tmp_path / "server") as here:
        joined(tmp_path, here, "room-1")
        here.broker.stop()
        here.fleet.revoke("room-1")
        assert here.fleet.untold == ("room-1",)
        here.code("room-1")
        assert here.fleet.untold == ("room-1",)
        here.broker.start()
        here.fleet.tick()  # as the service does each half minute
        assert not here.fleet.untold
        with collector_of(here, tmp_path, postgres):
            wait_for(there, "room-1", "revoked")


def test_a_fleet_of_before_tells_of_its_revoked_devices_without_another_setup(
    tmp_path: Path, postgres: Postgres, there: Any
) -> None:
    with fleet_here(tmp_path / "server") as here:
        joined(tmp_path, here, "room-1", "room-2")
        FleetEnrolment(here.place).revoke("room-1")  # tells nobody
        with closing(sqlite3.connect(here.place.register)) as register, register:
            register.execute("UPDATE device SET announced = 1")
            register.execute("DELETE FROM setting WHERE name = 'told_why'")
        lines = here.place.rules.read_text(encoding="utf-8").splitlines(keepends=True)
        old = "".join(line for line in lines if "enrolment" not in line)
        here.place.rules.write_text(old, encoding="utf-8")
        here.broker.stop()
        here.broker.start()
        again = FleetEnrolment(here.place, announce)
        again.finish_changes()
        assert again.untold == ()
        with collector_of(here, tmp_path, postgres):
            wait_for(there, "room-1", "revoked")
            assert enrolment_there(there, "room-2") != "revoked"


def test_a_broker_that_goes_by_old_rules_is_named_with_what_to_do(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with fleet_here(tmp_path / "server") as here:
        joined(tmp_path, here, "room-1")
        rules = here.place.rules.read_text(encoding="utf-8")
        forbidden = f"user {ANNOUNCER}\ntopic deny affect-edge-fleet/+/enrolment\n"
        here.place.rules.write_text(forbidden + rules, encoding="utf-8")
        here.fleet.revoke("room-1")
        assert here.fleet.untold == ("room-1",)
        assert "sudo systemctl restart mosquitto" in caplog.text
        here.place.rules.write_text(rules, encoding="utf-8")
        here.fleet.tick()
        assert not here.fleet.untold


def test_a_device_cannot_say_it_of_itself_or_another_and_the_collector_cannot_either(
    tmp_path: Path, postgres: Postgres, there: Any
) -> None:
    with fleet_here(tmp_path / "server") as here, collector_of(here, tmp_path, postgres):
        first, _ = joined(tmp_path, here, "room-1", "room-2")
        here.fleet.finish_changes()
        wait_for(there, "room-2", "joined")
        topics = {f"affect-edge-fleet/{name}/enrolment": REVOKED for name in ("room-1", "room-2")}
        file = first.settings.mqtt.password_file
        assert file is not None
        password = file.read_text(encoding="utf-8").strip()
        own = {"affect-edge/room-1/enrolment": REVOKED}  # it may, and nobody believes it
        answers = said_as(here, "room-1", password, topics | own)
        assert answers[:2] == ["Not authorized"] * 2
        assert answers[2] != "Not authorized"
        said = said_as(here, "collector", here.collector_password, topics)
        assert said == ["Not authorized"] * 2
        here.fleet.revoke("room-2")
        wait_for(there, "room-2", "revoked")
        assert enrolment_there(there, "room-1") == "joined"


def test_nonsense_becomes_dead_letters_and_what_comes_after_is_taken(
    tmp_path: Path, postgres: Postgres, there: Any
) -> None:
    with fleet_here(tmp_path / "server") as here, collector_of(here, tmp_path, postgres):
        joined(tmp_path, here, "room-1")
        with closing(sqlite3.connect(here.place.register)) as register:
            (password,) = register.execute(
                "SELECT value FROM setting WHERE name = 'announcer'"
            ).fetchone()
        lies = {
            "noise": "\x00no JSON",
            "unknown": REVOKED.replace("revoked", "banished"),
            "timeless": REVOKED.replace("2026-11", "2026-13"),
            "large": json.dumps({"schema": 1, "more": "x" * 70_000}),
            "n" * 1000: REVOKED,
        }
        messages = {f"affect-edge-fleet/{name}/enrolment": text for name, text in lies.items()}
        time.sleep(1)  # so that some come as they are said, and all once more as kept ones
        said_as(here, ANNOUNCER, password, messages)
        here.fleet.revoke("room-1")
        wait_for(there, "room-1", "revoked")
        letters = dict(there.execute("SELECT device, reason FROM fleet.dead_letter").fetchall())
        assert set(letters) == set(lies) or len(letters) == len(lies), letters
        assert "state: Input should be 'joined' or 'revoked'" in letters["unknown"]
        assert "no usable name" in " ".join(letters.values())
        names = {row[0] for row in there.execute("SELECT name FROM fleet.device")}
        assert names == {"room-1"}
