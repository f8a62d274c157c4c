"""Sums of devices whose clocks are off, each row where it belongs on the axis of all devices."""

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import add
from typing import Any

import psycopg
from psycopg.rows import dict_row

from dashboard.fleet.wrong_clocks import (
    ClockOff,
    Measured,
    MixedPiece,
    Piece,
    Span,
    Stretch,
    clocks_off,
    pieces,
    stretches,
)
from edge_agent.core.readings import VitalFlag
from edge_agent.fleet.tables import BOOT_CHARACTERS
from edge_agent.store.database.tables import DAY_MS, HOUR_MS, MINUTE_MS

OFF_MS = 30_000
"""Half of the shortest step: clocks that are off by less are right here."""
BACKLOG_MS = 28 * DAY_MS
"""So long a device keeps what it cannot send: its rows may be newer than what was heard of it."""
MOST_BY_ROW_MS = 5 * DAY_MS
"""So much of a device is read from rows and not from rollups; where it would be more, nothing of it
is moved."""
_LARGEST = 2**53
_WHOLE = ("started_ms", "wall_minus_boot_ms", "synchronised")
_EXTREMES = {"least": min, "most": max}

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
class Table:
    """What is read of rows, and of their rollups.

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
    """What has to be moved for a range over all devices, and its sums.

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

    def __init__(self, known: Sequence[Stretch], span: Span, length_ms: int) -> None:
        self._length_ms = length_ms
        # the same rollup as that of the others: finer ones take a page of the disk for each row
        self._step_ms, self._resolution = next(
            (step_ms, name) for step_ms, name in _ROLLUPS if length_ms % step_ms == 0
        )
        self._pieces: list[Piece] = []
        self._mixed: list[MixedPiece] = []
        of_stream: dict[int, list[Stretch]] = defaultdict(list)
        for stretch in known:
            of_stream[stretch.stream].append(stretch)
        self.streams: list[int] = []
        """Streams of which the usual rollups must not be read: all of them is here."""
        for stream, its in of_stream.items():
            parts = pieces(its, span, self._step_ms)
            if parts is None:
                continue
            whole, mixed = parts
            if sum(piece.end_ms - piece.start_ms for piece in mixed) <= MOST_BY_ROW_MS:
                self.streams.append(stream)
                self._pieces += whole
                self._mixed += mixed
        moved = [stretch for stretch in known if stretch.stream in self.streams]
        self.clocks: tuple[ClockOff, ...] = clocks_off(moved, span, self._step_ms)

    def add_to(
        self, sums: dict[int, dict[str, Any]], connection: psycopg.Connection, table: Table
    ) -> None:
        """Add the sums of what is moved to those of the other devices, by start of the step."""
        for row in self._rolled_up(connection, table):
            _add(sums, row.pop("start"), row)
        for piece in self._mixed:
            for row in self._by_boot(connection, table, piece):
                boot, cell = row.pop("boot"), row.pop("cell")
                _add(sums, self._step_of(cell + piece.by_ms.get(boot, 0)), row)

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

    def _rolled_up(self, connection: psycopg.Connection, table: Table) -> Iterable[dict[str, Any]]:
        if not self._pieces:
            return ()
        length = self._length_ms
        # OFFSET 0 keeps the planner from going through the whole table
        return connection.cursor(row_factory=dict_row).execute(
            f"SELECT (source.at + piece.by) / {length} * {length} AS start, {table.of_rollup} "
            f"FROM {_PIECES} CROSS JOIN LATERAL (SELECT * FROM "
            f"fleet.{table.name}_{self._resolution} AS one "
            "WHERE one.stream = piece.stream AND one.at >= piece.first AND one.at < piece.last"
            f"{table.which} OFFSET 0) AS source GROUP BY 1".encode(),
            self._piece_columns(),
        )

    def _by_boot(
        self, connection: psycopg.Connection, table: Table, piece: MixedPiece
    ) -> Iterable[dict[str, Any]]:
        step = self._step_ms
        return connection.cursor(row_factory=dict_row).execute(
            f"SELECT boot, at / {step} * {step} AS cell, {table.of_rows} FROM fleet.{table.name} "
            f"WHERE stream = %s AND at >= %s AND at < %s{table.which}{table.which_rows} "
            "GROUP BY 1, 2".encode(),
            (piece.stream, piece.start_ms, piece.end_ms),
        )


def read_stretches(
    connection: psycopg.Connection, start_ms: int, streams: Collection[int]
) -> list[Stretch]:
    """Return the stretches of devices whose clocks are off and not set by a server of time.

    Args:
        connection: to the database of a fleet.
        start_ms: of the range: devices that were last heard long before are left out.
        streams: those that count.
    """
    rows = connection.cursor(row_factory=dict_row).execute(_MEASURED.encode(), {"start": start_ms})
    return stretches(
        Measured(
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
    """Return a row of ``boot``; ``None``: it has no numbers where it must, as any device may say.

    Args:
        text: its columns as JSON.
    """
    fields: dict[str, Any] = json.loads(text)
    values = [fields.get(name) for name in _WHOLE]
    is_whole = all(isinstance(one, int) and abs(one) < _LARGEST for one in values)
    return fields if is_whole else None


def _add(sums: dict[int, dict[str, Any]], start: int, row: dict[str, Any]) -> None:
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
