"""A socket on which other programs of this machine write the database, by our rules."""

from __future__ import annotations

import logging
import socket
import socketserver
import sqlite3
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from edge_agent.core import clock
from edge_agent.core.errors import AffectEdgeError, StoreError
from edge_agent.store.database.gate.frames import receive, send
from edge_agent.store.database.gate.trusted import TRUSTED
from edge_agent.store.database.schema import connect
from edge_agent.store.gatekeeper.authority import authorise
from edge_agent.store.intake import corrections as _corrections  # noqa: F401 - marks its functions
from edge_agent.store.study import capture_switch as _switch  # noqa: F401
from edge_agent.store.upkeep import erasure as _erasure  # noqa: F401
from edge_agent.store.write import timeline as _timeline  # noqa: F401

log = logging.getLogger(__name__)

MOST_CONNECTIONS = 32
"""At once; the dashboard has a few. One more is told to wait."""
SILENCE_S = 30.0
"""A program that holds a transaction open and says nothing for so long loses it."""
STATEMENT_S = 20.0
"""A statement that takes longer is ended: the recorder waits for it."""
_STEPS = 100_000
"""Of SQLite's machine between two looks at the clock."""


_REFUSED = (AffectEdgeError, sqlite3.Error, LookupError, OverflowError, TypeError, ValueError)
"""What a wrong question raises; everything else is a mistake of ours."""


class _Session(socketserver.BaseRequestHandler):
    """One program's connection to the database."""

    server: _Server
    request: socket.socket

    def handle(self) -> None:
        """Answer until the other side ends; what it has not committed is rolled back."""
        self._connection: sqlite3.Connection | None = None
        self._until_s = 0.0
        self.request.settimeout(SILENCE_S)
        try:
            while (question := receive(self.request)) is not None:
                send(self.request, self._answer(question))
        except (OSError, ValueError, RecursionError, StoreError) as error:
            log.debug("a connection through the gate ended: %s", error)
        finally:
            if self._connection is not None:
                self._connection.close()

    def _answer(self, question: Mapping[str, Any]) -> dict[str, Any]:
        try:
            answer = self._do(question)
        except _REFUSED as error:
            answer = _told(error)
        opened = self._connection
        return answer | {"in_transaction": opened is not None and opened.in_transaction}

    def _do(self, question: Mapping[str, Any]) -> dict[str, Any]:
        if "database" in question:
            return self._open(question["database"])
        if self._connection is None:
            raise ValueError("name the database first")
        if "call" in question:
            return {"result": self._call(question["call"], question.get("arguments") or {})}
        self._until_s = clock.boot_seconds() + STATEMENT_S
        if "each" in question:
            cursor = self._connection.executemany(question["sql"], question["each"])
        else:
            cursor = self._connection.execute(question["sql"], question.get("parameters") or ())
        return {
            "rows": [list(row) for row in cursor.fetchall()],
            "columns": [column[0] for column in cursor.description or ()],
            "lastrowid": cursor.lastrowid,
            "rowcount": cursor.rowcount,
        }

    def _open(self, identity: object) -> dict[str, Any]:
        path = self.server.database
        file = path.stat()
        if identity != [file.st_dev, file.st_ino]:
            raise StoreError(f"the service for writing keeps {path}, not this file")
        if self._connection is None:
            self._connection = connect(path, readonly=False)
            self._connection.set_progress_handler(self._is_late, _STEPS)
            self._connection.set_authorizer(self._authorise)
        return {}

    def _call(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """Run a function of ours, which may do everything."""
        function = TRUSTED.get(name)
        if function is None:
            raise ValueError(f"there is no function {name!r}")
        assert self._connection is not None
        if function.takes_path:
            return function.run(self.server.database, dict(arguments))
        if not self._connection.in_transaction:
            raise ValueError(f"{name} needs a transaction")
        self._until_s = float("inf")
        self._connection.set_authorizer(None)
        try:
            return function.run(self._connection, dict(arguments))
        finally:
            self._connection.set_authorizer(self._authorise)

    def _authorise(
        self,
        action: int,
        first: str | None,
        second: str | None,
        database: str | None,
        within: str | None,
    ) -> int:
        answer = authorise(action, first, second, database, within)
        if answer != sqlite3.SQLITE_OK:
            log.warning("refused at the gate: action %d on %s %s", action, first, second)
        return answer

    def _is_late(self) -> bool:
        return clock.boot_seconds() > self._until_s


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = MOST_CONNECTIONS

    def __init__(self, address: Path, database: Path) -> None:
        self.database = database
        self.alive: Callable[[], None] = lambda: None
        self.interval_s: float | None = None
        self._next_s = 0.0
        self._free = threading.BoundedSemaphore(MOST_CONNECTIONS)
        super().__init__(str(address), _Session)

    def service_actions(self) -> None:
        """Say that it is alive, as often as is asked for; called ten times a second."""
        if self.interval_s is not None and clock.boot_seconds() >= self._next_s:
            self._next_s = clock.boot_seconds() + self.interval_s
            self.alive()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Begin a thread; with too many, the program waits until one is free."""
        self._free.acquire()
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer one program."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep a mistake of ours in the log; the others go on."""
        del request, client_address
        log.exception("a connection through the gate failed")


class Gatekeeper:
    """Writes a database for programs that may only read it.

    While it lives, it keeps a connection: the log of the database stays, without which whoever may
    not write could not read.

    Args:
        database: which one; it has the present schema.
        address: of the socket; one that a crash has left is replaced.

    Raises:
        StoreError: the database cannot be opened, or the socket not be made.
    """

    def __init__(self, database: Path, address: Path) -> None:
        self._kept = connect(database, readonly=False)
        self._kept.execute("SELECT count(*) FROM setting").fetchone()
        try:
            address.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):
                address.unlink()
            self._server = _Server(address, database)
            address.chmod(0o660)
        except OSError as error:
            self._kept.close()
            raise StoreError(
                f"{address}: the socket cannot be made ({error.strerror}). Choose another place "
                "with --socket."
            ) from error
        self._address = address

    def __enter__(self) -> Gatekeeper:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close socket and database."""
        self._server.server_close()
        with suppress(FileNotFoundError):
            self._address.unlink()
        self._kept.close()

    def serve(
        self, alive: Callable[[], None] = lambda: None, interval_s: float | None = None
    ) -> None:
        """Answer until ``stop``.

        Args:
            alive: called while it answers.
            interval_s: how often; ``None``: never.
        """
        self._server.alive, self._server.interval_s = alive, interval_s
        self._server.serve_forever(poll_interval=0.1)

    def stop(self) -> None:
        """Let ``serve`` return; may be called from another thread."""
        self._server.shutdown()


def _told(error: Exception) -> dict[str, Any]:
    """Return an error as the other side raises it again."""
    return {
        "error": type(error).__name__,
        "text": str(error),
        "code": getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR),
    }
