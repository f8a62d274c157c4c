"""A door before something on this machine: it listens, and serves each caller in a thread."""

from __future__ import annotations

import contextlib
import socket
import threading
from abc import ABC, abstractmethod
from typing import Self


class Door(ABC):
    """Listens on a free port from ``with`` until the end of the block, which closes all sockets.

    Attributes:
        port: where it listens.
        sockets: what else is to be closed at the end; a server adds to it.
    """

    def __init__(self) -> None:
        self.sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._accepting = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._accepting.start()
        return self

    def __exit__(self, *_: object) -> None:
        for one in (self._listener, *self.sockets):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._accepting.join(60)

    def _accept(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(caller,), daemon=True).start()

    @abstractmethod
    def _serve(self, caller: socket.socket) -> None:
        """Serve one caller, and close its socket."""
