"""Tells programs on this machine how the collector stands: a file, and systemd."""

from __future__ import annotations

import logging
from pathlib import Path

from collector.errors import CollectorError
from edge_agent.core import clock
from edge_agent.core.clock import boot_id, now
from edge_agent.fleet.collector_health import HOLDS_S, CollectorHealth
from edge_agent.runtime.systemd import SystemdNotifier

log = logging.getLogger(__name__)

EVERY_S = 2.0
"""How often broker and database are asked, and the file is written."""


class HealthReport:
    """What the loop of a collector says of itself.

    Args:
        file: where to write it; ``None``: nowhere.
        systemd: is told that the loop goes round, and in a line what is away.

    Example:
        Say that all is well, if the last word is two seconds old::

            report = HealthReport(Path("/run/affect-edge/collector.json"))
            report.tell("")
    """

    def __init__(self, file: Path | None = None, systemd: SystemdNotifier | None = None) -> None:
        self._file = file
        self._systemd = systemd or SystemdNotifier(None)
        self._problem: str | None = None
        self._since_ms = 0
        self._holds_s = HOLDS_S
        self._next_s = 0.0
        self._is_written = True

    def start(self) -> None:
        """Say that the collector begins.

        Raises:
            CollectorError: the file cannot be written.
        """
        self.tell("it has just started")
        if not self._is_written:
            raise CollectorError(
                f"--health-file {self._file}: cannot be written. Give a file in a folder that is "
                "there and that this user may write to."
            )
        self._systemd.ready()

    @property
    def is_due(self) -> bool:
        """Whether it is time to ask broker and database again."""
        return clock.boot_seconds() >= self._next_s

    def tell(self, problem: str, holds_s: float = HOLDS_S) -> None:
        """Say how it stands: where that has changed, or the last word is too old.

        Args:
            problem: what is away, and why; empty: nothing.
            holds_s: how long nothing more may be said.
        """
        if problem == self._problem and holds_s == self._holds_s and not self.is_due:
            return
        at = now()
        if self._problem is None or bool(problem) != bool(self._problem):
            self._since_ms = at.wall_ms
        if problem != self._problem:
            self._systemd.status(problem or "broker and PostgreSQL answer")
        self._problem, self._holds_s = problem, holds_s
        self._next_s = clock.boot_seconds() + EVERY_S
        self._systemd.watchdog()
        self._write(CollectorHealth(boot_id(), at.boot_ms, holds_s, problem, self._since_ms))

    def expect(self, messages: int) -> None:
        """Say before a transaction that it may take longer than an answer."""
        self.tell(self._problem or "", HOLDS_S + messages / 10)

    def end(self) -> None:
        """Take the file away: nobody writes it any more."""
        self._systemd.stopping()
        if self._file is not None:
            self._file.unlink(missing_ok=True)

    def _write(self, health: CollectorHealth) -> None:
        if self._file is None:
            return
        try:
            health.write(self._file)
        except OSError as error:  # who reads the file finds it too old
            if self._is_written:
                log.warning("%s: cannot be written (%s)", self._file, error.strerror)
            self._is_written = False
        else:
            self._is_written = True
