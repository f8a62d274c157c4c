"""Evaluation of the rules each second; alerts are recorded, and published to the broker.

If the database is locked or the disk is full, changes are written later, in order, without delaying
anybody.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edge_agent.alerts.rules import (
    NEVER_QUIET,
    SEEN_BY_DASHBOARD,
    AlertChange,
    AlertEngine,
    QuietHours,
    alert_text,
)
from edge_agent.alerts.sending import AlertOptions, AlertSender
from edge_agent.alerts.signals import WELL, AlertSignal, FeedSignals
from edge_agent.config.alerts import AlertKind, RuleSettings
from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.errors import StoreError, StudyError
from edge_agent.core.threads import Worker
from edge_agent.timeline.write.alert_log import AlertEntry, AlertLog, Signature

log = logging.getLogger(__name__)

_UNWRITTEN = 1000
RULE_REMOVED = "rule_removed"
STEP_S = 1.0
HERE = frozenset(AlertKind) - SEEN_BY_DASHBOARD


@dataclass(frozen=True, slots=True)
class _Line:
    """A line to be written: an alert that began, or the end of one."""

    at: Instant
    rule: str
    begun: AlertEntry | None
    ending: str = ""


class AlertWatch:
    """Watches some rules.

    Args:
        rules: the watched rules.
        kinds: the kinds that may be watched here; an open alert of these without a rule ends.
        alert_log: the log of alerts.
        signal: returns the signal of a rule at a second of the boot clock.
        quiet: the quiet hours.

    Example:
        >>> watch = AlertWatch(rules, {"camera"}, AlertLog(path), signals.signal)
        >>> watch.step(clock.now())
        >>> [alert.text for alert in watch.open_alerts]
        ['No picture from the camera for 30 s.']
    """

    def __init__(
        self,
        rules: Iterable[RuleSettings],
        kinds: Iterable[str],
        alert_log: AlertLog,
        signal: Callable[[RuleSettings, float], AlertSignal],
        quiet: QuietHours = NEVER_QUIET,
    ) -> None:
        self._rules = tuple(rules)
        self._kinds = frozenset(kinds)
        self._log = alert_log
        self._signal = signal
        self._quiet = quiet
        self._engine: AlertEngine | None = None
        self._unwritten: deque[_Line] = deque(maxlen=_UNWRITTEN)
        self._read_at: Signature | None = None
        self._session_open = False
        self._is_refused = False
        self.open_alerts: tuple[AlertEntry, ...] = ()
        """The open alerts of every rule, as last read."""
        self.unwritten: tuple[AlertEntry, ...] = ()
        """Alerts that began and could not be written yet, for example because of a lock."""

    def step(self, at: Instant) -> None:
        """Evaluate every rule once, and write what changed."""
        try:
            if self._engine is None:
                self._engine = self._begin(at)
                self._read(self._engine)
            self._evaluate(self._engine, at)
            self._write()
            self._read(self._engine)
        # The gate refuses times of a clock that was set back since, where the agent knew neither.
        except (StoreError, StudyError) as error:
            if not self._is_refused:
                log.warning("alerts: not written now, later: %s", error)
            self._is_refused = True
            return
        self._is_refused = False

    def change_rules(self, rules: Iterable[RuleSettings], at: Instant) -> None:
        """Watch other rules from now on; the alert of a rule that is gone ends."""
        self._rules = tuple(rules)
        if self._engine is None:  # it begins with them
            return
        for name in self._engine.change(self._rules):
            self._unwritten.append(_Line(at, name, None, RULE_REMOVED))

    def _begin(self, at: Instant) -> AlertEngine:
        """Continue with the open alerts of the previous process."""
        mine = [alert for alert in self._log.open_alerts() if alert.kind in self._kinds]
        kinds = {rule.name: rule.when.value for rule in self._rules}
        for alert in mine:
            if kinds.get(alert.rule) != alert.kind:
                self._log.end(alert.rule, RULE_REMOVED, at)
        still = [alert.rule for alert in mine if kinds.get(alert.rule) == alert.kind]
        return AlertEngine(self._rules, still)

    def _read(self, engine: AlertEngine) -> None:
        """Read the open alerts if the log has changed; reset rules whose alert was erased."""
        signature = self._log.signature()
        if signature == self._read_at:
            return
        self.open_alerts = tuple(self._log.open_alerts())
        self._session_open = self._log.is_session_open()
        self._read_at = signature
        # While lines wait, the log does not yet have the newest alerts; they must not count as
        # erased.
        if self._unwritten:
            return
        there = {alert.rule for alert in self.open_alerts}
        for rule in self._rules:
            if engine.is_open(rule.name) and rule.name not in there:
                engine.forget(rule.name)

    def _evaluate(self, engine: AlertEngine, at: Instant) -> None:
        at_s = at.boot_ms / 1000
        for rule in self._rules:
            signal = self._signal(rule, at_s)
            if rule.in_sessions and not self._session_open:
                signal = WELL
            change = engine.step(rule.name, signal.zone, at_s, signal.since_s)
            if change is not None:
                self._unwritten.append(self._line(rule, change, signal, at))
                self._note_unwritten()

    def _note_unwritten(self) -> None:
        newest = {line.rule: line.begun for line in self._unwritten}
        self.unwritten = tuple(begun for begun in newest.values() if begun is not None)

    def _line(
        self, rule: RuleSettings, change: AlertChange, signal: AlertSignal, at: Instant
    ) -> _Line:
        if change is not AlertChange.BEGUN:
            log.info("alert %s has ended (%s)", rule.name, change.value)
            return _Line(at, rule.name, None, change.value)
        log.warning("alert %s has begun", rule.name)
        text = alert_text(rule, signal.value, signal.reason)
        begun = AlertEntry(0, rule.name, rule.when.value, text, signal.value, None, at.wall_ms)
        return _Line(at, rule.name, replace(begun, quiet=self._quiet.holds(at.wall_ms)))

    def _write(self) -> None:
        while self._unwritten:
            line = self._unwritten[0]
            if line.begun is not None:
                self._log.begin(line.begun, line.at)
            else:
                self._log.end(line.rule, line.ending, line.at)
            # Removed only after it was written: an error leaves the line for the next second.
            self._unwritten.popleft()
            self._note_unwritten()


Publish = Callable[[tuple[AlertEntry, ...]], None]


class AlertWorker(Worker):
    """Evaluates the agent's rules each second.

    Args:
        options: the rules.
        alert_log: the log of alerts.
        publish: called with the open alerts when they change; ``None``: they are not published.
    """

    def __init__(
        self, options: AlertOptions, alert_log: AlertLog, publish: Publish | None = None
    ) -> None:
        super().__init__("alerts")
        self._options = options
        self._file = options.rule_file()
        self._signals = FeedSignals(clock.boot_seconds())
        kinds = [kind.value for kind in HERE]
        self._watch = AlertWatch(
            options.rules_of(HERE), kinds, alert_log, self._signals.signal, options.quiet
        )
        self._publish = publish
        self._published: tuple[AlertEntry, ...] | None = None

    def store(self, message: Mapping[str, Any]) -> None:
        """Store a message of the live feed; callable from any thread, returns at once."""
        self._signals.store(message, clock.boot_seconds())

    def work(self) -> None:
        """Evaluate each second until stopped."""
        while not self.stopping.wait(STEP_S):
            self.step(clock.now())

    def step(self, now: Instant) -> None:
        """Evaluate the rules once, those of a changed configuration file from now on."""
        if self._file.refresh():
            log.info("alerts: the rules of the changed configuration file are in force")
            options = self._options.with_rules(self._file.rules)
            self._watch.change_rules(options.rules_of(HERE), now)
        self._watch.step(now)
        self._tell()

    def _tell(self) -> None:
        # without the alert that the agent does not answer, which it cannot notice itself
        alerts = tuple(alert for alert in self._watch.open_alerts if alert.kind in HERE)
        if self._publish is not None and alerts != self._published:
            self._publish(alerts)
            self._published = alerts


def agent_workers(
    options: AlertOptions, database: Path, publish: Publish | None
) -> tuple[AlertWorker, list[Worker]]:
    """Return the worker for the live feed, and all workers; without rules they end old alerts.

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
