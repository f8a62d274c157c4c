"""A socket server that runs commands for the dashboard, which is another user."""

from __future__ import annotations

import logging
import socket
import socketserver
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from edge_agent.core import clock
from edge_agent.core.errors import AffectEdgeError, StoreError
from edge_agent.core.texts import pack_text, text_of
from edge_agent.timeline.database.connection import connect
from edge_agent.timeline.database.dashboard_file import SWEPT_S, sweep_prepared
from edge_agent.timeline.gate.client import AND_PARTS, COMMANDS, ERRORS
from edge_agent.timeline.gate.commands import Commands
from edge_agent.timeline.gate.receiver import GateQuestion, Receiver

log = logging.getLogger(__name__)

PLACES = 8
"""Commands that run at once; others wait. The dashboard has a few."""
LARGE = 32_000
"""Bytes from which a question is large; such ones run one after the other."""
ANSWER_S = 10.0
"""Longest wait for a peer that does not take its answer, seconds."""
IDLE_S = 60.0
"""After so long without a question a gate ends whose socket systemd holds: it is started again."""


class _IdleError(Exception):
    """Nobody asked for a while."""


class _Server(socketserver.UnixStreamServer):
    request_queue_size = 64

    def __init__(
        self, address: Path, commands: Commands, given: socket.socket | None, idle_s: float
    ) -> None:
        self.commands = commands
        self.is_given = given is not None
        self._idle_s = idle_s
        self._asked_s = clock.boot_seconds()
        self.alive: Callable[[], None] = lambda: None
        self.interval_s: float | None = None
        self._next_s = 0.0
        # A gate that was killed has left what it staged.
        sweep_prepared(commands.path.parent)
        self._swept_s = clock.boot_seconds()
        self._pool = ThreadPoolExecutor(PLACES, "gate")
        # One after the other: memory is that of one of them.
        self._large = ThreadPoolExecutor(1, "gate-large")
        self._receiver = Receiver(self._complete)
        handler = socketserver.BaseRequestHandler
        super().__init__(str(address), handler, bind_and_activate=given is None)
        if given is not None:
            self.socket.close()
            self.socket = given

    def service_actions(self) -> None:
        """Sweep, and call ``alive`` at the configured interval; it runs ten times a second."""
        now_s = clock.boot_seconds()
        if now_s - self._swept_s >= SWEPT_S:
            self._swept_s = now_s
            sweep_prepared(self.commands.path.parent)
        if self.interval_s is not None and now_s >= self._next_s:
            self._next_s = now_s + self.interval_s
            self.alive()
        if self._receiver.is_busy:
            self._asked_s = now_s
        elif self.is_given and now_s - self._asked_s >= self._idle_s:
            # The thread that accepts ends here, so that whoever comes now waits for the next gate.
            raise _IdleError

    def process_request(self, request: Any, client_address: Any) -> None:
        """Let the question be received; the accept loop never waits."""
        del client_address
        self._receiver.add(request)

    def server_close(self) -> None:
        """Stop: finish commands that are running, drop requests that are still being received."""
        super().server_close()
        self._receiver.stop()
        for pool in (self._pool, self._large):
            pool.shutdown(cancel_futures=True)
        self._receiver.close()

    def _complete(self, question: GateQuestion) -> None:
        pool = self._large if len(question.received) > LARGE else self._pool
        pool.submit(self._serve, question)

    def _serve(self, question: GateQuestion) -> None:
        try:
            answer = self._answer(bytes(question.received))
            question.line.settimeout(ANSWER_S)
            question.line.sendall(answer)
        except OSError as error:
            log.debug("an answer of the gate was not taken: %s", error)
        finally:
            self._receiver.done(question)

    def _answer(self, question: bytes) -> bytes:
        """Run a command; return its result or its error."""
        # One line of head, then the arguments, for which no length is needed: the sender closes its
        # side.
        head, _, arguments = question.partition(b"\n")
        name, *identity = head.decode("ascii", "replace").split(" ")
        try:
            known = COMMANDS.get(name)
            if known is None:
                raise StoreError(f"there is no command {name[:40]!r}")
            # A dashboard may have opened another file at the same path, which was replaced
            # meanwhile.
            file = self.commands.path.stat()
            if identity != [str(file.st_dev), str(file.st_ino)]:
                raise StoreError(
                    f"the service writes {self.commands.path}; the dashboard opened another file"
                )
            return b"ok\n" + known.run(self.commands, arguments)
        except AffectEdgeError as error:
            kind = type(error).__name__ if type(error).__name__ in ERRORS else "StoreError"
            # Only the first line is the kind of error and its field; the rest is its text, and
            # what it was made of, so that a page can say it in another language.
            reason = f"{kind} {error.field}".strip()
            text = text_of(error)
            return f"{reason}\n{text}{AND_PARTS}{pack_text(text) or ''}".encode()
        except Exception:  # the boundary to another process: a mistake of ours ends no service
            log.exception("the command %s failed", name[:40])
            return b"StoreError\nthe command failed; the journal of the service says why"


class Gate:
    """Runs the commands of programs that may only read the database.

    It keeps a connection open, so that SQLite does not delete the log: without the log, a user
    without write access could not read the database.

    Args:
        commands: what may be asked for, over a database of the present schema.
        address: of the socket; one that a crash has left is replaced.
        given: the socket where systemd listens, and goes on listening; ``None``: it is made.
        idle_s: seconds without a question after which a gate with a given socket ends.

    Raises:
        StoreError: the database cannot be opened, or the socket not be made.
    """

    def __init__(
        self,
        commands: Commands,
        address: Path,
        given: socket.socket | None = None,
        idle_s: float = IDLE_S,
    ) -> None:
        self._kept = connect(commands.path, readonly=False)
        # Reads once, for a connection opens the file with its first query.
        self._kept.execute("SELECT count(*) FROM setting").fetchone()
        try:
            if given is None:
                address.parent.mkdir(parents=True, exist_ok=True)
                with suppress(FileNotFoundError):
                    address.unlink()
            self._server = _Server(address, commands, given, idle_s)
            # The group of the dashboard may ask; nobody else.
            if given is None:
                address.chmod(0o660)
        except OSError as error:
            self._kept.close()
            raise StoreError(
                f"{address}: the socket cannot be made ({error.strerror}). Choose another place "
                "with --socket."
            ) from error
        self._address = address

    def __enter__(self) -> Gate:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close socket and database."""
        self._server.server_close()
        if not self._server.is_given:
            with suppress(FileNotFoundError):
                self._address.unlink()
        self._kept.close()

    def serve(
        self, alive: Callable[[], None] = lambda: None, interval_s: float | None = None
    ) -> None:
        """Answer until ``stop``, or until nobody asks at a given socket.

        Args:
            alive: called while it answers.
            interval_s: how often; ``None``: never.
        """
        self._server.alive, self._server.interval_s = alive, interval_s
        with suppress(_IdleError):
            self._server.serve_forever(poll_interval=0.1)

    def stop(self) -> None:
        """Let ``serve`` return; may be called from another thread."""
        self._server.shutdown()
