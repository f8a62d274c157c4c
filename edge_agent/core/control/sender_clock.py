"""How far a sender's clock is from ours, estimated from when its messages come."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from statistics import median

from edge_agent.core.clock import Instant

MESSAGES = 100
"""Messages that an estimate looks back on: clocks drift, so the oldest must go."""
LATE_MS = 10_000.0
"""A message that seems later than this, or earlier at all, tells of a clock that was set."""
_EARLY_MS = 250.0
SENDERS = 64


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """What must be added to a sender's clock to get ours.

    Attributes:
        offset_ms: by the quickest message: the time that it was under way is in it.
        doubt_ms: how much longer the usual message takes than the quickest. What the quickest took
            cannot be known from messages in one direction.
        messages: how many it rests on.
    """

    offset_ms: float
    doubt_ms: float
    messages: int


class SenderClock:
    """Turns the times of one sender into ours.

    A message is under way for some milliseconds, sometimes for many. The smallest difference
    between when it was received and when it was sent is nearest to the difference of the clocks
    (Cristian 1989, Distributed Computing 3:146-158), so the jitter of the way goes.

    Example:
        >>> sender = SenderClock()
        >>> sender.instant(sent_ms=5_000.0, received=Instant(boot_ms=9_000, wall_ms=0))
        Instant(boot_ms=9000, wall_ms=0)
    """

    def __init__(self) -> None:
        self._differences: deque[float] = deque(maxlen=MESSAGES)

    @property
    def offset(self) -> ClockOffset | None:
        """The estimate; ``None`` before the first message."""
        if not self._differences:
            return None
        least = min(self._differences)
        usual = median(self._differences)
        return ClockOffset(least, usual - least, len(self._differences))

    def instant(self, sent_ms: float, received: Instant) -> Instant:
        """Return when a message was sent, on our clocks.

        Args:
            sent_ms: by the sender's clock, milliseconds since whenever it likes.
            received: when it came.
        """
        difference = received.boot_ms - sent_ms
        known = self.offset
        if known is not None:
            beyond = difference - known.offset_ms
            if beyond > LATE_MS or beyond < -_EARLY_MS:  # the clock was set
                self._differences.clear()
        self._differences.append(difference)
        return received.shifted((min(self._differences) - difference) / 1000)


class SenderClocks:
    """The clocks of all senders, by name. Forgets the one that was silent longest."""

    def __init__(self) -> None:
        self._clocks: OrderedDict[str, SenderClock] = OrderedDict()

    def of(self, sender: str) -> SenderClock:
        """Return the clock of a sender."""
        known = self._clocks.pop(sender, None) or SenderClock()
        self._clocks[sender] = known
        if len(self._clocks) > SENDERS:
            self._clocks.popitem(last=False)
        return known
