"""What the timeline holds of a session, for its quality report.

All of it is read in a transaction that the caller holds.
"""

from __future__ import annotations

import sqlite3

from edge_agent.core.clock import CLOCK_JUMP_MS
from edge_agent.core.expression import RejectReason
from edge_agent.store.quality.report import ClockEvent, Span

_SHORTEST_MS = 1_000  # where every frame is a row, each stands for the second before it


def read_face_spans(connection: sqlite3.Connection, start_ms: int, end_ms: int) -> list[Span]:
    """Return the spans in which the participant's face was read."""
    rows = connection.execute(
        "SELECT at - max(interval_ms, ?), at FROM expression WHERE is_primary = 1 AND at > ? AND "
        "at <= ? ORDER BY at",
        (_SHORTEST_MS, start_ms, end_ms + _SHORTEST_MS),
    )
    return [(row[0], row[1]) for row in rows]


def read_frame_counts(
    connection: sqlite3.Connection, start_ms: int, end_ms: int
) -> list[tuple[int, int]]:
    """Return length and frames of each recorded interval of the participant's face.

    Frames that could not be read count, too.
    """
    rows = connection.execute(
        "SELECT interval_ms, sum(frames) FROM (SELECT at, interval_ms, frames FROM expression "
        "WHERE is_primary = 1 AND at > :start AND at <= :end UNION ALL SELECT at, interval_ms, "
        "frames FROM unfit WHERE is_primary = 1 AND at > :start AND at <= :end) GROUP BY at ORDER "
        "BY at",
        {"start": start_ms, "end": end_ms},
    )
    return [(row[0], row[1]) for row in rows]


def read_lost_seconds(
    connection: sqlite3.Connection, start_ms: int, end_ms: int
) -> dict[RejectReason, float]:
    """Return the seconds in which the participant's face was seen but never read, by reason."""
    rows = connection.execute(
        "SELECT reason, sum(max(interval_ms, ?)) / 1000.0 FROM unfit AS lost WHERE is_primary = 1 "
        "AND at > ? AND at <= ? AND NOT EXISTS (SELECT 1 FROM expression WHERE expression.at = "
        "lost.at AND is_primary = 1) GROUP BY reason ORDER BY 2 DESC",
        (_SHORTEST_MS, start_ms, end_ms),
    )
    return {RejectReason(row[0]): row[1] for row in rows}


def read_clock(
    connection: sqlite3.Connection, start_ms: int, end_ms: int
) -> tuple[tuple[ClockEvent, ...], bool | None]:
    """Return what happened to the clock, and whether the network had set it all the time.

    ``None``: it is not known.
    """
    rows = connection.execute(
        "SELECT boot_id, started_ms, wall_minus_boot_ms, synchronised, min(id) OVER (PARTITION BY "
        "boot_id) AS first FROM boot ORDER BY first, started_ms - wall_minus_boot_ms, id"
    ).fetchall()
    inside = [number for number, row in enumerate(rows) if start_ms < row["started_ms"] < end_ms]
    before = [number for number, row in enumerate(rows) if row["started_ms"] <= start_ms]
    events = (_event(rows[number - 1], rows[number], start_ms) for number in inside if number)
    lasting = [*before[-1:], *inside]
    synchronised = all(rows[number]["synchronised"] for number in lasting) if lasting else None
    return tuple(event for event in events if event is not None), synchronised


def _event(last: sqlite3.Row, row: sqlite3.Row, start_ms: int) -> ClockEvent | None:
    """Return what a row of ``boot`` says happened.

    An agent that came late to a running machine is no event. Neither is a clock that was set when
    rows of before were moved by as much.
    """
    if row["boot_id"] == last["boot_id"]:
        jump_ms = row["wall_minus_boot_ms"] - last["wall_minus_boot_ms"]
        if abs(jump_ms) <= CLOCK_JUMP_MS:
            return None
        return ClockEvent(row["started_ms"], jump_ms / 1000)
    if row["wall_minus_boot_ms"] > start_ms:
        return ClockEvent(row["started_ms"], None)
    return None
