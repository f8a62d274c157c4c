"""A whole agent, and its nightly maintenance, under a wall clock that is wrong, by libfaketime."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from enum import StrEnum
from itertools import product
from pathlib import Path
from typing import Any

from edge_agent.core.clock import Instant
from edge_agent.core.readings import VitalReading
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.database.upgrade import migrate
from tests.faults.agents.faked import FLAG
from tests.faults.outcome import Outcome
from tests.faults.stopwatch import Stopwatch, stop_patiently, wait_patiently
from tests.support.appliance import Appliance
from tests.support.timeline import reading, timeline

AGENT_CLOCK = "clock, whole agent"
DAY_S = 86_400
WRONG_S = (-9_500 * DAY_S, -365 * DAY_S, -DAY_S, DAY_S, 365 * DAY_S)
"""The first is the clock of a machine that was never set."""
DEADLINE_S = 60.0
_SLACK_MS = 4_000
_ROWS = 20
_DAYS_BEFORE = (60, 30, 10, 1)
_LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
_SETTINGS: dict[str, dict[str, Any]] = {
    "camera": {"source": "demo"},
    "mqtt": {"enabled": False},
    "record": {"batch_seconds": 0.5, "keep_days": 90},
    "vitals.simulated": {"enabled": True, "heart_rate_seconds": 0.1},
}


class When(StrEnum):
    """When the clock is wrong."""

    START = "at the start"
    RUNNING = "while it runs"


CASES: Sequence[tuple[float, When]] = tuple(product(WRONG_S, When))


def why_no_clock() -> str:
    """Return why these trials cannot run here, or nothing."""
    return "" if _LIBRARIES else "libfaketime is not installed"


class ClockTrial:
    """One agent, one wrong clock, set right in the end; maintenance runs before and after that.

    Args:
        folder: of the trial.
        seed: picks one of ``CASES`` and the times in between.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self._wrong_s, self._when = CASES[seed % len(CASES)]
        self.outcome = Outcome(AGENT_CLOCK, "", seed)
        self._chance = random.Random(f"{AGENT_CLOCK}/{seed}")
        folder.mkdir(parents=True)
        self._clock = folder / "faketime"
        self._flag = folder / "synchronized"
        environment = {
            "LD_PRELOAD": str(_LIBRARIES[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._clock),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
            FLAG: str(self._flag),
        }
        module = "tests.faults.agents.faked"
        place = folder / "agent"
        self._agent = Appliance(place, _SETTINGS, module=module, environment=environment)
        self._night = Appliance(
            place, _SETTINGS, "maintenance", module=module, environment=environment
        )
        self._night.output = folder / "maintenance.txt"
        self._database = self._agent.data / DATABASE_NAME
        self._kept = _earlier_rows(self._database)

    def run(self) -> Outcome:
        """Let the clock be wrong and be set, and check every time."""
        begun_ms = time.time_ns() // 1_000_000
        try:
            self._live()
            ended_ms = time.time_ns() // 1_000_000
            self._check(begun_ms - _SLACK_MS, ended_ms + _SLACK_MS)
        except Exception as error:  # noqa: BLE001 - one bad trial must not hide the others
            self.outcome.wrong.append(f"{type(error).__name__}: {error}"[:900])
        finally:
            self._agent.__exit__(None, None, None)
            self._night.__exit__(None, None, None)
        return self.outcome

    def _live(self) -> None:
        self._set_clock(0.0)
        if self._when is When.START:
            self._set_clock(self._wrong_s)
        else:
            self._flag.touch()
        self._agent.start()
        self._more_rows()
        if self._when is When.RUNNING:
            self._set_clock(self._wrong_s)
            self._more_rows()
        self._maintain()
        time.sleep(self._chance.uniform(0.1, 1.0))
        assert not self._times_are_right(), "the clock was not wrong at all"
        self._set_clock(0.0)
        self._flag.touch()
        watch = self._wait(self._times_are_right, "every row at its true time")
        self.outcome.note_time(watch)
        self._more_rows()
        self._maintain()
        code = stop_patiently(self._agent, 15)
        if code or "Traceback" in self._agent.said:
            self.outcome.wrong.append(f"exit code {code}: {self._agent.said[-600:]}")

    def _set_clock(self, wrong_s: float) -> None:
        fresh = self._clock.with_suffix(".new")
        fresh.write_text(f"{wrong_s:+.0f}\n", encoding="ascii")
        fresh.replace(self._clock)

    def _more_rows(self) -> None:
        wanted = self._count() + _ROWS
        self._wait(lambda: self._count() >= wanted, f"{wanted} rows")

    def _wait(self, condition: Callable[[], bool], what: str) -> Stopwatch:
        return wait_patiently(condition, what, lambda: self._agent.pid, DEADLINE_S)

    def _maintain(self) -> None:
        """Let a night pass; a clock that is not believed makes it end with 1, and says so."""
        night = self._night.start()
        wait_patiently(lambda: night.has_ended, "its end", lambda: night.pid, DEADLINE_S)
        code = night.wait()
        if code and "clock" not in self._night.said:
            self.outcome.wrong.append(f"maintenance: {self._night.said[-600:]}")

    def _times_are_right(self) -> bool:
        newest = time.time_ns() // 1_000_000 + _SLACK_MS
        oldest = newest - 3_600_000
        sql = (
            "SELECT count(*) FROM vital WHERE source = 'simulated' AND at NOT BETWEEN "
            f"{oldest} AND {newest}"
        )
        return self._ask(sql) == 0 and self._count() > 0

    def _count(self) -> int:
        return self._ask("SELECT count(*) FROM vital WHERE source = 'simulated'")

    def _ask(self, sql: str) -> int:
        with suppress(sqlite3.OperationalError), closing(_connect(self._database)) as connection:
            return int(connection.execute(sql).fetchone()[0])
        return 0

    def _check(self, begun_ms: int, ended_ms: int) -> None:
        with closing(_connect(self._database)) as connection:
            kept = set(_times(connection, "vital WHERE source <> 'simulated'"))
            kept &= set(_times(connection, "expression"))
            at = _times(connection, "vital WHERE source = 'simulated'")
            stray = connection.execute(
                "SELECT count(*) FROM expression WHERE at NOT BETWEEN ? AND ? "
                f"AND at NOT IN ({', '.join(map(str, self._kept))})",
                (begun_ms, ended_ms),
            ).fetchone()[0]
            deleted = connection.execute(
                "SELECT count(*) FROM audit WHERE action IN ('retention', 'disk_budget')"
            ).fetchone()[0]
        self.outcome.expected = len(self._kept) + len(at)
        self.outcome.lost = len(set(self._kept) - kept)
        wrong = [one for one in at if not begun_ms <= one <= ended_ms]
        for many, what in ((wrong, "readings"), (range(stray), "expressions")):
            if many:
                self.outcome.wrong.append(f"{len(many)} {what} at a wrong time")
        if deleted:
            self.outcome.wrong.append("maintenance deleted rows")


def _earlier_rows(database: Path) -> list[int]:
    """Write rows of earlier days, and return their times."""
    migrate(database)
    now_ms = time.time_ns() // 1_000_000
    times = [now_ms - days * DAY_S * 1000 for days in _DAYS_BEFORE]
    faces = [{"at": Instant(0, at)} for at in times]
    timeline(database, expression=faces, vital=[_dated(reading(0), at) for at in times])
    return times


def _dated(given: VitalReading, at_ms: int) -> VitalReading:
    return replace(given, at=Instant(0, at_ms))


def _times(connection: sqlite3.Connection, rows_of: str) -> list[int]:
    rows = connection.execute(f"SELECT at FROM {rows_of}")
    return [at for (at,) in rows]


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=60)
