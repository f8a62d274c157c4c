"""Writing one batch of rows inside a transaction that the caller holds."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, replace

from edge_agent.core.clock import Instant
from edge_agent.core.expression import ExpressionRow, RejectedFrames
from edge_agent.core.gaps import Gap
from edge_agent.core.readings import VitalReading
from edge_agent.store.database.salvage_state import is_salvaging
from edge_agent.store.write.clocks.boots import BootRows, ClockCheck
from edge_agent.store.write.clocks.redating import redate
from edge_agent.store.write.outages import LastRow, last_row, write_outage
from edge_agent.store.write.outbox import OutboxMessage, enqueue, leave_out
from edge_agent.store.write.outbox_losses import ERASED
from edge_agent.store.write.pending_batch import Row, instant_of
from edge_agent.store.write.pending_rows import rows_in_sessions, summarises_erased_time
from edge_agent.store.write.recorder_options import RecorderOptions
from edge_agent.store.write.set_aside import set_aside
from edge_agent.store.write.timeline import (
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

    Where the clock was set meanwhile, rows of before are moved first.

    Args:
        options: of the recorder.
    """

    def __init__(self, options: RecorderOptions) -> None:
        self._options = options
        self._started: Instant | None = None
        self._last: LastRow | None = None  # before the start; None: its outage is written
        self._written: LastRow | None = None  # whose outage is in the transaction of now
        self._has_wrong_times = False

    @property
    def has_wrong_times(self) -> bool:
        """Whether there are rows left that are to be moved, in another transaction."""
        return self._has_wrong_times

    def forget(self) -> None:
        """Take back what the last transaction did: it was rolled back."""
        self._last = self._last or self._written

    def write(self, connection: sqlite3.Connection, rows: Sequence[Row]) -> int:
        """Write rows; return how many readings were there already (same kind, source and time)."""
        self._written = None
        self._look_at_clock(connection, rows)
        boots = BootRows(connection)
        placed = [_place(boots, row) for row in rows]
        if self._options.only_in_sessions:
            placed = rows_in_sessions(connection, placed)
        tombstones = Tombstones(connection)
        expressions: list[tuple[ExpressionRow, int | None]] = []
        rejected: list[tuple[RejectedFrames, int | None]] = []
        vitals: list[tuple[VitalReading, int | None]] = []
        for row, boot in placed:
            match row:
                case ExpressionRow():
                    expressions.append((row, boot))
                case RejectedFrames():
                    rejected.append((row, boot))
                case VitalReading():
                    vitals.append((row, boot))
                case Gap():
                    write_gap(connection, row, boot)
                case OutboxMessage():
                    if summarises_erased_time(tombstones, row):
                        leave_out(connection, row, ERASED)
                    else:
                        enqueue(connection, row, self._options.outbox_rows)
                case ModelUse():
                    write_model(connection, row)
        interval_ms = round(self._options.interval * 1000)
        write_expressions(connection, expressions, interval_ms, self._options.simulated)
        write_rejected_frames(connection, rejected, interval_ms, self._options.simulated)
        return write_vitals(connection, vitals).count(False)

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
                self.forget()
                refused += 1
                _keep_refused(connection, row, error)
            connection.execute("RELEASE one_row")
        if refused:  # without a value: they are somebody's health
            log.error("%d rows were refused by the database and set aside", refused)
        return duplicates, refused

    def _look_at_clock(self, connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
        """Move rows of before where the clock was set, and write the outage before the start."""
        for row in rows:
            if isinstance(row, ClockCheck) and row.is_start:
                self._started = row.at
                self._last = last_row(connection)
        boots = BootRows(connection)
        for row in rows:
            if isinstance(row, ClockCheck) and row.at is not None:
                boots.look(row.at)
            else:
                _place(boots, row)
        boots.look_in_doubt()
        boots.confirm()
        checks = any(isinstance(row, ClockCheck) for row in rows)
        if is_salvaging(connection):  # rows of before are still to come: they are moved together
            self._has_wrong_times = False
        elif checks or self._has_wrong_times or boots.wrong() is not None:
            self._has_wrong_times = redate(connection, also_earlier_starts=True)
        if self._last is not None and self._started is not None and checks:
            self._write_outage(connection, self._last, self._started)

    def _write_outage(self, connection: sqlite3.Connection, last: LastRow, start: Instant) -> None:
        only_in_sessions = self._options.only_in_sessions
        if write_outage(connection, last, start, only_in_sessions=only_in_sessions):
            self._written = last
            self._last = None


def _place(boots: BootRows, row: Row) -> tuple[Row, int | None]:
    """Return a row with its time as is known today, and the row of ``boot`` of that time.

    ``None`` for what came with a time of its own, whose boot clock is not known, and for messages.
    """
    at = instant_of(row)
    if at is None or not at.boot_ms:
        return row, None
    boot, known = boots.place(at)
    match row:
        case ExpressionRow() | RejectedFrames() | VitalReading():
            return replace(row, at=known), boot
        case Gap():
            return replace(row, end=known), boot
        case _:
            return row, boot


def _keep_refused(connection: sqlite3.Connection, row: Row, error: Exception) -> None:
    """Set a row aside, unless it is of a time that was erased."""
    at_ms = None
    instant = instant_of(row)
    if instant is not None:
        at_ms = instant.wall_ms
        if Tombstones(connection).cover(at_ms, at_ms):
            return
    set_aside(connection, at_ms, type(row).__name__, asdict(row), str(error))
