"""SIGTERM and Ctrl-C, which end the agent in order."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType


class StopSignals:
    """Receives SIGTERM and Ctrl-C from now on, also before there is an agent to stop.

    The handler sets a flag and raises nothing: an exception in the middle of an import would look
    like a broken library.

    Example:
        Build the agent while a signal may already arrive::

            signals = StopSignals()
            agent = Agent(settings, folder)
            signals.call(agent.stop)
            agent.run()
    """

    def __init__(self) -> None:
        self._received = False
        self._stop: Callable[[], None] | None = None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._handle)

    def call(self, stop: Callable[[], None]) -> None:
        """Call ``stop`` at every signal, and at once when one has come already."""
        self._stop = stop
        if self._received:
            stop()

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        self._received = True
        if self._stop is not None:
            self._stop()
