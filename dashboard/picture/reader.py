"""Starts the process that reads pictures, asks it one picture at a time, and ends it."""

from __future__ import annotations

import json
import logging
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any, cast

from dashboard.picture.frames import send_options, send_picture
from edge_agent.config.vision import VisionSettings
from edge_agent.core.errors import AffectEdgeError, ModelError, PictureError
from edge_agent.core.helper.process import close_pipes, end_apart, start_apart
from edge_agent.core.texts import N_, unpacked

log = logging.getLogger(__name__)

PLACES = 3
"""Pictures that are here at one time: one is read, the others wait."""
IDLE_S = 30.0
"""After so long without a picture the process ends: it holds some 90 MB."""
ANSWER_S = 60.0
"""A photograph takes 0.5 s on a desktop computer, some seconds on a Raspberry Pi."""
_END_S = 2.0


class BusyError(AffectEdgeError):
    """There is no place for another picture now."""


class PictureReader:
    """Reads pictures in a process that starts with the first one and ends when it is not needed.

    All methods may be called from any thread.

    Args:
        options: of the vision chain.
        idle_s: how long the process waits for the next picture before it ends.
        answer_s: how long it may read one picture before it is ended.
    """

    def __init__(
        self, options: VisionSettings, *, idle_s: float = IDLE_S, answer_s: float = ANSWER_S
    ) -> None:
        self._options = options
        self._idle_s = idle_s
        self._answer_s = answer_s
        self._taken = 0
        self._counting = threading.Lock()
        self._turn = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._idle: threading.Timer | None = None
        self._closed = False

    @property
    def pid(self) -> int | None:
        """Number of the process; ``None`` while there is none."""
        process = self._process
        if process is None or process.poll() is not None:
            return None
        return process.pid

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place while a picture is received and read.

        Raises:
            BusyError: all places are taken, or the dashboard stops.
        """
        with self._counting:
            if self._closed or self._taken >= PLACES:
                raise BusyError(
                    N_(
                        "{places} pictures are being read or are waiting. Send this one again "
                        "in 2 seconds."
                    ),
                    places=PLACES,
                )
            self._taken += 1
        try:
            yield
        finally:
            with self._counting:
                self._taken -= 1

    def read(self, content: bytes) -> dict[str, Any]:
        """Return what is in a picture: its size, the model, and its faces.

        Args:
            content: of the file.

        Raises:
            PictureError: it cannot be read.
            ModelError: the configured models cannot be used.
            BusyError: the dashboard stops.
        """
        with self._turn:
            self._stay()
            try:
                answer = self._ask(self._running(), content)
            finally:
                self._wait_for_next()
        if "problem" not in answer:
            return answer
        problem = unpacked(answer["problem"], answer["parts"])
        if answer["kind"] == "model":
            raise ModelError(problem)
        raise PictureError(problem)

    def close(self) -> None:
        """End the process at once; a picture that is being read is given up."""
        # Under the lock of places: no picture can be let in after this.
        with self._counting:
            self._closed = True
        self._stay()
        process = self._process
        if process is None:
            return
        process.kill()
        process.wait()
        with self._turn:  # whoever waited for an answer has none now
            close_pipes(process)

    def _running(self) -> subprocess.Popen[bytes]:
        """Return the process, started if need be."""
        if self._process is not None:
            if self._process.poll() is None:
                return self._process
            self._forget(self._process)
        process = start_apart("dashboard.picture.worker")
        self._process = process
        # ``close`` may have come while the process was started.
        if self._closed:
            process.kill()
        with suppress(BrokenPipeError):  # it has ended already; the answer tells
            send_options(_stdin(process), self._options)
        return process

    def _ask(self, process: subprocess.Popen[bytes], content: bytes) -> dict[str, Any]:
        too_long = threading.Event()

        def end() -> None:
            too_long.set()
            process.kill()

        limit = threading.Timer(self._answer_s, end)
        limit.daemon = True
        limit.start()
        line = b""
        try:
            send_picture(_stdin(process), content)
            line = cast("IO[bytes]", process.stdout).readline()
        except BrokenPipeError:
            pass  # no answer
        finally:
            limit.cancel()
        # A line without its end was cut off by the end of the process.
        if line.endswith(b"\n"):
            answer: dict[str, Any] = json.loads(line)
            return answer
        self._forget(process)
        if self._closed:
            raise BusyError(
                N_("The dashboard is stopping. Send the picture again when it is back.")
            )
        if too_long.is_set():
            raise PictureError(
                N_("picture: could not be read in {answer_s:.0f} seconds. Scale it down."),
                answer_s=self._answer_s,
            )
        raise PictureError(
            N_(
                "picture: the process that reads pictures ended while reading this one. Save it "
                "as JPEG with fewer pixels and send that."
            )
        )

    def _forget(self, process: subprocess.Popen[bytes]) -> None:
        """Let go of a process that does not answer any more."""
        self._process = None
        code = end_apart(process)
        if not self._closed:
            log.warning("the process that reads pictures ended (exit code %d)", code)

    def _stay(self) -> None:
        timer = self._idle
        if timer is not None:
            timer.cancel()

    def _wait_for_next(self) -> None:
        """End the process later, if nobody asks."""
        if self._process is None or self._closed:
            return
        self._idle = threading.Timer(self._idle_s, self._end_idle)
        self._idle.daemon = True
        self._idle.start()

    def _end_idle(self) -> None:
        if not self._turn.acquire(blocking=False):
            return  # somebody asks just now
        try:
            process = self._process
            # A timer that was cancelled too late must not end the process of a newer picture.
            if process is None or threading.current_thread() is not self._idle:
                return
            self._process = None
            close_pipes(process)  # it ends when there is nothing more to read
            try:
                process.wait(_END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        finally:
            self._turn.release()


def _stdin(process: subprocess.Popen[bytes]) -> IO[bytes]:
    return cast("IO[bytes]", process.stdin)
