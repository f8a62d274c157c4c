"""The one writer of the timeline: a thread that gathers rows and commits them in batches."""

from __future__ import annotations

import logging
import math
import queue
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.errors import StoreError
from edge_agent.core.expression import ExpressionRow, Recognition, RejectedFrames
from edge_agent.core.gaps import Gap
from edge_agent.core.vitals import VitalReading
from edge_agent.core.worker import Worker
from edge_agent.store.database.schema import connect, store_error, transaction
from edge_agent.store.write.intervals import Intervals
from edge_agent.store.write.outbox import OutboxMessage, enqueue
from edge_agent.store.write.pending_rows import rows_in_sessions, speaks_of_erased
from edge_agent.store.write.timeline import (
    BootRows,
    ModelUse,
    write_expressions,
    write_gap,
    write_model,
    write_unfit,
    write_vitals,
)
from edge_agent.store.write.tombstones import ErasedTimes

log = logging.getLogger(__name__)

Item = Recognition | VitalReading | Gap | OutboxMessage | ModelUse
Row = ExpressionRow | RejectedFrames | VitalReading | Gap | OutboxMessage | ModelUse

_QUEUE_ITEMS = 4_000  # some minutes of frames, for a card that takes its time
_PORTION_ROWS = 500
_PASSING = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
}


class Recorder(Worker):
    """Writes the timeline.

    A batch is committed after ``batch_rows`` rows or ``batch_seconds`` seconds, whichever is first,
    and at once with an ``OutboxMessage``; a power cut costs one batch at the most. While the disk
    is full or the database is locked, rows wait in memory, the commit is tried again every
    ``retry_seconds``, and ``last_error`` says why. Beyond ``memory_rows`` waiting rows, new ones
    are dropped and counted, and a ``gap`` row says when.

    Args:
        path: the database, already migrated.
        interval_s: length of an expression row in seconds; 0 records every frame.
        batch_rows: rows in a batch at the most.
        batch_seconds: seconds that a row waits for its commit at the most.
        outbox_rows: messages kept in the outbox at the most.
        simulated: whether what the camera shows is a demonstration; marks every expression row.
        only_in_sessions: write no expression and no reading of a time outside sessions: what was
            seen just after a session ended, or a consent was withdrawn, is not kept.
        on_commit: called in this thread after each commit.
        max_bytes: largest size of the database file; ``None`` is the size of the disk.
        memory_rows: rows that wait in memory at the most.
        retry_seconds: seconds between attempts after a failed commit.
        on_death: as in ``Worker``.
    """

    def __init__(
        self,
        path: Path,
        *,
        interval_s: float = 1.0,
        batch_rows: int = 60,
        batch_seconds: float = 10.0,
        outbox_rows: int = 50_000,
        simulated: bool = False,
        only_in_sessions: bool = False,
        on_commit: Callable[[], None] | None = None,
        max_bytes: int | None = None,
        memory_rows: int = 20_000,
        retry_seconds: float = 2.0,
        on_death: Callable[[Worker, Exception], None] | None = None,
    ) -> None:
        super().__init__("recorder", on_death)
        self._path = path
        self._interval_s = interval_s
        self._batch_rows = batch_rows
        self._batch_seconds = batch_seconds
        self._outbox_rows = outbox_rows
        self._simulated = simulated
        self._only_in_sessions = only_in_sessions
        self._on_commit = on_commit
        self._max_bytes = max_bytes
        self._memory_rows = memory_rows
        self._retry_seconds = retry_seconds

        self._queue: queue.Queue[Item | None] = queue.Queue(_QUEUE_ITEMS)
        self._intervals = Intervals(interval_s)
        self._opened: float | None = None  # when the present interval got its first frame
        self._boots = BootRows(clock.boot_id())
        self._pending: list[Row] = []
        self._pending_since: float | None = None
        self._urgent = False
        self._next_try = 0.0
        # first and last row dropped since the last commit
        self._lost: tuple[Instant, Instant] | None = None
        self._dropped = 0
        self._duplicates = 0
        self._last_error: StoreError | None = None
        self._last_commit: float | None = None

    @property
    def queue_depth(self) -> int:
        """Items that wait: submitted or gathered, not yet committed."""
        return self._queue.qsize() + len(self._pending)

    @property
    def dropped(self) -> int:
        """Items lost since the start: no room in memory either, or a value that is no number."""
        return self._dropped

    @property
    def duplicates(self) -> int:
        """Readings since the start that were there already (same kind, source and time) and were
        not written again.
        """
        return self._duplicates

    @property
    def last_error(self) -> StoreError | None:
        """Why the last commit failed; ``None`` when it did not."""
        return self._last_error

    @property
    def last_commit_boot_s(self) -> float | None:
        """Boot clock of the last commit in seconds; ``None`` before the first."""
        return self._last_commit

    @property
    def waiting_s(self) -> float:
        """Seconds that the oldest row has waited for its commit; 0 when none waits."""
        since = self._pending_since
        if since is None:
            return 0.0
        return max(0.0, time.monotonic() - since)

    def submit(self, item: Recognition | VitalReading | Gap | OutboxMessage) -> None:
        """Hand in what is to be recorded, from any thread; never blocks."""
        self._put(item)

    def record_model(self, kind: str, name: str, version: str, sha256: str) -> None:
        """Note which model file is used from now on; the same one again writes nothing."""
        self._put(ModelUse(kind, name, version, sha256, clock.now().wall_ms))

    def stop(self) -> None:
        """Ask the thread to write what it has and to end; ``join`` waits for it."""
        super().stop()
        with suppress(queue.Full):  # a full queue means that the thread is awake
            self._queue.put_nowait(None)

    def work(self) -> None:
        """Record until stopped, then write the rest."""
        with closing(self._connect()) as connection:
            while not (self.stopping.is_set() and self._queue.empty()):
                self._take(self._next())
                self._end_stale_interval()
                if self._is_due():
                    self._commit(connection)
            for row in self._intervals.finish():
                self._keep(row)
            self._commit(connection)
        if self._pending:
            log.error("%d rows could not be written before the end", len(self._pending))

    def _connect(self) -> sqlite3.Connection:
        connection = connect(self._path, readonly=False)
        if self._max_bytes is not None:
            page = connection.execute("PRAGMA page_size").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count={max(1, self._max_bytes // page)}")
        return connection

    def _put(self, item: Item) -> None:
        try:
            self._queue.put_nowait(item)
        except queue.Full:
            self._dropped += 1

    def _next(self) -> Item | None:
        """Return the next item, or ``None`` when it is time to look at the batch."""
        times = [t for t in (self._commit_at(), self._stale_at()) if t is not None]
        try:
            return self._queue.get(
                timeout=max(0.0, min(times) - time.monotonic()) if times else None
            )
        except queue.Empty:
            return None

    def _take(self, item: Item | None) -> None:
        """Turn an item into pending rows."""
        if isinstance(item, Recognition):
            rows = self._intervals.add(item)
            if not self._intervals.is_open:
                self._opened = None
            elif rows or self._opened is None:
                self._opened = time.monotonic()
            for row in rows:
                self._keep(row)
        elif isinstance(item, VitalReading) and not math.isfinite(item.value):
            self._dropped += 1
            log.warning(
                "a %s reading of %s was no number and is not recorded", item.kind, item.source
            )
        elif item is not None:
            self._keep(item.checked() if isinstance(item, VitalReading) else item)

    def _keep(self, row: Row) -> None:
        """Add a row to the batch, or count it as lost when memory is full too."""
        if len(self._pending) >= self._memory_rows:
            self._dropped += 1
            at = _instant_of(row)
            if at is not None:
                self._lost = (self._lost[0] if self._lost else at, at)
            return
        self._pending.append(row)
        self._urgent = self._urgent or isinstance(row, OutboxMessage)
        if self._pending_since is None:
            self._pending_since = time.monotonic()

    def _stale_at(self) -> float | None:
        """When the open interval counts as ended although no frame of the next one came."""
        if self._opened is None:
            return None
        return self._opened + self._interval_s + self._batch_seconds

    def _end_stale_interval(self) -> None:
        stale_at = self._stale_at()
        if stale_at is not None and time.monotonic() >= stale_at:
            self._opened = None
            for row in self._intervals.close():
                self._keep(row)

    def _commit_at(self) -> float | None:
        """When the batch is to be committed; ``None`` while there is none."""
        if self._pending_since is None:
            return None
        full = self._urgent or len(self._pending) >= self._batch_rows
        return max(self._next_try, self._pending_since + (0.0 if full else self._batch_seconds))

    def _is_due(self) -> bool:
        commit_at = self._commit_at()
        return commit_at is not None and time.monotonic() >= commit_at

    def _commit(self, connection: sqlite3.Connection) -> None:
        """Write what is pending.

        Keep it for the next attempt when the disk is full or the database locked.
        """
        while self._pending:
            # After a time without room there is more than a batch: in portions, so that a little
            # room helps, too.
            portion = self._pending[: max(self._batch_rows, _PORTION_ROWS)]
            try:
                with transaction(connection):
                    duplicates = self._write(connection, portion)
            except sqlite3.Error as error:
                self._failed(error)
                return
            self._duplicates += duplicates
            self._committed(len(portion))

    def _failed(self, error: sqlite3.Error) -> None:
        """Wait for the next attempt, or raise when waiting does not help."""
        self._boots.forget()
        failure = store_error(self._path, error)
        if error.sqlite_errorcode & 0xFF not in _PASSING:
            raise failure from error
        if self._last_error is None:
            log.error("recording waits in memory: %s", failure)
        self._last_error = failure
        self._next_try = time.monotonic() + self._retry_seconds

    def _committed(self, rows: int) -> None:
        """Begin the next batch."""
        if self._last_error is not None:
            log.info("recording goes on; %d rows waited", len(self._pending))
        self._last_error = None
        self._last_commit = clock.boot_seconds()
        self._pending = self._pending[rows:]
        if not self._pending:
            self._pending_since = None
            self._urgent = False
        if self._lost is not None:
            lost = self._lost
            self._lost = None
            self._keep(Gap("recorder", *lost, "not_written"))
        if self._on_commit is not None:
            self._on_commit()

    def _write(self, connection: sqlite3.Connection, rows: list[Row]) -> int:
        """Write rows inside the transaction; return how many readings were there already."""
        if self._only_in_sessions:
            rows = rows_in_sessions(connection, rows)
        erased = ErasedTimes(connection)
        expressions: list[tuple[ExpressionRow, int | None]] = []
        unfit: list[tuple[RejectedFrames, int | None]] = []
        vitals: list[tuple[VitalReading, int | None]] = []
        for row in rows:
            match row:
                case ExpressionRow():
                    expressions.append((row, self._boots.row_for(connection, row.at)))
                case RejectedFrames():
                    unfit.append((row, self._boots.row_for(connection, row.at)))
                case VitalReading():
                    # The boot clock of a reading that came with a time of its own is not known.
                    boot = self._boots.row_for(connection, row.at) if row.at.boot_ms else None
                    vitals.append((row, boot))
                case Gap():
                    write_gap(connection, row, self._boots.row_for(connection, row.end))
                case OutboxMessage():
                    if not speaks_of_erased(erased, row):
                        enqueue(connection, row, self._outbox_rows)
                case ModelUse():
                    write_model(connection, row)
        interval_ms = round(self._interval_s * 1000)
        write_expressions(connection, expressions, interval_ms, self._simulated)
        write_unfit(connection, unfit, interval_ms, self._simulated)
        return write_vitals(connection, vitals)[1]


def _instant_of(row: Row) -> Instant | None:
    """Return when a row of the timeline happened; messages have no instant."""
    match row:
        case ExpressionRow() | RejectedFrames() | VitalReading():
            return row.at
        case Gap():
            return row.end
        case _:
            return None
