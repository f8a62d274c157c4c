"""Finds new markers and sessions in the database, whoever set them: page, program, protocol."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.store.database.schema import read_transaction

log = logging.getLogger(__name__)

SEEN_NAME = "lsl-seen.json"
"""File in the data folder: which markers and sessions were sent, so that a restart loses none."""
OLDEST_MS = 600_000
"""Events older than this are not sent: the agent was away for too long."""


@dataclass(frozen=True, slots=True)
class StudyEvent:
    """A marker, or the start or end of a session.

    Attributes:
        at: when it was.
        is_marker: whether it is a marker.
        text: as it is sent.
    """

    at: Instant
    is_marker: bool
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
    """Yields what is new in the study since the last look. Belongs to one thread.

    Rows that were added for a time that has passed, as by an import, are no events of now and are
    left out.

    Args:
        database: the database.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self._file = database.parent / SEEN_NAME
        self._seen = self._known()

    def new_events(self) -> list[StudyEvent]:
        """Return what is new, in order of time.

        Raises:
            StoreError: the database cannot be read now; nothing is skipped by that.
        """
        with read_transaction(self._database) as connection:
            seen = self._seen or _newest(connection)
            seen = _not_beyond(connection, seen)
            events = [*_sessions(connection, seen), *_markers(connection, seen)]
            newest = _newest(connection)
        if newest != self._seen:
            self._keep(newest)
        present = clock.now()
        recent = [event for event in events if 0 <= present.boot_ms - event.at.boot_ms <= OLDEST_MS]
        return sorted(recent, key=lambda event: event.at)

    def _known(self) -> _Seen | None:
        """Return what an earlier run has sent; ``None``: there was none, or it cannot be read."""
        with suppress(OSError, ValueError, TypeError):
            return _Seen(**json.loads(self._file.read_text(encoding="utf-8")))
        return None

    def _keep(self, seen: _Seen) -> None:
        self._seen = seen
        try:
            part = self._file.with_suffix(".part")
            part.write_text(json.dumps(asdict(seen)), encoding="utf-8")
            part.replace(self._file)
        except OSError as error:  # a restart may then leave out what happened meanwhile
            log.warning("lsl: %s: cannot be written (%s)", self._file, error.strerror)


def _newest(connection: sqlite3.Connection) -> _Seen:
    marker = connection.execute("SELECT coalesce(max(id), 0) FROM marker").fetchone()[0]
    session = connection.execute("SELECT coalesce(max(id), 0) FROM session").fetchone()[0]
    row = connection.execute("SELECT id FROM session WHERE ended IS NULL").fetchone()
    return _Seen(marker, session, row[0] if row else None)


def _not_beyond(connection: sqlite3.Connection, seen: _Seen) -> _Seen:
    """Return ``seen`` with numbers that exist: those of erased rows are given again."""
    newest = _newest(connection)
    return replace(
        seen,
        marker=min(seen.marker, newest.marker),
        session=min(seen.session, newest.session),
    )


def _markers(connection: sqlite3.Connection, seen: _Seen) -> Iterator[StudyEvent]:
    rows = connection.execute(
        "SELECT at, boot_ms, kind, label FROM marker WHERE id > ? AND boot_ms IS NOT NULL "
        "ORDER BY id",
        (seen.marker,),
    )
    for at, boot_ms, kind, label in rows:
        yield StudyEvent(Instant(boot_ms, at), True, f"{kind}/{label}")


def _sessions(connection: sqlite3.Connection, seen: _Seen) -> Iterator[StudyEvent]:
    rows = connection.execute(
        "SELECT id, started, boot_ms, ended, ended_boot_ms FROM session WHERE id > ? OR id = ? "
        "ORDER BY id",
        (seen.session, seen.open),
    )
    for number, started, boot_ms, ended, ended_boot_ms in rows:
        if number > seen.session and boot_ms is not None:
            yield StudyEvent(Instant(boot_ms, started), False, f"session_start/{number}")
        if ended is not None and ended_boot_ms is not None:
            yield StudyEvent(Instant(ended_boot_ms, ended), False, f"session_end/{number}")
