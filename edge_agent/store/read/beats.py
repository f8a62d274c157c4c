"""Intervals between beats in unbroken times of one state, for the variability of the heart rate."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt

from edge_agent.core.expression import EMOTIONS
from edge_agent.core.readings import VitalFlag
from edge_agent.core.study import Session
from edge_agent.core.vitals import VitalKind
from edge_agent.store.read.matching import OBSERVED, FaceLabels, Integers, Matching
from edge_agent.store.read.results import flags_of
from edge_agent.store.read.stimuli import FOREVER_MS

_INTERVALS = (
    "SELECT at, value, flags, source FROM vital WHERE at >= ? AND at < ? AND kind = "
    "'rr_interval' ORDER BY source, at"
)


@dataclass(frozen=True, slots=True)
class StateSpan:
    """A time of one state in a session; ``state`` is a label or an observed emotion."""

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
    """

    participant: str
    state: str
    at_ms: Integers
    values: npt.NDArray[np.float64]
    flags: tuple[str, ...]
    simulated: bool
    session: int = 0
    source: str = ""

    def flagged(self, flag: VitalFlag) -> npt.NDArray[np.bool_]:
        """Tell of each interval whether it has a flag."""
        having = {text: flag in flags_of(text) for text in set(self.flags)}
        return np.array([having[text] for text in self.flags], dtype=np.bool_)


def spans_observed(session: Session, shown: FaceLabels, by: Matching) -> Iterator[StateSpan]:
    """Yield the times of a session before whose readings of beats one emotion was observed."""
    steps = shown.steps(by.window_ms, by.share).later(by.lag_ms(VitalKind.RR_INTERVAL))
    end = FOREVER_MS if session.end_ms is None else session.end_ms
    starts = [*steps.starts_ms.tolist(), end]
    for first, last, state in zip(starts, starts[1:], steps.states.tolist(), strict=False):
        if state < len(EMOTIONS) and max(first, session.start_ms) < min(last, end):
            yield StateSpan(session, OBSERVED[state], max(first, session.start_ms), min(last, end))


def read_beats(connection: sqlite3.Connection, spans: Iterable[StateSpan]) -> Iterator[Beats]:
    """Yield the intervals between beats of each span that has any, of each source alone.

    Two sensors that feel the same beats would give each of them twice.

    Args:
        connection: to read from.
        spans: those of a session one after the other.
    """
    cursor = connection.cursor()
    cursor.row_factory = None  # plain tuples, which are made faster
    for _, group in groupby(spans, key=lambda span: span.session.id):
        own = list(group)
        times = min(span.start_ms for span in own), max(span.end_ms for span in own)
        rows = cursor.execute(_INTERVALS, times).fetchall()
        for source, measured in groupby(rows, key=lambda row: str(row[3])):
            at, values, flags, _ = zip(*measured, strict=True)
            yield from _cut(own, np.array(at), np.array(values, dtype=np.float64), flags, source)


def _cut(
    spans: Iterable[StateSpan],
    at: Integers,
    values: npt.NDArray[np.float64],
    flags: tuple[str, ...],
    source: str,
) -> Iterator[Beats]:
    """Yield of the intervals of a session those of one source that lie in each span."""
    for span in spans:
        first, last = np.searchsorted(at, (span.start_ms, span.end_ms)).tolist()
        if first < last:
            inside = flags[first:last]
            session = span.session
            simulated = session.simulated or any(
                VitalFlag.SIMULATED in flags_of(text) for text in set(inside)
            )
            yield Beats(
                session.participant,
                span.state,
                at[first:last],
                values[first:last],
                inside,
                simulated,
                session.id,
                source,
            )
