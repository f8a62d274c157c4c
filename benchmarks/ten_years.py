"""Ten years of recording: start, health page, trends of every range, and a night's maintenance.

    python -m benchmarks.ten_years [--json] [--years N] [--rows-days N]

The database is filled by SQL with what recording at 1 Hz without a pause leaves: days of all years,
hours, minutes and rows for as long as ``[record]`` keeps them, and a day more of each, which the
night has to fold or delete. A heart rate each second is kept as long as the rows (the disk budget
sees to that), three other kinds in rollups alone. What the health page reads and each trend are
medians of five calls in milliseconds of this process's CPU; ``ten_years_trend_…`` is the slowest of
all ranges, now and at each age. Start
(schema looked at, recorder begun, first commit) and night (``affect-edge maintenance`` in a process
of its own, copy and check included) are seconds by the clock.
"""

from __future__ import annotations

import resource
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

from benchmarks._command import benchmark, median_ms
from edge_agent.config.data import RecorderOptions, RecordSettings
from edge_agent.core import clock
from edge_agent.core.readings import VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.connection import connect, transaction
from edge_agent.timeline.database.schema import (
    DATABASE_NAME,
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    NAMES,
    SMOOTHED,
)
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.read.reader import Reader, models_in_use
from edge_agent.timeline.write.recorder import Recorder

KINDS = ("heart_rate", "systolic", "diastolic", "oxygen_saturation")
RANGES_DAYS = (1 / 24, 0.25, 1, 3, 7, 30, 90, 365, 3_650)
_SERIES = (
    "WITH RECURSIVE series(at) AS (SELECT :first UNION ALL SELECT at + :step FROM series WHERE at "
    "+ :step < :last) "
)
_EXPRESSIONS = (
    _SERIES + "INSERT INTO expression_{name} (at, rows, frames, uncertain, sum_happiness, "
    "sum_neutral, count_happiness, count_neutral) SELECT at, :step / 1000, :step / 100, 3, "
    ":step / 3, :step / 2, :step / 2000, :step / 1000 - :step / 2000 - 3 FROM series"
)
_VITALS = (
    _SERIES + "INSERT INTO vital_{name} (kind, at, n, total, least, most) "
    "SELECT :kind, at, :step / 1000, :step / 1000 * (60 + at % 29), 55, 95 FROM series"
)
_ROWS = (
    _SERIES + "INSERT INTO expression (at, boot_ms, interval_ms, track, frames, "
    f"{', '.join((*NAMES, *SMOOTHED))}, emotion, face_size, quality, is_primary) SELECT at, at % "
    f"100000000, 1000, 1, 10, {', '.join(['125'] * 16)}, 'happiness', 120.5, 0.83, 1 FROM series"
)
_READINGS = (
    _SERIES + "INSERT INTO vital (at, kind, source, value, boot_ms) SELECT at + 500, 'heart_rate', "
    "'strap', 60 + at / 1000 % 29, at % 100000000 FROM series"
)


def fill(path: Path, end: int, years: int, rows_days: int) -> None:
    """Write what recording from ``years`` ago up to a time leaves."""
    record = RecordSettings()
    hours = record.keep_hours_days + 1
    lasts = {"minute": 0, "hour": 0, "day": hours}
    firsts = {"minute": record.keep_minutes_days + 1, "hour": hours, "day": 365 * years}
    lengths = {"minute": MINUTE_MS, "hour": HOUR_MS, "day": DAY_MS}
    with closing(connect(path, readonly=False)) as connection:
        for name, step in lengths.items():
            span = _span(end, firsts[name], lasts[name], step)
            _write(connection, _EXPRESSIONS.format(name=name), span)
            for kind in KINDS:
                _write(connection, _VITALS.format(name=name), span | {"kind": kind})
        for day in range(rows_days + 1, 0, -1):
            _write(connection, _ROWS, _span(end, day, day - 1, 1_000))
            _write(connection, _READINGS, _span(end, day, day - 1, 1_000))


def _span(end: int, first_days: int, last_days: int, step: int) -> dict[str, int | str]:
    return {"first": end - first_days * DAY_MS, "last": end - last_days * DAY_MS, "step": step}


def _write(connection: sqlite3.Connection, sql: str, span: dict[str, int | str]) -> None:
    with transaction(connection):
        connection.execute(sql, span)


def start_s(path: Path) -> float:
    """Return the seconds from the start of the store to its first commit."""
    committed = threading.Event()
    began = time.monotonic()
    migrate(path)
    recorder = Recorder(path, RecorderOptions(batch_rows=1), on_commit=committed.set)
    recorder.start()
    recorder.submit(VitalReading(clock.now(), VitalKind.HEART_RATE, 70.0, "strap", frozenset()))
    if not committed.wait(60):
        raise SystemExit("nothing was committed within a minute")
    taken = time.monotonic() - began
    recorder.stop()
    recorder.join(60)
    return taken


def health_page(path: Path) -> None:
    """Read what the health page shows of the database."""
    reader = Reader(path)
    reader.span()
    reader.counts()
    models_in_use(path)


def trends(path: Path, end: int) -> Iterator[tuple[str, list[Callable[[], object]]]]:
    """Yield each range and age, and the questions of its page: expressions, then the vitals."""
    record = RecordSettings()
    reader = Reader(path)
    ages = (0, record.keep_days, record.keep_minutes_days, record.keep_hours_days, 3_000)
    for age in ages:
        for days in RANGES_DAYS:
            # Half of the range lies on each side of the age at which rows, minutes, hours go.
            last = end - age * DAY_MS + (round(days * DAY_MS) // 2) * (age > 0)
            span = (last - round(days * DAY_MS), last)
            vitals = (partial(reader.vital_trend, VitalKind(kind), *span) for kind in KINDS)
            yield f"{days:g} days around {age} ago", [partial(reader.trend, *span), *vitals]


def measure(folder: Path, years: int, rows_days: int) -> dict[str, float]:
    """Return all figures."""
    path = folder / DATABASE_NAME
    migrate(path)
    end = clock.now().wall_ms // DAY_MS * DAY_MS
    fill(path, end, years, rows_days)
    figures = {"ten_years_start_s": start_s(path)}
    figures["ten_years_health_page_cpu_ms"] = median_ms(partial(health_page, path))
    slowest = 0.0
    for name, questions in trends(path, end):
        times = [median_ms(question) for question in questions]
        print(f"{name:30} {max(times):8.1f} {sum(times):8.1f}", file=sys.stderr)
        slowest = max(slowest, *times)
    figures["ten_years_trend_cpu_ms"] = slowest
    began = time.monotonic()
    cpu_before = _cpu_of_children()
    words = [sys.executable, "-m", "edge_agent", "maintenance", "--data", str(folder)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    figures["ten_years_night_s"] = time.monotonic() - began
    figures["ten_years_night_cpu_s"] = _cpu_of_children() - cpu_before
    if done.returncode:
        raise SystemExit(f"the maintenance failed:\n{done.stderr}")
    print(done.stdout, file=sys.stderr)
    return figures


def _cpu_of_children() -> float:
    """Return the processor time of processes that were started here and have ended, seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    rows_days = (RecordSettings().keep_days, "")
    benchmark(__doc__, measure, years=(10, ""), rows_days=rows_days)
