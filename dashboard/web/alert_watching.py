"""The open alerts on every page, and the threads that watch the agent and send messages.

A stopped or frozen agent cannot report itself, so the dashboard watches it.
"""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path
from typing import ClassVar

from starlette.concurrency import run_in_threadpool

from dashboard.languages.current import language
from dashboard.languages.figures import with_instants
from dashboard.languages.names import alert_name, translate
from edge_agent.alerts.rules import SEEN_BY_DASHBOARD, UNHEARD_S, Zone
from edge_agent.alerts.sending import AlertOptions, AlertSender
from edge_agent.alerts.signals import UNKNOWN, WELL, AlertSignal
from edge_agent.alerts.watch import AlertWatch
from edge_agent.config.alerts import AlertKind, RuleSettings
from edge_agent.core import clock
from edge_agent.core.bounds import DASHBOARD
from edge_agent.core.clock import Instant
from edge_agent.core.errors import StoreError
from edge_agent.core.texts import N_, Message, pack_text
from edge_agent.core.threads import Worker
from edge_agent.live.feed import AgentProbe
from edge_agent.live.sockets import is_served
from edge_agent.timeline.gate.commands import Commands
from edge_agent.timeline.write.alert_log import AlertDelivery, AlertEntry, AlertLog, Signature

log = logging.getLogger(__name__)

STEP_S = 0.5
ANSWER_S = 0.7
"""Longest wait for the agent's first message, in seconds."""
FRESH_MS = 1000 * UNHEARD_S[AlertKind.AGENT]
"""The agent sends its state each second; an older one was sent before it froze."""
START_S = 60.0
"""Time that an agent may take to start before it counts as stopped."""
GONE = N_(
    "It is not running, so nothing is recorded. Start it: sudo systemctl start affect-edge-agent"
)
FROZEN = N_(
    "It is running but does not answer, so it may not be recording. If this lasts, restart it."
)
_END_S = 2.0
_BUSY_S = 0.2
"""Longest wait of a page for the alerts, in seconds; then it shows those read before."""


class AgentWatch(Worker):
    """Checks twice a second over one open connection whether the agent still answers.

    Args:
        options: the rules.
        alert_log: where alerts are written down.
        socket: of the agent's live feed.
    """

    def __init__(self, options: AlertOptions, alert_log: AlertLog, socket: Path) -> None:
        super().__init__("agent-watch")
        self._log = alert_log
        self._options = options
        self._file = options.rule_file()
        self._socket = socket
        self._probe = AgentProbe(socket)
        self._give_up_s = clock.boot_seconds() + START_S
        self._was_heard = False
        self._watch = AlertWatch(
            options.rules_of(SEEN_BY_DASHBOARD),
            [kind.value for kind in SEEN_BY_DASHBOARD],
            alert_log,
            self._signal,
            options.quiet,
        )

    @property
    def unwritten(self) -> tuple[AlertEntry, ...]:
        """Alerts that could not be written yet, because a frozen agent may lock the database."""
        return self._watch.unwritten

    def work(self) -> None:
        """Watch the agent until stopped."""
        try:
            while not self.stopping.wait(STEP_S):
                self.step(clock.now())
        finally:
            self._probe.close()

    def step(self, now: Instant) -> None:
        """Look once, by the rules of a changed configuration file from now on."""
        if self._file.refresh():
            options = self._options.with_rules(self._file.rules)
            self._watch.change_rules(options.rules_of(SEEN_BY_DASHBOARD), now)
        self._watch.step(now)

    def _signal(self, _rule: RuleSettings, at_s: float) -> AlertSignal:
        told_ms = self._probe.last_state_ms(ANSWER_S)
        # The absolute value: after the clock was set back, a message of a moment ago carries a
        # time of the future and must not count as fresh until the clock has caught up with it.
        if told_ms is not None and abs(clock.now().wall_ms - told_ms) <= FRESH_MS:
            self._was_heard = True
            return WELL
        # An agent that was never heard may still be starting. Where none has ever recorded, as on a
        # laptop with imported files, none is missed: Live, Trends and Health say that none runs.
        if not self._was_heard and (at_s < self._give_up_s or not self._log.has_agent()):
            return UNKNOWN
        if self._is_gone():
            return AlertSignal(Zone.BEYOND, reason=Message(GONE))
        return AlertSignal(Zone.BEYOND, reason=Message(FROZEN))

    def _is_gone(self) -> bool:
        # Only a socket that nobody serves means a stopped agent; a full backlog does not.
        return not self._probe.is_connected and not is_served(self._socket)


Mark = tuple[Signature, tuple[AlertEntry, ...]]


class _WrittenByCommands(AlertLog):
    """The log of alerts for the dashboard, which may only read the database itself."""

    def __init__(self, commands: Commands) -> None:
        super().__init__(commands.path)
        self._commands = commands

    def begin(self, alert: AlertEntry, at: Instant, parts: str | None = None) -> None:
        """Write that the agent does not answer."""
        text, parts = str(alert.text), parts or pack_text(alert.text)
        self._commands.begin_alert(alert.rule, text, parts, at, quiet=alert.quiet, actor=DASHBOARD)

    def end(self, rule: str, ending: str, at: Instant) -> None:
        """Write that the agent answers again, or is not watched any more."""
        self._commands.end_alert(rule, ending, at, actor=DASHBOARD)

    def note_delivery(self, alert: int, delivery: AlertDelivery) -> bool:
        """Store the delivery of a message."""
        return self._commands.note_delivery(alert, delivery, actor=DASHBOARD)


class DashboardAlerts:
    """The open alerts; reread only after a write to the database.

    Args:
        options: the rules, and who is told.
        commands: write the log.
        socket: of the agent's live feed.

    Attributes:
        log: the log.
    """

    LOOK_S: ClassVar[float] = 0.5

    def __init__(self, options: AlertOptions, commands: Commands, socket: Path) -> None:
        self._options = options
        self._file = options.rule_file()
        self.log = _WrittenByCommands(commands)
        # A second log with a short wait for a locked database: it is read for every page.
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

    @property
    def options(self) -> AlertOptions:
        """Return the recipients of alerts and the rules in force now."""
        with self._lock:
            self._file.refresh()
            return self._options.with_rules(self._file.rules)

    def take_written(self) -> None:
        """Read the rules of a configuration file that the dashboard has put in its place."""
        with self._lock:
            self._file.refresh(is_whole=True)

    def start(self) -> None:
        """Start watching the agent and sending messages."""
        for worker in self._workers:
            worker.start()

    def close(self) -> None:
        """End the threads."""
        for worker in self._workers:
            worker.stop()
        for worker in self._workers:
            worker.join(_END_S)

    def standing(self) -> tuple[AlertEntry, ...]:
        """Return the open alerts, the oldest first."""
        with self._lock:
            mark = self._mark()
            if mark != self._read_at:
                self._read(mark)
            return self._open

    def unseen(self) -> list[AlertEntry]:
        """Return the open alerts that nobody has acknowledged."""
        return [alert for alert in self.standing() if alert.acknowledged_ms is None]

    async def refresh(self) -> None:
        """Read the open alerts again if the database was written since the last time."""
        if self._mark() != self._read_at:
            await run_in_threadpool(self.standing)

    def _mark(self) -> Mark:
        """Return a value that changes whenever the open alerts may have changed."""
        return self._quick.signature(), self._agent.unwritten

    def _read(self, mark: Mark) -> None:
        try:
            written = self._quick.open_alerts()
        except StoreError as error:
            log.debug("alerts: not read now: %s", error)
            return
        # An alert that was written a moment ago may still be in the list of unwritten ones; the
        # row in the database wins, because only that one has a number.
        there = {alert.rule for alert in written}
        waiting = [alert for alert in mark[1] if alert.rule not in there]
        self._open = (*written, *waiting)
        self._events = {}
        self._read_at = mark

    def event(self) -> str:
        """Return the open alerts as a server-sent event, as they were read last, in the
        language in use; empty before they were read.
        """
        # An event stream calls this in the event loop, which must not wait for the disk. So it
        # never reads; ``refresh`` has read before.
        if self._read_at is None:
            return ""
        # Written once for each language and not for each browser: 200 browsers may have a page
        # open.
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
                    "name": alert_name(alert.rule, alert.kind),
                    "text": with_instants(translate(alert.text)),
                    "since": alert.raised_ms,
                    "acknowledged": alert.acknowledged_ms is not None,
                }
                for alert in self._open
            ],
            "sound": self._options.table.sound
            and not self._options.quiet.holds(clock.now().wall_ms),
        }
        data = json.dumps(message, separators=(",", ":"))
        return f"event: alerts\ndata: {data}\n\n"
