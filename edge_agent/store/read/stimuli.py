"""What was measured, seen and said in each stimulus of a study.

The database sums the many readings.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from edge_agent.core.vitals import VitalKind

FOREVER_MS = 2**62
"""The end of what still goes on."""


@dataclass(frozen=True, slots=True)
class Stimulus:
    """One stimulus of a session.

    It lasts from its start to the next stimulus marker or the end of the session.

    Attributes:
        session: id of the session.
        participant: the participant's code.
        simulated: whether the session is a demonstration.
        condition: label of the stimulus.
        start_ms: when it began.
        end_ms: when it ended; far in the future while it goes on.
        reported: the emotion that the participant reported during or after it, before the next
            stimulus; ``none`` for none of the eight, ``None`` where nothing was reported. Of
            several reports the last counts.
    """

    session: int
    participant: str
    simulated: bool
    condition: str
    start_ms: int
    end_ms: int
    reported: str | None


@dataclass(frozen=True, slots=True)
class ReadingSum:
    """Readings of one kind with the same flags within one stimulus.

    Attributes:
        kind: what was measured.
        flags: as recorded, separated by blanks.
        n: how many.
        total: sum of the values.
        largest: largest absolute value.
        mean_at_ms: mean of their times.
    """

    kind: VitalKind
    flags: str
    n: int
    total: float
    largest: float
    mean_at_ms: float = field(default=0.0, compare=False)


def select_stimuli(connection: sqlite3.Connection, session_ids: Collection[int]) -> list[Stimulus]:
    """Return the stimuli of sessions in order of session and time."""
    rows = connection.execute(
        "SELECT condition.session, condition.participant, simulated, label, condition.started, "
        "coalesce(condition.ended, :forever) AS ended, lead(condition.started, 1, :forever) OVER "
        "(PARTITION BY condition.session ORDER BY condition.started) AS next FROM condition JOIN "
        "session ON session.id = condition.session WHERE condition.session IN (SELECT value FROM "
        "json_each(:sessions)) ORDER BY condition.session, condition.started",
        {"sessions": json.dumps(list(session_ids)), "forever": FOREVER_MS},
    ).fetchall()
    return [
        Stimulus(
            session=row["session"],
            participant=row["participant"],
            simulated=bool(row["simulated"]),
            condition=row["label"],
            start_ms=row["started"],
            end_ms=row["ended"],
            reported=_reported(connection, row["session"], row["started"], row["next"]),
        )
        for row in rows
    ]


def sum_readings(
    connection: sqlite3.Connection, stimuli: Iterable[Stimulus], kinds: Collection[VitalKind]
) -> list[tuple[Stimulus, ReadingSum]]:
    """Return for each stimulus the sums of its readings by kind and flags."""
    kind_names = json.dumps([kind.value for kind in kinds])
    return [
        (
            stimulus,
            ReadingSum(
                VitalKind(row["kind"]),
                row["flags"],
                row["n"],
                row["total"],
                row["largest"],
                row["mean_at"],
            ),
        )
        for stimulus in stimuli
        for row in connection.execute(
            "SELECT kind, flags, count(*) AS n, sum(value) AS total, max(abs(value)) AS largest, "
            "avg(at) AS mean_at FROM vital WHERE at >= ? AND at < ? AND kind IN (SELECT value FROM "
            "json_each(?)) GROUP BY kind, flags",
            (stimulus.start_ms, stimulus.end_ms, kind_names),
        )
    ]


def _reported(
    connection: sqlite3.Connection, session: int, after_ms: int, before_ms: int
) -> str | None:
    row = connection.execute(
        "SELECT value FROM self_report WHERE session = ? AND scale = 'emotion' AND at >= ? AND at "
        "< ? ORDER BY at DESC, id DESC LIMIT 1",
        (session, after_ms, before_ms),
    ).fetchone()
    if row is None:
        return None
    return str(row[0])
