"""A collector whose database and broker want a password and a certificate, each from a file."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("psycopg", reason="pip install -e '.[fleet]'")
pytest.importorskip("cbor2", reason="pip install -e '.[fleet]'")

import psycopg
from paho.mqtt import publish

from tests.support.broker import Certificates, Mosquitto, wait_until
from tests.support.fleet.postgres import INSTALL, Postgres, postgres_programs, running_postgres

pytestmark = [pytest.mark.broker, pytest.mark.skipif(postgres_programs() is None, reason=INSTALL)]
ROOT = Path(__file__).resolve().parents[4]


def ask_for_a_password(server: Postgres, password: str) -> None:
    """Make the account ``collector``, which nobody is without its password."""
    with psycopg.connect(server.address, autocommit=True) as owner:
        owner.execute(f"CREATE ROLE collector LOGIN PASSWORD '{password}'")
        owner.execute("GRANT CREATE ON DATABASE postgres TO collector")
        rules = server.folder / "data/pg_hba.conf"
        rules.write_text("local all collector scram-sha-256\n" + rules.read_text())
        owner.execute("SELECT pg_reload_conf()")


def has_tables(server: Postgres) -> bool:
    with psycopg.connect(server.address) as owner:
        row = owner.execute("SELECT to_regclass('fleet.stream') IS NOT NULL").fetchone()
        return bool(row and row[0])


def is_told(log: Path, text: str, broker: Mosquitto, ours: Certificates) -> bool:
    """Send something, for who gets nothing needs no database; tell whether the log has a text."""
    publish.single(
        "affect-edge/lab/timeline",
        "nonsense",
        qos=1,
        hostname="127.0.0.1",
        port=broker.port,
        tls={"ca_certs": str(ours.ca), "certfile": str(ours.certificate), "keyfile": str(ours.key)},
    )
    return text in log.read_text()


def test_it_logs_in_by_files_and_takes_password_that_was_changed_meanwhile(tmp_path: Path) -> None:
    ours = Certificates.make(tmp_path / "tls", "IP:127.0.0.1")
    secret = tmp_path / "database.password"
    secret.write_text("of before\n")
    rules = {"require_certificate": "true", "cafile": ours.ca}
    log = tmp_path / "collector.log"
    with running_postgres(synced=False) as server:
        ask_for_a_password(server, "of now")
        address = server.address.replace("//fleet@", "//collector@")
        with Mosquitto(tmp_path / "broker", certificates=ours, limits=rules) as broker:
            command = [sys.executable, "-m", "edge_agent", "collect", "--database", address]
            command += ["--database-password-file", str(secret), "--port", str(broker.port)]
            command += ["--tls", "--ca-file", str(ours.ca)]
            command += ["--client-certificate", str(ours.certificate)]
            command += ["--client-key", str(ours.key)]
            with log.open("wb") as told:
                collector = subprocess.Popen(command, stderr=told, cwd=ROOT)
            told_us = partial(is_told, log, "password authentication failed", broker, ours)
            try:
                wait_until(told_us, "a no")
                secret.write_text("of now\n")
                wait_until(lambda: has_tables(server), "its tables")
            finally:
                collector.terminate()
                assert collector.wait(60) == 0
    assert "of now" not in log.read_text()
