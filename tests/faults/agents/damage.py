"""A whole agent whose database is damaged at random, while it runs or before it starts."""

from __future__ import annotations

import random
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.upkeep.soundness import look_at
from tests.faults.damage import (
    STUDY_CHANGES,
    copy_database_files,
    damage_somewhere,
    lost_rows,
    salvage_is_done,
    study_rows,
)
from tests.faults.outcome import Outcome
from tests.faults.stopwatch import Stopwatch, stop_patiently, wait_patiently
from tests.support.appliance import Appliance

AGENT_DAMAGE = "flipped, whole agent"
DEADLINE_S = 60.0
STOPS_WITHIN_S = 15.0
MOST_RESTARTS = 2
"""Starts by systemd that one damage may cost; more is a loop."""
_SETTINGS: dict[str, dict[str, Any]] = {
    "camera": {"source": "demo"},
    "mqtt": {"enabled": False},
    "record": {"batch_seconds": 0.5},
    "vitals.simulated": {"enabled": True, "heart_rate_seconds": 0.1},
}


class Trial:
    """One agent, one damage.

    Args:
        folder: of the trial.
        sound: a folder with a database to start from.
        seed: what is damaged, where, and whether the agent runs meanwhile.
    """

    def __init__(self, folder: Path, sound: Path, seed: int) -> None:
        self.outcome = Outcome(AGENT_DAMAGE, "", seed)
        self._chance = random.Random(f"{AGENT_DAMAGE}/{seed}")
        self._agent = Appliance(folder, _SETTINGS)
        self._folder = folder
        self._restarts = 0
        shutil.copytree(sound, self._agent.data)
        self._study = study_rows(self._agent.database)

    def run(self) -> Outcome:
        """Damage the database, and check what the agent makes of it."""
        try:
            if self._chance.random() < 0.5:
                self._damage()
                self._agent.start()
                self._wait_for_rows()
            else:
                self._agent.start()
                self._wait_for_rows()
                self._agent.send(signal.SIGSTOP)
                self._damage()
                self._agent.send(signal.SIGCONT)
                self._wait_for_rows()
                self._wait_for_salvage()
                self._stop()
                self._agent.start()  # a page that nobody read meanwhile is found at a start
                self._wait_for_rows()
            self._wait_for_salvage()
            self._stop()
            self._check()
        except Exception as error:  # noqa: BLE001 - one bad trial must not hide the others
            self.outcome.wrong.append(f"{type(error).__name__}: {error}"[:900])
        finally:
            self._agent.__exit__(None, None, None)
        return self.outcome

    def _damage(self) -> None:
        damage_somewhere(self._agent.database, self._chance)
        copy = self._folder / "looked-at" / DATABASE_NAME
        copy_database_files(self._agent.database, copy)
        self._study = study_rows(copy)
        self.outcome.note_looks(copy)

    def _wait_for_rows(self) -> None:
        """Wait for a row of after now, starting the agent again as systemd does."""
        now_ms = time.time_ns() // 1_000_000
        watch = self._wait(lambda: self._newest() > now_ms, "a row of after the damage")
        self.outcome.note_time(watch)

    def _newest(self) -> int:
        if self._agent.has_ended:
            self._restarts += 1
            assert self._restarts <= MOST_RESTARTS, f"it starts again and again: {self._said}"
            self._agent.start()
        return newest(self._agent.database)

    def _wait_for_salvage(self) -> None:
        self._wait(lambda: salvage_is_done(self._agent.database), "the end of the salvage")

    def _wait(self, condition: Callable[[], bool], what: str) -> Stopwatch:
        return wait_patiently(condition, what, lambda: self._agent.pid, DEADLINE_S)

    def _stop(self) -> None:
        code = stop_patiently(self._agent, STOPS_WITHIN_S)
        if code:
            self.outcome.wrong.append(f"exit code {code}: {self._said}")

    @property
    def _said(self) -> str:
        return self._agent.said[-600:]

    def _check(self) -> None:
        counts = {table: len(rows) for table, rows in self._study.items()}
        self.outcome.expected += sum(counts[table] for table in counts.keys() - STUDY_CHANGES)
        for table, rows in lost_rows(self._study, self._agent.database).items():
            self.outcome.lost += rows
            self.outcome.wrong.append(f"{rows} rows of {table} lost")
        faults = look_at(self._agent.database, deep=True, within_s=60).faults
        self.outcome.left_to_doctor = int(bool(faults))
        if faults and not look_at(self._agent.database, deep=False, within_s=60).faults:
            self.outcome.wrong.append(f"damage that the doctor does not see: {faults[:2]}")
        if "Traceback" in self._agent.said:
            self.outcome.wrong.append(self._said)


def newest(database: Path) -> int:
    """Return the time of the newest reading that can be read; 0: there is none."""
    address = f"file:{database}?mode=ro"
    with (
        suppress(sqlite3.Error, UnicodeDecodeError),
        closing(sqlite3.connect(address, uri=True)) as connection,
    ):
        return connection.execute("SELECT max(at) FROM vital").fetchone()[0] or 0
    return 0
