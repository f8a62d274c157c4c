"""Measures over time in the sessions of a study, and the events in them: one read of each table.

What counts is what counts in the analysis: no reading in doubt unless it is asked for, no stretch
that somebody left out, of each vital in a session one source, of the face the participant's.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from dashboard.analysis.readings.states import best_source
from edge_agent.core.measures import Measure, MovementKind
from edge_agent.core.process import Later
from edge_agent.core.readings import UNUSABLE, VitalFlag
from edge_agent.core.study import Session
from edge_agent.core.vitals import VitalKind
from edge_agent.store.database.schema import SPANS
from edge_agent.store.read.base import flags_of
from edge_agent.store.read.reader import Reader
from edge_agent.store.read.stimuli import FACE, FOREVER_MS
from edge_agent.store.study.exclusions import outside_stretches
from edge_agent.store.study.own_neutral import untested_stretches

if TYPE_CHECKING:
    import numpy as np

    from edge_agent.store.read.matching import Integers, Reals
else:
    np = Later("numpy")

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters

_VITALS = f"""{SPANS}
    SELECT number, kind, source, flags, at, value FROM span
    CROSS JOIN vital ON vital.at >= span.first AND vital.at < span.last
    WHERE kind IN (SELECT value FROM json_each(?)) ORDER BY at"""
# A row of the face is the mean of the interval before its time: it stands for the middle of it.
_MOVEMENTS = f"""{SPANS}
    SELECT number, CASE source WHEN '' THEN '{FACE}' ELSE source END, simulated,
        at - interval_ms / 2, {{columns}} FROM span
    CROSS JOIN movement ON movement.at > span.first AND movement.at <= span.last
    WHERE is_primary = 1 ORDER BY at"""
_REPORTS = f"""{SPANS}
    SELECT session, at, value FROM span
    JOIN self_report ON session = number AND at >= first AND at < last
    WHERE scale = 'emotion' ORDER BY session, at, id"""


class EventKind(StrEnum):
    """The kind of event that curves are drawn around."""

    STIMULUS_START = "stimulus_start"
    STIMULUS_END = "stimulus_end"
    BASELINE = "baseline"
    NOTE = "note"
    RESPONSE = "response"


@dataclass(frozen=True, slots=True)
class Series:
    """One measure in one session over time, from the source that counts there.

    Attributes:
        session: whose.
        kind: what was measured.
        source: who measured.
        at_ms: when, UTC epoch milliseconds, rising; for a row of the face the middle of its
            interval.
        values: in the unit of the kind.
        simulated: whether any of it, or the session, is simulated.
        doubtful: how many readings of the source are left out by their flags.
    """

    session: Session
    kind: Measure
    source: str
    at_ms: Integers
    values: Reals
    simulated: bool
    doubtful: int = 0


@dataclass(frozen=True, slots=True)
class Event:
    """An instant in a session, with the label that somebody gave it, or the emotion reported."""

    session: int
    at_ms: int
    label: str


@dataclass(slots=True)
class _Column:
    """What one source measured of a kind in a session, as it is read."""

    at_ms: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    doubtful: int = 0
    simulated: bool = False


class _Columns:
    """The columns of all sessions and kinds, by session, kind and source."""

    def __init__(self) -> None:
        self._columns: defaultdict[tuple[int, str], defaultdict[str, _Column]]
        self._columns = defaultdict(lambda: defaultdict(_Column))

    def add_vitals(self, rows: Iterable[tuple[Any, ...]], doubts: frozenset[VitalFlag]) -> None:
        """Add rows of session, kind, source, flags, time and value, but those in doubt."""
        for number, kind, source, text, at, value in rows:
            column = self._columns[number, kind][source]
            flags = flags_of(text)
            if flags & doubts:
                column.doubtful += 1
                continue
            column.at_ms.append(at)
            column.values.append(value)
            column.simulated |= VitalFlag.SIMULATED in flags

    def add_movements(self, rows: Iterable[tuple[Any, ...]], kinds: Sequence[MovementKind]) -> None:
        """Add rows of session, source, whether simulated, time, and a value of each kind."""
        for number, source, simulated, at, *values in rows:
            for kind, value in zip(kinds, values, strict=True):
                if value is not None:
                    column = self._columns[number, kind][source]
                    column.at_ms.append(at)
                    column.values.append(value / 10)
                    column.simulated |= bool(simulated)

    def series(
        self, number: int, session: Session, kind: Measure, preferred: Sequence[str]
    ) -> Series | None:
        """Return what the source that counts measured; ``None`` without a usable value."""
        sources = self._columns.get((number, kind))
        if not sources:
            return None
        counts = {
            name: (len(one.values), len(one.values) + one.doubtful) for name, one in sources.items()
        }
        source = best_source(counts, preferred)
        column = sources[source]
        if not column.values:
            return None
        return Series(
            session=session,
            kind=kind,
            source=source,
            at_ms=np.array(column.at_ms, dtype=np.int64),
            values=np.array(column.values, dtype=np.float64),
            simulated=session.simulated or column.simulated,
            doubtful=column.doubtful,
        )


def read_series(
    reader: Reader,
    sessions: Sequence[Session],
    kinds: Collection[Measure],
    counted: Collection[VitalFlag] = (),
    preferred: Sequence[str] = (),
) -> list[Series]:
    """Return the measures of sessions over time, in order of the sessions and kinds.

    A session without a usable value of a kind has no series of it.

    Args:
        reader: the timeline of one site.
        sessions: where to look.
        kinds: what to read.
        counted: flags of doubt whose readings count all the same.
        preferred: which source counts where several measured the same in a session, the best first;
            else the one with the most readings without doubt.

    Raises:
        StoreError: the database cannot be read.
    """
    spans: list[tuple[int, int, int]] = []
    columns = _Columns()
    with reader.connect() as connection:
        stretches = untested_stretches(connection)
        for number, session in enumerate(sessions):
            end_ms = FOREVER_MS if session.end_ms is None else session.end_ms
            parts = outside_stretches(session.start_ms, end_ms, stretches)
            spans += [(first, last, number) for first, last in parts]
        given = json.dumps(spans)
        cursor = connection.cursor()
        cursor.row_factory = None  # plain tuples, which are made faster
        vitals = [kind.value for kind in kinds if isinstance(kind, VitalKind)]
        if vitals:
            doubts = UNUSABLE - frozenset(counted)
            columns.add_vitals(cursor.execute(_VITALS, (given, json.dumps(vitals))), doubts)
        moved = [kind for kind in kinds if isinstance(kind, MovementKind)]
        if moved:
            query = _MOVEMENTS.format(columns=", ".join(moved))
            columns.add_movements(cursor.execute(query, (given,)), moved)
    made = (
        columns.series(number, session, kind, preferred)
        for number, session in enumerate(sessions)
        for kind in kinds
    )
    return [one for one in made if one is not None]


def read_events(reader: Reader, sessions: Sequence[Session], kind: EventKind) -> list[Event]:
    """Return the events of a kind in sessions, in order of session and time, but those in a stretch
    that was left out.

    Raises:
        StoreError: the database cannot be read.
    """
    spans = {
        one.id: (one.start_ms, FOREVER_MS if one.end_ms is None else one.end_ms) for one in sessions
    }
    with reader.connect() as connection:
        stretches = untested_stretches(connection)
        if kind is EventKind.RESPONSE:
            given = json.dumps([(*span, number) for number, span in spans.items()])
            events = [Event(*row) for row in connection.execute(_REPORTS, (given,))]
        else:
            rows = connection.execute(
                "SELECT session, at, label FROM marker WHERE kind = ? ORDER BY session, at, id",
                (kind.value,),
            )
            events = [Event(*row) for row in rows]
    return [
        one
        for one in events
        if one.session in spans
        and spans[one.session][0] <= one.at_ms < spans[one.session][1]
        and any(outside_stretches(one.at_ms, one.at_ms + 1, stretches))
    ]
