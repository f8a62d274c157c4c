"""How long a broker has said nothing, and since when it owes an answer."""

from __future__ import annotations

from edge_agent.core.clock import boot_seconds

ASK_SECONDS = 0.7
"""A broker that said nothing for this long is asked for a sign of life."""


class Silence:
    """The silence of one connection: seconds of the boot clock.

    Example:
        >>> silence = Silence()
        >>> silence.is_long(), silence.owed_s
        (False, 0.0)
    """

    def __init__(self) -> None:
        self._heard_s = boot_seconds()
        self._asked_s: float | None = None

    @property
    def owed_s(self) -> float:
        """Seconds since the broker was asked for a sign of life; 0 where it owes none."""
        if self._asked_s is None:
            return 0.0
        return boot_seconds() - self._asked_s

    def is_long(self) -> bool:
        """Tell whether it is time to ask: nothing was heard, and nothing is owed."""
        return self._asked_s is None and boot_seconds() - self._heard_s >= ASK_SECONDS

    def note_question(self) -> None:
        """Note that the broker was asked."""
        self._asked_s = boot_seconds()

    def note_answer(self) -> None:
        """Note that the broker said something."""
        self._heard_s = boot_seconds()
        self._asked_s = None
