"""The agent's part: takes in its own live feed, evaluates the rules, tells the broker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edge_agent.alerts.options import AlertOptions
from edge_agent.alerts.rules import SEEN_BY_DASHBOARD
from edge_agent.alerts.sender import AlertSender
from edge_agent.alerts.signals import FeedSignals
from edge_agent.alerts.watch import AlertWatch
from edge_agent.config.alerts import AlertKind
from edge_agent.core import clock
from edge_agent.core.worker import Worker
from edge_agent.store.alert_log.alert_log import AlertLog
from edge_agent.store.alert_log.entries import AlertEntry

STEP_S = 1.0
HERE = frozenset(AlertKind) - SEEN_BY_DASHBOARD
Publish = Callable[[tuple[AlertEntry, ...]], None]


class AlertWorker(Worker):
    """Evaluates the agent's rules each second.

    Args:
        options: the rules.
        alert_log: where alerts are written down.
        publish: is given the alerts that stand whenever that changes; ``None``: nobody asks.
    """

    def __init__(
        self, options: AlertOptions, alert_log: AlertLog, publish: Publish | None = None
    ) -> None:
        super().__init__("alerts")
        self._signals = FeedSignals(clock.boot_seconds())
        kinds = [kind.value for kind in HERE]
        self._watch = AlertWatch(
            options.rules_of(HERE), kinds, alert_log, self._signals.signal, options.quiet
        )
        self._publish = publish
        self._published: tuple[AlertEntry, ...] | None = None

    def take(self, message: Mapping[str, Any]) -> None:
        """Take in a message of the live feed; callable from any thread, returns at once."""
        self._signals.take(message, clock.boot_seconds())

    def work(self) -> None:
        """Evaluate each second until stopped."""
        while not self.stopping.wait(STEP_S):
            self._watch.step(clock.now())
            self._tell()

    def _tell(self) -> None:
        # the agent's own: that it does not answer it cannot tell
        alerts = tuple(alert for alert in self._watch.open_alerts if alert.kind in HERE)
        if self._publish is not None and alerts != self._published:
            self._publish(alerts)
            self._published = alerts


def agent_workers(
    options: AlertOptions, database: Path, publish: Publish | None
) -> tuple[AlertWorker, list[Worker]]:
    """Return what takes in the live feed, and all threads; without rules they end old alerts.

    Args:
        options: the rules.
        database: holds the log.
        publish: as for ``AlertWorker``.
    """
    alert_log = AlertLog(database)
    worker = AlertWorker(options, alert_log, publish)
    if not options.sends:
        return worker, [worker]
    return worker, [worker, AlertSender(options, [kind.value for kind in HERE], alert_log)]
