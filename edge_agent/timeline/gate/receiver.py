"""One thread that receives the questions of all peers; only complete ones get a thread of the pool.

So that a connection on which nothing comes costs a socket and nothing else, and one user's silent
connections never keep another's questions out.
"""

from __future__ import annotations

import logging
import selectors
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from edge_agent.core import clock
from edge_agent.timeline.gate.client import LARGEST

QUESTION_S = 10.0
"""A question that is not complete by then is dropped."""
MOST_OF_A_USER = 64
"""Connections of one user; a dashboard has 40 threads. Of more, the oldest question is dropped."""
BYTES_OF_A_USER = 2 * LARGEST
"""Bytes of the questions of one user that are held; the growing one of more is dropped."""
_CHUNK = 1 << 16
_TICK_S = 0.5

log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class GateQuestion:
    """A connection and what came on it.

    Attributes:
        line: the connection.
        user: number of the user at its other end; -1: the system does not tell.
        until_s: boot clock by which it must be complete.
        received: its bytes.
    """

    line: socket.socket
    user: int
    until_s: float
    received: bytearray = field(default_factory=bytearray)


class Receiver:
    """Receives questions until each is complete.

    Args:
        complete: called with each complete question, in the thread of the receiver.
    """

    def __init__(self, complete: Callable[[GateQuestion], None]) -> None:
        self._complete = complete
        self._lock = threading.Lock()
        self._open: dict[GateQuestion, bool] = {}  # in order of arrival; whether it is complete
        self._new: deque[GateQuestion] = deque()
        self._stopping = False
        self._selector = selectors.DefaultSelector()
        self._woken, self._waker = socket.socketpair()
        self._waker.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="gate-receiver")
        self._thread.start()

    @property
    def is_busy(self) -> bool:
        """Tell whether a question is being received or answered."""
        return bool(self._open)

    def add(self, line: socket.socket) -> None:
        """Receive a question from a connection."""
        line.setblocking(False)
        new = GateQuestion(line, _user_of(line), clock.boot_seconds() + QUESTION_S)
        with self._lock:
            self._open[new] = False
            self._new.append(new)
        self._wake()

    def done(self, question: GateQuestion) -> None:
        """Close the connection of a question that was answered, or dropped."""
        with self._lock:
            self._open.pop(question, None)
        with suppress(OSError):
            question.line.shutdown(socket.SHUT_RDWR)
        question.line.close()

    def stop(self) -> None:
        """Drop what is being received, and receive nothing more; complete questions go on."""
        self._stopping = True
        self._wake()
        self._thread.join()
        for question in self._receiving():
            self.done(question)

    def close(self) -> None:
        """Close all that is left; call it when ``stop`` was called and nothing is answered."""
        for question in list(self._open):
            self.done(question)
        for end in (self._woken, self._waker):
            end.close()
        self._selector.close()

    def _wake(self) -> None:
        with suppress(OSError):
            self._waker.send(b".")

    def _run(self) -> None:
        while not self._stopping:
            for key, _ in self._selector.select(_TICK_S):
                if key.fileobj is self._woken:
                    self._woken.recv(_CHUNK)
                    self._register_new()
                else:
                    self._receive(key.data)
            now_s = clock.boot_seconds()
            for question in self._receiving():
                if now_s > question.until_s:
                    self._drop(question, "it was not complete in time")

    def _register_new(self) -> None:
        while self._new:
            new = self._new.popleft()
            if new.line.fileno() < 0:  # dropped for another that came with it
                continue
            self._selector.register(new.line, selectors.EVENT_READ, new)
            with self._lock:
                own = [one for one in self._open if one.user == new.user]
                waiting = [one for one in own if not self._open[one]]
            if len(own) > MOST_OF_A_USER:
                self._drop(waiting[0], "its user has too many")

    def _receive(self, question: GateQuestion) -> None:
        if question.line.fileno() < 0:  # dropped since the selector told of it
            return
        try:
            part = question.line.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError as error:
            self._drop(question, str(error))
            return
        if part:
            question.received += part
            if len(question.received) > LARGEST:
                self._drop(question, f"it has more than {LARGEST:,} bytes")
            elif self._held_by(question.user) > BYTES_OF_A_USER:
                self._drop(question, "its user has sent too much")
            return
        self._selector.unregister(question.line)
        with self._lock:
            self._open[question] = True
        self._complete(question)

    def _receiving(self) -> list[GateQuestion]:
        with self._lock:
            return [one for one, is_complete in self._open.items() if not is_complete]

    def _held_by(self, user: int) -> int:
        with self._lock:
            return sum(len(one.received) for one in self._open if one.user == user)

    def _drop(self, question: GateQuestion, why: str) -> None:
        log.debug("a question at the gate was dropped: %s", why)
        with suppress(KeyError, ValueError):
            self._selector.unregister(question.line)
        self.done(question)


def _user_of(line: socket.socket) -> int:
    """Return the number of the user at the other end; -1 where the system does not tell."""
    if not hasattr(socket, "SO_PEERCRED"):
        return -1
    process_user_group = struct.Struct("3i")
    known = line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, process_user_group.size)
    return int(process_user_group.unpack(known)[1])
