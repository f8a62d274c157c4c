"""Trends in buckets, read from rows where a range is short and from rollups where it is long.

Where a finer table does not hold all of a range any more, the next coarser one that does is read,
in buckets that are as long as its rows at least: no bucket is empty for want of rows that their
rollup still counts, and none counts a row twice.

Rows are deleted after ``record.keep_days`` or for the disk budget, minutes and hours when they have
been folded (``upkeep.fold``). An hour is the sum of its minutes as long as these are kept; a
day holds the hours that were moved into it, and these only.

Rollups know no participant. The trend of chosen sessions is read from them for whole minutes, hours
and days within a session, and from rows at its ends: both together are exactly its rows.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from edge_agent.core.expression import EMOTIONS
from edge_agent.core.measures import Measure, MovementKind
from edge_agent.core.readings import VitalFlag
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.schema import ADDED, DAY_MS, HOUR_MS, MINUTE_MS, NAMES
from edge_agent.timeline.read.base import Trend, VitalTrend
from edge_agent.timeline.write.redating import IS_UNUSABLE, is_flagged

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters

# A day holds only the hours that were moved into it, so that no row is counted twice.
_TABLES = {"row": ("",), "minute": ("_minute",), "hour": ("_hour",), "day": ("_hour", "_day")}
_LENGTHS = {"day": DAY_MS, "hour": HOUR_MS, "minute": MINUTE_MS, "row": 1}
_USABLE = f"NOT ({IS_UNUSABLE})"
_USABLE_VALUE = f"iif({_USABLE}, value, NULL)"
_READING = ("n", "total", "least", "most", "flagged", "simulated")
# With the plus SQLite keeps to the index of times, and builds none of the whole table for a query.
_PRIMARY = "+is_primary = 1 AND"
# Within the piece: what comes after it may be of somebody else.
_INTERVAL = (
    "coalesce((SELECT interval_ms FROM expression AS one WHERE one.at >= source.at AND one.at < "
    f"min(source.at + {HOUR_MS}, piece.last) AND {_PRIMARY} true LIMIT 1), 0)"
)
# The recorder rolls up a minute when it has ended; of the newest there are rows alone.
_ROLLED_UP = (
    f"(SELECT coalesce((SELECT max(at) + {MINUTE_MS} FROM expression_minute), (SELECT max(at) + "
    f"{HOUR_MS} FROM expression_hour), (SELECT max(at) + {DAY_MS} FROM expression_day), 0))"
)
_WITHIN = (
    "WITH span AS MATERIALIZED (SELECT json_extract(value, '$[0]') AS first, "
    "json_extract(value, '$[1]') AS last FROM json_each(:spans))"
)
_ROUND_MS = (
    *(1_000 * s for s in (1, 2, 5, 10, 15, 30)),
    *(MINUTE_MS * m for m in (1, 2, 5, 10, 15, 30)),
    *(HOUR_MS * h for h in (1, 2, 3, 6, 12)),
    *(DAY_MS * d for d in (1, 2, 7, 14, 28)),
)


Span = tuple[int, int]
"""From and to, UTC epoch milliseconds, half-open."""


@dataclass(frozen=True, slots=True)
class TrendSource:
    """Something that is recorded in rows and rolled up in minutes, hours and days.

    Attributes:
        name: of the table of rows; those of the rollups begin with it.
        number: SQL for how many rows a row of a rollup counts.
        which_rows: SQL condition, ending in ``AND``, for the rows that are rolled up.
        which: the same for the rows of a rollup.
        rows: SQL columns of a row, as those of a rollup of it alone.
        columns: SQL columns of a rollup.
        sums: SQL columns of the sums of both.
    """

    name: str
    number: str
    which_rows: str
    which: str
    rows: str
    columns: str
    sums: str

    def source(self, resolutions: Collection[str]) -> str:
        """Return the SQL source of the rows of pieces of time, which the table ``piece`` names."""
        tables = [
            (resolution, f"{self.name}{table}", *columns)
            for resolution in sorted(resolutions)
            for table in _TABLES[resolution]
            for columns in [(self.which, self.columns) if table else (self.which_rows, self.rows)]
        ]
        sources = [
            f"SELECT number, source.at, {columns} FROM piece CROSS JOIN {table} AS source ON "
            f"{which} source.at >= first AND source.at < last WHERE resolution = '{resolution}'"
            for resolution, table, which, columns in tables
        ]
        if self.name == "expression" and set(resolutions) != {"row"}:
            sources.append(
                f"SELECT number, source.at, {self.rows} FROM piece CROSS JOIN expression AS source "
                f"ON {self.which_rows} source.at >= max(first, {_ROLLED_UP}) AND source.at < last "
                "WHERE resolution <> 'row'"
            )
        return " UNION ALL ".join(sources)

    def is_whole(
        self,
        connection: sqlite3.Connection,
        resolution: str,
        span: Span,
        spans: Sequence[Span] | None = None,
    ) -> bool:
        """Tell whether no coarser table counts more of a range than the one of ``resolution``.

        Args:
            connection: to read from.
            resolution: ``row``, ``minute`` or ``hour``.
            span: the range.
            spans: only sums that lie wholly within one of these count: others may be of somebody
                else; ``None``: all that touch the range.
        """
        start, end = span
        within = [(start - DAY_MS, end + DAY_MS)]
        if spans is not None:
            within = [one for one in spans if one[0] < end and one[1] > start]
        if not within:
            return True
        values = {"start": start, "end": end, "spans": json.dumps(within)}
        days = self._coarser("day", DAY_MS)
        of_minutes = self._sum("minute", HOUR_MS)
        hours = f"{self._coarser('hour', HOUR_MS)} AND {self.number} > {of_minutes}"
        minutes = self._coarser("minute", MINUTE_MS)
        of_hours = self._sum("hour", DAY_MS)
        # A finer table is whole if every coarser one counts no more rows than it for the same time.
        fewer = {
            "row": (
                f"{minutes} AND {self.number} > {self._count(MINUTE_MS)}",
                f"{hours} AND {self.number} > {self._count(HOUR_MS)}",
                f"{days} AND {self.number} + {of_hours} > {self._count(DAY_MS)}",
            ),
            "minute": (hours, days),
            "hour": (days,),
        }
        questions = (f"{_WITHIN} SELECT EXISTS ({missing})" for missing in fewer[resolution])
        return not any(connection.execute(one, values).fetchone()[0] for one in questions)

    def resolution_read(
        self,
        connection: sqlite3.Connection,
        resolution: str,
        span: Span,
        spans: Sequence[Span] | None = None,
    ) -> str:
        """Return ``day`` if hours were requested and some of them exist only as days."""
        if resolution == "hour" and not self.is_whole(connection, resolution, span, spans):
            return "day"
        return resolution

    def _coarser(self, resolution: str, length: int) -> str:
        """Select the rows of a rollup that touch the range and lie within a span."""
        return (
            f"SELECT 1 FROM span CROSS JOIN {self.name}_{resolution} AS coarse ON {self.which} "
            # A coarse row begins before the range and still touches it.
            f"at >= max(first, :start - {length} + 1) AND at < min(last - {length} + 1, :end) "
            "WHERE true"
        )

    def _sum(self, resolution: str, length: int) -> str:
        return (
            f"(SELECT coalesce(sum({self.number}), 0) FROM {self.name}_{resolution} AS fine "
            f"WHERE {self.which} fine.at >= coarse.at AND fine.at < coarse.at + {length})"
        )

    def _count(self, length: int) -> str:
        return (
            f"(SELECT count(*) FROM {self.name} AS fine WHERE {self.which_rows} "
            f"fine.at >= coarse.at AND fine.at < coarse.at + {length})"
        )


EXPRESSIONS = TrendSource(
    name="expression",
    number="rows",
    which_rows=_PRIMARY,
    which="",
    rows=", ".join(
        (
            *("1 AS rows", "frames", "emotion IS NULL AS uncertain", "simulated"),
            *(f"{name} AS sum_{name}" for name in NAMES),
            *(f"emotion IS '{name}' AS count_{name}" for name in NAMES),
        )
    ),
    columns=", ".join(ADDED),
    sums=", ".join(f"sum({column}) AS {column}" for column in ADDED),
)
VITALS = {
    kind: TrendSource(
        name="vital",
        number="n + flagged",
        which_rows=f"+kind = '{kind}' AND",
        which=f"kind = '{kind}' AND",
        rows=(
            f"{_USABLE} AS n, {_USABLE_VALUE} AS total, {_USABLE_VALUE} AS least, {_USABLE_VALUE} "
            f"AS most, NOT {_USABLE} AS flagged, {is_flagged(VitalFlag.SIMULATED)} AS simulated"
        ),
        columns=", ".join(_READING),
        sums=(
            "sum(n) AS n, sum(total) AS total, min(least) AS least, max(most) AS most, "
            "sum(flagged) AS flagged, sum(simulated) AS simulated"
        ),
    )
    for kind in VitalKind
}
SHOWN_BY_HOUR = TrendSource(
    name="expression",
    number="1",
    which_rows=_PRIMARY,
    which="",
    rows=", ".join(
        (
            "interval_ms AS length",
            *(f"emotion IS '{name}' AS {name}" for name in NAMES),
            "emotion IS NULL AS uncertain",
            "simulated",
        )
    ),
    columns=", ".join(
        (
            f"{_INTERVAL} AS length",
            *(f"count_{name} AS {name}" for name in NAMES),
            "uncertain",
            "simulated",
        )
    ),
    sums=", ".join(
        (
            *(f"sum({name} * length) AS {name}" for name in (*NAMES, "uncertain")),
            "sum(simulated) AS simulated",
        )
    ),
)
"""Time in which the participant's face showed each emotion, in milliseconds, from the rollups: a
thousand times as fast as from rows. No rollup keeps how long they lasted: each row of an hour is
taken to be as long as its first one, as it is unless the recording interval was changed within the
hour. An hour whose rows are deleted has no time.
"""

FACE_TIME = replace(
    SHOWN_BY_HOUR,
    rows="interval_ms AS length, 1 AS rows",
    columns=f"{_INTERVAL} AS length, rows",
    sums="sum(rows) AS rows, sum(rows * length) AS face_ms, min(length) AS shortest",
)
"""How long a face was read, in milliseconds, from the rollups, as ``SHOWN_BY_HOUR`` is."""


class Sums(Protocol):
    """A row of sums, by the names of their columns."""

    def __getitem__(self, column: str, /) -> Any:
        """Return the value of a column."""


@dataclass(frozen=True, slots=True)
class Buckets:
    """A range in buckets of equal length that begin at multiples of it since 1970 UTC."""

    start_ms: int
    length_ms: int
    count: int

    @property
    def end_ms(self) -> int:
        """End of the last bucket."""
        return self.start_ms + self.length_ms * self.count

    @property
    def starts(self) -> tuple[int, ...]:
        """Start of each bucket."""
        return tuple(range(self.start_ms, self.end_ms, self.length_ms))

    @property
    def resolution(self) -> str:
        """The coarsest of rows, minutes and hours that these buckets can be read from."""
        if self.length_ms % HOUR_MS == 0:
            return "hour"
        if self.length_ms % MINUTE_MS == 0:
            return "minute"
        return "row"


def buckets_for(start_ms: int, end_ms: int, at_most: int, shortest_ms: int = 1_000) -> Buckets:
    """Divide a range into about ``at_most`` buckets of a round length, at least ``shortest_ms``.

    Raises:
        ValueError: the range is empty or ``at_most`` is not positive.
    """
    if end_ms <= start_ms or at_most < 1:
        raise ValueError(
            f"a trend needs an end ({end_ms}) after its start ({start_ms}) and 1 "
            f"bucket, not {at_most}"
        )
    wanted = max(shortest_ms, math.ceil((end_ms - start_ms) / at_most))
    length = next(
        (ms for ms in _ROUND_MS if ms >= wanted), math.ceil(wanted / _ROUND_MS[-1]) * _ROUND_MS[-1]
    )
    # Buckets begin at the same moments whatever the range, so that a moving range does not flicker.
    first = start_ms // length * length
    return Buckets(first, length, math.ceil((end_ms - first) / length))


def read_trend(
    connection: sqlite3.Connection,
    start_ms: int,
    end_ms: int,
    at_most: int,
    spans: Sequence[Span] | None = None,
) -> Trend:
    """Return the expressions of a range; see ``Reader.trend``.

    With ``spans`` they are those in these spans alone.
    """
    return trend_of(*_in_buckets(connection, EXPRESSIONS, (start_ms, end_ms), at_most, spans))


def trend_of(buckets: Buckets, resolution: str, row_of: Mapping[int, Sums]) -> Trend:
    """Return the expressions of buckets.

    Args:
        buckets: of the range.
        resolution: what was read.
        row_of: the sums of each bucket that holds anything, by its start.
    """
    rows = [row_of.get(start) for start in buckets.starts]
    return Trend(
        start_ms=buckets.start_ms,
        end_ms=buckets.end_ms,
        bucket_ms=buckets.length_ms,
        resolution=resolution,
        starts=buckets.starts,
        # Of the rows and not of the frames: a row is a second, however many frames it has.
        shares={e: tuple(_ratio(row, f"count_{e}", 1) for row in rows) for e in EMOTIONS},
        uncertain=tuple(_ratio(row, "uncertain", 1) for row in rows),
        means={e: tuple(_ratio(row, f"sum_{e}", 1000) for row in rows) for e in EMOTIONS},
        rows=tuple(int(row["rows"]) if row else 0 for row in rows),
        frames=tuple(int(row["frames"]) if row else 0 for row in rows),
        simulated=any(row["simulated"] for row in rows if row),
    )


def read_face_ms(
    connection: sqlite3.Connection, trend: Trend, spans: Sequence[Span] | None = None
) -> int | None:
    """Return how long the face was read that a trend shows, in milliseconds.

    ``None``: rows that it counts are deleted, or do not know how long they lasted.
    """
    cuts = [(trend.start_ms, trend.end_ms)]
    if spans is not None:
        cuts = [(max(first, trend.start_ms), min(last, trend.end_ms)) for first, last in spans]
    pieces = [piece for cut in cuts for piece in pieces_of(cut, "hour")]
    row = sums_in(connection, FACE_TIME, pieces).get(0)
    rows = 0 if row is None else row["rows"]
    if rows != sum(trend.rows) or (row is not None and not row["shortest"]):
        return None
    return 0 if row is None else int(row["face_ms"])


def read_vital_trend(
    connection: sqlite3.Connection,
    kind: VitalKind,
    start_ms: int,
    end_ms: int,
    at_most: int,
    spans: Sequence[Span] | None = None,
) -> VitalTrend:
    """Return the readings of a range; see ``Reader.vital_trend``, and ``read_trend`` for spans."""
    sums = _in_buckets(connection, VITALS[kind], (start_ms, end_ms), at_most, spans)
    return vital_trend_of(kind, *sums)


def read_movement_trend(
    connection: sqlite3.Connection,
    kind: MovementKind,
    start_ms: int,
    end_ms: int,
    at_most: int,
    spans: Sequence[Span] | None = None,
) -> VitalTrend:
    """Return one movement of the participant's face, in points or degrees.

    Movements have no rollups: a year of them would grow the database by a quarter for a chart that
    is seldom asked for. So nothing is older than ``record.keep_days``.
    """
    buckets = buckets_for(start_ms, end_ms, at_most)
    moved = TrendSource(
        name="movement",
        number="1",
        which_rows=_PRIMARY,
        which="",
        rows=f"{kind}, simulated",
        columns="",
        # Per mille become points, tenths of a degree degrees.
        sums=(
            f"count({kind}) AS n, sum({kind}) / 10.0 AS total, min({kind}) / 10.0 AS least, "
            f"max({kind}) / 10.0 AS most, 0 AS flagged, sum(simulated) AS simulated"
        ),
    )
    pieces = _pieces_of(buckets, spans, "row")
    sums = sums_in(connection, moved, pieces, buckets.length_ms)
    return vital_trend_of(kind, buckets, "row", sums)


def vital_trend_of(
    kind: Measure, buckets: Buckets, resolution: str, row_of: Mapping[int, Sums]
) -> VitalTrend:
    """Return the readings of buckets, as ``trend_of`` does."""
    rows = [row_of.get(start) for start in buckets.starts]
    return VitalTrend(
        kind=kind,
        start_ms=buckets.start_ms,
        end_ms=buckets.end_ms,
        bucket_ms=buckets.length_ms,
        resolution=resolution,
        starts=buckets.starts,
        mean=tuple(row["total"] / row["n"] if row and row["n"] else None for row in rows),
        least=tuple(row["least"] if row else None for row in rows),
        most=tuple(row["most"] if row else None for row in rows),
        n=tuple(int(row["n"]) if row else 0 for row in rows),
        flagged=tuple(int(row["flagged"]) if row else 0 for row in rows),
        simulated=any(row["simulated"] for row in rows if row),
    )


def _buckets_kept(
    connection: sqlite3.Connection,
    recorded: TrendSource,
    span: Span,
    at_most: int,
    spans: Sequence[Span] | None,
) -> Buckets:
    """Return the shortest buckets in which nothing of a range is missing, of some spans alone."""
    buckets = buckets_for(*span, at_most)
    for finer, coarser_ms in (("row", MINUTE_MS), ("minute", HOUR_MS), ("hour", DAY_MS)):
        # Whole days are read from hours and days alike.
        is_read = buckets.resolution == finer and buckets.length_ms % DAY_MS != 0
        if is_read and not recorded.is_whole(connection, finer, _range(buckets), spans):
            buckets = buckets_for(*span, at_most, coarser_ms)
    return buckets


def _in_buckets(
    connection: sqlite3.Connection,
    recorded: TrendSource,
    span: Span,
    at_most: int,
    spans: Sequence[Span] | None,
) -> tuple[Buckets, str, dict[int, sqlite3.Row]]:
    """Return the buckets of a range, what they are read from, and the sums of each."""
    buckets = _buckets_kept(connection, recorded, span, at_most, spans)
    resolution = recorded.resolution_read(connection, buckets.resolution, _range(buckets), spans)
    # Hours are read together with the days, in which there are other hours.
    coarsest = "day" if buckets.resolution == "hour" else buckets.resolution
    pieces = _pieces_of(buckets, spans, coarsest)
    return buckets, resolution, sums_in(connection, recorded, pieces, buckets.length_ms)


Piece = tuple[str, int, int, int]
"""The source of a piece of time, its start and end in UTC milliseconds, and its number."""


def _pieces_of(buckets: Buckets, spans: Sequence[Span] | None, coarsest: str) -> list[Piece]:
    """Return the pieces that buckets are read from; ``None`` are no spans but the whole range."""
    if spans is None:
        return [(coarsest, buckets.start_ms, buckets.end_ms, 0)]
    # Days of the rollups begin at midnight UTC: only those that lie in a bucket belong to it.
    if coarsest == "day" and buckets.length_ms % DAY_MS:
        coarsest = "hour"
    cut = ((max(first, buckets.start_ms), min(last, buckets.end_ms)) for first, last in spans)
    return [piece for span in cut for piece in pieces_of(span, coarsest)]


def pieces_of(span: Span, coarsest: str, number: int = 0) -> Iterator[Piece]:
    """Cut a span into whole days, hours or minutes, and the rows at its ends.

    Args:
        span: the time; nothing is yielded for an empty one.
        coarsest: the longest piece that is wanted: ``day``, ``hour``, ``minute`` or ``row``.
        number: of all pieces.
    """
    first, last = span
    if first >= last:
        return
    length = _LENGTHS[coarsest]
    start = -(-first // length) * length
    end = last // length * length
    finer = {"day": "hour", "hour": "minute", "minute": "row"}
    if start >= end:
        yield from pieces_of(span, finer[coarsest], number)
        return
    yield coarsest, start, end, number
    for edge in ((first, start), (end, last)):
        if edge[0] < edge[1]:
            yield from pieces_of(edge, finer[coarsest], number)


def sums_in(
    connection: sqlite3.Connection,
    recorded: TrendSource,
    pieces: Sequence[Piece],
    length_ms: int | None = None,
) -> dict[int, sqlite3.Row]:
    """Return the sums of what was recorded in pieces of time, where there is anything.

    Args:
        connection: to read from.
        recorded: what.
        pieces: when; none overlaps another.
        length_ms: of the buckets whose start is the key; ``None``: the key is the pieces' number.
    """
    if not pieces:
        return {}
    rows = connection.execute(
        "WITH piece AS MATERIALIZED (SELECT json_extract(value, '$[0]') AS resolution, "
        "json_extract(value, '$[1]') AS first, json_extract(value, '$[2]') AS last, "
        "json_extract(value, '$[3]') AS number FROM json_each(:pieces)) "
        # A division of integers drops the rest: this is the start of the bucket.
        f"SELECT iif(:length, at / :length * :length, number) AS key, {recorded.sums} FROM "
        f"({recorded.source({piece[0] for piece in pieces})}) GROUP BY key",
        {"pieces": json.dumps(pieces), "length": length_ms or 0},
    )
    return {row["key"]: row for row in rows}


def _range(buckets: Buckets) -> Span:
    return buckets.start_ms, buckets.end_ms


def _ratio(row: Sums | None, column: str, unit: int) -> float | None:
    if row is None or row[column] is None:
        return None
    return float(row[column] / (row["rows"] * unit))
