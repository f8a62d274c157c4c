"""Trends over PostgreSQL: of one device, or of all together.

A collector keeps rollups of everything: what is long is read from hours or days. All devices
together are read from coarser ones than one device, for a minute of a thousand devices is a
thousand rows.
"""

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import psycopg
from psycopg.rows import dict_row

from dashboard.fleet.clocks import (
    FOREVER_MS,
    MovedRows,
    Span,
    TableSums,
    is_believed,
    read_stretches,
)
from dashboard.fleet.known import ClockOff
from dashboard.fleet.postgres import FleetDatabase
from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.readings import UNUSABLE
from edge_agent.core.study import Marker, MarkerKind
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.schema import ADDED, DAY_MS, HOUR_MS, MINUTE_MS, NAMES
from edge_agent.timeline.read.base import ConditionInterval, Trend, VitalTrend
from edge_agent.timeline.read.trends import Buckets, buckets_for, trend_of, vital_trend_of

MINUTES_OF_ALL_MS = 6 * HOUR_MS
"""Up to here all devices together are read from minutes."""
HOURS_OF_ALL_MS = 10 * DAY_MS
"""Up to here they are read from hours, beyond from days."""
_Row = Mapping[str, Any]

# float8 adds whole numbers exactly up to 2^53, and at a tenth of the cost of int8, whose sum is
# numeric
_OF_ROLLUP = ", ".join(f"sum({column}::float8) AS {column}" for column in ADDED)
_MEANS = tuple(f"sum_{name}" for name in NAMES)
_OF_ALL = ", ".join(
    f"NULL AS {column}" if column in _MEANS else f"sum({column}::float8) AS {column}"
    for column in ADDED
)
"""Of all devices together: without the mean probabilities, which take half of the time."""
_OF_VITAL_ROLLUP = (
    "sum(n::float8) AS n, sum(total) AS total, min(least) AS least, max(most) AS most, "
    "sum(flagged::float8) AS flagged, sum(simulated::float8) AS simulated"
)
_USABLE = " AND ".join(f"strpos(' ' || flags || ' ', ' {flag} ') = 0" for flag in sorted(UNUSABLE))
_OF_READINGS = (
    f"count(*) FILTER (WHERE {_USABLE}) AS n, sum(value) FILTER (WHERE {_USABLE}) AS total, "
    f"min(value) FILTER (WHERE {_USABLE}) AS least, max(value) FILTER (WHERE {_USABLE}) AS most, "
    f"count(*) FILTER (WHERE NOT ({_USABLE})) AS flagged, "
    "count(*) FILTER (WHERE strpos(' ' || flags || ' ', ' simulated ') > 0) AS simulated"
)
# A closed stream, of a database that was restored, counts until a newer one has everything.
_STREAMS = """
    SELECT id, NOT closed OR EXISTS (
        SELECT 1 FROM fleet.stream AS newer WHERE newer.device = stream.device
        AND NOT newer.closed AND newer.copied AND NOT EXISTS (
            SELECT 1 FROM fleet.lost WHERE lost.stream = newer.id)
    ) AS counts
    FROM fleet.stream WHERE %(device)s::text IS NULL OR device = %(device)s
"""
# The next marker of the session ends a condition, whatever it is; else the session's end does.
_CONDITIONS = """
    SELECT session, participant, label, started AS start_ms, ended AS end_ms FROM (
        SELECT marker.session::int8 AS session, participant.code AS participant, marker.kind,
            marker.label, marker.at::int8 AS started, coalesce(
                lead(marker.at::int8) OVER (
                    PARTITION BY marker.stream, marker.session ORDER BY marker.at::int8, marker.id),
                session.ended::int8) AS ended
        FROM fleet.marker JOIN fleet.session
            ON session.stream = marker.stream AND session.id = marker.session::int8
        JOIN fleet.participant ON participant.stream = session.stream
            AND participant.id = session.participant::int8
        WHERE marker.stream = ANY(%(streams)s)
            AND marker.kind IN ('stimulus_start', 'stimulus_end')
    ) AS one WHERE kind = 'stimulus_start' AND started < %(end)s
        AND (ended IS NULL OR ended > %(start)s) ORDER BY started
"""
_MARKERS = """
    SELECT id, session::int8 AS session, at::int8 AS at, boot_ms::int8 AS boot_ms, kind, label
    FROM fleet.marker WHERE stream = ANY(%(streams)s) AND at::int8 >= coalesce(%(start)s, at::int8)
        AND (%(end)s::int8 IS NULL OR at::int8 < %(end)s) ORDER BY at::int8, id
"""


def _of_rows(*, with_means: bool) -> str:
    means = (
        f"sum({name}) AS sum_{name}" if with_means else f"NULL AS sum_{name}" for name in NAMES
    )
    return ", ".join(
        (
            "count(*) AS rows",
            "sum(frames)::float8 AS frames",
            "count(*) FILTER (WHERE emotion IS NULL) AS uncertain",
            "sum(simulated) AS simulated",
            *means,
            *(f"count(*) FILTER (WHERE emotion = '{name}') AS count_{name}" for name in NAMES),
        )
    )


_FACES = TableSums(
    "expression", _OF_ALL, _of_rows(with_means=False), which_rows=" AND is_primary = 1"
)


class FleetTrends:
    """Answers what the Trends page asks, from what collectors wrote; for one thread at a time.

    What a device sent before its database was restored counts as far as the newer stream does not
    cover it. Sessions are those of one device; of all together there are none. One device is shown
    by its own clock; where all are together, those whose clocks are off are moved.

    Args:
        database: that collectors write to.
        device: whose timeline; ``None``: all devices together.
    """

    def __init__(self, database: FleetDatabase, device: str | None) -> None:
        self._database = database
        self._device = device
        self._of_thread = threading.local()

    @contextmanager
    def at_one_moment(self) -> Iterator[None]:
        """Answer what this thread asks within the block from one connection."""
        with self._connection() as connection:
            before = self._shared_connection()
            self._of_thread.connection = connection
            self._of_thread.moved = {}
            try:
                yield
            finally:
                self._of_thread.connection = before
                self._of_thread.moved = None

    def is_known(self) -> bool:
        """Tell whether the device has ever sent its timeline."""
        with self._connection() as connection:
            return self._device is None or bool(self._streams(connection))

    def span(self) -> tuple[int, int] | None:
        """Return from when to when there is anything; of all devices to the whole hour.

        A reading of a wrong clock whose time is still to come does not count.
        """
        now_ms = clock.now().wall_ms
        tables = ["expression_hour", "vital_hour"]
        if self._device is not None:
            # The whole hour is exact enough for all devices, and rows of all of them are many.
            tables += ["expression", "vital"]
        with self._connection() as connection:
            moved = self._read_moved_rows(connection, (0, FOREVER_MS), HOUR_MS)
            which, values = self._streams_condition(connection, moved.streams if moved else ())
            ends = [
                connection.execute(
                    f"SELECT (SELECT min(at) FROM fleet.{table} WHERE {which}), (SELECT max(at) "
                    f"FROM fleet.{table} WHERE {which} AND (at <= %(now)s OR "
                    f"{is_believed(table)}))".encode(),
                    values | {"now": now_ms},
                ).fetchone()
                for table in tables
            ]
            if moved:
                ends.append(moved.span(connection, tables))
        firsts = [row[0] for row in ends if row is not None and row[0] is not None]
        lasts = [row[1] for row in ends if row is not None and row[1] is not None]
        return (min(firsts), max(lasts)) if lasts else None

    def trend(self, start_ms: int, end_ms: int, buckets: int) -> Trend:
        """Return the shares of expressions over a range; of all devices without ``means``."""
        chosen = self._buckets(start_ms, end_ms, buckets)
        resolution = _resolution(chosen)
        columns = _OF_ALL if self._device is None else _OF_ROLLUP
        table, more = f"expression_{resolution}", ""
        if resolution == "row":
            columns, table, more = _of_rows(with_means=True), "expression", " AND is_primary = 1"
        rows = self._sums(columns, table, more, chosen, _FACES)
        return trend_of(chosen, resolution, rows)

    def vital_trend(self, kind: VitalKind, start_ms: int, end_ms: int, buckets: int) -> VitalTrend:
        """Return mean, least, most and number of readings over a range."""
        chosen = self._buckets(start_ms, end_ms, buckets)
        resolution = _resolution(chosen)
        columns, table = _OF_VITAL_ROLLUP, f"vital_{resolution}"
        if resolution == "row":
            columns, table = _OF_READINGS, "vital"
        which = f" AND kind = '{kind}'"
        readings = TableSums("vital", _OF_VITAL_ROLLUP, _OF_READINGS, which)
        rows = self._sums(columns, table, which, chosen, readings)
        return vital_trend_of(kind, chosen, resolution, rows)

    def clocks_off(self, start_ms: int, end_ms: int, buckets: int) -> tuple[ClockOff, ...]:
        """Return the devices whose times are moved in a range, for their clocks are off.

        Of one device none is: its timeline is by its own clock.
        """
        with self._connection() as connection:
            chosen = self._buckets(start_ms, end_ms, buckets)
            moved = self._read_moved_rows(
                connection, (chosen.start_ms, chosen.end_ms), chosen.length_ms
            )
        return moved.clocks if moved else ()

    def recorded_kinds(self) -> frozenset[VitalKind]:
        """Return the kinds of reading of which there is any."""
        with self._connection() as connection:
            which, values = self._streams_condition(connection)
            return frozenset(
                kind
                for kind in VitalKind
                if connection.execute(
                    f"SELECT 1 FROM fleet.vital_day WHERE kind = '{kind}' AND {which} "
                    "LIMIT 1".encode(),
                    values,
                ).fetchone()
            )

    def conditions(self, start_ms: int, end_ms: int) -> list[ConditionInterval]:
        """Return the conditions of the device that overlap a range."""
        rows = self._of_study(_CONDITIONS, start_ms, end_ms)
        return [ConditionInterval(**row) for row in rows]

    def markers(self, start_ms: int | None = None, end_ms: int | None = None) -> list[Marker]:
        """Return the markers of the device in a range."""
        return [
            Marker(
                id=row["id"],
                session=row["session"],
                at=Instant(boot_ms=row["boot_ms"] or 0, wall_ms=row["at"]),
                kind=MarkerKind(row["kind"]),
                label=row["label"],
            )
            for row in self._of_study(_MARKERS, start_ms, end_ms)
        ]

    def _buckets(self, start_ms: int, end_ms: int, at_most: int) -> Buckets:
        shortest_ms = 1_000
        if self._device is None:
            # Asked of minutes, a long range of a thousand devices would not be answered in time.
            length_ms = end_ms - start_ms
            shortest_ms = MINUTE_MS if length_ms <= MINUTES_OF_ALL_MS else HOUR_MS
            shortest_ms = DAY_MS if length_ms > HOURS_OF_ALL_MS else shortest_ms
        return buckets_for(start_ms, end_ms, at_most, shortest_ms)

    def _sums(
        self, columns: str, table: str, more: str, buckets: Buckets, moved_table: TableSums
    ) -> dict[int, dict[str, Any]]:
        """Return the sums of the buckets that hold anything, by their start."""
        length = buckets.length_ms
        with self._connection() as connection:
            moved = self._read_moved_rows(connection, (buckets.start_ms, buckets.end_ms), length)
            which, values = self._streams_condition(connection, moved.streams if moved else ())
            rows = connection.cursor(row_factory=dict_row).execute(
                f"SELECT at / {length} * {length} AS start, {columns} FROM fleet.{table} WHERE "
                f"{which}{more} AND at >= %(start)s AND at < %(end)s GROUP BY 1".encode(),
                values | {"start": buckets.start_ms, "end": buckets.end_ms},
            )
            sums = {row["start"]: row for row in rows}
            if moved:
                moved.add_to(sums, connection, moved_table)
            return sums

    def _read_moved_rows(
        self, connection: psycopg.Connection, span: Span, length_ms: int
    ) -> MovedRows | None:
        """Return what clocks that are off make of a range; ``None`` where nothing is moved."""
        if self._device is not None:
            return None
        # Questions of one page share what was read, as long as they ask of the same moment.
        known = getattr(self._of_thread, "moved", None)  # of this moment, of any question in it
        if known is None:
            return self._read_moved(connection, span, length_ms)
        if (span, length_ms) not in known:
            known[span, length_ms] = self._read_moved(connection, span, length_ms)
        moved: MovedRows | None = known[span, length_ms]
        return moved

    def _read_moved(
        self, connection: psycopg.Connection, span: Span, length_ms: int
    ) -> MovedRows | None:
        streams = {number for number, counts in self._streams(connection).items() if counts}
        stretches = read_stretches(connection, span[0], streams)
        return MovedRows(stretches, span, length_ms) if stretches else None

    def _of_study(self, query: str, start_ms: int | None, end_ms: int | None) -> list[_Row]:
        if self._device is None:
            return []
        with self._connection() as connection:
            streams = [number for number, counts in self._streams(connection).items() if counts]
            values = {"streams": streams, "start": start_ms, "end": end_ms}
            cursor = connection.cursor(row_factory=dict_row)
            return list(cursor.execute(query.encode(), values).fetchall())

    def _streams_condition(
        self, connection: psycopg.Connection, but: Sequence[int] = ()
    ) -> tuple[str, dict[str, Any]]:
        """Return the SQL condition for the streams that count, and its values.

        Of all devices together without the streams of ``but``.
        """
        streams = self._streams(connection)
        if self._device is not None:
            wanted = [number for number, counts in streams.items() if counts]
            return "stream = ANY(%(streams)s)", {"streams": wanted}
        left_out = [number for number, counts in streams.items() if not counts or number in but]
        if left_out:
            return "stream <> ALL(%(streams)s)", {"streams": left_out}
        return "true", {}

    def _streams(self, connection: psycopg.Connection) -> dict[int, bool]:
        """Return the streams of the device, or of all, and whether each counts."""
        rows = connection.execute(_STREAMS, {"device": self._device}).fetchall()
        return dict(rows)

    def _connection(self) -> AbstractContextManager[psycopg.Connection]:
        shared = self._shared_connection()
        return self._database.connection() if shared is None else nullcontext(shared)

    def _shared_connection(self) -> psycopg.Connection | None:
        return getattr(self._of_thread, "connection", None)


def _resolution(buckets: Buckets) -> str:
    """Return the coarsest rollup that these buckets can be read from."""
    return "day" if buckets.length_ms % DAY_MS == 0 else buckets.resolution
