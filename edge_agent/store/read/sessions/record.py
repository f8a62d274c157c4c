"""What is noted about a session beside its measurements: consent, protocol, operator, answers."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from edge_agent.core.study import Session

_NEAR_MS = 60_000
"""An audited start this near the session's is its own: numbers are used again after an erasure."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What a participant said of themselves at one time.

    Attributes:
        at_ms: of the first answer.
        condition: the last stimulus before; ``None``: there was none.
        values: by scale: ``valence`` and ``arousal`` (1 to 9), ``emotion``.
    """

    at_ms: int
    condition: str | None
    values: dict[str, int | str]


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """What is noted about a session.

    Attributes:
        consent: version of the text that was agreed to when it began; ``None``: none is kept.
        protocol: title of its protocol; ``None``: markers were set by hand.
        operator: account that started it; ``None``: nobody did at the dashboard.
        answers: self-reports in order of time.
    """

    consent: str | None
    protocol: str | None
    operator: str | None
    answers: tuple[Answers, ...]


def read_record(connection: sqlite3.Connection, session: Session) -> SessionRecord:
    """Return what is noted about a session, inside a transaction of the caller."""
    consent = connection.execute(
        "SELECT text_version FROM consent JOIN participant ON participant.id = participant WHERE "
        "code = ? AND given <= ? ORDER BY given DESC, consent.id DESC LIMIT 1",
        (session.participant, session.start_ms),
    ).fetchone()
    protocol = connection.execute(
        "SELECT title FROM protocol_run WHERE session = ?", (session.id,)
    ).fetchone()
    operator = connection.execute(
        "SELECT actor FROM audit WHERE action = 'session_start' AND detail = ? AND at BETWEEN ? "
        "AND ? ORDER BY id DESC LIMIT 1",
        (str(session.id), session.start_ms - _NEAR_MS, session.start_ms + _NEAR_MS),
    ).fetchone()
    return SessionRecord(
        consent=consent and consent[0],
        protocol=protocol and protocol[0],
        operator=operator and operator[0],
        answers=_answers(connection, session.id),
    )


def _answers(connection: sqlite3.Connection, session: int) -> tuple[Answers, ...]:
    """Return the answers, those of one condition together until a scale is answered again."""
    answers: list[Answers] = []
    rows = connection.execute(
        "SELECT at, condition, scale, value FROM self_report WHERE session = ? ORDER BY at, id",
        (session,),
    )
    for row in rows:
        last = answers[-1] if answers else None
        if last is None or last.condition != row["condition"] or row["scale"] in last.values:
            last = Answers(row["at"], row["condition"], {})
            answers.append(last)
        last.values[row["scale"]] = row["value"]
    return tuple(answers)
