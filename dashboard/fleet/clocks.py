"""Correction of wrong device clocks in answers about several devices.

A row keeps the time that its device gave it. Only an answer about several devices moves it onto
their common time axis. ``fleet.clock`` holds the start of a machine by the clock of PostgreSQL,
computed from the arrival of its messages. Rows of ``boot`` hold the difference of wall clock and
boot clock with which a stretch of rows is dated now. Both together give the error of the clock.

Rows stay where a time server has set the clock, where no two messages agree on its error, and
where the error is less than half a step of the rollups.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from operator import add
from typing import TYPE_CHECKING, Any

from dashboard.fleet.known import ClockOff
from edge_agent.core.readings import VitalFlag
from edge_agent.fleet.tables import BOOT_CHARACTERS
from edge_agent.timeline.database.schema import DAY_MS, HOUR_MS, MINUTE_MS

if TYPE_CHECKING:
    import psycopg

FOREVER_MS = 2**62
_LATE_MS = 60_000  # a step of the clock is noticed so late: rows belong to the row of before
Span = tuple[int, int]
OFF_MS = 30_000
"""Half of the shortest step; smaller errors of a clock are not corrected."""
BACKLOG_MS = 28 * DAY_MS
"""How long a device keeps unsent rows, which may be newer than its last message."""
MOST_BY_ROW_MS = 5 * DAY_MS
"""Most of a device's time that is read from rows instead of rollups; beyond it nothing is moved."""
# Larger whole numbers are not exact as a double.
_LARGEST = 2**53
_WHOLE = ("started_ms", "wall_minus_boot_ms", "synchronised")
_EXTREMES = {"least": min, "most": max}
# The coarsest first: the first whose step divides the buckets is read.
_ROLLUPS = ((DAY_MS, "day"), (HOUR_MS, "hour"), (MINUTE_MS, "minute"))
_PIECES = (
    "unnest(%s::int8[], %s::int8[], %s::int8[], %s::int8[]) AS piece (stream, first, last, by)"
)
_MEASURED = f"""
    SELECT stream.id AS stream, stream.device, boot.id AS boot, boot.fields::text AS fields,
        clock.wall_minus_boot_ms - clock.ahead_ms AS began_ms, clock.boot_ms AS from_ms,
        clock.boot_ms + (extract(epoch FROM clock.until - clock.since) * 1000)::int8 AS to_ms,
        clock.doubt_ms
    FROM (
        SELECT DISTINCT device FROM fleet.clock WHERE doubt_ms IS NOT NULL AND NOT synchronised
            AND abs(ahead_ms) >= {OFF_MS}
            AND extract(epoch FROM until) * 1000 + greatest(ahead_ms, 0) > %(start)s - {BACKLOG_MS}
    ) AS off JOIN fleet.stream ON stream.device = off.device
    JOIN fleet.study_row AS boot ON boot.stream = stream.id AND boot.kind = 'boot'
    LEFT JOIN fleet.clock ON clock.device = stream.device AND clock.doubt_ms IS NOT NULL
        AND clock.boot = left(boot.fields->>'boot_id', {BOOT_CHARACTERS})
    ORDER BY stream.id, boot.id, clock.since
"""


@dataclass(frozen=True, slots=True)
class ClockPair:
    """A row of ``boot`` beside a row of ``fleet.clock`` of the same start of the machine.

    Attributes:
        stream: whose row of ``boot`` it is.
        device: whose stream it is.
        boot: its number.
        boot_id: start of the machine.
        start_ms: when its stretch began, by its own line.
        offset_ms: wall clock minus boot clock, by which its rows are dated now.
        synchronised: whether a server of time had set that clock, or has told since.
        began_ms: start of the machine by the clock of PostgreSQL; ``None``: not known.
        from_ms: boot clock from when on this was measured.
        to_ms: boot clock until when it was heard.
        doubt_ms: how exact that is.
    """

    stream: int
    device: str
    boot: int
    boot_id: str
    start_ms: int
    offset_ms: int
    synchronised: bool
    began_ms: int | None = None
    from_ms: int = 0
    to_ms: int = 0
    doubt_ms: int = 0


@dataclass(frozen=True, slots=True)
class ClockStretch:
    """Times of a device that belong together, by its own clock.

    Attributes:
        stream: stream of the rows.
        device: device of the rows.
        boot: the row of ``boot`` that they point to.
        start_ms: their earliest time.
        end_ms: the end of their times, exclusive.
        ahead_ms: by how much the clock was ahead; 0: unknown, or not to be corrected.
        doubt_ms: uncertainty of ``ahead_ms``.
    """

    stream: int
    device: str
    boot: int
    start_ms: int
    end_ms: int
    ahead_ms: int
    doubt_ms: int

    def moved_by(self, step_ms: int) -> int:
        """Return the shift of its rows in ms, a whole number of steps."""
        return -((2 * self.ahead_ms + step_ms) // (2 * step_ms)) * step_ms


@dataclass(frozen=True, slots=True)
class RollupPiece:
    """A part of the rollups of a stream whose rows are moved by the same step."""

    stream: int
    start_ms: int
    end_ms: int
    by_ms: int


@dataclass(frozen=True, slots=True)
class MixedPiece:
    """A part in which stretches overlap, so that their rows are distinguished by ``boot``.

    Attributes:
        stream: stream of the rows.
        start_ms: its start, by the clock of the device.
        end_ms: its end.
        by_ms: row of ``boot`` → shift of the rows that point to it; other rows stay.
    """

    stream: int
    start_ms: int
    end_ms: int
    by_ms: Mapping[int, int]


def stretches(rows: Iterable[ClockPair]) -> list[ClockStretch]:
    """Return the stretches of streams, those of each in order of their rows of ``boot``.

    Args:
        rows: by stream and row of ``boot``, and by time where a start was measured several times.
    """
    of_stream: dict[int, dict[int, list[ClockPair]]] = defaultdict(dict)
    for row in rows:
        of_stream[row.stream].setdefault(row.boot, []).append(row)
    return [
        stretch
        for boots in of_stream.values()
        for boot, end_ms in _ends(boots).items()
        for stretch in _cut(boots[boot], end_ms)
    ]


def _ends(boots: Mapping[int, Sequence[ClockPair]]) -> dict[int, int]:
    """Return the latest time that the rows of each row of ``boot`` may have, by its own clock."""
    of_start: dict[str, list[ClockPair]] = {}
    for rows in boots.values():
        # The last measurement of a row of ``boot`` is the best known.
        of_start.setdefault(rows[0].boot_id, []).append(rows[-1])
    ends: dict[int, int] = {}
    starts = [
        sorted(rows, key=lambda row: (row.start_ms - row.offset_ms, row.boot))
        for rows in of_start.values()
    ]
    for number, rows in enumerate(starts):
        for row, following in pairwise(rows):
            ends[row.boot] = row.offset_ms + following.start_ms - following.offset_ms + _LATE_MS
        ends[rows[-1].boot] = _end_of_start(
            rows[-1],
            earlier=[start[-1] for start in starts[:number]],
            later=[boots[start[0].boot][0] for start in starts[number + 1 :]],
        )
    return ends


def _end_of_start(
    last: ClockPair, *, earlier: Sequence[ClockPair], later: Sequence[ClockPair]
) -> int:
    """Return the latest time that the last stretch of a start may reach, by its own clock.

    It had ended when the next one began that was measured, and began itself after what was measured
    before it. Without both, its clock is taken to go on over a restart, and not back.
    """
    if not later:
        return FOREVER_MS
    ended_ms = next((one.began_ms for one in later if one.began_ms is not None), None)
    began_ms = last.began_ms
    if began_ms is None:
        known = (one.began_ms + one.to_ms for one in reversed(earlier) if one.began_ms is not None)
        began_ms = next(known, None)
    if began_ms is not None and ended_ms is not None:
        return max(last.offset_ms + ended_ms - began_ms, last.start_ms) + _LATE_MS
    if later[0].start_ms <= last.start_ms:
        return FOREVER_MS
    return later[0].start_ms + _LATE_MS


def _cut(rows: Sequence[ClockPair], end_ms: int) -> list[ClockStretch]:
    """Return the stretches of a row of ``boot``: one, or one for each time it was measured."""
    first = rows[0]
    start_ms = first.start_ms - _LATE_MS
    known = [row for row in rows if row.began_ms is not None and not row.synchronised]
    starts = [row.began_ms for row in known if row.began_ms is not None]
    if not known:
        return [ClockStretch(first.stream, first.device, first.boot, start_ms, end_ms, 0, 0)]
    # each figure counts until the next one; the first also for what was before it
    cuts = [
        start_ms,
        *(min(max(row.offset_ms + row.from_ms, start_ms), end_ms) for row in known[1:]),
        end_ms,
    ]
    return [
        ClockStretch(
            row.stream, row.device, row.boot, start, end, row.offset_ms - began, row.doubt_ms
        )
        for row, began, (start, end) in zip(known, starts, pairwise(cuts), strict=True)
        if start < end
    ]


def pieces(
    of_stream: Sequence[ClockStretch], span: Span, step_ms: int
) -> tuple[list[RollupPiece], list[MixedPiece]] | None:
    """Return the pieces of one stream that lie in a range after correction.

    Each row of the range is in exactly one piece. Both lists are empty if the correction moves all
    rows out of the range. ``None``: no row moves into or out of the range, so no correction is
    needed.

    Args:
        of_stream: the stretches of the stream.
        span: the requested range, half-open, by the clock of PostgreSQL.
        step_ms: step of the rollups that are read.
    """
    # 0 stands for the rows that no stretch moves.
    moves = {stretch.moved_by(step_ms) for stretch in of_stream} | {0}
    if not any(_concerns(stretch, span, step_ms) for stretch in of_stream):
        return None
    stream = of_stream[0].stream
    first = (span[0] - max(moves)) // step_ms * step_ms
    last = span[1] - min(moves)
    cuts = {first, last}
    for stretch in of_stream:
        for at in (stretch.start_ms, stretch.end_ms):
            cell = at // step_ms * step_ms
            # the step in which one stretch ends and another begins has rows of both
            cuts |= {one for one in (cell, cell + step_ms) if first < one < last}
    whole: list[RollupPiece] = []
    mixed: list[MixedPiece] = []
    for start, end in pairwise(sorted(cuts)):
        there = [one for one in of_stream if one.start_ms < end and one.end_ms > start]
        by = {one.boot: one.moved_by(step_ms) for one in there}
        if len(set(by.values())) > 1:
            # No single shift is right for this piece, so its rows differ by their ``boot``.
            mixed += _mixed_within(MixedPiece(stream, start, end, by), span)
        else:
            _add(whole, RollupPiece(stream, start, end, next(iter(by.values()), 0)))
    return [one for one in (_within(piece, span) for piece in whole) if one is not None], mixed


def _concerns(stretch: ClockStretch, span: Span, step_ms: int) -> bool:
    by_ms = stretch.moved_by(step_ms)
    return by_ms != 0 and any(
        stretch.start_ms + move < span[1] and stretch.end_ms + move > span[0] for move in (0, by_ms)
    )


def _add(whole: list[RollupPiece], piece: RollupPiece) -> None:
    """Add a piece; join it to the last one if it continues that one with the same shift."""
    if whole and (whole[-1].end_ms, whole[-1].by_ms) == (piece.start_ms, piece.by_ms):
        piece = RollupPiece(piece.stream, whole.pop().start_ms, piece.end_ms, piece.by_ms)
    whole.append(piece)


def _within(piece: RollupPiece, span: Span) -> RollupPiece | None:
    """Return the part of a piece that lies in a range after its shift."""
    start_ms = max(piece.start_ms, span[0] - piece.by_ms)
    end_ms = min(piece.end_ms, span[1] - piece.by_ms)
    return RollupPiece(piece.stream, start_ms, end_ms, piece.by_ms) if start_ms < end_ms else None


def _mixed_within(piece: MixedPiece, span: Span) -> list[MixedPiece]:
    """Return the part of a piece of which any row lies in a range after its shift."""
    moves = {0, *piece.by_ms.values()}
    start_ms = max(piece.start_ms, span[0] - max(moves))
    end_ms = min(piece.end_ms, span[1] - min(moves))
    if start_ms >= end_ms:
        return []
    return [MixedPiece(piece.stream, start_ms, end_ms, piece.by_ms)]


def clocks_off(moved: Iterable[ClockStretch], span: Span, step_ms: int) -> tuple[ClockOff, ...]:
    """Return the devices whose times are moved in a range, by name; of each the newest figure.

    Args:
        moved: stretches of the streams that are moved.
        span: the range.
        step_ms: of the rollups that are read.
    """
    # In order of stream and boot: the newest overwrites the others.
    newest = {
        one.device: ClockOff(one.device, one.ahead_ms, one.doubt_ms)
        for one in sorted(moved, key=lambda stretch: (stretch.stream, stretch.boot))
        if _concerns(one, span, step_ms)
    }
    return tuple(newest[device] for device in sorted(newest))


# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters


@dataclass(frozen=True, slots=True)
class TableSums:
    """The SQL for the sums of a table: of its rows, and of their rollups.

    Attributes:
        name: ``expression`` or ``vital``.
        of_rollup: the sums, from a rollup.
        of_rows: the same, from rows.
        which: a further condition of both, or empty.
        which_rows: a further condition of rows, or empty.
    """

    name: str
    of_rollup: str
    of_rows: str
    which: str = ""
    which_rows: str = ""


def is_believed(table: str) -> str:
    """Return the SQL condition for rows that end the span of a timeline though they are still to
    come: none of a reading that a wrong clock stamped, as in ``TimelineReader.span``.
    """
    if table == "vital":
        return f"strpos(flags, '{VitalFlag.CLOCK_DIFFERS}') = 0"
    return "n > 0" if table.startswith("vital_") else "true"


class MovedRows:
    """The rows that have to be moved for a range over all devices, and their sums.

    Args:
        known: stretches of the devices whose clocks are off.
        span: the range, half-open.
        length_ms: of a step of the answer. Rows are moved by whole days, hours or minutes: by the
            coarsest that it is a multiple of.

    Example:
        >>> moved = MovedRows(read_stretches(connection, span, {1, 2}), span, HOUR_MS)
        >>> moved.streams
        [2]
    """

    def __init__(self, known: Sequence[ClockStretch], span: Span, length_ms: int) -> None:
        self._length_ms = length_ms
        # the same rollup as that of the others: finer ones take a page of the disk for each row
        self._step_ms, self._resolution = next(
            (step_ms, name) for step_ms, name in _ROLLUPS if length_ms % step_ms == 0
        )
        self._pieces: list[RollupPiece] = []
        self._mixed: list[MixedPiece] = []
        of_stream: dict[int, list[ClockStretch]] = defaultdict(list)
        for stretch in known:
            of_stream[stretch.stream].append(stretch)
        self.streams: list[int] = []
        """Streams of which the usual rollups must not be read: all of them is here."""
        for stream, its in of_stream.items():
            parts = pieces(its, span, self._step_ms)
            if parts is None:
                continue
            whole, mixed = parts
            # Rows are dear to read: such a stream stays where its own clock puts it.
            if sum(piece.end_ms - piece.start_ms for piece in mixed) <= MOST_BY_ROW_MS:
                self.streams.append(stream)
                self._pieces += whole
                self._mixed += mixed
        moved = [stretch for stretch in known if stretch.stream in self.streams]
        self.clocks: tuple[ClockOff, ...] = clocks_off(moved, span, self._step_ms)

    def add_to(
        self, sums: dict[int, dict[str, Any]], connection: psycopg.Connection, table: TableSums
    ) -> None:
        """Add the sums of what is moved to those of the other devices, by start of the step."""
        for row in self._rolled_up(connection, table):
            _add_sums(sums, row.pop("start"), row)
        for piece in self._mixed:
            for row in self._by_boot(connection, table, piece):
                boot, cell = row.pop("boot"), row.pop("cell")
                _add_sums(sums, self._step_of(cell + piece.by_ms.get(boot, 0)), row)

    def span(self, connection: psycopg.Connection, tables: Sequence[str]) -> tuple[int, int] | None:
        """Return from when to when there is anything of what is moved, in any of these rollups."""
        ends = [
            connection.execute(
                f"SELECT min(one.first + piece.by), max(one.last + piece.by) FROM {_PIECES} "
                f"CROSS JOIN LATERAL (SELECT min(at) AS first, max(at) AS last FROM fleet.{table} "
                "WHERE stream = piece.stream AND at >= piece.first AND at < piece.last AND "
                f"{is_believed(table)}) AS one".encode(),
                self._piece_columns(),
            ).fetchone()
            for table in tables
            if self._pieces
        ]
        known = [at for row in ends if row is not None for at in row if at is not None]
        for name in {table.partition("_")[0] for table in tables}:
            known += self._mixed_ends(connection, name)
        return (min(known), max(known)) if known else None

    def _mixed_ends(self, connection: psycopg.Connection, name: str) -> list[int]:
        """Return the first and last times of the rows of each boot in what is read by rows."""
        ends: list[int] = []
        for piece in self._mixed:
            for boot, first, last in connection.execute(
                f"SELECT boot, min(at), max(at) FROM fleet.{name} "
                f"WHERE stream = %s AND at >= %s AND at < %s AND {is_believed(name)} "
                "GROUP BY boot".encode(),
                (piece.stream, piece.start_ms, piece.end_ms),
            ):
                by_ms = piece.by_ms.get(boot, 0)
                ends += [self._step_of(first + by_ms), self._step_of(last + by_ms)]
        return ends

    def _piece_columns(self) -> list[list[int]]:
        columns = zip(
            *((one.stream, one.start_ms, one.end_ms, one.by_ms) for one in self._pieces),
            strict=True,
        )
        return [list(column) for column in columns]

    def _step_of(self, at: int) -> int:
        return at // self._length_ms * self._length_ms

    def _rolled_up(
        self, connection: psycopg.Connection, table: TableSums
    ) -> Iterable[dict[str, Any]]:
        if not self._pieces:
            return ()
        length = self._length_ms
        # OFFSET 0 keeps the planner from going through the whole table
        return _by_name(connection).execute(
            f"SELECT (source.at + piece.by) / {length} * {length} AS start, {table.of_rollup} "
            f"FROM {_PIECES} CROSS JOIN LATERAL (SELECT * FROM "
            f"fleet.{table.name}_{self._resolution} AS one "
            "WHERE one.stream = piece.stream AND one.at >= piece.first AND one.at < piece.last"
            f"{table.which} OFFSET 0) AS source GROUP BY 1".encode(),
            self._piece_columns(),
        )

    def _by_boot(
        self, connection: psycopg.Connection, table: TableSums, piece: MixedPiece
    ) -> Iterable[dict[str, Any]]:
        step = self._step_ms
        return _by_name(connection).execute(
            f"SELECT boot, at / {step} * {step} AS cell, {table.of_rows} FROM fleet.{table.name} "
            f"WHERE stream = %s AND at >= %s AND at < %s{table.which}{table.which_rows} "
            "GROUP BY 1, 2".encode(),
            (piece.stream, piece.start_ms, piece.end_ms),
        )


def read_stretches(
    connection: psycopg.Connection, start_ms: int, streams: Collection[int]
) -> list[ClockStretch]:
    """Return the stretches of devices whose clocks are off and not set by a server of time.

    Args:
        connection: to the database of a fleet.
        start_ms: of the range: devices that were last heard long before are left out.
        streams: those that count.
    """
    rows = _by_name(connection).execute(_MEASURED.encode(), {"start": start_ms})
    return stretches(
        ClockPair(
            stream=row["stream"],
            device=row["device"],
            boot=row["boot"],
            boot_id=str(fields.get("boot_id")),
            start_ms=fields["started_ms"],
            offset_ms=fields["wall_minus_boot_ms"],
            synchronised=bool(fields["synchronised"]),
            began_ms=row["began_ms"],
            from_ms=row["from_ms"] or 0,
            to_ms=row["to_ms"] or 0,
            doubt_ms=row["doubt_ms"] or 0,
        )
        for row in rows
        if row["stream"] in streams and (fields := _fields(row["fields"])) is not None
    )


@lru_cache(maxsize=1)  # a start that was measured for a month comes thirty times in a row
def _fields(text: str) -> Mapping[str, Any] | None:
    """Return a row of ``boot``; ``None``: a number is missing, since a device may send anything.

    Args:
        text: its columns as JSON.
    """
    fields: dict[str, Any] = json.loads(text)
    values = [fields.get(name) for name in _WHOLE]
    is_whole = all(isinstance(one, int) and abs(one) < _LARGEST for one in values)
    return fields if is_whole else None


def _add_sums(sums: dict[int, dict[str, Any]], start: int, row: dict[str, Any]) -> None:
    there = sums.get(start)
    if there is None:
        sums[start] = row
        return
    for column, value in row.items():
        known = there[column]
        if known is not None and value is not None:
            there[column] = _EXTREMES.get(column, add)(known, value)
        elif known is None and not column.startswith("sum_"):
            # a mean that is left out of one part is left out; without a reading there is no least
            there[column] = value


def _by_name(connection: psycopg.Connection) -> psycopg.Cursor[dict[str, Any]]:
    """Return a cursor whose rows name their columns."""
    from psycopg.rows import dict_row  # psycopg: only with dashboard.source

    return connection.cursor(row_factory=dict_row)
