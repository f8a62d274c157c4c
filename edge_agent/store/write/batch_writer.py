"""Writing one batch of rows inside a transaction that the caller holds."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict

from edge_agent.core import clock
from edge_agent.core.expression import ExpressionRow, RejectedFrames
from edge_agent.core.gaps import Gap
from edge_agent.core.readings import VitalReading
from edge_agent.store.write.outbox import OutboxMessage, enqueue
from edge_agent.store.write.pending_batch import Row, instant_of
from edge_agent.store.write.pending_rows import rows_in_sessions, summarises_erased_time
from edge_agent.store.write.recorder_options import RecorderOptions
from edge_agent.store.write.set_aside import set_aside
from edge_agent.store.write.timeline import (
    BootRows,
    ModelUse,
    write_expressions,
    write_gap,
    write_model,
    write_rejected_frames,
    write_vitals,
)
from edge_agent.store.write.tombstones import Tombstones

log = logging.getLogger(__name__)


BAD_ROW = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.ProgrammingError,
    sqlite3.InterfaceError,
    OverflowError,
    TypeError,
    ValueError,
)
"""What a row raises that no table takes, however often it is tried."""


class BatchWriter:
    """Writes rows of all kinds, except those that may not be kept.

    Args:
        options: of the recorder.
    """

    def __init__(self, options: RecorderOptions) -> None:
        self._options = options
        self._boots = BootRows(clock.boot_id())

    def forget_boots(self) -> None:
        """Look up the row of this boot again: the transaction that made it was rolled back."""
        self._boots.forget()

    def write(self, connection: sqlite3.Connection, rows: Sequence[Row]) -> int:
        """Write rows; return how many readings were there already (same kind, source and time)."""
        if self._options.only_in_sessions:
            rows = rows_in_sessions(connection, rows)
        tombstones = Tombstones(connection)
        expressions: list[tuple[ExpressionRow, int | None]] = []
        rejected: list[tuple[RejectedFrames, int | None]] = []
        vitals: list[tuple[VitalReading, int | None]] = []
        for row in rows:
            match row:
                case ExpressionRow():
                    expressions.append((row, self._boots.row_for(connection, row.at)))
                case RejectedFrames():
                    rejected.append((row, self._boots.row_for(connection, row.at)))
                case VitalReading():
                    vitals.append((row, self._boot_of(connection, row)))
                case Gap():
                    write_gap(connection, row, self._boots.row_for(connection, row.end))
                case OutboxMessage():
                    if not summarises_erased_time(tombstones, row):
                        enqueue(connection, row, self._options.outbox_rows)
                case ModelUse():
                    write_model(connection, row)
        interval_ms = round(self._options.interval_s * 1000)
        write_expressions(connection, expressions, interval_ms, self._options.simulated)
        write_rejected_frames(connection, rejected, interval_ms, self._options.simulated)
        return write_vitals(connection, vitals)[1]

    def write_each(self, connection: sqlite3.Connection, rows: Sequence[Row]) -> tuple[int, int]:
        """Write rows one by one; set aside those that the database refuses.

        Returns:
            How many readings were there already, and how many rows were set aside.
        """
        duplicates = 0
        refused = 0
        for row in rows:
            connection.execute("SAVEPOINT one_row")
            try:
                duplicates += self.write(connection, [row])
            except BAD_ROW as error:
                connection.execute("ROLLBACK TO one_row")
                self.forget_boots()
                refused += 1
                _keep_refused(connection, row, error)
            connection.execute("RELEASE one_row")
        if refused:  # without a value: they are somebody's health
            log.error("%d rows were refused by the database and set aside", refused)
        return duplicates, refused

    def _boot_of(self, connection: sqlite3.Connection, reading: VitalReading) -> int | None:
        """Return the row of the boot in which a reading was taken.

        ``None`` for one that came with a time of its own: its boot clock is not known.
        """
        if not reading.at.boot_ms:
            return None
        return self._boots.row_for(connection, reading.at)


def _keep_refused(connection: sqlite3.Connection, row: Row, error: Exception) -> None:
    """Set a row aside, unless it is of a time that was erased."""
    at_ms = None
    instant = instant_of(row)
    if instant is not None:
        at_ms = instant.wall_ms
        if Tombstones(connection).cover(at_ms, at_ms):
            return
    set_aside(connection, at_ms, type(row).__name__, asdict(row), str(error))
