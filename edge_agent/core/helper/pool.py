"""Helper processes that may be asked again: kept for a while, replaced when they have ended."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from edge_agent.core.clock import boot_seconds
from edge_agent.core.helper.places import FairPlaces
from edge_agent.core.helper.process import HelperClosedError, HelperEndedError, HelperProcess

log = logging.getLogger(__name__)


class HelperPool:
    """Helper processes of one kind: those that are there are asked, others started if need be.

    All methods may be called from any thread.

    Args:
        start: starts one.
        most: at one time; whoever asks while all are busy waits, each asker in turn.
        idle_s: after so long without a question a process ends.
    """

    def __init__(self, start: Callable[[], HelperProcess], most: int, idle_s: float) -> None:
        self._start = start
        self._idle_s = idle_s
        self._places = FairPlaces(most)
        self._lock = threading.Lock()
        self._idle: dict[HelperProcess, float] = {}  # and since when
        self._timer: threading.Timer | None = None
        self._busy: set[HelperProcess] = set()
        self._is_closed = False

    @property
    def pids(self) -> list[int]:
        """Numbers of the processes that run."""
        with self._lock:
            every = [*self._idle, *self._busy]
        return [one.pid for one in every if one.is_running]

    def ask(self, question: bytes, *, timeout_s: float | None = None, asker: str = "") -> bytes:
        """Return the answer of one of the processes.

        Args:
            question: of any length.
            timeout_s: longest time from the start of the process to its answer; ``None``: any.
            asker: for whom; one of them keeps a process free for the others.

        Raises:
            HelperEndedError: the process ended over the question.
            HelperClosedError: the pool is closed.
        """
        with self._places.place(asker):
            helper = self._take_helper()
            try:
                return helper.ask(question, timeout_s=timeout_s)
            except HelperEndedError as error:
                if not isinstance(error, HelperClosedError):
                    log.warning("the process %s ended (exit code %d)", helper.module, error.code)
                raise
            finally:
                self._give_back(helper)

    def close(self) -> None:
        """End all processes; whoever waits for an answer gets ``HelperClosedError``."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, {}
            busy = list(self._busy)
            if self._timer is not None:
                self._timer.cancel()
        for helper in busy:
            helper.end()
        for helper in idle:
            helper.close()

    def _take_helper(self) -> HelperProcess:
        with self._lock:
            if self._is_closed:
                raise HelperClosedError(0)
            while self._idle:
                helper, _ = self._idle.popitem()
                if helper.is_running:
                    break
                helper.end()
            else:
                helper = self._start()
            self._busy.add(helper)
        return helper

    def _give_back(self, helper: HelperProcess) -> None:
        with self._lock:
            self._busy.discard(helper)
            if helper.is_running and not self._is_closed:
                self._idle[helper] = boot_seconds()
                self._start_timer()
                return
        helper.end()

    def _start_timer(self) -> None:
        """End the first idle process when its time has come, unless it is asked before."""
        if self._timer is not None or not self._idle:
            return
        wait_s = min(self._idle.values()) + self._idle_s - boot_seconds()
        self._timer = threading.Timer(wait_s, self._end_idle)
        self._timer.daemon = True
        self._timer.start()

    def _end_idle(self) -> None:
        with self._lock:
            until_s = boot_seconds() - self._idle_s
            over = [helper for helper, since_s in self._idle.items() if since_s <= until_s]
            for helper in over:
                del self._idle[helper]
            self._timer = None
            self._start_timer()
        for helper in over:
            helper.close()
