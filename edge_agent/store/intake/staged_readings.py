"""Readings that are kept aside until the whole file was read, however many there are."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import tee
from pathlib import Path
from types import TracebackType
from typing import Self

from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.errors import StoreError
from edge_agent.core.given_readings import with_near_pressures
from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.core.shared_times import placed
from edge_agent.core.vitals import VitalKind
from edge_agent.store.database.schema import read_transaction
from edge_agent.store.write.timeline import recorded_value

_TABLE = """
CREATE TABLE staged (
    kind TEXT NOT NULL, source TEXT NOT NULL, at INTEGER NOT NULL, value REAL NOT NULL,
    flags TEXT NOT NULL, device_time TEXT, PRIMARY KEY (source, at, kind)
) STRICT, WITHOUT ROWID
"""


@dataclass(frozen=True, slots=True)
class StagedKind:
    """What a file has of one kind from one source.

    Attributes:
        kind, source: of which.
        readings: how many, each counted once.
        first_ms, last_ms: times of the first and the last, UTC milliseconds.
    """

    kind: VitalKind
    source: str
    readings: int
    first_ms: int
    last_ms: int


class StagedReadings:
    """Keeps readings in a database of SQLite's own, in memory as long as they are few; a context
    manager.

    What outgrows the memory lies in a temporary file without a name, gone with the process.

    Attributes:
        repeated: how many readings were there before with the same kind, source, time and value.
        differing: how many had the kind, source and time of one before, and another value; they
            are kept a millisecond later.

    Example:
        >>> with StagedReadings() as staged:
        ...     staged.add(readings)
        ...     import_readings(database, staged)
    """

    def __init__(self) -> None:
        self.repeated = 0
        self.differing = 0
        self._connection = sqlite3.connect("", isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = OFF")
        self._connection.execute(_TABLE)
        self._connection.execute("BEGIN")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()

    def add(self, readings: Iterable[VitalReading]) -> None:
        """Keep readings, without their boot clock.

        Raises:
            StoreError: there is no room for them.
        """
        given, kept = tee(readings)
        for before, (reading, is_new) in zip(given, placed(kept, self._value_of), strict=True):
            if not is_new:
                self.repeated += 1
                continue
            self.differing += before.at != reading.at
            self._insert(reading)

    def _insert(self, reading: VitalReading) -> None:
        """Keep a reading that is the first of its kind, source and time."""
        try:
            self._connection.execute(
                "INSERT INTO staged (kind, source, at, value, flags, device_time) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (
                    reading.kind.value,
                    reading.source,
                    reading.at.wall_ms,
                    reading.value,
                    " ".join(sorted(reading.flags)),
                    reading.device_time,
                ),
            )
        except sqlite3.OperationalError as error:
            raise StoreError(
                f"The readings cannot be kept aside ({error}): free some space where temporary "
                "files lie, or name another folder in SQLITE_TMPDIR."
            ) from error

    def _value_of(self, reading: VitalReading) -> float | None:
        """Return the value that is kept of a reading's kind, source and time, if there is one."""
        key = (reading.source, reading.at.wall_ms, reading.kind.value)
        row = self._connection.execute(
            "SELECT value FROM staged WHERE source = ? AND at = ? AND kind = ?", key
        ).fetchone()
        return None if row is None else float(row[0])

    def __iter__(self) -> Iterator[VitalReading]:
        """Return each reading, those of a source together and in order of time; pressures that are
        too near to each other are flagged.
        """
        rows = self._connection.execute(
            "SELECT kind, source, at, value, flags, device_time FROM staged "
            "ORDER BY source, at, kind"
        )
        return with_near_pressures(
            VitalReading(
                Instant(0, at),
                VitalKind(kind),
                value,
                source,
                frozenset(VitalFlag(flag) for flag in flags.split()),
                device_time,
            )
            for kind, source, at, value, flags, device_time in rows
        )

    def kinds(self) -> list[StagedKind]:
        """Return what there is of each kind and source."""
        rows = self._connection.execute(
            "SELECT kind, source, count(*), min(at), max(at) FROM staged GROUP BY kind, source "
            "ORDER BY kind, source"
        )
        return [StagedKind(VitalKind(row[0]), *row[1:]) for row in rows]

    def count_to_come(self) -> int:
        """Return how many are of a time that is still to come, by the flag that they got for it."""
        row = self._connection.execute(
            "SELECT count(*) FROM staged WHERE at > ? AND flags LIKE ?",
            (clock.now().wall_ms, f"%{VitalFlag.CLOCK_DIFFERS}%"),
        ).fetchone()
        return int(row[0])

    def count_present(self, path: Path) -> int:
        """Return how many are in a database already; 0 where there is none yet.

        Raises:
            StoreError: the database cannot be read.
        """
        if not path.exists():
            return 0
        with read_transaction(path) as connection:
            given = placed(self, partial(recorded_value, connection))
            return sum(not is_new for _, is_new in given)
