"""Still pictures of an IP camera, from a real server: what is read, refused, and never logged."""

from __future__ import annotations

import base64
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import pytest

from edge_agent.camera import network
from edge_agent.camera.factory import open_camera
from edge_agent.camera.network import SnapshotCamera, shown_address
from edge_agent.config.camera import CameraSettings
from edge_agent.core.errors import CameraError, CameraReason

Answer = Callable[["Handler"], None]
SECRET = "s3cret"
FAST_S = 0.01


def jpeg(level: int = 128) -> bytes:
    """A gray picture of 64 × 48 as JPEG."""
    done, data = cv2.imencode(".jpg", np.full((48, 64, 3), level, dtype=np.uint8))
    assert done
    return data.tobytes()


class Handler(BaseHTTPRequestHandler):
    """Answers every request as its server says."""

    server: Server

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        self.server.answer(self)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """A camera on a free port."""

    daemon_threads = True

    def __init__(self, answer: Answer) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer = answer
        self.paths: list[str] = []

    def address(self, login: str = "", path: str = "/snapshot.jpg") -> str:
        return f"http://{login}127.0.0.1:{self.server_port}{path}"


def content(
    data: bytes, kind: str = "image/jpeg", status: int = 200, length: int | None = None
) -> Answer:
    def answer(request: Handler) -> None:
        request.send_response(status)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(data) if length is None else length))
        request.end_headers()
        request.wfile.write(data)

    return answer


@contextmanager
def serving(answer: Answer) -> Iterator[Server]:
    server = Server(answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def refusal(address: str, stall_seconds: float = 5.0) -> CameraError:
    with pytest.raises(CameraError) as caught:
        SnapshotCamera(address, interval_s=FAST_S, stall_seconds=stall_seconds)
    return caught.value


def test_each_read_fetches_the_picture_of_now() -> None:
    levels = iter([40, 120, 200])

    def answer(request: Handler) -> None:
        content(jpeg(next(levels)))(request)

    with serving(answer) as server:
        options = CameraSettings(
            source="snapshot", device=server.address(), rotate=90, snapshot_seconds=0.1
        )
        with open_camera(options) as camera:
            frames = [camera.read() for _ in range(3)]
    assert [round(float(frame.image.mean())) for frame in frames] == [40, 120, 200]
    assert [frame.number for frame in frames] == [0, 1, 2]
    assert frames[0].image.shape == (64, 48, 3)
    assert server.paths == ["/snapshot.jpg"] * 3
    assert not camera.simulated


def test_pictures_come_at_the_interval() -> None:
    with (
        serving(content(jpeg())) as server,
        SnapshotCamera(server.address(), interval_s=0.2) as camera,
    ):
        frames = [camera.read() for _ in range(4)]
    assert frames[3].at.seconds_since(frames[0].at) >= 0.6 - 0.15


def basic(request: Handler) -> None:
    wanted = "Basic " + base64.b64encode(f"admin:{SECRET}@1".encode()).decode()
    if request.headers["Authorization"] == wanted:
        content(jpeg())(request)
        return
    request.send_response(401)
    request.send_header("WWW-Authenticate", 'Basic realm="camera"')
    request.send_header("Content-Length", "0")
    request.end_headers()


def digest(request: Handler) -> None:
    given = request.headers["Authorization"] or ""
    if given.startswith("Digest ") and 'username="admin"' in given:
        assert f"{SECRET}@1" not in given
        content(jpeg())(request)
        return
    request.send_response(401)
    request.send_header("WWW-Authenticate", 'Digest realm="camera", nonce="n1", qop="auth"')
    request.send_header("Content-Length", "0")
    request.end_headers()


@pytest.mark.parametrize("method", [basic, digest])
def test_user_and_password_of_the_address_are_used_and_never_logged(
    method: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with serving(method) as server:
        address = server.address(f"admin:{SECRET}%401@", f"/image.jpg?pwd={SECRET}")
        with SnapshotCamera(address, interval_s=FAST_S) as camera:
            assert camera.read().image.shape == (48, 64, 3)
    assert camera.name == f"snapshot:http://127.0.0.1:{server.server_port}/image.jpg?…"
    assert "camera snapshot:" in caplog.text
    assert SECRET not in caplog.text


def test_a_wrong_password_is_refused_without_showing_it() -> None:
    with serving(basic) as server:
        error = refusal(server.address(f"admin:{SECRET}@"))
    assert error.reason is CameraReason.NO_PERMISSION
    assert "refuses the user (HTTP 401)" in error.problem
    assert SECRET not in str(error)


@pytest.mark.parametrize(
    ("answer", "reason", "problem"),
    [
        (content(b"<html>", "text/html"), CameraReason.UNREADABLE, "answers with text/html, not"),
        (content(b"", "text/plain", 404), CameraReason.NOT_FOUND, "no picture at this path"),
        (content(b"", "text/plain", 503), CameraReason.UNREADABLE, "with an error (HTTP 503)"),
        (content(jpeg()[:-400]), CameraReason.UNREADABLE, "is broken or cut off"),
        (content(b"no picture"), CameraReason.UNREADABLE, "is broken or cut off"),
        (content(b""), CameraReason.UNREADABLE, "is broken or cut off"),
    ],
    ids=["page", "missing", "failing", "cut off", "no picture", "empty"],
)
def test_what_is_no_whole_jpeg_is_refused(
    answer: Answer, reason: CameraReason, problem: str
) -> None:
    with serving(answer) as server:
        error = refusal(server.address())
    assert error.reason is reason
    assert problem in error.problem


@pytest.mark.parametrize("honest", [True, False])
def test_a_picture_that_is_too_large_is_not_read_to_its_end(
    honest: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "LARGEST_BYTES", 1024 * 1024)

    def answer(request: Handler) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "image/jpeg")
        if honest:
            request.send_header("Content-Length", str(2 * 1024 * 1024))
        request.end_headers()
        try:
            for _ in range(2 * 1024):
                request.wfile.write(b"\xff" * 1024)
        except OSError:
            return  # the camera has hung up

    with serving(answer) as server:
        error = refusal(server.address())
    assert error.reason is CameraReason.UNREADABLE
    assert "more than 1 MiB" in error.problem


@pytest.mark.parametrize("when", ["before the answer", "within the picture"])
def test_a_camera_that_stops_answering_has_stalled(when: str) -> None:
    over = threading.Event()

    def answer(request: Handler) -> None:
        if when == "within the picture":
            request.send_response(200)
            request.send_header("Content-Type", "image/jpeg")
            request.end_headers()
            while not over.wait(0.05):
                try:
                    request.wfile.write(b"\xff")
                except OSError:
                    return
        over.wait(20)

    with serving(answer) as server:
        error = refusal(server.address(), stall_seconds=0.5)
        over.set()
    assert error.reason is CameraReason.STALLED
    assert "no whole picture within 0.5 s" in error.problem


def test_closing_ends_a_read_that_waits() -> None:
    first = threading.Event()
    waiting = threading.Event()
    over = threading.Event()

    def answer(request: Handler) -> None:
        if first.is_set():
            waiting.set()
            over.wait(1000)
        first.set()
        content(jpeg())(request)

    with serving(answer) as server:
        camera = SnapshotCamera(server.address(), interval_s=FAST_S, stall_seconds=1000)
        camera.read()

        def close_meanwhile() -> None:
            waiting.wait(60)
            camera.close()

        closer = threading.Thread(target=close_meanwhile)
        closer.start()
        with pytest.raises(CameraError, match="was closed"):
            camera.read()
        over.set()
        closer.join()


def test_nobody_at_the_address_is_not_found() -> None:
    with serving(content(jpeg())) as server:
        address = server.address()
    error = refusal(address)
    assert error.reason is CameraReason.NOT_FOUND
    assert "nobody answers (Connection refused)" in error.problem


def test_an_untrusted_server_is_refused() -> None:
    with serving(content(jpeg())) as server:
        error = refusal(server.address().replace("http:", "https:"))
    assert error.reason is CameraReason.UNREADABLE
    assert "no trusted encryption" in error.problem


def test_a_redirection_to_a_file_is_refused() -> None:
    def answer(request: Handler) -> None:
        request.send_response(302)
        request.send_header("Location", "file:///etc/hostname")
        request.end_headers()

    with serving(answer) as server:
        error = refusal(server.address())
    assert error.reason is CameraReason.UNREADABLE
    assert "HTTP 302" in error.problem


@pytest.mark.parametrize(
    "address", ["0", "rtsp://camera/1", "http://", "http://camera:port/", "file:///etc/passwd"]
)
def test_another_kind_of_address_is_refused(address: str) -> None:
    error = refusal(address)
    assert error.reason is CameraReason.UNREADABLE
    assert "is no http:// or https:// address" in error.problem


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://camera/a.jpg", "http://camera/a.jpg"),
        ("http://u:p@camera:81/a.jpg", "http://camera:81/a.jpg"),
        ("http://u:p/ss@camera/a.jpg", "http://camera/a.jpg"),
        ("http://camera/a@b.jpg", "http://camera/a@b.jpg"),
        ("http://u:p@ss@camera/a@b.jpg", "http://camera/a@b.jpg"),
        ("http://camera/a.cgi?user=u&pwd=p#x", "http://camera/a.cgi?…"),
    ],
)
def test_addresses_are_shown_without_secrets(address: str, shown: str) -> None:
    assert shown_address(address) == shown
