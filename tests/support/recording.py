"""A recorder that runs in a test, and whose commits can be waited for."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from edge_agent.core.expression import Recognition
from edge_agent.core.gaps import Gap
from edge_agent.core.vitals import VitalReading
from edge_agent.store.write.outbox import OutboxMessage
from edge_agent.store.write.recorder import Recorder

LONG = 3600.0


class Recording:
    """A running recorder and its database."""

    def __init__(self, path: Path, **settings: Any) -> None:
        self.path = path
        self.commits = threading.Semaphore(0)
        defaults: dict[str, Any] = {"on_commit": self.commits.release, "batch_seconds": LONG}
        self.recorder = Recorder(path, **(defaults | settings))
        self.recorder.start()

    def submit(self, *items: Recognition | VitalReading | Gap | OutboxMessage) -> None:
        for item in items:
            self.recorder.submit(item)

    def committed(self) -> None:
        """Wait for the next commit."""
        assert self.commits.acquire(timeout=10), "nothing was committed"

    def finish(self) -> None:
        """End the recorder and see that it drained."""
        self.recorder.stop()
        assert self.recorder.join(10)
        assert self.recorder.error is None
