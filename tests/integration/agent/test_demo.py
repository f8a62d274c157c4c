"""``affect-edge demo`` as a stranger runs it: no camera, no broker, nothing configured."""

from __future__ import annotations

import json
import re
import signal
import urllib.request
from pathlib import Path

from tests.support.appliance import Appliance
from tests.support.broker import free_port, wait_until
from tests.support.timeline import query

LINK = re.compile(r"http://127\.0\.0\.1:\d+/login\?link=\S+")


def test_the_demonstration_shows_everything_and_ends_at_ctrl_c(tmp_path: Path) -> None:
    port = free_port()
    settings = {"mqtt": {"port": free_port()}}
    with Appliance(tmp_path, settings, "demo", "--port", str(port)) as demo:
        demo.wait_for("login?link=", 60)
        link = LINK.search(demo.said)
        assert link, demo.said
        visitor = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor()
        )

        def page(address: str) -> str:
            with visitor.open(address, timeout=30) as answer:
                text: str = answer.read().decode()
                return text

        assert "Live" in page(link[0])
        analysis = json.loads(page(f"http://127.0.0.1:{port}/api/v1/analysis"))
        assert len(analysis["comparisons"]) == analysis["tests_computed"] == 9
        for name in ("", "trends", "study", "analysis", "export", "health"):
            assert "Affect Edge" in page(f"http://127.0.0.1:{port}/{name}")
        preview = f"http://127.0.0.1:{port}/api/v1/preview"
        with visitor.open(urllib.request.Request(preview, method="POST"), timeout=30) as parts:
            while not (size := json.loads(parts.readline())["bytes"]):
                pass
            assert parts.read(size).startswith(b"\xff\xd8"), "a portrait as JPEG"
        seen = (
            "SELECT count(*) >= 3 FROM expression WHERE emotion IS NOT NULL AND at > "
            "(SELECT max(started_ms) FROM boot)"
        )
        wait_until(lambda: query(demo.database, seen) == [(1,)], "expressions", 60)
        assert demo.stop(signal.SIGINT, within_s=60) == 0, demo.said
    assert "mqtt: unreachable: 127.0.0.1" in demo.said, "a broker that is named is used"
    assert "Traceback" not in demo.said
