"""Who consented, and what sessions hold of each vital: where the flow of a study begins."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from edge_agent.core.study import Session
from edge_agent.core.vitals import VitalKind
from edge_agent.store.read.stimuli import FOREVER_MS, Stimulus

Span = tuple[int, int, int]
"""From and to, UTC epoch milliseconds, half-open, and the id of the session."""


@dataclass(frozen=True, slots=True)
class Recruited:
    """A participant as recruited.

    Attributes:
        code: the participant's code.
        simulated: whether it is one of a demonstration.
        consented: whether a consent was ever recorded.
        withdrawn: whether none of the consents holds any more.
    """

    code: str
    simulated: bool
    consented: bool
    withdrawn: bool


@dataclass(frozen=True, slots=True)
class ReadingCount:
    """How many readings of one vital with the same flags a session has."""

    session: int
    kind: VitalKind
    flags: str
    n: int


def select_recruited(connection: sqlite3.Connection) -> list[Recruited]:
    """Return all participants in order of their codes."""
    rows = connection.execute(
        "SELECT code, simulated, count(consent.id) AS consents, "
        "count(consent.id) > 0 AND count(consent.id) = count(consent.withdrawn) AS gone "
        "FROM participant LEFT JOIN consent ON consent.participant = participant.id "
        "GROUP BY participant.id ORDER BY code"
    )
    return [
        Recruited(row["code"], bool(row["simulated"]), row["consents"] > 0, bool(row["gone"]))
        for row in rows
    ]


def count_readings(
    connection: sqlite3.Connection, spans: Collection[Span], kinds: Collection[VitalKind]
) -> list[ReadingCount]:
    """Count the readings in spans of sessions by vital and flags; the database does."""
    marks = ", ".join("?" * len(kinds))
    rows = connection.execute(
        "WITH span(first, last, number) AS MATERIALIZED (SELECT json_extract(value, '$[0]'), "  # noqa: S608 - marks only
        "json_extract(value, '$[1]'), json_extract(value, '$[2]') FROM json_each(?)) "
        "SELECT number, kind, flags, count(*) FROM span CROSS JOIN vital ON vital.at >= span.first "
        f"AND vital.at < span.last WHERE kind IN ({marks}) GROUP BY number, kind, flags",
        (json.dumps(list(spans)), *(kind.value for kind in kinds)),
    )
    return [ReadingCount(session, VitalKind(kind), flags, n) for session, kind, flags, n in rows]


def outside(session: Session, stimuli: Iterable[Stimulus]) -> list[Span]:
    """Return the spans of a session that lie in none of its stimuli, which are in order of time."""
    spans = []
    at = session.start_ms
    end = FOREVER_MS if session.end_ms is None else session.end_ms
    for one in stimuli:
        spans.append((at, one.start_ms, session.id))
        at = max(at, one.end_ms)
    spans.append((at, end, session.id))
    return [span for span in spans if span[0] < span[1]]
