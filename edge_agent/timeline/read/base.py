"""The result types of the reader, and the base class of readers: one connection per query.

Times are UTC epoch milliseconds.
"""

from __future__ import annotations

import functools
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from edge_agent.core.expression import Attribution, Emotion, RejectReason
from edge_agent.core.measures import Measure
from edge_agent.core.readings import VitalFlag
from edge_agent.core.study import Marker
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.connection import BUSY_SECONDS, read_transaction
from edge_agent.timeline.database.schema import ATTRIBUTED, DECLARED_STRETCHES

# ruff: noqa: S608 - only our own names are put into SQL text

Row = dict[str, str | int | float | None]


@dataclass(frozen=True, slots=True)
class Trend:
    """The expressions of the primary face over time, in buckets of equal length.

    A bucket without rows holds ``None``.

    Attributes:
        start_ms: start of the first bucket.
        end_ms: end of the last bucket.
        bucket_ms: length of a bucket.
        resolution: what was read: ``row``, ``minute``, ``hour`` or ``day``.
        starts: start of each bucket.
        shares: for each category the share of rows whose smoothed label it is; with ``uncertain``
            they sum to 1.
        uncertain: share of rows without a certain label.
        means: for each category its mean raw probability, 0…1.
        rows: number of rows in each bucket.
        frames: number of frames in each bucket.
        simulated: whether rows of a demonstration are among them.
    """

    start_ms: int
    end_ms: int
    bucket_ms: int
    resolution: str
    starts: tuple[int, ...]
    shares: dict[Emotion, tuple[float | None, ...]]
    uncertain: tuple[float | None, ...]
    means: dict[Emotion, tuple[float | None, ...]]
    rows: tuple[int, ...]
    frames: tuple[int, ...]
    simulated: bool


@dataclass(frozen=True, slots=True)
class VitalTrend:
    """The readings of one kind over time, in buckets of equal length.

    A bucket without usable readings holds ``None``.

    Readings with a flag of ``core.readings.UNUSABLE`` are in no mean; ``flagged`` counts them.

    Attributes:
        kind: what was measured; values are in its unit, strengths of movements in points.
        start_ms: start of the first bucket.
        end_ms: end of the last bucket.
        bucket_ms: length of a bucket.
        resolution: what was read: ``row``, ``minute``, ``hour`` or ``day``.
        starts: start of each bucket.
        mean: mean of the usable readings.
        least: the smallest of them.
        most: the largest of them.
        n: how many they are.
        flagged: how many readings were left out.
        simulated: whether simulated readings are among them.
    """

    kind: Measure
    start_ms: int
    end_ms: int
    bucket_ms: int
    resolution: str
    starts: tuple[int, ...]
    mean: tuple[float | None, ...]
    least: tuple[float | None, ...]
    most: tuple[float | None, ...]
    n: tuple[int, ...]
    flagged: tuple[int, ...]
    simulated: bool


@dataclass(frozen=True, slots=True)
class ConditionInterval:
    """A condition from its stimulus start to the next stimulus marker or the session's end.

    ``None`` while it lasts.
    """

    session: int
    participant: str
    label: str
    start_ms: int
    end_ms: int | None


@dataclass(frozen=True, slots=True)
class RecordedGap:
    """An interval in which a source sent nothing, with the reason."""

    source: str
    start_ms: int
    end_ms: int
    reason: str


@dataclass(frozen=True, slots=True)
class FaceFrames:
    """The number of frames in a range in which the participant's face was read.

    Frames in which it was seen but not read are counted by reason.

    Attributes:
        read: frames that went into the recorded means.
        unfit: the others by reason, only reasons that occurred, the commonest first.
        quality: mean quality of the frames that were read, 0…1; ``None`` without any.
    """

    read: int
    unfit: dict[RejectReason, int]
    quality: float | None

    @property
    def seen(self) -> int:
        """All frames in which the participant's face was seen."""
        return self.read + sum(self.unfit.values())


@dataclass(frozen=True, slots=True)
class StateReading:
    """A vital reading that belongs to a state of a participant.

    Attributes:
        participant: the participant's code.
        session: id of the session.
        state: label of the condition, or name of the observed emotion.
        kind: what was measured.
        value: in the unit of the kind.
        at_ms: when it was measured.
        flags: as recorded; the caller decides what to do with ``out_of_range`` ones.
        simulated: whether the reading or its session is a demonstration.
    """

    participant: str
    session: int
    state: str
    kind: VitalKind
    value: float
    at_ms: int
    flags: frozenset[VitalFlag]
    simulated: bool


@dataclass(frozen=True, slots=True)
class MatchCounts:
    """The number of readings that could be matched to an observed emotion, and that could not.

    Attributes:
        matched: one emotion held the declared share of the window.
        unmatched: no row of the primary face lay in the window.
        ambiguous: no emotion held the declared share.
    """

    matched: int
    unmatched: int
    ambiguous: int


@functools.lru_cache(maxsize=256)
def flags_of(text: str) -> frozenset[VitalFlag]:
    """Return the flags that a recorded text names, separated by blanks."""
    return frozenset(VitalFlag(flag) for flag in text.split())


def count_declared(connection: sqlite3.Connection, *, unknown: bool = False) -> None:
    """Let every query of a connection count faces as the participant's that were declared so.

    A view of this connection hides each table of faces under its own name, so that no query has to
    know of it. What was recorded stays as it is.

    Args:
        connection: to read from.
        unknown: whether faces count, too, that may not be the participant's.
    """
    stretches = connection.execute(f"SELECT first, last FROM ({DECLARED_STRETCHES})").fetchall()
    if not stretches and not unknown:
        return
    is_declared = "0"
    if stretches:
        values = ", ".join(f"({first}, {last})" for first, last in stretches)
        is_declared = (
            f"(attribution = '{Attribution.UNKNOWN}' AND EXISTS (SELECT 1 FROM (VALUES "
            f"{values}) WHERE at > column1 AND at <= column2))"
        )
    counts = f"attribution = '{Attribution.UNKNOWN}'" if unknown else is_declared
    instead = {
        "is_primary": f"(is_primary OR {counts}) AS is_primary",
        "attribution": f"iif({is_declared}, '{Attribution.DECLARED}', attribution) AS attribution",
    }
    for table in ATTRIBUTED:
        names = [row["name"] for row in connection.execute(f"PRAGMA main.table_info({table})")]
        columns = ", ".join(instead.get(name, name) for name in names)
        connection.execute(f"CREATE TEMP VIEW {table} AS SELECT {columns} FROM main.{table}")


class DatabaseReader:
    """Opens a read-only connection for each query; safe to share between threads.

    Every method of a reader raises ``StoreError`` when the database is missing, foreign, of another
    version, locked or not permitted.

    Args:
        path: the database.
        busy_seconds: how long to wait for a lock.
    """

    def __init__(self, path: Path, *, busy_seconds: float = BUSY_SECONDS) -> None:
        self._path = path
        self._busy_seconds = busy_seconds
        self._of_thread = threading.local()
        self._counts_unknown = False

    def count_unknown(self) -> Self:
        """Count rows of faces as the participant's whose attribution is not known; return this."""
        self._counts_unknown = True
        return self

    @contextmanager
    def at_one_moment(self) -> Iterator[None]:
        """Answer all queries of this thread within the block from one connection.

        All answers are of the same moment of the database, which is opened once: each opening reads
        its whole schema, 1 to 2 ms of a server's processor.
        """
        with self.connect() as connection:
            before = self._shared_connection()
            self._of_thread.connection = connection
            try:
                yield
            finally:
                self._of_thread.connection = before

    def connect(self) -> AbstractContextManager[sqlite3.Connection]:
        """Open a read-only connection, for modules that bring their own SQL.

        These are modules of this package and of the packages above it.
        """
        shared = self._shared_connection()
        if shared is not None:
            return nullcontext(shared)
        return self._own_connection()

    @contextmanager
    def _own_connection(self) -> Iterator[sqlite3.Connection]:
        with read_transaction(self._path, self._busy_seconds) as connection:
            count_declared(connection, unknown=self._counts_unknown)
            yield connection

    def _shared_connection(self) -> sqlite3.Connection | None:
        return getattr(self._of_thread, "connection", None)


class TrendReader(Protocol):
    """Answers what was recorded when; ``Reader`` does so for one appliance.

    Ranges are half-open, in UTC epoch milliseconds. Every method raises ``StoreError`` where the
    database cannot be read, and ``trend`` and ``vital_trend`` raise ``ValueError`` for a range that
    is empty.
    """

    def at_one_moment(self) -> AbstractContextManager[None]:
        """Answer what this thread asks within the block of one moment."""

    def span(self) -> tuple[int, int] | None:
        """Return from when to when there is anything; ``None`` when there is nothing."""

    def trend(self, start_ms: int, end_ms: int, buckets: int) -> Trend:
        """Return the shares of expressions, in at most ``buckets`` + 1 steps."""

    def vital_trend(self, kind: VitalKind, start_ms: int, end_ms: int, buckets: int) -> VitalTrend:
        """Return mean, least, most and number of readings of a kind, as ``trend`` does."""

    def recorded_kinds(self) -> frozenset[VitalKind]:
        """Return the kinds of reading of which there is any."""

    def conditions(self, start_ms: int, end_ms: int) -> list[ConditionInterval]:
        """Return the conditions that overlap a range, in order of time."""

    def markers(self, start_ms: int | None = None, end_ms: int | None = None) -> list[Marker]:
        """Return the markers of a range, in order of time."""
