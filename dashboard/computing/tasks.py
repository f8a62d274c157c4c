"""Messages between the dashboard and a process that computes, and the loop that answers tasks."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from dashboard.languages.current import speaking
from edge_agent.core.errors import AffectEdgeError

log = logging.getLogger(__name__)

IDLE_S = 300.0
"""After so long without a task the process ends."""


@dataclass(frozen=True, slots=True)
class Task:
    """A task to be computed.

    Attributes:
        function: a function of a module, which is found there by its name.
        values: what it is called with.
        language: code of the language in which its texts are wanted.
    """

    function: Callable[..., Any]
    values: tuple[Any, ...]
    language: str


@dataclass(frozen=True, slots=True)
class Begun:
    """The task was taken: whoever asked knows that the process did not end before it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a task: its value, or an error.

    Attributes:
        value: what the function returned.
        error: what it raised on purpose.
        fault: what it raised that nobody expected, in words; its traceback is in the log.
    """

    value: Any = None
    error: AffectEdgeError | None = None
    fault: str = ""


def answer_tasks(connection: Connection[Answer | Begun, Task], idle_s: float = IDLE_S) -> None:
    """Answer until nobody asks for ``idle_s`` seconds, or the other end is closed."""
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while connection.poll(idle_s):
            task = connection.recv()
            # Sent before computing, so that a process that dies is told from one that never began.
            connection.send(Begun())
            connection.send(_computed(task))


def _computed(task: Task) -> Answer:
    try:
        with speaking(task.language):
            return Answer(value=task.function(*task.values))
    except AffectEdgeError as error:
        return Answer(error=error)
    except Exception as error:
        log.exception("%s failed", task.function.__name__)
        return Answer(fault=f"{type(error).__name__}: {error}")
