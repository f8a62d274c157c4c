"""A process that is asked: it starts, answers questions, and ends with the one that started it.

What a library loads and what an answer needs in memory goes with the process, which may also hang,
run out of memory or be killed. Questions and answers are bytes. Whoever asks must not unpickle the
answer of a process that works on data from elsewhere: it could run what a picture made of it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import IO, Self, cast

from edge_agent.core.helper.answering import connection_over
from edge_agent.core.owners import rights_of_children

END_S = 2.0
"""Longest wait for a process that nobody asks any more; then it is killed."""
LOOK_S = 0.5
"""Pause between two looks at whether who asks must stop."""
MOST_BYTES = 64 * 1024 * 1024
"""Longest answer of a process that works on data from elsewhere."""
KEPT_VARIABLES = (
    *("HOME", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "PATH", "TMPDIR", "TZ"),
    *("PYTHONDONTWRITEBYTECODE", "PYTHONHOME", "PYTHONNOUSERSITE", "PYTHONPATH", "VIRTUAL_ENV"),
    *("OPENCV_FFMPEG_CAPTURE_OPTIONS", "OPENCV_FFMPEG_LOGLEVEL", "OPENCV_LOG_LEVEL"),
)
"""Variables of the environment that such a process gets; passwords may stand in others."""
# Several threads of NumPy's algebra took twice the processor time for nothing.
_FRUGAL = {"OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}


class HelperEndedError(Exception):
    """The process ended before it had answered.

    Attributes:
        code: its exit code, or minus the signal that ended it.
    """

    def __init__(self, code: int) -> None:
        super().__init__(f"exit code {code}")
        self.code = code


class HelperLateError(HelperEndedError):
    """The process had no answer in time, and was killed."""


class HelperClosedError(HelperEndedError):
    """The end of a process by whoever asks, who does not want an answer any more."""


class HelperProcess:
    """A module of ours that runs in a process of its own and answers by ``answer_questions``.

    One question is asked at a time; other threads wait for their turn. The process ends with the
    one that started it, however that ends.

    Args:
        module: started by ``python -m``.
        words: its arguments; other users can read them.
        environment: its variables; ``None``: those of ``KEPT_VARIABLES``, of which none is secret.
        is_quiet: what it prints and logs is thrown away.
        most_bytes: longest answer that is taken; ``None``: any.

    Raises:
        OSError: it cannot be started.

    Example::

        with HelperProcess("edge_agent.alerts.outgoing") as helper:
            answer = helper.ask(b"question", timeout_s=60)
    """

    def __init__(
        self,
        module: str,
        *words: str,
        environment: Mapping[str, str] | None = None,
        is_quiet: bool = False,
        most_bytes: int | None = MOST_BYTES,
    ) -> None:
        self.module = module
        self._most_bytes = most_bytes
        errors = subprocess.DEVNULL if is_quiet else None
        self._process = start_apart(module, *words, environment=environment, errors=errors)
        self._questions = connection_over(cast("IO[bytes]", self._process.stdin))
        self._answers = connection_over(cast("IO[bytes]", self._process.stdout))
        close_pipes(self._process)
        # Reentrant: whoever asks may end the process, too.
        self._turn = threading.RLock()
        self._ended_by: type[HelperEndedError] | None = None

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Tell whether the process has not ended, and nobody has ended it."""
        return self._ended_by is None and self._process.poll() is None

    def ask(
        self,
        question: bytes,
        *,
        timeout_s: float | None = None,
        stopping: threading.Event | None = None,
        grace_s: float = 0.0,
    ) -> bytes:
        """Return the answer.

        Args:
            question: of any length.
            timeout_s: the process is killed when it has not answered by then; ``None``: never.
            stopping: the process is killed when it is set.
            grace_s: time that it then still has.

        Raises:
            HelperEndedError: the process ended, for whatever reason.
        """
        with self._turn, self._killed_after(timeout_s):
            try:
                self._questions.send_bytes(question)
                while stopping is not None and not self._answers.poll(LOOK_S):
                    if stopping.is_set() and not self._answers.poll(grace_s):
                        self._kill(HelperClosedError)
                return self._answers.recv_bytes(self._most_bytes)
            except (EOFError, OSError):
                raise self._end_error() from None
            # Its answer would be taken for that to the next question.
            except BaseException:
                self.end()
                raise

    def close(self) -> None:
        """Let the process end, which answers nobody any more; kill it when it does not."""
        self._close_connections()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(END_S)
        self.end()

    def end(self) -> None:
        """Kill the process; whoever waits for its answer gets ``HelperClosedError``."""
        self._kill(HelperClosedError)
        self._process.wait()
        self._close_connections()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.end()

    @contextmanager
    def _killed_after(self, seconds: float | None) -> Iterator[None]:
        if seconds is None:
            yield
            return
        # A thread, because sending a long question to a process that hangs takes for ever, too.
        timer = threading.Timer(seconds, self._kill, [HelperLateError])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _end_error(self) -> HelperEndedError:
        kind = self._ended_by or HelperEndedError
        self.close()  # it may live, where its answer was too long
        return kind(self._process.wait())

    def _kill(self, ended_by: type[HelperEndedError]) -> None:
        self._ended_by = self._ended_by or ended_by  # the first reason counts
        self._process.kill()

    def _close_connections(self) -> None:
        # Not while somebody asks: the number of a closed file could be that of a new one.
        with self._turn:
            self._questions.close()
            self._answers.close()


def start_apart(
    module: str,
    *words: str,
    environment: Mapping[str, str] | None = None,
    errors: int | None = None,
) -> subprocess.Popen[bytes]:
    """Start a module of ours as a process that is asked and answers by pipes.

    In a block of ``as_owner_of`` it has the rights of that owner, for good.

    Args:
        module: started by ``python -m``.
        words: its arguments; others can read them.
        environment: its variables; ``None``: those of ``KEPT_VARIABLES``.
        errors: where its standard error goes, as for ``Popen``; ``None``: to that of this process.

    Raises:
        OSError: it cannot be started.
    """
    kept = environment
    if kept is None:
        kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    rights = rights_of_children()
    # Ctrl-C is for the program that asks, which ends this one in order. A session of its own is a
    # group of its own, too.
    group = None if rights else 0
    return subprocess.Popen(
        # ``-P`` keeps the working directory from the places where modules are looked for.
        [sys.executable, "-P", "-m", module, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        env={**kept, **_FRUGAL},
        process_group=group,
        **rights,
    )


def end_apart(process: subprocess.Popen[bytes]) -> int:
    """End such a process at once and close its pipes; return its exit code."""
    process.kill()
    code = process.wait()
    close_pipes(process)
    return code


def close_pipes(process: subprocess.Popen[bytes]) -> None:
    """Close the pipes of such a process, which ends when there is nothing more to read."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(BrokenPipeError):
                pipe.close()
