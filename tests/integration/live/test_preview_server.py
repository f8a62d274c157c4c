"""The preview's socket: one reader at a time, a few frames per second, an end by itself."""

from __future__ import annotations

import contextlib
import json
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge_agent.core import clock
from edge_agent.core.expression import Frame
from edge_agent.live import preview as module
from edge_agent.live.preview import (
    FRAME_S,
    LATE_S,
    LEASE_S,
    MORE,
    PreviewServer,
    jpeg_of,
    request_line,
)
from tests.support.broker import wait_until
from tests.support.clocks.simulated_time import Seconds

PATIENCE_S = 60.0
PICTURE = np.random.default_rng(1).integers(0, 255, (720, 1280, 3), dtype=np.uint8)


class Reader:
    """Somebody who connects and takes what comes."""

    def __init__(self) -> None:
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.settimeout(PATIENCE_S)
        self._file = self.connection.makefile("rb")

    def ask(self, path: Path, line: bytes) -> None:
        """Connect, and send the line that says who looks."""
        self.connection.connect(str(path))
        self.connection.sendall(line)

    def part(self) -> tuple[dict[str, Any], bytes]:
        head = json.loads(self._file.readline())
        return head, self._file.read(head["bytes"])

    def picture(self) -> bytes:
        """The next picture."""
        while True:
            head, data = self.part()
            assert not head["ended"], head
            if data:
                return data

    def end(self) -> tuple[str, int]:
        """Take what comes until it ends; return why, and how many pictures came before."""
        pictures = 0
        while True:
            head, data = self.part()
            pictures += bool(data)
            if head["ended"]:
                return str(head["ended"]), pictures

    def close(self) -> None:
        self._file.close()
        self.connection.close()


class Stand:
    """A server, what it told, and a camera that may be stopped."""

    def __init__(self, folder: Path, seconds: Callable[[], float] = clock.boot_seconds) -> None:
        self.told: list[dict[str, Any]] = []
        self.path = folder / "preview.sock"
        self.server = PreviewServer(
            self.path, lambda message: self.told.append(dict(message)), 0.1, seconds
        )
        self.gives = threading.Event()
        self.gives.set()
        self._stopping = threading.Event()
        self._camera = threading.Thread(target=self._film)
        self._readers: list[Reader] = []

    def read(self, line: bytes = request_line("ada")) -> Reader:
        reader = Reader()
        self._readers.append(reader)
        reader.ask(self.path, line)
        return reader

    def _film(self) -> None:
        number = 0
        while not self._stopping.wait(0.02):
            if self.gives.is_set():
                self.server.frames.put(Frame(PICTURE, clock.now(), number))
                number += 1

    def __enter__(self) -> Stand:
        self.server.start()
        self._camera.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._camera.join()
        self.server.stop()
        for reader in self._readers:
            reader.close()
        assert self.server.join(PATIENCE_S)
        assert self.server.error is None


@contextmanager
def looking(folder: Path) -> Iterator[tuple[Stand, Reader, Seconds]]:
    """A stand with somebody who has seen a picture, and the clock, which does not run by itself."""
    seconds = Seconds()
    with Stand(folder, seconds) as stand:
        reader = stand.read()
        told(stand, lambda message: message["by"] == "ada")
        seconds.now += FRAME_S
        reader.picture()
        yield stand, reader, seconds


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    with Stand(tmp_path) as made:
        yield made


def told(stand: Stand, wanted: Callable[[dict[str, Any]], bool]) -> None:
    wait_until(lambda: any(map(wanted, stand.told)), "what every page is told", PATIENCE_S)


def test_viewer_is_reported_before_the_first_picture_is_sent(stand: Stand) -> None:
    assert stat.S_IMODE(stand.path.stat().st_mode) == 0o660
    reader = stand.read()
    data = reader.picture()
    assert stand.told[0]["by"] == "ada"
    assert stand.told[0]["until"] > clock.now().wall_ms
    shown = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_COLOR)
    assert shown is not None
    assert shown.shape == (360, 640, 3)


def test_a_picture_comes_every_fifth_of_a_second_and_vision_misses_none(tmp_path: Path) -> None:
    with looking(tmp_path) as (stand, reader, seconds):
        for _ in range(3):
            seconds.now += FRAME_S
            reader.picture()
        assert stand.server.frames.take(PATIENCE_S) is not None
        seconds.now += LEASE_S
        assert reader.end() == ("time", 0)


def test_a_frame_costs_nothing_while_nobody_looks(stand: Stand) -> None:
    assert stand.server.frames.onlooker is None
    reader = stand.read()
    reader.picture()
    assert stand.server.frames.onlooker is not None
    reader.close()
    wait_until(lambda: stand.server.frames.onlooker is None, "an end")
    told(stand, lambda message: message["by"] is None)


def test_preview_ends_by_itself_and_later_when_extended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LEASE_S", 2.0)
    with looking(tmp_path) as (stand, reader, seconds):
        seconds.now += 1.7
        reader.picture()
        reader.connection.sendall(MORE)
        wait_until(lambda: len(stand.told) == 2, "word of the longer time")
        seconds.now += 1.9
        reader.picture()
        seconds.now += 0.1
        assert reader.end()[0] == "time"
        told(stand, lambda message: message["by"] is None)


def test_a_name_that_is_none_ends_nothing(stand: Stand) -> None:
    for line in (b"[" * 4000 + b"\n", b"[]\n"):
        reader = stand.read(line)
        assert not reader.connection.recv(1), "it is hung up on"
    stand.read(b'{"by": "a\\ud800\\u001b[2J"}\n').picture()
    assert stand.told[0]["by"] == r"a\ud800\x1b[2J"


def test_a_second_reader_is_told_that_somebody_looks_already(stand: Stand) -> None:
    first = stand.read()
    first.picture()
    late = stand.read(b"")
    assert late.end() == ("busy", 0)
    late.connection.sendall(request_line("late"))
    assert stand.read(request_line("bob")).end() == ("busy", 0)
    first.picture()
    assert {message["by"] for message in stand.told} == {"ada"}
    first.close()
    told(stand, lambda message: message["by"] is None)
    stand.read(request_line("bob")).picture()


def test_a_camera_that_gives_nothing_ends_it(tmp_path: Path) -> None:
    with looking(tmp_path) as (stand, reader, seconds):
        for _ in range(2):
            seconds.now += LATE_S - 0.1
            reader.picture()
        stand.gives.clear()
        seconds.now += LATE_S + 0.1
        assert reader.end()[0] == "camera"


def test_an_agent_that_ends_says_so_and_removes_its_socket(stand: Stand) -> None:
    reader = stand.read()
    reader.picture()
    stand.server.stop()
    assert reader.end()[0] == "agent"
    assert stand.server.join(PATIENCE_S)
    assert not stand.path.exists()


@pytest.mark.parametrize("line", [b"\n", b"nonsense\n", b"[]\n", b'{"by":""}\n', b"x" * 5000])
def test_preview_connection_without_a_named_viewer_gets_nothing(stand: Stand, line: bytes) -> None:
    reader = stand.read(line)
    with contextlib.suppress(ConnectionResetError):  # hung up on while it still spoke
        assert reader.connection.recv(100) == b""
    assert stand.told == []
    stand.read().picture()


def test_a_reader_that_does_not_read_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SEND_S", 0.3)
    monkeypatch.setattr(module, "FRAME_S", 0.01)
    with Stand(tmp_path) as stand:
        stand.read()
        told(stand, lambda message: message["by"] is None)


def test_a_small_picture_keeps_its_size() -> None:
    data = jpeg_of(PICTURE[:100, :200])
    shown = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_COLOR)
    assert shown is not None
    assert shown.shape == (100, 200, 3)
