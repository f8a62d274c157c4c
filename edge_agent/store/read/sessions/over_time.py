"""Sessions side by side: what a participant showed and what was measured, one mean a session."""

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from edge_agent.core import clock
from edge_agent.core.expression import EMOTIONS, Emotion
from edge_agent.core.study import Session
from edge_agent.core.vitals import VitalKind
from edge_agent.store.database.tables import NAMES
from edge_agent.store.read.sessions.summary import MeanReading, mean_readings
from edge_agent.store.read.state_readings import select_session_readings

_SUMS = ", ".join(f"avg({name}) AS {name}" for name in NAMES)


@dataclass(frozen=True, slots=True)
class SessionMeans:
    """Means over a whole session.

    Attributes:
        expression: mean probabilities of the participant's face; ``None`` where no row is kept.
        vitals: means of the usable readings by kind.
    """

    expression: dict[Emotion, float] | None
    vitals: dict[VitalKind, MeanReading]


def read_session_means(
    connection: sqlite3.Connection, sessions: Sequence[Session]
) -> dict[int, SessionMeans]:
    """Return the means of each session, by its number, inside a transaction of the caller."""
    readings = select_session_readings(
        connection, [session.id for session in sessions], tuple(VitalKind)
    )
    means = {}
    for session in sessions:
        end_ms = session.end_ms or clock.now().wall_ms
        row = connection.execute(
            f"SELECT count(*) AS rows, {_SUMS} FROM expression WHERE is_primary = 1 AND at >= ? "
            "AND at < ?",
            (session.start_ms, end_ms),
        ).fetchone()
        expression = None
        if row["rows"]:
            expression = {emotion: row[emotion.value] / 1000 for emotion in EMOTIONS}
        own = [one for one in readings if one.session == session.id]
        means[session.id] = SessionMeans(
            expression, mean_readings(own, session.start_ms, end_ms + 1)
        )
    return means
