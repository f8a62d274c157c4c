"""Trends of a year over many devices: how long PostgreSQL and the dashboard's reader take.

Hours and days are filled by SQL, in the way that a collector keeps them. Then one device in ten has
a clock that is two days ahead.

    python -m benchmarks.fleet.trends
    python -m benchmarks.fleet.trends --devices 100
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

import psutil
import psycopg

from benchmarks._command import Figures, benchmark, median_ms, say
from collector.database.schema import migrate
from dashboard.fleet.known import FleetAddress
from dashboard.fleet.postgres import FleetDatabase
from dashboard.fleet.trends import FleetTrends
from edge_agent.core.addresses import Address
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.schema import ADDED, DAY_MS, HOUR_MS
from tests.support.fleet.postgres import Postgres, running_postgres

START_MS = 1_767_225_600_000
DAYS = 365
WEEK_BEGINS = 100
"""The day of the year that the trend of a week begins with."""
TIMES = 7


def fill(connection: psycopg.Connection, devices: int, days_of_hours: int = DAYS) -> None:
    """Write a year of days, and hours of so many days of it: expressions and one kind of vital."""
    connection.execute(
        "INSERT INTO fleet.stream (device, epoch, copied) SELECT 'room-' || n, '5f2c9a0d1e3b4c67', "
        "true FROM generate_series(1, %s) AS n",
        (devices,),
    )
    values = ", ".join("1800" if name == "rows" else "s.id % 97" for name in ADDED)
    first = min(WEEK_BEGINS, DAYS - days_of_hours)  # so that the week that is asked for has hours
    for name, step, start, count in (
        ("hour", HOUR_MS, START_MS + first * DAY_MS, days_of_hours * DAY_MS // HOUR_MS),
        ("day", DAY_MS, START_MS, DAYS),
    ):
        moments = f"fleet.stream AS s, generate_series(0, {count - 1}) AS n"
        at = f"{start} + n * {step}::int8"
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


def set_clocks_wrong(connection: psycopg.Connection) -> None:
    """Let one device in ten be two days ahead for the year, measured each day, started monthly."""
    connection.execute(
        "INSERT INTO fleet.study_row (stream, kind, id, fields) SELECT id, 'boot', n + 1, "
        "jsonb_build_object('boot_id', n::text, 'started_ms', %(start)s + n * %(month)s::int8, "
        "'wall_minus_boot_ms', %(start)s + n * %(month)s::int8, 'synchronised', 0) "
        "FROM fleet.stream, generate_series(0, 11) AS n WHERE id %% 10 = 0",
        {"start": START_MS + 2 * DAY_MS, "month": DAYS * DAY_MS // 12},
    )
    connection.execute(
        "INSERT INTO fleet.clock (device, since, until, reached, boot, boot_ms, "
        "wall_minus_boot_ms, ahead_ms, doubt_ms, synchronised) SELECT device, day.at, day.at + "
        "interval '1 day', day.at, (n * 12 / 365)::text, 1, %(start)s + (n * 12 / 365) * "
        "%(month)s::int8, 172800000, 1000, false FROM fleet.stream, generate_series(0, 364) AS n, "
        "LATERAL (SELECT to_timestamp(%(start)s / 1000.0) + n * interval '1 day' AS at) AS day "
        "WHERE id %% 10 = 0",
        {"start": START_MS + 2 * DAY_MS, "month": DAYS * DAY_MS // 12},
    )
    connection.execute("VACUUM (ANALYZE) fleet.clock, fleet.study_row")


class AskedQuestions:
    """Asks questions, and counts what PostgreSQL takes of the processor for them."""

    def __init__(self, postgres: Postgres) -> None:
        number = (postgres.folder / "data/postmaster.pid").read_text().split()[0]
        self._main = psutil.Process(int(number))
        self.figures: dict[str, float] = {}

    def ask(self, name: str, question: Callable[[], object]) -> None:
        """Note how long a question takes, and how much of the processor."""
        question()
        before_s = self._cpu_s()
        self.figures[f"{name}_ms"] = round(median_ms(question, TIMES, time.perf_counter), 1)
        used_ms = 1000 * (self._cpu_s() - before_s) / TIMES
        self.figures[f"{name}_postgres_cpu_ms"] = round(used_ms, 1)

    def _cpu_s(self) -> float:
        total = 0.0
        for process in (self._main, *self._main.children()):
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system  # those that ended are their parent's
                total += times.children_user + times.children_system
        return total


def measure_trends(devices: int, days_of_hours: int = DAYS) -> Figures:
    """Fill a database and ask.

    Args:
        devices: how many.
        days_of_hours: of so many days there are hours, too; of the whole year there are days.
    """
    with running_postgres() as postgres:
        with psycopg.connect(postgres.address, autocommit=True) as connection:
            migrate(connection)
            fill(connection, devices, days_of_hours)
        database = FleetDatabase(FleetAddress(Address(postgres.address)))
        every, one = FleetTrends(database, None), FleetTrends(database, "room-7")
        year = (START_MS, START_MS + DAYS * DAY_MS, 200)
        week_ms = START_MS + WEEK_BEGINS * DAY_MS
        week = (week_ms, week_ms + 7 * DAY_MS, 200)
        assert sum(every.trend(*year).rows) == devices * DAYS * 1800
        assert sum(every.trend(*week).rows) == devices * 7 * 24 * 1800
        heart = VitalKind.HEART_RATE
        measured = AskedQuestions(postgres)
        measured.ask("fleet_trend_year", lambda: every.trend(*year))
        measured.ask("fleet_vital_trend_year", lambda: every.vital_trend(heart, *year))
        measured.ask("fleet_trend_week", lambda: every.trend(*week))
        measured.ask("fleet_vital_trend_week", lambda: every.vital_trend(heart, *week))
        measured.ask("fleet_trend_year_one_device", lambda: one.trend(*year))
        with psycopg.connect(postgres.address, autocommit=True) as connection:
            set_clocks_wrong(connection)
        assert len(every.clocks_off(*year)) == devices // 10
        measured.ask("fleet_trend_year_clocks_off", lambda: every.trend(*year))
        measured.ask("fleet_vital_trend_year_clocks_off", lambda: every.vital_trend(heart, *year))
        measured.ask("fleet_trend_week_clocks_off", lambda: every.trend(*week))
        database.close()
    return measured.figures


if __name__ == "__main__":
    benchmark(__doc__, measure_trends, devices=(1_000, ""))
