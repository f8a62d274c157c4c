"""An IP camera's still-picture address that shows what a test wants, or falls silent."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler

import cv2

from edge_agent.vision.align import Picture
from tests.support.vision.cameras import AnsweringServer


class StillCamera(AnsweringServer):
    """Answers with one JPEG picture; while it is frozen, requests wait for an answer."""

    def __init__(self, picture: Picture) -> None:
        super().__init__(self._answer)
        self.address += "/picture.jpg"
        self._thawed = threading.Event()
        self._thawed.set()
        self.show(picture)

    def show(self, picture: Picture) -> None:
        """Show another picture from now on."""
        done, data = cv2.imencode(".jpg", picture)
        assert done
        self.data = data.tobytes()

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
        data = self.data
        request.send_response(200)
        request.send_header("Content-Type", "image/jpeg")
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data)
