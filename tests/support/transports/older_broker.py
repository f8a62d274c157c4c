"""A broker of before MQTT 5: what speaks the newer version is refused, the rest goes to another."""

from __future__ import annotations

import contextlib
import socket
import threading

from tests.support.transports.door import Door

MQTT_5 = 5
"""The level of the protocol in CONNECT: the byte after the name (MQTT 5, 3.1.2.2)."""


class OlderBroker(Door):
    """Refuses MQTT 5 and passes everything else to a broker on this machine.

    Args:
        broker_port: of the broker behind it.
        answer: what a client of MQTT 5 is told before the end.
    """

    def __init__(self, broker_port: int, answer: bytes) -> None:
        super().__init__()
        self.levels: list[int] = []
        self._broker_port = broker_port
        self._answer = answer

    def _serve(self, caller: socket.socket) -> None:
        self.sockets.append(caller)
        greeting = caller.recv(4096)  # CONNECT is small and comes at once
        level = greeting[greeting.index(b"MQTT") + 4]
        self.levels.append(level)
        if level == MQTT_5:
            caller.sendall(self._answer)
            caller.shutdown(socket.SHUT_WR)
            return
        broker = socket.create_connection(("127.0.0.1", self._broker_port))
        self.sockets.append(broker)
        broker.sendall(greeting)
        back = threading.Thread(target=_copy, args=(broker, caller), daemon=True)
        back.start()
        _copy(caller, broker)


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
