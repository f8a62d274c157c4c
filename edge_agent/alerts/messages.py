"""Which messages about alerts are to be sent now, and what they say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from edge_agent.alerts.addresses import Target
from edge_agent.alerts.quiet import QuietHours
from edge_agent.alerts.rules import DISCLAIMER
from edge_agent.core.clock import iso_utc
from edge_agent.core.texts import N_
from edge_agent.core.texts import Message as Text
from edge_agent.store.alert_log.entries import AlertEntry, Delivery

RAISED = "raised"
ENDED = "ended"
LATEST_MS = 86_400_000
"""A message that could not be sent within a day of what it tells is given up."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message that is to be sent.

    Attributes:
        alert: what it tells.
        event: ``raised`` or ``ended``.
        target: where it goes.
        tries: how often it was tried.
    """

    alert: AlertEntry
    event: str
    target: Target
    tries: int

    @property
    def key(self) -> tuple[int, str, str]:
        """What tells it from all others."""
        return self.alert.id, self.event, self.target.name

    def title(self, device: str) -> Text:
        """Return its heading."""
        if self.event == ENDED:
            return Text(
                N_("Affect Edge {device}: over: {rule}"), device=device, rule=self.alert.rule
            )
        return Text("Affect Edge {device}: {rule}", device=device, rule=self.alert.rule)

    def body(self) -> Text:
        """Return its text; no measured value leaves the appliance."""
        since = Text(N_("Since {since} UTC."), since=_minute(self.alert.raised_ms))
        if self.event == ENDED and self.alert.ended_ms is not None:
            since = Text(
                N_("Since {since} UTC, ended {ended} UTC."),
                since=_minute(self.alert.raised_ms),
                ended=_minute(self.alert.ended_ms),
            )
        return Text(
            "{text}\n{since}\n{disclaimer}",
            text=self.alert.text,
            since=since,
            disclaimer=Text(DISCLAIMER),
        )


def due_messages(
    alerts: Iterable[AlertEntry],
    targets: Iterable[Target],
    quiet: QuietHours,
    after_s: float,
    now_ms: int,
) -> Iterator[Message]:
    """Yield what is to be sent now.

    An alert that ended before it was to be sent is not sent. Where the beginning was sent, the end
    is sent as well. In quiet hours nothing is; afterwards what still stands.

    Args:
        alerts: of the last day.
        targets: where they go.
        quiet: the quiet hours.
        after_s: seconds that an alert must stand before it is sent.
        now_ms: UTC.
    """
    if quiet.holds(now_ms):
        return
    known = tuple(targets)
    for alert in alerts:
        for target in known:
            sent = {d.event: d for d in alert.deliveries if d.target == target.name}
            event = _due_event(alert, sent, after_s, now_ms)
            if event:
                tries = sent[event].tries if event in sent else 0
                yield Message(alert, event, target, tries)


def _due_event(
    alert: AlertEntry, sent: dict[str, Delivery], after_s: float, now_ms: int
) -> str | None:
    has_begun = RAISED in sent and sent[RAISED].sent_ms is not None
    if alert.ended_ms is None:
        stood_ms = now_ms - alert.raised_ms
        if not has_begun and after_s * 1000 <= stood_ms:
            return RAISED
        return None
    is_over = ENDED in sent and sent[ENDED].sent_ms is not None
    if has_begun and not is_over and now_ms - alert.ended_ms <= LATEST_MS:
        return ENDED
    return None


def _minute(wall_ms: int) -> str:
    return iso_utc(wall_ms)[:16].replace("T", " ")
