"""The readings, expressions and self-reports in each stimulus of a study.

The database sums the many readings.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from edge_agent.core.expression import EMOTIONS
from edge_agent.core.measures import ExpressionKind, Measure, MeasureTable, measure_of, table_of
from edge_agent.core.process import Later
from edge_agent.timeline.database.schema import SPANS
from edge_agent.timeline.read.measured import (
    FOREVER_MS,
    Span,
    Sums,
    count_ratings,
    sum_expressions,
    sum_faces,
    sum_ratings,
)
from edge_agent.timeline.study.exclusions import left_out_stretches, outside_stretches
from edge_agent.timeline.study.own_neutral import untested_stretches

if TYPE_CHECKING:
    import numpy as np

    from edge_agent.timeline.read.matching import Integers, Reals
else:
    np = Later("numpy")

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters

SUMS_IN_SPANS = f"""{SPANS}
    SELECT number, kind, flags, source, count(*), sum(value), max(abs(value)), avg(vital.at)
    FROM span
    CROSS JOIN vital ON vital.at >= span.first AND vital.at < span.last
    WHERE kind IN ({{kinds}}) GROUP BY number, kind, flags, source"""
"""The sums of the readings in numbered spans of time, by kind, flags and source; ``kinds`` are
placeholders.
"""

COUNTS_IN_SPANS = f"""{SPANS}
    SELECT number, kind, flags, count(*) FROM span
    CROSS JOIN vital ON vital.at >= span.first AND vital.at < span.last
    WHERE kind IN ({{kinds}}) GROUP BY number, kind, flags"""
"""The number of the same readings, by kind and flags."""


@dataclass(frozen=True, slots=True)
class SessionStimulus:
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
        presentation: its number among those of its label in the session, from 1.
        began_ms: when it truly began, where ``start_ms`` is where a range of time cuts it; ``None``
            where it is not cut. A vital settles from here on: it does not settle anew at the cut.
    """

    session: int
    participant: str
    simulated: bool
    condition: str
    start_ms: int
    end_ms: int
    reported: str | None
    began_ms: int | None = None
    presentation: int = 1


@dataclass(frozen=True, slots=True)
class ReadingSum:
    """Readings of one kind, source and flags within one stimulus, or a piece of it.

    Attributes:
        kind: what was measured.
        flags: as recorded, separated by blanks.
        n: how many.
        total: sum of the values.
        largest: largest absolute value.
        after_ms: how long after the start of the stimulus the piece begins; 0 for the first piece.
        mean_at_ms: mean of their times, in a stimulus.
        source: who measured.
        minutes: by observed emotion, the mean of their times since the start of the session.
        minutes_squared: by observed emotion, the sum of the squares of these minutes.
        product: by observed emotion, the sum of value · minutes.
    """

    kind: Measure
    flags: str
    n: int
    total: float
    largest: float
    after_ms: int = 0
    mean_at_ms: float = field(default=0.0, compare=False)
    source: str = field(default="", compare=False)
    minutes: float = field(default=0.0, compare=False)
    minutes_squared: float = field(default=0.0, compare=False)
    product: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True)
class PieceSums:
    """The readings of many stimuli, cut into pieces and summed: a column for each of their
    properties, a line for each piece, kind, flags and source.

    Attributes:
        stimulus: its place among those asked for; lines of one stimulus stand together.
        after_ms: how long after the start of the stimulus the piece begins; 0 for the first piece.
        kinds: what was measured.
        flags: as recorded, separated by blanks.
        sources: who measured.
        n: how many readings.
        total: sum of the values.
        largest: largest absolute value.
        mean_at_ms: mean of their times.
    """

    stimulus: Integers
    after_ms: Integers
    kinds: tuple[str, ...]
    flags: tuple[str, ...]
    sources: tuple[str, ...]
    n: Integers
    total: Reals
    largest: Reals
    mean_at_ms: Reals


def select_stimuli(
    connection: sqlite3.Connection, session_ids: Collection[int], *, with_left_out: bool = False
) -> list[SessionStimulus]:
    """Return the stimuli of sessions in order of session and time.

    Args:
        connection: to read from.
        session_ids: which sessions.
        with_left_out: whether those count that are left out entirely, which were met all the same.
    """
    stretches = [] if with_left_out else untested_stretches(connection)
    rows = connection.execute(
        "WITH one AS (SELECT condition.session, condition.participant, simulated, label, "
        "condition.started, coalesce(condition.ended, :forever) AS ended, "
        "lead(condition.started, 1, :forever) OVER (PARTITION BY condition.session ORDER BY "
        "condition.started) AS next FROM condition JOIN session ON session.id = condition.session "
        "WHERE condition.session IN (SELECT value FROM json_each(:sessions))) "
        "SELECT *, (SELECT value FROM self_report WHERE self_report.session = one.session AND "
        "scale = 'emotion' AND at >= one.started AND at < one.next ORDER BY at DESC, id DESC LIMIT "
        "1) AS reported FROM one ORDER BY session, started",
        {"sessions": json.dumps(list(session_ids)), "forever": FOREVER_MS},
    ).fetchall()
    # Those left out are counted, too: the others stay what they are to other people's.
    counts = Counter[tuple[int, str]]()
    presentations = []
    for row in rows:
        name = (row["session"], row["label"].strip().casefold())
        counts[name] += 1
        presentations.append(counts[name])
    return [
        SessionStimulus(
            session=row["session"],
            participant=row["participant"],
            simulated=bool(row["simulated"]),
            condition=row["label"],
            start_ms=row["started"],
            end_ms=row["ended"],
            reported=None if row["reported"] is None else str(row["reported"]),
            presentation=presentation,
        )
        for row, presentation in zip(rows, presentations, strict=True)
        if any(outside_stretches(row["started"], row["ended"], stretches))
    ]


def sum_readings(
    connection: sqlite3.Connection,
    stimuli: Sequence[SessionStimulus],
    kinds: Collection[Measure],
    cuts_ms: Collection[int] = (),
) -> list[tuple[SessionStimulus, ReadingSum]]:
    """Return for each stimulus the sums of its readings by kind, flags and source.

    Args:
        connection: to read from.
        stimuli: when.
        kinds: which kinds of reading.
        cuts_ms: how long after its start each stimulus is cut, so that its beginning can be left
            out in several ways while each reading is read once. Each piece has sums of its own.
    """
    starts = sorted({0, *cuts_ms})
    sums = []
    stretches = left_out_stretches(connection)
    rows = _sum_pieces(connection, stimuli, kinds, starts, stretches)
    # Number of the span: the stimulus and the piece of it.
    for number, kind, flags, source, n, total, largest, mean_at in rows:
        stimulus, place = divmod(number, len(starts))
        made = ReadingSum(
            measure_of(kind), flags, n, total, largest, starts[place], mean_at, source
        )
        sums.append((stimuli[stimulus], made))
    return sums


def sum_pieces(
    connection: sqlite3.Connection,
    stimuli: Sequence[SessionStimulus],
    kinds: Collection[Measure],
    cuts_ms: Collection[int] = (),
) -> PieceSums:
    """Return the same sums as columns: a large study has too many for an object each.

    They are those of tests: without the baselines that calibrated a session. Arguments are those of
    ``sum_readings``.
    """
    starts = sorted({0, *cuts_ms})
    rows = _sum_pieces(connection, stimuli, kinds, starts, untested_stretches(connection))
    return _in_columns(rows, starts)


def sum_shown(
    connection: sqlite3.Connection,
    stimuli: Sequence[SessionStimulus],
    kinds: Sequence[ExpressionKind] = (),
    cuts_ms: Collection[int] = (),
) -> tuple[PieceSums, Integers]:
    """Return the same of measures of the expression, and what the face showed in each stimulus.

    That is, from the same rows, how many have each label: a line for each emotion and one for the
    uncertain rows, a column for each stimulus.
    """
    starts = sorted({0, *cuts_ms})
    spans = _spans_of(stimuli, starts, untested_stretches(connection))
    rows, counts = sum_expressions(connection, spans, kinds, EMOTIONS)
    held = np.zeros((len(EMOTIONS) + 1, len(stimuli)), dtype=np.int64)
    for number, (*labelled, every) in counts.items():
        held[:, number // len(starts)] += (*labelled, every - sum(labelled))
    return _in_columns(rows, starts), held


def _in_columns(rows: Sequence[Sums], starts: Sequence[int]) -> PieceSums:
    # Without a row there is no column either.
    columns = list(zip(*rows, strict=True)) or [()] * 8
    numbers, names, flags, sources, n, total, largest, mean_at = columns
    places = np.array(numbers, dtype=np.int64)
    return PieceSums(
        stimulus=places // len(starts),
        after_ms=np.array(starts, dtype=np.int64)[places % len(starts)],
        kinds=names,
        flags=flags,
        sources=sources,
        n=np.array(n, dtype=np.int64),
        total=np.array(total, dtype=np.float64),
        largest=np.array(largest, dtype=np.float64),
        mean_at_ms=np.array(mean_at, dtype=np.float64),
    )


def count_readings(
    connection: sqlite3.Connection,
    spans: Iterable[tuple[int, int, int]],
    kinds: Collection[Measure],
) -> list[tuple[int, Measure, str, int]]:
    """Return how many readings there are by session, kind and flags, but those left out.

    Args:
        connection: to read from.
        spans: from, to, and the id of the session.
        kinds: which kinds of reading.
    """
    stretches = untested_stretches(connection)
    used = [
        (*part, session)
        for first, last, session in spans
        for part in outside_stretches(first, last, stretches)
    ]
    counts = _vitals_in_spans(connection, COUNTS_IN_SPANS, used, kinds)
    faces = sum_faces(connection, used, kinds)
    counts += [(number, name, flags, n) for number, name, flags, _, n, *_ in faces]
    counts += count_ratings(connection, used, kinds)
    return [(session, measure_of(kind), flags, n) for session, kind, flags, n in counts]


def _sum_pieces(
    connection: sqlite3.Connection,
    stimuli: Sequence[SessionStimulus],
    kinds: Collection[Measure],
    starts: Sequence[int],
    stretches: Sequence[tuple[int, int]],
) -> list[Sums]:
    """Let the database sum the readings of each piece of each stimulus, but those in stretches."""
    spans = _spans_of(stimuli, starts, stretches)
    vitals = _vitals_in_spans(connection, SUMS_IN_SPANS, spans, kinds)
    others = sum_faces(connection, spans, kinds)
    # A rating is of the whole stimulus, which its first piece stands for.
    rated = (
        (number * len(starts), one.session, one.start_ms if one.began_ms is None else one.began_ms)
        for number, one in enumerate(stimuli)
    )
    others += sum_ratings(connection, rated, kinds)
    # lines of one span stand together
    return sorted(vitals + others, key=itemgetter(0)) if others else vitals


def _spans_of(
    stimuli: Sequence[SessionStimulus], starts: Sequence[int], stretches: Sequence[tuple[int, int]]
) -> list[Span]:
    """Return the pieces of stimuli outside stretches, with the number of stimulus and piece."""
    return [
        (first, last, number * len(starts) + place)
        for number, stimulus in enumerate(stimuli)
        for place, piece in enumerate(_pieces(stimulus, starts))
        for first, last in outside_stretches(*piece, stretches)
    ]


def _vitals_in_spans(
    connection: sqlite3.Connection,
    query: str,
    spans: Sequence[tuple[int, int, int]],
    kinds: Collection[Measure],
) -> list[tuple[Any, ...]]:
    """Return what a query tells of the vitals among the kinds; nothing is read where none are."""
    vitals = [kind.value for kind in kinds if table_of(kind) is MeasureTable.VITAL]
    if not vitals:
        return []
    cursor = connection.cursor()
    cursor.row_factory = None  # plain tuples, which are made faster
    placed = query.format(kinds=", ".join("?" * len(vitals)))
    return cursor.execute(placed, (json.dumps(spans), *vitals)).fetchall()


def _pieces(stimulus: SessionStimulus, starts: Sequence[int]) -> list[tuple[int, int]]:
    """Return the pieces of a stimulus, cut at offsets from its start; some may be empty."""
    began = stimulus.start_ms if stimulus.began_ms is None else stimulus.began_ms
    edges = [min(max(began + start, stimulus.start_ms), stimulus.end_ms) for start in starts]
    return list(zip(edges, [*edges[1:], stimulus.end_ms], strict=True))
