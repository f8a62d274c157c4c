"""A device whose clock is off, as a collector hears it: real database, real messages."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from collector.messages import BrokerDelivery
from collector.writer import MessageWriter
from edge_agent.core.clock import Instant
from edge_agent.fleet.chunks import TimelineMessage
from edge_agent.fleet.tables import BOOT_CHARACTERS
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.database.schema import DAY_MS, HOUR_MS
from edge_agent.timeline.study.rows import insert_participant
from tests.support.fleet.devices import messages_of, packed
from tests.support.timeline import instant, timeline

RECORDED_MS = (time.time_ns() // 1_000_000 // DAY_MS - 1) * DAY_MS + 12 * HOUR_MS
"""When devices truly record, where nothing else is said: at noon of yesterday, UTC."""


@dataclass
class ClockedDevice:
    """A device's database, and the clock by which it sends it.

    Attributes:
        name: of the device.
        path: its database.
        ahead_ms: how far its clock is ahead now.
        synchronised: whether it says that a server of time has set it.
        booted_ms: when its machine was started, truly.
        boot: the kernel's name of that start.
    """

    name: str
    path: Path
    ahead_ms: int = 0
    synchronised: bool = False
    booted_ms: int = RECORDED_MS - HOUR_MS
    boot: str = "0f6c1b9e-6c1a-4d7e-9a55-2f1f6f3c7d10"
    sent: int = field(default=0, init=False)
    spoken: int = field(default=0, init=False)

    @classmethod
    def make(cls, folder: Path, name: str, **values: Any) -> ClockedDevice:
        return cls(name, timeline(folder / name), **values)

    def record(self, minutes: float, at_ms: int = RECORDED_MS) -> None:
        """Record a face and a strap for some minutes from a true time on, by its clock."""
        first = at_ms + self.ahead_ms
        offset_ms = self.booted_ms + self.ahead_ms
        with write_transaction(self.path) as connection:
            boot = self._boot(connection, first, offset_ms)
        times = range(first, first + round(minutes * 60) * 1000, 1000)
        rows = [{"at": Instant(0, ms), "boot_ms": ms - offset_ms, "boot": boot} for ms in times]
        beats = (60 + (at_ms // 1000 + second) % 13 for second in range(len(times)))
        readings = [{**row, "value": beat} for row, beat in zip(rows, beats, strict=True)]
        timeline(self.path, expression=rows, vital=readings)

    def _boot(self, connection: sqlite3.Connection, first: int, offset_ms: int) -> int:
        """Return the row of ``boot`` of this start and this setting of the clock."""
        known = connection.execute(
            "SELECT id FROM boot WHERE boot_id = ? AND wall_minus_boot_ms = ?",
            (self.boot, offset_ms),
        ).fetchone()
        if known is not None:
            return int(known[0])
        cursor = connection.execute(
            "INSERT INTO boot (boot_id, started_ms, wall_minus_boot_ms, synchronised) "
            "VALUES (?, ?, ?, ?)",
            (self.boot, first, offset_ms, self.synchronised),
        )
        return int(cursor.lastrowid or 0)

    def messages(self, late_ms: int = 0) -> list[TimelineMessage]:
        """Return what it has not sent yet, as it was sent some time ago."""
        found = messages_of(self.path, self.name, self.sent)
        sent = time.time_ns() // 1_000_000 - late_ms
        self.sent = found[-1].last
        return [
            replace(
                one,
                sent=sent + self.ahead_ms,
                synchronised=self.synchronised,
                boot=self.boot[:BOOT_CHARACTERS],
                boot_ms=sent - self.booted_ms,
            )
            for one in found
        ]

    def send(self, there: Any, late_ms: int = 0) -> None:
        take(there, self.messages(late_ms))

    def speak(self, there: Any, late_ms: int = 0) -> None:
        """Send something that is on no timeline, a minute and more after the last message."""
        there.execute(
            "UPDATE fleet.clock SET since = since - interval '90 s', until = until - "
            "interval '90 s', reached = reached - interval '90 s', boot_ms = boot_ms - 90000"
        )
        self.spoken += 1
        with write_transaction(self.path) as connection:
            insert_participant(connection, f"P{self.spoken}", instant(0))
        self.send(there, late_ms)


def take(there: Any, messages: list[TimelineMessage]) -> None:
    """Let a collector take messages of one device that was not asked before."""
    writer = MessageWriter(there)
    writer.write_deliveries([BrokerDelivery(one.device, packed(one), 0) for one in messages])
    writer.close_minutes(0.0)
