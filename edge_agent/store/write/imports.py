"""Writing readings that come from a file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.store.database.schema import write_transaction
from edge_agent.store.write.audit.chain import AuditLine, append
from edge_agent.store.write.clocks.boots import stamp
from edge_agent.store.write.timeline import write_vitals

_BATCH = 10_000


class ImportResult(NamedTuple):
    """How many readings were new, and how many were in the database already and left alone.

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
        rows: place in ``kinds``, ``sources``, ``flag_sets`` and ``device_times`` of each reading.
        kinds, sources, flag_sets, device_times: the different combinations that there are.
    """

    at_ms: list[int]
    values: list[float]
    rows: list[int]
    kinds: list[VitalKind]
    sources: list[str]
    flag_sets: list[frozenset[VitalFlag]]
    device_times: list[str | None]

    @classmethod
    def of(cls, readings: Iterable[VitalReading]) -> ReadingTable:
        """Return the table of some readings, which have no boot clock."""
        table = cls([], [], [], [], [], [], [])
        known: dict[tuple[VitalKind, str, frozenset[VitalFlag], str | None], int] = {}
        for one in readings:
            parts = (one.kind, one.source, one.flags, one.device_time)
            if parts not in known:
                known[parts] = len(known)
                table.kinds.append(one.kind)
                table.sources.append(one.source)
                table.flag_sets.append(one.flags)
                table.device_times.append(one.device_time)
            table.at_ms.append(one.at.wall_ms)
            table.values.append(one.value)
            table.rows.append(known[parts])
        return table

    def __iter__(self) -> Iterator[VitalReading]:
        """Return the readings in their order."""
        for at_ms, value, row in zip(self.at_ms, self.values, self.rows, strict=True):
            yield VitalReading(
                Instant(boot_ms=0, wall_ms=at_ms),
                self.kinds[row],
                value,
                self.sources[row],
                self.flag_sets[row],
                self.device_times[row],
            )


def import_each(
    path: Path, readings: Sequence[VitalReading], *, entered_by: str | None = None
) -> list[bool]:
    """Write readings in one transaction; return for each whether it was new.

    Args:
        path: the database.
        readings: at most some hundred.
        entered_by: who entered them by hand, for the audit trail; ``None`` writes no line.

    Raises:
        StoreError: as ``schema.connect``; disk full. Nothing was written then.
    """
    if not readings:
        return []
    with write_transaction(path) as connection:
        stamped = [_stamped(connection, reading.checked()) for reading in readings]
        new = [bool(is_new) for is_new in write_vitals(connection, stamped)]
        if entered_by is not None:
            _note(connection, entered_by, "readings_by_hand", str(sum(new)))
    return new


def _note(connection: sqlite3.Connection, actor: str, action: str, detail: str) -> None:
    boot, at = stamp(connection, clock.now())
    append(connection, AuditLine(at.wall_ms, actor, action, detail, boot))


def _stamped(
    connection: sqlite3.Connection, reading: VitalReading
) -> tuple[VitalReading, int | None]:
    """Return a reading with the row of ``boot`` of its arrival, where it came without a time."""
    boot, at = stamp(connection, reading.at)
    return replace(reading, at=at), boot


def import_readings(
    path: Path, readings: Iterable[VitalReading], *, file: str = "", actor: str = ""
) -> ImportResult:
    """Write all readings in one transaction, in memory that does not grow with their number.

    Whatever ``readings`` raises leaves the database as it was.

    A reading is a duplicate when kind, source, time and value are those of one that is there.

    Args:
        path: the database.
        readings: of the file.
        file: its name, by which people know the import again.
        actor: who imports it.

    Raises:
        StoreError: as ``schema.connect``; disk full.
    """
    rows = ((reading.checked(), None) for reading in readings)
    inserted = duplicates = 0
    with write_transaction(path) as connection:
        number = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM import").fetchone()[0]
        while batch := list(islice(rows, _BATCH)):
            written = write_vitals(connection, batch, number)
            inserted += written.count(True)
            duplicates += written.count(False)
        if inserted:
            connection.execute(
                "INSERT INTO import (id, at, file, actor, readings, duplicates) VALUES "
                "(?, ?, ?, ?, ?, ?)",
                (number, clock.now().wall_ms, file, actor, inserted, duplicates),
            )
        if actor:
            _note(connection, actor, "readings_import", f"{file}: {inserted}")
    return ImportResult(inserted, duplicates, number if inserted else None)
