"""The thread that feeds the streams, and finds new markers and sessions in the database.

It does not matter whether a page, a program or a protocol has set them.
"""

from __future__ import annotations

import json
import logging
import queue
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from edge_agent.core import clock
from edge_agent.core.clock import Every, Instant
from edge_agent.core.errors import StoreError
from edge_agent.core.expression import Recognition
from edge_agent.core.files import replace_file
from edge_agent.core.readings import VitalReading
from edge_agent.core.threads import RestartingWorker
from edge_agent.core.vitals import VitalKind
from edge_agent.lsl.streams import EventStream, ExpressionSample, StreamOptions, Streams
from edge_agent.timeline.database.connection import read_transaction

log = logging.getLogger(__name__)

SEEN_NAME = "lsl-seen.json"
"""File in the data folder with the last sent marker and session, so that a restart loses none."""
OLDEST_MS = 600_000
"""Events older than this are not sent: the agent was away for too long."""
WAITING = 10_000
"""Most samples that wait for the thread: ten minutes of them."""
LOOK_S = 0.25
"""Interval of the check of the database; events have their own times."""
_LAST_S = 0.2
"""Time for the library to send the last samples."""


@dataclass(frozen=True, slots=True)
class StudyEvent:
    """A marker, or the start or end of a session.

    Attributes:
        at: its time.
        stream: the stream on which it is sent.
        text: the text of the sample.
    """

    at: Instant
    stream: EventStream
    text: str


@dataclass(frozen=True, slots=True)
class _Seen:
    """The last rows that were sent.

    Attributes:
        marker: number of the newest marker.
        session: number of the newest session.
        open: number of the session that was open; ``None``: none was.
    """

    marker: int = 0
    session: int = 0
    open: int | None = None


class StudyWatch:
    """Finds new events of the study since the last check. Belongs to one thread.

    Rows that were added for a past time, such as by an import, are left out.

    Args:
        database: the database.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self._file = database.parent / SEEN_NAME
        self._seen = self._read_last()

    def new_events(self) -> list[StudyEvent]:
        """Return the new events, in order of time.

        Raises:
            StoreError: the database cannot be read now; the next call returns the events.
        """
        with read_transaction(self._database) as connection:
            newest = _newest(connection)
            seen = self._seen or newest
            # numbers of erased rows are used again
            marker, session = min(seen.marker, newest.marker), min(seen.session, newest.session)
            seen = replace(seen, marker=marker, session=session)
            events = [*_sessions(connection, seen), *_markers(connection, seen)]
        if newest != self._seen:
            self._keep(newest)
        present = clock.now()
        recent = [event for event in events if 0 <= present.boot_ms - event.at.boot_ms <= OLDEST_MS]
        return sorted(recent, key=lambda event: event.at)

    def _read_last(self) -> _Seen | None:
        """Return the last rows that an earlier run sent; ``None`` if they are not known."""
        with suppress(OSError, ValueError, TypeError):
            return _Seen(**json.loads(self._file.read_text(encoding="utf-8")))
        return None

    def _keep(self, seen: _Seen) -> None:
        self._seen = seen
        try:
            replace_file(self._file, json.dumps(asdict(seen)).encode(), 0o640)
        except OSError as error:  # a restart may then leave out what happened meanwhile
            log.warning("lsl: %s: cannot be written (%s)", self._file, error.strerror)


def _newest(connection: sqlite3.Connection) -> _Seen:
    marker = connection.execute("SELECT coalesce(max(id), 0) FROM marker").fetchone()[0]
    session = connection.execute("SELECT coalesce(max(id), 0) FROM session").fetchone()[0]
    row = connection.execute("SELECT id FROM session WHERE ended IS NULL").fetchone()
    return _Seen(marker, session, row[0] if row else None)


def _markers(connection: sqlite3.Connection, seen: _Seen) -> Iterator[StudyEvent]:
    rows = connection.execute(
        "SELECT at, boot_ms, kind, label FROM marker WHERE id > ? AND boot_ms IS NOT NULL "
        "ORDER BY id",
        (seen.marker,),
    )
    for at, boot_ms, kind, label in rows:
        yield StudyEvent(Instant(boot_ms, at), "markers", f"{kind}/{label}")


def _sessions(connection: sqlite3.Connection, seen: _Seen) -> Iterator[StudyEvent]:
    rows = connection.execute(
        "SELECT id, started, boot_ms, ended, ended_boot_ms FROM session WHERE id > ? OR id = ? "
        "ORDER BY id",
        (seen.session, seen.open),
    )
    for number, started, boot_ms, ended, ended_boot_ms in rows:
        if number > seen.session and boot_ms is not None:
            yield StudyEvent(Instant(boot_ms, started), "sessions", f"session_start/{number}")
        if ended is not None and ended_boot_ms is not None:
            yield StudyEvent(Instant(ended_boot_ms, ended), "sessions", f"session_end/{number}")


class StreamWorker(RestartingWorker):
    """Sends every frame and reading of the agent, and each marker and session, on streams.

    ``enqueue`` returns at once, so a slow reader delays nobody.

    Args:
        options: the offered streams.
        database: with markers and sessions.
        simulated: whether the camera is a demonstration.
        movements: whether movements of the participant's face are sent, too.
        sensors: kinds and sources whose streams are offered from the start.

    Attributes:
        dropped: samples that found the queue full.

    Raises:
        ServerError: pylsl or its native library is missing.
    """

    def __init__(
        self,
        options: StreamOptions,
        database: Path,
        *,
        simulated: bool = False,
        movements: bool = False,
        sensors: Iterable[tuple[VitalKind, str]] = (),
    ) -> None:
        super().__init__("lsl")
        self._streams = Streams(options)
        self._watch = StudyWatch(database)
        self._simulated = simulated
        self._movements = movements
        self._waiting: queue.Queue[Recognition | VitalReading] = queue.Queue(WAITING)
        self._could_read = True
        self.dropped = 0
        self._streams.offer_events()
        self._streams.offer_expression(simulated)
        if movements:
            self._streams.offer_movements(simulated)
        for kind, source in sensors:
            self._streams.offer(kind, source)

    def enqueue(self, item: Recognition | VitalReading) -> None:
        """Send a frame or a reading; callable from any thread, returns at once."""
        try:
            self._waiting.put_nowait(item)
        except queue.Full:
            if not self.dropped:
                log.error("lsl: the thread stands still, and samples are lost")
            self.dropped += 1

    def work(self) -> None:
        """Send until stopped, then what is left."""
        timer = Every(LOOK_S, at_once=True)
        while not self.stopping.is_set():
            self._send(timeout_s=LOOK_S / 2)
            if timer.due():
                self._send_events()
                self._streams.send_held()
        while not self._waiting.empty():
            self._send(timeout_s=0)
        self._send_events()
        self._streams.send_held()
        clock.sleep(_LAST_S)

    def _send(self, timeout_s: float) -> None:
        try:
            item = self._waiting.get(timeout=timeout_s)
        except queue.Empty:
            return
        if isinstance(item, VitalReading):
            self._streams.vital(item.at, item.kind, item.source, item.value, item.flags)
        else:
            self._streams.expression(item.at, _sample(item), self._simulated)
            if self._movements:
                moved = None if item.primary is None else item.primary.smoothed_movements
                values = None if moved is None else moved.as_dict()
                self._streams.movements(item.at, values, self._simulated)

    def _send_events(self) -> None:
        try:
            events = self._watch.new_events()
        except StoreError as error:
            if self._could_read:
                log.warning("lsl: markers and sessions wait: %s", error)
            self._could_read = False
            return
        self._could_read = True
        for event in events:
            self._streams.event(event.stream, event.at, event.text)


def _sample(seen: Recognition) -> ExpressionSample | None:
    face = seen.primary
    if face is None:
        return None
    smoothed = face.smoothed
    rejected = face.reject_reason is not None
    return ExpressionSample(smoothed.as_dict(), smoothed.valence, face.quality, rejected)
