"""The values of measures that are no vital signs, and of all measures over time.

Movements, expressions and self-ratings have tables of their own; each is read once, whatever is
asked of it.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from edge_agent.core.expression import EMOTIONS, NEGATIVE, POSITIVE
from edge_agent.core.measures import (
    ExpressionKind,
    FaceKind,
    Measure,
    MeasureTable,
    MovementKind,
    RatingKind,
    measure_of,
    table_of,
)
from edge_agent.core.process import Later
from edge_agent.core.readings import DOUBTED, UNUSABLE, VitalFlag
from edge_agent.core.study import MarkerKind, Session
from edge_agent.timeline.database.schema import NAMES, SPANS
from edge_agent.timeline.read.base import flags_of
from edge_agent.timeline.study.exclusions import outside_stretches
from edge_agent.timeline.study.own_neutral import own_neutrals, untested_stretches

if TYPE_CHECKING:
    import numpy as np

    from edge_agent.timeline.read.matching import Integers, Reals
else:
    np = Later("numpy")

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters

FOREVER_MS = 2**62
"""The end time of a session or stimulus that is still open."""
FACE = "face"
"""The source of expressions and movements that our network read, in sums."""
SELF_REPORT = "self-report"
"""The source of self-ratings, in sums."""
LARGEST_MEAN = f"max({', '.join(NAMES)})"
"""The largest mean probability of a row of ``expression``."""

_FACE_TABLES = (MeasureTable.EXPRESSION, MeasureTable.MOVEMENT)
# Per mille and tenths of a degree are whole numbers, so the sums of points and degrees are exact.
_SHARE = 1000
_STEPS = 10.0
_LARGEST = 180.0
"""No value of a face is larger, in points or degrees."""
_VALENCE = "{} - {}".format(
    " + ".join(emotion for emotion in EMOTIONS if emotion in POSITIVE),
    " - ".join(emotion for emotion in EMOTIONS if emotion in NEGATIVE),
)
# The label of a row as it was read: where labels were shifted by an own neutral, that of the
# largest mean, if it reaches the classifier's threshold.
_SHIFTS = """, shift(since, until, least) AS MATERIALIZED (
        SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]')
        FROM json_each(?))"""
_PLAIN_LABEL = (
    "CASE WHEN EXISTS (SELECT 1 FROM shift WHERE at >= since AND at < until) THEN "
    f"CASE WHEN {LARGEST_MEAN} >= (SELECT least FROM shift WHERE at >= since AND at < until) THEN "
    f"CASE {LARGEST_MEAN} {' '.join(f'WHEN {name} THEN {name!r}' for name in NAMES)} END END "
    "ELSE emotion END"
)
_FACES_OF = """{spans} SELECT number, flags, reader, {columns} FROM span CROSS JOIN (
        SELECT at, CASE simulated WHEN 1 THEN 'simulated' ELSE '' END AS flags, {reader} AS reader,
            {values} FROM {table} WHERE is_primary = 1
    ) AS face ON face.at >= span.first AND face.at < span.last"""
_TOLD = "count({0}), avg(CASE WHEN {0} IS NOT NULL THEN at END)"
"""How many rows tell a movement, for a program need not, and their mean time."""
# Whole numbers lose nothing as text within one value. As groups the database would have to sort the
# rows, which takes longer than to read them.
_SHOWN_IN = """{spans}
    SELECT number, first, (SELECT json_array({sums}) FROM expression WHERE +is_primary = 1
        AND at >= first AND at < last) FROM span"""
_READER = {
    MeasureTable.EXPRESSION: f"'{FACE}'",
    MeasureTable.MOVEMENT: f"CASE source WHEN '' THEN '{FACE}' ELSE source END",
}
# What is said of a stimulus is said in it, or after it and before the next; the last time counts.
_RATINGS = f"""
    WITH stimulus(number, session, began) AS MATERIALIZED (
        SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]')
        FROM json_each(?)
    ), following AS MATERIALIZED (
        SELECT number, session, began, coalesce((
            SELECT min(at) FROM marker WHERE marker.session = stimulus.session
                AND kind = '{MarkerKind.STIMULUS_START}' AND at > began), {FOREVER_MS}) AS next
        FROM stimulus
    )
    SELECT number, scale, value, at FROM (
        SELECT number, scale, value, at, row_number() OVER (
            PARTITION BY number, scale ORDER BY at DESC, id DESC) AS place
        FROM following CROSS JOIN self_report ON self_report.session = following.session
            AND self_report.at >= began AND self_report.at < next
        WHERE scale IN (SELECT value FROM json_each(?))
    ) WHERE place = 1 ORDER BY number, scale"""
_RATED_IN = f"""{SPANS}
    SELECT number, scale, '', '{SELF_REPORT}', at, value FROM span CROSS JOIN self_report
    ON self_report.session = number AND at >= first AND at < last
    WHERE scale IN (SELECT value FROM json_each(?)) ORDER BY number, scale, at, id"""
_VITALS_IN = f"""{SPANS}
    SELECT number, kind, flags, source, at, value FROM span CROSS JOIN vital
    ON vital.at >= span.first AND vital.at < span.last
    WHERE kind IN (SELECT value FROM json_each(?)) ORDER BY number, kind, source, at"""

Span = tuple[int, int, int]
"""From, to (half-open, UTC milliseconds), and a number that stands for it."""
Sums = tuple[int, str, str, str, int, float, float, float]
"""Number of the span, kind, flags, source, how many, their sum, the largest, their mean time."""


@dataclass(frozen=True, slots=True)
class MeasureSeries:
    """The values of one measure and source in one session, over time.

    Attributes:
        session: id of the session.
        kind: what was measured.
        source: who measured.
        at_ms: when, UTC milliseconds, rising. A row of the face is the mean of the interval that
            ends then, usually one second; a rating is told by when it was given.
        values: in the unit of the measure, as an analysis has them: strengths and probabilities in
            points (0 … 100), angles in degrees, ratings 1 … 9.
        left_out_ms: when readings in doubt were made, which are not among them, rising.
        simulated: whether any of them is flagged as simulated.
        doubted_ms: when those of them were made that their device itself doubts, rising.
    """

    session: int
    kind: Measure
    source: str
    at_ms: Integers
    values: Reals
    left_out_ms: Integers
    simulated: bool = False
    doubted_ms: Sequence[int] = ()

    @property
    def left_out(self) -> int:
        """Number of the readings in doubt."""
        return len(self.left_out_ms)


def sum_faces(
    connection: sqlite3.Connection, spans: Sequence[Span], kinds: Collection[Measure]
) -> list[Sums]:
    """Return the sums of the measures of the participant's face in numbered spans of time.

    They are kept apart by flags and source. Each table is read once.
    """
    every: list[Sums] = []
    shown = [kind for kind in kinds if isinstance(kind, ExpressionKind)]
    if shown:
        every += sum_expressions(connection, spans, shown)[0]
    moved = [kind for kind in kinds if isinstance(kind, MovementKind)]
    if moved:
        columns = ", ".join((*(f"sum({kind})" for kind in moved), *map(_TOLD.format, moved)))
        for number, flags, reader, *sums in _face_rows(
            connection, spans, moved, columns, "GROUP BY number, flags, reader"
        ):
            told = sums[len(moved) :]
            for place, kind in enumerate(moved):
                n, mean_at = told[2 * place : 2 * place + 2]
                if n:
                    total = sums[place] / _STEPS
                    every.append((number, kind.value, flags, reader, n, total, _LARGEST, mean_at))
    return every


def sum_expressions(
    connection: sqlite3.Connection,
    spans: Sequence[Span],
    kinds: Sequence[ExpressionKind],
    labels: Sequence[str] = (),
) -> tuple[list[Sums], dict[int, list[int]]]:
    """Return the sums of measures of the expression in numbered spans, apart by flags, and how
    many of the rows have each of some labels.

    Args:
        connection: to read from.
        spans: when. Those of one number are summed together.
        kinds: measures, one or none.
        labels: names of emotions; last of the counts are all rows.
    """
    shifts = _shifts(connection) if any(map(_is_share, kinds)) else []
    values = (f"sum({_value(kind, is_shifted=bool(shifts))})" for kind in kinds)
    sums = ["count(*)", "sum(at - first)", *values]
    simulated = [f"{one} FILTER (WHERE simulated = 1)" for one in sums]
    counts = (f"count(*) FILTER (WHERE emotion = '{name}')" for name in labels)
    query = _SHOWN_IN.format(
        spans=SPANS + (_SHIFTS if shifts else ""), sums=", ".join((*sums, *simulated, *counts))
    )
    given = (json.dumps(spans), *((json.dumps(shifts),) if shifts else ()))
    summed: defaultdict[tuple[int, str], list[int]] = defaultdict(lambda: [0] * len(sums))
    held: defaultdict[int, list[int]] = defaultdict(lambda: [0] * (len(labels) + 1))
    for number, first, text in connection.execute(query, given):
        told = [value or 0 for value in json.loads(text)]
        every, made_up = told[: len(sums)], told[len(sums) : 2 * len(sums)]
        measured = [one - other for one, other in zip(every, made_up, strict=True)]
        for flags, (n, since, *totals) in (("", measured), (VitalFlag.SIMULATED.value, made_up)):
            if n:
                _add(summed[number, flags], (n, n * first + since, *totals))
        _add(held[number], (*told[2 * len(sums) :], every[0]))
    rows: list[Sums] = [
        (number, kind.value, flags, FACE, n, total / _STEPS, _LARGEST, at / n)
        for (number, flags), (n, at, *totals) in sorted(summed.items())
        for kind, total in zip(kinds, totals, strict=True)
    ]
    return rows, held


def _add(sums: list[int], more: Iterable[int]) -> None:
    for place, value in enumerate(more):
        sums[place] += value


def sum_ratings(
    connection: sqlite3.Connection,
    stimuli: Iterable[tuple[int, int, int]],
    kinds: Collection[Measure],
) -> list[Sums]:
    """Return the last rating of each stimulus, in the form of ``sum_faces``.

    Args:
        connection: to read from.
        stimuli: of each a number, the id of its session, and when it began.
        kinds: which kinds of measure are asked for.
    """
    own = _scales(kinds)
    if not own:
        return []
    rows = connection.execute(_RATINGS, (json.dumps(list(stimuli)), json.dumps(list(own))))
    return [
        (number, own[scale].value, "", SELF_REPORT, 1, float(value), float(value), float(at))
        for number, scale, value, at in rows
    ]


def count_ratings(
    connection: sqlite3.Connection, spans: Sequence[Span], kinds: Collection[Measure]
) -> list[tuple[int, str, str, int]]:
    """Return how many ratings lie in spans of sessions, by session, kind and flags."""
    own = _scales(kinds)
    if not own:
        return []
    rows = connection.execute(_RATED_IN, (json.dumps(spans), json.dumps(list(own))))
    return [
        (session, own[scale].value, "", len(list(same)))
        for (session, scale), same in groupby(rows, key=itemgetter(0, 1))
    ]


def read_series(
    connection: sqlite3.Connection,
    sessions: Iterable[Session],
    kinds: Collection[Measure],
    counted: Collection[VitalFlag] = (),
) -> list[MeasureSeries]:
    """Return the values of measures over time, of many sessions at once; each table is read once.

    Stretches that are left out, and baselines that calibrated a session, have no values.

    Args:
        connection: to read from.
        sessions: whose.
        kinds: which measures, also ``rr_interval``.
        counted: flags of doubt whose readings count all the same.

    Returns:
        One for each session, measure and source that has rows, in this order of sessions and kinds.
    """
    every = list(sessions)
    stretches = untested_stretches(connection)
    spans = [
        (*part, one.id)
        for one in every
        for part in outside_stretches(
            one.start_ms, FOREVER_MS if one.end_ms is None else one.end_ms, stretches
        )
    ]
    doubts = UNUSABLE - frozenset(counted)
    series = [
        _series(session, measure_of(kind), source, list(same), doubts)
        for (session, kind, source), same in groupby(
            _values_in(connection, spans, kinds), key=itemgetter(0, 1, 3)
        )
    ]
    order = {one.id: place for place, one in enumerate(every)}
    places = {kind: place for place, kind in enumerate(dict.fromkeys(kinds))}
    return sorted(series, key=lambda one: (order[one.session], places[one.kind], one.source))


_Value = tuple[int, str, str, str, int, float]


def _values_in(
    connection: sqlite3.Connection, spans: Sequence[Span], kinds: Collection[Measure]
) -> Iterator[_Value]:
    """Yield session, kind, flags, source, time and value of each reading.

    Those of one session, kind and source stand together, in order of time.
    """
    cursor = connection.cursor()
    cursor.row_factory = None  # plain tuples, which are made faster
    given = json.dumps(spans)
    vitals = [kind.value for kind in kinds if table_of(kind) is MeasureTable.VITAL]
    if vitals:
        yield from cursor.execute(_VITALS_IN, (given, json.dumps(vitals)))
    for table in _FACE_TABLES:
        own = [kind for kind in kinds if isinstance(kind, FaceKind) and table_of(kind) is table]
        if own:
            columns = ", ".join(("at", *own))
            order = "ORDER BY number, reader, face.at"
            rows = list(_face_rows(connection, spans, own, columns, order))
            for place, kind in enumerate(own):
                yield from (
                    (number, kind.value, flags, reader, at, values[place] / _STEPS)
                    for number, flags, reader, at, *values in rows
                    if values[place] is not None
                )
    scales = _scales(kinds)
    if scales:
        rated = cursor.execute(_RATED_IN, (given, json.dumps(list(scales))))
        for session, scale, flags, source, at, value in rated:
            yield session, scales[scale].value, flags, source, at, float(value)


def _series(
    session: int, kind: Measure, source: str, rows: Sequence[_Value], doubts: frozenset[VitalFlag]
) -> MeasureSeries:
    sound = {flags: not flags_of(flags) & doubts for flags in {row[2] for row in rows}}
    doubted = {flags for flags in sound if flags_of(flags) & DOUBTED}
    used = [row for row in rows if sound[row[2]]]
    doubtful = [row[4] for row in rows if not sound[row[2]]]
    return MeasureSeries(
        session=session,
        kind=kind,
        source=source,
        at_ms=np.array([row[4] for row in used], dtype=np.int64),
        values=np.array([row[5] for row in used], dtype=np.float64),
        left_out_ms=np.array(doubtful, dtype=np.int64),
        simulated=any(VitalFlag.SIMULATED in flags_of(row[2]) for row in used),
        doubted_ms=[row[4] for row in used if row[2] in doubted],
    )


def _face_rows(
    connection: sqlite3.Connection,
    spans: Sequence[Span],
    kinds: Sequence[FaceKind],
    columns: str,
    ending: str,
) -> Iterator[tuple[Any, ...]]:
    """Yield number, flags, reader and the columns of the rows of one table of the face.

    Args:
        connection: to read from.
        spans: when.
        kinds: measures of one table, the names of which ``columns`` can use.
        columns: what is asked of the rows.
        ending: how they are grouped or ordered.
    """
    shifts = _shifts(connection) if any(_is_share(kind) for kind in kinds) else []
    table = table_of(kinds[0])
    query = _FACES_OF.format(
        spans=SPANS + (_SHIFTS if shifts else ""),
        columns=columns,
        reader=_READER[table],
        values=", ".join(f"{_value(kind, is_shifted=bool(shifts))} AS {kind}" for kind in kinds),
        table=table,
    )
    cursor = connection.cursor()
    cursor.row_factory = None  # plain tuples, which are made faster
    given = (json.dumps(spans), *((json.dumps(shifts),) if shifts else ()))
    yield from cursor.execute(f"{query} {ending}", given)


def _is_share(kind: Measure) -> bool:
    return isinstance(kind, ExpressionKind) and kind.label is not None


def _value(kind: FaceKind, *, is_shifted: bool) -> str:
    """Return what a measure of the face is in SQL, in whole steps of a tenth of its unit."""
    if kind is ExpressionKind.VALENCE:
        return _VALENCE
    if isinstance(kind, ExpressionKind) and kind.label is not None:
        label = _PLAIN_LABEL if is_shifted else "emotion"
        return f"{_SHARE} * (({label}) IS '{kind.label}')"
    return kind.value


def _shifts(connection: sqlite3.Connection) -> list[tuple[int, int, int]]:
    """Return from when to when labels were shifted, and the least mean of a certain one, ‰."""
    return [
        (*own.applied, math.ceil(1000 * own.classifier.uncertain_below))
        for own in own_neutrals(connection).values()
        if own.applied is not None and own.classifier is not None
    ]


def _scales(kinds: Collection[Measure]) -> dict[str, RatingKind]:
    """Return the ratings among the measures by the scale that they stand under."""
    return {kind.scale: kind for kind in kinds if isinstance(kind, RatingKind)}
