"""Where a protocol stands: steps that follow each other in time.

Pure; the caller says what time it is.

Times are seconds of a clock that never jumps. A position is a value: it can be written down at any
moment and gone on from later, by another process too.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a course.

    Attributes:
        step: number of the step from 0; as many as there are steps once all are over.
        spent: seconds that the step has had before ``since``.
        since: when it began to run; ``None`` while it stands still.
    """

    step: int = 0
    spent: float = 0.0
    since: float | None = None


@dataclass(frozen=True, slots=True)
class StepEntry:
    """A step was entered: number of the step, and when."""

    step: int
    at: float


@dataclass(frozen=True, slots=True)
class StepClock:
    """The lengths of the steps.

    Attributes:
        seconds: of each step; ``None``: it ends when somebody says so (``leave``).
    """

    seconds: tuple[float | None, ...]

    def is_over(self, position: Position) -> bool:
        """Tell whether all steps are done."""
        return position.step >= len(self.seconds)

    def ends(self, position: Position) -> float | None:
        """Return when the present step ends by itself; ``None`` when it does not."""
        if self.is_over(position) or position.since is None:
            return None
        length = self.seconds[position.step]
        if length is None:
            return None
        return position.since + max(0.0, length - position.spent)

    def remaining(self, position: Position, now: float) -> float | None:
        """Return how many seconds of the present step are left, at least 0.

        ``None`` where nobody knows.
        """
        if self.is_over(position):
            return 0.0
        length = self.seconds[position.step]
        if position.since is None:
            ran = 0.0
        else:
            ran = max(0.0, now - position.since)
        if length is None:
            return None
        return max(0.0, length - position.spent - ran)

    def advance(self, position: Position, now: float) -> tuple[Position, tuple[StepEntry, ...]]:
        """Return where it stands ``now``, and the steps that were entered meanwhile, each when it
        was due.
        """
        entries: list[StepEntry] = []
        while (end := self.ends(position)) is not None and end <= now:
            position = self._entered(position.step + 1, end)
            entries.append(StepEntry(position.step, end))
        return position, tuple(entries)

    def run(self, position: Position, now: float) -> Position:
        """Let it go on from where it stands still; nothing changes when it runs or is over."""
        if position.since is not None or self.is_over(position):
            return position
        return Position(position.step, position.spent, now)

    def halt(self, position: Position, now: float) -> Position:
        """Let it stand still; call ``advance`` first, so that no step is passed over."""
        if position.since is None:
            return position
        return Position(position.step, position.spent + max(0.0, now - position.since), None)

    def leave(self, position: Position, now: float) -> Position:
        """Enter the next step now, running or standing as before."""
        if self.is_over(position):
            return position
        moved = self._entered(position.step + 1, now)
        if position.since is not None:
            return moved
        return Position(moved.step)

    def repeat(self, position: Position, now: float) -> Position:
        """Begin the present step again."""
        if self.is_over(position):
            return position
        return Position(position.step, 0.0, None if position.since is None else now)

    def _entered(self, step: int, at: float) -> Position:
        return Position(step, 0.0, at if step < len(self.seconds) else None)
