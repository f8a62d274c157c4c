"""The rows that a baseline is computed from, and those that it corrects.

All of it is read in a transaction that the caller holds.
"""

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters

from __future__ import annotations

import sqlite3

from edge_agent.core.clock import iso_utc
from edge_agent.core.errors import StudyError
from edge_agent.core.expression import Expression
from edge_agent.store.database.tables import NAMES, SMOOTHED
from edge_agent.store.read.sessions.baseline import (
    BASELINE_S,
    LEAST_ROWS,
    Baseline,
    CorrectedRow,
    neutral_shift,
)

# The end of a calibration: 20 s after its marker, a stimulus that begins before, or the end of the
# session.
_CALIBRATION = """
    SELECT marker.at AS started, min(
        marker.at + :length,
        coalesce(session.ended, marker.at + :length),
        coalesce(
            (SELECT min(next.at) FROM marker AS next
                WHERE next.session = marker.session AND next.kind = 'stimulus_start'
                    AND next.at >= marker.at),
            marker.at + :length)) AS ended
    FROM marker JOIN session ON session.id = marker.session
    WHERE marker.session = :session AND marker.kind = 'baseline'
    ORDER BY marker.at DESC, marker.id DESC LIMIT 1"""


def read_baseline(connection: sqlite3.Connection, session: int) -> Baseline | None:
    """Return the baseline of a session; see ``Reader.baseline``."""
    _span(connection, session)
    session_row = connection.execute(
        _CALIBRATION, {"session": session, "length": round(BASELINE_S * 1000)}
    ).fetchone()
    if session_row is None:
        return None
    start = session_row["started"]
    end = session_row["ended"]
    rows = connection.execute(
        f"SELECT {', '.join(NAMES)} FROM expression WHERE is_primary = 1 AND at > :start AND at - "
        "interval_ms >= :start AND at <= :end ORDER BY at",
        {"start": start, "end": end},
    )
    neutral = [_expression(row, NAMES) for row in rows]
    if len(neutral) < LEAST_ROWS:
        raise StudyError(
            f"The baseline of session {session} at {iso_utc(start)} has {len(neutral)} "
            f"readable rows of the face; {LEAST_ROWS} are needed. Set the marker again while "
            f"the participant looks at the camera for {BASELINE_S:.0f} s."
        )
    return Baseline(session, start, end, len(neutral), neutral_shift(neutral))


def read_corrected_rows(connection: sqlite3.Connection, session: int) -> list[CorrectedRow]:
    """Return the corrected rows of a session; see ``Reader.corrected_rows``."""
    baseline = read_baseline(connection, session)
    if baseline is None:
        raise StudyError(
            f"Session {session} has no baseline marker. Show its recorded probabilities instead."
        )
    start, end = _span(connection, session)
    rows = connection.execute(
        f"SELECT at, {', '.join((*NAMES, *SMOOTHED))} FROM expression "
        "WHERE is_primary = 1 AND at >= :start AND (:end IS NULL OR at < :end) ORDER BY at",
        {"start": start, "end": end},
    )
    return [_corrected(row, baseline) for row in rows]


def _span(connection: sqlite3.Connection, session: int) -> tuple[int, int | None]:
    """Return start and end of a session."""
    row = connection.execute(
        "SELECT started, ended FROM session WHERE id = ?", (session,)
    ).fetchone()
    if row is None:
        raise StudyError(f"There is no session {session}.")
    return row["started"], row["ended"]


def _corrected(row: sqlite3.Row, baseline: Baseline) -> CorrectedRow:
    mean = _expression(row, NAMES)
    smoothed = _expression(row, SMOOTHED)
    return CorrectedRow(
        row["at"], mean, smoothed, baseline.corrected(mean), baseline.corrected(smoothed)
    )


def _expression(row: sqlite3.Row, names: tuple[str, ...]) -> Expression:
    return Expression(tuple(row[name] / 1000 for name in names))
