"""Sessions of a made-up study, written as the dashboard writes them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from edge_agent.core.clock import Instant
from edge_agent.core.study import MarkerKind, NewSession, Purpose
from edge_agent.timeline.study import rows


def write_session(
    connection: sqlite3.Connection,
    code: str,
    start: Instant,
    stimuli: Iterable[tuple[str, float, float]],
    seconds: float,
) -> int:
    """Write a session of somebody, who is added and agrees if there is nobody of that code yet.

    Args:
        connection: to the database.
        code: of the participant.
        start: of the session.
        stimuli: label, begin and end of each, seconds after the start.
        seconds: length of the session.

    Returns:
        Its number.
    """
    known = "SELECT 1 FROM participant WHERE code = ?"
    if connection.execute(known, (code,)).fetchone() is None:
        rows.insert_participant(connection, code, start)
        rows.insert_consent(connection, code, "1", start)
    new = NewSession(code, Purpose.RESEARCH, "films")
    session = rows.insert_session(connection, new, start)
    for label, begin, end in stimuli:
        for kind, at in ((MarkerKind.STIMULUS_START, begin), (MarkerKind.STIMULUS_END, end)):
            rows.insert_marker(connection, session, kind, label, start.shift(at))
    rows.close_session(connection, start.shift(seconds))
    return session.id
