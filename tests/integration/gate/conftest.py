"""A gate in a process of its own, as systemd starts it, over a database of this folder."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.gate.client import use_gate
from tests.support.broker import wait_until


class Gate:
    """A running ``affect-edge database-gate``."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.database = folder / DATABASE_NAME
        self.address = folder / "run" / "database.sock"
        self._command = [
            *(sys.executable, "-m", "edge_agent", "database-gate"),
            *("--data", str(folder), "--socket", str(self.address)),
            *words,
        ]
        self.process = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(self._command)
        wait_until(self._answers, "the gate")
        return process

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as tried:
            return tried.connect_ex(str(self.address)) == 0

    def kill(self) -> None:
        """End it as a crash does."""
        self.process.kill()
        self.process.wait(60)

    def start_again(self) -> None:
        """Start it where it was killed."""
        self.process = self._started()


@contextmanager
def running_gate(folder: Path, *words: str) -> Iterator[Gate]:
    """Start a gate over the database of a folder, with more options, and end it."""
    gate = Gate(folder, *words)
    try:
        yield gate
    finally:
        if gate.process.poll() is None:
            gate.process.send_signal(signal.SIGTERM)
            assert gate.process.wait(60) == 0
        use_gate(gate.database, None)


@contextmanager
def written_through(folder: Path, *words: str) -> Iterator[Gate]:
    """A gate over a new database; this process writes through it."""
    migrate(folder / DATABASE_NAME)
    with running_gate(folder, *words) as running:
        use_gate(running.database, running.address)
        yield running


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """A gate of a test's own."""
    with written_through(tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def shared_gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    """A gate of tests that leave nothing behind."""
    with written_through(tmp_path_factory.mktemp("gate")) as running:
        yield running
