"""Limits on connections: their number, and the duration of each phase.

uvicorn takes every connection that comes, waits for its first byte for ever, and logs each that it
has no file handle for. So the listening socket counts them itself, before TLS and HTTP cost
anything, and whoever sends or reads too slowly is cut off. Where there is no place left, the one
gives way that has waited longest without asking for anything: a crowd from one address crowds out
itself, and somebody who asks for a page is answered though they come from the same address. Event
streams give way last: their pages open them again by themselves, and health and log-in have a place
however many there are.
"""

from __future__ import annotations

import gc
import logging
import os
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard.accounts.attempts import group_of
from edge_agent.core.clock import boot_seconds
from edge_agent.core.process import give_back_heap

log = logging.getLogger(__name__)

TOTAL = 250
PER_ADDRESS = 100
HEADER_SECONDS = 10.0
"""For the handshake and the head of the first request."""
BODY_SECONDS = 20.0
BODY_BYTES_A_SECOND = 10_000
WRITE_SECONDS = 60.0
"""For a reader to take in what is buffered: some 64 to 400 KB."""
_BEFORE_COLLECTED = 64
"""Closed connections that the collector of cycles is called for: under TLS each still holds 256 KB,
and it would come by itself for thousands."""
_AT_ONCE = 32
"""Connections taken before the loop does its other work, such as closing those that had to go."""


class Phase(IntEnum):
    """The phase of a connection; the one with the lowest phase is closed first to make room."""

    NEW = 0
    BETWEEN = 1
    BODY = 2
    STREAM = 3
    ANSWER = 4


@dataclass(eq=False, slots=True)
class OpenConnection:
    """An open connection.

    Attributes:
        group: what is counted together: an address, or an IPv6 network.
        key: address and port at the other end.
        accepted: its socket.
        since: when its phase began, seconds.
        deadline: when it is cut off; ``None``: not by its time.
        phase: what it is doing.
    """

    group: str
    key: tuple[str, int]
    accepted: socket.socket
    since: float
    deadline: float | None
    phase: Phase = Phase.NEW

    def enter(self, phase: Phase, at: float, seconds: float | None) -> None:
        """Enter another phase, with a time limit."""
        self.phase = phase
        self.since = at
        self.deadline = None if seconds is None else at + seconds


class ConnectionGuard:
    """The open connections of one server; it decides which are closed to make room.

    Args:
        clock: seconds, never going back.
        total: connections at the most.
        per_address: connections of one address at the most.
    """

    def __init__(
        self,
        clock: Callable[[], float] = boot_seconds,
        total: int = TOTAL,
        per_address: int = PER_ADDRESS,
    ) -> None:
        self.clock = clock
        self._total = total
        self._per_address = per_address
        self._open: dict[tuple[str, int], OpenConnection] = {}
        self._crowded_out = 0
        self._refused = 0
        self._closed = 0

    def admit(self, accepted: socket.socket, peer: tuple[Any, ...]) -> bool:
        """Admit a new connection, closing another if necessary; return whether it succeeded."""
        group = group_of(str(peer[0]))
        if not self._make_room(group):
            self._refused += 1
            return False
        at = self.clock()
        key = (str(peer[0]), int(peer[1]))
        self._open[key] = OpenConnection(group, key, accepted, at, at + HEADER_SECONDS)
        return True

    def left(self, accepted: socket.socket, peer: tuple[Any, ...]) -> None:
        """Remove a closed connection; after many of them, free their memory."""
        self._closed += 1
        if self._closed % _BEFORE_COLLECTED == 0:
            gc.collect()
        key = (str(peer[0]), int(peer[1]))
        known = self._open.get(key)
        # A newer connection may have the same port by now.
        if known is not None and known.accepted is accepted:
            del self._open[key]

    def find(self, client: tuple[str, int] | None) -> OpenConnection | None:
        """Return the connection that a request came over."""
        if client is None:
            return None
        return self._open.get((client[0], client[1]))

    def cut_off_the_slow(self) -> None:
        """Close the connections whose deadline has passed."""
        at = self.clock()
        for connection in list(self._open.values()):
            if connection.deadline is not None and at >= connection.deadline:
                self._cut_off(connection)

    def tell(self) -> None:
        """Log how many connections were closed since the last call, and free their memory."""
        if self._crowded_out or self._refused:
            give_back_heap()
            log.warning(
                "too many connections: %d gave way to others and %d were refused, %d are open",
                self._crowded_out,
                self._refused,
                len(self._open),
            )
        self._crowded_out = 0
        self._refused = 0

    def _make_room(self, group: str) -> bool:
        """Make room for a connection of a group if necessary; return whether there is room."""
        counts = Counter(connection.group for connection in self._open.values())
        if counts[group] >= self._per_address:
            return self._crowd_out(group)
        if len(self._open) < self._total:
            return True
        largest = max(counts, key=lambda name: counts[name])
        return self._crowd_out(largest)

    def _crowd_out(self, group: str) -> bool:
        waiting = [
            connection
            for connection in self._open.values()
            if connection.group == group and connection.phase is not Phase.ANSWER
        ]
        if not waiting:
            return False
        # The least worthy phase first, and in it who has waited longest.
        self._cut_off(min(waiting, key=lambda connection: (connection.phase, connection.since)))
        self._crowded_out += 1
        return True

    def _cut_off(self, connection: OpenConnection) -> None:
        """End a connection from outside: the server reads its end and closes it.

        Its place is free at once; before the server comes to it, others may be accepted.
        """
        self._open.pop(connection.key, None)
        with suppress(OSError):  # it has gone by itself
            connection.accepted.shutdown(socket.SHUT_RDWR)


class GuardedListener(socket.socket):
    """A listening socket that accepts only connections that a guard admits.

    Args:
        listening: the socket that listens; it may be closed afterwards.
        guard: who counts.
    """

    def __init__(self, listening: socket.socket, guard: ConnectionGuard) -> None:
        # A descriptor of its own, or closing one socket would close the other.
        super().__init__(fileno=os.dup(listening.fileno()))
        self.setblocking(False)
        self._guard = guard
        self._taken = 0

    def accept(self) -> tuple[socket.socket, Any]:
        """Return the next connection that is admitted, and its address; close the others.

        Raises:
            BlockingIOError: there is none now, or it is the turn of other work; ask again.
        """
        while self._taken < _AT_ONCE:
            self._taken += 1
            plain, peer = super().accept()
            accepted = _Accepted(plain, peer, self._guard)
            if self._guard.admit(accepted, peer):
                return accepted, peer
            accepted.close()
        self._taken = 0
        # asyncio accepts until this error, and only then does its other work.
        raise BlockingIOError


class _Accepted(socket.socket):
    """A connection that tells its guard when it is closed."""

    def __init__(self, plain: socket.socket, peer: tuple[Any, ...], guard: ConnectionGuard) -> None:
        # Detached, so that only one of the two objects closes the descriptor.
        super().__init__(fileno=plain.detach())
        self._peer = peer
        self._guard = guard

    def close(self) -> None:
        """Close the connection, and tell the guard."""
        super().close()
        self._guard.left(self, self._peer)


class RequestTimes:
    """ASGI middleware: tells the guard the phase of each connection.

    Args:
        app: the application.
        guard: who counts.
    """

    def __init__(self, app: ASGIApp, guard: ConnectionGuard) -> None:
        self._app = app
        self._guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, with a time for its body and for each part of the answer."""
        connection = self._guard.find(scope.get("client"))
        if scope["type"] != "http" or connection is None:
            await self._app(scope, receive, send)
            return
        clock = self._guard.clock
        begun = clock()
        received = 0

        async def receive_in_time() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if connection.phase is Phase.BODY:
                if message.get("more_body", False):
                    # The time grows with what has come: a slow line
                    # may finish, a stalled one may not.
                    late = BODY_SECONDS + received / BODY_BYTES_A_SECOND
                    connection.deadline = begun + late
                else:
                    connection.enter(Phase.ANSWER, clock(), None)
            return message

        phase = Phase.ANSWER

        async def send_in_time(message: Message) -> None:
            nonlocal phase
            if message["type"] == "http.response.start" and _is_stream(message):
                phase = Phase.STREAM
            connection.enter(phase, clock(), WRITE_SECONDS)
            await send(message)
            # Between two parts the application computes, which is not the reader's fault.
            connection.deadline = None

        if has_body(Headers(scope=scope)):
            connection.enter(Phase.BODY, begun, BODY_SECONDS)
        else:
            connection.enter(Phase.ANSWER, begun, None)
        try:
            await self._app(scope, receive_in_time, send_in_time)
        finally:
            # uvicorn closes an idle connection sooner; this is for who does not read the answer.
            connection.enter(Phase.BETWEEN, clock(), WRITE_SECONDS)


class OnceAMinute(logging.Filter):
    """Logging filter: passes a line once a minute, however often strangers cause it.

    Errors of our own pass always.
    """

    def __init__(self, clock: Callable[[], float] = boot_seconds) -> None:
        super().__init__()
        self._clock = clock
        self._seen: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a line is written."""
        # asyncio logs as an error what strangers do to their own connection.
        if record.levelno >= logging.ERROR and record.name != "asyncio":
            return True
        # By the form of the message: with its values each address would be a line of its own.
        key = str(record.msg)[:40]
        at = self._clock()
        if at - self._seen.get(key, -60.0) < 60.0:
            return False
        if len(self._seen) > 100:
            self._seen.clear()
        self._seen[key] = at
        return True


def _is_stream(start: Message) -> bool:
    kind = Headers(raw=start.get("headers", [])).get("content-type", "")
    return kind.startswith("text/event-stream")


def has_body(headers: Headers) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"
