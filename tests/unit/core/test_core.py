"""Clock, value types and workers."""

from __future__ import annotations

import logging
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge_agent.core import clock, threads
from edge_agent.core.clock import Instant
from edge_agent.core.errors import StoreError
from edge_agent.core.expression import EMOTIONS, Expression
from edge_agent.core.logs import PLAIN, SafeLines
from edge_agent.core.threads import Death, RestartingWorker, Worker
from tests.support.timeline import wait_for


def test_the_categories_stand_in_the_order_of_fer_plus() -> None:
    names = ["neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"]
    assert [e.value for e in EMOTIONS] == names


def test_an_expression_with_seven_probabilities_is_refused() -> None:
    with pytest.raises(ValueError, match="8 probabilities, not 7"):
        Expression((1 / 7,) * 7)


def test_durations_come_from_the_boot_clock_even_when_the_wall_clock_jumps() -> None:
    before = Instant(boot_ms=1000, wall_ms=5_000_000)
    after = Instant(boot_ms=3500, wall_ms=1_000)
    assert after.seconds_since(before) == 2.5
    assert before.shift(2.5) == Instant(3500, 5_002_500)


def test_now_reads_both_clocks() -> None:
    earlier = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
    earlier_wall = time.time_ns() // 1_000_000
    at = clock.now()
    assert earlier <= at.boot_ms <= 1000 * clock.boot_seconds()
    assert earlier_wall <= at.wall_ms <= time.time_ns() // 1_000_000


def test_utc_now_is_the_wall_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: Instant(boot_ms=1000, wall_ms=1_795_162_320_250))
    assert clock.utc_now() == datetime(2026, 11, 20, 8, 12, 0, 250_000, UTC)


def test_the_clock_counts_as_synchronised_when_the_time_service_says_so(tmp_path: Path) -> None:
    flag = tmp_path / "synchronized"
    assert not clock.is_synchronised(flag)
    flag.touch()
    assert clock.is_synchronised(flag)


def test_the_boot_id_is_the_kernels_or_unknown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert clock.boot_id()
    monkeypatch.setattr("edge_agent.core.clock._BOOT_ID", tmp_path / "absent")
    assert clock.boot_id() == "unknown"


class Counting(Worker):
    def __init__(self, fail: bool) -> None:
        self.dead = threading.Event()
        super().__init__("counting", on_death=lambda _worker, _error: self.dead.set())
        self.fail = fail

    def work(self) -> None:
        if self.fail:
            raise RuntimeError("the wheel came off")
        self.stopping.wait(3600)


def test_a_worker_ends_when_asked() -> None:
    worker = Counting(fail=False)
    worker.start()
    assert worker.is_alive
    worker.stop()
    assert worker.join(60)
    assert worker.error is None
    assert not worker.dead.is_set()


def test_a_worker_that_dies_tells_its_supervisor_and_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    worker = Counting(fail=True)
    with caplog.at_level(logging.CRITICAL):
        worker.start()
        assert worker.dead.wait(60)
        assert worker.join(60)
    assert str(worker.error) == "the wheel came off"
    assert "worker counting died" in caplog.text


def test_a_worker_runs_in_a_thread_of_its_name_that_holds_no_process_up() -> None:
    found: list[tuple[str, bool]] = []

    class Looking(Counting):
        def work(self) -> None:
            thread = threading.current_thread()
            found.append((thread.name, thread.daemon))

    worker = Looking(fail=False)
    assert worker.join(0), "one that was never started has ended"
    worker.start()
    assert worker.join(60)
    assert found == [("counting", True)]


def test_a_worker_that_dies_of_what_we_foresaw_says_so_without_a_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Foreseen(Counting):
        def work(self) -> None:
            raise StoreError("the.db: is damaged.")

    worker = Foreseen(fail=True)
    with caplog.at_level(logging.CRITICAL):
        worker.start()
        assert worker.dead.wait(60)
    assert [(r.getMessage(), bool(r.exc_info)) for r in caplog.records] == [
        ("worker counting died: the.db: is damaged.", False)
    ]


class Failing(RestartingWorker):
    """Dies of what it is given, then runs."""

    def __init__(self, *errors: Exception) -> None:
        super().__init__("failing")
        self._errors = list(errors)
        self.sources = ("strap",)
        self.runs_well = threading.Event()

    def work(self) -> None:
        if self._errors:
            raise self._errors.pop(0)
        self.runs_well.set()
        self.stopping.wait(3600)


def test_source_that_dies_begins_again_and_tells_how_long_it_was_away(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "RESTARTS_S", (0.01, 0.02))
    deaths: list[Death] = []
    caplog.set_level(logging.INFO)
    worker = Failing(ValueError("no\x1bnumber"), ValueError("no\x1bnumber"), StoreError("gone."))
    worker.on_return = lambda _, death: deaths.append(death)
    worker.on_death = lambda *_: pytest.fail("it ends the agent")
    worker.start()
    assert worker.runs_well.wait(60)
    worker.stop()
    assert worker.join(60)
    assert [death.times for death in deaths] == [1, 2, 3]
    assert all(death.back and death.at <= death.back for death in deaths)
    assert worker.death == deaths[-1]
    told = [(r.getMessage(), bool(r.exc_info)) for r in caplog.records if "died" in r.message]
    assert [has_traceback for _, has_traceback in told] == [True, False, False]
    assert caplog.text.count("worker failing begins again") == 3


def test_source_that_is_stopped_while_it_waits_ends_at_once() -> None:
    worker = Failing(ValueError("no number"))
    worker.on_return = lambda *_: worker.runs_well.set()
    worker.start()
    wait_for(lambda: worker.death is not None)
    worker.stop()
    assert worker.runs_well.wait(60), "the gap reaches to the end"
    assert worker.join(60)


def test_log_shows_control_characters_of_strangers_as_their_escapes() -> None:
    form = SafeLines(PLAIN)
    record = logging.makeLogRecord(
        {"name": "lsl", "msg": "the stream %s", "args": ("a\x1b[2J\nb",)}
    )
    assert form.format(record).endswith("the stream a\\x1b[2J\\nb")
    try:
        raise ValueError("\x1b[2J")
    except ValueError:
        record.exc_info = sys.exc_info()
    assert form.format(record).endswith("ValueError: \\x1b[2J")


def test_a_program_that_is_held_up_between_two_clocks_sees_no_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    true_ns = iter(range(0, 10**12, 1000))
    stopped_ns = [0]

    def read() -> int:
        return next(true_ns) + sum(stopped_ns)

    def read_wall() -> int:
        stopped_ns.append(5_000_000_000 if len(stopped_ns) == 1 else 0)
        return read()

    monkeypatch.setattr(clock, "boot_ns", read)
    monkeypatch.setattr(time, "time_ns", read_wall)
    at = clock.now()
    assert at.wall_ms == at.boot_ms == 5_000


def test_the_boot_clock_counts_while_the_machine_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def read(which: int) -> int:
        asked.append(which)
        return 7

    monkeypatch.setattr(time, "clock_gettime_ns", read)
    assert clock.boot_ns() == 7
    monkeypatch.delattr(time, "CLOCK_BOOTTIME")
    clock.boot_ns()
    monkeypatch.undo()
    assert asked == [time.CLOCK_BOOTTIME, time.CLOCK_MONOTONIC]
