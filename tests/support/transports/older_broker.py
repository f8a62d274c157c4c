"""A broker of before MQTT 5: what speaks the newer version is refused, the rest goes to another."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Self

MQTT_5 = 5
"""The level of the protocol in CONNECT: the byte after the name (MQTT 5, 3.1.2.2)."""


class OlderBroker:
    """Refuses MQTT 5 and passes everything else to a broker on this machine.

    Args:
        broker_port: of the broker behind it.
        answer: what a client of MQTT 5 is told before the end.
    """

    def __init__(self, broker_port: int, answer: bytes) -> None:
        self.levels: list[int] = []
        self._broker_port = broker_port
        self._answer = answer
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._accepting = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._accepting.start()
        return self

    def __exit__(self, *_: object) -> None:
        for one in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._accepting.join(5)

    def _accept(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(caller)
            greeting = caller.recv(4096)  # CONNECT is small and comes at once
            level = greeting[greeting.index(b"MQTT") + 4]
            self.levels.append(level)
            if level == MQTT_5:
                caller.sendall(self._answer)
                caller.shutdown(socket.SHUT_WR)
                continue
            broker = socket.create_connection(("127.0.0.1", self._broker_port))
            self._open.append(broker)
            broker.sendall(greeting)
            for ends in ((caller, broker), (broker, caller)):
                threading.Thread(target=_copy, args=ends, daemon=True).start()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
