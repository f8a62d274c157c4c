"""A running recorder, and a database that is full."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

from edge_agent.config.data import RecorderOptions
from edge_agent.core.electrocardiogram import EcgStretch
from edge_agent.core.expression import Recognition
from edge_agent.core.readings import Gap, VitalReading
from edge_agent.timeline.write.outbox import OutboxMessage
from edge_agent.timeline.write.recorder import DatabaseKeeper, Recorder

Submitted = Recognition | VitalReading | Gap | OutboxMessage | EcgStretch
LONG = 3600.0
DEADLINE_S = 60.0


class Recording:
    """A running recorder and its database."""

    def __init__(self, path: Path, *, safe: DatabaseKeeper | None = None, **settings: Any) -> None:
        self.path = path
        self.commits = threading.Semaphore(0)
        options = RecorderOptions.model_construct(**{"batch_seconds": LONG, **settings})
        self.recorder = Recorder(path, options, safe=safe, on_commit=self.commits.release)
        self.recorder.start()

    def submit(self, *items: Submitted) -> None:
        for item in items:
            self.recorder.submit(item)

    def committed(self) -> None:
        """Wait for the next commit."""
        assert self.commits.acquire(timeout=DEADLINE_S), "nothing was committed"

    def finish(self) -> None:
        """End the recorder and see that it drained."""
        self.recorder.stop()
        assert self.recorder.join(DEADLINE_S)
        assert self.recorder.error is None


def recorded(path: Path, *items: Submitted, **settings: Any) -> Recorder:
    """Record some items, and end."""
    recording = Recording(path, **settings)
    recording.submit(*items)
    recording.finish()
    return recording.recorder


def fill(path: Path) -> int:
    """Fill the database with what can be deleted later.

    Return its size, which a recorder may not exceed.
    """
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "INSERT INTO audit (at, actor, action, detail) VALUES (1, 'a', 'b', ?)",
            ("x" * 300_000,),
        )
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path.stat().st_size


def make_room(path: Path) -> None:
    """Delete what ``fill`` wrote."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM audit")
        connection.commit()
