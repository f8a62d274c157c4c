"""The timeline cut into pieces whose rows share session, condition and hour.

So each query returns rows that need no look-up of their own, which makes an export several times as
fast as the views.
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from edge_agent.core.clock import iso_utc
from edge_agent.core.study import MarkerKind
from edge_agent.store.database.tables import HOUR_MS
from edge_agent.store.export.rows.cells import cell
from edge_agent.store.read.stimuli import FOREVER_MS


@dataclass(frozen=True, slots=True)
class InSession:
    """A session as the rows need it; ``end_ms`` lies far in the future while it is open."""

    id: int
    participant: str
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the timeline within one UTC hour, one session and one condition.

    It holds the times ``start_ms`` ≤ time < ``end_ms``.
    """

    start_ms: int
    end_ms: int
    session: InSession | None
    condition: str | None

    @property
    def hour(self) -> str:
        """What all times in it begin with, such as ``2026-09-21T14:``."""
        return iso_utc(self.start_ms)[:14]

    @property
    def shared(self) -> str:
        """The cells that all its rows share: session, participant and condition."""
        if self.session is None:
            return ",,"
        return f"{self.session.id},{cell(self.session.participant)},{cell(self.condition)}"


class Pieces:
    """Cuts the timeline; knows the same sessions and conditions as the views do.

    Args:
        connection: to read from; its rows are ``sqlite3.Row``.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        rows = connection.execute(
            "SELECT session.id, code, started, coalesce(ended, ?) AS ended FROM session "
            "JOIN participant ON participant.id = session.participant ORDER BY started",
            (FOREVER_MS,),
        )
        self._sessions = [InSession(*row) for row in rows]
        self._starts = [session.start_ms for session in self._sessions]
        self._markers: tuple[int, list[int], list[str | None]] = (-1, [], [])

    def of(self, table: str, start_ms: int, end_ms: int) -> Iterator[Piece]:
        """Yield the pieces of a range that hold rows of a table, in order of time.

        Empty stretches are skipped.
        """
        next_row = f"SELECT min(at) FROM {table} WHERE at >= ? AND at < ?"  # noqa: S608 - a name of ours
        at = self._connection.execute(next_row, (start_ms, end_ms)).fetchone()[0]
        while at is not None:
            piece = self._at(at, end_ms)
            yield piece
            at = self._connection.execute(next_row, (piece.end_ms, end_ms)).fetchone()[0]

    def _at(self, at_ms: int, end_ms: int) -> Piece:
        """Return the piece that begins at an instant."""
        limit = min(end_ms, at_ms - at_ms % HOUR_MS + HOUR_MS)
        place = bisect_right(self._starts, at_ms)
        if place < len(self._starts):
            limit = min(limit, self._starts[place])
        session = self._sessions[place - 1] if place else None
        if session is None or at_ms >= session.end_ms:
            return Piece(at_ms, limit, None, None)
        times, labels = self._conditions(session.id)
        marker = bisect_right(times, at_ms)
        if marker < len(times):
            limit = min(limit, times[marker])
        return Piece(
            at_ms, min(limit, session.end_ms), session, labels[marker - 1] if marker else None
        )

    def _conditions(self, session: int) -> tuple[list[int], list[str | None]]:
        """Return when the stimuli of a session began and ended, and the condition from there on."""
        if self._markers[0] != session:
            rows = self._connection.execute(
                "SELECT at, CASE kind WHEN ? THEN label END FROM marker WHERE session = ? AND kind "
                "IN (?, ?) ORDER BY at, id",
                (
                    MarkerKind.STIMULUS_START,
                    session,
                    MarkerKind.STIMULUS_START,
                    MarkerKind.STIMULUS_END,
                ),
            ).fetchall()
            self._markers = (session, [row[0] for row in rows], [row[1] for row in rows])
        return self._markers[1], self._markers[2]
