"""A camera that speaks RTSP: one gray picture over and over, as JPEG over RTP (RFC 2326, 2435)."""

from __future__ import annotations

import socket
import struct
import threading
from types import TracebackType
from typing import IO, Self

import cv2
import numpy as np

WIDTH, HEIGHT = 640, 480
_SDP = b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 26\r\na=control:t\r\n"
_PIECE = 1_200


class RtspServer:
    """Answers one player after the other, by TCP, until the context is left.

    Attributes:
        port: where it listens.
        asked: the first line of each request.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._tables, self._scan = _parts()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="rtsp")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while not self._over.is_set():
            try:
                connection, _peer = self._listener.accept()
            except OSError:  # the context was left
                return
            with connection, connection.makefile("rb") as requests:
                try:
                    if self._agree(connection, requests):
                        self._play(connection)
                except OSError:  # the player has hung up
                    pass

    def _agree(self, connection: socket.socket, requests: IO[bytes]) -> bool:
        """Answer requests until the stream begins; return whether it does."""
        while lines := [*iter(lambda: requests.readline().strip().decode(), "")]:
            self.asked.append(lines[0])
            given = dict(line.split(": ", 1) for line in lines[1:])
            method = lines[0].split()[0]
            answer = f"RTSP/1.0 200 OK\r\nCSeq: {given['CSeq']}\r\nSession: 1\r\n"
            body = _SDP if method == "DESCRIBE" else b""
            if body:
                answer += f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n"
            if method == "SETUP":
                answer += f"Transport: {given['Transport']}\r\n"
            connection.sendall(answer.encode() + b"\r\n" + body)
            if method == "PLAY":
                return True
        return False

    def _play(self, connection: socket.socket) -> None:
        number = stamp = 0
        while not self._over.wait(0.02):
            for offset in range(0, len(self._scan), _PIECE):
                piece = self._scan[offset : offset + _PIECE]
                is_last = offset + _PIECE >= len(self._scan)
                packet = struct.pack(">BBHII", 0x80, 26 | is_last << 7, number & 0xFFFF, stamp, 1)
                packet += struct.pack(">IBBBB", offset, 1, 255, WIDTH // 8, HEIGHT // 8)
                if offset == 0:
                    packet += struct.pack(">HH", 0, len(self._tables)) + self._tables
                packet += piece
                connection.sendall(b"$\0" + struct.pack(">H", len(packet)) + packet)
                number += 1
            stamp += 3_000


def _parts() -> tuple[bytes, bytes]:
    """Return quantization tables and scan of a gray JPEG."""
    done, encoded = cv2.imencode(".jpg", np.full((HEIGHT, WIDTH, 3), 120, np.uint8))
    assert done
    data = encoded.tobytes()
    tables, place = b"", 2
    while data[place + 1] != 0xDA:
        end = place + 2 + int.from_bytes(data[place + 2 : place + 4])
        if data[place + 1] == 0xDB:
            tables += b"".join(data[at + 1 : at + 65] for at in range(place + 4, end, 65))
        place = end
    return tables, data[place + 2 + int.from_bytes(data[place + 2 : place + 4]) : -2]
