"""The vital readings of a database, this one or another, as they were recorded."""

from __future__ import annotations

from pathlib import Path

from edge_agent.core.clock import Instant
from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.store.database.schema import read_transaction


def recorded_vitals(path: Path) -> list[VitalReading]:
    """Return all readings in order of time; their boot clock is that of another run, and 0 here.

    Raises:
        StoreError: the database cannot be read.
    """
    with read_transaction(path) as connection:
        rows = connection.execute(
            "SELECT at, kind, value, source, flags, device_time FROM vital ORDER BY at, kind"
        )
        return [
            VitalReading(
                Instant(boot_ms=0, wall_ms=row["at"]),
                VitalKind(row["kind"]),
                row["value"],
                row["source"],
                frozenset(VitalFlag(flag) for flag in row["flags"].split()),
                row["device_time"],
            )
            for row in rows
        ]
