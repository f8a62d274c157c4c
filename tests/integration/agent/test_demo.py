"""``affect-edge demo`` as a stranger runs it: no camera, no broker, nothing configured."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

from tests.support.appliance import ROOT, Appliance
from tests.support.broker import free_port, wait_until
from tests.support.timeline import query

LINK = re.compile(r"http://127\.0\.0\.1:\d+/login\?link=\S+")
SEEN = (
    "SELECT count(*) >= 3 FROM expression WHERE emotion IS NOT NULL AND at > "
    "(SELECT max(started_ms) FROM boot)"
)


def listens(port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0


def visit(demo: Appliance, port: int) -> None:
    """Follow the link, and look at the pages, the analysis and the preview."""
    link = LINK.search(demo.said)
    assert link, demo.said
    visitor = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor()
    )

    def page(address: str) -> str:
        with visitor.open(address) as answer:
            text: str = answer.read().decode()
            return text

    assert "Live" in page(link[0])
    analysis = json.loads(page(f"http://127.0.0.1:{port}/api/v1/analysis"))
    assert len(analysis["comparisons"]) == analysis["tests_computed"] == 9
    for name in ("", "trends", "study", "analysis", "export", "health"):
        assert "Affect Edge" in page(f"http://127.0.0.1:{port}/{name}")
    preview = f"http://127.0.0.1:{port}/api/v1/preview"
    with visitor.open(urllib.request.Request(preview, method="POST")) as parts:
        while not (size := json.loads(parts.readline())["bytes"]):
            pass
        assert parts.read(size).startswith(b"\xff\xd8"), "a portrait as JPEG"


def test_demonstration_shows_everything_and_goes_on_after_a_kill(tmp_path: Path) -> None:
    port = free_port()
    settings = {"mqtt": {"port": free_port()}}
    with Appliance(tmp_path, settings, "demo", "--port", str(port)) as first:
        first.wait_for("login?link=")
        visit(first, port)
        wait_until(lambda: query(first.database, SEEN) == [(1,)], "expressions")
        assert first.stop(signal.SIGKILL) == -signal.SIGKILL
        wait_until(lambda: not listens(port), "the end of its dashboard")
    assert "mqtt: unreachable: 127.0.0.1" in first.said, "a broker that is named is used"
    assert "Traceback" not in first.said
    with Appliance(tmp_path, settings, "demo", "--port", str(port), "--seconds", "2") as second:
        assert second.wait() == 0, second.said
        assert "the demonstration has ended" in second.said
        # the example study, and the person of the nine weeks
        people = "SELECT count(*), min(simulated) FROM participant"
        assert query(second.database, people) == [(13, 1)]
    assert "Traceback" not in second.said


def test_ctrl_c_while_the_demonstration_starts_leaves_nothing_behind(tmp_path: Path) -> None:
    variables = {**os.environ, "TMPDIR": str(tmp_path), "AFFECT_EDGE_MQTT__ENABLED": "false"}
    command = [sys.executable, "-m", "edge_agent", "demo", "--port", str(free_port())]
    with subprocess.Popen(
        command, cwd=ROOT, env=variables, stderr=subprocess.PIPE, text=True
    ) as demo:
        wait_until(lambda: list(tmp_path.iterdir()) != [], "the temporary data folder")
        demo.send_signal(signal.SIGINT)
        _, said = demo.communicate()
    assert (demo.returncode, list(tmp_path.iterdir())) == (0, []), said
    assert "Traceback" not in said
