"""Events in the sessions of a study: markers of one kind, or what participants reported."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from edge_agent.core.study import OF_PROTOCOL, Session
from edge_agent.timeline.database.schema import SPANS
from edge_agent.timeline.read.measured import FOREVER_MS
from edge_agent.timeline.study.exclusions import outside_stretches
from edge_agent.timeline.study.own_neutral import untested_stretches

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters

_MARKERS = f"""{SPANS}
    SELECT session, at, label FROM span
    JOIN marker ON session = number AND at >= first AND at < last
    WHERE kind = ?
        AND (kind <> 'note' OR substr(label, 1, {len(OF_PROTOCOL)}) <> '{OF_PROTOCOL}')
    ORDER BY session, at, id"""
_REPORTS = f"""{SPANS}
    SELECT session, at, value FROM span
    JOIN self_report ON session = number AND at >= first AND at < last
    WHERE scale = 'emotion' AND 'response' = ? ORDER BY session, at, id"""


class EventKind(StrEnum):
    """The kind of an event: of a marker, or a report of an emotion."""

    STIMULUS_START = "stimulus_start"
    STIMULUS_END = "stimulus_end"
    BASELINE = "baseline"
    NOTE = "note"
    RESPONSE = "response"


@dataclass(frozen=True, slots=True)
class Event:
    """An instant in a session.

    Attributes:
        session: id of the session.
        at_ms: when, UTC epoch milliseconds.
        label: of the marker; of a response the emotion that was reported.
    """

    session: int
    at_ms: int
    label: str


def select_events(
    connection: sqlite3.Connection, sessions: Iterable[Session], kind: EventKind
) -> list[Event]:
    """Return the events of a kind in sessions, in order of session and time, but those in a stretch
    that is left out, and what a protocol notes of its own course.
    """
    stretches = untested_stretches(connection)
    spans = [
        (*part, one.id)
        for one in sessions
        for part in outside_stretches(
            one.start_ms, FOREVER_MS if one.end_ms is None else one.end_ms, stretches
        )
    ]
    query = _REPORTS if kind is EventKind.RESPONSE else _MARKERS
    return [Event(*row) for row in connection.execute(query, (json.dumps(spans), kind.value))]
