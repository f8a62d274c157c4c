"""Finds the message at which a broker hangs up, so that it does not stop all that come after it.

MQTT 3.1.1 has no word for "too large": the broker closes the connection. The message is then the
first of the next connection, and so for ever.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

DROPS = 4
"""So often a message that is sent alone must end the connection before it is passed over."""
PASSED_OVER = 20
"""With so many in a row the broker takes nothing at all: no message is to blame."""


class DropGuard:
    """Counts the ends of connections at each message; for one thread, over all its connections.

    After an end with unacknowledged messages they are sent one at a time. One that ends the
    connection ``DROPS`` times is passed over. It is to blame only once the broker has taken a later
    one: until then it may be the broker, and nothing is thrown away.

    Example:
        >>> guard = DropGuard()
        >>> guard.ended([1, 2])  # together with others: nobody knows which
        >>> for _ in range(DROPS):
        ...     guard.ended([1])
        >>> guard.passed_over, guard.acknowledged(2)
        (frozenset({1}), frozenset({1}))
    """

    def __init__(self) -> None:
        self._suspects: set[int] = set()
        self._drops: Counter[int] = Counter()
        self._passed_over: set[int] = set()

    @property
    def is_careful(self) -> bool:
        """Whether messages are to be sent one at a time."""
        return bool(self._suspects)

    @property
    def passed_over(self) -> frozenset[int]:
        """Messages that are not to be sent for now."""
        return frozenset(self._passed_over)

    def ended(self, unacknowledged: Collection[int]) -> None:
        """Note that the broker hung up soon after these messages were sent."""
        if len(unacknowledged) == 1 and self.is_careful:
            self._count(next(iter(unacknowledged)))
        self._suspects |= set(unacknowledged) - self._passed_over

    def _count(self, message: int) -> None:
        self._drops[message] += 1
        if self._drops[message] < DROPS:
            return
        self._suspects.discard(message)
        self._passed_over.add(message)
        if len(self._passed_over) >= PASSED_OVER:
            self._suspects |= self._passed_over
            self._passed_over.clear()
            self._drops.clear()

    def gone_before(self, oldest: int) -> None:
        """Forget messages older than the oldest one that waits: they are no longer there."""
        self._suspects = {one for one in self._suspects if one >= oldest}
        self._passed_over = {one for one in self._passed_over if one >= oldest}

    def took(self, message: int) -> None:
        """Note that the broker took a message, without blaming others for anything."""
        self._suspects.discard(message)
        self._drops.pop(message, None)

    def acknowledged(self, message: int) -> frozenset[int]:
        """Note that the broker took a message; return those that are to blame."""
        self.took(message)
        to_blame = self.passed_over
        self._passed_over.clear()
        for one in to_blame:
            self._drops.pop(one, None)
        return to_blame
