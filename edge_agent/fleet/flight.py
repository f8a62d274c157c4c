"""Which messages are on their way, and from where to send again."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

MOST_AT_BROKER = 8
"""Messages that the broker has not acknowledged."""
MOST_UNCONFIRMED = 64
"""Messages that the broker has and the collector has not confirmed: where the collector is down,
the broker is not filled with them.
"""
RESEND_S = 60.0
"""After so long without a confirmation everything unconfirmed is sent again."""
LONGEST_RESEND_S = 900.0


@dataclass(slots=True)
class _Sent:
    last: int
    mid: int
    at_broker: bool = False


class Flight:
    """The messages between this device and the collector.

    The collector confirms positions, not messages: whatever is lost between the two, in a broker
    without a disk too, is sent again.

    Args:
        confirmed: the last position that the collector has.
        now_s: of the boot clock.
        resend_s: as ``RESEND_S``.
    """

    def __init__(self, confirmed: int, now_s: float, resend_s: float = RESEND_S) -> None:
        self.confirmed = confirmed
        self.sent = confirmed
        self._messages: deque[_Sent] = deque()
        self._first_s = resend_s
        self._resend_s = resend_s
        self._progress_s = now_s

    @property
    def has_room(self) -> bool:
        """Whether another message may be sent."""
        at_broker = sum(not message.at_broker for message in self._messages)
        return at_broker < MOST_AT_BROKER and len(self._messages) < MOST_UNCONFIRMED

    def note_sent(self, last: int, mid: int, now_s: float) -> None:
        """Note a message that goes up to ``last``, with its number at the broker."""
        if not self._messages:
            self._progress_s = now_s
        self._messages.append(_Sent(last, mid))
        self.sent = last

    def note_taken(self, mid: int) -> None:
        """Note that the broker has a message."""
        for message in self._messages:
            if message.mid == mid and not message.at_broker:
                message.at_broker = True
                return

    def note_confirmed(self, position: int, now_s: float) -> bool:
        """Note a confirmation; return whether it says anything new.

        One beyond what was sent, as after a restart of the agent, counts: the collector has it.
        """
        if position <= self.confirmed:
            return False
        self.confirmed = position
        self.sent = max(self.sent, position)
        while self._messages and self._messages[0].last <= position:
            self._messages.popleft()
        self._progress_s = now_s
        self._resend_s = self._first_s
        return True

    def send_again(self, position: int, now_s: float) -> bool:
        """Send everything after the confirmed ``position`` again, as the collector asks.

        Returns whether there is anything; what an older confirmation asks for is not sent.
        """
        if position != self.confirmed or not self._messages:
            return False
        self._messages.clear()
        self.sent = self.confirmed
        self._progress_s = now_s
        return True

    def connection_ended(self) -> None:
        """Send again, over the next connection, what the broker may not have."""
        while self._messages and not all(message.at_broker for message in self._messages):
            self._messages.pop()
        self.sent = self._messages[-1].last if self._messages else self.confirmed

    def look(self, now_s: float) -> bool:
        """Send everything unconfirmed again where no confirmation has come for long.

        Each time in vain the wait is twice as long. Returns whether it is so.
        """
        if not self._messages or now_s - self._progress_s < self._resend_s:
            return False
        self._messages.clear()
        self.sent = self.confirmed
        self._progress_s = now_s
        self._resend_s = min(2 * self._resend_s, LONGEST_RESEND_S)
        return True
