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

from dashboard.web.guards.connections import PER_ADDRESS, TOTAL
from dashboard.web.settings import DashboardOptions
from tests.support.dashboard import DashboardProcess
from tests.support.live_browsers import log_in
from tests.support.security.crowd import addresses

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


def test_streams_of_one_log_in_leave_a_place_for_health_and_for_pages(
    dashboard: DashboardProcess, tmp_path: Path
) -> None:
    stream = log_in(DashboardOptions(data=tmp_path).database, dashboard.port).encode()
    with ExitStack() as crowd:
        heads = []
        for source in addresses(3):
            for _ in range(85):
                one = crowd.enter_context(connect(dashboard.port, source, stream))
                heads.append(one.recv(12))
        assert (heads.count(b"HTTP/1.1 200"), heads.count(b"HTTP/1.1 429")) == (30, 225)
        assert_healthy(dashboard)
        with connect(
            dashboard.port, "127.0.6.1", b"GET /login HTTP/1.1\r\nHost: x\r\n\r\n"
        ) as page:
            assert page.recv(12) != b""


def test_crowds_from_many_addresses_leave_a_place_for_others(dashboard: DashboardProcess) -> None:
    with ExitStack() as crowd:
        for source in addresses(20):
            for _ in range(PER_ADDRESS // 2):
                crowd.enter_context(connect(dashboard.port, source, b"GET /healthz HTTP/1.1\r\n"))
        assert_healthy(dashboard)
        assert open_files(dashboard) < TOTAL + 60
        for _ in range(50):
            with connect(dashboard.port, "127.0.6.1", b"\x16\x03\x01 nonsense\r\n\r\n") as odd:
                assert b"400" in odd.recv(100)
    dashboard.stop(signal.SIGTERM, PATIENCE_S)
    assert len(dashboard.output) < 10_000
