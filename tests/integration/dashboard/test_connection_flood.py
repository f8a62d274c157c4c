"""Crowds of connections that say nothing, little, or too much: the dashboard answers them all."""

from __future__ import annotations

import resource
import signal
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from dashboard.web.guards.connections import PER_ADDRESS
from dashboard.web.options import DashboardOptions
from tests.support.dashboard import DashboardProcess
from tests.support.live_browsers import log_in

PATIENCE_S = 60  # `make security` measures how long it takes
FILES = 1024
"""What a service without ``LimitNOFILE`` may open."""
CROWD_FILES = 4096
"""What the crowd may open; a program may open 1,024 where nobody asks for more."""


@pytest.fixture
def dashboard(tmp_path: Path) -> Iterator[DashboardProcess]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = before[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, most))  # the process inherits it
    process = DashboardProcess(tmp_path)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(CROWD_FILES, most), most))
    with process:
        yield process
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def connect(port: int, source: str = "127.0.0.1", text: bytes = b"") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), PATIENCE_S, (source, 0))
    if text:
        connection.sendall(text)
    return connection


def assert_healthy(dashboard: DashboardProcess) -> None:
    with urllib.request.urlopen(f"{dashboard.address}/healthz", timeout=PATIENCE_S) as answer:
        assert answer.status == 200


def open_files(dashboard: DashboardProcess) -> int:
    return len(list(Path(f"/proc/{dashboard.pid}/fd").iterdir()))


def has_ended(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def test_a_thousand_idle_connections_from_one_address_shut_nobody_out(
    dashboard: DashboardProcess, tmp_path: Path
) -> None:
    stream = log_in(DashboardOptions(data=tmp_path).database, dashboard.port).encode()
    with ExitStack() as crowd:
        page = crowd.enter_context(connect(dashboard.port, text=stream))
        assert b"200 OK" in page.recv(4096)
        for _ in range(1100):
            crowd.enter_context(connect(dashboard.port))
        assert_healthy(dashboard)
        assert open_files(dashboard) < PER_ADDRESS + 60
        assert not has_ended(page), "the operator's open page works on"
    dashboard.stop(signal.SIGTERM, PATIENCE_S)
    assert "too many connections" not in dashboard.output or dashboard.output.count("\n") < 20
