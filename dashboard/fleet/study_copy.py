"""Copies the study of one device from the collector's tables into a file of the device's schema."""

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from dashboard.fleet.sites import Sites
from edge_agent.core.errors import StoreError
from edge_agent.core.texts import N_, Message
from edge_agent.fleet.tables import STUDY, TIMELINE, SentTable
from edge_agent.store.database.schema import PAGE_BYTES, connect, migrate, transaction

Span = tuple[int, int]

AROUND_MS = 3_600_000
"""Of the timeline before and after each session: more than any window, lag or baseline needs."""
_FOREVER_MS = 2**62
_ROWS_AT_ONCE = 5_000
_NOT_SENT = {"vital_change": {"actor": ""}}
"""Columns that a device keeps for itself and may not be empty."""


@dataclass(frozen=True, slots=True)
class StudyStream:
    """The present stream of a device, and how far it is; equal as long as nothing came.

    Attributes:
        number: in ``fleet.stream``.
        device: whose.
        applied: position up to which everything is there.
        erasures: how many were carried out in it.
        copied: whether all that the device held at its start is there.
        lost: stretches of changes that will not come.
        has_holes: whether messages are missing between others.
    """

    number: int
    device: str
    applied: int
    erasures: int
    copied: bool
    lost: int
    has_holes: bool

    def refuse_part(self) -> None:
        """Raise where not everything is there: statistics would not be the study's.

        Raises:
            StoreError: with what is missing.
        """
        if not self.copied:
            raise StoreError(
                Message(
                    N_(
                        "{device} has not yet sent all that it holds. Wait until its stream is "
                        "whole: fleet.stream says copied."
                    ),
                    device=self.device,
                )
            )
        if self.lost:
            raise StoreError(
                Message(
                    N_(
                        "Changes of {device} are lost (stretches: {lost}; fleet.lost says which "
                        "and why), so statistics could be wrong. Compute them on the device."
                    ),
                    device=self.device,
                    lost=self.lost,
                )
            )
        if self.has_holes:
            raise StoreError(
                Message(
                    N_(
                        "Of {device} some messages are missing between others. They are sent "
                        "again: try again in two minutes."
                    ),
                    device=self.device,
                )
            )


def copy_studies(
    address: str, devices: Collection[str], folder: Path, *, every: bool = False
) -> Sites:
    """Write for each device a new file with its study and the timeline of its sessions.

    All of one moment of PostgreSQL. Only a device's present stream is read: what a restored
    database does not know any more is not part of its study.

    Args:
        address: ``postgresql://…``, of a database that a collector writes to.
        devices: which; empty: the only one there is.
        folder: where to write.
        every: all devices there are that have sent a timeline.

    Raises:
        StoreError: PostgreSQL cannot be reached or refuses, there is no such device, or what it
            has sent has not all arrived.
    """
    sites = []
    try:
        with psycopg.connect(address, connect_timeout=10) as there:
            there.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            there.read_only = True
            chosen = _chosen(streams_of(there), devices, every)
            for stream in chosen:
                stream.refuse_part()
            for number, stream in enumerate(chosen):
                path = folder / f"{number}.db"
                write_copy(there, stream, path)
                sites.append((stream.device, path))
    except psycopg.errors.UndefinedTable as error:
        raise StoreError(
            "This database of PostgreSQL has no tables of a fleet: no collector has written to it."
        ) from error
    except psycopg.Error as error:
        raise StoreError(f"PostgreSQL: {_first_line(error)}") from error
    return tuple(sites)


def write_copy(
    there: psycopg.Connection, stream: StudyStream, path: Path, most_bytes: int | None = None
) -> None:
    """Write a new file with the study of a stream and the timeline of its sessions.

    Args:
        there: within a transaction that sees one moment.
        stream: as this transaction sees it.
        path: of the file, which is not there yet.
        most_bytes: how large the file may become; ``None``: as large as the disk allows.

    Raises:
        StoreError: there is no space, or the rows do not fit this version.
        psycopg.Error: PostgreSQL refuses.
    """
    migrate(path)
    try:
        with closing(connect(path, readonly=False)) as here:
            if most_bytes is not None:
                here.execute(f"PRAGMA max_page_count = {max(1, most_bytes // PAGE_BYTES)}")
            with transaction(here):
                _copy(there, stream.number, here)
    except sqlite3.Error as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
            raise StoreError(
                f"{path.parent}: no space is left for the copy of the study. Free some, or name "
                "another folder: TMPDIR=/FOLDER for a command, data.folder for a dashboard."
            ) from error
        raise StoreError(
            f"The study does not fit this version of affect-edge ({error}). Its device may be of a "
            "newer one: update this machine."
        ) from error


def streams_of(
    there: psycopg.Connection, devices: Collection[str] | None = None
) -> list[StudyStream]:
    """Return the present streams of devices, by name; ``None``: of all."""
    rows = there.execute(
        "SELECT id, device, applied, (SELECT count(*) FROM fleet.erasure WHERE erasure.stream = "
        "stream.id), copied, (SELECT count(*) FROM fleet.lost WHERE lost.stream = stream.id), "
        "NOT isempty(ahead) OR EXISTS (SELECT 1 FROM fleet.waiting WHERE waiting.stream = "
        "stream.id) FROM fleet.stream WHERE NOT closed AND (%(devices)s::text[] IS NULL OR device "
        "= ANY(%(devices)s)) ORDER BY device, id DESC",
        {"devices": None if devices is None else list(devices)},
    ).fetchall()
    return [StudyStream(*row) for row in rows]


def _chosen(streams: list[StudyStream], devices: Collection[str], every: bool) -> list[StudyStream]:
    """Return the streams of devices; refuse a name that nobody has, or no name where it takes one.

    An unknown name is said with those there are.
    """
    known = {one.device: one for one in streams}
    if every and streams:
        return streams
    if not devices and len(streams) == 1:
        return streams
    unknown = [name for name in devices if name not in known]
    if devices and not unknown:
        return [known[name] for name in sorted(devices)]
    names = ", ".join(one.device for one in streams[:20]) or "none"
    more = ", …" if len(streams) > 20 else ""
    what = f"There is no device {unknown[0]!r}" if unknown else "Name one with --device"
    raise StoreError(f"{what}. Devices there: {names}{more}.")


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
