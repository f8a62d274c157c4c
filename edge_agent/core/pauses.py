"""Growing pauses between the attempts of one thing that fails."""

from __future__ import annotations

from collections.abc import Sequence


class Pauses:
    """Counts failures in a row, and gives the pause after each; the last one comes again.

    Args:
        seconds: the pauses, the shortest first.

    Example:
        >>> pauses = Pauses((1.0, 2.0))
        >>> [pauses.after_failure() for _ in range(3)]
        [1.0, 2.0, 2.0]
        >>> pauses.reset()
        >>> pauses.after_failure()
        1.0
    """

    def __init__(self, seconds: Sequence[float]) -> None:
        self._seconds = seconds
        self.failures = 0

    def after_failure(self) -> float:
        """Count a failure; return the seconds to wait before the next attempt."""
        self.failures += 1
        return self._seconds[min(self.failures, len(self._seconds)) - 1]

    def reset(self) -> None:
        """Begin with the shortest pause again: it works."""
        self.failures = 0
