"""A crowd at the dashboard's door, and somebody who works on meanwhile.

    python -m benchmarks.security.crowd [--json] [--seconds N]

A real dashboard with as many file handles as its unit gives it. At the same time: 1,100
connections from one address that say nothing and come again when they are cut off, 200 that send
the head of a request byte by byte, 100 that guess passwords without a pause from 20 addresses, and
an operator with an open page who writes to the study every second.
"""

from __future__ import annotations

import http.client
import multiprocessing
import resource
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from urllib.parse import urlencode

from benchmarks._command import benchmark
from dashboard.web.options import DashboardOptions
from tests.support.dashboard import NAME, PASSWORD, DashboardProcess
from tests.support.live_browsers import LiveBrowsers, log_in
from tests.support.security.crowd import addresses, forget_peak, log_in_obeying, peak_mib, post

SECONDS = 180.0
FILES = 4096
IDLE = 1100
SLOW = 200
GUESSING = 100
AGAIN_S = 5.0
"""Who was cut off comes again after that."""
MANY_FILES = 20_000
"""Of this process, which holds the other end of every connection."""


class Crowd:
    """Threads that do one thing again and again until the end.

    Args:
        port: of the dashboard.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.over = threading.Event()
        self._threads: list[threading.Thread] = []

    def again(self, act: Callable[[], None], times: int = 1) -> None:
        """Let so many threads do something until the end."""
        for _ in range(times):
            thread = threading.Thread(target=self._repeat, args=(act,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def end(self) -> None:
        """Let all threads come to their end."""
        self.over.set()
        for thread in self._threads:
            thread.join(30)

    def _repeat(self, act: Callable[[], None]) -> None:
        while not self.over.is_set():
            act()

    def connect(self, source: str) -> socket.socket | None:
        """Return a connection that does not wait; ``None`` when it was refused."""
        connection = socket.socket()
        try:
            connection.bind((source, 0))
            connection.settimeout(5)
            connection.connect(("127.0.0.1", self.port))
        except OSError:
            connection.close()
            return None
        connection.setblocking(False)
        return connection

    def keep(self, number: int, source: str, speak: bytes) -> Callable[[], None]:
        """Return an act that holds so many connections and says a byte of ``speak`` on each."""
        held: list[socket.socket] = []
        spoken = 0

        def act() -> None:
            nonlocal spoken
            held[:] = [one for one in held if _lives(one, speak[spoken : spoken + 1])]
            spoken = (spoken + 1) % max(1, len(speak))
            missing = number - len(held)
            held.extend(one for one in (self.connect(source) for _ in range(missing)) if one)
            self.over.wait(AGAIN_S)

        return act


def _lives(connection: socket.socket, byte: bytes) -> bool:
    try:
        if byte:
            connection.send(byte)
        if connection.recv(4096):
            return True
    except BlockingIOError:
        return True
    except OSError:
        pass
    connection.close()
    return False


class Operator:
    """Somebody who is logged in and works; every failure counts."""

    def __init__(self, port: int, cookie: str) -> None:
        self._port = port
        self._cookie = cookie
        self.failures = 0
        self.written = 0
        self.slowest_health_s = 0.0

    def work(self) -> None:
        """Read a page, write a participant, and look whether the dashboard is well."""
        self.slowest_health_s = max(self.slowest_health_s, self._ask("GET", "/healthz", 200))
        self._ask("GET", "/study", 200)
        self._ask("POST", "/study/participants", 303, {"code": f"P-{self.written}"})
        self.written += 1
        time.sleep(0.5)

    def _ask(
        self, method: str, path: str, status: int, form: dict[str, str] | None = None
    ) -> float:
        begun = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        headers = {"Cookie": self._cookie, "Content-Type": "application/x-www-form-urlencoded"}
        try:
            connection.request(method, path, urlencode(form or {}), headers)
            answer = connection.getresponse()
            answer.read()
            self.failures += answer.status != status
        except OSError:
            self.failures += 1
        finally:
            connection.close()
        return time.monotonic() - begun


def measure(folder: Path, seconds: float) -> dict[str, float]:
    """Return the figures of one dashboard over so many seconds."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, hard))  # the dashboard inherits it
    with DashboardProcess(folder) as dashboard:
        port = dashboard.port
        form = {"code": dashboard.setup_code, "name": NAME, "password": PASSWORD}
        assert post(port, "/setup", form, "127.0.0.1").status == 303
        request = log_in(DashboardOptions(data=folder).database, port)
        operator = Operator(port, request.partition("Cookie: ")[2].split("\r")[0])
        operator.work()
        before = peak_mib(dashboard.pid)
        forget_peak(dashboard.pid)
        # In a process of its own: the crowd must not hold up who measures.
        others = multiprocessing.get_context("spawn").Process(target=crowd_at, args=(port, seconds))
        with LiveBrowsers(port, [request], 1) as page:
            others.start()
            work = Crowd(port)
            work.again(operator.work)
            other_s = log_in_obeying(port, "127.0.9.1", seconds)
            others.join()
            work.end()
            ended = page.reading[0].ended
        figures = {
            "crowd_health_slowest_ms": 1000 * operator.slowest_health_s,
            "crowd_operator_failures": operator.failures + ended,
            "crowd_operator_writes": operator.written,
            "crowd_other_login_s": other_s,
            "crowd_memory_more_mib": peak_mib(dashboard.pid) - before,
        }
    return figures | {"crowd_log_kb": len(dashboard.output) / 1000}


def crowd_at(port: int, seconds: float) -> None:
    """Be the crowd, for so many seconds."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(MANY_FILES, hard), hard))
    crowd = Crowd(port)
    crowd.again(crowd.keep(IDLE, "127.0.6.1", b""))
    crowd.again(crowd.keep(SLOW, "127.0.6.2", b"GET / HTTP/1.1\r\nX-Slow: " + b"x" * 99))
    for source in addresses(20):
        crowd.again(partial(_guess, port, source), GUESSING // 20)
    crowd.over.wait(seconds)
    crowd.end()


def _guess(port: int, source: str) -> None:
    answer = post(port, "/login", {"name": NAME, "password": "a wrong guess"}, source)
    if answer.status == 429:
        time.sleep(1)


if __name__ == "__main__":
    benchmark(__doc__, measure, seconds=(SECONDS, ""))
