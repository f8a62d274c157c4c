"""Reading the timeline over a range of time: trends, newest readings, gaps, rows."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence

from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.expression import RejectReason
from edge_agent.core.measures import MovementKind
from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.schema import DAY_MS, HOUR_MS
from edge_agent.timeline.read import base
from edge_agent.timeline.read.trends import (
    Span,
    read_face_ms,
    read_movement_trend,
    read_trend,
    read_vital_trend,
)

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters


DEFAULT_BUCKETS = 200
_SPANNING = tuple(
    f"{kind}{length}" for kind in ("expression", "vital") for length in ("", "_hour", "_day")
)
"""Tables that say from when to when there is anything; rows may be gone whose sums are kept."""
_OWN = {"vital": f"flags NOT LIKE '%{VitalFlag.CLOCK_DIFFERS}%'"}
_OWN |= dict.fromkeys(("vital_hour", "vital_day"), "n > 0")
"""Readings that no sender's wrong clock dated; of faces all are: where there are rows of the future
alone, our own clock was set back after them.
"""


class TimelineReader(base.DatabaseReader):
    """Answers queries about the timeline by time range, independent of participant.

    Ranges are half-open, ``start_ms`` ≤ time < ``end_ms``, in UTC epoch milliseconds.

    Example:
        >>> reader = TimelineReader(path)
        >>> hour = reader.trend(now_ms - 3_600_000, now_ms, buckets=60)
        >>> hour.shares[Emotion.HAPPINESS]
    """

    _spans: Sequence[Span] | None = None
    """The times that trends are about; ``None``: all."""

    def trend(self, start_ms: int, end_ms: int, buckets: int = DEFAULT_BUCKETS) -> base.Trend:
        """Return the shares of expressions over a range, in buckets of a round length.

        There are at most ``buckets`` + 1 of them.

        Long ranges are answered from the rollups by minute, hour or day, so that a year takes no
        longer than a day; short ones too where their rows were deleted, in longer buckets then.

        Raises:
            ValueError: the range is empty or ``buckets`` is not positive.
        """
        with self.connect() as connection:
            return read_trend(connection, start_ms, end_ms, buckets, self._spans)

    def face_ms(self, trend: base.Trend) -> int | None:
        """Return how long the face was read that a trend of this reader shows, in milliseconds;
        ``None``: not known.
        """
        with self.connect() as connection:
            return read_face_ms(connection, trend, self._spans)

    def vital_trend(
        self, kind: VitalKind, start_ms: int, end_ms: int, buckets: int = DEFAULT_BUCKETS
    ) -> base.VitalTrend:
        """Return mean, minimum, maximum and number of readings of a kind, in buckets of a range.

        Raises:
            ValueError: the range is empty or ``buckets`` is not positive.
        """
        with self.connect() as connection:
            return read_vital_trend(connection, kind, start_ms, end_ms, buckets, self._spans)

    def movement_trend(
        self, kind: MovementKind, start_ms: int, end_ms: int, buckets: int = DEFAULT_BUCKETS
    ) -> base.VitalTrend:
        """Return one movement of the participant's face, as ``vital_trend`` returns readings.

        Raises:
            ValueError: the range is empty or ``buckets`` is not positive.
        """
        with self.connect() as connection:
            return read_movement_trend(connection, kind, start_ms, end_ms, buckets, self._spans)

    def latest_vitals(self) -> dict[VitalKind, VitalReading]:
        """Return the newest reading of each kind, ignoring times in the future."""
        with self.connect() as connection:
            latest = (_latest_vital(connection, kind) for kind in VitalKind)
            return {vital.kind: vital for vital in latest if vital is not None}

    def span(self) -> tuple[int, int] | None:
        """Return the times of the first and last row of the timeline; ``None`` when it is empty.

        No time of the future counts, unless there is no other: our own clock was set back.
        """
        now_ms = clock.now().wall_ms
        ends = self._ends(lambda _: f"at <= {now_ms}") or self._ends(
            lambda table: _OWN.get(table, "true")
        )
        if not ends:
            return None
        # Rollups may be older than all rows, and rows newer than all rollups.
        return min(first for first, _ in ends), max(last for _, last in ends)

    def _ends(self, condition: Callable[[str], str]) -> list[tuple[int, int]]:
        """Return the first row of each table that has some of a condition, and the last of them."""
        with self.connect() as connection:
            ends = [
                connection.execute(
                    f"SELECT (SELECT min(at) FROM {table}), (SELECT at FROM {table} WHERE "
                    f"{condition(table)} ORDER BY at DESC LIMIT 1)"
                ).fetchone()
                for table in _SPANNING
            ]
        return [(first, last) for first, last in ends if last is not None]

    def expression_rows(self, start_ms: int, end_ms: int) -> Iterator[base.Row]:
        """Yield the rows of ``expression_view`` in order of time.

        The columns are those of ``expression.csv``.
        """
        return self._rows("expression_view", start_ms, end_ms)

    def vital_rows(self, start_ms: int, end_ms: int) -> Iterator[base.Row]:
        """Yield the rows of ``vital_view`` in order of time.

        The columns are those of ``vital.csv``.
        """
        return self._rows("vital_view", start_ms, end_ms)

    def gaps(self, start_ms: int, end_ms: int) -> list[base.RecordedGap]:
        """Return the gaps that overlap a range, in order of time."""
        with self.connect() as connection:
            rows = connection.execute(
                "SELECT source, started, ended, reason FROM gap WHERE started < ? AND ended > ? "
                "ORDER BY started, id",
                (end_ms, start_ms),
            )
            return [base.RecordedGap(*row) for row in rows]

    def face_frames(self, start_ms: int, end_ms: int) -> base.FaceFrames:
        """Return how many frames of the participant's face were read in a range.

        The others are counted by reason.
        """
        span = (start_ms, end_ms)
        with self.connect() as connection:
            read, quality = connection.execute(
                "SELECT coalesce(sum(frames), 0), sum(frames * quality) / sum(frames) FROM "
                "expression WHERE is_primary = 1 AND at >= ? AND at < ?",
                span,
            ).fetchone()
            rejected = connection.execute(
                "SELECT reason, sum(frames) AS frames FROM unfit WHERE is_primary = 1 AND at >= ? "
                "AND at < ? GROUP BY reason ORDER BY frames DESC, reason",
                span,
            )
            by_reason = {RejectReason(row["reason"]): row["frames"] for row in rejected}
            return base.FaceFrames(read, by_reason, quality)

    def counts(self) -> dict[str, int]:
        """Return the number of rows of each main table.

        They are expressions, movements, vitals, gaps, participants, sessions, markers, messages.
        """
        with self.connect() as connection:
            # Expressions and movements come and go in order of their ids, and vitals are summed
            # from their rollup: counting millions of rows would take seconds on a card. Each end of
            # the ids is looked up by itself, for SQLite walks through all of them when asked for
            # both.
            counts = {
                table: connection.execute(
                    f"SELECT coalesce((SELECT max(id) FROM {table}) - (SELECT min(id) FROM {table})"
                    " + 1, 0)"
                ).fetchone()[0]
                for table in ("expression", "movement")
            }
            vitals = connection.execute(
                "SELECT (SELECT coalesce(sum(n + flagged), 0) FROM vital_hour) + (SELECT "
                "coalesce(sum(n + flagged), 0) FROM vital_day)"
            ).fetchone()[0]
            small = ("gap", "participant", "session", "marker", "outbox")
            return (
                counts
                | {"vital": vitals}
                | {
                    table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
                    for table in small
                }
            )

    def recorded_kinds(self) -> frozenset[VitalKind]:
        """Return the kinds of vital that have readings.

        The query uses the rollups, because their index begins with the kind.
        """
        query = (
            "SELECT EXISTS (SELECT 1 FROM vital_hour WHERE kind = :kind) OR EXISTS (SELECT 1 FROM "
            "vital_day WHERE kind = :kind)"
        )
        with self.connect() as connection:
            return frozenset(
                kind
                for kind in VitalKind
                if connection.execute(query, {"kind": kind.value}).fetchone()[0]
            )

    def has_movements(self, start_ms: int = 0, end_ms: int = 2**62) -> bool:
        """Return whether movements of a participant's face were recorded in a range."""
        with self.connect() as connection:
            query = (
                "SELECT EXISTS (SELECT 1 FROM movement WHERE is_primary = 1 AND at >= ? AND at < ?)"
            )
            return bool(connection.execute(query, (start_ms, end_ms)).fetchone()[0])

    def _rows(self, view: str, *span: int) -> Iterator[base.Row]:
        query = f"SELECT * FROM {view} WHERE at_ms >= ? AND at_ms < ? ORDER BY at_ms"
        with self.connect() as connection:
            yield from map(dict, connection.execute(query, span))


def _latest_vital(connection: sqlite3.Connection, kind: VitalKind) -> VitalReading | None:
    """Find the newest reading of a kind through the rollups, which are indexed by kind."""
    now_ms = clock.now().wall_ms
    # Later than every time; below 2^53 a number is the same in JSON.
    before_ms = 2**53
    row = None
    # The newest hour may count unusable or future readings only: then the one before it is read.
    while row is None:
        spans = (
            connection.execute(
                f"SELECT max(at), max(at) + {length} FROM {table} WHERE kind = ? AND at < ? AND "
                "at <= ?",
                (kind.value, before_ms, now_ms),
            ).fetchone()
            for table, length in (("vital_hour", HOUR_MS), ("vital_day", DAY_MS))
        )
        known = [(span[0], span[1]) for span in spans if span[0] is not None]
        if not known:
            return None
        start, end = max(known)
        row = connection.execute(
            "SELECT at, value, source, flags, boot_ms FROM vital WHERE kind = ? AND at >= ? AND at "
            "< ? AND at <= ? ORDER BY at DESC LIMIT 1",
            (kind.value, start, end, now_ms),
        ).fetchone()
        # Rows of this hour are gone for their age although its sum is kept.
        before_ms = start
    return VitalReading(
        Instant(boot_ms=row["boot_ms"] or 0, wall_ms=row["at"]),
        kind,
        row["value"],
        row["source"],
        base.flags_of(row["flags"]),
    )
