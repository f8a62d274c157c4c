"""Sends what is due about alerts, again and again until it arrives; nobody waits for it.

What is to be sent follows from the log, so that a restart neither repeats nor forgets a message.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from edge_agent.alerts.addresses import Target
from edge_agent.alerts.messages import ENDED, LATEST_MS, Message, due_messages
from edge_agent.alerts.options import AlertOptions
from edge_agent.alerts.post import Post, post
from edge_agent.core import clock
from edge_agent.core.errors import StoreError
from edge_agent.core.worker import Worker
from edge_agent.store.alert_log.alert_log import AlertLog
from edge_agent.store.alert_log.entries import AlertEntry, Delivery

log = logging.getLogger(__name__)

LOOK_S = 1.0
FIRST_RETRY_S = 5.0
LONGEST_RETRY_S = 600.0


class AlertSender(Worker):
    """Sends the alerts of some kinds.

    Args:
        options: addresses, quiet hours, and how long an alert must stand.
        kinds: what may be watched here; the alerts of others are sent by others.
        alert_log: where alerts and messages are written down.
        first_retry_s: pause after the first attempt that failed; each is twice as long.
    """

    def __init__(
        self,
        options: AlertOptions,
        kinds: Iterable[str],
        alert_log: AlertLog,
        first_retry_s: float = FIRST_RETRY_S,
    ) -> None:
        super().__init__("alert-sender")
        self._options = options
        sent = {rule.name for rule in options.rules if rule.notify}
        self._rules = frozenset(sent)
        self._kinds = frozenset(kinds)
        self._log = alert_log
        self._first_retry_s = first_retry_s
        self._not_before_s: dict[tuple[int, str, str], float] = {}
        self._failing: set[str] = set()
        self._file_error = ""

    def work(self) -> None:
        """Look each second for what is due, until stopped."""
        while not self.stopping.wait(LOOK_S):
            targets = self._targets()
            if not targets:
                continue
            try:
                self._send_due(targets)
            except StoreError as error:
                log.debug("alerts: nothing sent now: %s", error)

    def _targets(self) -> tuple[Target, ...]:
        """Return where messages go now: the file may be changed while this runs."""
        try:
            targets = self._options.targets()
        except (OSError, ValueError) as error:
            if str(error) != self._file_error:
                log.warning("alerts.notify_file: cannot be read, nothing is sent there: %s", error)
            self._file_error = str(error)
            return self._options.targets_without_file()
        self._file_error = ""
        return targets

    def _send_due(self, targets: tuple[Target, ...]) -> None:
        now_ms = clock.now().wall_ms
        alerts = [
            alert
            for alert in self._log.recent(self._kinds, now_ms - LATEST_MS)
            if alert.rule in self._rules
        ]
        self._forget_others(alerts)
        options = self._options
        due = due_messages(alerts, targets, options.quiet, options.table.notify_after, now_ms)
        now_s = clock.boot_seconds()
        messages = [message for message in due if now_s >= self._not_before_s.get(message.key, 0.0)]
        if not messages:
            return
        posts = [self._post_of(message) for message in messages]
        errors = post(posts, self.stopping, options.language)
        if self.stopping.is_set():
            return
        for message, error in zip(messages, errors, strict=True):
            self._note(message, error)

    def _post_of(self, message: Message) -> Post:
        kind = "warning"
        if message.event == ENDED:
            kind = "success"
        return Post(message.target, message.title(self._options.device), message.body(), kind)

    def _note(self, message: Message, error: str) -> None:
        """Write down what became of a message, and when it is tried again."""
        self._tell(message.target, error)
        tries = message.tries + 1
        sent_ms = None
        if not error:
            sent_ms = clock.now().wall_ms
        delivery = Delivery(message.event, message.target.name, tries, sent_ms, error)
        pause_s = min(self._first_retry_s * 2 ** min(message.tries, 20), LONGEST_RETRY_S)
        # also where it cannot be written down that it arrived: not again and again
        self._not_before_s[message.key] = clock.boot_seconds() + pause_s
        self._log.note_delivery(message.alert.id, delivery)

    def _tell(self, target: Target, error: str) -> None:
        """Say once that an address cannot be reached, and that it can again."""
        if error and target.name not in self._failing:
            self._failing.add(target.name)
            log.warning("alerts: not sent to %s, tried again: %s", target.name, error)
        elif not error and target.name in self._failing:
            self._failing.discard(target.name)
            log.info("alerts: sent to %s again", target.name)

    def _forget_others(self, alerts: Iterable[AlertEntry]) -> None:
        there = {alert.id for alert in alerts}
        self._not_before_s = {
            key: at_s for key, at_s in self._not_before_s.items() if key[0] in there
        }
