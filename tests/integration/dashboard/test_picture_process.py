"""The dashboard as the process that people run, while it reads a picture: light, and soon ended."""

from __future__ import annotations

import io
import os
import signal
import threading
import urllib.error
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path

from PIL import Image

from tests.support.broker import wait_until
from tests.support.dashboard import DashboardProcess
from tests.support.vision.portraits import SMILING_FILE


def browser_of(dashboard: DashboardProcess) -> urllib.request.OpenerDirector:
    """Return something that asks as a browser that is logged in."""
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    opener.open(dashboard.login_link).read()
    return opener


def send(browser: urllib.request.OpenerDirector, dashboard: DashboardProcess, body: bytes) -> int:
    request = urllib.request.Request(f"{dashboard.address}/api/v1/picture", body, method="POST")
    try:
        with browser.open(request) as answer:
            answer.read()
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def children(pid: int) -> list[int]:
    by_thread = Path(f"/proc/{pid}/task").glob("*/children")
    text = " ".join(path.read_text(encoding="ascii") for path in by_thread)
    return [int(word) for word in text.split()]


def memory_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def large_picture() -> bytes:
    out = io.BytesIO()
    Image.open(SMILING_FILE).convert("RGBA").resize((3500, 3500)).save(out, "PNG", compress_level=1)
    return out.getvalue()


def test_the_dashboard_stays_light_and_stops_in_time_while_a_picture_is_read(
    tmp_path: Path,
) -> None:
    with DashboardProcess(tmp_path, "--login-link") as dashboard:
        browser = browser_of(dashboard)
        before = memory_mb(dashboard.pid)
        assert send(browser, dashboard, SMILING_FILE.read_bytes()) == 200
        (worker,) = children(dashboard.pid)
        assert memory_mb(dashboard.pid) < before + 15
        idle = memory_mb(worker)
        assert idle > 50, "the models lie there"
        body = large_picture()
        answers: list[int] = []
        thread = threading.Thread(target=lambda: answers.append(send(browser, dashboard, body)))
        thread.start()
        wait_until(lambda: memory_mb(worker) > idle + 15, "the picture to be unpacked")
        os.kill(worker, signal.SIGSTOP)  # it will not be done before the end
        assert dashboard.stop(signal.SIGTERM, 60) == 0
        thread.join()
        assert answers == [503]
        assert not Path(f"/proc/{worker}").exists()
