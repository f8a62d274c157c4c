"""Starts the processes that compute statistics, asks them, and ends them."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import ParamSpec, TypeVar, cast

from dashboard.computing.tasks import Answer, Begun, Task
from dashboard.languages.current import language
from edge_agent.core.errors import AffectEdgeError
from edge_agent.core.texts import N_

log = logging.getLogger(__name__)

PROCESSES = 2
"""At one time: a long computation leaves a place for a short one. Each holds some 110 MB."""

_END_S = 2.0

_Values = ParamSpec("_Values")
_Result = TypeVar("_Result")
_ENDED = N_(
    "The computation was stopped from outside, most likely because memory ran out. Choose fewer "
    "sessions or a shorter range, or try again."
)
_STOPS = N_("The dashboard is stopping. Try again when it is back.")


class ComputationEndedError(AffectEdgeError):
    """The process ended before it had an answer."""


class ComputationFailedError(Exception):
    """The computation raised what nobody expected; its traceback is in the log."""


class _NotBegunError(Exception):
    """The process had ended before it took the task."""


class Computing:
    """Calls functions in processes that start when they are needed and end when they are not.

    All methods may be called from any thread.
    """

    def __init__(self) -> None:
        self._places = threading.BoundedSemaphore(PROCESSES)
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._busy: set[_Worker] = set()
        self._closed = False

    @property
    def pids(self) -> list[int]:
        """Numbers of the processes that run."""
        with self._lock:
            every = [*self._idle, *self._busy]
        return [one.process.pid for one in every if one.process.poll() is None]

    def call(
        self,
        function: Callable[_Values, _Result],
        *values: _Values.args,
        **_nothing: _Values.kwargs,
    ) -> _Result:
        """Return what a function of a module returns, with its texts in the language in use here.

        It waits while all processes are busy. Function, values and result are copied (by pickle);
        values by name are not passed on.

        Raises:
            AffectEdgeError: what the function raised.
            ComputationEndedError: the process was killed, or the dashboard stops.
            ComputationFailedError: the function raised something else.
        """
        task = Task(function, values, language())
        with self._places:
            answer = self._answer(task)
        if answer.error is not None:
            raise answer.error
        if answer.fault:
            raise ComputationFailedError(f"{function.__name__}: {answer.fault}")
        return cast("_Result", answer.value)

    def close(self) -> None:
        """End all processes; what is being computed is given up."""
        with self._lock:
            self._closed = True
            # Taken out under the lock; a process that is busy is not given back after this.
            idle, self._idle = self._idle, []
            busy = list(self._busy)
        for worker in idle:
            worker.connection.close()
        for worker in busy:
            worker.end()
        for worker in idle:
            worker.wait_or_end()

    def _answer(self, task: Task) -> Answer:
        """Ask a process that is there; where it had ended meanwhile, one that is started."""
        while True:
            worker, is_new = self._take()
            try:
                answer = worker.ask(task)
            # A kept process ends by itself after a while: the next one is asked.
            except _NotBegunError:
                self._forget(worker)
                if is_new:
                    raise self._ended(worker) from None
            # It had begun the task, which may be what ended it, so it is not tried again.
            except EOFError:
                self._forget(worker)
                raise self._ended(worker) from None
            except BaseException:
                self._forget(worker)
                raise
            else:
                self._give_back(worker)
                return answer

    def _take(self) -> tuple[_Worker, bool]:
        with self._lock:
            if self._closed:
                raise ComputationEndedError(_STOPS)
            is_new = not self._idle
            worker = _start() if is_new else self._idle.pop()
            self._busy.add(worker)
        return worker, is_new

    def _give_back(self, worker: _Worker) -> None:
        with self._lock:
            self._busy.discard(worker)
            if not self._closed:
                self._idle.append(worker)

    def _forget(self, worker: _Worker) -> None:
        with self._lock:
            self._busy.discard(worker)
        worker.end()
        worker.connection.close()

    def _ended(self, worker: _Worker) -> ComputationEndedError:
        if self._closed:
            return ComputationEndedError(_STOPS)
        log.warning("a process that computes ended (exit code %d)", worker.process.wait())
        return ComputationEndedError(_ENDED)


@dataclass(frozen=True, slots=True, eq=False)
class _Worker:
    process: subprocess.Popen[bytes]
    connection: Connection[Task, Answer | Begun]

    def ask(self, task: Task) -> Answer:
        """Return the answer.

        Raises:
            EOFError: the process ended over it.
            _NotBegunError: it had ended before.
        """
        try:
            self.connection.send(task)
            # The first message says that the task was begun: from there on it is not repeated.
            self.connection.recv()
        except (EOFError, OSError) as error:
            raise _NotBegunError from error
        try:
            return cast("Answer", self.connection.recv())
        except OSError as error:
            raise EOFError from error

    def wait_or_end(self) -> None:
        """Wait for a process that nobody asks any more."""
        try:
            self.process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self.end()

    def end(self) -> None:
        """End the process; whoever waits for its answer has an end instead."""
        self.process.kill()
        self.process.wait()


def _start() -> _Worker:
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            # ``-P`` keeps the working directory from the places where modules are looked for.
            [sys.executable, "-P", "-m", "dashboard.computing.worker", str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            # Several threads of NumPy's algebra took twice the processor time for nothing.
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"},
            process_group=0,  # Ctrl-C is for the dashboard, which ends it in order
        )
    # The thread takes note of the end of a process that nobody asked for long.
    threading.Thread(target=process.wait, name="computing", daemon=True).start()
    return _Worker(process, Connection(ours.detach()))
