"""The reader of a database beside a running agent, and short queries about the whole database.

These return consents, models in use, row counts of each session, and all vital readings.
"""

from __future__ import annotations

import json
import sqlite3
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from operator import itemgetter
from pathlib import Path

from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.expression import EMOTIONS
from edge_agent.core.readings import DOUBTED, UNUSABLE, VitalFlag, VitalReading
from edge_agent.core.study import Marker, Session
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.connection import read_transaction
from edge_agent.timeline.database.schema import HOUR_MS, MINUTE_MS, SPANS
from edge_agent.timeline.read.base import ConditionInterval, Row, flags_of
from edge_agent.timeline.read.measured import FOREVER_MS
from edge_agent.timeline.read.sessions import MeanReading
from edge_agent.timeline.read.states import StateReader
from edge_agent.timeline.read.stimuli import SessionStimulus
from edge_agent.timeline.read.timeline_reader import TimelineReader
from edge_agent.timeline.read.trends import (
    EXPRESSIONS,
    SHOWN_BY_HOUR,
    VITALS,
    Piece,
    Span,
    pieces_of,
    sums_in,
)
from edge_agent.timeline.study.exclusions import Exclusion
from edge_agent.timeline.write.inserts import ModelUse
from edge_agent.timeline.write.redating import IS_UNUSABLE, is_flagged

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters

_RECORDED = (
    {"expression": 1, "vital": 1},
    {"expression_minute": MINUTE_MS} | dict.fromkeys(("expression_hour", "vital_hour"), HOUR_MS),
)
"""Tables with a row for each recorded time and its length in milliseconds, the exact ones first."""


class Reader(TimelineReader, StateReader):
    """Answers every question about the database: timeline, sessions, and readings by state.

    A caller that needs only one of these can use that base class alone.

    Example:
        >>> reader = Reader(Path("/var/lib/affect-edge/affect-edge.db"))
        >>> first_ms, last_ms = reader.span()
        >>> for session in reader.session_list():
        ...     print(session.participant, session.name)
    """


@dataclass(frozen=True, slots=True)
class SpanSums:
    """The data recorded in sessions within a span of time.

    Attributes:
        start_ms: start of the span, UTC milliseconds.
        end_ms: its end.
        session_ms: how long sessions were open in it.
        shown_ms: how long the face showed each emotion, and ``uncertain``; empty: no face was read,
            or its rows are deleted.
        vitals: means of the usable readings; only kinds that have any.
        simulated: whether any of it is simulated.
    """

    start_ms: int
    end_ms: int
    session_ms: int
    shown_ms: dict[str, int]
    vitals: dict[VitalKind, MeanReading]
    simulated: bool


@dataclass(frozen=True, slots=True)
class MeasureReading:
    """One stored reading."""

    at_ms: int
    kind: VitalKind
    value: float
    flags: frozenset[VitalFlag]


class SessionsReader(Reader):
    """Answers queries about the timeline of chosen sessions, and of no time outside them.

    Sessions of one participant give the trends of that participant.

    Args:
        path: the database.
        sessions: which; none is none.
    """

    def __init__(self, path: Path, sessions: Collection[Session]) -> None:
        super().__init__(path)
        self._numbers = {session.id for session in sessions}
        self._spans = sorted(
            (one.start_ms, FOREVER_MS if one.end_ms is None else one.end_ms) for one in sessions
        )

    def session_list(self) -> list[Session]:
        """Return the chosen sessions, newest first."""
        return [one for one in super().session_list() if one.id in self._numbers]

    def span(self) -> tuple[int, int] | None:
        """Return from when to when the sessions last; ``None`` without any."""
        if not self._spans:
            return None
        return self._spans[0][0], min(self._spans[-1][1], clock.now().wall_ms)

    def open_times(self) -> list[tuple[int, int]]:
        """Return from when to when each session was open; one that still is ends now."""
        now_ms = clock.now().wall_ms
        return [(first, max(first, min(last, now_ms))) for first, last in self._spans or ()]

    def latest_recording(self, length_ms: int) -> tuple[int, int] | None:
        """Return the newest range with recordings of the sessions; ``None`` where there are none.

        It ends with the last row and begins with a session, at most ``length_ms`` before.
        """
        now_ms = clock.now().wall_ms
        with self.connect() as connection:
            ends = _last_recorded(
                connection, [(first, min(last, now_ms + 1)) for first, last in self._spans or ()]
            )
        last_ms = next((end for end in reversed(ends) if end is not None), None)
        if last_ms is None:
            return None
        earliest_ms = last_ms + 1 - length_ms
        begun = min(first for first, last in self._spans or () if last > earliest_ms)
        return max(begun, earliest_ms), last_ms + 1

    def conditions(self, start_ms: int, end_ms: int) -> list[ConditionInterval]:
        """Return the conditions of the sessions that overlap a range, in order of time."""
        everybody = super().conditions(start_ms, end_ms)
        return [one for one in everybody if one.session in self._numbers]

    def markers(self, start_ms: int | None = None, end_ms: int | None = None) -> list[Marker]:
        """Return the markers of the sessions in a range, in order of time."""
        everybody = super().markers(start_ms, end_ms)
        return [one for one in everybody if one.session in self._numbers]

    def has_movements(self, start_ms: int = 0, end_ms: int = FOREVER_MS) -> bool:
        """Return whether movements were recorded in the sessions within a range."""
        cut = [(max(first, start_ms), min(last, end_ms)) for first, last in self._spans or ()]
        query = (
            f"{SPANS} SELECT EXISTS (SELECT 1 FROM span CROSS JOIN movement ON at >= first AND at "
            "< last WHERE is_primary = 1)"
        )
        with self.connect() as connection:
            return bool(connection.execute(query, (json.dumps(cut),)).fetchone()[0])

    def reading_changed(
        self, start_ms: int, end_ms: int, kinds: Collection[str] = ("expression",)
    ) -> int | None:
        """Return since when the sessions within a range are read by another model, or prior.

        That is the start of a session where the change came between two of them: when it came says
        that somebody else was recorded. ``None``: all of them are read in one way.
        """
        change = self.change_of_reading(start_ms, end_ms, kinds)
        return None if change is None else change[1]

    def change_of_reading(
        self, start_ms: int, end_ms: int, kinds: Collection[str] = ("expression",)
    ) -> Span | None:
        """Return when the way in which faces are read changed: end of the old, start of the new.

        Both are the same where the change came within a session; arguments as in
        ``reading_changed``.
        """
        cut = [
            (max(first, start_ms), min(last, end_ms))
            for first, last in self._spans or ()
            if first < end_ms and last > start_ms
        ]
        with self.connect() as connection:
            rows = connection.execute(
                "SELECT kind, since, lead(since, 1, ?) OVER (PARTITION BY kind ORDER BY since, id) "
                "AS until, sha256, version, prior FROM model WHERE kind IN (SELECT value FROM "
                "json_each(?)) ORDER BY since, id",
                (FOREVER_MS, json.dumps(list(kinds))),
            ).fetchall()
        changes = []
        for kind in kinds:
            stretches = [
                (max(first, since), min(last, until), used)
                for first, last in cut
                for name, since, until, *used in rows
                if name == kind and max(first, since) < min(last, until)
            ]
            changes += [
                (one[1], other[0]) for one, other in pairwise(stretches) if one[2] != other[2]
            ]
        return max(changes, key=itemgetter(1), default=None)

    def rows_kept_since(self, start_ms: int, end_ms: int) -> int | None:
        """Return since when all rows of expressions are kept, UTC milliseconds.

        ``None`` where no row of the sessions in a range has been deleted. Of older sessions trends
        show the whole minutes, hours and days within them.
        """
        spans = list(self._spans or ())
        with self.connect() as connection:
            own = connection.execute(
                f"{SPANS} SELECT min((SELECT min(at) FROM expression WHERE at >= first AND at < "
                "last)) FROM span",
                (json.dumps(spans),),
            ).fetchone()[0]
            # Rows go by their age: none is missing after the oldest one that is there.
            last_ms = end_ms if own is None else min(own + 1, end_ms)
            if last_ms <= start_ms or EXPRESSIONS.is_whole(
                connection, "row", (start_ms, last_ms), spans
            ):
                return None
        # Not the oldest row of all, which may be of somebody else.
        kept_ms: int = own if own is not None else spans[-1][1]
        return min(kept_ms, clock.now().wall_ms)

    def _rows(self, view: str, *span: int) -> Iterator[Row]:
        start_ms, end_ms = span
        cut = [one for one in self._spans or () if one[0] < end_ms and one[1] > start_ms]
        # Not a join: rows come in the order of the index, for a caller that wants the first alone.
        query = (
            f"{SPANS} SELECT * FROM {view} WHERE at_ms >= ? AND at_ms < ? AND EXISTS (SELECT 1 "
            "FROM span WHERE at_ms >= first AND at_ms < last) ORDER BY at_ms"
        )
        with self.connect() as connection:
            yield from map(dict, connection.execute(query, (json.dumps(cut), *span)))


def sums_by_person(
    reader: TimelineReader,
    sessions: Collection[Session],
    edges_ms: Sequence[int],
    kinds: Collection[VitalKind],
) -> dict[str, list[SpanSums]]:
    """Return what was recorded of each participant, by code, from each edge to the next.

    However many there are, they are read at once. Times of emotions come from the rollups: see
    ``SHOWN_BY_HOUR``.

    Args:
        reader: of the database.
        sessions: those that count.
        edges_ms: at least two, rising, UTC milliseconds.
        kinds: which kinds of reading.
    """
    spans: dict[str, list[tuple[int, int]]] = {}
    for one in sessions:
        end_ms = FOREVER_MS if one.end_ms is None else one.end_ms
        spans.setdefault(one.participant, []).append((one.start_ms, end_ms))
    with reader.connect() as connection:
        sums = _sums_between(connection, list(spans.values()), edges_ms, kinds)
    return dict(zip(spans, sums, strict=True))


def _sums_between(
    connection: sqlite3.Connection,
    spans: Sequence[Sequence[tuple[int, int]]],
    edges_ms: Sequence[int],
    kinds: Collection[VitalKind],
) -> list[list[SpanSums]]:
    """Return the sums of several people, each with the spans of their sessions."""
    parts = list(pairwise(edges_ms))
    # A number for each part of each person.
    cuts = [
        (max(first, start), min(last, end), len(parts) * person + number)
        for number, (start, end) in enumerate(parts)
        for person, own in enumerate(spans)
        for first, last in own
        if first < end and last > start
    ]
    pieces = [one for cut in cuts for one in pieces_of(cut[:2], "hour", cut[2])]
    faces = sums_in(connection, SHOWN_BY_HOUR, pieces)
    simulated = {number for number, row in faces.items() if row["simulated"]}
    vitals, made = _means_in(connection, pieces, kinds)
    simulated |= made
    now_ms = clock.now().wall_ms
    open_ms: dict[int, int] = {}
    for first, last, number in cuts:
        open_ms[number] = open_ms.get(number, 0) + max(0, min(last, now_ms) - first)
    names = [*map(str, EMOTIONS), "uncertain"]
    return [
        [
            SpanSums(
                start_ms=start,
                end_ms=end,
                session_ms=open_ms.get(at, 0),
                shown_ms={name: faces[at][name] for name in names} if at in faces else {},
                vitals=vitals.get(at, {}),
                simulated=at in simulated,
            )
            for at, (start, end) in enumerate(parts, len(parts) * person)
        ]
        for person in range(len(spans))
    ]


def means_between(
    reader: TimelineReader,
    sessions: Collection[Session],
    edges_ms: Sequence[int],
    kinds: Collection[VitalKind],
) -> list[tuple[int, dict[VitalKind, MeanReading]]]:
    """Return from each edge to the next how long sessions were open, in milliseconds, and the means
    of the usable readings in them.

    Args:
        reader: of the database.
        sessions: those that count.
        edges_ms: at least two, rising, UTC milliseconds.
        kinds: which kinds of reading.
    """
    now_ms = clock.now().wall_ms
    open_ms = [0] * (len(edges_ms) - 1)
    pieces: list[Piece] = []
    for one in sessions:
        end_ms = FOREVER_MS if one.end_ms is None else one.end_ms
        first = max(0, bisect_right(edges_ms, one.start_ms) - 1)
        for number in range(first, min(len(open_ms), bisect_left(edges_ms, end_ms))):
            cut = max(one.start_ms, edges_ms[number]), min(end_ms, edges_ms[number + 1])
            open_ms[number] += max(0, min(cut[1], now_ms) - cut[0])
            pieces += pieces_of(cut, "hour", number)
    with reader.connect() as connection:
        means, _ = _means_in(connection, pieces, kinds)
    return [(ms, means.get(number, {})) for number, ms in enumerate(open_ms)]


def read_doubted(
    reader: TimelineReader, sessions: Collection[Session], kinds: Collection[VitalKind]
) -> list[MeasureReading]:
    """Return the usable readings of a cuff that it doubts itself, in order of time: those of kinds
    in whose minute a pressure was measured, for no other device does so.

    Args:
        reader: of the database.
        sessions: those that count.
        kinds: which kinds of reading.
    """
    spans = [(one.start_ms, FOREVER_MS if one.end_ms is None else one.end_ms) for one in sessions]
    doubted = " OR ".join(map(is_flagged, sorted(DOUBTED)))
    # Minutes first: rows cannot be found by their kind.
    query = (
        f"{SPANS} SELECT DISTINCT v.at, v.kind, v.value, v.flags FROM span CROSS JOIN vital_minute "
        f"AS m ON m.kind = ? AND m.at > first - {MINUTE_MS} AND m.at < last CROSS JOIN vital AS v "
        f"ON v.at BETWEEN m.at AND m.at + {MINUTE_MS - 1} AND v.at >= first AND v.at < last AND "
        f"v.kind IN (SELECT value FROM json_each(?)) AND ({doubted}) ORDER BY v.at, v.kind"
    )
    values = (json.dumps(spans), VitalKind.SYSTOLIC, json.dumps([*kinds]))
    with reader.connect() as connection:
        rows = connection.execute(query, values).fetchall()
    every = [(at, VitalKind(kind), value, flags_of(flags)) for at, kind, value, flags in rows]
    return [MeasureReading(*one) for one in every if not one[3] & UNUSABLE]


def count_sources(
    reader: TimelineReader,
    sessions: Collection[Session],
    edges_ms: Sequence[int],
    kind: VitalKind,
    most: int = 48,
) -> list[Counter[str]]:
    """Return from each edge to the next how many usable readings of a kind each source gave, in at
    most about so many minutes: all that are not needed to tell which gave most.

    Files are one source for each program that wrote them: their names say nothing of a device.

    Args:
        reader: of the database.
        sessions: those that count.
        edges_ms: at least two, rising, UTC milliseconds.
        kind: which kind of reading.
        most: minutes with readings that are looked at.
    """
    spans = [
        (max(one.start_ms, start), min(FOREVER_MS if one.end_ms is None else one.end_ms, end), at)
        for at, (start, end) in enumerate(pairwise(edges_ms))
        for one in sessions
        if one.start_ms < end and (one.end_ms is None or one.end_ms > start)
    ]
    query = (
        f"{SPANS}, minute AS (SELECT number, m.at AS start, row_number() OVER (PARTITION BY number "
        "ORDER BY m.at) AS place, count(*) OVER (PARTITION BY number) AS minutes FROM span CROSS "
        "JOIN vital_minute AS m ON m.kind = ? AND m.at >= first AND m.at < last AND m.n > 0) "
        f"SELECT number, source, {is_flagged(VitalFlag.IMPORTED)} AS imported, count(*) FROM "
        f"minute CROSS JOIN vital ON at BETWEEN start AND start + {MINUTE_MS - 1} AND kind = ? AND "
        f"NOT ({IS_UNUSABLE}) WHERE place % max(1, minutes / ?) = 0 GROUP BY 1, 2, 3"
    )
    counts: list[Counter[str]] = [Counter() for _ in pairwise(edges_ms)]
    with reader.connect() as connection:
        for number, source, imported, n in connection.execute(
            query, (json.dumps(spans), kind, kind, most)
        ):
            counts[number][source.partition(":")[0] if imported else source] += n
    return counts


def _means_in(
    connection: sqlite3.Connection, pieces: Sequence[Piece], kinds: Collection[VitalKind]
) -> tuple[dict[int, dict[VitalKind, MeanReading]], set[int]]:
    """Return means by number of the pieces, and the numbers in which any reading is simulated."""
    means: dict[int, dict[VitalKind, MeanReading]] = {}
    simulated: set[int] = set()
    for kind in kinds:
        for number, row in sums_in(connection, VITALS[kind], pieces).items():
            if row["n"]:
                mean = MeanReading(row["total"] / row["n"], row["n"])
                means.setdefault(number, {})[kind] = mean
            if row["simulated"]:
                simulated.add(number)
    return means, simulated


def _last_recorded(
    connection: sqlite3.Connection, spans: Sequence[tuple[int, int]]
) -> list[int | None]:
    """Return when the last row of each range ends; from the sums where its rows are deleted."""
    lasts = (
        f"(SELECT max(at) + {length_ms - 1} FROM {table} WHERE at >= first AND at <= last - "
        f"{length_ms})"
        for tables in _RECORDED
        for table, length_ms in tables.items()
    )
    numbered = [(*span, number) for number, span in enumerate(spans)]
    ends: list[int | None] = [None] * len(spans)
    for number, *moments in connection.execute(
        f"{SPANS} SELECT number, {', '.join(lasts)} FROM span", (json.dumps(numbered),)
    ):
        rows, sums = moments[: len(_RECORDED[0])], moments[len(_RECORDED[0]) :]
        ends[number] = max(
            (end for end in rows if end is not None),
            default=max((end for end in sums if end is not None), default=None),
        )
    return ends


class RangeReader(Reader):
    """Answers queries about the sessions and stimuli of a range, cut to the range.

    Args:
        path: the database.
        start_ms: from here on, UTC epoch milliseconds; ``None`` has no beginning.
        end_ms: before this; ``None`` has no end.
    """

    def __init__(self, path: Path, start_ms: int | None, end_ms: int | None) -> None:
        super().__init__(path)
        self._start_ms = start_ms or 0
        self._end_ms = FOREVER_MS if end_ms is None else end_ms

    def session_list(self) -> list[Session]:
        """Return the sessions that lie in the range, newest first."""
        cut = [self._cut(session) for session in super().session_list()]
        return [one for one in cut if one.start_ms < (one.end_ms or FOREVER_MS)]

    def stimuli(
        self, session_ids: Collection[int], *, with_left_out: bool = False
    ) -> list[SessionStimulus]:
        """Return the stimuli that lie in the range."""
        cut = [
            replace(
                one,
                start_ms=max(one.start_ms, self._start_ms),
                end_ms=min(one.end_ms, self._end_ms),
                began_ms=one.start_ms if one.start_ms < self._start_ms else None,
            )
            for one in super().stimuli(session_ids, with_left_out=with_left_out)
        ]
        return [one for one in cut if one.start_ms < one.end_ms]

    def exclusions(self) -> list[Exclusion]:
        """Return whole sessions, and the stretches that lie in the range."""
        return [
            one
            for one in super().exclusions()
            if one.span is None or (one.span[0] < self._end_ms and one.span[1] > self._start_ms)
        ]

    def resting_times(self, sessions: Collection[Session]) -> dict[int, tuple[int, int]]:
        """Return the baseline of each session as far as it lies in the range."""
        cut = {
            number: (max(start, self._start_ms), min(end, self._end_ms))
            for number, (start, end) in super().resting_times(sessions).items()
        }
        return {number: span for number, span in cut.items() if span[0] < span[1]}

    def _cut(self, session: Session) -> Session:
        end = session.end_ms
        if self._end_ms != FOREVER_MS:
            end = self._end_ms if end is None else min(end, self._end_ms)
        return replace(session, start_ms=max(session.start_ms, self._start_ms), end_ms=end)


@dataclass(frozen=True, slots=True)
class Consent:
    """A participant's agreement to a version of the text.

    ``withdrawn_ms`` is ``None`` while it stands.
    """

    text_version: str
    given_ms: int
    withdrawn_ms: int | None


@dataclass(frozen=True, slots=True)
class SessionCounts:
    """The number of expressions, vitals and markers in a session."""

    expressions: int
    vitals: int
    markers: int


def consents(path: Path) -> dict[str, Consent]:
    """Return the newest consent of each participant, by code.

    Those who were never asked are not in it.

    Raises:
        StoreError: the database cannot be read.
    """
    with read_transaction(path) as connection:
        rows = connection.execute(
            "SELECT code, text_version, given, withdrawn FROM consent JOIN participant "
            "ON participant.id = consent.participant ORDER BY consent.id"
        )
        return {
            row["code"]: Consent(row["text_version"], row["given"], row["withdrawn"])
            for row in rows
        }


def database_bytes(path: Path) -> int:
    """Return the size of a database with its log."""
    files = (path, path.with_name(f"{path.name}-wal"))
    return sum(file.stat().st_size for file in files if file.exists())


def models_in_use(path: Path) -> list[ModelUse]:
    """Return the model file of each kind that the agent used last, and since when.

    A change of the prior alone does not count: the use of a classifier began before it.

    Raises:
        StoreError: the database cannot be read.
    """
    with read_transaction(path) as connection:
        rows = connection.execute(
            "SELECT kind, name, version, sha256, (SELECT first.since FROM model AS first WHERE "
            "first.kind = last.kind AND first.id > coalesce((SELECT max(other.id) FROM model AS "
            "other WHERE other.kind = last.kind AND (other.sha256, other.version) <> (last.sha256, "
            "last.version)), 0) "
            "ORDER BY first.id LIMIT 1), 0, prior FROM model AS last "
            "WHERE id IN (SELECT max(id) FROM model GROUP BY kind) ORDER BY kind"
        )
        return [ModelUse(*row) for row in rows]


def session_counts(path: Path, sessions: Collection[int] | None = None) -> dict[int, SessionCounts]:
    """Return how many expressions, vitals and markers lie in each session, by its id.

    Args:
        path: the database.
        sessions: those that are asked about; ``None``: all.

    Raises:
        StoreError: the database cannot be read.
    """
    with read_transaction(path) as connection:
        rows = connection.execute(
            "WITH span AS (SELECT id, started, coalesce(ended, 1 << 60) AS ended FROM session "
            "WHERE :sessions IS NULL OR id IN (SELECT value FROM json_each(:sessions))) "
            "SELECT id, (SELECT count(*) FROM expression WHERE at >= started AND at < ended) AS "
            "expressions, (SELECT count(*) FROM vital WHERE at >= started AND at < ended) AS "
            "vitals, (SELECT count(*) FROM marker WHERE marker.session = span.id) AS markers FROM "
            "span",
            {"sessions": None if sessions is None else json.dumps(list(sessions))},
        )
        return {
            row["id"]: SessionCounts(row["expressions"], row["vitals"], row["markers"])
            for row in rows
        }


def recorded_vitals(path: Path) -> list[VitalReading]:
    """Return all readings in order of time; their boot clock is that of another run, and 0 here.

    Raises:
        StoreError: the database cannot be read.
    """
    with read_transaction(path) as connection:
        rows = connection.execute(
            "SELECT at, kind, value, source, flags, device_time, error FROM vital ORDER BY at, kind"
        )
        return [
            VitalReading(
                Instant(boot_ms=0, wall_ms=row["at"]),
                VitalKind(row["kind"]),
                row["value"],
                row["source"],
                flags_of(row["flags"]),
                row["device_time"],
                row["error"],
            )
            for row in rows
        ]
