"""Writing readings that come from a file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from edge_agent.core import clock
from edge_agent.core.readings import VitalReading
from edge_agent.store.database.schema import write_transaction
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


def import_each(path: Path, readings: Sequence[VitalReading]) -> list[bool]:
    """Write readings in one transaction; return for each whether it was new.

    Raises:
        StoreError: as ``schema.connect``; disk full. Nothing was written then.
    """
    if not readings:
        return []
    with write_transaction(path) as connection:
        stamped = [_stamped(connection, reading.checked()) for reading in readings]
        return [bool(is_new) for is_new in write_vitals(connection, stamped)]


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
    return ImportResult(inserted, duplicates, number if inserted else None)
