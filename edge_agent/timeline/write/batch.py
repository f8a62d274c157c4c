"""Rows that wait in memory for their commit, and the writing of one batch of them.

Which rows may be kept is asked at the moment of writing, inside a transaction that the caller
holds. Rows that the database refuses are set aside with the reason, and the others are written.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import TypeVar

from edge_agent.config.data import RecorderOptions
from edge_agent.core.clock import Instant, boot_seconds, now
from edge_agent.core.electrocardiogram import EcgStretch
from edge_agent.core.expression import ExpressionRow, Recognition, RejectedFrames
from edge_agent.core.movements import MovementRow
from edge_agent.core.readings import STOPPED, Gap, VitalReading
from edge_agent.timeline.database.connection import insert
from edge_agent.timeline.database.salvages import is_salvaging
from edge_agent.timeline.write import inserts
from edge_agent.timeline.write.boots import BootRows, ClockCheck
from edge_agent.timeline.write.inserts import LastRow, ModelUse
from edge_agent.timeline.write.open_minutes import OpenMinutes
from edge_agent.timeline.write.outbox import ERASED, OutboxMessage, enqueue, leave_out
from edge_agent.timeline.write.redating import redate
from edge_agent.timeline.write.rollups import Tombstones

log = logging.getLogger(__name__)

Recorded = ExpressionRow | MovementRow | RejectedFrames | VitalReading | EcgStretch
Row = Recorded | Gap | OutboxMessage | ModelUse | ClockCheck

_PORTION_ROWS = 500
T = TypeVar("T")
# Boot clocks can be compared only within one start of the machine.
_SAME_START = (
    "{} IN (SELECT id FROM boot WHERE boot_id = (SELECT boot_id FROM boot WHERE id = :boot))"
)
KEEP = 1_000
_LONGEST = 100_000
"""Characters of a row that was set aside: all of them together take 100 MB at the most. Ten seconds
of an electrocardiogram take some 8,000.
"""
_LONGEST_REASON = 4_000
UNKNOWN_TIME = 0
BAD_ROW = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.ProgrammingError,
    sqlite3.InterfaceError,
    OverflowError,
    TypeError,
    ValueError,
)
"""Errors of a row that no table takes, however often it is tried."""


class PendingBatch:
    """Gathers rows until they are to be committed; for one thread.

    Args:
        options: how many rows, how long, and how much memory.
        clock: counts the seconds that rows wait.

    Example:
        >>> batch = PendingBatch(RecorderOptions(batch_rows=60))
        >>> batch.add(row)
        >>> if batch.is_due():
        ...     rows = batch.portion()
        ...     batch.remove_written(len(rows))
    """

    def __init__(self, options: RecorderOptions, clock: Callable[[], float] = boot_seconds) -> None:
        self._options = options
        self._clock = clock
        self._rows: list[Row] = []
        # Rows of movements come beside those of expressions and do not count: they would double the
        # number of commits, and each writes whole pages.
        self._counted = 0
        self._since: float | None = None  # when the oldest row came
        self._urgent = False
        self._next_try = 0.0
        self._lost = RefusedItems()

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def dropped(self) -> int:
        """Number of rows dropped since the start because memory was full."""
        return self._lost.count

    @property
    def waiting_s(self) -> float:
        """Seconds that the oldest row has waited; 0 when none waits."""
        return 0.0 if self._since is None else self._clock() - self._since

    def add(self, *rows: Row) -> None:
        """Add rows, or count them as lost when memory is full."""
        for row in rows:
            if len(self._rows) >= self._options.memory_rows:
                self._lost.add(lost_at(row))
                continue
            self._rows.append(row)
            self._counted += not isinstance(row, MovementRow)
            # A message is for somebody who waits: a summary, or that a session has begun. And
            # while the clock was just set, what people see has a wrong time.
            self._urgent = self._urgent or isinstance(row, OutboxMessage | ClockCheck)
            if self._since is None:
                self._since = self._clock()

    def commit_at(self) -> float | None:
        """Return the time by the clock at which to commit; ``None`` while no row waits."""
        if self._since is None:
            return None
        full = self._urgent or self._counted >= self._options.batch_rows
        wait_s = 0.0 if full else self._options.batch_seconds
        # The wait of a failed attempt counts also for a batch that is full.
        return max(self._next_try, self._since + wait_s)

    def is_due(self) -> bool:
        """Tell whether it is time to commit."""
        commit_at = self.commit_at()
        return commit_at is not None and self._clock() >= commit_at

    def portion(self) -> list[Row]:
        """Return the oldest rows, for one transaction.

        After a time without room on the disk there is more than a batch: in portions, so that a
        little room helps, too.
        """
        return self._rows[: max(self._options.batch_rows, _PORTION_ROWS)]

    def retry_later(self) -> None:
        """Keep all rows for another attempt after a failed one."""
        self._next_try = self._clock() + self._options.retry_seconds

    def remove_written(self, count: int) -> None:
        """Remove the ``count`` oldest rows, which are in the database now.

        A gap takes the place of rows that found no room: there is some again.
        """
        self._rows = self._rows[count:]
        self._counted = sum(not isinstance(row, MovementRow) for row in self._rows)
        if not self._rows:
            # Waiting time counts from the oldest row, which is still there unless none is left.
            self._since = None
            self._urgent = False
        gap = self._lost.take_gap()
        if gap is not None:
            self.add(gap)


class RefusedItems:
    """Counts dropped items, and remembers when they were dropped; for several threads.

    Example:
        >>> refused = RefusedItems()
        >>> refused.add(Instant(1_000, 1_700_000_001_000))
        >>> refused.count, refused.take_gap().reason
        (1, 'not_written')
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._gap: Gap | None = None

    @property
    def count(self) -> int:
        """Number of dropped items since the start."""
        return self._count

    def add(self, at: Instant | None) -> None:
        """Count an item dropped at ``at``; ``None``: it leaves no gap in the timeline.

        ``at`` is of the clocks of this machine (``lost_at``).
        """
        with self._lock:
            self._count += 1
            # One gap stands for all that was dropped since the last commit, in whatever order.
            if at is not None:
                first, last = (at, at) if self._gap is None else (self._gap.start, self._gap.end)
                self._gap = Gap("recorder", min(first, at), max(last, at), "not_written")

    def take_gap(self) -> Gap | None:
        """Return the gap in which items were dropped, and reset it."""
        with self._lock:
            gap = self._gap
            self._gap = None
        return gap


def lost_at(item: object) -> Instant | None:
    """Return when an item was lost, by our clocks; ``None``: it leaves no gap.

    A reading has the time of its sender, who may have kept it for minutes, or has another clock.
    """
    match item:
        case Recognition() | ExpressionRow() | MovementRow() | RejectedFrames() | EcgStretch():
            return item.at
        case VitalReading():
            return now()
        case Gap():
            return item.end
        case _:
            return None


def instant_of(row: Row) -> Instant | None:
    """Return when a row of the timeline happened; messages have no instant."""
    match row:
        case ExpressionRow() | MovementRow() | RejectedFrames() | VitalReading() | EcgStretch():
            return row.at
        case ClockCheck():
            return row.at
        case Gap():
            return row.end
        case _:
            return None


# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters


def rows_in_sessions(
    connection: sqlite3.Connection, rows: Sequence[tuple[Row, int | None]]
) -> list[tuple[Row, int | None]]:
    """Return the rows without faces and readings of a time outside sessions.

    A row's time is the end of its interval. It is asked when the row is written, some seconds
    later: nothing stays of what was seen after a session ended, although the camera looks away only
    at the next tick. Electrocardiograms are cut to the sessions.

    Args:
        connection: of the transaction.
        rows: each with its row of ``boot``.
    """
    kept: list[tuple[Row, int | None]] = []
    for row, boot in rows:
        if isinstance(row, EcgStretch):
            kept += [(part, boot) for part in _parts_in_sessions(connection, row, boot)]
        elif _may_stay(connection, row, boot):
            kept.append((row, boot))
    return kept


def _parts_in_sessions(
    connection: sqlite3.Connection, stretch: EcgStretch, boot: int | None
) -> Iterator[EcgStretch]:
    """Yield what of a stretch lies in each session, by the same clock as ``_may_stay``."""
    sessions = connection.execute(
        f"SELECT CASE WHEN {_SAME_START.format('boot')} THEN boot_ms - :boot_ms ELSE started - :at "
        "END AS first, CASE WHEN ended IS NULL THEN 0 WHEN "
        f"{_SAME_START.format('ended_boot')} THEN ended_boot_ms - :boot_ms ELSE ended - :at END AS "
        "last FROM session WHERE first <= 0 AND last >= -:length ORDER BY first",
        {
            "at": stretch.at.wall_ms,
            "boot_ms": stretch.at.boot_ms,
            "boot": boot,
            "length": round(1000 * stretch.seconds),
        },
    )
    for first, last in sessions.fetchall():
        part = stretch.within(first, min(0, last))
        if part is not None:
            yield part


def _may_stay(connection: sqlite3.Connection, row: object, boot: int | None) -> bool:
    """Tell whether a row lies in a session: by the boot clock where both have one.

    The wall clock may have stepped since the session began.
    """
    if not isinstance(row, Recorded):
        # Gaps, messages and models tell of the appliance, not of anybody's face or heart.
        return True
    session = connection.execute(
        # By the boot clock where row and session are of one start of the machine, else by the wall
        # clock; the same holds for the end.
        f"SELECT 1 FROM session WHERE CASE WHEN {_SAME_START.format('boot')} THEN boot_ms <= "
        ":boot_ms ELSE started <= :at END AND (ended IS NULL OR CASE WHEN "
        f"{_SAME_START.format('ended_boot')} THEN ended_boot_ms >= :boot_ms ELSE ended >= :at END)",
        {"at": row.at.wall_ms, "boot_ms": row.at.boot_ms, "boot": boot},
    )
    return session.fetchone() is not None


def summarises_erased_time(tombstones: Tombstones, message: OutboxMessage) -> bool:
    """Tell whether a message sums up a time that was erased."""
    window = (message.payload or {}).get("window")
    if not isinstance(window, Mapping):
        return False
    start, end = (
        round(1000 * datetime.fromisoformat(window[name]).timestamp()) for name in ("start", "end")
    )
    return tombstones.cover(start, end)


def set_aside(
    connection: sqlite3.Connection,
    at_ms: int | None,
    source: str,
    content: Mapping[str, object],
    reason: str,
) -> None:
    """Store a row that no table accepts, inside the caller's transaction; drop the oldest ones.

    What is longer than 100,000 characters is cut, and the reason says so.

    Args:
        connection: of the transaction.
        at_ms: when the row happened, for erasing it with its time; ``None``: not known.
        source: which table refused it.
        content: its values.
        reason: what the database says.
    """
    # ASCII alone: a lone half of a character pair could not be stored as UTF-8.
    text = json.dumps(content, default=repr, ensure_ascii=True)
    # SQLite holds whole numbers up to 2^63 - 1; a damaged row may give any.
    at = at_ms if isinstance(at_ms, int) and 0 <= at_ms < 1 << 62 else UNKNOWN_TIME
    reason = reason[:_LONGEST_REASON]
    if len(text) > _LONGEST:
        reason += f"; of {len(text):,} characters of its content the first {_LONGEST:,} are here"
    about = {"source": source, "content": text[:_LONGEST], "reason": reason}
    newest = insert(connection, "set_aside", at=at, **about)
    # Numbers rise by one, so that the bound needs no counting of rows.
    connection.execute("DELETE FROM set_aside WHERE id <= ?", (newest - KEEP,))


class BatchWriter:
    """Writes rows of all kinds, except those that may not be kept.

    If the clock was set meanwhile, earlier rows are moved first.

    Args:
        options: of the recorder.

    Attributes:
        has_wrong_times: whether there are rows left that are to be moved, in another transaction.
    """

    def __init__(self, options: RecorderOptions) -> None:
        self._options = options
        self._started: Instant | None = None
        self._last: LastRow | None = None  # before the start; None: its outage is written
        self._written: LastRow | None = None  # whose outage is in the transaction of now
        self._minutes = OpenMinutes()
        self.has_wrong_times = False

    def forget(self) -> None:
        """Discard what is remembered of the last transaction, which was rolled back."""
        self._last = self._last or self._written
        self._minutes.forget()

    @property
    def has_open_minutes(self) -> bool:
        """Tell whether rows wait for the end of their minute to be rolled up."""
        return bool(self._minutes)

    def close_minutes(self, connection: sqlite3.Connection) -> None:
        """Roll up the minutes that go on, for nothing follows."""
        # While a salvage carries rows over, nobody knows what their rollups count.
        if not is_salvaging(connection):
            self._minutes.begin(connection)
            self._minutes.close(connection)

    def write(self, connection: sqlite3.Connection, rows: Sequence[Row]) -> int:
        """Write rows; return how many readings were duplicates (same kind, source and time)."""
        self._written = None
        # The clocks first: rows get their corrected time from what is found.
        self._look_at_clock(connection, rows)
        boots = BootRows(connection)
        placed = [_place(boots, row) for row in rows]
        if self._options.only_in_sessions:
            placed = rows_in_sessions(connection, placed)
        # Read in the same transaction: an erasure is either in it or comes after these rows.
        tombstones = Tombstones(connection)
        for row, boot in placed:
            match row:
                case Gap() if row.reason == STOPPED:
                    within = self._options.only_in_sessions
                    inserts.write_standstill(connection, row, boot, only_in_sessions=within)
                case Gap():
                    inserts.write_gap(connection, row, boot)
                case OutboxMessage():
                    if summarises_erased_time(tombstones, row):
                        leave_out(connection, row, ERASED)
                    else:
                        enqueue(connection, row, self._options.outbox_rows)
                case ModelUse():
                    inserts.write_model(connection, row)
        interval_ms = round(self._options.interval * 1000)
        simulated = self._options.simulated
        # A salvage adds the rollups that it carries over to those that it finds.
        minutes = None if is_salvaging(connection) else self._minutes
        if minutes is not None:
            minutes.begin(connection)
        inserts.write_expressions(
            connection,
            _of_kind(placed, ExpressionRow),
            interval_ms,
            simulated,
            open_minutes=minutes,
        )
        inserts.write_movements(connection, _of_kind(placed, MovementRow), interval_ms, simulated)
        inserts.write_rejected_frames(
            connection, _of_kind(placed, RejectedFrames), interval_ms, simulated
        )
        inserts.write_ecg(connection, _of_kind(placed, EcgStretch))
        if minutes is not None:
            times = [row.at.wall_ms for row, _ in placed if isinstance(row, Recorded)]
            minutes.close(connection, max(times, default=0))
        return inserts.write_vitals(connection, _of_kind(placed, VitalReading)).count(False)

    def write_each(self, connection: sqlite3.Connection, rows: Sequence[Row]) -> tuple[int, int]:
        """Write rows one by one; set aside those that the database refuses.

        Returns:
            How many readings were there already, and how many rows were set aside.
        """
        duplicates = 0
        refused = 0
        for row in rows:
            # A savepoint each: one bad row must not take the others back with it.
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
                self._last = inserts.last_row(connection)
        boots = BootRows(connection)
        for row in rows:
            if isinstance(row, ClockCheck) and row.at is not None:
                # Checks carry both clocks; any other row only needs the stretch of its own time.
                boots.begin_if_clocks_moved(row.at)
            else:
                _place(boots, row)
        boots.look_in_doubt()
        boots.confirm()
        checks = any(isinstance(row, ClockCheck) for row in rows)
        if is_salvaging(connection):  # rows of before are still to come: they are moved together
            self.has_wrong_times = False
        elif checks or self.has_wrong_times or boots.wrong() is not None:
            self.has_wrong_times = redate(connection)
        last = self._last
        only_in_sessions = self._options.only_in_sessions
        # Without a check nothing new is known of the clock: the answer would be the same as before.
        if last is None or self._started is None or not checks:
            return
        if inserts.write_outage(connection, last, self._started, only_in_sessions=only_in_sessions):
            self._written = last
            self._last = None


def _of_kind(placed: Sequence[tuple[Row, int | None]], kind: type[T]) -> list[tuple[T, int | None]]:
    return [(row, boot) for row, boot in placed if isinstance(row, kind)]


def _place(boots: BootRows, row: Row) -> tuple[Row, int | None]:
    """Return a row with its time as is known today, and the row of ``boot`` of that time.

    ``None`` for what came with a time of its own, whose boot clock is not known, and for messages.
    """
    at = instant_of(row)
    if at is None or not at.boot_ms:
        return row, None
    boot, known = boots.place(at)
    match row:
        case ExpressionRow() | MovementRow() | RejectedFrames() | VitalReading() | EcgStretch():
            return replace(row, at=known), boot
        case Gap():
            return replace(row, end=known), boot
        case _:
            return row, boot


def _keep_refused(connection: sqlite3.Connection, row: Row, error: Exception) -> None:
    """Set a row aside, unless it is of a time that was erased."""
    at_ms = None
    # A refused row goes into a table that an erasure reads by time, so that it must be judged here,
    # too.
    instant = instant_of(row)
    if instant is not None:
        at_ms = instant.wall_ms
        if Tombstones(connection).cover(at_ms, at_ms):
            return
    set_aside(connection, at_ms, type(row).__name__, asdict(row), str(error))
