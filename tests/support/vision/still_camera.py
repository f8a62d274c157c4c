"""An IP camera's still-picture address that shows what a test wants, falls silent or freezes."""

from __future__ import annotations

import threading
from collections import deque
from http.server import BaseHTTPRequestHandler

import cv2
import numpy as np

from edge_agent.vision.align import Picture
from tests.support.vision.cameras import AnsweringServer


class StillCamera(AnsweringServer):
    """Answers with one JPEG picture, with new noise each time, as a sensor has it.

    While it is frozen, requests wait for an answer; while it is held, all answers are the same.
    """

    def __init__(self, picture: Picture) -> None:
        super().__init__(self._answer)
        self.address += "/picture.jpg"
        self._thawed = threading.Event()
        self._thawed.set()
        self._noise = np.random.default_rng(1)
        self._held = b""
        self.sent: deque[bytes] = deque(maxlen=30)
        self.show(picture)

    def show(self, picture: Picture) -> None:
        """Show another picture from now on."""
        self._picture = picture

    def hold(self) -> None:
        """Answer with the same bytes from now on."""
        self._held = self._taken()

    def release(self) -> None:
        """Answer with new pictures again."""
        self._held = b""

    def freeze(self) -> None:
        """Answer nobody from now on."""
        self._thawed.clear()

    def thaw(self) -> None:
        """Answer again, those who wait too."""
        self._thawed.set()

    def __exit__(self, *_: object) -> None:
        self.thaw()
        super().__exit__()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        self._thawed.wait(30)
        data = self._held or self._taken()
        request.send_response(200)
        request.send_header("Content-Type", "image/jpeg")
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data)
        self.sent.append(data)

    def _taken(self) -> bytes:
        noisy = self._picture.astype(np.int16) + self._noise.integers(-1, 2, self._picture.shape)
        done, data = cv2.imencode(".jpg", np.clip(noisy, 0, 255).astype(np.uint8))
        assert done
        return data.tobytes()
