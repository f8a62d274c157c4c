"""Listening, greeting and ending; the command line."""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from starlette.concurrency import run_in_threadpool

from dashboard.__main__ import main
from dashboard.web.options import DashboardOptions
from dashboard.web.server import (
    GIVING_BACK_SECONDS,
    TICKS_A_SECOND,
    DashboardServer,
    end_idle_threads,
    listen,
    make_server,
)
from edge_agent.core.errors import ConfigError, ServerError
from edge_agent.timeline.database.dashboard_file import SWEPT_S
from tests.support.broker import free_port, wait_until
from tests.support.dashboard import DashboardProcess

DEADLINE_S = 60.0


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a self-signed certificate in the way that the dashboard's message proposes."""
    cert = folder / "cert.pem"
    key = folder / "key.pem"
    words = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=affect-edge",
    ]
    subprocess.run(
        [*words, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True
    )
    return cert, key


@contextmanager
def running(options: DashboardOptions) -> Iterator[tuple[DashboardServer, tuple[str, int]]]:
    """Run a server; yield it and its address."""
    with listen("127.0.0.1", 0) as listener:
        server = make_server(options)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            wait_until(lambda: server.started, "the server to start", DEADLINE_S)
            yield server, listener.getsockname()
        finally:
            server.handle_exit(signal.SIGTERM, None)
            thread.join(DEADLINE_S)
            assert not thread.is_alive()
            server.services.close()


def test_a_taken_port_is_named_with_another_to_choose(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(
            ServerError, match=rf"Port {port} on 127.0.0.1 is taken .* --port {port + 1}"
        ):
            listen("127.0.0.1", port)
        assert main(["--data", str(tmp_path / "new"), "--port", str(port)]) == 1
    assert f"Port {port}" in capfd.readouterr().err
    assert not (tmp_path / "new").exists(), "nothing half-done: the folder was not made"


@pytest.mark.parametrize(
    ("host", "said"),
    [("192.0.2.1", "192.0.2.1 is no address of this machine"), ("x.invalid", "no such address")],
)
def test_an_address_that_is_not_ours_is_refused(host: str, said: str) -> None:
    with pytest.raises(ServerError, match=said):
        listen(host, 8080)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(13, "Permission denied"), "ports below 1024"),
        (OSError(105, "No buffer space available"), "No buffer space available"),
    ],
)
def test_what_the_system_refuses_is_explained(
    monkeypatch: pytest.MonkeyPatch, error: OSError, said: str
) -> None:
    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(ServerError, match=said):
        listen("127.0.0.1", 80)


def test_a_running_server_answers_and_ends_in_order(tmp_path: Path) -> None:
    with running(DashboardOptions(data=tmp_path)) as (server, (host, port)):
        address = f"http://{host}:{port}/healthz"
        with urllib.request.urlopen(address, timeout=DEADLINE_S) as answer:
            assert answer.status == 200
            assert "server" not in answer.headers
    assert server.services.stopping.is_set()


@pytest.mark.parametrize(
    "lengths",
    [
        b"Content-Length: 4\r\nContent-Length: 40",
        b"Content-Length: 4, 40",
        b"Content-Length: -4",
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: chunked, identity",
    ],
)
def test_a_request_with_an_ambiguous_length_is_refused(tmp_path: Path, lengths: bytes) -> None:
    with (
        running(DashboardOptions(data=tmp_path)) as (_, address),
        socket.create_connection(address, timeout=DEADLINE_S) as sender,
    ):
        sender.sendall(b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\n" + lengths + b"\r\n\r\nname")
        answer = sender.recv(4096)
    assert answer.split()[1] in {b"400", b"501"}, answer
    assert b"Connection: close" in answer or b"connection: close" in answer


def test_a_certificate_is_used_and_a_broken_one_named(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    assert make_server(DashboardOptions(data=tmp_path, certificate=cert, key=key)).config.is_ssl
    key.write_text("nonsense")
    with pytest.raises(
        ConfigError, match=r"cert.pem.*key.pem.*must be PEM files that belong together"
    ):
        make_server(DashboardOptions(data=tmp_path, certificate=cert, key=key))


def test_no_suite_with_cbc_is_agreed_on(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    offered = make_server(DashboardOptions(data=tmp_path, certificate=cert, key=key)).config.ssl
    assert offered is not None
    names = [str(suite["name"]) for suite in offered.get_ciphers()]
    assert names and all("GCM" in name or "CHACHA20" in name for name in names), names


def test_a_renewed_certificate_is_taken_without_a_restart(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    with running(DashboardOptions(data=tmp_path, certificate=cert, key=key)) as (server, address):
        first = ssl.get_server_certificate(address)
        certificate(tmp_path)
        asyncio.run(server.on_tick(0))
        second = ssl.get_server_certificate(address)
        key.write_text("nonsense")
        cert.touch()
        asyncio.run(server.on_tick(0))
        third = ssl.get_server_certificate(address)
    assert first != second and second == third
    assert second == cert.read_text()


def test_memory_of_single_pages_is_given_back_at_its_ticks_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[str] = []
    monkeypatch.setattr("dashboard.web.server.give_back", lambda: given.append("back"))
    with running(DashboardOptions(data=tmp_path)) as (server, _):
        wait_until(lambda: bool(given), "the first tick has come")
        given.clear()
        tick = GIVING_BACK_SECONDS * TICKS_A_SECOND
        for counter in (tick - 1, tick, tick + 1):
            asyncio.run(server.on_tick(counter))
    assert given == ["back"]


def test_leftovers_of_interruptions_are_swept_each_hour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept: list[Path] = []
    monkeypatch.setattr("dashboard.web.server.sweep", lambda options: swept.append(options.data))
    with running(DashboardOptions(data=tmp_path)) as (server, _):
        wait_until(lambda: bool(swept), "the first tick has come")
        swept.clear()
        tick = SWEPT_S * TICKS_A_SECOND
        for counter in (tick - 1, tick, tick + 1):
            asyncio.run(server.on_tick(counter))
    assert swept == [tmp_path]


def test_systemd_hears_that_the_dashboard_is_ready_and_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        with running(DashboardOptions(data=tmp_path)):
            told = [systemd.recv(100).decode() for _ in range(2)]
    assert told == ["READY=1", "WATCHDOG=1"]


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["--port", "99999"], 2, "99999"),
        (["--host", "0.0.0.0"], 2, "reachable from other machines"),
        (["--config", "no.toml"], 2, "no.toml: no such file"),
        (["--certificate", "c.pem"], 2, "go together"),
    ],
)
def test_wrong_use_ends_with_exit_code_2_and_a_sentence(
    words: list[str], code: int, text: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["--data", str(tmp_path), *words]) == code
    said = capfd.readouterr().err
    assert text in said and "Traceback" not in said


def test_a_database_that_is_none_ends_with_exit_code_1(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "affect-edge.db").write_text("these are notes, and no database " * 50)
    assert main(["--data", str(tmp_path), "--port", str(free_port())]) == 1
    assert "is not a database" in capfd.readouterr().err


def test_an_open_stream_does_not_hold_up_an_interrupt_and_exit_code_is_0(tmp_path: Path) -> None:
    with DashboardProcess(tmp_path, "--login-link") as dashboard:
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        opener.open(dashboard.login_link, timeout=60).close()
        with opener.open(f"{dashboard.address}/api/v1/live", timeout=60) as stream:
            assert stream.readline() == b"retry: 2000\n"
            assert dashboard.stop(signal.SIGINT, within_s=DEADLINE_S) == 0
    assert "Traceback" not in dashboard.output and "ERROR" not in dashboard.output


def test_the_first_start_prints_a_setup_code_and_sigterm_ends_it_in_order(tmp_path: Path) -> None:
    with DashboardProcess(tmp_path / "new") as dashboard:
        assert dashboard.setup_code.count("-") == 2
        assert f"Dashboard: {dashboard.address}\n" in dashboard.output
        assert dashboard.stop(signal.SIGTERM, within_s=DEADLINE_S) == 0


def test_threads_that_served_many_at_once_end_when_nobody_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("anyio._backends._asyncio.WorkerThread.MAX_IDLE_TIME", 0)

    async def scene() -> int:
        many = threading.Barrier(20)
        await asyncio.gather(*(run_in_threadpool(many.wait) for _ in range(20)))
        await end_idle_threads()
        await asyncio.to_thread(
            wait_until, lambda: len(threads_of_anyio()) <= 1, "the threads to end"
        )
        return len(threads_of_anyio())

    assert asyncio.run(scene()) == 1


def threads_of_anyio() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == "AnyIO worker thread"]
