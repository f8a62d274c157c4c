"""How the recorder gathers, marks and keeps rows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RecorderOptions:
    """Options of the recorder.

    Attributes:
        interval_s: length of an expression row in seconds; 0 records every frame.
        batch_rows: rows in a batch at the most.
        batch_seconds: seconds that a row waits for its commit at the most.
        outbox_rows: messages kept in the outbox at the most.
        simulated: whether what the camera shows is a demonstration; marks every expression row.
        only_in_sessions: write no expression and no reading of a time outside sessions: what was
            seen just after a session ended, or a consent was withdrawn, is not kept.
        max_bytes: largest size of the database file; ``None`` is the size of the disk.
        memory_rows: rows that wait in memory at the most.
        retry_seconds: seconds between attempts after a failed commit.
    """

    interval_s: float = 1.0
    batch_rows: int = 60
    batch_seconds: float = 10.0
    outbox_rows: int = 50_000
    simulated: bool = False
    only_in_sessions: bool = False
    max_bytes: int | None = None
    memory_rows: int = 20_000
    retry_seconds: float = 2.0
