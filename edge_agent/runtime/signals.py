"""SIGTERM and Ctrl-C, which end the agent in order."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType


class StopRequest:
    """That somebody wants an end: set by a signal handler or any thread, waited for by one thread.

    A ``threading.Event`` must not be set by a signal handler: where the signal comes while the same
    thread waits for it, and just then holds its lock, that thread waits for itself for ever. Here
    ``set`` takes no lock; a wait may last until its end although the request came meanwhile.

    Example:
        >>> request = StopRequest()
        >>> request.wait(0.0), request.set(), request.wait(0.0)
        (False, None, True)
    """

    def __init__(self) -> None:
        self._is_set = False
        # Nobody sets it: its wait is a pause. (Under libfaketime, which wrong clocks are tried
        # with, ``time.sleep`` fails.)
        self._pause = threading.Event()

    def set(self) -> None:
        """Ask for the end; may be called again and again."""
        self._is_set = True

    def is_set(self) -> bool:
        """Tell whether the end was asked for."""
        return self._is_set

    def wait(self, timeout_s: float) -> bool:
        """Wait ``timeout_s`` seconds; return whether the request has come."""
        if not self._is_set:
            self._pause.wait(timeout_s)
        return self._is_set


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
