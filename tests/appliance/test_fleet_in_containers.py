"""A fleet's server in containers, really run: by ``make test-all`` where podman runs.

It needs what tests/appliance/in_containers.py needs. Appliances are databases and senders of this
machine, which reach the broker by its published port, as appliances elsewhere do.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import psycopg
import pytest

from edge_agent.config.mqtt import MqttSettings
from tests.appliance.composition import ROOT, Composition, needs_podman
from tests.appliance.engine import build_words, engine_settings
from tests.support.broker import free_port, wait_until
from tests.support.fleet.devices import SimulatedDevice, rows_here, rows_there

PORT = free_port()
BROKER_PORT = free_port()
PARTS = ("broker", "database", "collector-1", "collector-2", "dashboard")
SETTINGS = {
    "AFFECT_EDGE_PORT": str(PORT),
    "AFFECT_EDGE_BROKER_PORT": str(BROKER_PORT),
    "AFFECT_EDGE_BROKER_ADDRESS": "127.0.0.1",
}
FLEET = Composition("affect-edge-fleet-test", "container/fleet/compose.yaml", SETTINGS)
NO_NAMES = (
    "containers do not find each other by name here (Debian 12: apt install "
    "golang-github-containernetworking-plugin-dnsname; elsewhere netavark and aardvark-dns)"
)
# Building the images takes minutes.
pytestmark = [pytest.mark.deep, pytest.mark.timeout(1800), needs_podman]


@pytest.fixture(scope="module", autouse=True)
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The containers, built and up, and the folder of their secrets; nothing of them is left."""
    folder = tmp_path_factory.mktemp("engine")
    secrets = folder / "secrets"
    secrets.mkdir()
    SETTINGS.update(engine_settings(folder), AFFECT_EDGE_SECRETS=str(secrets))
    skip_without_names()  # before the build, which takes minutes
    SETTINGS["ARGS"] = build_words(folder)
    try:
        serve("room-1")
        FLEET.wait_until_healthy(*PARTS)
        yield secrets
    finally:
        FLEET.compose("down", "--volumes")
        FLEET.run("podman", "network", "rm", f"{FLEET.name}_default", check=False)


def serve(*devices: str) -> None:
    """Start the server by the documented command."""
    words = ("NAME=localhost", f"DEVICES={' '.join(devices)}", f"ARGS={SETTINGS['ARGS']}")
    FLEET.run("make", "fleet-server", *words, f"COMPOSE=podman-compose -p {FLEET.name}")


def skip_without_names() -> None:
    """Skip where podman makes no network in which containers find each other by name."""
    network = f"{FLEET.name}-names"
    FLEET.run("podman", "network", "create", network, check=False)
    known = json.loads(FLEET.run("podman", "network", "inspect", network, check=False) or "[]")
    FLEET.run("podman", "network", "rm", network, check=False)
    if not known:
        pytest.skip("podman makes no network here; it needs root, or an account set up for it")
    if not known[0]["dns_enabled"]:
        pytest.skip(NO_NAMES)


@contextmanager
def appliance(folder: Path, secrets: Path, name: str) -> Iterator[SimulatedDevice]:
    """One that reports with the account and the authority that were made for it."""
    password = (secrets / f"appliances/{name}.password").read_text().strip()
    broker = MqttSettings(
        host="localhost",
        port=BROKER_PORT,
        username=name,
        password=password,
        tls=True,
        ca_file=secrets / "ca.pem",
    )
    device = SimulatedDevice.make(folder / name, name, broker)
    device.record(30)
    device.sender.start()
    try:
        yield device
    finally:
        device.sender.stop()
        device.sender.join(10)


@contextmanager
def database(secrets: Path) -> Iterator[psycopg.Connection]:
    """A connection from this machine; the port of the database is open to nobody elsewhere."""
    password = (secrets / "reader.database").read_text().strip()
    addresses = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"
    asked = ("podman", "inspect", FLEET.container("database"), "--format", addresses)
    where = FLEET.run(*asked).split()[0]
    with psycopg.connect(
        host=where, dbname="fleet", user="reader", password=password, autocommit=True
    ) as connection:
        yield connection


def wait_for_rows(device: SimulatedDevice, secrets: Path) -> None:
    """Wait until all is confirmed, and compare what is there with what is here."""
    wait_until(lambda: device.is_confirmed, f"the rows of {device.name}")
    with database(secrets) as connection:
        assert rows_there(connection, device.name) == rows_here(device.path)


@pytest.mark.parametrize("part", PARTS)
def test_nobody_is_root_and_no_program_can_be_written(part: str) -> None:
    assert FLEET.inside(part, "id", "--user").strip() == "990"
    assert FLEET.about(part, "HostConfig.ReadonlyRootfs") == "true"
    assert FLEET.inside(part, "sh", "-c", "touch /opt/x 2>&1 || true").endswith("file system\n")


@pytest.mark.parametrize("part", PARTS)
def test_no_secret_stands_in_a_command_or_in_the_environment(part: str, secrets: Path) -> None:
    known = FLEET.run("podman", "inspect", FLEET.container(part)) + FLEET.log(part)
    files = [*secrets.glob("*.database"), *secrets.rglob("*.password")]
    assert len(files) == 4
    for file in files:
        assert file.read_text().strip() not in known


def test_what_an_appliance_records_lies_in_postgresql_row_for_row(
    secrets: Path, tmp_path: Path
) -> None:
    with appliance(tmp_path, secrets, "room-1") as device:
        device.record(20)
        wait_for_rows(device, secrets)


def test_the_rows_can_be_copied_as_documented() -> None:
    command = "podman-compose --file container/fleet/compose.yaml exec database "
    page = (ROOT / "docs/fleet.md").read_text()
    (words,) = re.findall(rf"`{re.escape(command)}([^`]*)`", page)
    copy = FLEET.inside("database", *words.split())
    assert "CREATE TABLE fleet.stream " in copy
    assert "room-1" in copy


def test_the_dashboard_shows_the_appliance(secrets: Path) -> None:
    browser, _ = FLEET.first_account(PORT)
    where = f"https://127.0.0.1:{PORT}"
    with browser.open(f"{where}/api/v1/fleet") as answer:
        assert "room-1" in {device["name"] for device in json.load(answer)["devices"]}
    with browser.open(f"{where}/fleet") as answer:
        assert "room-1" in answer.read().decode()


@pytest.mark.parametrize("away", ["database", "broker"])
def test_what_is_away_makes_collectors_unhealthy_and_loses_nothing(
    away: str, secrets: Path, tmp_path: Path
) -> None:
    with appliance(tmp_path, secrets, "room-1") as device:
        wait_for_rows(device, secrets)
        FLEET.run("podman", "stop", "--time", "30", FLEET.container(away))
        assert FLEET.about(away, "State.ExitCode") == "0"
        for part in ("collector-1", "collector-2"):
            is_ill = partial(lambda one: not FLEET.is_healthy(one), part)
            wait_until(is_ill, f"{part} to say that {away} is away")
        device.record(20)
        FLEET.run("podman", "start", FLEET.container(away))
        FLEET.wait_until_healthy(*PARTS)
        wait_for_rows(device, secrets)


def test_another_appliance_is_let_in_and_all_that_was_there_stays(
    secrets: Path, tmp_path: Path
) -> None:
    before = (secrets / "appliances/room-1.password").read_text()
    serve("room-2")
    FLEET.wait_until_healthy(*PARTS)
    assert (secrets / "appliances/room-1.password").read_text() == before
    for name in ("room-1", "room-2"):
        with appliance(tmp_path, secrets, name) as device:
            wait_for_rows(device, secrets)


def test_killed_collectors_come_back_and_accounts_stay(secrets: Path, tmp_path: Path) -> None:
    with appliance(tmp_path, secrets, "room-1") as device:
        for part in ("collector-1", "collector-2"):
            with suppress(ProcessLookupError):
                os.kill(int(FLEET.about(part, "State.Pid")), 9)
        wait_until(lambda: FLEET.about("collector-1", "RestartCount") == "1", "it again")
        wait_for_rows(device, secrets)
    assert "Setup code" not in FLEET.log("dashboard")
