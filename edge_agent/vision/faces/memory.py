"""How long a face that is not seen is waited for."""

from __future__ import annotations

from edge_agent.core.clock import Instant


class FaceMemory:
    """Seconds for which a missing face is waited for: ``seconds``, or longer at a low frame rate.

    At least two frames must fit into it, or a slow camera would lose a face at every frame.

    Args:
        seconds: the shortest wait.

    Example:
        >>> memory = FaceMemory(0.5)
        >>> memory.at(Instant(0, 0))
        0.5
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._last: Instant | None = None
        self._pause = 0.0

    def at(self, at: Instant) -> float:
        """Take in when a frame was taken; return seconds."""
        if self._last is None:
            pause = 0.0
        else:
            pause = at.seconds_since(self._last)
        # The shorter of the last two pauses: a camera that stalled once is not a slow one.
        seconds = max(self._seconds, 2 * min(pause, self._pause))
        self._last = at
        self._pause = pause
        return seconds
