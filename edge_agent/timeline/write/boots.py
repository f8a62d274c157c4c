"""Rows of ``boot``: the clock by which rows were dated, and its present correction.

The boot clock never jumps, so that within one start of the machine the wall clock lies on one line:
boot clock plus an offset. Each row of ``boot`` holds the offset of a stretch of time; a step of the
wall clock begins the next stretch. ``redating`` moves what was dated by a clock that was not set to
the offset that turned out to be right.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, zip_longest

from edge_agent.core import clock
from edge_agent.core.clock import CLOCK_JUMP_MS, UNKNOWN_BOOT, Instant

DRIFT_PPM = 100
"""A cheap clock runs fast or slow by this much: a step that is no larger is no wrong clock."""
_LATE_MS = 60_000  # a step is noticed up to so long after it, and a row may end so much later


@dataclass(frozen=True, slots=True)
class ClockCheck:
    """A request to compare the clocks: at the start of the agent, and after a clock step.

    Attributes:
        at: both clocks; ``None`` to go on with what was found before.
        is_start: whether the agent begins here, and its rows of before ended in an outage.
    """

    at: Instant | None
    is_start: bool = False


@dataclass(frozen=True, slots=True)
class BootRow:
    """A row of ``boot``.

    Attributes:
        id: its number.
        start_ms: boot clock of the first row that points to it.
        offset_ms: wall clock minus boot clock, as is known today.
        moved_ms: by how much its rows were moved since they were recorded.
        synchronised: whether the network had set the clock, or has told since what it should be.
    """

    id: int
    start_ms: int
    offset_ms: int
    moved_ms: int
    synchronised: bool

    def agrees(self, at: Instant) -> bool:
        """Tell whether an instant was read from the clock as it was when its rows were recorded."""
        # ``offset_ms`` was moved with the rows; the clock of then was before that move.
        return abs(at.wall_ms - at.boot_ms - self.offset_ms + self.moved_ms) <= CLOCK_JUMP_MS


class BootRows:
    """The stretches of this start of the machine, oldest first, as one transaction sees them.

    Args:
        connection: of the transaction.
        boot_id: of the start of the machine; ``None`` is this one.
    """

    def __init__(self, connection: sqlite3.Connection, boot_id: str | None = None) -> None:
        self._connection = connection
        self._is_present = boot_id is None
        self._boot_id = boot_id or clock.boot_id()
        self._rows = self._read()

    def __iter__(self) -> Iterator[BootRow]:
        """Return the stretches, oldest first."""
        return iter(self._rows)

    def knows(self, at: Instant) -> bool:
        """Tell whether an instant lies in one of the stretches."""
        return self._find(at) is not None

    def place(self, at: Instant) -> tuple[int, Instant]:
        """Return the ``boot`` row of an instant (inserted if missing), and its corrected time.

        An instant read from a clock that was set later is moved like the rows of its time.
        """
        row = self._find(at) or self._insert(at)
        return row.id, replace(at, wall_ms=at.wall_ms + row.moved_ms)

    def begin_if_clocks_moved(self, at: Instant) -> None:
        """Begin a new stretch if the clocks at ``at`` do not agree with the last one."""
        # A late instant of before the last stretch begins none.
        if self._rows and (at.boot_ms < self._rows[-1].start_ms or self._rows[-1].agrees(at)):
            return
        self._insert(at)

    def look_in_doubt(self) -> None:
        """Compare the clocks after a step away from the network's time: it may be corrected again.

        A wrong clock that was corrected within a second may otherwise go unnoticed.
        """
        if any(row.synchronised for row in self._rows) and not self._rows[-1].synchronised:
            self.begin_if_clocks_moved(clock.now())

    def confirm(self) -> None:
        """Note that the network has set the clock by which rows are dated now."""
        if not self._rows or self._rows[-1].synchronised or not self._is_confirmed():
            return
        last = self._rows[-1]
        # Stretches that were moved to this offset are confirmed with it.
        self._connection.execute(
            "UPDATE boot SET synchronised = 1 WHERE boot_id = ? AND (id = ? OR (moved_ms <> 0 AND "
            "wall_minus_boot_ms = ?))",
            (self._boot_id, last.id, last.offset_ms),
        )
        self._rows = self._read()

    def wrong(self) -> tuple[BootRow, BootRow, int | None] | None:
        """Return the newest stretch with wrong times, a stretch with right ones, and the end of the
        wrong one (``None``: its last row).

        A clock set by the network is right. If the network has not set it since the machine
        started, the clock is taken as right since its last step. After a step away from the
        network's time it is unknown, until the network sets the clock again or the machine stops.
        """
        right = self._right()
        if right is None or self._boot_id == UNKNOWN_BOOT:
            return None
        for row, following in reversed(list(zip_longest(self._rows, self._rows[1:]))):
            if not row.synchronised and row.id != right.id and not _is_drift(row, right):
                if following is None:
                    return row, right, None
                return row, right, row.offset_ms + following.start_ms + _LATE_MS
        return None

    def _right(self) -> BootRow | None:
        if not self._rows:
            return None
        known = [row for row in self._rows if row.synchronised]
        if self._rows[-1].synchronised or not known:
            return self._rows[-1]
        # In the present start the network may still set the clock again; an earlier start has
        # ended.
        return None if self._is_present else known[-1]

    def _find(self, at: Instant) -> BootRow | None:
        if not self._rows:
            return None
        if self._rows[-1].agrees(at):
            return self._rows[-1]
        for row, following in reversed(list(pairwise(self._rows))):
            # A row may be stamped a while after the step that follows it, see ``_LATE_MS``.
            if at.boot_ms <= following.start_ms + _LATE_MS and row.agrees(at):
                return row
        return None

    def _insert(self, at: Instant) -> BootRow:
        """Insert the row of a stretch; a late instant may begin one between two others."""
        self._connection.execute(
            "INSERT INTO boot (boot_id, started_ms, wall_minus_boot_ms, synchronised) VALUES (?, "
            "?, ?, 0)",
            (self._boot_id, at.wall_ms, at.wall_ms - at.boot_ms),
        )
        self._rows = self._read()
        self.confirm()
        row = self._find(at)
        assert row is not None, "the row of this instant was just written"
        return row

    def _read(self) -> list[BootRow]:
        # Two stretches may begin at the same moment: the newer one follows.
        rows = self._connection.execute(
            "SELECT id, started_ms - wall_minus_boot_ms, wall_minus_boot_ms, moved_ms, "
            "synchronised FROM boot WHERE boot_id = ? ORDER BY 2, id",
            (self._boot_id,),
        )
        return [
            BootRow(number, start, offset, moved, bool(known))
            for number, start, offset, moved, known in rows
        ]

    def _is_confirmed(self) -> bool:
        """Tell whether the network has set the clock since its last step.

        The mark of the time service stays when somebody sets the clock by hand: it must be newer.
        Rows may be written after the clock was set that dates them: the clock of now must be
        theirs.
        """
        if not clock.is_synchronised() or not self._rows[-1].agrees(clock.now()):
            return False
        set_ms = clock.synchronised_ms()
        # A single stretch has seen no step that could be newer than the mark.
        if len(self._rows) == 1 or set_ms is None:
            return True
        last = self._rows[-1]
        since_ms = last.offset_ms + last.start_ms - _LATE_MS
        return since_ms <= set_ms <= clock.now().wall_ms + CLOCK_JUMP_MS


def stamp(connection: sqlite3.Connection, at: Instant) -> tuple[int | None, Instant]:
    """Return the row of ``boot`` of an instant of this machine, and the instant as known today.

    ``None`` for an instant that was not read from a clock by which the agent has dated rows since
    the start of the machine: it is never moved.
    """
    rows = BootRows(connection)
    # ``place`` would insert a stretch that is not known.
    if at.boot_ms > 0 and rows.knows(at):
        return rows.place(at)
    return None, at


def stamp_study(connection: sqlite3.Connection, at: Instant) -> tuple[int | None, Instant]:
    """Return the same for a row of the study, which must move with what is recorded in it.

    In the first second of the agent, or just after a step of the clock, the recorder has not begun
    the stretch yet: then it begins here. ``None`` only for an instant that somebody entered, which
    has no boot clock.
    """
    if at.boot_ms > 0:
        return BootRows(connection).place(at)
    return None, at


def other_boots(connection: sqlite3.Connection) -> Sequence[str]:
    """Return the earlier starts of the machine in which the clock stepped, newest first."""
    rows = connection.execute(
        "SELECT boot_id FROM boot WHERE boot_id <> ? GROUP BY boot_id HAVING count(*) > 1 AND "
        "min(synchronised) = 0 ORDER BY max(id) DESC",
        (clock.boot_id(),),
    )
    return [row[0] for row in rows]


def _is_drift(row: BootRow, right: BootRow) -> bool:
    """Tell whether two stretches differ by no more than a clock may be fast or slow."""
    apart_ms = abs(right.start_ms - row.start_ms)
    return abs(right.offset_ms - row.offset_ms) <= CLOCK_JUMP_MS + apart_ms * DRIFT_PPM // 1_000_000
