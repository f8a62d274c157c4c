"""A recorder in a process of its own, started again when it ends, as systemd does on the box."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from edge_agent.timeline.database.schema import DATABASE_NAME
from tests.faults.damage import copy_database_files, salvage_is_done, study_rows
from tests.faults.disk import DiskError
from tests.faults.ledger import SOURCE, Ledger
from tests.faults.outcome import RECORDS_AGAIN_S, Outcome
from tests.faults.stopwatch import Stopwatch, wait_patiently

ROOT = Path(__file__).resolve().parents[2]
SAME_TIME_MS = 4_000
_POLL_S = 0.01
_RESTART_S = 0.1
_MOST_STARTS = 60
_STOPS_S = 40.0


class Box:
    """A folder with a database that a process writes numbers into.

    Args:
        folder: of the trial; made from ``sound``.
        sound: a folder with a database and a verified copy of it.
        library: the disk that fails on command; ``None``: the real one only.
        journaled: whether what is written is kept for a power cut.
    """

    def __init__(
        self, folder: Path, sound: Path, library: Path | None, *, journaled: bool = False
    ) -> None:
        shutil.copytree(sound, folder)
        self.folder = folder
        self.database = folder / DATABASE_NAME
        self.journal = folder / "journal"
        self.before = folder / "before" / DATABASE_NAME
        self.ledger = Ledger(folder)
        self.ledger.disk.write_bytes(b"-")
        self.ledger.set_clock(0, set_by_network=True)
        self.study = study_rows(self.database)
        self.destroyed: set[int] = set()
        self.frozen_ms: list[tuple[int, int]] = []
        """Times in which the process was stopped to look at its files: nothing was sent then."""
        self.starts = 0
        self._library = library
        self._journaled = journaled
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def said(self) -> str:
        return (self.folder / "output.txt").read_text(encoding="utf-8", errors="replace")

    def start(self) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        if self._library is not None:
            environment["LD_PRELOAD"] = str(self._library)
            environment["FAULTS_CONTROL"] = str(self.ledger.disk)
        if self._journaled:
            environment["FAULTS_JOURNAL"] = str(self.journal)
            self.journal.unlink(missing_ok=True)
            shutil.rmtree(self.before.parent, ignore_errors=True)
            copy_database_files(self.database, self.before)
        words = [sys.executable, "-m", "tests.faults.writer", str(self.folder)]
        with (self.folder / "output.txt").open("ab") as output:
            self._process = subprocess.Popen(
                words, cwd=ROOT, env=environment, stdout=output, stderr=output
            )
        self.starts += 1

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(60)

    def stop(self) -> int:
        """End the process in good order; return its exit code."""
        process = self._process
        assert process is not None
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        wait_patiently(lambda: process.poll() is not None, "its end", lambda: self.pid, _STOPS_S)
        return process.wait()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @contextmanager
    def held_still(self) -> Iterator[None]:
        """Stop the processor of the process, so that its files can be looked at."""
        assert self._process is not None
        running = self._process.poll() is None
        begun_ms = time.time_ns() // 1_000_000
        if running:
            self._process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        try:
            yield
        finally:
            if running:
                self._process.send_signal(signal.SIGCONT)
                self.frozen_ms.append((begun_ms, time.time_ns() // 1_000_000))

    def care(self) -> None:
        """Start the process again when it has ended."""
        assert self._process is not None
        if self._process.poll() is not None:
            assert self.starts < _MOST_STARTS, f"it starts again and again: {self.said[-3000:]}"
            time.sleep(_RESTART_S)
            self.start()

    def run_for(self, seconds: float) -> None:
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            self.care()
            time.sleep(_POLL_S)

    def records_again(self, deadline_s: float = 9 * RECORDS_AGAIN_S) -> Stopwatch:
        """Return once a number that was sent after now is safe, with how long that took."""
        after = self.ledger.next_number()

        def is_safe() -> bool:
            self.care()
            return self.ledger.last_committed() >= after

        return self._wait(is_safe, "a number that is safe", deadline_s)

    def _wait(self, condition: Callable[[], bool], what: str, deadline_s: float) -> Stopwatch:
        try:
            return wait_patiently(condition, what, lambda: self.pid, deadline_s)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.said[-3000:]}") from error

    def wait_for_right_times(self, deadline_s: float = RECORDS_AGAIN_S) -> None:
        """Return once every row has its true time, or after the deadline: then the check tells."""
        until_s = time.monotonic() + deadline_s
        while self.wrong_times() and time.monotonic() < until_s:
            self.run_for(0.1)

    def wrong_times(self) -> list[int]:
        sent = self.ledger.sent()
        there = numbers_of(self.database)
        return [n for n, at in there.items() if abs(at - sent.get(n, at)) > SAME_TIME_MS]

    def wait_for_salvage(self, deadline_s: float = 120.0) -> None:
        """Return once nothing is left to be carried over."""

        def is_done() -> bool:
            self.care()
            return salvage_is_done(self.database)

        self._wait(is_done, "the end of the salvage", deadline_s)

    def fail_disk(self, error: DiskError | None) -> None:
        """Let the disk fail from now on, or work again."""
        self.ledger.disk.write_bytes(error.value.encode() if error else b"-")

    def written(self) -> set[int]:
        """Return the numbers that are in the database or its log, for a process held still.

        The process may not have been told yet that the last of them are safe.
        """
        with self._copy() as copy:
            return self.ledger.committed() | set(numbers_of(copy))

    def note_destroyed(self, written: set[int], outcome: Outcome | None = None) -> None:
        """Note what of the written numbers and the study nobody can read any more.

        Args:
            written: those of before the damage.
            outcome: to note in what checks say of the damage; ``None`` to leave them out.
        """
        with self._copy() as copy:
            self.destroyed |= written - set(numbers_of(copy))
            self.study = study_rows(copy)
            if outcome is not None:
                outcome.note_looks(copy)

    @contextmanager
    def _copy(self) -> Iterator[Path]:
        copy = self.folder / "looked-at" / DATABASE_NAME
        copy_database_files(self.database, copy)
        try:
            yield copy
        finally:
            shutil.rmtree(copy.parent)

    def close(self) -> None:
        """Kill what still runs, and forget the files."""
        if self._process is not None and self._process.poll() is None:
            self.kill()
        self.ledger.__exit__(None, None, None)


def numbers_of(path: Path) -> dict[int, int]:
    """Return the numbers in a database with their times, as far as SQLite can read."""
    found: dict[int, int] = {}
    for order in ("ASC", "DESC"):  # from both sides of a page that cannot be read
        sql = f"SELECT value, at FROM vital WHERE source = ? ORDER BY at {order}"
        with suppress(sqlite3.Error, UnicodeDecodeError), closing(_connect(path)) as connection:
            for value, at in connection.execute(sql, (SOURCE,)):
                found[round(value)] = at
    return found


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=60)
