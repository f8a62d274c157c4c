"""How a collector stands, asked as a container engine does: by a command and its exit code."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("psycopg", reason="pip install -e '.[fleet]'")
pytest.importorskip("cbor2", reason="pip install -e '.[fleet]'")

import psycopg

from edge_agent.fleet.collector_health import read_problem
from tests.support.broker import Mosquitto, wait_until
from tests.support.fleet.devices import CollectorProcess, collecting
from tests.support.fleet.postgres import INSTALL, Postgres, postgres_programs

pytestmark = [pytest.mark.broker, pytest.mark.skipif(postgres_programs() is None, reason=INSTALL)]
ROOT = Path(__file__).resolve().parents[4]


@contextmanager
def watched(tmp_path: Path, server: Postgres, port: int) -> Iterator[tuple[CollectorProcess, Path]]:
    file = tmp_path / "collector.json"
    more = ["--health-file", str(file)]
    with collecting(tmp_path, server.address, port, 1, more) as (collector,):
        wait_until(lambda: read_problem(file) == "", "a collector that works")
        yield collector, file


def becomes(file: Path, text: str) -> None:
    """Wait for a problem; an empty text: for none."""
    said = partial(read_problem, file)
    wait_until(lambda: (text in said()) if text else not said(), f"{text!r}: {said()}")


def asked(*words: str) -> tuple[int, str]:
    """Return what the command says, and its exit code."""
    command = [sys.executable, "-m", "edge_agent", "health", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    return done.returncode, done.stdout + done.stderr


def test_a_broker_or_database_that_ends_is_reported_and_that_it_is_back(
    tmp_path: Path, postgres: Postgres, broker: Mosquitto
) -> None:
    with watched(tmp_path, postgres, broker.port) as (collector, file):
        assert asked("--collector", str(file)) == (0, "collector: works\n")
        broker.kill()
        becomes(file, f"127.0.0.1:{broker.port}: ")
        code, said = asked("--collector", str(file))
        assert code == 1
        assert said.startswith(f"collector: 127.0.0.1:{broker.port}: ")
        assert "(since 20" in said
        broker.start()
        becomes(file, "")
        postgres.stop("immediate")
        becomes(file, "PostgreSQL: ")
        postgres.start()
        becomes(file, "")
        assert collector.stop() == 0
        code, said = asked("--collector", str(file))
        assert code == 1
        assert "it does not run, or was not told --health-file" in said


@pytest.mark.deep
def test_collector_that_hangs_and_goes_on_is_reported(
    tmp_path: Path, postgres: Postgres, broker: Mosquitto
) -> None:
    with watched(tmp_path, postgres, broker.port) as (collector, file):
        broker.freeze()
        becomes(file, "t")
        broker.thaw()
        becomes(file, "")
        assert collector.pid is not None
        for process, said in (
            (process_at(postgres), "waits for an answer"),
            (collector.pid, "it has said nothing for"),
        ):
            os.kill(process, signal.SIGSTOP)
            try:
                becomes(file, said)
            finally:
                os.kill(process, signal.SIGCONT)
            becomes(file, "")


def process_at(postgres: Postgres) -> int:
    """Return the process of the server that answers the collector."""
    with psycopg.connect(postgres.address) as connection:
        row = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'collector-0'"
        ).fetchone()
    assert row is not None
    return int(row[0])


def test_a_collector_says_so_that_cannot_write_its_file(
    tmp_path: Path, postgres: Postgres, broker: Mosquitto
) -> None:
    file = tmp_path / "none" / "collector.json"
    words = ["--database", postgres.address, "--port", str(broker.port)]
    command = [sys.executable, "-m", "edge_agent", "collect", *words, "--health-file", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 1
    assert f"--health-file {file}: cannot be written" in done.stderr


@pytest.mark.deep
def test_collector_with_unwritable_health_file_goes_on_and_file_grows_old(
    tmp_path: Path, postgres: Postgres, broker: Mosquitto
) -> None:
    with watched(tmp_path, postgres, broker.port) as (collector, file):
        (tmp_path / "collector.json.part").mkdir()  # what no rename gets past
        becomes(file, "it has said nothing for")
        assert (tmp_path / "collector-0.log").read_text().count("cannot be written") == 1
        (tmp_path / "collector.json.part").rmdir()
        becomes(file, "")
        assert collector.stop() == 0


def test_systemd_hears_that_it_runs_and_what_is_away(
    tmp_path: Path, postgres: Postgres, broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))

        def hear(text: str) -> None:
            while text not in systemd.recv(10_000).decode():
                pass

        with collecting(tmp_path, postgres.address, broker.port, 1) as (collector,):
            hear("READY=1")
            hear("STATUS=broker and PostgreSQL answer")
            hear("WATCHDOG=1")
            broker.stop()
            hear(f"STATUS=127.0.0.1:{broker.port}")
            hear("WATCHDOG=1")
            assert collector.stop() == 0
            hear("STOPPING=1")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"problem": ""}',
        "\0\xff",
        json.dumps(dict.fromkeys(("boot", "at_ms", "holds_s", "problem", "since_ms"), None)),
        json.dumps({"boot": "", "at_ms": 1, "holds_s": 9, "problem": "", "since_ms": 10**30}),
    ],
)
def test_a_file_that_no_collector_wrote_is_no_good_sign(tmp_path: Path, text: str) -> None:
    file = tmp_path / "collector.json"
    file.write_text(text)
    assert read_problem(file) == f"{file} was not written by a collector"


def test_what_a_collector_said_before_the_machine_started_counts_no_more(tmp_path: Path) -> None:
    file = tmp_path / "collector.json"
    said = {"boot": "another", "at_ms": 1, "holds_s": 1e9, "problem": "", "since_ms": 0}
    file.write_text(json.dumps(said))
    assert "has not run since the machine started" in read_problem(file)
    assert "cannot be read" in read_problem(tmp_path)
    code, said_of_both = asked("agent", "--collector", str(file))
    assert code == 2
    assert "not about both" in said_of_both
