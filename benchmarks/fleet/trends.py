"""Trends of a year over many devices: how long PostgreSQL and the dashboard's reader take.

Hours and days are filled by SQL, in the way that a collector keeps them.

    python -m benchmarks.fleet.trends
    python -m benchmarks.fleet.trends --devices 100
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from contextlib import suppress

import psutil
import psycopg

from benchmarks.fleet.fleet import report, say
from collector.database.migrations import migrate
from dashboard.fleet.address import FleetAddress
from dashboard.fleet.connections import FleetDatabase
from dashboard.fleet.timeline import FleetTimeline
from edge_agent.core.vitals import VitalKind
from edge_agent.store.database.tables import ADDED, DAY_MS, HOUR_MS
from tests.support.fleet.postgres import Postgres, running_postgres

START_MS = 1_767_225_600_000
DAYS = 365
TIMES = 7


def fill(connection: psycopg.Connection, devices: int) -> None:
    """Write a year of hours and days: expressions, and readings of one kind."""
    connection.execute(
        "INSERT INTO fleet.stream (device, epoch, copied) SELECT 'room-' || n, '5f2c9a0d1e3b4c67', "
        "true FROM generate_series(1, %s) AS n",
        (devices,),
    )
    values = ", ".join("1800" if name == "rows" else "s.id % 97" for name in ADDED)
    for name, step in (("hour", HOUR_MS), ("day", DAY_MS)):
        count = DAYS * DAY_MS // step
        moments = f"fleet.stream AS s, generate_series(0, {count - 1}) AS n"
        at = f"{START_MS} + n * {step}::int8"
        connection.execute(
            f"INSERT INTO fleet.expression_{name} (stream, at, {', '.join(ADDED)}) "
            f"SELECT s.id, {at}, {values} FROM {moments}".encode()
        )
        connection.execute(
            f"INSERT INTO fleet.vital_{name} (stream, at, kind, n, total, least, most, flagged, "
            f"simulated) SELECT s.id, {at}, 'heart_rate', 1800, 1800 * 71.5, 60, 90, 3, 0 "
            f"FROM {moments}".encode()
        )
        say(f"{devices * count:,} rows of {name}s of each kind are there")
    connection.execute("VACUUM (ANALYZE) fleet.expression_hour, fleet.expression_day")
    connection.execute("VACUUM (ANALYZE) fleet.vital_hour, fleet.vital_day")


class Asked:
    """Asks questions, and counts what PostgreSQL takes of the processor for them."""

    def __init__(self, postgres: Postgres) -> None:
        number = (postgres.folder / "data/postmaster.pid").read_text().split()[0]
        self._main = psutil.Process(int(number))
        self.figures: dict[str, float] = {}

    def ask(self, name: str, question: Callable[[], object]) -> None:
        """Note how long a question takes, and how much of the processor."""
        question()
        before_s = self._cpu_s()
        self.figures[f"{name}_ms"] = median_ms(question)
        used_ms = 1000 * (self._cpu_s() - before_s) / (TIMES + 1)
        self.figures[f"{name}_postgres_cpu_ms"] = round(used_ms, 1)

    def _cpu_s(self) -> float:
        total = 0.0
        for process in (self._main, *self._main.children()):
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system  # those that ended are their parent's
                total += times.children_user + times.children_system
        return total


def median_ms(ask: Callable[[], object]) -> float:
    """Return how long a question takes, the first time aside."""
    ask()
    taken = []
    for _ in range(TIMES):
        start_s = time.perf_counter()
        ask()
        taken.append(1000 * (time.perf_counter() - start_s))
    return round(statistics.median(taken), 1)


def main() -> None:
    """Fill, ask and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--devices", type=int, default=1_000)
    devices = parser.parse_args().devices
    with running_postgres() as postgres:
        with psycopg.connect(postgres.address, autocommit=True) as connection:
            migrate(connection)
            fill(connection, devices)
        database = FleetDatabase(FleetAddress(postgres.address))
        every, one = FleetTimeline(database, None), FleetTimeline(database, "room-7")
        year = (START_MS, START_MS + DAYS * DAY_MS, 200)
        week = (START_MS + 100 * DAY_MS, START_MS + 107 * DAY_MS, 200)
        assert sum(every.trend(*year).rows) == devices * DAYS * 1800
        heart = VitalKind.HEART_RATE
        measured = Asked(postgres)
        measured.ask("fleet_trend_year", lambda: every.trend(*year))
        measured.ask("fleet_vital_trend_year", lambda: every.vital_trend(heart, *year))
        measured.ask("fleet_trend_week", lambda: every.trend(*week))
        measured.ask("fleet_vital_trend_week", lambda: every.vital_trend(heart, *week))
        measured.ask("fleet_trend_year_one_device", lambda: one.trend(*year))
        database.close()
    report(measured.figures)


if __name__ == "__main__":
    main()
