"""The alerts that stand, as every page shows them, and the threads that watch and send."""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path
from typing import ClassVar

from starlette.concurrency import run_in_threadpool

from dashboard.languages.current import language
from dashboard.languages.written import said
from dashboard.web.alerts.agent_watch import AgentWatch
from edge_agent.alerts.options import AlertOptions
from edge_agent.alerts.rules import SEEN_BY_DASHBOARD
from edge_agent.alerts.sender import AlertSender
from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.errors import StoreError
from edge_agent.core.texts.kept import packed
from edge_agent.core.worker import Worker
from edge_agent.store.alert_log.alert_log import AlertLog, Signature
from edge_agent.store.alert_log.entries import AlertEntry, Delivery
from edge_agent.store.gate.commands import Commands

log = logging.getLogger(__name__)

Mark = tuple[Signature, tuple[AlertEntry, ...]]

_END_S = 2.0
_BUSY_S = 0.2
"""A page waits no longer for the alerts; it shows those of before."""


class _WrittenByCommands(AlertLog):
    """The log of alerts for a program that may only read it."""

    def __init__(self, commands: Commands) -> None:
        super().__init__(commands.path)
        self._commands = commands

    def begin(self, alert: AlertEntry, at: Instant) -> None:
        """Write that the agent does not answer."""
        text, parts = str(alert.text), packed(alert.text)
        self._commands.begin_alert(alert.rule, text, parts, at, quiet=alert.quiet)

    def end(self, rule: str, ending: str, at: Instant, *, kind: str | None = None) -> None:
        """Write that the agent answers again, or is not watched any more."""
        del kind  # it may end its own alone
        self._commands.end_alert(rule, ending, at)

    def note_delivery(self, alert: int, delivery: Delivery, *, kind: str | None = None) -> None:
        """Write what became of a message."""
        del kind
        self._commands.note_delivery(alert, delivery)


class DashboardAlerts:
    """The alerts that stand; read again only after somebody wrote to the database.

    Args:
        options: the rules, and who is told.
        commands: write the log.
        socket: of the agent's live feed.

    Attributes:
        options: as given.
        log: the log.
    """

    LOOK_S: ClassVar[float] = 0.5

    def __init__(self, options: AlertOptions, commands: Commands, socket: Path) -> None:
        self.options = options
        self.log = _WrittenByCommands(commands)
        self._quick = AlertLog(commands.path, busy_seconds=_BUSY_S)
        self._lock = threading.Lock()
        self._read_at: Mark | None = None
        self._open: tuple[AlertEntry, ...] = ()
        self._events: dict[str, str] = {}
        kinds = [kind.value for kind in SEEN_BY_DASHBOARD]
        self._agent = AgentWatch(options, self.log, socket)
        self._workers: list[Worker] = [self._agent]
        if options.sends:
            self._workers.append(AlertSender(options, kinds, self.log))

    def start(self) -> None:
        """Watch the agent, and send what is to be sent."""
        for worker in self._workers:
            worker.start()

    def close(self) -> None:
        """End the threads."""
        for worker in self._workers:
            worker.stop()
        for worker in self._workers:
            worker.join(_END_S)

    def standing(self) -> tuple[AlertEntry, ...]:
        """Return the alerts that stand, the oldest first."""
        with self._lock:
            mark = self._mark()
            if mark != self._read_at:
                self._read(mark)
            return self._open

    def unseen(self) -> list[AlertEntry]:
        """Return those that nobody has acknowledged."""
        return [alert for alert in self.standing() if alert.acknowledged_ms is None]

    async def refresh(self) -> None:
        """Read the alerts that stand, if anybody wrote since the last time."""
        if self._mark() != self._read_at:
            await run_in_threadpool(self.standing)

    def _mark(self) -> Mark:
        """Return what changes whenever other alerts may stand."""
        return self._quick.signature(), self._agent.unwritten

    def _read(self, mark: Mark) -> None:
        try:
            written = self._quick.open_alerts()
        except StoreError as error:
            log.debug("alerts: not read now: %s", error)
            return
        there = {alert.rule for alert in written}
        waiting = [alert for alert in mark[1] if alert.rule not in there]
        self._open = (*written, *waiting)
        self._events = {}
        self._read_at = mark

    def event(self) -> str:
        """Return the alerts that stand as a server-sent event, as they were read last, in the
        language in use; empty before they were read.
        """
        if self._read_at is None:
            return ""
        known = self._events
        if language() not in known:
            known[language()] = self._event()
        return known[language()]

    def _event(self) -> str:
        message = {
            "type": "alerts",
            "open": [
                {
                    "id": alert.id,
                    "rule": alert.rule,
                    "text": said(alert.text),
                    "since": alert.raised_ms,
                    "acknowledged": alert.acknowledged_ms is not None,
                }
                for alert in self._open
            ],
            "sound": self.options.table.sound and not self.options.quiet.holds(clock.now().wall_ms),
        }
        data = json.dumps(message, separators=(",", ":"))
        return f"event: alerts\ndata: {data}\n\n"
