"""The end of a helper process at which questions are answered; it loads as little as it can."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import IO, TYPE_CHECKING

from edge_agent.core.helper.rights import limit_process
from edge_agent.core.logs import PLAIN, log_to_stderr

if TYPE_CHECKING:
    from multiprocessing.connection import Connection


IDLE_S = 2.0
"""After so long without a question nobody waits."""


def answer_questions(
    answer: Callable[[bytes], bytes],
    *,
    memory_bytes: int | None = None,
    nice: int = 0,
    when_idle: Callable[[], None] | None = None,
) -> None:
    """Answer whoever started this process as a helper, until nobody asks any more.

    What is printed meanwhile goes to standard error, where warnings are logged.

    Args:
        answer: returns the answer to a question; an error that it raises ends the process.
        memory_bytes: what the process may ask for; ``None``: any.
        nice: by how much others come first.
        when_idle: called once after each answer that no question follows for ``IDLE_S``.
    """
    with take_answers() as pipe:
        answers = connection_over(pipe)
    questions = connection_over(sys.stdin.buffer)
    log_to_stderr(logging.WARNING, PLAIN)
    limit_process(memory_bytes, nice=nice)
    with answers, questions, suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            answers.send_bytes(answer(questions.recv_bytes()))
            if when_idle is not None and not questions.poll(IDLE_S):
                when_idle()


def take_answers() -> IO[bytes]:
    """Return where answers go; what a library prints goes to the log instead.

    Called first of all: what a library prints must not come between two answers.
    """
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


def connection_over(pipe: IO[bytes]) -> Connection:
    """Return a connection over a copy of a pipe, which stays open when that is closed."""
    # 0.2 MB, which nobody needs who never asks.
    from multiprocessing.connection import Connection

    return Connection(os.dup(pipe.fileno()), readable=pipe.readable(), writable=pipe.writable())
