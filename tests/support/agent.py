"""An agent inside the process of a test."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edge_agent.agent.loop import Agent
from edge_agent.config.loading import load_settings
from tests.support.broker import wait_until
from tests.support.timeline import query

Tables = dict[str, dict[str, Any]]
WITHOUT_BROKER: Tables = {"camera": {"source": "demo"}, "mqtt": {"enabled": False}}


class RunningAgent:
    """A running agent, its database, and what ``run`` returned."""

    def __init__(self, agent: Agent, folder: Path) -> None:
        self.agent = agent
        self.folder = folder
        self.database = folder / "affect-edge.db"
        self.code: int | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self.code = self.agent.run()

    def wait_for_rows(self, table: str, where: str = "true") -> None:
        """Return once the table has such rows."""
        question = f"SELECT count(*) > 0 FROM {table} WHERE {where}"
        wait_until(lambda: query(self.database, question) == [(1,)], f"rows in {table}")

    def hear(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the first message of the live feed that is wanted."""
        with socket.socket(socket.AF_UNIX) as feed:
            feed.settimeout(60)
            # the socket has its name a moment before it listens
            wait_until(lambda: self._answers(feed), "the live feed")
            with feed.makefile("rb") as lines:
                for line in lines:
                    message: dict[str, Any] = json.loads(line)
                    if wanted(message):
                        return message
        raise AssertionError("the live feed ended")

    def _answers(self, feed: socket.socket) -> bool:
        return feed.connect_ex(str(self.folder / "live.sock")) == 0

    def end(self) -> int | None:
        """Wait until it has ended; return its exit code."""
        self._thread.join(60)
        assert not self._thread.is_alive()
        return self.code

    def finish(self) -> None:
        """Ask it to end, and see that it has done so in order."""
        self.agent.stop()
        assert self.end() == 0


@contextmanager
def running_agent(
    folder: Path, tables: Tables | None = None, environment: Mapping[str, str] | None = None
) -> Iterator[RunningAgent]:
    """Run an agent on the demonstration camera, without a broker unless ``tables`` say so."""
    settings = load_settings(None, WITHOUT_BROKER | (tables or {}))
    made = RunningAgent(Agent(settings, folder, environment or {}), folder)
    try:
        yield made
    finally:
        made.agent.stop()
        made.end()
