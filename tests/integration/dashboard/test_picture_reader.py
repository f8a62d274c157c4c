"""The process that reads pictures: when it runs, when it ends, and what happens when it dies."""

from __future__ import annotations

import io
import os
import platform
import signal
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dashboard.picture.reader import PictureReader, PicturesBusyError
from edge_agent.config.vision import VisionSettings
from edge_agent.core.errors import ModelError, PictureError
from edge_agent.core.helper.process import HelperProcess
from edge_agent.vision.stills import FORMATS
from tests.support.broker import wait_until
from tests.support.dashboard import DashboardProcess
from tests.support.vision.portraits import SERIOUS_FILE, SMILING_FILE

SMILING = SMILING_FILE.read_bytes()


@pytest.fixture
def reader() -> Iterator[PictureReader]:
    """A reader whose process ends with the test."""
    made = PictureReader(VisionSettings())
    yield made
    made.close()


def emotions(reader: PictureReader, content: bytes) -> list[str]:
    return [face["emotion"] for face in reader.read(content)["faces"]]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_one_process_reads_one_picture_after_the_other(reader: PictureReader) -> None:
    assert reader.pid is None, "it starts with the first picture"
    assert emotions(reader, SMILING) == ["happiness"]
    first = reader.pid
    with pytest.raises(PictureError, match="is not a picture"):
        reader.read(b"nothing")
    assert emotions(reader, SERIOUS_FILE.read_bytes()) == ["neutral"]
    assert reader.pid == first


def test_a_process_that_is_killed_costs_one_picture(
    reader: PictureReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader.read(SMILING)
    pid = reader.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)  # in the middle of its work
    ask = HelperProcess.ask

    def kill_and_ask(helper: HelperProcess, content: bytes, **how: Any) -> bytes:
        monkeypatch.undo()
        os.kill(pid, signal.SIGKILL)
        return ask(helper, content, **how)

    monkeypatch.setattr(HelperProcess, "ask", kill_and_ask)
    with pytest.raises(PictureError, match="ended while reading this one"):
        reader.read(SMILING)
    assert emotions(reader, SMILING) == ["happiness"]


def test_a_process_that_hangs_is_ended() -> None:
    with closing(PictureReader(VisionSettings(), answer_s=0.01)) as hanging:
        with pytest.raises(PictureError, match=r"could not be read in 0 seconds\. Scale it down"):
            hanging.read(SMILING)
        assert hanging.pid is None


def test_a_model_that_is_missing_is_reported(tmp_path: Path) -> None:
    options = VisionSettings(expression_model=str(tmp_path / "none.json"))
    with (
        closing(PictureReader(options)) as reader,
        pytest.raises(ModelError, match=r"none\.json: no such model card"),
    ):
        reader.read(SMILING)


def test_after_the_end_nobody_is_admitted(reader: PictureReader) -> None:
    reader.read(SMILING)
    pid = reader.pid
    assert pid is not None
    reader.close()
    assert reader.pid is None
    assert not is_alive(pid)
    with pytest.raises(PicturesBusyError), reader.place():
        pass


def test_the_process_leaves_no_core_dump_and_has_a_limit_of_memory(reader: PictureReader) -> None:
    reader.read(SMILING)
    limits = Path(f"/proc/{reader.pid}/limits")
    if not limits.exists() or os.geteuid() != 0:
        pytest.skip("the limits of a process that cannot be dumped are read by root only")
    lines = {line[:26].strip(): line[26:].split()[0] for line in limits.read_text().splitlines()}
    assert lines["Max core file size"] == "0"
    assert lines["Max data size"] == str(640 * 1024 * 1024)


@pytest.mark.skipif(
    platform.machine() not in {"x86_64", "aarch64"}, reason="these two are what a Pi and a PC have"
)
def test_pictures_are_read_by_a_process_without_rights(reader: PictureReader) -> None:
    with Image.open(SMILING_FILE) as face:
        for name in FORMATS:
            content = io.BytesIO()
            face.save(content, name)
            assert emotions(reader, content.getvalue()) == ["happiness"], name
        seen = io.BytesIO()
        face.convert("RGBA").save(seen, "PNG")
    assert emotions(reader, seen.getvalue()) == ["happiness"]
    status = Path(f"/proc/{reader.pid}/status").read_text(encoding="ascii")
    assert "\nSeccomp:\t2\n" in status and "\nNoNewPrivs:\t1\n" in status


# The dashboard as the process that people run, while it reads a picture: light, and soon ended


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


def test_dashboard_stays_light_and_stops_in_time_while_a_picture_is_read(tmp_path: Path) -> None:
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
