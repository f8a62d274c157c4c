"""The messages about alerts: addresses, times and texts.

The log decides which messages are due. Each is claimed there before it is sent: one that was surely
not taken is sent again, one that may have arrived is not. A separate process sends them within a
deadline. Names of addresses contain no secret.
"""

from __future__ import annotations

import base64
import itertools
import json
import logging
import os
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import time
from pathlib import Path
from threading import Event
from typing import Self
from zoneinfo import ZoneInfo

from edge_agent.alerts.claims import Claims, MessageOutcome, Parcel
from edge_agent.alerts.rule_file import RuleFile
from edge_agent.alerts.rules import DISCLAIMER, NEVER_QUIET, QuietHours, rule_name
from edge_agent.config.alerts import AlertKind, AlertSettings, RuleSettings
from edge_agent.config.environment import ENV_PREFIX
from edge_agent.config.settings import Settings
from edge_agent.core import clock
from edge_agent.core.addresses import MessageAddress
from edge_agent.core.clock import iso_utc
from edge_agent.core.errors import StoreError
from edge_agent.core.helper.process import (
    HelperClosedError,
    HelperEndedError,
    HelperLateError,
    HelperProcess,
)
from edge_agent.core.pauses import doubling, pause_after
from edge_agent.core.texts import N_, pack_text
from edge_agent.core.texts import Message as Text
from edge_agent.core.threads import Worker
from edge_agent.timeline.write.alert_log import AlertDelivery, AlertEntry, AlertLog

log = logging.getLogger(__name__)

RAISED = "raised"
ENDED = "ended"
LATEST_MS = 86_400_000
"""Age of an event after which its unsent message is dropped: a day."""
ENGLISH = "en"
_SENDS = "edge_agent.alerts.outgoing"
_SENDS_IN_A_LANGUAGE = "dashboard.commands.send_alerts"
"""The catalogue of texts belongs to the dashboard, whose program the agent starts."""
START_S = 30.0
"""Longest time for the process to start, on a slow machine."""
EACH_S = 15.0
"""Longest time for each message."""
_LONGEST = 300
_LATE = N_("no answer in time")
_NOT_STARTED = N_("the process that sends did not start ({reason})")
_PERHAPS = "perhaps sent"
_NOT_AGAIN = "not sent again"
LOOK_S = 1.0
RETRIES_S = doubling(5.0, 600.0)


@dataclass(frozen=True, slots=True)
class Target:
    """An address for messages.

    Attributes:
        name: its name in logs, on pages and in the command: kind, number and machine.
        address: where it is.
    """

    name: str
    address: MessageAddress

    @property
    def kind(self) -> str:
        """Scheme of the address: the part before ``://``."""
        return self.address.scheme


def targets_of(addresses: Iterable[MessageAddress]) -> tuple[Target, ...]:
    """Return a target for each address, in their order.

    >>> address = MessageAddress("ntfy://push.example.org/my-topic")
    >>> [target.name for target in targets_of([address])]
    ['ntfy 1 (push.example.org)']
    """
    return tuple(
        Target(_name(number, address), address) for number, address in enumerate(addresses, start=1)
    )


def _name(number: int, address: MessageAddress) -> str:
    kind = address.scheme
    if not re.fullmatch(r"[a-z][a-z0-9]*", kind):
        return f"address {number}"
    machine = address.machine
    return f"{kind} {number} ({machine})" if machine else f"{kind} {number}"


def read_addresses(file: Path) -> tuple[MessageAddress, ...]:
    """Return the addresses in a file, one a line; empty lines and those with ``#`` are ignored.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no text.
    """
    lines = (line.strip() for line in file.read_text(encoding="utf-8").splitlines())
    return tuple(MessageAddress(line) for line in lines if line and not line.startswith("#"))


@dataclass(frozen=True, slots=True)
class AlertMessage:
    """A message that is to be sent.

    Attributes:
        alert: its alert.
        event: ``raised`` or ``ended``.
        target: its address.
        tries: number of attempts.
    """

    alert: AlertEntry
    event: str
    target: Target
    tries: int

    @property
    def key(self) -> tuple[int, str, str]:
        """Key of the message, which tells it from all others."""
        return self.alert.id, self.event, self.target.name

    def delivery(self, sent_ms: int | None, error: str) -> AlertDelivery:
        """Return its delivery after one more attempt."""
        return AlertDelivery(self.event, self.target.name, self.tries + 1, sent_ms, error)

    def title(self, device: str) -> Text:
        """Return its heading."""
        over = N_("Affect Edge {device}: over: {rule}")
        template = over if self.event == ENDED else "Affect Edge {device}: {rule}"
        return Text(template, device=device, rule=rule_name(self.alert.rule, self.alert.kind))

    def body(self) -> Text:
        """Return its text; no measured value leaves the appliance."""
        begun = _minute(self.alert.raised_ms)
        since = Text(N_("Since {since} UTC."), since=begun)
        if self.event == ENDED and self.alert.ended_ms is not None:
            ended = _minute(self.alert.ended_ms)
            since = Text(N_("Since {since} UTC, ended {ended} UTC."), since=begun, ended=ended)
        template = "{text}\n{since}\n{disclaimer}"
        return Text(template, text=self.alert.text, since=since, disclaimer=Text(DISCLAIMER))


def due_messages(
    alerts: Iterable[AlertEntry],
    targets: Iterable[Target],
    quiet: QuietHours,
    after_s: float,
    now_ms: int,
) -> Iterator[AlertMessage]:
    """Yield the messages that are due now.

    An alert that ended before it was due is not sent. If the beginning was sent, also perhaps, the
    end is sent as well. In quiet hours nothing is sent; afterwards the alerts that are still open.

    Args:
        alerts: of the last day.
        targets: the addresses.
        quiet: the quiet hours.
        after_s: seconds that an alert must stand before it is sent.
        now_ms: UTC.
    """
    if quiet.holds(now_ms):
        return
    for alert, target in itertools.product(alerts, targets):
        sent = {d.event: d for d in alert.deliveries if d.target == target.name}
        event = _due_event(alert, sent, after_s, now_ms)
        if event:
            yield AlertMessage(alert, event, target, sent[event].tries if event in sent else 0)


def _due_event(
    alert: AlertEntry, sent: dict[str, AlertDelivery], after_s: float, now_ms: int
) -> str | None:
    told = {event for event, delivery in sent.items() if delivery.may_have_arrived}
    if alert.ended_ms is None:
        has_stood = after_s * 1000 <= now_ms - alert.raised_ms
        return RAISED if RAISED not in told and has_stood else None
    is_late = now_ms - alert.ended_ms > LATEST_MS
    return ENDED if told == {RAISED} and not is_late else None


def _minute(wall_ms: int) -> str:
    return iso_utc(wall_ms)[:16].replace("T", " ")


@dataclass(frozen=True, slots=True)
class Post:
    """A message that is ready to be sent.

    Attributes:
        target: where it goes.
        title: its heading.
        body: its text.
        kind: ``warning``, ``success`` or ``info``.
        picture: PNG that is attached; empty: none.
    """

    target: Target
    title: str
    body: str
    kind: str = "info"
    picture: bytes = field(default=b"", repr=False)

    @property
    def question(self) -> bytes:
        """The message for the process that sends."""
        given = {"address": self.target.address.reveal(), "title": self.title, "body": self.body}
        parts = {"title_parts": pack_text(self.title), "body_parts": pack_text(self.body)}
        if self.picture:
            given["picture"] = base64.b64encode(self.picture).decode()
        return json.dumps({**given, "kind": self.kind, **parts}).encode()


class Courier:
    """The process that sends messages; it starts with the first of them.

    Args:
        language: language of each title and body that is a ``AlertMessage``.
        stopping: ends an attempt when it is set.

    Example::

        with Courier() as courier:
            outcome = courier.send(Post(target, "title", "body"))
    """

    def __init__(self, language: str = ENGLISH, stopping: Event | None = None) -> None:
        self._program = [_SENDS] if language == ENGLISH else [_SENDS_IN_A_LANGUAGE, language]
        self._stopping = stopping
        self._helper: HelperProcess | None = None
        self._problem = ""
        self._end_s = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._helper is not None:
            self._helper.close()

    def send(self, one: Post) -> MessageOutcome:
        """Send a message, unless the process could not be started or has ended over another."""
        if self._helper is None and not self._problem:
            self._problem = self._start()
        if self._helper is None or self._problem:
            return MessageOutcome(self._problem)
        outcome = self._ask(self._helper, one)
        return replace(outcome, error=one.target.address.hide_in(outcome.error)[:_LONGEST])

    def _start(self) -> str:
        """Start the process, and wait until it can send; return what is wrong."""
        try:
            # The way to a proxy stands in the environment. What a library says of a failure may
            # contain an address with its secrets.
            helper = HelperProcess(*self._program, environment=_environment(), is_quiet=True)
        except OSError as error:
            return Text(_NOT_STARTED, reason=error.strerror)
        self._helper = helper
        self._end_s = clock.boot_seconds() + START_S
        try:
            # Asked for nothing first: one that ends before it answers has sent nothing.
            helper.ask(b"", timeout_s=START_S, stopping=self._stopping)
        except (HelperLateError, HelperClosedError):
            return _LATE
        except HelperEndedError as error:
            return Text(_NOT_STARTED, reason=str(error))
        return ""

    def _ask(self, helper: HelperProcess, one: Post) -> MessageOutcome:
        self._end_s += EACH_S
        left_s = self._end_s - clock.boot_seconds()
        try:
            answer = json.loads(helper.ask(one.question, timeout_s=left_s, stopping=self._stopping))
            return MessageOutcome(str(answer["error"]), bool(answer["may_have_arrived"]))
        except (HelperEndedError, ValueError, KeyError):
            # It had the message: nobody knows how far it got.
            self._problem = _LATE
            return MessageOutcome(_LATE, may_have_arrived=True)


def post(
    posts: Sequence[Post], stopping: Event | None = None, language: str = ENGLISH
) -> list[str]:
    """Send messages; return the error of each, empty for those that arrived.

    Args:
        posts: the messages.
        stopping: ends the attempt when it is set.
        language: language of each title and body that is a ``AlertMessage``.
    """
    with Courier(language, stopping) as courier:
        return [courier.send(one).error for one in posts]


def _environment() -> dict[str, str]:
    """Return the environment of the process that sends, which needs no secret of ours."""
    ours = (ENV_PREFIX, "PG")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


@dataclass(frozen=True, slots=True)
class AlertOptions:
    """The rules that are watched, and the addresses that get messages.

    Attributes:
        table: the table ``[alerts]``.
        device: name of the appliance.
        language: code of the language of what is sent.
        file: the configuration file, whose rules are read again after a change; ``None``: none.
    """

    table: AlertSettings
    device: str = "affect-edge"
    language: str = ENGLISH
    file: Path | None = None

    def rule_file(self) -> RuleFile:
        """Return what reads the rules again after a change."""
        return RuleFile(self.table.rule, self.file)

    def with_rules(self, rules: tuple[RuleSettings, ...]) -> AlertOptions:
        """Return the same with other rules."""
        return replace(self, table=self.table.model_copy(update={"rule": rules}))

    @property
    def rules(self) -> tuple[RuleSettings, ...]:
        """Return the rules in force; none where alerts are off."""
        return self.table.rule if self.table.enabled else ()

    def rules_of(self, kinds: Collection[AlertKind]) -> tuple[RuleSettings, ...]:
        """Return the rules of some kinds."""
        return tuple(rule for rule in self.rules if rule.when in kinds)

    @property
    def quiet(self) -> QuietHours:
        """The quiet hours."""
        start, end, zone = self.table.quiet_from, self.table.quiet_until, self.table.time_zone
        if start is None or end is None:
            return NEVER_QUIET
        at_home = None if zone is None else ZoneInfo(zone)
        return QuietHours(time.fromisoformat(start), time.fromisoformat(end), at_home)

    @property
    def sends(self) -> bool:
        """Whether there is any address, or a file with addresses."""
        return bool(self.table.notify) or self.table.notify_file is not None

    def targets(self) -> tuple[Target, ...]:
        """Return where alerts are sent now.

        Raises:
            OSError: the file of addresses cannot be read.
            ValueError: it is no text.
        """
        own = self.table.notify
        file = self.table.notify_file
        return targets_of(own if file is None else (*own, *read_addresses(file)))

    def targets_without_file(self) -> tuple[Target, ...]:
        """Return those that the configuration names itself."""
        return targets_of(self.table.notify)


NO_ALERTS = AlertOptions(AlertSettings(enabled=False))
"""Nothing is watched."""


def alert_options(settings: Settings) -> AlertOptions:
    """Return what the configuration says of alerts.

    Whoever reads a message has no browser that asks for another language than the configured one.
    """
    configured = settings.dashboard.language
    language = ENGLISH if configured == "auto" else configured
    return AlertOptions(settings.alerts, settings.device.name, language, settings.file)


class AlertSender(Worker):
    """Sends the alerts of some kinds.

    Args:
        options: addresses, quiet hours, and how long an alert must stand.
        kinds: what may be watched here; the alerts of others are sent by others.
        alert_log: where alerts and messages are written down.
        retries_s: pauses after the attempts that failed.
    """

    def __init__(
        self,
        options: AlertOptions,
        kinds: Iterable[str],
        alert_log: AlertLog,
        retries_s: Sequence[float] = RETRIES_S,
    ) -> None:
        super().__init__("alert-sender")
        self._options = options
        self._rules = options.rule_file()
        self._kinds = frozenset(kinds)
        self._log = alert_log
        self._retries_s = retries_s
        self._not_before_s: dict[tuple[int, str, str], float] = {}
        self._failing: set[str] = set()
        self._unknown: set[tuple[int, str, str]] = set()
        self._file_error = ""
        self._claims = Claims("alerts")

    def work(self) -> None:
        """Look each second for what is due, until stopped."""
        while not self.stopping.wait(LOOK_S):
            self.look()

    def look(self) -> None:
        """Send what is due; where the log cannot be read or written, wait until it can."""
        targets = self._targets()
        if not targets:
            return
        try:
            self.send_due(targets)
        except StoreError as error:
            self._claims.note_trouble(error)

    @property
    def waits(self) -> str:
        """Why nothing is sent now; empty: nothing keeps messages from being sent."""
        return self._claims.waits

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

    def send_due(self, targets: tuple[Target, ...]) -> None:
        """Send what is due, each message at most once, unless it was surely not taken.

        Raises:
            StoreError: the log cannot be read.
        """
        now_ms = clock.now().wall_ms
        recent = self._log.recent(self._kinds, now_ms - LATEST_MS)
        self._rules.refresh()
        rules = self._options.with_rules(self._rules.rules).rules
        sent = {rule.name for rule in rules if rule.notify}
        alerts = [alert for alert in recent if alert.rule in sent]
        self._forget_others(alerts)
        self._report_unknown(alerts)
        options = self._options
        due = due_messages(alerts, targets, options.quiet, options.table.notify_after, now_ms)
        now_s = clock.boot_seconds()
        messages = [message for message in due if now_s >= self._not_before_s.get(message.key, 0.0)]
        with Courier(options.language, self.stopping) as courier:
            self._claims.send([self._parcel(one, courier) for one in messages], self.stopping)

    def _parcel(self, message: AlertMessage, courier: Courier) -> Parcel:
        device = self._options.device
        kind = "success" if message.event == ENDED else "warning"
        ready = Post(message.target, message.title(device), message.body(), kind)

        def claim() -> bool:
            return self._log.note_delivery(message.alert.id, message.delivery(None, ""))

        def send() -> MessageOutcome:
            outcome = courier.send(ready)
            self._report(message, outcome)
            return outcome

        def write(outcome: MessageOutcome) -> None:
            if outcome.may_have_arrived:
                return  # the claim says so
            sent_ms = outcome.at_ms if outcome.is_sent else None
            self._log.note_delivery(message.alert.id, message.delivery(sent_ms, outcome.error))

        return Parcel(message.key, claim, send, write)

    def _report(self, message: AlertMessage, outcome: MessageOutcome) -> None:
        """Log what is new of an address, and note when a refused message is tried again."""
        target = message.target.name
        if outcome.may_have_arrived:
            self._unknown.add(message.key)
            log.warning("alerts: %s to %s, %s: %s", _PERHAPS, target, _NOT_AGAIN, outcome.error)
        elif outcome.is_refused:
            pause_s = pause_after(message.tries + 1, self._retries_s)
            self._not_before_s[message.key] = clock.boot_seconds() + pause_s
            if target not in self._failing:
                log.warning("alerts: not sent to %s, tried again: %s", target, outcome.error)
            self._failing.add(target)
        elif target in self._failing:
            self._failing.discard(target)
            log.info("alerts: sent to %s again", target)

    def _report_unknown(self, alerts: Iterable[AlertEntry]) -> None:
        """Log messages that a process claimed which ended before it wrote their outcome."""
        for alert in alerts:
            for one in alert.deliveries:
                key = alert.id, one.event, one.target
                if one.is_unknown and key not in self._unknown and key not in self._claims:
                    self._unknown.add(key)
                    log.warning(
                        "alerts: %s to %s, %s: this program ended while it sent",
                        _PERHAPS,
                        one.target,
                        _NOT_AGAIN,
                    )

    def _forget_others(self, alerts: Iterable[AlertEntry]) -> None:
        there = {alert.id for alert in alerts}
        waits = self._not_before_s.items()
        self._not_before_s = {key: at_s for key, at_s in waits if key[0] in there}
        self._unknown = {key for key in self._unknown if key[0] in there}
        self._claims.forget(lambda key: isinstance(key, tuple) and key[0] not in there)
