"""Partitions by month, made before the first row of a month is written."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import psycopg

from collector.database.tables import PARTITIONED, SCHEMA

_FIRST_YEAR, _LAST_YEAR = 2015, 2099
"""Months outside of them get no partition: such times are wrong, and they are kept all the same."""
_LOCK = 0x41464545


class Partitions:
    """Makes the partitions that are missing; knows those that it has seen."""

    def __init__(self) -> None:
        self._known: set[tuple[int, int]] = set()

    def prepare(self, connection: psycopg.Connection, times: Iterable[int]) -> None:
        """Make partitions for all months of the times, ms since 1970.

        In a transaction of its own: it locks tables that others write to, for a moment.
        """
        missing = {month for month in map(_month, times) if month is not None} - self._known
        if not missing:
            return
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            for month in sorted(missing):
                for table in PARTITIONED:
                    _make(connection, table, month)
        self._known |= missing


def _make(connection: psycopg.Connection, table: str, month: tuple[int, int]) -> None:
    year, number = month
    name = f"{SCHEMA}.{table}_{year}_{number:02}"
    there = connection.execute("SELECT to_regclass(%s)", (name,)).fetchone()
    if there is not None and there[0] is not None:
        return
    start = _start(year, number)
    end = _start(year + number // 12, number % 12 + 1)
    connection.execute(
        f"CREATE TABLE {name} PARTITION OF {SCHEMA}.{table} "
        f"FOR VALUES FROM ({start}) TO ({end})".encode()
    )


def _start(year: int, month: int) -> int:
    return int(datetime(year, month, 1, tzinfo=UTC).timestamp()) * 1000


_EARLIEST, _LATEST = _start(_FIRST_YEAR, 1), _start(_LAST_YEAR + 1, 1)


def _month(at: int) -> tuple[int, int] | None:
    """Return year and month of a time; ``None`` for one that gets no partition."""
    if not _EARLIEST <= at < _LATEST:
        return None
    moment = datetime.fromtimestamp(at / 1000, UTC)
    return moment.year, moment.month
