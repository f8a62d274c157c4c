"""Twenty viewers of a dashboard over a year of recording: how long pages and trend data take.

    python -m benchmarks viewers [--json] [--seconds N] [--keep FOLDER]

The database holds a year at 1 Hz as its rollups keep it, a week of rows a second, and 200 sessions
of 100 people. Each viewer has Live open, and asks for a page or for the data of a trend every two
seconds, one after the other; Analysis, Plan and exports, which compute, are left out: ``analysis``
and ``export`` measure them. Then each page and each range of the trend is asked for by itself,
which gives its processor time: that of the dashboard's process, all threads together. At last
somebody opens Analysis and Plan, which a process of its own computes that ends when nobody asks for
five minutes.

Figures:
    viewers_pages_p95_ms, viewers_trends_p95_ms   95 of 100 answers came within that, by the clock;
                                                  other load on the machine counts, too
    viewers_cpu_ms                                processor time of the dearest page or range
    viewers_memory_mb                             resident memory of the dashboard after all of it,
                                                  10⁶ bytes
"""

from __future__ import annotations

import http.client
import statistics
import threading
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from fastapi.routing import APIRoute

from benchmarks._command import benchmark
from benchmarks._sessions import write_session
from benchmarks.ten_years import fill
from dashboard.web import routes
from dashboard.web.rendering import find_pages
from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.timeline.database.connection import connect, transaction
from edge_agent.timeline.database.schema import DATABASE_NAME, DAY_MS
from edge_agent.timeline.database.upgrade import migrate
from tests.support.dashboard import DashboardProcess
from tests.support.live_browsers import LiveBrowsers, log_in

VIEWERS = 20
SECONDS = 60.0
EVERY_S = 2.0
ROWS_DAYS = 7
SESSIONS = 200
PEOPLE = 100
STATES = ("neutral", "happiness", "anger")
RANGES_DAYS = (1 / 24, 1, 7, 30, 365)
ASKED_ALONE = 10
COMPUTING = frozenset({"/analysis", "/plan", "/export/download"})
"""What no viewer opens: tests, plans and whole exports, which have figures of their own."""


def write_year(path: Path) -> None:
    """Write the recording of a year that ends now, and its sessions."""
    migrate(path)
    end = clock.now().wall_ms
    fill(path, end, 1, ROWS_DAYS)
    with closing(connect(path, readonly=False)) as connection, transaction(connection):
        for number in range(SESSIONS):
            start = Instant(1_000, end - (SESSIONS - number) * 365 * DAY_MS // SESSIONS)
            code = f"P-{number % PEOPLE:03d}"
            stimuli = [
                (state, 60.0 + 300 * place, 300.0 + 300 * place)
                for place, state in enumerate(STATES)
            ]
            write_session(connection, code, start, stimuli, 960)


@dataclass(frozen=True, slots=True)
class Door:
    """Asks a dashboard, logged in.

    Attributes:
        port: of the dashboard.
        cookie: the header of the login.
    """

    port: int
    cookie: str

    def status(self, path: str) -> tuple[int, str]:
        """Return the status of an answer and what it is, once all of it has come."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            headers = {"Cookie": self.cookie, "Accept-Encoding": "gzip"}
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            answer.read()
            return answer.status, answer.headers.get_content_type()

    def took_ms(self, path: str) -> float:
        """Return how long an answer took, milliseconds.

        Raises:
            SystemExit: it was refused.
        """
        began = time.monotonic()
        status, _ = self.status(path)
        if status != 200:
            raise SystemExit(f"{path}: status {status}")
        return 1000 * (time.monotonic() - began)


def pages(door: Door) -> list[str]:
    """Return the address of every page without parameters that is shown to who is logged in."""
    paths = {
        route.path
        for one in find_pages(routes)
        for route in one.router.routes
        if isinstance(route, APIRoute) and "GET" in (route.methods or ()) and "{" not in route.path
    }
    addresses = sorted(one for one in paths - COMPUTING if not one.startswith("/api/"))
    return [path for path in addresses if door.status(path) == (200, "text/html")]


def trends(end: int) -> list[str]:
    """Return the address of the data of each range."""
    return [
        f"/api/v1/trends/chart?start={end - int(days * DAY_MS)}&end={end}" for days in RANGES_DAYS
    ]


@dataclass(eq=False)
class ViewerCrowd:
    """Viewers that ask at the same time.

    Attributes:
        door: whom they ask.
        addresses: what they ask for, each beginning with another one.
        taken_ms: how long each answer took, by address.
    """

    door: Door
    addresses: list[str]
    taken_ms: dict[str, list[float]] = field(default_factory=dict)

    def look(self, seconds: float) -> None:
        """Let all of them look for so long."""
        end = time.monotonic() + seconds
        each = [
            threading.Thread(target=self._view, args=(number, end)) for number in range(VIEWERS)
        ]
        for viewer in each:
            viewer.start()
        for viewer in each:
            viewer.join()

    def _view(self, number: int, end: float) -> None:
        at = time.monotonic() + EVERY_S * number / VIEWERS
        turn = number * 7
        while at < end:
            time.sleep(max(0.0, at - time.monotonic()))
            path = self.addresses[turn % len(self.addresses)]
            self.taken_ms.setdefault(path, []).append(self.door.took_ms(path))
            at += EVERY_S
            turn += 1


def p95(values: list[float]) -> float:
    """Return what 95 of 100 values do not exceed."""
    return statistics.quantiles(values, n=20, method="inclusive")[-1]


def cpu_ms(process: psutil.Process, door: Door, path: str) -> float:
    """Return the processor time of one answer, all threads of the dashboard together.

    The clock of the system counts in hundredths of a second: the mean of several answers.
    """
    before = sum(process.cpu_times()[:2])
    for _ in range(ASKED_ALONE):
        door.took_ms(path)
    return float(1000 * (sum(process.cpu_times()[:2]) - before) / ASKED_ALONE)


def measure(folder: Path, seconds: float) -> dict[str, float]:
    """Return the figures of one dashboard."""
    database = folder / DATABASE_NAME
    with DashboardProcess(folder) as dashboard:
        process = psutil.Process(dashboard.pid)
        request = log_in(database, dashboard.port)
        cookie = request.split("Cookie: ")[1].split("\r\n")[0]
        door = Door(dashboard.port, cookie)
        shown = pages(door)
        data = trends(clock.now().wall_ms)
        crowd = ViewerCrowd(door, shown + data)
        with LiveBrowsers(dashboard.port, [request], VIEWERS):
            crowd.look(seconds)
        of_pages = [one for path in shown for one in crowd.taken_ms.get(path, [])]
        of_trends = [one for path in data for one in crowd.taken_ms.get(path, [])]
        alone = {path: cpu_ms(process, door, path) for path in [*shown, *data]}
        door.took_ms("/analysis")
        door.took_ms("/plan")
        memory = process.memory_info().rss / 1e6
    return {
        "viewers_answers": len(of_pages) + len(of_trends),
        "viewers_pages_p95_ms": p95(of_pages),
        "viewers_trends_p95_ms": p95(of_trends),
        "viewers_cpu_ms": max(alone.values()),
        "viewers_memory_mb": memory,
    }


def measure_kept(folder: Path, keep: Path | None, seconds: float) -> dict[str, float]:
    """Measure over the year of a folder, which is written where it is missing."""
    folder = keep or folder
    if not (folder / DATABASE_NAME).exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_year(folder / DATABASE_NAME)
    return measure(folder, seconds)


if __name__ == "__main__":
    keep = (None, "folder of the database, used again if there")
    benchmark(__doc__, measure_kept, seconds=(SECONDS, "how long they look"), keep=keep)
