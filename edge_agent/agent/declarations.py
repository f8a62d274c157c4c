"""Presses that declare whose face it is, from the database to the recognizer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edge_agent.agent.own_neutral import files_of
from edge_agent.core.clock import Instant
from edge_agent.timeline.study.declarations import last_declaration

FRESH_S = 60.0
"""Age above which a press declares nothing, as one that was there before the agent started."""


class DeclarationWatch:
    """Passes the last declaration of the open session on, and withdraws it when that ends.

    Args:
        database: the timeline, in which a declaration is a marker.
        declare: receives the moment of the press; ``None``: nothing is declared.
    """

    def __init__(self, database: Path, declare: Callable[[Instant | None], None]) -> None:
        self._database = database
        self._declare = declare
        self._marker: int | None = None
        self._seen_files: object = None

    def look(self, at: Instant) -> None:
        """Look at the open session.

        Raises:
            StoreError: the database cannot be used; what was declared holds.
        """
        files = files_of(self._database)
        if files == self._seen_files:
            return
        marker = last_declaration(self._database)
        number = None if marker is None else marker.id
        if number != self._marker:
            self._marker = number
            self._declare(None if marker is None or _is_old(marker.at, at) else marker.at)
        self._seen_files = files


def _is_old(press: Instant, at: Instant) -> bool:
    # By both clocks: the boot clock of a press before a restart may seem to be of now.
    ages_s = (at.wall_ms - press.wall_ms) / 1000, at.seconds_since(press)
    return max(map(abs, ages_s)) > FRESH_S
