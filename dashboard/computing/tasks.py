"""Messages between the dashboard and a process that computes, and how a task is answered."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from dashboard.languages.current import speaking
from edge_agent.core.errors import AffectEdgeError

log = logging.getLogger(__name__)


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
class TaskAnswer:
    """The answer to a task: its value, or an error.

    Attributes:
        value: what the function returned.
        error: what it raised on purpose.
        fault: what it raised that nobody expected, in words; its traceback is in the log.
    """

    value: Any = None
    error: AffectEdgeError | None = None
    fault: str = ""


def answer_task(question: bytes) -> bytes:
    """Compute a pickled ``Task``; return the pickled ``TaskAnswer``."""
    task = cast("Task", pickle.loads(question))  # noqa: S301 - of the dashboard
    return pickle.dumps(_answer_task(task))


def _answer_task(task: Task) -> TaskAnswer:
    try:
        with speaking(task.language):
            return TaskAnswer(value=task.function(*task.values))
    except AffectEdgeError as error:
        return TaskAnswer(error=error)
    except Exception as error:
        log.exception("%s failed", task.function.__name__)
        return TaskAnswer(fault=f"{type(error).__name__}: {error}")
