"""Copies the study of one device from the collector's tables into a file of the device's schema."""

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from edge_agent.core.errors import StoreError
from edge_agent.fleet.tables import STUDY, TIMELINE, SentTable
from edge_agent.store.database.schema import connect, migrate, transaction

Span = tuple[int, int]

AROUND_MS = 3_600_000
"""Of the timeline before and after each session: more than any window, lag or baseline needs."""
_FOREVER_MS = 2**62
_ROWS_AT_ONCE = 5_000
_NOT_SENT = {"vital_change": {"actor": ""}}
"""Columns that a device keeps for itself and may not be empty."""


@dataclass(frozen=True, slots=True)
class _Stream:
    number: int
    device: str
    copied: bool
    lost: int
    has_holes: bool


def copy_study(address: str, device: str | None, path: Path) -> None:
    """Write a new file with the study of a device and the timeline of its sessions.

    Of one moment of PostgreSQL. Only the device's present stream is read: what a restored database
    does not know any more is not part of its study.

    Args:
        address: ``postgresql://…``, of a database that a collector writes to.
        device: which one; ``None``: the only one there is.
        path: of the file, which is not there yet.

    Raises:
        StoreError: PostgreSQL cannot be reached or refuses, there is no such device, or what it
            has sent has not all arrived.
    """
    migrate(path)
    try:
        with psycopg.connect(address, connect_timeout=10) as there:
            there.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            there.read_only = True
            stream = _stream_of(there, device)
            with closing(connect(path, readonly=False)) as here, transaction(here):
                _copy(there, stream.number, here)
    except psycopg.errors.UndefinedTable as error:
        raise StoreError(
            "This database of PostgreSQL has no tables of a fleet: no collector has written to it."
        ) from error
    except psycopg.Error as error:
        raise StoreError(f"PostgreSQL: {_first_line(error)}") from error
    except sqlite3.Error as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
            raise StoreError(
                f"{path.parent}: no space is left for the copy of the study. Free some, or name "
                "another folder with TMPDIR=/FOLDER."
            ) from error
        raise StoreError(
            f"The study does not fit this version of affect-edge ({error}). Its device may be of a "
            "newer one: update this machine."
        ) from error


def _stream_of(there: psycopg.Connection, device: str | None) -> _Stream:
    """Return the stream to read; refuse one that has holes."""
    streams = [
        _Stream(*row)
        for row in there.execute(
            "SELECT id, device, copied, (SELECT count(*) FROM fleet.lost WHERE lost.stream = "
            "stream.id), NOT isempty(ahead) OR EXISTS (SELECT 1 FROM fleet.waiting WHERE "
            "waiting.stream = stream.id) FROM fleet.stream WHERE NOT closed ORDER BY device"
        ).fetchall()
    ]
    chosen = [one for one in streams if device is None or one.device == device]
    if len(chosen) != 1:
        names = ", ".join(one.device for one in streams[:20]) or "none"
        more = ", …" if len(streams) > 20 else ""
        what = "Name one with --device" if device is None else f"There is no device {device!r}"
        raise StoreError(f"{what}. Devices there: {names}{more}.")
    _refuse_part(chosen[0])
    return chosen[0]


def _refuse_part(stream: _Stream) -> None:
    """Raise where not everything of a stream is there: statistics would not be the study's."""
    if not stream.copied:
        raise StoreError(
            f"{stream.device} has not yet sent all that it holds. Wait until its stream is whole: "
            "fleet.stream says copied."
        )
    if stream.lost:
        raise StoreError(
            f"Changes of {stream.device} are lost (stretches: {stream.lost}; fleet.lost says which "
            "and why), so statistics could be wrong. Compute them on the device."
        )
    if stream.has_holes:
        raise StoreError(
            f"Of {stream.device} some messages are missing between others. They are sent again: "
            "try again in two minutes."
        )


def _copy(there: psycopg.Connection, stream: int, here: sqlite3.Connection) -> None:
    for table in STUDY:
        rows = there.execute(
            "SELECT id, fields FROM fleet.study_row WHERE stream = %s AND kind = %s ORDER BY id",
            (stream, table.name),
        ).fetchall()
        _insert(
            here,
            table,
            ((id_, *(fields[one] for one in table.columns[1:])) for id_, fields in rows),
        )
    sessions = here.execute("SELECT started, ended FROM session ORDER BY started").fetchall()
    spans = joined_spans((row[0], row[1]) for row in sessions)
    for table in TIMELINE:
        for span in spans:
            _insert(here, table, _rows(there, stream, table, span))


def joined_spans(sessions: Iterable[tuple[int, int | None]]) -> list[Span]:
    """Return the times around sessions, those that touch as one.

    Args:
        sessions: start and end of each in order of the start; without an end it goes on.
    """
    spans: list[Span] = []
    for started, ended in sessions:
        start = started - AROUND_MS
        end = _FOREVER_MS if ended is None else ended + AROUND_MS
        if spans and start <= spans[-1][1]:
            spans[-1] = spans[-1][0], max(spans[-1][1], end)
        else:
            spans.append((start, end))
    return spans


def _rows(
    there: psycopg.Connection, stream: int, table: SentTable, span: Span
) -> Iterator[tuple[Any, ...]]:
    # binary: a value is what was sent, to the last bit
    with there.cursor(name="study_rows", binary=True) as cursor:
        cursor.itersize = _ROWS_AT_ONCE
        cursor.execute(
            f"SELECT {', '.join(table.columns)} FROM fleet.{table.name} WHERE stream = %s AND "
            f"{table.time} >= %s AND {table.time} < %s ORDER BY {table.time}".encode(),
            (stream, *span),
        )
        yield from cursor


def _insert(here: sqlite3.Connection, table: SentTable, rows: Iterable[tuple[Any, ...]]) -> None:
    more = _NOT_SENT.get(table.name, {})
    columns = (*table.columns, *more)
    marks = ", ".join("?" * len(columns))
    here.executemany(
        f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({marks})",
        ((*row, *more.values()) for row in rows) if more else rows,
    )


def _first_line(error: psycopg.Error) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
