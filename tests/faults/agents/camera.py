"""A camera with an address for still pictures that fails in the ways cameras fail."""

from __future__ import annotations

import threading
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

import cv2
import numpy as np

FLOOD_BYTES = 20 * 1024 * 1024


class Mood(StrEnum):
    """What it answers with."""

    GOOD = "good"
    STALLED = "stalled"
    FROZEN = "frozen"
    FLOODING = "flooding"
    NONSENSE = "nonsense"
    REFUSING = "refusing"


class FailingCamera:
    """A server of pictures; leaving the context ends it."""

    def __init__(self) -> None:
        self.mood = Mood.GOOD
        self.asked = 0
        self._awake = threading.Event()
        camera = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                camera.answer(self)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def address(self) -> str:
        """What to write as ``camera.device``."""
        return f"http://127.0.0.1:{self._server.server_port}/picture.jpg"

    def turn(self, mood: Mood) -> None:
        self.mood = mood
        self._awake.set()
        self._awake = threading.Event()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer a request as the mood is."""
        self.asked += 1
        mood = self.mood
        if mood is Mood.STALLED:
            self._awake.wait(30)
            return
        if mood is Mood.REFUSING:
            request.send_error(503)
            return
        content = self._content(mood)
        request.send_response(200)
        request.send_header("Content-Type", "image/jpeg")
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        try:
            request.wfile.write(content)
        except OSError:  # it did not want so much
            return

    def _content(self, mood: Mood) -> bytes:
        if mood is Mood.FLOODING:
            return bytes(FLOOD_BYTES)
        if mood is Mood.NONSENSE:
            shapes = ((1, 1, 3), (2, 4000, 3), (3000, 3), (480, 640, 1))
            if self.asked % 5 == 4:
                return picture((480, 640, 3), self.asked)[: self.asked % 300]
            return picture(shapes[self.asked % 5], self.asked)
        return picture((480, 640, 3), 0 if mood is Mood.FROZEN else self.asked)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._awake.set()
        self._server.shutdown()
        self._thread.join(60)
        self._server.server_close()


def picture(shape: tuple[int, ...], number: int) -> bytes:
    """Return a JPEG picture of a shape; its grey follows from the number."""
    done, data = cv2.imencode(".jpg", np.full(shape, number % 250, np.uint8))
    assert done
    return data.tobytes()
