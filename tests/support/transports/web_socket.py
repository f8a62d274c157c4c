"""A WebSocket door before a broker that has none: RFC 6455, as a server needs it for MQTT.

Debian builds mosquitto without WebSockets in some releases. What goes through the door is the
broker's own: each frame's payload is passed on as it is, in both directions.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import socket
import ssl
import threading

from tests.support.broker import Certificates
from tests.support.transports.door import Door

_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""Of RFC 6455, section 1.3."""


class WebSocketDoor(Door):
    """Listens for WebSockets at one path, and passes what comes to a broker.

    Args:
        broker_port: of the broker on this machine.
        path: the only one that is answered; others get 404.
        certificates: makes it speak TLS.
    """

    def __init__(
        self, broker_port: int, path: str = "/mqtt", certificates: Certificates | None = None
    ) -> None:
        super().__init__()
        self.requests: list[bytes] = []
        self._broker_port = broker_port
        self._path = path
        self._context: ssl.SSLContext | None = None
        if certificates is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(certificates.certificate, certificates.key)

    def _serve(self, caller: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError):
            if self._context is not None:
                caller = self._context.wrap_socket(caller, server_side=True)
            self.sockets.append(caller)
            if self._greeted(caller):
                broker = socket.create_connection(("127.0.0.1", self._broker_port))
                self.sockets.append(broker)
                back = threading.Thread(target=self._answers, args=(broker, caller), daemon=True)
                back.start()
                with contextlib.suppress(EOFError, OSError):
                    while True:
                        broker.sendall(_payload(caller))
                broker.close()
        with contextlib.suppress(OSError):
            caller.close()

    def _greeted(self, caller: socket.socket) -> bool:
        request = b""
        while not request.endswith(b"\r\n\r\n"):
            request += _exactly(caller, 1)
        self.requests.append(request)
        lines = request.split(b"\r\n")
        headers = dict(line.lower().split(b": ", 1) for line in lines[1:] if line)
        key = next(line.split(b": ", 1)[1] for line in lines if b"-Key: " in line)
        is_right = lines[0] == f"GET {self._path} HTTP/1.1".encode()
        if not is_right or headers[b"sec-websocket-protocol"] != b"mqtt":
            caller.sendall(b"HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n")
            return False
        accept = base64.b64encode(hashlib.sha1(key + _MAGIC).digest())
        caller.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        return True

    @staticmethod
    def _answers(broker: socket.socket, caller: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := broker.recv(20_000):
                head = bytes([0x82, len(data)])
                if len(data) > 125:
                    head = b"\x82\x7e" + len(data).to_bytes(2, "big")
                caller.sendall(head + data)
        with contextlib.suppress(OSError):
            caller.sendall(b"\x88\x00")


def _exactly(source: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        piece = source.recv(length - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


def _payload(source: socket.socket) -> bytes:
    """Return the payload of the next frame with data; ``EOFError`` at the last."""
    first, second = _exactly(source, 2)
    assert second & 0x80, "a client masks what it sends (RFC 6455, section 5.1)"
    length = second & 0x7F
    if length == 126:
        length = int.from_bytes(_exactly(source, 2), "big")
    elif length == 127:
        length = int.from_bytes(_exactly(source, 8), "big")
    mask = _exactly(source, 4)
    data = _exactly(source, length)
    if first & 0x0F == 8:
        raise EOFError
    return bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))
