"""The autostart file of a screen at the Pi, with the real Chromium and our own certificate."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from edge_agent.appliance.certificates import keep_certificate

FILE = Path(__file__).resolve().parents[3] / "docs/second-screen.sh"
BROWSER = "chromium-headless-shell"
HEADLESS = """#!/bin/sh
# Chromium with the given words, on no screen
exec {browser} --no-sandbox --disable-gpu --dump-dom "$@" >"$HOME/shown" 2>/dev/null
"""


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<h1>The dashboard</h1>")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def served(folder: Path) -> Iterator[int]:
    """Serve a page with a certificate that the appliance makes itself; give the port."""
    keep_certificate(folder, "pi")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    with HTTPServer(("127.0.0.1", 0), _Page) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.skipif(shutil.which(BROWSER) is None, reason=f"{BROWSER} is not installed")
def test_second_screen_shows_the_dashboard_in_spite_of_its_own_certificate(tmp_path: Path) -> None:
    program = tmp_path / "bin/chromium"
    program.parent.mkdir()
    program.write_text(HEADLESS.format(browser=shutil.which(BROWSER)))
    program.chmod(0o755)
    with served(tmp_path / "tls") as port:
        given = {
            "HOME": str(tmp_path),
            "PATH": f"{program.parent}:{os.environ['PATH']}",
            "AFFECT_EDGE_SCREEN": f"https://127.0.0.1:{port}/",
        }
        # Its output closes with the browser, which the file leaves in the background.
        subprocess.run(["sh", FILE], env=given, check=True, capture_output=True, timeout=120)
    assert "The dashboard" in (tmp_path / "shown").read_text()
