"""A machine whose clocks a test sets: wall clock, boot clock, starts, and the time service."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from edge_agent.config.data import RecorderOptions
from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.expression import Emotion, ExpressionRow
from edge_agent.core.readings import Gap, VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.write.batch import BatchWriter, Row
from edge_agent.timeline.write.boots import ClockCheck
from tests.support.timeline import START_MS, mostly

DAY_S = 86_400.0


class Machine:
    """A machine that was started at ``START_MS`` by the true time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, wrong_s: float = 0.0) -> None:
        self.seconds = 100.0
        """Of the boot clock."""
        self.started_s = 0.0
        """True seconds since ``START_MS`` at which this start of the machine began."""
        self.wrong_s = wrong_s
        """Seconds by which the wall clock is ahead of the truth."""
        self.boot = "a"
        self.set_by_network: Instant | None = None
        monkeypatch.setattr(clock, "now", self.now)
        monkeypatch.setattr(clock, "boot_id", lambda: self.boot)
        monkeypatch.setattr(clock, "is_synchronised", lambda: self.set_by_network is not None)
        monkeypatch.setattr(clock, "synchronised_ms", self._synchronised_ms)

    def now(self) -> Instant:
        return self.at(self.seconds)

    def at(self, seconds: float) -> Instant:
        """What the clocks say at a time of the boot clock."""
        ms = round(1000 * seconds)
        return Instant(ms, self.true_ms(seconds) + round(1000 * self.wrong_s))

    def true_ms(self, seconds: float) -> int:
        """The true time at a time of the boot clock."""
        return START_MS + round(1000 * (self.started_s + seconds))

    def network_sets_clock(self) -> None:
        self.wrong_s = 0.0
        self.set_by_network = self.now()

    def somebody_sets_clock(self, wrong_s: float) -> None:
        self.wrong_s = wrong_s

    def starts_again(self, off_s: float, wrong_s: float) -> None:
        """Go off for some seconds, and begin with a clock that is wrong."""
        self.started_s += self.seconds + off_s
        self.seconds = 20.0
        self.wrong_s = wrong_s
        self.boot += "'"
        self.set_by_network = None

    def agent(self, path: Path, **options: bool) -> Writing:
        """Start an agent on a database."""
        started = Writing(path, self, **options)
        started.start()
        return started

    def _synchronised_ms(self) -> int | None:
        return None if self.set_by_network is None else self.set_by_network.wall_ms


class Writing:
    """The recorder's writer on a database, one transaction at a time; no thread."""

    def __init__(self, path: Path, machine: Machine, **options: bool) -> None:
        self.path = path
        self.machine = machine
        self.writer = BatchWriter(RecorderOptions.model_validate(options))

    def write(self, *rows: Row) -> None:
        with write_transaction(self.path) as connection:
            self.writer.write(connection, rows)

    def start(self) -> None:
        self.write(ClockCheck(self.machine.now(), is_start=True))

    def check_clock(self) -> None:
        """Let the agent look at the clock, and move as much as there is."""
        self.write(ClockCheck(self.machine.now()))
        while self.writer.has_wrong_times:
            self.write(ClockCheck(None))

    def record(self, seconds: float, emotion: Emotion = Emotion.HAPPINESS) -> None:
        """Let a second pass in which a face is seen and a strap speaks."""
        self.machine.seconds = seconds
        self.write(*rows_at(self.machine.now(), emotion))

    def record_all(self, seconds: Sequence[float]) -> None:
        """The same for many seconds, in one transaction."""
        self.machine.seconds = max(seconds)
        self.write(*(row for second in seconds for row in rows_at(self.machine.at(second))))


def rows_at(at: Instant, emotion: Emotion = Emotion.HAPPINESS) -> list[Row]:
    shown = mostly(emotion)
    face = ExpressionRow(at, 1, 10, shown, shown, emotion, 120.0, 0.75, True)
    return [face, VitalReading(at, VitalKind.HEART_RATE, 60.0 + at.boot_ms / 1000 % 30, "strap")]


def gap_of(start: Instant, end: Instant) -> Gap:
    return Gap("camera", start, end, "stalled")
