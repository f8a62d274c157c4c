"""The time in which the agent did not run, as a gap: written when it starts again."""

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, replace

from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.gaps import Gap
from edge_agent.store.write.clocks.boots import BootRows
from edge_agent.store.write.timeline import write_gap

SOURCE = "agent"
REASON = "agent_stopped"
SHORTEST_MS = 3_000
"""A shorter time without rows is none: at ``record.interval`` they come once a second."""


@dataclass(frozen=True, slots=True)
class LastRow:
    """The last row of the timeline before the agent ended.

    Attributes:
        boot: row of ``boot`` that it points to.
        boot_id: start of the machine in which it was recorded.
        at_ms: wall clock.
        offset_ms: wall clock minus boot clock then.
    """

    boot: int
    boot_id: str
    at_ms: int
    offset_ms: int

    @property
    def boot_ms(self) -> int:
        """Boot clock of that start of the machine."""
        return self.at_ms - self.offset_ms


def last_row(connection: sqlite3.Connection) -> LastRow | None:
    """Return the last row that an agent recorded; ``None`` before the first.

    What came with a time of its own (an import) does not count: it says nothing of the agent.
    """
    boots = {
        row["id"]: row
        for row in connection.execute("SELECT id, boot_id, wall_minus_boot_ms AS offset FROM boot")
    }
    first: dict[str, int] = {}
    for number, row in sorted(boots.items()):
        first.setdefault(row["boot_id"], number)
    newest = [
        LastRow(at["boot"], boots[at["boot"]]["boot_id"], at["at"], boots[at["boot"]]["offset"])
        for at in _newest(connection)
    ]
    return max(newest, key=lambda row: (first[row.boot_id], row.boot_ms), default=None)


def write_outage(
    connection: sqlite3.Connection, last: LastRow, start: Instant, *, only_in_sessions: bool
) -> bool:
    """Write the time from the last row to a start of the agent as a gap.

    Args:
        connection: of the transaction.
        last: the last row of before; it may have been moved since it was read.
        start: when the agent started, by the clock of then.
        only_in_sessions: whether the camera looks in sessions only: nothing was lost between them.

    Returns:
        Whether this is done. Not while the start seems to lie before the last row, for the clock
            was not set yet: ask again when it was.
    """
    boot, at = BootRows(connection).place(start)
    last = _as_known_today(connection, last)
    if last.boot_id == clock.boot_id():  # then the boot clock knows, whatever the wall clock says
        boot = last.boot
        at = Instant(start.boot_ms, last.at_ms + start.boot_ms - last.boot_ms)
    if at.wall_ms < last.at_ms:
        return False
    spans = [(last.at_ms, at.wall_ms)]
    if only_in_sessions:
        spans = _within_sessions(connection, last.at_ms, at.wall_ms)
    for started, ended in spans:
        if ended - started >= SHORTEST_MS:
            gap = Gap(SOURCE, Instant(0, started), Instant(0, ended), REASON)
            write_gap(connection, gap, boot, last.boot)
    return True


def _as_known_today(connection: sqlite3.Connection, last: LastRow) -> LastRow:
    """Return the last row as it is dated now: a clock that was set may have moved it."""
    before = [row for row in BootRows(connection, last.boot_id) if row.start_ms <= last.boot_ms]
    if not before:
        return last
    offset_ms = before[-1].offset_ms
    at_ms = last.boot_ms + offset_ms
    return replace(last, boot=before[-1].id, at_ms=at_ms, offset_ms=offset_ms)


def _newest(connection: sqlite3.Connection) -> list[sqlite3.Row]:
    """Return the newest row of each table of the timeline, as ``boot`` and ``at``."""
    rows = (
        connection.execute(
            f"SELECT boot, {at} AS at FROM {table} WHERE boot IS NOT NULL ORDER BY {order} DESC "
            "LIMIT 1"
        ).fetchone()
        for table, at, order in (
            ("expression", "at", "id"),
            ("unfit", "at", "id"),
            ("gap", "ended", "id"),
            ("vital", "at", "at"),
        )
    )
    return [row for row in rows if row is not None]


def _within_sessions(
    connection: sqlite3.Connection, start_ms: int, end_ms: int
) -> list[tuple[int, int]]:
    """Return the parts of a time that lie in sessions."""
    rows = connection.execute(
        "SELECT max(started, :start), min(coalesce(ended, :end), :end) FROM session WHERE started "
        "< :end AND coalesce(ended, :end) > :start ORDER BY started",
        {"start": start_ms, "end": end_ms},
    )
    return [(row[0], row[1]) for row in rows]
