"""A process that is killed in the middle of its work: kill -9, at each step that changes a file."""

from __future__ import annotations

import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from itertools import count
from typing import Any

CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.chmod", "os.chown", "sqlite3.connect"}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def killed_at(step: int, work: Callable[[], object]) -> bool:
    """Do some work in a process of its own, which is killed before its ``step``-th step.

    Return whether it was killed; ``False``: the work was done before.
    """
    steps = count(1)
    return killed_when(lambda: next(steps) == step, work)


def killed_when(due: Callable[[], bool], work: Callable[[], object]) -> bool:
    """The same, killed before the first step at which ``due()``, which changes no file."""
    with warnings.catch_warnings():
        # Other tests of this process may have left threads of their libraries (JAX, PyTorch), which
        # warn of a fork; the child does not use them.
        warnings.simplefilter("ignore")
        child = os.fork()
    if child == 0:
        _work(due, work)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0, "the work failed by itself; see what it printed"
    return False


def _work(due: Callable[[], bool], work: Callable[[], object]) -> None:
    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        changes = event in CHANGES or (event == "open" and arguments[2] & _WRITING)
        if changes and due():
            os.kill(os.getpid(), signal.SIGKILL)

    try:
        sys.addaudithook(hook)
        work()
    except BaseException:  # noqa: BLE001 - a forked test must not go on as a second one
        traceback.print_exc()
        os._exit(1)
    os._exit(0)
