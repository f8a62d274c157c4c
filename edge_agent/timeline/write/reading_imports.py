"""Files of readings, which are written in portions.

Between two portions the write lock is free, so that the recorder beside an import never waits for
longer than one portion takes, and the memory does not grow with the file. Until its last portion is
written, an import is called unfinished. What fails is removed again; where that fails, too, or the
program was killed, ``affect-edge imports`` lists it and takes it back.
"""

from __future__ import annotations

import logging
import sqlite3
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple, cast

from edge_agent.core import clock
from edge_agent.core.bounds import MOST_AT_ONCE, printable
from edge_agent.core.clock import Instant
from edge_agent.core.errors import StoreError, StudyError
from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.connection import insert, read_transaction, write_transaction
from edge_agent.timeline.write import audit
from edge_agent.timeline.write.inserts import write_vitals
from edge_agent.timeline.write.redating import delete_import

# ruff: noqa: S608 - only our own names are put into SQL text

PORTION = MOST_AT_ONCE
"""Readings that are written, or removed, in one transaction."""
UNFINISHED = " (unfinished)"
"""Mark behind the file's name of an import whose last portion is not written."""
LET_IN_S = 0.12
"""Pause between two portions: SQLite looks for a free lock every 0.1 s."""
log = logging.getLogger(__name__)


class ImportResult(NamedTuple):
    """The result of an import: new readings, and those already in the database, left unchanged.

    ``number`` is that of the import; ``None``: nothing was new.
    """

    inserted: int
    duplicates: int
    number: int | None = None


@dataclass(frozen=True, slots=True)
class ReadingTable:
    """Readings by column: a tenth of the size of as many objects, here and on the way to the gate.

    Attributes:
        at_ms: times, UTC milliseconds.
        values: in the unit of each kind.
        rows: place of each reading in the lists that follow.
        kinds, sources, flag_sets, device_times, errors: the different combinations that there are.
    """

    at_ms: list[int]
    values: list[float]
    rows: list[int]
    kinds: list[VitalKind]
    sources: list[str]
    flag_sets: list[frozenset[VitalFlag]]
    device_times: list[str | None]
    errors: list[float | None]

    @classmethod
    def compact(cls, readings: Iterable[VitalReading]) -> ReadingTable:
        """Return the table of a whole file, in arrays: a quarter of the size of lists.

        It stays here; its portions are sent.
        """
        times, values, rows = array("q"), array("d"), array("I")
        numbers = cast("list[int]", times), cast("list[float]", values), cast("list[int]", rows)
        return cls(*numbers, [], [], [], [], [])._fill(readings)

    @classmethod
    def of(cls, readings: Iterable[VitalReading]) -> ReadingTable:
        """Return the table of some readings, which have no boot clock."""
        return cls([], [], [], [], [], [], [], [])._fill(readings)

    def _fill(self, readings: Iterable[VitalReading]) -> ReadingTable:
        """Add readings to an empty table."""
        known: dict[tuple[object, ...], int] = {}
        for one in readings:
            parts = (one.kind, one.source, one.flags, one.device_time, one.error)
            if parts not in known:
                known[parts] = len(known)
                self.kinds.append(one.kind)
                self.sources.append(one.source)
                self.flag_sets.append(one.flags)
                self.device_times.append(one.device_time)
                self.errors.append(one.error)
            self.at_ms.append(one.at.wall_ms)
            self.values.append(one.value)
            self.rows.append(known[parts])
        return self

    def __iter__(self) -> Iterator[VitalReading]:
        """Return the readings in their order.

        Raises:
            StudyError: its columns do not fit each other.
        """
        same = len({len(self.at_ms), len(self.values), len(self.rows)}) == 1
        columns = (self.kinds, self.sources, self.flag_sets, self.device_times, self.errors)
        parts = {len(column) for column in columns}
        if not same or len(parts) != 1 or not all(0 <= row < min(parts) for row in self.rows):
            raise StudyError("The columns of the readings do not fit each other.")
        for at_ms, value, row in zip(self.at_ms, self.values, self.rows, strict=True):
            yield VitalReading(
                Instant(boot_ms=0, wall_ms=at_ms),
                self.kinds[row],
                value,
                self.sources[row],
                self.flag_sets[row],
                self.device_times[row],
                self.errors[row],
            )


def portions_of(readings: Iterable[VitalReading]) -> Iterator[ReadingTable]:
    """Return tables of at most ``PORTION`` readings, in their order, each made when it is taken."""
    rows = iter(readings)
    while portion := list(islice(rows, PORTION)):
        yield ReadingTable.of(portion)


@dataclass(frozen=True, slots=True)
class FilePortion:
    """Which part of a file a portion is.

    Attributes:
        file: name of the file, by which people know the import again.
        number: of the import that it goes on with; ``None``: it is the first portion.
        is_last: whether the import is finished with it.
    """

    file: str
    number: int | None
    is_last: bool


WritePortion = Callable[[ReadingTable, FilePortion], ImportResult]


def import_readings(
    path: Path, readings: Iterable[VitalReading], *, file: str = "", actor: str = ""
) -> ImportResult:
    """Write all readings of a file, or none, in memory that does not grow with their number.

    A reading is a duplicate if a stored one has the same kind, source, time and value.

    Args:
        path: the database.
        readings: of the file; whatever they raise leaves none of them in the database.
        file: its name, by which people know the import again.
        actor: who imports it; empty writes no line into the audit trail.

    Raises:
        StoreError: as ``connection.connect``; disk full.
    """
    return write_in_portions(
        portions_of(readings),
        file,
        lambda table, part: import_portion(path, table, part, actor=actor),
        lambda number: remove_unfinished(path, number, actor=actor),
    )


def write_in_portions(
    tables: Iterable[ReadingTable], file: str, write: WritePortion, remove: Callable[[int], int]
) -> ImportResult:
    """Write the portions of a file one after the other; remove all of them if one fails.

    Args:
        tables: the portions.
        file: name of the file.
        write: writes one of them.
        remove: removes what was written of the import with a number; returns how many readings.

    Raises:
        StoreError: as ``write``, and what became of the portions before.
    """
    inserted = duplicates = 0
    number: int | None = None
    portions = iter(tables)
    try:
        table = next(portions, None)
        while table is not None:
            following = next(portions, None)
            done = write(table, FilePortion(file, number, following is None))
            inserted += done.inserted
            duplicates += done.duplicates
            number = done.number
            table = following
            if table is not None:
                clock.sleep(LET_IN_S)
    except BaseException as error:
        told = "" if number is None else _remove_import(number, remove)
        if told and isinstance(error, StoreError | StudyError):
            raise type(error)(f"{error} {told}") from error
        raise
    return ImportResult(inserted, duplicates, number)


def _remove_import(number: int, remove: Callable[[int], int]) -> str:
    """Remove what was written; return a sentence on it."""
    try:
        told = f"The {remove(number):,} readings before were removed again (import {number})."
    except (StoreError, StudyError) as error:
        log.warning("import %d could not be removed: %s", number, error)
        told = f"Some of its readings are stored. Remove them: affect-edge imports --undo {number}"
    log.warning("import %d failed. %s", number, told)
    return told


def next_import(connection: sqlite3.Connection) -> int:
    """Return the number of the import that a transaction adds.

    Rows may have a number that the table of imports has lost in a rescue: an undo of an import with
    the same number would take them, too.
    """
    tables = connection.execute(
        "SELECT made.name FROM sqlite_schema AS made JOIN pragma_table_info(made.name) AS its ON "
        "its.name = 'import' WHERE made.type = 'table'"
    )
    numbers = [
        connection.execute(f"SELECT max(import) FROM {name} WHERE import IS NOT NULL").fetchone()[0]
        for (name,) in tables.fetchall()
    ]
    numbers += connection.execute("SELECT max(id) FROM import").fetchone()
    return 1 + max((number for number in numbers if number is not None), default=0)


def import_portion(
    path: Path, table: ReadingTable, part: FilePortion, *, actor: str
) -> ImportResult:
    """Write one portion of a file in one transaction; return how many of its readings were new.

    Args:
        path: the database.
        table: its readings.
        part: which part of which file it is.
        actor: as of ``import_readings``; it must go on with its own imports.

    Returns:
        The counts of this portion, and the number of the import. ``None``: it is finished, and
            nothing in it was new.

    Raises:
        StudyError: the import that it goes on with is not unfinished, or of another file.
        StoreError: as ``connection.connect``; disk full.
    """
    file = printable(part.file)
    rows = [(reading.flag_implausible(), None) for reading in table]
    moment = clock.now()
    with write_transaction(path) as connection:
        number = part.number
        if number is None:
            values = {"at": moment.wall_ms, "file": f"{file}{UNFINISHED}", "actor": actor}
            number = next_import(connection)
            insert(connection, "import", id=number, **values, readings=0, duplicates=0)
        else:
            _refuse_finished(connection, number, f"{file}{UNFINISHED}", actor)
        written = write_vitals(connection, rows, number)
        new, there = written.count(True), written.count(False)
        connection.execute(
            "UPDATE import SET readings = readings + ?, duplicates = duplicates + ?, file = iif(?, "
            "?, file) WHERE id = ?",
            (new, there, part.is_last, file, number),
        )
        if part.is_last:
            total = connection.execute("SELECT readings FROM import WHERE id = ?", (number,))
            count = total.fetchone()[0]
            if actor:
                audit.write_line(connection, actor, "readings_import", f"{file}: {count}", moment)
            if not count:  # an import that added nothing is none
                connection.execute("DELETE FROM import WHERE id = ?", (number,))
                number = None
    return ImportResult(new, there, number)


def remove_unfinished(path: Path, number: int, *, actor: str) -> int:
    """Remove, in portions, the readings of an import that was not finished; return how many.

    Raises:
        StudyError: there is no such import, or it is finished.
        StoreError: as ``connection.connect``.
    """
    with read_transaction(path) as connection:
        row = connection.execute(
            "SELECT file, (SELECT min(at) FROM vital WHERE import = id), (SELECT max(at) FROM "
            "vital WHERE import = id) FROM import WHERE id = ? AND undone IS NULL",
            (number,),
        ).fetchone()
    if row is None or not row[0].endswith(UNFINISHED):
        raise StudyError(f"Import {number} is not unfinished, so nothing was removed.")
    file, first, last = row
    removed = 0
    while first is not None and first <= last:
        with write_transaction(path) as connection:
            end = connection.execute(
                "SELECT at FROM vital WHERE at >= ? AND import = ? ORDER BY at LIMIT 1 OFFSET ?",
                (first, number, PORTION),
            ).fetchone()
            until = last + 1 if end is None else max(first + 1, end[0])
            removed += delete_import(connection, number, (first, until))
        first = until
        clock.sleep(LET_IN_S)
    with write_transaction(path) as connection:
        now = clock.now()
        connection.execute("UPDATE import SET undone = ? WHERE id = ?", (now.wall_ms, number))
        if actor:
            audit.write_line(connection, actor, "import_undo", f"{file}: {removed}", now)
    return removed


def _refuse_finished(connection: sqlite3.Connection, number: int, file: str, actor: str) -> None:
    there = connection.execute(
        "SELECT 1 FROM import WHERE id = ? AND file = ? AND actor = ? AND undone IS NULL",
        (number, file, actor),
    ).fetchone()
    if there is None:
        raise StudyError(f"There is no unfinished import {number} of this file.")
