"""The way from a bare appliance to rows in PostgreSQL, by the settings of docs/fleet.md."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("psycopg", reason="pip install -e '.[fleet]'")
pytest.importorskip("cbor2", reason="pip install -e '.[fleet]'")

import psycopg

from edge_agent.appliance.broker_accounts import BrokerAccounts, BrokerFiles, Right
from edge_agent.mqtt.discovery import Device
from tests.docs.pages import ROOT, text_of
from tests.support.appliance import Appliance
from tests.support.broker import Mosquitto, wait_until
from tests.support.fleet.devices import CollectorProcess
from tests.support.fleet.postgres import INSTALL, postgres_programs, running_postgres

pytestmark = [pytest.mark.broker, pytest.mark.skipif(postgres_programs() is None, reason=INSTALL)]
PAGE = text_of("docs/fleet.md")


def documented_settings() -> dict[str, Any]:
    found = re.search(r"^    \[device\]\n(    .*\n)+", PAGE, re.MULTILINE)
    assert found is not None
    return tomllib.loads(found[0].replace("    ", ""))


@pytest.mark.deep
@pytest.mark.timeout(180)
def test_the_documented_way_brings_rows_into_the_database(tmp_path: Path) -> None:
    rules = (ROOT / "container/fleet/rules").read_text()
    files = BrokerFiles(*(tmp_path / name for name in ("fleet.conf", "rules", "accounts")))
    files.settings.touch()
    files.access.write_text(rules)
    files.passwords.touch()
    server = Device("server", "affect-edge", "homeassistant", "0.1.0")
    password = BrokerAccounts(server, files=files, reload=lambda: True).add("room-1", [Right.READ])
    users = {"collector": "one", "room-1": password}
    for name, its_password in users.items():
        (tmp_path / f"{name}.password").write_text(f"{its_password}\n")
    added = files.access.read_text()
    assert added.startswith(rules)
    settings = documented_settings()
    settings["camera"] = {"source": "demo"}
    settings["record"] = {"batch_seconds": 0.5}
    settings["mqtt"] |= {"host": "127.0.0.1", "tls": False}
    del settings["mqtt"]["ca_file"]
    settings["mqtt"]["password_file"] = str(tmp_path / "room-1.password")
    with (
        running_postgres(synced=False) as postgres,
        Mosquitto(tmp_path / "broker", users=users, acl=added) as broker,
    ):
        settings["mqtt"]["port"] = broker.port
        account = (
            "--username",
            "collector",
            "--password-file",
            str(tmp_path / "collector.password"),
        )
        collector = CollectorProcess(
            "one", postgres.address, broker.port, tmp_path / "log", account
        )
        collector.start()
        try:
            with Appliance(tmp_path / "pi", settings) as agent:
                wait_until(lambda: rows_there(postgres.address) > 3, "rows in PostgreSQL")
                assert agent.stop() == 0, agent.said
        finally:
            collector.kill()


def rows_there(address: str) -> int:
    with psycopg.connect(address) as connection:
        if connection.execute("SELECT to_regclass('fleet.expression')").fetchone() == (None,):
            return 0
        row = connection.execute(
            "SELECT count(*) FROM fleet.expression JOIN fleet.stream ON stream.id = stream "
            "WHERE device = 'room-1'"
        ).fetchone()
    assert row is not None
    return int(row[0])
