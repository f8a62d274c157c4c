"""Which part of the timeline is taken along."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection
from dataclasses import dataclass

from edge_agent.core.errors import StudyError

Span = tuple[int, int]
ALWAYS: Span = (0, 2**62)


@dataclass(frozen=True, slots=True)
class Choice:
    """What was asked for.

    Attributes:
        sessions: only what lies in these sessions; ``None`` is everything.
        start_ms: only what lies from here on, UTC epoch milliseconds.
        end_ms: only what lies before.
    """

    sessions: tuple[int, ...] | None = None
    start_ms: int | None = None
    end_ms: int | None = None

    @property
    def span(self) -> Span:
        """The range of time asked for."""
        start = self.start_ms
        end = self.end_ms
        return ALWAYS[0] if start is None else start, ALWAYS[1] if end is None else end


@dataclass(frozen=True, slots=True)
class Chosen:
    """What that means in a database.

    Attributes:
        sessions: the sessions asked for, or those that overlap the span.
        span: the range of time asked for.
        ranges: the parts of the timeline, in order of time; half-open.
        everybody: whether participants without a session belong to it.
    """

    sessions: tuple[int, ...]
    span: Span
    ranges: tuple[Span, ...]
    everybody: bool

    @property
    def parameters(self) -> dict[str, str | int]:
        """The values of the queries about the study."""
        start, end = self.span
        return {
            "sessions": json.dumps(self.sessions),
            "start": start,
            "end": end,
            "everybody": int(self.everybody),
        }


def choose(connection: sqlite3.Connection, choice: Choice) -> Chosen:
    """Find what was asked for.

    Raises:
        StudyError: there is no such session.
    """
    span = choice.span
    sessions = _sessions(connection, choice.sessions, span)
    ranges: tuple[tuple[int, int], ...]
    if choice.sessions is None:
        ranges = (span,)
    else:
        ranges = _clipped(connection, sessions, span)
    return Chosen(sessions, span, ranges, choice.sessions is None and span == ALWAYS)


def _sessions(
    connection: sqlite3.Connection, wanted: Collection[int] | None, span: Span
) -> tuple[int, ...]:
    """Return the sessions asked for, or those that overlap the span."""
    if wanted is None:
        rows = connection.execute(
            "SELECT id FROM session WHERE started < ? AND (ended IS NULL OR ended > ?) ORDER BY id",
            (span[1], span[0]),
        )
        return tuple(row["id"] for row in rows)
    known = {row["id"] for row in connection.execute("SELECT id FROM session")}
    for session in wanted:
        if session not in known:
            there = ", ".join(map(str, sorted(known))) or "none"
            raise StudyError(f"There is no session {session}. Sessions: {there}.")
    return tuple(sorted(set(wanted)))


def _clipped(
    connection: sqlite3.Connection, sessions: Collection[int], span: Span
) -> tuple[Span, ...]:
    """Return the parts of the sessions that lie in the span, in order of time."""
    rows = connection.execute(
        "SELECT max(started, :start) AS first, min(coalesce(ended, :end), :end) AS last FROM "
        "session WHERE id IN (SELECT value FROM json_each(:sessions)) ORDER BY started",
        {"start": span[0], "end": span[1], "sessions": json.dumps(list(sessions))},
    )
    return tuple((row["first"], row["last"]) for row in rows if row["first"] < row["last"])
