"""Writing readings that come from a file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from edge_agent.core.readings import VitalReading
from edge_agent.store.database.schema import write_transaction
from edge_agent.store.write.clocks.boots import stamp
from edge_agent.store.write.timeline import write_vitals

_BATCH = 10_000


class ImportResult(NamedTuple):
    """How many readings were new, and how many were in the database already and left alone."""

    inserted: int
    duplicates: int


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


def import_readings(path: Path, readings: Iterable[VitalReading]) -> ImportResult:
    """Write all readings in one transaction, in memory that does not grow with their number.

    Whatever ``readings`` raises leaves the database as it was.

    A reading is a duplicate when kind, source, time and value are those of one that is there.

    Raises:
        StoreError: as ``schema.connect``; disk full.
    """
    rows = ((reading.checked(), None) for reading in readings)
    inserted = duplicates = 0
    with write_transaction(path) as connection:
        while batch := list(islice(rows, _BATCH)):
            written = write_vitals(connection, batch)
            inserted += written.count(True)
            duplicates += written.count(False)
    return ImportResult(inserted, duplicates)
