"""In which sessions the times of rows lie, and how far those that lie in none are from one.

Rows are joined to sessions by time alone: a reading that lies in no session is in no test.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_agent.core.readings import VitalReading
from edge_agent.core.study import Session
from edge_agent.store.database.schema import read_transaction
from edge_agent.store.study.study_rows import select_sessions

_UNITS = (("day", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
_FAR_MS = 2**62


@dataclass(frozen=True, slots=True)
class Nearest:
    """The session that lies nearest to readings outside all of them.

    Attributes:
        session: its number.
        participant: whose it is.
        later_s: how much later than the readings it begins; negative where it ended before them.
    """

    session: int
    participant: str
    later_s: float

    @property
    def words(self) -> str:
        """The session and its distance, as part of a sentence."""
        side = "later" if self.later_s > 0 else "earlier"
        return f"session {self.session} ({self.participant}), {_lasting(self.later_s)} {side}"


class Placement:
    """Counts readings that pass, and those among them that lie in no session.

    Args:
        sessions: those that there are.

    Attributes:
        readings: how many have passed.
        outside: how many of them lie in no session.
        nearest: the session that is nearest to any of these; ``None`` without one.

    Example:
        >>> placement = Placement(Study(path).sessions())
        >>> import_readings(path, placement.watch(readings))
        >>> placement.sentence
        '60 of 60 lie in no session; the nearest is session 3 (P01), 2 h 10 min later.'
    """

    def __init__(self, sessions: Iterable[Session]) -> None:
        self._sessions = sorted(sessions, key=lambda session: session.start_ms)
        self._starts = [session.start_ms for session in self._sessions]
        self._apart_ms = _FAR_MS
        self.readings = 0
        self.outside = 0
        self.nearest: Nearest | None = None

    @classmethod
    def of_database(cls, path: Path) -> Placement:
        """Return the placement among the sessions of a database.

        Raises:
            StoreError: the database cannot be read.
        """
        with read_transaction(path) as connection:
            return cls(select_sessions(connection))

    def watch(self, readings: Iterable[VitalReading]) -> Iterator[VitalReading]:
        """Pass readings on, and count them."""
        for reading in readings:
            self.look(reading.at.wall_ms)
            yield reading

    def look(self, at_ms: int) -> Session | None:
        """Count an instant, UTC milliseconds; return the session in which it lies."""
        self.readings += 1
        place = bisect_right(self._starts, at_ms)
        before = self._sessions[place - 1] if place else None
        if before is not None and (before.end_ms is None or at_ms < before.end_ms):
            return before
        self.outside += 1
        if before is not None and before.end_ms is not None:
            self._note(before, before.end_ms - at_ms)
        if place < len(self._sessions):
            self._note(self._sessions[place], self._starts[place] - at_ms)
        return None

    def _note(self, session: Session, later_ms: int) -> None:
        if abs(later_ms) < self._apart_ms:
            self._apart_ms = abs(later_ms)
            self.nearest = Nearest(session.id, session.participant, later_ms / 1000)

    @property
    def sentence(self) -> str:
        """What lies outside, for people; empty where everything lies in sessions."""
        return outside_sentence(self.outside, self.readings, self.nearest)


def outside_sentence(outside: int, readings: int, nearest: Nearest | None) -> str:
    """Say how many readings lie in no session; empty where none does."""
    if not outside:
        return ""
    lie = f"{outside} of {readings} {'lies' if outside == 1 else 'lie'} in no session"
    if nearest is None:
        return f"{lie}; there is none yet."
    return f"{lie}; the nearest is {nearest.words}."


def _lasting(seconds: float) -> str:
    """Return a length of time in its two largest units: ``2 h 10 min``, ``3 days 4 h``, ``0 s``."""
    left = round(abs(seconds))
    words: list[str] = []
    for name, length in _UNITS:
        count = left // length
        left -= count * length
        if count:
            words.append(f"{count} {name}{'s' if name == 'day' and count > 1 else ''}")
        elif words:
            break
    return " ".join(words[:2]) or "0 s"
