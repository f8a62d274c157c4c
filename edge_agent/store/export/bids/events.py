"""The markers of a session as events: a stimulus is one event that lasts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from edge_agent.core.study import MarkerKind
from edge_agent.store.export.rows.columns import Column
from edge_agent.store.export.rows.typed import Row

COLUMNS = (
    Column("onset", "number", "When it happened, from the start of the session", "s"),
    Column(
        "duration",
        "number",
        "How long a stimulus lasted; n/a where its end was not marked; 0 for an instant",
        "s",
    ),
    Column("trial_type", "string", "Condition that a stimulus opened; n/a for all else"),
    Column("marker", "string", "What was marked", allowed=tuple(MarkerKind)),
    Column("label", "string", "Label or text of the marker"),
)


@dataclass(frozen=True, slots=True)
class Event:
    """One event.

    Attributes:
        at_ms: when, UTC milliseconds.
        lasted_ms: how long; ``None`` where nobody knows.
        marker: what was marked.
        label: its label.
    """

    at_ms: int
    lasted_ms: int | None
    marker: MarkerKind
    label: str


def events_of(markers: Sequence[Row]) -> list[Event]:
    """Return the events of the markers of a session, which are in order of time.

    A stimulus and the end that follows it, with the same label, are one event; an end that fits
    to no start stays an event of its own.
    """
    events: list[Event] = []
    opened: int | None = None
    for row in markers:
        event = Event(
            int(row["at_ms"] or 0), 0, MarkerKind(str(row["kind"])), str(row["label"] or "")
        )
        if event.marker is MarkerKind.STIMULUS_END and opened is not None:
            start = events[opened]
            if start.label == event.label:
                events[opened] = replace(start, lasted_ms=event.at_ms - start.at_ms)
                opened = None
                continue
        if event.marker is MarkerKind.STIMULUS_START:
            opened = len(events)
            event = replace(event, lasted_ms=None)
        events.append(event)
    return events
