"""Readings with the emotion that was observed before them, joined by time in the database.

Also the intervals between beats in unbroken times of one state, for the variability of the heart
rate, and the skin conductance of whole sessions, for its responses.
"""

from __future__ import annotations

import json
import math
import sqlite3
from array import array
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter
from sys import intern
from typing import TYPE_CHECKING, Any

from edge_agent.core.expression import EMOTIONS
from edge_agent.core.measures import Measure
from edge_agent.core.process import Later
from edge_agent.core.readings import VitalFlag
from edge_agent.core.study import Session
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.schema import NAMES, SPANS
from edge_agent.timeline.read.base import MatchCounts, StateReading, flags_of
from edge_agent.timeline.read.matching import (
    AMBIGUOUS,
    OBSERVED,
    UNCERTAIN_CATEGORY,
    UNMATCHED,
    FaceLabels,
    Matching,
    Steps,
    dominant,
)
from edge_agent.timeline.read.measured import FOREVER_MS, LARGEST_MEAN
from edge_agent.timeline.read.session_reader import ReadingCount
from edge_agent.timeline.read.stimuli import ReadingSum, SessionStimulus
from edge_agent.timeline.study.exclusions import outside_stretches, stretches_within
from edge_agent.timeline.study.own_neutral import own_neutrals, untested_stretches

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edge_agent.timeline.read.matching import Integers
else:
    np = Later("numpy")

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters


# Times and categories are text within one value, because a value costs more to hand over than ten
# of them to write down.
_CATEGORIES = " ".join(f"WHEN '{name}' THEN {place}" for place, name in enumerate(EMOTIONS))
# An end that does not depend on the row lets the index stop there, instead of reading on to the
# present.
_LABELS = (
    f"{SPANS} SELECT number, first, (SELECT group_concat((at - first) * 16 + CASE emotion "
    f"{_CATEGORIES} ELSE {UNCERTAIN_CATEGORY} END) FROM expression WHERE is_primary = 1 AND at >= "
    "first AND at < last) FROM span"
)
_Groups = Sequence[tuple[int, str, str, str]]
# Times are whole milliseconds since the start of the session, so that their sums and those of
# their squares lose nothing: since 1970 the squares alone would fill a double.
_SUMS = """
    WITH span(first, last, number, zero) AS MATERIALIZED (
        SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'),
            json_extract(value, '$[2]'), json_extract(value, '$[3]')
        FROM json_each(?))
    SELECT number, {kind}, flags, source, count(*), sum(value), max(abs(value)),
        total(at - zero), total((at - zero) * (at - zero)), total((at - zero) * value)
    FROM span
    CROSS JOIN vital ON vital.at >= span.first AND vital.at < span.last
    WHERE kind IN ({kinds}) GROUP BY {keys}"""
_SUMMED = ("total", "ms", "ms_squared", "product_ms")
_PART = [("group", "i8"), ("n", "i8"), ("total", "f8"), ("largest", "f8")] + [
    (name, "f8") for name in _SUMMED[1:]
]
_MINUTE_MS = 60_000.0
_SAMPLES = f"""{SPANS}
    SELECT number, source, at, value, flags, error FROM span
    CROSS JOIN vital ON vital.at >= span.first AND vital.at < span.last
    WHERE kind = ? ORDER BY number, source, at"""


_PLAIN = " ".join(f"WHEN {name} THEN {place}" for place, name in enumerate(NAMES))
_PLAIN_LABELS = (
    f"SELECT at, CASE WHEN {LARGEST_MEAN} < ? THEN {UNCERTAIN_CATEGORY} ELSE "
    f"CASE {LARGEST_MEAN} {_PLAIN} END END FROM expression "
    "WHERE is_primary = 1 AND at >= ? AND at < ? ORDER BY at"
)


@dataclass(frozen=True, slots=True)
class ObservedSums:
    """The sums of readings by observed emotion, for one way of matching.

    Attributes:
        sums: session, observed emotion, and the sums of the readings of one kind and source with
            the same flags.
        counts: how many readings were matched and not matched.
        recorded: how many the sessions hold, whatever was observed before them.
    """

    sums: tuple[tuple[int, str, ReadingSum], ...]
    counts: MatchCounts
    recorded: tuple[ReadingCount, ...] = ()


def read_face_labels(
    connection: sqlite3.Connection, sessions: Iterable[Session]
) -> dict[int, FaceLabels]:
    """Return the smoothed labels of the primary face within each session, by its id."""
    spans = [
        (one.start_ms, FOREVER_MS if one.end_ms is None else one.end_ms, one.id) for one in sessions
    ]
    shown = {}
    for number, start, text in connection.execute(_LABELS, (json.dumps(spans),)):
        # ``fromstring`` with a separator reads text; its binary form alone is deprecated in NumPy.
        labels = np.sort(np.fromstring(text or "", dtype=np.int64, sep=","))
        # Relative to the start of the session, which keeps the text short.
        shown[number] = FaceLabels((labels >> 4) + start, labels & 15)
    return shown


def read_plain_labels(
    connection: sqlite3.Connection, sessions: Iterable[Session]
) -> dict[int, FaceLabels]:
    """Return the same labels, but without the shift by the participant's own neutral.

    Where labels are shifted, the largest mean probability of a row stands for its label, as it was
    read, if it reaches the classifier's threshold; the smoothing of labels is not repeated. All
    other rows have the label that was recorded.
    """
    every = list(sessions)
    shown = read_face_labels(connection, every)
    own = own_neutrals(connection)
    for number, labels in shown.items():
        known = own.get(number)
        if known is None or known.applied is None or known.classifier is None:
            continue
        start, end = known.applied
        least = math.ceil(1000 * known.classifier.uncertain_below)
        rows = connection.execute(_PLAIN_LABELS, (least, start, end)).fetchall()
        plain = np.array([tuple(row) for row in rows], dtype=np.int64).reshape(-1, 2)
        first, last = np.searchsorted(labels.at_ms, known.applied)
        columns = zip((labels.at_ms, labels.categories), plain.T, strict=True)
        shown[number] = FaceLabels(
            *(np.concatenate([old[:first], new, old[last:]]) for old, new in columns)
        )
    return shown


def shown_in(
    stimuli: Sequence[SessionStimulus], shown: Mapping[int, FaceLabels], share: float
) -> list[str | None]:
    """Return for each stimulus the emotion that the participant's face showed in it.

    Args:
        stimuli: when.
        shown: for each of their sessions, by its id, what the face showed.
        share: the least share of the recorded rows, uncertain ones counted, that one emotion must
            hold.

    Returns:
        Its name; empty where no emotion holds the share, or two hold it; ``None`` where no face was
        recorded.
    """
    if not stimuli:
        # ``np.stack`` takes no empty list.
        return []
    return emotions_in(
        np.stack([shown[one.session].held_in(one.start_ms, one.end_ms) for one in stimuli], axis=1),
        share,
    )


def emotions_in(held: Integers, share: float) -> list[str | None]:
    """Return the same of stimuli whose rows of each category are counted, as for ``dominant``."""
    words: dict[str, str | None] = {AMBIGUOUS: "", UNMATCHED: None}
    return [words.get(OBSERVED[state], OBSERVED[state]) for state in dominant(held, share).tolist()]


def sum_observed(
    connection: sqlite3.Connection,
    sessions: Iterable[Session],
    shown: Mapping[int, FaceLabels],
    kinds: Collection[Measure],
    matchings: Sequence[Matching],
) -> list[ObservedSums]:
    """Return the sums of readings by observed emotion, for each way of matching.

    They are grouped by session, observed emotion, kind, flags and source.

    However many ways there are, each reading is read once, and in the database.

    Args:
        connection: to read from.
        sessions: where to look.
        shown: for each session, by its id, what the face showed.
        kinds: which kinds of reading.
        matchings: windows, lags and shares.
    """
    together: defaultdict[tuple[int, ...], list[str]] = defaultdict(list)
    for kind in kinds:
        # Kinds with the same lags share their spans, so that one query reads them all.
        together[tuple(by.lag_ms(kind) for by in matchings)].append(kind.value)
    every = list(sessions)
    stretches = untested_stretches(connection)
    # Two ways of matching may differ in their lag alone: the steps are the same.
    keys = {(by.window_ms, by.share) for by in matchings}
    made = {(one.id, *key): shown[one.id].steps(*key) for one in every for key in keys}
    summed: list[tuple[int, tuple[int, ...], tuple[str, str, str], tuple[Any, ...]]] = []
    for lags, alike in together.items():
        spans: list[tuple[int, int, int, int]] = []
        observed: list[tuple[int, tuple[int, ...]]] = []  # by number, with the place of the session
        for place, session in enumerate(every):
            late = [
                made[session.id, by.window_ms, by.share].later(lag)
                for by, lag in zip(matchings, lags, strict=True)
            ]
            whole, states = _spans(session, late)
            own = stretches_within(session.start_ms, whole[-1][1], stretches)
            if own:
                whole = [
                    (*part, number)
                    for first, last, number in whole
                    for part in outside_stretches(first, last, own)
                ]
            before = len(observed)
            zero = session.start_ms
            spans += [(first, last, before + number, zero) for first, last, number in whole]
            observed += [(place, one) for one in states]
        # One kind needs no sorting by it, which a tenth of the time goes into.
        kind_of = "kind" if len(alike) > 1 else f"'{alike[0]}'"
        groups_by = "number, kind, flags, source" if len(alike) > 1 else "number, flags, source"
        query = _SUMS.format(kind=kind_of, kinds=", ".join("?" * len(alike)), keys=groups_by)
        for number, kind, flags, source, *sums in connection.execute(
            query, (json.dumps(spans), *alike)
        ):
            summed.append((*observed[number], (kind, flags, source), tuple(sums)))
    # In order of the sessions, whichever of their vitals was read first.
    summed.sort(key=itemgetter(0))
    groups: dict[tuple[int, str, str, str], int] = {}
    parts = [
        (groups.setdefault((every[place].id, *group), len(groups)), *sums)
        for place, _, group, sums in summed
    ]
    table = np.array([states for _, states, _, _ in summed], dtype=np.int64)
    columns = table.reshape(-1, len(matchings)).T
    made_of, gathered = list(groups), np.array(parts, dtype=_PART)
    return [_merge_parts(made_of, gathered, column) for column in columns]


def match(
    readings: Sequence[StateReading], shown: Mapping[int, FaceLabels], by: Matching
) -> tuple[list[StateReading], MatchCounts]:
    """Give each single reading the emotion that was observed before it.

    Args:
        readings: readings whose state is not known yet.
        shown: for each session, by its id, what the face showed.
        by: window, lags and share.

    Returns:
        The matched readings in the order given, and how many were matched and not.
    """
    instants = np.array(
        [reading.at_ms - by.lag_ms(reading.kind) for reading in readings], dtype=np.int64
    )
    sessions = np.array([reading.session for reading in readings], dtype=np.int64)
    states = np.empty(len(readings), dtype=np.int64)
    for session in set(sessions.tolist()):
        own = sessions == session
        states[own] = shown[session].steps(by.window_ms, by.share).at(instants[own])
    named = [
        (reading, OBSERVED[state]) for reading, state in zip(readings, states.tolist(), strict=True)
    ]
    counts = Counter(state for _, state in named)
    matched = [
        replace(reading, state=state)
        # Nothing is guessed for a reading without a clear state: it is counted instead.
        for reading, state in named
        if state not in (AMBIGUOUS, UNMATCHED)
    ]
    return matched, MatchCounts(len(matched), counts[UNMATCHED], counts[AMBIGUOUS])


def _spans(
    session: Session, steps: Sequence[Steps]
) -> tuple[list[tuple[int, int, int]], list[tuple[int, ...]]]:
    """Cut a session into spans at every change of any of the step functions.

    Returns:
        The spans with their start, end and the number of what was observed, and by that number what
        was observed.
    """
    end = FOREVER_MS if session.end_ms is None else session.end_ms
    edges = np.sort(np.concatenate([one.starts_ms for one in steps]), kind="stable")
    inside = edges[(edges > session.start_ms) & (edges < end)]
    starts = np.concatenate([[session.start_ms], inside])
    # Spans in which the same was observed share a number, so that their sums come as one row.
    numbers: dict[tuple[int, ...], int] = {}
    states = zip(*(one.at(starts).tolist() for one in steps), strict=True)
    spans = [
        (first, last, numbers.setdefault(state, len(numbers)))
        for first, last, state in zip(
            starts.tolist(), [*starts[1:].tolist(), end], states, strict=True
        )
    ]
    return spans, list(numbers)


def _merge_parts(groups: _Groups, parts: npt.NDArray[np.void], states: Integers) -> ObservedSums:
    """Merge the parts that share session, kind, flags, source and state.

    Args:
        groups: session, kind, flags and source by number.
        parts: of each its group, number of readings, their sum, the largest absolute value, and the
            sums of their times, of the squares of these, and of value · time.
        states: of each what was observed before, a place in ``OBSERVED``.
    """
    kinds = [VitalKind(kind) for _, kind, _, _ in groups]
    cells = len(groups) * len(OBSERVED)
    cell = parts["group"] * len(OBSERVED) + states
    n = np.bincount(cell, parts["n"], cells).astype(np.int64)
    total, ms, ms_squared, product = (np.bincount(cell, parts[one], cells) for one in _SUMMED)
    largest = np.zeros(cells)
    np.maximum.at(largest, cell, parts["largest"])
    counts = n.reshape(-1, len(OBSERVED)).sum(axis=0)
    # Sums of ambiguous and unmatched readings are counted, not returned.
    used = np.flatnonzero((n > 0) & (np.arange(cells) % len(OBSERVED) < len(EMOTIONS)))
    timed = (ms / np.maximum(n, 1) / _MINUTE_MS, ms_squared / _MINUTE_MS**2, product / _MINUTE_MS)
    columns = [column[used].tolist() for column in (n, total, largest, *timed)]
    sums_of = []
    for place, number_of, sum_of, most, minutes, squares, products in zip(
        used.tolist(), *columns, strict=True
    ):
        number, state = divmod(place, len(OBSERVED))
        session, _, flags, source = groups[number]
        sums = ReadingSum(
            kinds[number],
            flags,
            number_of,
            sum_of,
            most,
            source=source,
            minutes=minutes,
            minutes_squared=squares,
            product=products,
        )
        sums_of.append((session, OBSERVED[state], sums))
    ambiguous, unmatched = (int(counts[OBSERVED.index(word)]) for word in (AMBIGUOUS, UNMATCHED))
    held = np.bincount(parts["group"], parts["n"], len(groups)).astype(np.int64).tolist()
    return ObservedSums(
        tuple(sums_of),
        MatchCounts(int(counts.sum()) - unmatched - ambiguous, unmatched, ambiguous),
        tuple(
            ReadingCount(session, kind, flags, n)
            for (session, _, flags, _), kind, n in zip(groups, kinds, held, strict=True)
        ),
    )


@dataclass(frozen=True, slots=True)
class StateSpan:
    """A span of one state in a session; ``state`` is a label or an observed emotion."""

    session: Session
    state: str
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Beats:
    """The intervals between beats of one participant in an unbroken time of one state.

    Attributes:
        participant: pseudonymous code.
        state: label of the state, any.
        at_ms: when each was measured, rising.
        values: seconds between two beats.
        flags: of each, as recorded.
        simulated: whether any of them, or the session, is simulated.
        session: id of the session.
        source: who measured.
        errors: expected absolute error of each, seconds, NaN where none is stated; ``None``: of
            none.
    """

    participant: str
    state: str
    at_ms: Integers
    values: npt.NDArray[np.float64]
    flags: tuple[str, ...]
    simulated: bool
    session: int = 0
    source: str = ""
    errors: npt.NDArray[np.float64] | None = None

    def have_flag(self, flag: VitalFlag) -> npt.NDArray[np.bool_]:
        """Return for each interval whether it has the flag."""
        having = {text: flag in flags_of(text) for text in set(self.flags)}
        return np.array([having[text] for text in self.flags], dtype=np.bool_)


@dataclass(frozen=True, slots=True)
class SkinConductance:
    """The skin conductance of one session by one source, with the times of its states.

    It is read from beginning to end: its slow part is known from the time around a state.

    Attributes:
        participant: pseudonymous code.
        session: id of the session.
        source: who measured.
        spans: times of the states, one after the other; none is in what was left out.
        at_ms: when each sample was taken, rising.
        values: µS.
        flags: of each, as recorded.
        simulated: whether any of them, or the session, is simulated.
    """

    participant: str
    session: int
    source: str
    spans: tuple[StateSpan, ...]
    at_ms: Integers
    values: npt.NDArray[np.float64]
    flags: tuple[str, ...]
    simulated: bool

    def have_any(self, flags: Collection[VitalFlag]) -> npt.NDArray[np.bool_]:
        """Return for each sample whether it has one of the flags."""
        having = {text: not flags_of(text).isdisjoint(flags) for text in set(self.flags)}
        return np.array([having[text] for text in self.flags], dtype=np.bool_)


def spans_observed(
    session: Session, shown: FaceLabels, by: Matching, kind: VitalKind
) -> Iterator[StateSpan]:
    """Yield the spans of a session in which readings of a kind match one observed emotion."""
    steps = shown.steps(by.window_ms, by.share).later(by.lag_ms(kind))
    end = FOREVER_MS if session.end_ms is None else session.end_ms
    starts = [*steps.starts_ms.tolist(), end]
    for first, last, state in zip(starts, starts[1:], steps.states.tolist(), strict=False):
        if state < len(EMOTIONS) and max(first, session.start_ms) < min(last, end):
            yield StateSpan(session, OBSERVED[state], max(first, session.start_ms), min(last, end))


def read_beats(connection: sqlite3.Connection, spans: Iterable[StateSpan]) -> Iterator[Beats]:
    """Yield the RR intervals of each span that has any, separately for each source.

    A stretch that is left out cuts a span in two. Two sensors record the same beats, so joining
    them would count each beat twice.

    Args:
        connection: to read from.
        spans: those of a session one after the other.
    """
    of_sessions = _by_session(spans, untested_stretches(connection))
    # One span for a session: each alone would search the index again.
    around = [
        (min(span.start_ms for span in own), max(span.end_ms for span in own), number)
        for number, own in enumerate(of_sessions)
    ]
    for number, source, measured in _by_source(connection, VitalKind.RR_INTERVAL, around):
        yield from _cut(of_sessions[number], measured, source)


def read_skin_conductance(
    connection: sqlite3.Connection, spans: Iterable[StateSpan]
) -> Iterator[SkinConductance]:
    """Yield the skin conductance of each session that has a span, separately for each source.

    Stretches that are left out are in no span, and their samples are not read.

    Args:
        connection: to read from.
        spans: those of a session one after the other.
    """
    stretches = untested_stretches(connection)
    of_sessions = _by_session(spans, stretches)
    around = []
    for number, (one, *_) in enumerate(of_sessions):
        end = FOREVER_MS if one.session.end_ms is None else one.session.end_ms
        kept = outside_stretches(one.session.start_ms, end, stretches)
        around += [(first, last, number) for first, last in kept]
    for number, source, measured in _by_source(connection, VitalKind.SKIN_CONDUCTANCE, around):
        own = tuple(of_sessions[number])
        session = own[0].session
        at, values, flags, _ = measured
        simulated = _are_simulated(session, flags)
        yield SkinConductance(
            session.participant, session.id, source, own, at, values, flags, simulated
        )


def _by_session(
    spans: Iterable[StateSpan], stretches: Sequence[tuple[int, int]]
) -> list[list[StateSpan]]:
    """Return what the stretches leave of the spans, those of each session together."""
    used = (
        replace(span, start_ms=first, end_ms=last)
        for span in spans
        for first, last in outside_stretches(span.start_ms, span.end_ms, stretches)
    )
    return [list(group) for _, group in groupby(used, key=lambda span: span.session.id)]


_Samples = tuple[
    "Integers", "npt.NDArray[np.float64]", tuple[str, ...], "npt.NDArray[np.float64] | None"
]
"""Times, values, flags and errors; no errors where none is stated."""


def _by_source(
    connection: sqlite3.Connection, kind: VitalKind, around: Sequence[tuple[int, int, int]]
) -> Iterator[tuple[int, str, _Samples]]:
    """Yield the readings of a kind in numbered times: the number, the source, and what it measured,
    in order of time.
    """
    cursor = connection.cursor()
    cursor.row_factory = None  # plain tuples, which are made faster
    rows = cursor.execute(_SAMPLES, (json.dumps(around), kind))
    for (number, source), measured in groupby(rows, key=itemgetter(0, 1)):
        # Eight bytes a number: a day of rows as objects would need a hundred megabytes.
        at, values, errors, flags = array("q"), array("d"), array("d"), []
        for _, _, one, value, text, error in measured:
            at.append(one)
            values.append(value)
            flags.append(intern(text))
            errors.append(math.nan if error is None else error)
        stated = np.array(errors, dtype=np.float64)
        known = None if np.isnan(stated).all() else stated
        yield (
            number,
            source,
            (np.array(at), np.array(values, dtype=np.float64), tuple(flags), known),
        )


def _cut(spans: Iterable[StateSpan], samples: _Samples, source: str) -> Iterator[Beats]:
    """Yield the RR intervals of one source that lie in each span."""
    at, values, flags, errors = samples
    for span in spans:
        first, last = np.searchsorted(at, (span.start_ms, span.end_ms)).tolist()
        if first < last:
            inside = flags[first:last]
            session = span.session
            simulated = _are_simulated(session, inside)
            measured = (at[first:last], values[first:last], inside)
            stated = None if errors is None else errors[first:last]
            yield Beats(
                session.participant, span.state, *measured, simulated, session.id, source, stated
            )


def _are_simulated(session: Session, flags: tuple[str, ...]) -> bool:
    return session.simulated or any(VitalFlag.SIMULATED in flags_of(text) for text in set(flags))
