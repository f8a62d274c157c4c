"""A stand-in for the one question that the app asks Home Assistant's Supervisor.

A real server, in a test or, as ``python supervisor.py``, in a container beside the app. The answers
are those of the Supervisor's ``/services/mqtt``.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "0" * 112
MOSQUITTO = {
    "addon": "core_mosquitto",
    "host": "core-mosquitto",
    "port": 1883,
    "ssl": False,
    "protocol": "3.1.1",
    "username": "addons",
    "password": 'a "secret" of 30 signs',
}
OFFERED = (200, {"result": "ok", "data": MOSQUITTO})
NONE = (400, {"result": "error", "message": "Service not enabled"})
FORBIDDEN = (403, {"result": "error", "message": "No access to mqtt service!"})


def server(address: str, port: int, status: int, said: Mapping[str, Any]) -> ThreadingHTTPServer:
    """Return a server with one answer for who shows the token; nobody else learns anything."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.headers["Authorization"] == f"Bearer {TOKEN}"
            found = known and self.path == "/services/mqtt"
            self.send_response(status if found else 401)
            self.end_headers()
            self.wfile.write(json.dumps(said if found else {"message": "unauthorized"}).encode())

        def log_message(self, *_words: object) -> None:
            """Say nothing."""

    return ThreadingHTTPServer((address, port), Handler)


@contextmanager
def supervisor(answer: tuple[int, Mapping[str, Any]] = OFFERED) -> Iterator[str]:
    """Run one; yield its host and port."""
    with server("127.0.0.1", 0, *answer) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"127.0.0.1:{running.server_port}"
        finally:
            running.shutdown()
            thread.join()


if __name__ == "__main__":
    server("0.0.0.0", 80, *OFFERED).serve_forever()
