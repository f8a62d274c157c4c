"""The writer of all that is measured: a thread that gathers rows and commits them in batches.

Frames become one expression row for each track and recording interval. ``timeline.salvage`` rescues
the database of the recorder.
"""

from __future__ import annotations

import logging
import math
import sqlite3
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Protocol

from edge_agent.config.data import RecorderOptions
from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.electrocardiogram import EcgStretch
from edge_agent.core.errors import CameraReason, DamageError, StoreError
from edge_agent.core.expression import (
    EMOTIONS,
    Attribution,
    Expression,
    ExpressionRow,
    Observation,
    Recognition,
    RejectedFrames,
    RejectReason,
)
from edge_agent.core.movements import MOVEMENTS, NAMES, WITHDRAWN, MovementRow
from edge_agent.core.readings import Gap, VitalReading
from edge_agent.core.threads import Worker
from edge_agent.timeline.database.connection import transaction
from edge_agent.timeline.database.files import code_of, is_damage, is_read_only, translated
from edge_agent.timeline.database.followed_file import OpenFile, open_database
from edge_agent.timeline.database.schema import NO_PRIOR
from edge_agent.timeline.write.batch import (
    BAD_ROW,
    BatchWriter,
    PendingBatch,
    RefusedItems,
    lost_at,
)
from edge_agent.timeline.write.batch import Row as PendingRow
from edge_agent.timeline.write.boots import ClockCheck
from edge_agent.timeline.write.inserts import ModelUse
from edge_agent.timeline.write.outbox import OutboxMessage

log = logging.getLogger(__name__)
NO_FACE_SECONDS = 3.0
WATCH_S = 5.0
"""How often an idle recorder looks whether its file is still in its place."""
_QUEUE_ITEMS = 4_000  # some minutes of frames, in case the card is slow
_GATHERED = (Recognition, VitalReading, EcgStretch)
GATHER_S = 1.0
"""Frames and readings wait so long at the most before they are looked at, many at once.

Each would otherwise wake the thread, which has nothing to write before a batch is due.
"""
# Errors that pass by themselves: the disk is full, the database is locked, the card is busy.
_PASSING = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
}


class MovedError(StoreError):
    """The open file is no longer the one at the path."""


class DatabaseKeeper(Protocol):
    """Replaces a database that cannot be written to any more."""

    @property
    def reported(self) -> str | None:
        """The damage that a reader met; ``None``: none."""

    def find_damage(self, *, quick: bool = False) -> str | None:
        """Return the damage of the database; ``None`` if none was found.

        A ``quick`` look reads the list of tables and the newest rows, as a reader would.
        """

    def replace(self, cause: str) -> None:
        """Set a damaged database aside, and put a new one in its place.

        Raises:
            StoreError: it cannot be done now.
        """

    def follow(self, file: OpenFile, connection: sqlite3.Connection | None) -> bool:
        """Restore a database at the path of one that was deleted, moved or replaced.

        ``connection`` is ``None`` where the file is held and not opened. Return whether everything
        of the old file is, or will be, in the new one.

        Raises:
            StoreError: it cannot be done now.
        """


Row = ExpressionRow | MovementRow | RejectedFrames


class _Whose:
    """Counts the frames of a track by whether they are the participant's, and by which evidence."""

    def __init__(self) -> None:
        self.frames = 0
        self.primary = 0
        self._evidence: Counter[Attribution] = Counter()

    def add(self, observation: Observation) -> None:
        self.frames += 1
        self.primary += observation.primary
        if observation.attribution is not None:
            self._evidence[observation.attribution] += 1

    @property
    def is_primary(self) -> bool:
        # A face may gain or lose the first place within an interval: the majority decides.
        return 2 * self.primary > self.frames

    @property
    def attribution(self) -> Attribution | None:
        """The evidence of most of the frames; of as many the weaker one."""
        unknown = self._evidence[Attribution.UNKNOWN]
        if self.is_primary:
            known = [one for one in reversed(Attribution) if one is not Attribution.UNKNOWN]
            best = max(known, key=self._evidence.__getitem__)
            return best if self._evidence[best] else None
        if unknown and 2 * (self.primary + unknown) > self.frames:
            return Attribution.UNKNOWN
        return None


class _Track:
    """Sums over the frames of one track in the present interval.

    Frames that could not be read are counted by reason.
    """

    def __init__(self) -> None:
        self.frames = 0
        self.whose = _Whose()
        self.raw = [0.0] * len(EMOTIONS)
        self.face_size = 0.0
        self.quality = 0.0
        self.last: Observation | None = None
        self.moved = 0
        self.moved_whose = _Whose()
        self.posed = 0
        self.movements = [0.0] * len(NAMES)
        self.rejected: dict[RejectReason, _Whose] = {}

    def add(self, observation: Observation) -> None:
        self._add_movements(observation)
        if observation.reject_reason is not None:
            # Of frames that could not be read nothing else enters the means.
            self.rejected.setdefault(observation.reject_reason, _Whose()).add(observation)
            return
        self.frames += 1
        self.whose.add(observation)
        self.raw = [
            total + p for total, p in zip(self.raw, observation.raw.probabilities, strict=True)
        ]
        self.face_size += observation.face.box.height
        self.quality += observation.quality
        self.last = observation

    def _add_movements(self, observation: Observation) -> None:
        moved = observation.movements
        if moved is None:
            return
        self.moved += 1
        self.posed += moved.only_pose
        self.moved_whose.add(observation)
        told = moved.as_dict()
        pairs = zip(self.movements, NAMES, strict=True)
        self.movements = [total + told.get(name, 0.0) for total, name in pairs]

    def rows(self, track: int, at: Instant) -> list[Row]:
        rejected = (
            RejectedFrames(at, track, reason, one.frames, one.is_primary, one.attribution)
            for reason, one in self.rejected.items()
        )
        if self.last is None:
            return [*self._movements(track, at), *rejected]
        read = ExpressionRow(
            at=at,
            track=track,
            frames=self.frames,
            mean=Expression(tuple(total / self.frames for total in self.raw)),
            # Smoothed values are a state and no measurement: the last one is the one at the end.
            smoothed=self.last.smoothed,
            emotion=self.last.emotion,
            face_size=self.face_size / self.frames,
            quality=self.quality / self.frames,
            primary=self.whose.is_primary,
            attribution=self.whose.attribution,
        )
        return [read, *self._movements(track, at), *rejected]

    def _movements(self, track: int, at: Instant) -> list[MovementRow]:
        if not self.moved:
            return []
        pairs = zip(self.movements, map(self._count, NAMES), strict=True)
        mean = tuple(total / count if count else None for total, count in pairs)
        # Fewer frames may have movements than expressions, so that they have a count of their own.
        whose = self.moved_whose
        return [
            MovementRow(
                at, track, self.moved, mean, whose.is_primary, attribution=whose.attribution
            )
        ]

    def _count(self, name: str) -> int:
        """Return in how many readings a movement, an angle or a direction was told."""
        if name in WITHDRAWN:
            return 0
        # Strengths are told of fewer readings than pose and look.
        return self.moved - self.posed * (name in MOVEMENTS)


class Intervals:
    """Gathers the frames of one camera by the boot clock.

    Args:
        interval_s: length of a row; 0 gives a row for every frame.
    """

    def __init__(self, interval_s: float) -> None:
        self._length = round(interval_s * 1000)
        self._tracks: dict[int, _Track] = {}
        self._last: Instant | None = None
        self._no_face_since: Instant | None = None
        self._is_blank = False

    @property
    def is_open(self) -> bool:
        """Whether frames wait for the end of their interval."""
        return bool(self._tracks)

    def add(self, recognition: Recognition) -> list[Row | Gap]:
        """Add a frame; return the rows that it completes.

        They are those of the interval that it ended, and a gap where a time without faces ended.
        """
        done: list[Row | Gap] = []
        # By the number of the interval and not by its length: rows of all tracks end at the same
        # moments.
        if self._tracks and self._number(recognition.at) != self._number(self._last):
            done += self.close()
        done += self._note_faces(recognition)
        for observation in recognition.observations:
            self._tracks.setdefault(observation.track, _Track()).add(observation)
        self._last = recognition.at
        if self._length == 0:
            done += self.close(partial=True)
        return done

    def close(self, *, partial: bool = False) -> list[Row]:
        """End the present interval and return its rows.

        Args:
            partial: stamp the rows with the last frame instead of the interval's end, for there may
                be none later.
        """
        if not self._tracks or self._last is None:
            return []
        at = self._last
        if self._length and not partial:
            # To the end of the interval, so that rows are one interval apart whatever the frame
            # rate.
            at = at.shift((self._length - at.boot_ms % self._length) / 1000)
        rows = [row for track, gathered in self._tracks.items() for row in gathered.rows(track, at)]
        self._tracks = {}
        return rows

    def finish(self) -> list[Row | Gap]:
        """Return the rows that are still open at the end of recording."""
        # Up to the last frame only: nobody knows what came after it.
        gap = [] if self._last is None else self._gap_until(self._last)
        self._no_face_since = None
        return [*self.close(partial=True), *gap]

    def _number(self, at: Instant | None) -> int:
        return -1 if at is None or self._length == 0 else at.boot_ms // self._length

    def _note_faces(self, recognition: Recognition) -> list[Gap]:
        """Follow whether faces are seen; a time without any becomes a gap when it ends."""
        gap: list[Gap] = []
        last = self._last
        paused = last is not None and recognition.at.seconds_since(last) > NO_FACE_SECONDS
        # A moment without light belongs to the time without faces around it.
        is_other = recognition.is_blank is not self._is_blank
        if last is not None and (paused or is_other or recognition.observations):
            # Without frames nothing is known: a pause of the camera is no time without faces.
            gap = self._gap_until(last if paused else recognition.at)
            if gap or paused or recognition.observations:
                self._no_face_since = None
        if not recognition.observations:
            self._no_face_since = self._no_face_since or recognition.at
            self._is_blank = recognition.is_blank
        return gap

    def _gap_until(self, end: Instant) -> list[Gap]:
        # A face that turns away for a moment is no gap.
        since = self._no_face_since
        if since is None or end.seconds_since(since) < NO_FACE_SECONDS:
            return []
        reason = CameraReason.LENS_COVERED.value if self._is_blank else "no_face"
        return [Gap("camera", since, end, reason)]


Item = Recognition | VitalReading | Gap | OutboxMessage | ModelUse | ClockCheck | EcgStretch


class Arrivals:
    """Items that wait for the recorder: any thread adds them, one takes them.

    Frames and readings are gathered: while they come, the thread wakes once in ``GATHER_S``, or in
    the longest time between two commits if that is shorter. All else wakes it, and so do as many
    items as a batch has rows.

    Args:
        most: items that may wait.
        options: size and time of a batch.

    Attributes:
        is_woken: whether the thread looks now, and does not wait for more.

    Example:
        >>> arrivals = Arrivals(1, RecorderOptions())
        >>> arrivals.put(reading), arrivals.put(reading), len(arrivals)
        (True, False, 1)
    """

    def __init__(self, most: int, options: RecorderOptions) -> None:
        self._most = most
        self._many = options.batch_rows
        self._gather_s = min(GATHER_S, options.batch_seconds)
        self._items: deque[Item] = deque()
        self._changed = threading.Condition()
        self.is_woken = False
        self._gathers = False  # whether frames or readings have come since the last wait
        self._looks_at = 0.0  # boot time when the thread looks by itself

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: Item) -> bool:
        """Add an item, and wake the thread if it cannot wait; return ``False`` if it is full."""
        with self._changed:
            if len(self._items) >= self._most:
                return False
            self._items.append(item)
            soon = self._looks_at <= clock.boot_seconds() + self._gather_s
            if not (isinstance(item, _GATHERED) and soon and len(self._items) < self._many):
                self._wake()
        return True

    def wake(self) -> None:
        """End the wait of the thread, or the next one."""
        with self._changed:
            self._wake()

    def take(self, until_s: float) -> Item | None:
        """Return the next item; ``None``: none came until this boot time, or it was woken."""
        with self._changed:
            if not self._items:
                if self._gathers:
                    until_s = min(until_s, clock.boot_seconds() + self._gather_s)
                self._gathers = False
                self._wait(until_s)
            self.is_woken = False
            if not self._items:
                return None
            item = self._items.popleft()
            self._gathers = self._gathers or isinstance(item, _GATHERED)
            return item

    def _wake(self) -> None:
        self.is_woken = True
        self._changed.notify()

    def _wait(self, until_s: float) -> None:
        self._looks_at = until_s
        left_s = until_s - clock.boot_seconds()
        self._changed.wait_for(lambda: self.is_woken, None if until_s == math.inf else left_s)


class Unstored(NamedTuple):
    """Why nothing is stored.

    Attributes:
        since: when the oldest row came that is not in the database.
        error: of the last commit, with what to do.
    """

    since: Instant
    error: StoreError


class Recorder(Worker):
    """Writes the timeline.

    A batch is committed after ``batch_rows`` rows or ``batch_seconds`` seconds, whichever is first,
    and at once with an ``OutboxMessage``; a power cut costs one batch at the most. While the disk
    is full or the database is locked, rows wait in memory, the commit is retried every
    ``retry_seconds``, and ``last_error`` says why. Beyond ``memory_rows`` waiting rows, new ones
    are dropped and counted, and a ``gap`` row says when.

    Args:
        path: the database, already migrated.
        options: how rows are gathered, marked and kept.
        safe: rescues a database that is damaged, deleted or moved; without one, such a database
            ends this worker.
        on_commit: called in this thread after each commit.

    Attributes:
        duplicates: readings since the start that were in the database already (same kind, source,
            time and value), and were not written again.
        set_aside: rows since the start that no table took; they are in the table ``set_aside``.
        unstored: since when rows wait because the last commit failed, and why; ``None`` when it
            did not.
        last_commit_boot_s: boot clock of the last commit in seconds; ``None`` before the first.

    Example:
        >>> recorder = Recorder(path, RecorderOptions(batch_seconds=2.0))
        >>> recorder.start()
        >>> recorder.submit(reading)
        >>> recorder.stop()
        >>> recorder.join()
    """

    def __init__(
        self,
        path: Path,
        options: RecorderOptions | None = None,
        *,
        safe: DatabaseKeeper | None = None,
        on_commit: Callable[[], None] | None = None,
    ) -> None:
        super().__init__("recorder")
        self._path = path
        self._options = options or RecorderOptions()
        self._safe = safe
        self._on_commit = on_commit
        self._connection: sqlite3.Connection | None = None
        self._file: OpenFile | None = None
        self._next_look = clock.boot_seconds() + WATCH_S

        self._arrivals = Arrivals(_QUEUE_ITEMS, self._options)
        self._intervals = Intervals(self._options.interval)
        self._opened: float | None = None  # when the present interval got its first frame
        self._batch = PendingBatch(self._options)
        self._writer = BatchWriter(self._options)
        self._refused = RefusedItems()
        self.duplicates = 0
        self.set_aside = 0
        self.unstored: Unstored | None = None
        self.last_commit_boot_s: float | None = None

    @property
    def last_error(self) -> StoreError | None:
        """Why the last commit failed; ``None`` when it did not."""
        unstored = self.unstored
        return None if unstored is None else unstored.error

    @property
    def queue_depth(self) -> int:
        """Items that wait: submitted or gathered, not yet committed."""
        return len(self._arrivals) + len(self._batch)

    @property
    def dropped(self) -> int:
        """Items lost since the start: no room in memory either, or a value that is no number."""
        return self._refused.count + self._batch.dropped

    @property
    def waiting_s(self) -> float:
        """Seconds that the oldest row has waited for its commit; 0 when none waits."""
        return self._batch.waiting_s

    def submit(
        self, item: Recognition | VitalReading | Gap | OutboxMessage | ClockCheck | EcgStretch
    ) -> None:
        """Submit what is to be recorded, from any thread; never blocks.

        A ``ClockCheck`` is no row: where the clock was set, it moves those of before.
        """
        self._enqueue(item)

    def record_model(
        self, kind: str, name: str, version: str, sha256: str, prior: str = NO_PRIOR
    ) -> None:
        """Record the model file used from now on; the same one again writes nothing.

        A classifier with another ``prior`` is another use of it.
        """
        at = clock.now()
        self._enqueue(ModelUse(kind, name, version, sha256, at.wall_ms, at.boot_ms, prior))

    def stop(self) -> None:
        """Ask the thread to write what it has and to end; ``join`` waits for it."""
        super().stop()
        self._arrivals.wake()

    def work(self) -> None:
        """Record until stopped, then write the rest."""
        if self._safe is None:  # nobody can help with a database that is missing
            self._opened_database()
        try:
            # The queue is emptied first: what was submitted before the stop is recorded.
            while not (self.stopping.is_set() and not len(self._arrivals)):
                self._add_item(self._next())
                self._note_refused()
                self._end_stale_interval()
                self._watch()
                if self._batch.is_due():
                    self._commit()
            self._note_refused()
            self._batch.add(*self._intervals.finish())
            self._commit()
            self._close_minutes()
        finally:
            self._close_database()
        if self._batch:
            log.error("%d rows could not be written before the end", len(self._batch))

    def _enqueue(self, item: Item) -> None:
        if not self._arrivals.put(item):
            self._refused.add(lost_at(item))

    def _note_refused(self) -> None:
        """Add a gap for the time in which the queue was full."""
        gap = self._refused.take_gap()
        if gap is not None:
            self._batch.add(gap)

    def _next(self) -> Item | None:
        """Return the next item, or ``None`` when the batch must be checked."""
        look_at = self._next_look if self._safe is not None else None
        # The earliest of all reasons to wake: a commit, an interval that ends, a look at the file.
        wanted = (self._batch.commit_at(), self._stale_at(), look_at)
        return self._arrivals.take(min((at for at in wanted if at is not None), default=math.inf))

    def _add_item(self, item: Item | None) -> None:
        """Turn an item into pending rows."""
        if isinstance(item, Recognition):
            rows = self._intervals.add(item)
            if not self._intervals.is_open:
                self._opened = None
            # A frame that ended an interval has begun the next.
            elif rows or self._opened is None:
                self._opened = clock.boot_seconds()
            self._batch.add(*rows)
        elif isinstance(item, VitalReading):
            # A value that is no number would make every mean over it none.
            if math.isfinite(item.value):
                self._batch.add(item.flag_implausible())
                return
            self._refused.add(None)
            told = "a %s reading of %s was no number and is not recorded"
            log.warning(told, item.kind, item.source)
        elif item is not None:
            self._batch.add(item)

    def _stale_at(self) -> float | None:
        """Boot time in seconds at which the open interval ends if no further frame arrives."""
        wait_s = self._options.interval + self._options.batch_seconds
        return None if self._opened is None else self._opened + wait_s

    def _end_stale_interval(self) -> None:
        stale_at = self._stale_at()
        if stale_at is not None and clock.boot_seconds() >= stale_at:
            self._opened = None
            self._batch.add(*self._intervals.close())

    def _watch(self) -> None:
        """Check at intervals whether the open file is still the one at the path, and undamaged."""
        if self._safe is None or clock.boot_seconds() < self._next_look:
            return
        self._next_look = clock.boot_seconds() + WATCH_S
        try:
            if self._file is not None and not self._in_place:
                self._follow()
            elif self._file is not None and self._file.is_empty:
                self._replace("its file was emptied")
            elif self._connection is not None:
                # An open connection does not read the list of tables again; every reader does.
                cause = self._safe.reported or self._safe.find_damage(quick=True)
                if cause is not None:
                    self._replace(cause)
        except (StoreError, sqlite3.Error) as error:
            self._wait(translated(self._path, error))

    def _commit(self) -> None:
        """Write the pending rows.

        Keep it for the next attempt when the disk is full or the database locked.
        """
        # Portion by portion, each in its own transaction, until nothing waits.
        while self._batch:
            rows = self._batch.portion()
            try:
                duplicates = self._write(rows)
            except (sqlite3.Error, StoreError) as error:
                if not self._handle_error(error):
                    return
            # Counted only now: a transaction that was rolled back is written again.
            else:
                self.duplicates += duplicates
                self._begin_next_batch(len(rows))
                # Times are corrected in portions, so that new rows are written in between.
                if self._writer.has_wrong_times:
                    self._batch.add(ClockCheck(at=None))

    def _close_minutes(self) -> None:
        """Roll up the last minute; where that fails, the next start does it."""
        if self.unstored is not None or not self._writer.has_open_minutes:
            return
        try:
            connection = self._opened_database()
            with transaction(connection):
                self._writer.close_minutes(connection)
                self._prove_place()
        except (sqlite3.Error, StoreError) as error:
            log.warning("the last minute is rolled up at the next start: %s", error)

    def _write(self, rows: Sequence[PendingRow]) -> int:
        """Write rows in one transaction, and check that they are in the file at the path."""
        connection = self._opened_database()
        try:
            with transaction(connection):
                duplicates = self._writer.write(connection, rows)
                self._prove_place()
        # One bad row rolled all back: once more, each for itself.
        except BAD_ROW as error:
            if isinstance(error, sqlite3.Error) and is_damage(error):
                raise
            if isinstance(error, UnicodeDecodeError):  # SQLite quotes a damaged list of tables
                raise DamageError(f"{self._path}: its list of tables is damaged.") from error
            self._writer.forget()
            with transaction(connection):
                duplicates, refused = self._writer.write_each(connection, rows)
                self._prove_place()
            self.set_aside += refused
        # Looked at once more behind the commit: the file may have gone between the check and it.
        if self._safe is not None and not self._in_place and not self._follow():
            raise MovedError("the rows went into a file that is no longer in its place")
        return duplicates

    @property
    def _in_place(self) -> bool:
        return self._file is not None and self._file.is_in_place

    def _prove_place(self) -> None:
        """Raise before the commit if the open file is no longer the one at the path."""
        if self._safe is None or self._file is None:
            return
        if not self._in_place:
            raise MovedError(f"{self._path}: is no longer the file that was opened.")
        if self._file.is_empty:
            raise DamageError(f"{self._path}: was emptied by another program.")

    def _handle_error(self, error: sqlite3.Error | StoreError) -> bool:
        """Return whether to retry at once.

        Without a ``DatabaseKeeper``, an error that waiting cannot solve is raised.
        """
        self._writer.forget()
        failure = translated(self._path, error)
        if is_read_only(error) and (self._safe is None or self._in_place):
            self._disconnect()  # a new connection may write again once the card lets it
        if self._safe is None:
            if code_of(error) not in _PASSING:
                raise failure from error
            self._wait(failure)
            return False
        try:
            return self._rescue(failure)
        except (StoreError, sqlite3.Error) as second:
            self._wait(translated(self._path, second))
            return False

    def _rescue(self, failure: StoreError) -> bool:
        """Bring the database into a state in which it can be written to."""
        assert self._safe is not None
        if self._file is not None and not self._in_place:
            self._follow()
            return True
        if isinstance(failure, MovedError):
            return True
        cause = str(failure) if isinstance(failure, DamageError) else self._safe.find_damage()
        if cause is None and self._path.exists():
            self._wait(failure)
            return False
        self._replace(cause or "its file is gone")
        return True

    def _follow(self) -> bool:
        """Continue in an existing file; return whether the rows of the old one are carried over."""
        assert self._safe is not None
        assert self._file is not None
        carried = self._safe.follow(self._file, self._connection)
        # Closed only now: ``follow`` writes the log into the moved file through this connection.
        self._close_database()
        return carried

    def _replace(self, cause: str) -> None:
        """Continue in a new database with the readable rows of the damaged one."""
        assert self._safe is not None
        if self._file is not None and not self._in_place:  # it went while it was looked at
            self._follow()
            return
        self._safe.replace(cause)
        # Only now: closed in its place, SQLite would write its log into the damaged file.
        self._close_database()
        with suppress(OSError):  # held also where the disk does not let it be opened yet
            self._file = OpenFile(self._path)

    def _wait(self, failure: StoreError) -> None:
        """Keep the rows in memory until the next attempt."""
        # Said once, and not at every attempt.
        if self.unstored is None:
            log.error("recording waits in memory: %s", failure)
            since = clock.now().shift(-self._batch.waiting_s)
        else:
            since = self.unstored.since
        self.unstored = Unstored(since, failure)
        self._batch.retry_later()

    def _begin_next_batch(self, rows: int) -> None:
        """Begin the next batch."""
        if self.unstored is not None:
            log.info("recording goes on; %d rows waited", len(self._batch))
        self.unstored = None
        self.last_commit_boot_s = clock.boot_seconds()
        self._batch.remove_written(rows)
        if self._on_commit is not None:
            self._on_commit()

    def _opened_database(self) -> sqlite3.Connection:
        if self._connection is None:
            # A connection that was closed for an error must not be opened to another file
            # unnoticed.
            self._prove_place()
            opened = open_database(self._path, max_bytes=self._options.max_bytes)
            self._close_database()
            self._connection = opened.connection
            self._file = opened.file
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _close_database(self) -> None:
        self._disconnect()
        if self._file is not None:
            self._file.close()
            self._file = None
