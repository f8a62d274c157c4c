"""The rows that wait in memory for their commit: when it is due, and which rows found no room."""

from __future__ import annotations

import threading
from collections.abc import Callable

from edge_agent.core.clock import Instant, boot_seconds
from edge_agent.core.expression import ExpressionRow, RejectedFrames
from edge_agent.core.gaps import Gap
from edge_agent.core.readings import VitalReading
from edge_agent.store.write.clocks.boots import ClockCheck
from edge_agent.store.write.outbox import OutboxMessage
from edge_agent.store.write.recorder_options import RecorderOptions
from edge_agent.store.write.timeline import ModelUse

Row = ExpressionRow | RejectedFrames | VitalReading | Gap | OutboxMessage | ModelUse | ClockCheck

_PORTION_ROWS = 500


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
        ...     batch.committed(len(rows))
    """

    def __init__(self, options: RecorderOptions, clock: Callable[[], float] = boot_seconds) -> None:
        self._options = options
        self._clock = clock
        self._rows: list[Row] = []
        self._since: float | None = None  # when the oldest row came
        self._urgent = False
        self._next_try = 0.0
        # first and last row that found no room since the last commit
        self._lost: tuple[Instant, Instant] | None = None
        self._dropped = 0

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def dropped(self) -> int:
        """Rows since the start for which there was no room in memory."""
        return self._dropped

    @property
    def waiting_s(self) -> float:
        """Seconds that the oldest row has waited; 0 when none waits."""
        since = self._since
        if since is None:
            return 0.0
        return max(0.0, self._clock() - since)

    def add(self, row: Row) -> None:
        """Add a row, or count it as lost when memory is full."""
        if len(self._rows) >= self._options.memory_rows:
            self._lose(row)
            return
        self._rows.append(row)
        # A message is for somebody who waits: a summary, or that a session has begun. And while
        # the clock was just set, what people see has a wrong time.
        self._urgent = self._urgent or isinstance(row, OutboxMessage | ClockCheck)
        if self._since is None:
            self._since = self._clock()

    def commit_at(self) -> float | None:
        """Return the time by the clock at which to commit; ``None`` while no row waits."""
        if self._since is None:
            return None
        full = self._urgent or len(self._rows) >= self._options.batch_rows
        if full:
            wanted = self._since
        else:
            wanted = self._since + self._options.batch_seconds
        return max(self._next_try, wanted)

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

    def committed(self, count: int) -> None:
        """Remove the ``count`` oldest rows, which are in the database now.

        A gap takes the place of rows that found no room: there is some again.
        """
        self._rows = self._rows[count:]
        if not self._rows:
            self._since = None
            self._urgent = False
        if self._lost is not None:
            first, last = self._lost
            self._lost = None
            self.add(Gap("recorder", first, last, "not_written"))

    def _lose(self, row: Row) -> None:
        """Count a row for which there is no room, and remember when it was."""
        self._dropped += 1
        at = instant_of(row)
        if at is None:
            return
        first = at
        if self._lost is not None:
            first = self._lost[0]
        self._lost = (first, at)


class RefusedItems:
    """Counts what found no room in a queue, and remembers when that was; for several threads.

    Example:
        >>> refused = RefusedItems()
        >>> refused.note(Instant(1_000, 1_700_000_001_000))
        >>> refused.count, refused.take_gap().reason
        (1, 'not_written')
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._gap: Gap | None = None

    @property
    def count(self) -> int:
        """How many since the start."""
        return self._count

    def note(self, at: Instant | None) -> None:
        """Count one; ``at`` is when it happened, ``None`` for what leaves no gap."""
        with self._lock:
            self._count += 1
            if at is not None:
                first = at if self._gap is None else self._gap.start
                self._gap = Gap("recorder", first, at, "not_written")

    def take_gap(self) -> Gap | None:
        """Return the time in which there was no room, once."""
        with self._lock:
            gap = self._gap
            self._gap = None
        return gap


def instant_of(row: Row) -> Instant | None:
    """Return when a row of the timeline happened; messages have no instant."""
    match row:
        case ExpressionRow() | RejectedFrames() | VitalReading() | ClockCheck():
            return row.at
        case Gap():
            return row.end
        case _:
            return None
