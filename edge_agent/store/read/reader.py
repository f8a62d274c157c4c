"""Reading the timeline beside a running agent: read-only connections, one for each call."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from edge_agent.core.study import Session
from edge_agent.store.read.state_reader import StateReader
from edge_agent.store.read.stimuli import FOREVER_MS, Stimulus
from edge_agent.store.read.timeline_reader import TimelineReader


class Reader(TimelineReader, StateReader):
    """Answers every question about the database: timeline, sessions, and readings by state.

    Whoever asks about one of them only can take that reader alone.

    Example:
        >>> reader = Reader(Path("/var/lib/affect-edge/affect-edge.db"))
        >>> first_ms, last_ms = reader.span()
        >>> for session in reader.session_list():
        ...     print(session.participant, session.name)
    """


class RangeReader(Reader):
    """Answers about the sessions and stimuli of a range; what lies across its ends is cut there.

    Args:
        path: the database.
        start_ms: from here on, UTC epoch milliseconds; ``None`` has no beginning.
        end_ms: before this; ``None`` has no end.
    """

    def __init__(self, path: Path, start_ms: int | None, end_ms: int | None) -> None:
        super().__init__(path)
        self._start_ms = start_ms or 0
        self._end_ms = FOREVER_MS if end_ms is None else end_ms

    def session_list(self) -> list[Session]:
        """Return the sessions that lie in the range, newest first."""
        cut = [self._cut(session) for session in super().session_list()]
        return [one for one in cut if one.start_ms < (one.end_ms or FOREVER_MS)]

    def stimuli(self, session_ids: Collection[int]) -> list[Stimulus]:
        """Return the stimuli that lie in the range."""
        cut = [
            replace(
                one,
                start_ms=max(one.start_ms, self._start_ms),
                end_ms=min(one.end_ms, self._end_ms),
                began_ms=one.start_ms if one.start_ms < self._start_ms else None,
            )
            for one in super().stimuli(session_ids)
        ]
        return [one for one in cut if one.start_ms < one.end_ms]

    def resting_time(self, session: Session) -> tuple[int, int] | None:
        """Return the baseline of a session as far as it lies in the range."""
        rest = super().resting_time(session)
        if rest is None:
            return None
        start = max(rest[0], self._start_ms)
        end = min(rest[1], self._end_ms)
        return (start, end) if start < end else None

    def _cut(self, session: Session) -> Session:
        end = session.end_ms
        if self._end_ms != FOREVER_MS:
            end = self._end_ms if end is None else min(end, self._end_ms)
        return replace(session, start_ms=max(session.start_ms, self._start_ms), end_ms=end)
