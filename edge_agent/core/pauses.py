"""Growing pauses between the attempts of one thing that fails.

Who keeps the number of failures elsewhere, as in a database, asks ``pause_after``; who tries again
and again in one place has ``Pauses`` count them.
"""

from __future__ import annotations

from collections.abc import Sequence


def doubling(first: float, longest: float) -> tuple[float, ...]:
    """Return pauses of which each is twice the one before, up to the longest.

    >>> doubling(1.0, 5.0)
    (1.0, 2.0, 4.0, 5.0)
    """
    pauses = []
    while first < longest:
        pauses.append(first)
        first *= 2
    return (*pauses, longest)


def pause_after(failures: int, pauses: Sequence[float]) -> float:
    """Return the pause after so many failures in a row; the last one comes again.

    Args:
        failures: at least one.
        pauses: the shortest first.
    """
    return pauses[min(failures, len(pauses)) - 1]


class Pauses:
    """Counts failures in a row, and gives the pause after each.

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
        return pause_after(self.failures, self._seconds)

    def reset(self) -> None:
        """Begin with the shortest pause again: it works."""
        self.failures = 0
