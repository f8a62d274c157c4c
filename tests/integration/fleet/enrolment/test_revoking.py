"""A device that is put out cannot send any more, at once; its colleague and the collector can."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("psycopg", reason="pip install -e '.[fleet]'")
pytest.importorskip("cbor2", reason="pip install -e '.[fleet]'")

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from edge_agent.appliance.enrolment.broker import revoked_serials
from edge_agent.core.errors import EnrolmentError
from edge_agent.mqtt.connecting.log_in import log_in
from edge_agent.mqtt.connecting.states import ConnectionEndedError
from edge_agent.runtime.mqtt_setup import configured_broker
from tests.support.broker import DEADLINE_S, wait_until
from tests.support.fleet.devices import SimulatedDevice, collecting, rows_here, rows_there
from tests.support.fleet.enrolment import FleetHere, JoiningDevice, fleet_here
from tests.support.fleet.postgres import INSTALL, Postgres, postgres_programs

pytestmark = [
    pytest.mark.deep,
    pytest.mark.broker,
    # paho leaves the socket of a failed handshake
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class Client:
    """A client with what a device was given."""

    def __init__(self, device: JoiningDevice, *, password: bool = True) -> None:
        mqtt = device.settings.mqtt
        self.name = device.settings.device.name
        self.inside, self.outside = threading.Event(), threading.Event()
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=self.name, protocol=paho.MQTTv5
        )
        assert mqtt.ca_file is not None
        certificate = None if mqtt.client_certificate is None else str(mqtt.client_certificate)
        key = None if mqtt.client_key is None else str(mqtt.client_key)
        self._client.tls_set(str(mqtt.ca_file), certificate, key)
        if password:
            broker = configured_broker(mqtt)
            self._client.username_pw_set(broker.username or "", broker.password)
        self._client.will_set(f"affect-edge/{self.name}/status", status("offline"), 1, True)
        self._client.on_connect = lambda *_: self.inside.set()
        self._client.on_disconnect = lambda *_: self.outside.set()
        self._answers: list[str] = []
        self._client.on_publish = lambda *words: self._answers.append(str(words[3]))
        self._client.connect(mqtt.host, mqtt.port)
        self._client.loop_start()
        assert self.inside.wait(DEADLINE_S)

    def send(self, topic: str) -> str:
        """Publish; return what the broker answers."""
        self._answers.clear()
        self._client.publish(topic, b"{}", 1)
        wait_until(lambda: bool(self._answers), "an answer of the broker")
        return self._answers[0]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@contextmanager
def connected(device: JoiningDevice, **how: Any) -> Iterator[Client]:
    client = Client(device, **how)
    try:
        yield client
    finally:
        client.close()


def status(state: str) -> str:
    return json.dumps({"schema": 1, "state": state, "at": None})


def joined(folder: Path, here: FleetHere, *names: str) -> list[JoiningDevice]:
    devices = [JoiningDevice(folder / name) for name in names]
    with here.serving():
        for device, name in zip(devices, names, strict=True):
            device.join(here, here.code(name))
    return devices


def is_let_in(device: JoiningDevice) -> bool:
    with suppress(ConnectionEndedError):
        log_in(configured_broker(device.settings.mqtt), "look")
        return True
    return False


def kept_status(here: FleetHere, name: str) -> Any:
    """Return the status of a device that the broker keeps."""
    got: list[bytes] = []
    reader = paho.Client(CallbackAPIVersion.VERSION2)
    reader.username_pw_set("collector", here.collector_password)
    reader.on_connect = lambda client, *_: client.subscribe(f"affect-edge/{name}/status", 1)
    reader.on_message = lambda _c, _d, message: got.append(bytes(message.payload))
    reader.connect("127.0.0.1", here.options.local_port)
    reader.loop_start()
    try:
        wait_until(lambda: bool(got), "the status that the broker keeps")
    finally:
        reader.disconnect()
        reader.loop_stop()
    return json.loads(got[-1])["state"]


@pytest.mark.parametrize("certificates", [False, True], ids=["accounts", "certificates"])
def test_a_revoked_device_is_cut_off_and_nobody_else(tmp_path: Path, certificates: bool) -> None:
    with fleet_here(tmp_path / "server", certificates=certificates) as here:
        first, second = joined(tmp_path, here, "room-1", "room-2")
        with connected(first) as one, connected(second) as two:
            assert one.send("affect-edge/room-1/timeline") in {"Success", "No matching subscribers"}
            assert one.send("affect-edge/room-2/timeline") == "Not authorized"
            here.fleet.revoke("room-1")
            assert one.outside.wait(DEADLINE_S), "it is still connected"
            assert two.send("affect-edge/room-2/timeline") in {"Success", "No matching subscribers"}
            assert not two.outside.is_set()
        assert not is_let_in(first)
        assert is_let_in(second)
        assert here.states() == {"room-1": "revoked", "room-2": "joined"}
        assert kept_status(here, "room-1") == "offline"
        if certificates:
            serials = revoked_serials(here.place.revoked)
            assert serials is not None
            assert len(serials) == 1
            # its certificate alone opens nothing, with the password of another neither
            text = first.config.read_text(encoding="utf-8")
            mqtt = second.settings.mqtt
            text = text.replace('username = "room-1"', 'username = "room-2"')
            old = str(first.settings.mqtt.password_file)
            first.config.write_text(text.replace(old, str(mqtt.password_file)), encoding="utf-8")
            assert not is_let_in(first)


def test_where_the_certificate_is_the_account_it_cannot_send_at_once_nor_come_back(
    tmp_path: Path,
) -> None:
    more = ["use_identity_as_username true"]
    with fleet_here(tmp_path / "server", certificates=True, more=more) as here:
        first, second = joined(tmp_path, here, "room-1", "room-2")
        with (
            connected(first, password=False) as one,
            connected(second, password=False) as two,
        ):
            topic = "affect-edge/room-1/timeline"
            assert one.send(topic) != "Not authorized"
            here.fleet.revoke("room-1")
            wait_until(lambda: one.send(topic) == "Not authorized", "the rules to be gone")
            assert two.send("affect-edge/room-2/timeline") != "Not authorized"
        assert not is_let_in(first)
        assert is_let_in(second)


def test_a_revoked_device_comes_back_with_another_code_only(tmp_path: Path) -> None:
    with fleet_here(tmp_path / "server", certificates=True) as here:
        (first,) = joined(tmp_path, here, "room-1")
        old = first.config.read_text(encoding="utf-8")
        old_folder = first.folders[0]
        kept = old_folder.rename(tmp_path / "stolen")
        here.fleet.revoke("room-1")
        kept.rename(old_folder)
        code = here.code("room-1")
        assert not is_let_in(first)
        with here.serving():
            first.join(here, code)
        assert is_let_in(first)
        assert first.config.read_text(encoding="utf-8") != old
        assert len(first.folders) == 1
        assert not old_folder.exists()


def test_what_cannot_be_revoked_is_named(tmp_path: Path) -> None:
    with fleet_here(tmp_path / "server") as here:
        here.code("room-1")
        with pytest.raises(EnrolmentError, match="There are: room-1"):
            here.fleet.revoke("room-2")
        with pytest.raises(EnrolmentError, match="was made otherwise"):
            here.code("collector")
        with pytest.raises(EnrolmentError, match="cannot be the name"):
            here.code("room 1")


def test_a_revoked_device_is_told_away_when_the_broker_is_back(tmp_path: Path) -> None:
    with fleet_here(tmp_path / "server") as here:
        (first,) = joined(tmp_path, here, "room-1")
        here.broker.stop()
        here.fleet.revoke("room-1")
        assert not here.fleet.in_force
        here.broker.start()
        assert not is_let_in(first)
        here.fleet.finish_changes()
        assert kept_status(here, "room-1") == "offline"


@pytest.mark.skipif(postgres_programs() is None, reason=INSTALL)
def test_the_collector_gets_the_rows_of_a_joined_device_and_hears_that_it_is_away(
    tmp_path: Path, postgres: Postgres, there: Any
) -> None:
    with fleet_here(tmp_path / "server", certificates=True) as here:
        (room,) = joined(tmp_path, here, "room-1")
        password = tmp_path / "collector.password"
        password.write_text(here.collector_password, encoding="ascii")
        more = ["--username", "collector", "--password-file", str(password)]
        broker = configured_broker(room.settings.mqtt)
        device = SimulatedDevice.make(tmp_path / "data", "room-1", broker)
        device.record(30)
        port = here.options.local_port
        with collecting(tmp_path, postgres.address, port, 1, more):
            device.sender.start()
            try:
                wait_until(lambda: device.is_confirmed, "the rows to be confirmed", 60)
                assert rows_there(there, "room-1") == rows_here(device.path)
                here.fleet.revoke("room-1")
                device.record(30)
                wait_until(lambda: state_there(there) == "offline", "the state in PostgreSQL")
                assert not device.is_confirmed
            finally:
                device.sender.stop()
                assert device.sender.join(60)


def state_there(there: Any) -> str | None:
    row = there.execute("SELECT state FROM fleet.device WHERE name = 'room-1'").fetchone()
    return None if row is None else str(row[0])
