"""Computes in processes of their own: starts them, asks them, and ends them."""

from __future__ import annotations

import os
import pickle
import threading
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from typing import ParamSpec, TypeVar, cast

from dashboard.computing.tasks import Task, TaskAnswer
from dashboard.languages.current import language
from edge_agent.core.errors import AffectEdgeError
from edge_agent.core.helper.pool import HelperPool
from edge_agent.core.helper.process import HelperClosedError, HelperEndedError, HelperProcess
from edge_agent.core.texts import N_

PROCESSES = 2
"""At one time: the long computations of one account leave a place for the short ones of others, and
wait for each other. Each holds some 110 MB.
"""
IDLE_S = 300.0
"""After so long without a task a process ends."""

asker: ContextVar[str] = ContextVar("asker", default="")
"""For whom the present request computes: an account or an address; empty: the dashboard itself."""

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


class Computing:
    """Calls functions in processes that start when they are needed and end when they are not.

    All methods may be called from any thread.
    """

    def __init__(self) -> None:
        self._helpers = HelperPool(_start, PROCESSES, IDLE_S)

    @property
    def pids(self) -> list[int]:
        """Numbers of the processes that run."""
        return self._helpers.pids

    def call(
        self,
        function: Callable[_Values, _Result],
        *values: _Values.args,
        **_nothing: _Values.kwargs,
    ) -> _Result:
        """Return what a function of a module returns, with its texts in the language in use here.

        It waits while all processes are busy; each ``asker`` has its turn. Function,
        values and result are copied (by pickle); values by name are not passed on.

        Raises:
            AffectEdgeError: what the function raised.
            ComputationEndedError: the process was killed, or the dashboard stops.
            ComputationFailedError: the function raised something else.
        """
        task = Task(function, values, language())
        return cast("_Result", _value_of(task, partial(self._helpers.ask, asker=asker.get())))

    def call_until(
        self,
        stopping: threading.Event,
        function: Callable[_Values, _Result],
        *values: _Values.args,
        **_nothing: _Values.kwargs,
    ) -> _Result:
        """Return what a function returns, as ``call`` does, in a process for it alone.

        It takes no place of the others, and ends when ``stopping`` is set.

        Raises:
            AffectEdgeError: what the function raised.
            ComputationEndedError: the process was killed, or it was stopped.
            ComputationFailedError: the function raised something else.
        """
        task = Task(function, values, language())
        with _start() as helper:
            return cast("_Result", _value_of(task, partial(helper.ask, stopping=stopping)))

    def close(self) -> None:
        """End all processes; what is being computed is given up."""
        self._helpers.close()


def _value_of(task: Task, ask: Callable[[bytes], bytes]) -> object:
    """Return what the function of a task returned, or raise what it raised."""
    try:
        content = ask(pickle.dumps(task))
    except HelperClosedError:
        raise ComputationEndedError(_STOPS) from None
    except HelperEndedError:
        raise ComputationEndedError(_ENDED) from None
    answer = cast("TaskAnswer", pickle.loads(content))  # noqa: S301 - of our own process
    if answer.error is not None:
        raise answer.error
    if answer.fault:
        raise ComputationFailedError(f"{task.function.__name__}: {answer.fault}")
    return answer.value


def _start() -> HelperProcess:
    # It reads the timeline as this process does, and nothing from elsewhere: it may know the same
    # variables, and its answers may be unpickled.
    return HelperProcess("dashboard.computing.worker", environment=os.environ, most_bytes=None)
