"""An IP camera's still-picture address that shows what a test wants, or falls silent."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

import cv2

from edge_agent.vision.align import Picture


class StillCamera(ThreadingHTTPServer):
    """Answers with one JPEG picture; while ``frozen`` is set, requests wait for an answer."""

    daemon_threads = True

    def __init__(self, picture: Picture) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.frozen = threading.Event()
        self.thawed = threading.Event()
        self.show(picture)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,))

    @property
    def address(self) -> str:
        """What ``camera.device`` names."""
        return f"http://127.0.0.1:{self.server_port}/picture.jpg"

    def show(self, picture: Picture) -> None:
        """Show another picture from now on."""
        done, data = cv2.imencode(".jpg", picture)
        assert done
        self.data = data.tobytes()

    def freeze(self) -> None:
        """Answer nobody from now on."""
        self.thawed.clear()
        self.frozen.set()

    def thaw(self) -> None:
        """Answer again, those who wait too."""
        self.frozen.clear()
        self.thawed.set()

    def __enter__(self) -> Self:
        """Serve."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self.thaw()
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: StillCamera

    def do_GET(self) -> None:
        if self.server.frozen.is_set():
            self.server.thawed.wait(30)
        data = self.server.data
        self.send_response(200)
        self.send_header("Content-Type", "image/jpeg")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
