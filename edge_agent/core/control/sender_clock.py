"""How far a sender's clock is from ours, estimated from when its messages come."""

from __future__ import annotations

import threading
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
_ENOUGH = 5
_MOVED_MS = 5.0
"""A clock that moved by less is no news."""


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

    def __str__(self) -> str:
        """Return it for people: ``+1999.0 ms, ± 12.0 ms by 20 messages``."""
        return f"{self.offset_ms:+.1f} ms, ± {self.doubt_ms:.1f} ms by {self.messages} messages"


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
        self._told_ms: float | None = None

    @property
    def offset(self) -> ClockOffset | None:
        """The estimate; ``None`` before the first message."""
        if not self._differences:
            return None
        least = min(self._differences)
        usual = median(self._differences)
        return ClockOffset(least, usual - least, len(self._differences))

    def news(self) -> ClockOffset | None:
        """Return the estimate when it is worth telling: the first good one, and when it moved."""
        offset = self.offset
        if offset is None or offset.messages < _ENOUGH:
            return None
        is_known = self._told_ms is not None
        if is_known and abs(offset.offset_ms - (self._told_ms or 0.0)) <= max(
            _MOVED_MS, offset.doubt_ms
        ):
            return None
        self._told_ms = offset.offset_ms
        return offset

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
    """The clocks of all senders, by name; safe to use from any thread.

    The one that was silent longest is forgotten.
    """

    def __init__(self) -> None:
        self._clocks: OrderedDict[str, SenderClock] = OrderedDict()
        self._lock = threading.Lock()

    def instant(
        self, sender: str, sent_ms: float, received: Instant
    ) -> tuple[Instant, ClockOffset | None]:
        """Return when a message was sent, and the estimate where it is worth telling.

        Args:
            sender: whose clock it is.
            sent_ms: as of ``SenderClock.instant``.
            received: when it came.
        """
        with self._lock:
            known = self._clocks.pop(sender, None) or SenderClock()
            self._clocks[sender] = known
            if len(self._clocks) > SENDERS:
                self._clocks.popitem(last=False)
            return known.instant(sent_ms, received), known.news()
