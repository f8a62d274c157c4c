"""The preview's socket: one reader at a time, a few frames per second, an end by itself."""

from __future__ import annotations

import contextlib
import json
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge_agent.core import clock
from edge_agent.core.expression import Frame
from edge_agent.runtime.preview import server as module
from edge_agent.runtime.preview.messages import MORE, request_line
from edge_agent.runtime.preview.server import FRAME_S, PreviewServer, jpeg_of
from tests.support.broker import wait_until

PATIENCE_S = 5.0
PICTURE = np.random.default_rng(1).integers(0, 255, (720, 1280, 3), dtype=np.uint8)


class Reader:
    """Somebody who connects and takes what comes."""

    def __init__(self, path: Path, line: bytes = request_line("ada")) -> None:
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.settimeout(PATIENCE_S)
        self.connection.connect(str(path))
        self._file = self.connection.makefile("rb")
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

    def end(self) -> str:
        """Take what comes until it ends; return why."""
        while True:
            head, _ = self.part()
            if head["ended"]:
                return str(head["ended"])

    def close(self) -> None:
        self._file.close()
        self.connection.close()


class Stand:
    """A server, what it told, and a camera that may be stopped."""

    def __init__(self, folder: Path) -> None:
        self.told: list[dict[str, Any]] = []
        self.path = folder / "preview.sock"
        self.server = PreviewServer(self.path, lambda message: self.told.append(dict(message)), 0.1)
        self.gives = threading.Event()
        self.gives.set()
        self._stopping = threading.Event()
        self._camera = threading.Thread(target=self._film)
        self._readers: list[Reader] = []

    def read(self, line: bytes = request_line("ada")) -> Reader:
        reader = Reader(self.path, line)
        self._readers.append(reader)
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


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    with Stand(tmp_path) as made:
        yield made


def told(stand: Stand, wanted: Callable[[dict[str, Any]], bool]) -> None:
    wait_until(lambda: any(wanted(one) for one in stand.told), "what every page is told")


def test_it_is_told_who_looks_before_the_first_picture_is_sent(stand: Stand) -> None:
    assert stat.S_IMODE(stand.path.stat().st_mode) == 0o660
    reader = stand.read()
    data = reader.picture()
    assert stand.told[0]["by"] == "ada"
    assert stand.told[0]["until"] > clock.now().wall_ms
    shown = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_COLOR)
    assert shown is not None
    assert shown.shape == (360, 640, 3)


def test_pictures_come_at_most_five_times_a_second_and_vision_misses_none(stand: Stand) -> None:
    reader = stand.read()
    reader.picture()
    began = time.monotonic()
    for _ in range(4):
        reader.picture()
    assert time.monotonic() - began > 4 * FRAME_S - 0.1
    assert stand.server.frames.take(PATIENCE_S) is not None


def test_a_frame_costs_nothing_while_nobody_looks(stand: Stand) -> None:
    assert stand.server.frames.onlooker is None
    reader = stand.read()
    reader.picture()
    assert stand.server.frames.onlooker is not None
    reader.close()
    wait_until(lambda: stand.server.frames.onlooker is None, "an end")
    told(stand, lambda message: message["by"] is None)


def test_it_ends_by_itself_and_later_when_more_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LEASE_S", 1.0)
    with Stand(tmp_path) as stand:
        began = time.monotonic()
        assert stand.read().end() == "time"
        assert 0.9 < time.monotonic() - began < 2.5
        told(stand, lambda message: message["by"] is None)
        began = time.monotonic()
        reader = stand.read()
        reader.picture()
        reader.picture()
        reader.picture()
        reader.connection.sendall(MORE)
        assert reader.end() == "time"
        assert time.monotonic() - began > 1.5


def test_a_second_reader_is_told_that_somebody_looks_already(stand: Stand) -> None:
    first = stand.read()
    first.picture()
    assert stand.read(request_line("bob")).end() == "busy"
    first.picture()
    assert {message["by"] for message in stand.told} == {"ada"}
    first.close()
    told(stand, lambda message: message["by"] is None)
    stand.read(request_line("bob")).picture()


def test_a_camera_that_gives_nothing_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LATE_S", 0.5)
    with Stand(tmp_path) as stand:
        reader = stand.read()
        reader.picture()
        stand.gives.clear()
        assert reader.end() == "camera"


def test_an_agent_that_ends_says_so_and_removes_its_socket(stand: Stand) -> None:
    reader = stand.read()
    reader.picture()
    stand.server.stop()
    assert reader.end() == "agent"
    assert stand.server.join(PATIENCE_S)
    assert not stand.path.exists()


@pytest.mark.parametrize("line", [b"\n", b"nonsense\n", b"[]\n", b'{"by":""}\n', b"x" * 5000])
def test_who_does_not_say_who_looks_sees_nothing(stand: Stand, line: bytes) -> None:
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
