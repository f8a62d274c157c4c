"""What was measured, seen and said in each stimulus of a study.

The database sums the many readings.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from edge_agent.core.vitals import VitalKind

FOREVER_MS = 2**62
"""The end of what still goes on."""


SUMS_IN_SPANS = """
    WITH span(first, last, number) AS MATERIALIZED (
        SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]')
        FROM json_each(?))
    SELECT number, kind, flags, count(*), sum(value), max(abs(value)), avg(vital.at) FROM span
    CROSS JOIN vital ON vital.at >= span.first AND vital.at < span.last
    WHERE kind IN ({kinds}) GROUP BY number, kind, flags"""
"""The sums of the readings in numbered spans of time, by kind and flags; ``kinds`` are marks."""


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
    """Readings of one kind with the same flags within one stimulus, or a piece of it.

    Attributes:
        kind: what was measured.
        flags: as recorded, separated by blanks.
        n: how many.
        total: sum of the values.
        largest: largest absolute value.
        after_ms: how long after the start of the stimulus the piece begins; 0 for the first piece.
        mean_at_ms: mean of their times.
    """

    kind: VitalKind
    flags: str
    n: int
    total: float
    largest: float
    after_ms: int = 0
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
    connection: sqlite3.Connection,
    stimuli: Sequence[Stimulus],
    kinds: Collection[VitalKind],
    cuts_ms: Collection[int] = (),
) -> list[tuple[Stimulus, ReadingSum]]:
    """Return for each stimulus the sums of its readings by kind and flags.

    Args:
        connection: to read from.
        stimuli: when.
        kinds: which kinds of reading.
        cuts_ms: how long after its start each stimulus is cut, so that its beginning can be left
            out in several ways while each reading is read once. Each piece has sums of its own.
    """
    starts = sorted({0, *cuts_ms})
    spans = [
        (first, last, number * len(starts) + place)
        for number, stimulus in enumerate(stimuli)
        for place, (first, last) in enumerate(_pieces(stimulus, starts))
        if first < last
    ]
    query = SUMS_IN_SPANS.format(kinds=", ".join("?" * len(kinds)))
    rows = connection.execute(query, (json.dumps(spans), *(kind.value for kind in kinds)))
    return [
        (
            stimuli[number // len(starts)],
            ReadingSum(
                VitalKind(kind),
                flags,
                n,
                total,
                largest,
                after_ms=starts[number % len(starts)],
                mean_at_ms=mean_at,
            ),
        )
        for number, kind, flags, n, total, largest, mean_at in rows
    ]


def _pieces(stimulus: Stimulus, starts: Sequence[int]) -> list[tuple[int, int]]:
    """Return the pieces of a stimulus that begin so long after its start; some may be empty."""
    edges = [min(stimulus.start_ms + start, stimulus.end_ms) for start in starts]
    return list(zip(edges, [*edges[1:], stimulus.end_ms], strict=True))


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
