"""Named threads that report an unexpected end or begin again, and a slot for the newest value."""

from __future__ import annotations

import ctypes
import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.errors import AffectEdgeError
from edge_agent.core.pauses import Pauses

log = logging.getLogger(__name__)
T = TypeVar("T")
RESTARTS_S = (1.0, 5.0, 15.0, 60.0)
"""Pauses before a source that died begins again."""
_PR_SET_NAME = 15  # of prctl(2)
_NAME_BYTES = 15
STEADY_S = 600.0
"""A source that has run for so long since it died is well again."""


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
        self._thread = threading.Thread(target=self._run_named, name=name, daemon=True)

    @abstractmethod
    def work(self) -> None:
        """Do the work; return when ``stopping`` is set. An exception ends the agent."""

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

    def _run_named(self) -> None:
        # Before version 3.14 Python does not tell the system the name.
        name_thread = getattr(ctypes.CDLL(None), "prctl", None)
        if name_thread is not None:
            name_thread(_PR_SET_NAME, self.name.encode()[:_NAME_BYTES])
        self._run()

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


class Turns:
    """Whose turn it is where one works at a time; who waits asks again, and holds no thread.

    Whoever has not asked for ``kept_s`` has left.

    Args:
        kept_s: seconds between two questions of one who waits, at the most.

    Example:
        >>> turns = Turns()
        >>> with turns.asked_by("ada") as ada, turns.asked_by("eve") as eve:
        ...     ada, eve
        (0, 1)
    """

    def __init__(self, kept_s: float = 30.0) -> None:
        self._kept_s = kept_s
        self._lock = threading.Lock()
        self._is_busy = False
        self._waiting: dict[str, float] = {}

    @contextmanager
    def asked_by(self, name: str) -> Iterator[int]:
        """Yield how many come before; 0: it is the turn of this one until the block ends."""
        with self._lock:
            now_s = clock.boot_seconds()
            kept = self._waiting.items()
            self._waiting = {one: at for one, at in kept if now_s - at <= self._kept_s}
            self._waiting[name] = now_s  # in its place, if it has one
            before = list(self._waiting).index(name) + self._is_busy
            if not before:
                self._is_busy = True
                del self._waiting[name]
        try:
            yield before
        finally:
            if not before:
                self._is_busy = False

    def leave(self, name: str) -> None:
        """Give up a place."""
        with self._lock:
            self._waiting.pop(name, None)


@dataclass(frozen=True, slots=True)
class Death:
    """The last unexpected end of a worker that begins again.

    Attributes:
        times: how often it has died since the agent started.
        at: when it died.
        back: when it began again; ``None``: it waits for that.
        error: what it died of.
    """

    times: int
    at: Instant
    back: Instant | None
    error: Exception


class RestartingWorker(Worker):
    """A worker whose fault is its own: it logs its death, waits, and runs ``work`` anew.

    One sender of nonsense must not end the recording of all others. The pauses grow while it dies
    again and again, and begin anew once it has run for ``STEADY_S``. ``on_death`` is never called.

    Args:
        name: as in ``Worker``.

    Attributes:
        sources: of what it records; while it waits, they have a gap.
        on_return: called in the thread when it begins again, or is stopped while it waits.
        death: the last one; ``None``: it has not died.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.sources: tuple[str, ...] = ()
        self.on_return: Callable[[RestartingWorker, Death], None] = lambda _worker, _death: None
        self.death: Death | None = None

    def _run(self) -> None:
        pauses = Pauses(RESTARTS_S)
        while True:
            begun_s = clock.boot_seconds()
            try:
                self.work()
                return
            except Exception as error:  # the top of a worker: logged, kept, and begun again
                if clock.boot_seconds() - begun_s >= STEADY_S:
                    pauses.reset()
                pause_s = pauses.after_failure()
                # with a traceback only the first of equal ones, and never of an error of our own
                is_known = (type(error), str(error)) == (type(self.error), str(self.error))
                unforeseen = not (is_known or isinstance(error, AffectEdgeError))
                text = "worker %s died: %s; it begins again in %.0f s"
                log.error(text, self.name, error, pause_s, exc_info=unforeseen)
                self.error = error
            self._wait(self.error, pause_s)
            if self.stopping.is_set():
                return
            log.info("worker %s begins again", self.name)

    def _wait(self, error: Exception, pause_s: float) -> None:
        """Record a death, and wait."""
        times = self.death.times + 1 if self.death else 1
        self.death = death = Death(times, clock.now(), None, error)
        self.stopping.wait(pause_s)
        self.death = death = replace(death, back=clock.now())
        self.on_return(self, death)


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
