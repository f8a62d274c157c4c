"""``affect-edge demo`` as a stranger runs it: no camera, no broker, nothing configured."""

from __future__ import annotations

import http.cookiejar
import json
import re
import signal
import sqlite3
import urllib.request
from contextlib import closing
from pathlib import Path

from tests.support.appliance import Appliance
from tests.support.broker import free_port, wait_until

LINK = re.compile(r"http://127\.0\.0\.1:\d+/login\?link=\S+")


class Visitor:
    """A browser without a screen: keeps cookies, follows redirects."""

    def __init__(self) -> None:
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), cookies)

    def read(self, address: str) -> str:
        with self._opener.open(address, timeout=30) as answer:
            text: str = answer.read().decode()
            return text


def seconds_with_emotion(database: Path) -> int:
    if not database.exists():
        return 0
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        question = (
            "SELECT count(*) FROM expression WHERE emotion IS NOT NULL AND at > (SELECT "
            "max(started_ms) FROM boot)"
        )
        return int(connection.execute(question).fetchone()[0])


def test_the_demonstration_shows_everything_and_ends_at_ctrl_c(tmp_path: Path) -> None:
    port = free_port()
    settings = {"mqtt": {"port": free_port()}}
    with Appliance(tmp_path, settings, "demo", "--port", str(port)) as demo:
        demo.wait_for("login?link=", 60)
        link = LINK.search(demo.said)
        assert link, demo.said
        visitor = Visitor()
        assert "Live" in visitor.read(link[0])
        analysis = json.loads(visitor.read(f"http://127.0.0.1:{port}/api/v1/analysis"))
        assert len(analysis["comparisons"]) == analysis["tests_computed"] == 9
        for page in ("live", "trends", "study", "analysis", "export", "health"):
            assert "Affect Edge" in visitor.read(
                f"http://127.0.0.1:{port}/{page if page != 'live' else ''}"
            )
        wait_until(
            lambda: seconds_with_emotion(demo.database) >= 3, "expressions of the demonstration", 60
        )
        assert demo.stop(signal.SIGINT, within_s=60) == 0, demo.said
    assert "Traceback" not in demo.said


def test_the_demonstration_ends_by_itself_and_its_port_is_free_again(tmp_path: Path) -> None:
    port = free_port()
    settings = {"mqtt": {"enabled": False}}
    with Appliance(tmp_path, settings, "demo", "--port", str(port), "--seconds", "2") as demo:
        assert demo.wait(60) == 0, demo.said
    assert "the demonstration has ended" in demo.said
    with closing(sqlite3.connect(demo.database)) as connection:
        people = connection.execute("SELECT count(*), min(simulated) FROM participant").fetchone()
    assert people == (12, 1)
