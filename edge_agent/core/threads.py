"""Named threads that report an unexpected end, and a slot that keeps only the newest value."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Generic, TypeVar

from edge_agent.core.errors import AffectEdgeError

log = logging.getLogger(__name__)
T = TypeVar("T")


class Worker(ABC):
    """A thread that runs ``work`` until ``stop`` is called.

    Args:
        name: of the thread, seen in logs and in ``top -H``.
        on_death: called in the dying thread with this worker and the error, when ``work`` raised.

    Attributes:
        stopping: set once the worker should end.

    Example:
        A worker that counts until it is stopped::

            class Counter(Worker):
                count = 0

                def work(self) -> None:
                    while not self.stopping.wait(0.1):
                        self.count += 1

            counter = Counter("counter")
            counter.start()
            counter.stop()
            counter.join(timeout_s=1)
    """

    def __init__(
        self, name: str, on_death: Callable[[Worker, Exception], None] | None = None
    ) -> None:
        self.name = name
        self.error: Exception | None = None
        self.on_death = on_death
        self.stopping = threading.Event()
        # Daemon threads: one that hangs in a driver must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @abstractmethod
    def work(self) -> None:
        """Do the work; return when ``stopping`` is set. Raising ends the agent."""

    @property
    def is_alive(self) -> bool:
        """Whether the thread is running."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end; return at once."""
        self.stopping.set()

    def join(self, timeout_s: float) -> bool:
        """Wait at most ``timeout_s`` seconds for the thread; return whether it has ended."""
        # A thread that was never started cannot be joined.
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self.work()
        except Exception as error:  # the top of a worker: logged, kept, and passed on
            # the text of our own errors says all; a traceback helps with those nobody expected
            foreseen = isinstance(error, AffectEdgeError)
            log.critical("worker %s died: %s", self.name, error, exc_info=not foreseen)
            self.error = error
            if self.on_death is not None:
                self.on_death(self, error)


class LatestValue(Generic[T]):
    """One slot between two threads; a new value replaces one that was not taken.

    With a queue, a reader that is slower than the camera would get older and older frames. Here it
    always gets the newest one, and the frames that it missed are counted.

    Attributes:
        dropped: number of values that were replaced before they were taken.

    Example:
        >>> latest: LatestValue[int] = LatestValue()
        >>> latest.put(1)
        >>> latest.put(2)
        >>> latest.take(timeout_s=0), latest.dropped
        (2, 1)
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._value: T | None = None
        self.dropped = 0

    def put(self, value: T) -> None:
        """Store ``value``, in place of one that was not taken; never blocks."""
        with self._condition:
            if self._value is not None:
                self.dropped += 1
            self._value = value
            self._condition.notify()

    def take(self, timeout_s: float) -> T | None:
        """Wait at most ``timeout_s`` seconds for a value and take it; ``None`` when none came."""
        with self._condition:
            self._condition.wait_for(lambda: self._value is not None, timeout_s)
            value = self._value
            self._value = None
            return value
