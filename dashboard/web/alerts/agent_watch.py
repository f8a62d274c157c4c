"""Notices that the agent is gone or does not answer, which the agent cannot tell itself."""

from __future__ import annotations

from pathlib import Path

from edge_agent.alerts.engine import Zone
from edge_agent.alerts.options import AlertOptions
from edge_agent.alerts.rules import SEEN_BY_DASHBOARD
from edge_agent.alerts.signals import UNKNOWN, WELL, Signal
from edge_agent.alerts.watch import AlertWatch
from edge_agent.config.alerts import RuleSettings
from edge_agent.core import clock
from edge_agent.core.texts import N_, Message
from edge_agent.core.worker import Worker
from edge_agent.runtime.live_probe import AgentProbe
from edge_agent.runtime.sockets.listening import is_served
from edge_agent.store.alert_log.alert_log import AlertLog
from edge_agent.store.alert_log.entries import AlertEntry

STEP_S = 0.5
ANSWER_S = 0.7
"""Longest wait for the first word of an agent."""
FRESH_MS = 2_500
"""The agent speaks each second; what is older was said before it froze."""
START_S = 60.0
"""An agent that was never heard may still start for so long."""
GONE = N_(
    "It is not running, so nothing is recorded. Start it: sudo systemctl start affect-edge-agent"
)
FROZEN = N_(
    "It runs but says nothing; nobody knows whether it records. If this lasts, start it anew."
)


class AgentWatch(Worker):
    """Looks twice a second whether the agent still speaks, over one connection that stays open.

    Args:
        options: the rules.
        alert_log: where alerts are written down.
        socket: of the agent's live feed.
        start_s: how long an agent that was never heard may take to start.
    """

    def __init__(
        self,
        options: AlertOptions,
        alert_log: AlertLog,
        socket: Path,
        start_s: float = START_S,
    ) -> None:
        super().__init__("agent-watch")
        self._socket = socket
        self._probe = AgentProbe(socket)
        self._give_up_s = clock.boot_seconds() + start_s
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
        """Alerts that began and could not be written yet: a frozen agent may hold the database."""
        return self._watch.unwritten

    def work(self) -> None:
        """Look until stopped."""
        try:
            while not self.stopping.wait(STEP_S):
                self._watch.step(clock.now())
        finally:
            self._probe.close()

    def _signal(self, _rule: RuleSettings, at_s: float) -> Signal:
        told_ms = self._probe.last_state_ms(ANSWER_S)
        if told_ms is not None and abs(clock.now().wall_ms - told_ms) <= FRESH_MS:
            self._was_heard = True
            return WELL
        if not self._was_heard and at_s < self._give_up_s:
            return UNKNOWN
        if self._is_gone():
            return Signal(Zone.BEYOND, reason=Message(GONE))
        return Signal(Zone.BEYOND, reason=Message(FROZEN))

    def _is_gone(self) -> bool:
        return not self._probe.is_connected and not is_served(self._socket)
