"""The screens that a protocol showed in a session: planned and shown times, and answers."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

_CLOCK_STEP_MS = 1.0
"""The clock of the appliance counts in milliseconds."""


@dataclass(frozen=True, slots=True)
class ShownTrial:
    """A screen that was shown; as a row of ``trial``."""

    at_ms: int
    turn: int
    step: int
    kind: str
    condition: str | None
    practice: bool
    planned_ms: int | None
    stood_ms: int
    late_ms: float | None
    late_within_ms: float | None
    shown_ms: float | None
    frame_ms: float | None
    question: str
    wording: str
    value: int | str | None

    @property
    def off_ms(self) -> float | None:
        """By how much it was shown longer than planned; ``None``: not known, or nothing planned."""
        if self.planned_ms is None or self.shown_ms is None:
            return None
        return self.shown_ms - self.planned_ms

    @property
    def off_frames(self) -> float | None:
        """The same in frames of its browser."""
        if self.off_ms is None or self.frame_ms is None:
            return None
        return self.off_ms / self.frame_ms


@dataclass(frozen=True, slots=True)
class Timing:
    """Comparison of a run with its plan.

    Attributes:
        shown: screens of which the page told the times.
        late_ms: median of their delays; ``None``: of none.
        latest_ms: the longest delay.
        planned: those that had a planned length and ran to its end.
        on_time: of these, those that stood as long to within a frame.
        worst: the one that was farthest off, in frames.
    """

    shown: int
    late_ms: float | None
    latest_ms: float | None
    planned: int
    on_time: int
    worst: ShownTrial | None


def trials_of(connection: sqlite3.Connection, session: int) -> list[ShownTrial]:
    """Return the screens that a session showed, in order."""
    return _trials(connection, session, answered=False)


def answers_of(connection: sqlite3.Connection, session: int) -> tuple[ShownTrial, ...]:
    """Return the screens of a session with a question that was answered; none of experiments."""
    return tuple(_trials(connection, session, answered=True))


def _trials(connection: sqlite3.Connection, session: int, *, answered: bool) -> list[ShownTrial]:
    rows = connection.execute(
        "SELECT at AS at_ms, turn, step, kind, condition, practice, planned_ms, stood_ms, late_ms, "
        "late_within_ms, shown_ms, frame_ms, question, wording, value FROM trial WHERE session = ? "
        "AND (NOT ? OR question <> '' AND kind <> 'experiment' AND value IS NOT NULL) "
        "ORDER BY at, turn, id",
        (session, answered),
    )
    return [ShownTrial(**{**row, "practice": bool(row["practice"])}) for row in rows]


def timing_of(trials: Sequence[ShownTrial]) -> Timing:
    """Return how well screens kept to their plan; those that were cut short are left out."""
    late = [one.late_ms for one in trials if one.late_ms is not None]
    ended = [one for one in trials if one.off_frames is not None and not _was_cut(one)]
    on_time = [one for one in ended if _is_on_time(one)]
    return Timing(
        shown=len(late),
        late_ms=median(late) if late else None,
        latest_ms=max(late, default=None),
        planned=len(ended),
        on_time=len(on_time),
        worst=max(ended, key=lambda one: abs(one.off_frames or 0.0), default=None),
    )


def _was_cut(one: ShownTrial) -> bool:
    """Tell whether somebody skipped, repeated or paused a screen before its time was over."""
    return one.planned_ms is not None and one.stood_ms < one.planned_ms - _CLOCK_STEP_MS


def _is_on_time(one: ShownTrial) -> bool:
    if one.off_ms is None or one.frame_ms is None:
        return False
    return abs(one.off_ms) <= one.frame_ms + _CLOCK_STEP_MS
