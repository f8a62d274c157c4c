"""What a recorder under test and its harness tell each other, in files that outlive a kill."""

from __future__ import annotations

import os
import struct
import time
from pathlib import Path
from typing import Self

from edge_agent.core import clock
from edge_agent.core.clock import Instant

SOURCE = "faults"
PACE_S = 0.005
_SENT = struct.Struct("<qq")
_COMMITTED = struct.Struct("<qq")
_CLOCK = struct.Struct("<qqq")


class Ledger:
    """Files of one trial: which numbers were sent and when, which are committed, and the clock.

    Args:
        folder: of the trial.
    """

    def __init__(self, folder: Path) -> None:
        self.disk = folder / "disk.control"
        self._files = [
            os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_APPEND)
            for name in ("sent", "committed")
        ]
        self._clock = os.open(folder / "clock", os.O_RDWR | os.O_CREAT)
        self._seen_retention = 0
        self._read_clocks = clock.now
        started = clock.now()
        self._true_offset_ms = started.wall_ms - started.boot_ms

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for file in (*self._files, self._clock):
            os.close(file)

    # What the recorder tells.

    def note_sent(self, number: int, at: Instant) -> None:
        """Note that a number is submitted, and its true time: the boot clock is never wrong."""
        os.write(self._files[0], _SENT.pack(number, at.boot_ms + self._true_offset_ms))

    def note_committed(self, first: int, last: int) -> None:
        """Note that a process was told that its numbers from ``first`` to ``last`` are safe."""
        if last >= first:
            os.write(self._files[1], _COMMITTED.pack(first, last))

    def next_number(self) -> int:
        """Return the number after the last that was sent."""
        return max(self.sent(), default=0) + 1

    def sent(self) -> dict[int, int]:
        """Return the true time of each number, UTC milliseconds since 1970."""
        return dict(_SENT.iter_unpack(_whole(self._files[0], _SENT.size)))

    def committed(self) -> set[int]:
        """Return the numbers that are safe, as the recorder was told."""
        ends: dict[int, int] = {}
        for first, last in _COMMITTED.iter_unpack(_whole(self._files[1], _COMMITTED.size)):
            ends[first] = max(last, ends.get(first, last))
        return {number for first, last in ends.items() for number in range(first, last + 1)}

    def last_committed(self) -> int:
        """Return the greatest number that is safe; 0: none."""
        content = _whole(self._files[1], _COMMITTED.size)
        return _COMMITTED.unpack(content[-_COMMITTED.size :])[1] if content else 0

    # What the harness tells.

    def set_clock(self, wrong_ms: int, set_by_network: bool, retention: int = 0) -> None:
        """Make the wall clock wrong; say whether the network has set it just now.

        Args:
            wrong_ms: milliseconds that it is ahead.
            set_by_network: whether the time service says so.
            retention: each greater number asks for one run of the retention.
        """
        known = time.time_ns() // 1_000_000 if set_by_network else 0
        os.pwrite(self._clock, _CLOCK.pack(wrong_ms, known, retention), 0)

    def wants_retention(self) -> bool:
        """Tell once for each time that retention was asked for."""
        asked = self._told()[2]
        wanted = asked > self._seen_retention
        self._seen_retention = asked
        return wanted

    def take_clocks(self) -> None:
        """Let this process read the clock of the trial."""
        clock.now = self._now
        clock.is_synchronised = lambda *_: self._told()[1] > 0
        clock.synchronised_ms = lambda *_: self._told()[1] or None

    def _now(self) -> Instant:
        at = self._read_clocks()
        return Instant(at.boot_ms, at.wall_ms + self._told()[0])

    def _told(self) -> tuple[int, int, int]:
        content = os.pread(self._clock, _CLOCK.size, 0)
        if len(content) < _CLOCK.size:
            return 0, 0, 0
        wrong_ms, known, retention = _CLOCK.unpack(content)
        return wrong_ms, known, retention


def _whole(file: int, size: int) -> bytes:
    content = os.pread(file, os.fstat(file).st_size, 0)
    return content[: len(content) // size * size]
